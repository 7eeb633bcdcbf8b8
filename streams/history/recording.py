"""Holds what the topics say about one partition, in the order in which a gate has read it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from streams.model.canonical import sha256
from streams.model.reasons import DeadLetterReason
from streams.model.types import Record
from streams.model.verdict import Verdict
from streams.ports import Received

AHEAD_RECORDS_MAX = 512
"""How many recorded verdicts are searched for that of an intent."""

FOREVER_MS = 1 << 62
_MARK_BYTES = 16


class Arrival(NamedTuple):
    """An input record, and its decoded form or the error that decoding it raised."""

    received: Received
    decoded: Record | Exception


class Expected(NamedTuple):
    """A recorded verdict.

    Attributes:
        received: the record as it lies on the topic.
        verdict: the decoded verdict.
        is_repeated: whether it was given before, byte for byte, so that its time is not that of this record.
    """

    received: Received
    verdict: Verdict
    is_repeated: bool


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What the topics hold of one partition. Everything is read once, from the first record to the last.

    Attributes:
        partition: the number of the partition.
        inputs: by input topic, its records in offset order.
        verdicts: the records of the verdict topic.
        instants: stream times at which the gate has written something, in order.
        rejected: the places (`topic/partition/offset`) of input records that became dead letters, and their reasons.
        now_ms: when the recording was read: no honest broker time is later.
        asked_ms: by serial, the stream time at which the partition has asked for a lease of a budget.
    """

    partition: int
    inputs: Mapping[str, Iterable[Received]]
    verdicts: Iterable[Received]
    instants: Iterable[int]
    rejected: Mapping[str, str]
    now_ms: int
    asked_ms: Mapping[int, int] = field(default_factory=dict)


class RecordedVerdicts:
    """The recorded verdicts in order, with a cursor that can go back to a mark."""

    def __init__(self, verdicts: Iterable[Received], decode: Callable[[Received], Verdict | None]) -> None:
        self._source = iter(verdicts)
        self._decode = decode
        self._ahead: deque[Expected] = deque()
        self._taken: list[Expected] = []
        self._seen: set[bytes] = set()

    def head(self) -> Expected | None:
        """Return the next verdict that was not taken; None at the end."""
        self._fill(1)
        return self._ahead[0] if self._ahead else None

    def fresh(self) -> Expected | None:
        """Return the next verdict that is not a repetition, among those that are looked at."""
        head = self.head()
        if head is None or not head.is_repeated:
            return head
        self._fill(AHEAD_RECORDS_MAX)
        return next((each for each in self._ahead if not each.is_repeated), None)

    def take(self) -> Expected:
        """Take the next verdict."""
        taken = self._ahead.popleft()
        self._taken.append(taken)
        return taken

    def take_of(self, intent_id: str) -> tuple[Expected | None, list[Expected]]:
        """Take the next verdict of an intent out of its order.

        Returns:
            The verdict, or None; and repetitions before it, which nothing can match any more.
        """
        self._fill(AHEAD_RECORDS_MAX)
        for index, each in enumerate(self._ahead):
            if each.verdict.intent_id == intent_id:
                passed = [before for before in list(self._ahead)[:index] if before.is_repeated]
                del self._ahead[index]
                for before in passed:
                    self._ahead.remove(before)
                return each, passed
        return None, []

    def next_of(self, intent_id: str) -> Expected | None:
        """Return the next verdict of an intent, without taking it; None if there is none among those looked at."""
        self._fill(AHEAD_RECORDS_MAX)
        return next((each for each in self._ahead if each.verdict.intent_id == intent_id), None)

    def next_attributes_offset(self) -> int | None:
        """Return how far attributes were read at the next verdict that says so, among those looked at already."""
        offsets = (each.verdict.attributes_offset for each in self._ahead if not each.is_repeated)
        return next((offset for offset in offsets if offset is not None), None)

    def keep(self) -> None:
        """Make what was taken final: `put_back` goes back to here."""
        self._taken.clear()

    def put_back(self) -> None:
        """Put back what was taken since `keep`."""
        self._ahead.extendleft(reversed(self._taken))
        self._taken.clear()

    def _fill(self, count: int) -> None:
        while len(self._ahead) < count:
            received = next(self._source, None)
            if received is None:
                return
            verdict = self._decode(received)
            if verdict is None:
                continue
            mark = sha256(received.value or b"")[:_MARK_BYTES]
            self._ahead.append(Expected(received, verdict, mark in self._seen))
            self._seen.add(mark)


class Lane:
    """The records of one input topic, of which the next can be looked at."""

    def __init__(self, records: Iterable[Received], admit: Callable[[Received, int], Arrival]) -> None:
        """Args:
        records: in offset order.
        admit: decodes a record, and corrects its time given the time of the record before it.
        """
        self._records = iter(records)
        self._admit = admit
        self._last_ms = 0
        self.head: Arrival | None = None
        self._next()

    def take(self) -> Arrival:
        """Return the head, and go on to the next record."""
        head = self.head
        if head is None:
            raise StopIteration
        self._next()
        return head

    def _next(self) -> None:
        received = next(self._records, None)
        self.head = None if received is None else self._admit(received, self._last_ms)
        if self.head is not None:
            self._last_ms = self.head.received.timestamp_ms


def units_of(lanes: Sequence[Lane]) -> Iterator[list[Arrival]]:
    """Yield the records of all lanes by broker time, those of one instant together.

    Within a lane, records stay in the order of their offsets. Of one instant, the lane with the lower rank goes first,
    as in `streams.engine.input_buffer`. Records without a time wait for the first one that has a time.
    """
    unit: list[Arrival] = []
    unit_ms = 0
    while True:
        first: Lane | None = None
        for lane in lanes:
            if lane.head is not None and (first is None or first.head is None or _time(lane) < _time(first)):
                first = lane
        if first is None:
            break
        arrival = first.take()
        time_ms = arrival.received.timestamp_ms
        if unit and time_ms != unit_ms and unit_ms:
            yield unit
            unit = []
        unit.append(arrival)
        unit_ms = time_ms or unit_ms
    if unit:
        yield unit


def interleavings(unit: Sequence[Arrival], orders_max: int) -> Iterator[list[Arrival]]:
    """Yield the orders in which records of one instant can have been read, the usual one first, at most `orders_max`.

    Records of one topic keep their order.
    """
    by_topic: dict[str, list[Arrival]] = {}
    for arrival in unit:
        by_topic.setdefault(arrival.received.topic, []).append(arrival)
    yield list(unit)
    if len(by_topic) == 1:
        return
    count = 1
    # Whoever came last in the usual order has most often been read first: it came before the others were written.
    for order in _mixed([by_topic[topic] for topic in reversed(by_topic)]):
        if count >= orders_max:
            return
        if order != list(unit):
            count += 1
            yield order


def _mixed(lanes: list[list[Arrival]]) -> Iterator[list[Arrival]]:
    lanes = [lane for lane in lanes if lane]
    if not lanes:
        yield []
    for index, lane in enumerate(lanes):
        rest = [lane[1:] if number == index else other for number, other in enumerate(lanes)]
        for order in _mixed(rest):
            yield [lane[0], *order]


def _time(lane: Lane) -> int:
    return 0 if lane.head is None else lane.head.received.timestamp_ms


def was_ahead(rejected: Mapping[str, str], received: Received) -> bool:
    """Return whether a gate has rejected a record because its broker time could not be true."""
    return rejected.get(place_of(received)) == DeadLetterReason.BROKER_TIME_AHEAD


def place_of(received: Received) -> str:
    """Return topic, partition and offset of a record."""
    return f"{received.topic}/{received.partition}/{received.offset}"


class Instants:
    """Stream times at which something was written, in order."""

    def __init__(self, instants: Iterable[int]) -> None:
        self._instants = iter(instants)
        self._next_ms = 0

    def next_after(self, time_ms: int) -> int:
        """Return the first instant after another one; far in the future if there is none."""
        while self._next_ms <= time_ms:
            self._next_ms = next(self._instants, FOREVER_MS)
        return self._next_ms
