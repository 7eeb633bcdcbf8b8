"""Puts the input of one partition in order: several topics, joined by broker time.

**Idea.** A poll returns records of some of a partition's topics, and not always those that were written first. So what
was polled is buffered by topic, and a record goes on only when no earlier one can be missing: each of the other topics
either has a record in its buffer, and then the earliest goes first, or was read to its end (KIP-353 and KIP-695 of
Kafka Streams). What is decided then depends on the log, and not on how it was cut into polls. See ADR 0030.

Within a topic, records stay in the order of their offsets, whatever their times. At the same instant, the topic with
the lower rank goes first.

**Rejected.** To wait a fixed time for the other topics: it delays every record when nothing is missing, and is too
short when a broker is slow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import NamedTuple

from streams.model.types import Record
from streams.ports import Received

HasEnded = Callable[[str], bool]
"""Whether a topic was read to its end."""


Buffered = tuple[Received, Record | Exception, int]
"""A record that waits for its turn, its decoded form or the error that decoding it raised, and its bytes."""


class BufferBounds(NamedTuple):
    """How much of one topic is buffered before its partition is paused: one poll more than this."""

    records_max: int
    bytes_max: int


class _Lane:
    """The buffered records of one topic."""

    __slots__ = ("bytes", "is_paused", "last_ms", "next_offset", "records", "topic")

    def __init__(self, topic: str, next_offset: int) -> None:
        self.topic = topic
        self.records: deque[Buffered] = deque()
        self.bytes = 0
        self.next_offset = next_offset
        self.last_ms = 0
        self.is_paused = False


class InputBuffer:
    """The records of one partition that were polled and not processed yet, by topic."""

    def __init__(self, topics: Sequence[str], positions: Mapping[str, int], bounds: BufferBounds) -> None:
        """Create it empty.

        Args:
            topics: the input topics, by rank.
            positions: the next offset of each.
            bounds: how much is buffered of each.
        """
        self._lanes = [_Lane(topic, positions.get(topic, 0)) for topic in topics]
        self._by_topic = {lane.topic: lane for lane in self._lanes}
        self._bounds = bounds
        self._count = 0
        self._bytes = 0
        self._paused_count = 0
        self._ended: dict[str, bool] = {}
        # The topic whose records go first while they are earlier than `_until_ms`: the others need not be looked at.
        self._run: _Lane | None = None
        self._until_ms = 0.0
        self._abandoned: set[str] = set()
        self.missing: str | None = None
        """The topic that holds the others back, as `ready` found it last."""

    def __len__(self) -> int:
        """Return how many records wait."""
        return self._count

    def count_of(self, topic: str) -> int:
        """Return how many records of a topic wait."""
        return len(self._by_topic[topic].records)

    def add(self, records: Iterable[tuple[Received, Record | Exception]]) -> None:
        """Append records to their topics', each with its decoded form or the error that decoding it raised.

        Records that were added or processed before are left out.
        """
        by_topic = self._by_topic
        for record, decoded in records:
            lane = by_topic[record.topic]
            if record.offset < lane.next_offset:
                continue
            lane.next_offset = record.offset + 1
            size = len(record.value or b"") + len(record.key or b"")
            lane.records.append((record, decoded, size))
            lane.bytes += size
            self._bytes += size
            self._count += 1
            if self._abandoned:
                self._abandoned.discard(record.topic)
        self._run = None

    def last_ms(self, topic: str) -> int:
        """Return the time of the last record that was added of a topic; 0 if there was none."""
        lane = self._by_topic[topic]
        return lane.records[-1][0].timestamp_ms if lane.records else lane.last_ms

    def first_time_ms(self) -> int:
        """Return the earliest time of the records that wait; 0 if none of them has a time."""
        times_ms = (found[0].timestamp_ms for lane in self._lanes for found in lane.records)
        return min((time_ms for time_ms in times_ms if time_ms), default=0)

    @property
    def takes_effect(self) -> bool:
        """Whether any of the records that wait can be processed; the others become dead letters."""
        return any(not isinstance(found[1], Exception) for lane in self._lanes for found in lane.records)

    def look(self) -> None:
        """Forget what is known of the topics' ends: `ready` asks again. Call it after each poll."""
        self._ended.clear()
        self._run = None

    def ready(self, has_ended: HasEnded) -> Iterator[Buffered]:
        """Remove and yield the records whose turn has come, until there are none or the first is not known.

        A generator, because it goes on in a quarter of the time of a call. Records may be added in between.

        Args:
            has_ended: asked about topics without a buffered record, once after each `look`.
        """
        while (lane := self._run or self._first(has_ended)) is not None:
            records = lane.records
            found = records.popleft()
            if not records:
                self._run = None
                lane.last_ms = found[0].timestamp_ms
            elif records[0][0].timestamp_ms >= self._until_ms:
                self._run = None
            size = found[2]
            lane.bytes -= size
            self._bytes -= size
            self._count -= 1
            yield found

    def has_all(self, has_ended: HasEnded) -> bool:
        """Return whether nothing waits, and every topic was read to its end."""
        return not self._count and not any(self._holds_back(lane.topic, has_ended) for lane in self._lanes)

    def abandon(self, topic: str) -> None:
        """Let the others go on without this topic, until it has a record or was read to its end."""
        self._abandoned.add(topic)

    @property
    def may_pause(self) -> bool:
        """Whether `to_pause` or `to_resume` may have something to return. Cheap."""
        records_max, bytes_max = self._bounds
        return self._paused_count > 0 or self._count >= records_max or self._bytes >= bytes_max

    def takes_no_more(self, has_ended: HasEnded) -> bool:
        """Return whether a topic is paused, as its buffer is full, and the others are too or were read to their ends.

        Args:
            has_ended: asked about topics that are not paused.
        """
        return self._paused_count > 0 and not any(
            not lane.is_paused and self._holds_back(lane.topic, has_ended) for lane in self._lanes
        )

    def to_pause(self) -> list[str]:
        """Return the topics of which no more is to be polled for now. They count as paused from here on."""
        records_max, bytes_max = self._bounds
        full = [
            lane
            for lane in self._lanes
            if not lane.is_paused and (len(lane.records) >= records_max or lane.bytes >= bytes_max)
        ]
        for lane in full:
            lane.is_paused = True
        self._paused_count += len(full)
        return [lane.topic for lane in full]

    def to_resume(self) -> list[str]:
        """Return the paused topics that have room again: half of the bound. They no longer count as paused."""
        records_max, bytes_max = self._bounds
        free = [
            lane
            for lane in self._lanes
            if lane.is_paused and 2 * len(lane.records) <= records_max and 2 * lane.bytes <= bytes_max
        ]
        for lane in free:
            lane.is_paused = False
        self._paused_count -= len(free)
        return [lane.topic for lane in free]

    def clear(self, positions: Mapping[str, int]) -> None:
        """Forget all records, as they are read again from `positions` on. Paused topics stay so until `to_resume`."""
        for lane in self._lanes:
            lane.records.clear()
            lane.bytes = lane.last_ms = 0
            lane.next_offset = positions.get(lane.topic, 0)
        self._count = self._bytes = 0
        self._ended.clear()
        self._run = None
        self._abandoned.clear()
        self.missing = None

    def _first(self, has_ended: HasEnded) -> _Lane | None:
        """Return the topic whose record goes first, and note in `missing` what keeps it from being known."""
        self.missing = None
        if not self._count:
            return None
        first: _Lane | None = None
        first_ms, until_ms = 0, inf
        for lane in self._lanes:
            if lane.records:
                time_ms = lane.records[0][0].timestamp_ms
                if first is None:
                    first, first_ms = lane, time_ms
                elif time_ms < first_ms:
                    # At the same instant, those before it go first: they have the lower rank.
                    until_ms = min(until_ms, first_ms)
                    first, first_ms = lane, time_ms
                else:
                    until_ms = min(until_ms, time_ms + 1)
            elif self._holds_back(lane.topic, has_ended):
                self.missing = lane.topic
                return None
        self._run, self._until_ms = first, until_ms
        return first

    def _holds_back(self, topic: str, has_ended: HasEnded) -> bool:
        ended = self._ended.get(topic)
        if ended is None:
            ended = self._ended[topic] = has_ended(topic)
            if ended:
                self._abandoned.discard(topic)
        return not ended and topic not in self._abandoned
