"""Holds the input of one partition until it is in order, and says so when that takes long.

**What a held partition waits for.** A topic whose end isn't known: there is more to be fetched, or the broker that
leads it doesn't answer. Waiting has no bound by default, because to go on may let something through: an intent would be
judged before the end of its session, which is on the log and can't be read. Without a verdict nothing runs. Whoever
accepts that risk for the sake of answers sets `input_wait_max_ms`. See ADR 0030.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence

from streams.engine.input_buffer import BufferBounds, Buffered, InputBuffer
from streams.engine.settings import EngineSettings
from streams.model.plurals import many
from streams.ports import TopicPartition

_log = logging.getLogger(__name__)
WAIT_TOLD_MS = 10_000
"""How often a partition that is held says so."""

HasReachedEnd = Callable[[TopicPartition], bool]


class OrderedInput:
    """The input of one partition that was polled and not processed yet.

    Attributes:
        buffer: the records that wait.
        abandoned_count: how often the partition has gone on without a topic.
    """

    def __init__(
        self,
        partition: int,
        topics: Sequence[str],
        positions: Mapping[str, int],
        has_reached_end: HasReachedEnd,
        settings: EngineSettings,
    ) -> None:
        """Create it empty.

        Args:
            partition: its number.
            topics: the input topics, by rank.
            positions: the next offset of each.
            has_reached_end: the consumer's.
            settings: the bounds of buffers, and how long a topic holds back the others.
        """
        bounds = BufferBounds(settings.input_buffer_records_max, settings.input_buffer_bytes_max)
        self.buffer = InputBuffer(topics, positions, bounds)
        self.abandoned_count = 0
        self._partition = partition
        self._places = {topic: TopicPartition(topic, partition) for topic in topics}
        self._has_reached_end = has_reached_end
        self._wait_max_ms = settings.input_wait_max_ms
        self._waiting_for: str | None = None
        self._since_ms = 0
        self._told_ms = 0

    def ready(self, now_ms: int) -> Iterator[Buffered]:
        """Remove and yield the records whose turn has come, until there are none or the first is not known.

        Args:
            now_ms: of a clock that never goes back.
        """
        while True:
            records = self.buffer.ready(self._has_ended)
            first = next(records, None)
            if first is not None:
                self._waiting_for = None
                yield first
                yield from records
            missing = self.buffer.missing
            if missing is None:
                self._waiting_for = None
                return
            if not self._has_waited(missing, now_ms):
                return
            self._abandon(missing, now_ms)

    @property
    def is_complete(self) -> bool:
        """Whether nothing waits and nothing is missing: the wall clock may count for this partition."""
        self.buffer.look()
        return self.buffer.has_all(self._has_ended)

    @property
    def takes_no_more(self) -> bool:
        """Whether nothing more is read before something is processed: buffers are full, or topics at their ends."""
        self.buffer.look()
        return self.buffer.takes_no_more(self._has_ended)

    def _has_ended(self, topic: str) -> bool:
        return self._has_reached_end(self._places[topic])

    def _has_waited(self, topic: str, now_ms: int) -> bool:
        """Note that the topic holds back the others. Return whether it has done so for as long as it may."""
        if self._waiting_for != topic:
            self._waiting_for, self._since_ms, self._told_ms = topic, now_ms, now_ms
        waited_ms = now_ms - self._since_ms
        if now_ms - self._told_ms >= WAIT_TOLD_MS:
            self._told_ms = now_ms
            _log.warning(
                "partition %d has held back %s for %d ms, until `%s` is read to its end",
                self._partition,
                many(len(self.buffer), "record"),
                waited_ms,
                topic,
            )
        return 0 < self._wait_max_ms <= waited_ms

    def _abandon(self, topic: str, now_ms: int) -> None:
        self.abandoned_count += 1
        _log.error(
            "partition %d goes on without `%s`, whose end has not been known for %d ms; %s waited for it "
            "(time %d of this partition)",
            self._partition,
            topic,
            now_ms - self._since_ms,
            many(len(self.buffer), "record"),
            self.abandoned_count,
        )
        self.buffer.abandon(topic)
        self._waiting_for = None
