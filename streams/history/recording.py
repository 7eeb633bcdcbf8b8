"""Holds what the topics say about one partition, in the order in which a gate has read it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple, TypeVar

from streams.model.canonical import sha256
from streams.model.errors import InvariantError, RecordError
from streams.model.reasons import DeadLetterReason
from streams.model.topics import VERDICT
from streams.model.types import Record
from streams.model.verdict import Verdict
from streams.ports import Received
from streams.ports.wire import Wire

AHEAD_RECORDS_MAX = 512
"""How many recorded verdicts are searched for that of an intent."""

FOREVER_MS = 1 << 62
ROW_RECORDS = 256
"""How many records are decoded in a row: each then costs half of what it does between two others."""

_MARK_BYTES = 16
_T = TypeVar("_T")
_U = TypeVar("_U")


class Arrival(NamedTuple):
    """An input record, and its decoded form or the error that decoding it raised."""

    received: Received
    decoded: Record | Exception


class Stated(NamedTuple):
    """What a recorded verdict says of its intent, and of when it was given; the names are those of its fields."""

    intent_id: str
    reason: str
    ruleset_offset: int
    revocation_offset: int
    evaluated_at: int
    attributes_offset: int | None
    baseline_version: int


class Expected:
    """A record of the verdict topic: a verdict, or something else that lies there (`is_verdict`).

    It is read when it is first asked for: of most, only the bytes are compared.

    Attributes:
        received: the record as it lies on the topic.
        is_repeated: whether it was given before, byte for byte, so that its time is not that of this record.
    """

    __slots__ = ("_reader", "_stated", "_verdict", "is_repeated", "received")

    def __init__(self, received: Received, reader: StatedReader, *, is_repeated: bool) -> None:
        self.received = received
        self.is_repeated = is_repeated
        self._reader = reader
        self._stated: Stated | bool | None = None
        self._verdict: Verdict | None = None

    @property
    def is_verdict(self) -> bool:
        """Whether it begins as a verdict does; something else may lie on the topic."""
        if self._stated is None:
            self._stated = self._reader.read(self.received) or False
        return self._stated is not False

    @property
    def stated(self) -> Stated:
        """What the replay needs to know of it.

        Raises:
            InvariantError: it is not a verdict.
        """
        if not self.is_verdict or not isinstance(self._stated, Stated):
            raise InvariantError("a record that is not a verdict states nothing")
        return self._stated

    @property
    def verdict(self) -> Verdict:
        """The decoded verdict.

        Raises:
            RecordError: what follows the fields in `stated` can't be read.
        """
        if self._verdict is None:
            received = self.received
            record = self._reader.wire.decode(received.topic, received.value or b"", received.headers)
            if not isinstance(record, Verdict):
                raise InvariantError("a record with the fields of a verdict is another one")
            self._verdict = record
        return self._verdict

    @property
    def is_readable(self) -> bool:
        """Whether it is a verdict to its end."""
        try:
            return bool(self.verdict)
        except RecordError:
            return False


class StatedReader:
    """Reads what recorded verdicts state.

    Attributes:
        wire: the codec.
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    def read(self, received: Received) -> Stated | None:
        """Return what a verdict states; None for what else may lie on the topic."""
        try:
            return Stated(*self.wire.read_fields(VERDICT.name, received.value, received.headers, Stated._fields))  # type: ignore[arg-type]  # of these types by the schema
        except RecordError as error:
            if error.reason != DeadLetterReason.SCHEMA_MISMATCH:
                return None
        # Of a version of the schema that lacks one of the fields.
        return self._read_whole(received)

    def _read_whole(self, received: Received) -> Stated | None:
        try:
            record = self.wire.decode(received.topic, received.value or b"", received.headers)
        except RecordError:
            return None
        if not isinstance(record, Verdict):
            return None
        return Stated(*(getattr(record, name) for name in Stated._fields))


def in_rows(source: Iterable[_T], read: Callable[[_T], _U]) -> Iterator[tuple[_T, _U]]:
    """Yield each item with what reading it returns, as many in a row as `ROW_RECORDS` says."""
    items = iter(source)
    while row := list(islice(items, ROW_RECORDS)):
        yield from [(item, read(item)) for item in row]


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

    def __init__(self, verdicts: Iterable[Received], wire: Wire) -> None:
        self._source = iter(verdicts)
        self._reader = StatedReader(wire)
        self._ahead: deque[Expected] = deque()
        self._taken: list[Expected] = []
        self._seen: set[bytes] = set()

    def unread(self) -> Expected | None:
        """Return the next record that was not taken, which need not be a verdict; None at the end."""
        if not self._ahead:
            self._fill(1)
        return self._ahead[0] if self._ahead else None

    def head(self) -> Expected | None:
        """Return the next verdict that was not taken; None at the end."""
        while (found := self.unread()) is not None and not found.is_verdict:
            self._ahead.popleft()
        return found

    def fresh(self) -> Expected | None:
        """Return the next verdict that is not a repetition, among those that are looked at."""
        head = self.head()
        if head is None or not head.is_repeated:
            return head
        self._fill(AHEAD_RECORDS_MAX)
        return next((each for each in self._ahead if not each.is_repeated and each.is_verdict), None)

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
            if each.is_verdict and each.stated.intent_id == intent_id:
                passed = [before for before in list(self._ahead)[:index] if before.is_repeated]
                del self._ahead[index]
                for before in passed:
                    self._ahead.remove(before)
                return each, passed
        return None, []

    def next_of(self, intent_id: str) -> Expected | None:
        """Return the next verdict of an intent, without taking it; None if there is none among those looked at."""
        self._fill(AHEAD_RECORDS_MAX)
        verdicts = (each for each in self._ahead if each.is_verdict)
        return next((each for each in verdicts if each.stated.intent_id == intent_id), None)

    def next_attributes_offset(self) -> int | None:
        """Return how far attributes were read at the next verdict that says so, among those looked at already."""
        fresh = (each for each in self._ahead if not each.is_repeated and each.is_verdict)
        offsets = (each.stated.attributes_offset for each in fresh)
        return next((offset for offset in offsets if offset is not None), None)

    def next_baseline_version(self) -> int:
        """Return how far baselines were read at the next verdict that says so, plus one; 0 if none of them does."""
        fresh = (each for each in self._ahead if not each.is_repeated and each.is_verdict)
        return next((each.stated.baseline_version for each in fresh if each.stated.baseline_version), 0)

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
            mark = sha256(received.value or b"")[:_MARK_BYTES]
            self._ahead.append(Expected(received, self._reader, is_repeated=mark in self._seen))
            self._seen.add(mark)


class Lane:
    """The records of one input topic, of which the next can be looked at.

    Attributes:
        head: the next record; None at the end.
        time_ms: when it is read: at its time, or later if it was held back.
        not_before_ms: until when records were held back.
    """

    def __init__(
        self,
        records: Iterable[Received],
        decode: Callable[[Received], Record | Exception],
        admit: Callable[[Arrival, int], Arrival],
    ) -> None:
        """Args:
        records: in offset order.
        decode: returns a record, or the error that decoding it raised.
        admit: corrects the time of a record given that of the record before it.
        """
        self._records = in_rows(records, decode)
        self._admit = admit
        self.head: Arrival | None = None
        self.time_ms = 0
        self._held: deque[Arrival] = deque()
        self._last_ms = 0
        self.not_before_ms = 0
        self._next()

    def take(self) -> Arrival:
        """Return the head, and go on to the next record."""
        head = self.head
        if head is None:
            raise StopIteration
        self._next()
        return head

    def hold_back(self, arrivals: Sequence[Arrival], until_ms: int) -> None:
        """Give back the records that were taken last; they, and those that follow, are read at an instant at first."""
        heads = () if self.head is None else (self.head,)
        self._held.extendleft(reversed((*arrivals, *heads)))
        self.not_before_ms = until_ms
        self._next()

    def _next(self) -> None:
        if self._held:
            self.head = self._held.popleft()
        elif (found := next(self._records, None)) is None:
            self.head = None
            return
        else:
            self.head = self._admit(Arrival(*found), self._last_ms)
            self._last_ms = self.head.received.timestamp_ms
        self.time_ms = max(self.head.received.timestamp_ms, self.not_before_ms)


def units_of(lanes: Sequence[Lane]) -> Iterator[tuple[int, list[Arrival]]]:
    """Yield the records of all lanes by broker time, those of one instant together, each with the instant.

    Within a lane, records stay in the order of their offsets. At the same instant, the lane with the lower rank goes
    first, as in `streams.engine.input_buffer`. Records without a time wait for the first one that has a time.
    """
    left = [lane for lane in lanes if lane.head is not None]
    while left:
        unit: list[Arrival] = []
        unit_ms = 0
        while left:
            first = left[0]
            for lane in left:
                if lane.time_ms < first.time_ms:
                    first = lane
            if unit_ms and first.time_ms != unit_ms:
                break
            unit_ms = first.time_ms
            unit.append(first.take())
            if first.head is None:
                left.remove(first)
        yield unit_ms, unit
        # Whoever has read the unit may have held back some of it.
        if len(left) < len(lanes):
            left = [lane for lane in lanes if lane.head is not None]


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


def was_ahead(rejected: Mapping[str, str], received: Received) -> bool:
    """Return whether a gate has rejected a record because its broker time could not be true."""
    return bool(rejected) and rejected.get(place_of(received)) == DeadLetterReason.BROKER_TIME_AHEAD


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
