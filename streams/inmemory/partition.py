"""One partition of the in-memory log, with Kafka's rules about what a `read_committed` reader may see."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from streams.ports import Headers, Received, TopicPartition


class TransactionStatus(Enum):
    """Whether a transaction is decided, and how."""

    OPEN = "open"
    COMMITTED = "committed"
    ABORTED = "aborted"


@dataclass(eq=False, slots=True)
class LogTransaction:
    """A producer's transaction as the broker sees it.

    Attributes:
        began_ms: when it was opened.
        status: whether it is decided.
        unmarked: partitions with records of it that have no marker yet, those of the offsets topic included.
        offsets: the offsets that it commits, by group.
    """

    transactional_id: str
    began_ms: int
    status: TransactionStatus = TransactionStatus.OPEN
    unmarked: dict[TopicPartition, None] = field(default_factory=dict)
    offsets: dict[str, dict[TopicPartition, int]] = field(default_factory=dict)


class Entry(NamedTuple):
    """An entry of the log: a record, or (`is_marker`) the end of a transaction, which also has an offset.

    `serial` counts what was written to the whole log, over all partitions.
    """

    offset: int
    serial: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    transaction: LogTransaction | None
    is_marker: bool = False


class MemoryPartition:
    """The entries of one partition. Offsets only rise; compaction leaves gaps.

    Attributes:
        start_offset: the first offset that retention has left.
        high_watermark: the offset of the next entry.
    """

    def __init__(self, name: TopicPartition) -> None:
        self.name = name
        self.start_offset = 0
        self.high_watermark = 0
        self._entries: list[Entry] = []
        self._unstable: dict[LogTransaction, int] = {}

    def append(
        self,
        serial: int,
        timestamp_ms: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        transaction: LogTransaction | None,
    ) -> int:
        """Add a record and return its offset."""
        offset = self.high_watermark
        self._entries.append(Entry(offset, serial, timestamp_ms, key, value, headers, transaction))
        self.high_watermark = offset + 1
        if transaction is not None:
            self._unstable.setdefault(transaction, offset)
        return offset

    def mark(self, serial: int, transaction: LogTransaction, timestamp_ms: int) -> None:
        """Write the marker that ends a decided transaction here."""
        marker = Entry(self.high_watermark, serial, timestamp_ms, None, None, (), transaction, is_marker=True)
        self._entries.append(marker)
        self.high_watermark += 1
        self._unstable.pop(transaction, None)

    @property
    def last_stable_offset(self) -> int:
        """The offset up to which every transaction is marked: a `read_committed` reader reads no further."""
        return min(self._unstable.values()) if self._unstable else self.high_watermark

    def read(self, offset: int, records_max: int) -> tuple[list[Received], int]:
        """Return up to `records_max` committed records from `offset` on, and the offset to continue at."""
        end = self.last_stable_offset
        position = max(offset, self.start_offset)
        if position >= end:
            return [], position
        found: list[Received] = []
        at = bisect_left(self._entries, position, key=_offset_of)
        while at < len(self._entries) and self._entries[at].offset < end:
            if len(found) == records_max:
                return found, position
            entry = self._entries[at]
            if _is_visible(entry):
                found.append(self._received(entry))
            position = entry.offset + 1
            at += 1
        return found, max(position, end)

    def visible_since(self, serial: int) -> list[tuple[int, Received]]:
        """Return the committed records that were written after `serial`, each with its own serial."""
        end = self.last_stable_offset
        first = bisect_left(self._entries, serial + 1, key=_serial_of)
        new = self._entries[first:]
        return [(entry.serial, self._received(entry)) for entry in new if entry.offset < end and _is_visible(entry)]

    def all_entries(self) -> tuple[Entry, ...]:
        """Return all entries: also markers, and what no reader can see."""
        return tuple(self._entries)

    def committed_entries(self) -> list[Entry]:
        """Return the entries of all records that a `read_committed` reader can see now, with their transactions."""
        end = self.last_stable_offset
        return [entry for entry in self._entries if entry.offset < end and _is_visible(entry)]

    def compact(self) -> None:
        """Keep the newest committed record of each key, as Kafka's cleaner does. Tombstones stay."""
        end = self.last_stable_offset
        newest = {entry.key: entry.offset for entry in self._entries if entry.offset < end and _is_visible(entry)}
        kept = (entry for entry in self._entries if entry.offset >= end or newest.get(entry.key) == entry.offset)
        self._entries = list(kept)

    def truncate(self, start_offset: int) -> None:
        """Drop the entries below `start_offset`, as retention does."""
        self.start_offset = max(self.start_offset, min(start_offset, self.last_stable_offset))
        self._entries = [entry for entry in self._entries if entry.offset >= self.start_offset]

    def _received(self, entry: Entry) -> Received:
        topic, number = self.name
        return Received(topic, number, entry.offset, entry.timestamp_ms, entry.key, entry.value, entry.headers)


def _offset_of(entry: Entry) -> int:
    return entry.offset


def _serial_of(entry: Entry) -> int:
    return entry.serial


def _is_visible(entry: Entry) -> bool:
    transaction = entry.transaction
    return not entry.is_marker and (transaction is None or transaction.status is TransactionStatus.COMMITTED)
