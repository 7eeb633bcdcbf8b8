"""The state of one partition: committed rows below, this transaction's writes and this record's writes above.

Nothing reaches the store before the transaction is committed (ADR 0005). A record that fails leaves no trace; a
transaction that is aborted leaves none either.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from heapq import merge
from itertools import islice
from typing import Protocol

from streams.model.errors import RecordError
from streams.model.reasons import DeadLetterReason
from streams.ports import Store
from streams.ports.processor import STREAM_TIME_KEY, TIMER_KEY_PREFIX, Savepoint

ROW_BYTES_MAX = 1_000_000
"""Of a row and its key: it must fit into a record of the changelog."""

_DUE_BYTES = 8
_AFTER_TIMERS = b"u"


class Rows(Protocol):
    """What can be asked for a row."""

    def get(self, key: bytes) -> bytes | None:
        """The row, or None."""


class PartitionState:
    """A `StateView` over a `Store`, with timers. Not thread-safe."""

    def __init__(self, store: Store, partition: int = 0) -> None:
        self.partition = partition
        self._store = store
        self._transaction: dict[bytes, bytes | None] = {}
        self._record: dict[bytes, bytes | None] = {}
        # The transaction's keys in order: made by its first scan, kept up from then on.
        self._keys: list[bytes] | None = None
        self._next_due_ms = self._earliest_timer()

    def get(self, key: bytes) -> bytes | None:
        """The row as this record sees it."""
        if key in self._record:
            return self._record[key]
        if key in self._transaction:
            return self._transaction[key]
        return self._store.get(key)

    def put(self, key: bytes, row: bytes) -> None:
        """Set the row.

        Raises:
            RecordError: it does not fit into a record of the changelog.
        """
        if len(key) + len(row) > ROW_BYTES_MAX:
            text = f"state of {len(key) + len(row)} bytes would be kept of it, at most {ROW_BYTES_MAX} are"
            raise RecordError(DeadLetterReason.RECORD_TOO_LARGE, text)
        self._record[key] = row

    def delete(self, key: bytes) -> None:
        """Remove the row."""
        self._record[key] = None

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Rows with start <= key < end, in order. Not to be written to while iterating."""
        if self._keys is None:
            self._keys = sorted(self._transaction)
        keys = self._keys[bisect_left(self._keys, start) : bisect_left(self._keys, end)]
        written = {key: self._transaction[key] for key in keys}
        written.update((key, row) for key, row in self._record.items() if start <= key < end)
        stored = self._store.scan(start, end)
        if not written:
            yield from stored
            return
        below = ((key, row) for key, row in stored if key not in written)
        above = ((key, row) for key, row in sorted(written.items()) if row is not None)
        yield from merge(below, above)

    def note_stream_time(self, now_ms: int) -> None:
        """Keep the instant up to which the partition has been processed."""
        self.put(STREAM_TIME_KEY, now_ms.to_bytes(_DUE_BYTES, "big"))

    def set_timer(self, due_ms: int, payload: bytes) -> None:
        """Bring `payload` back at `due_ms`."""
        self.put(_timer_key(due_ms, payload), b"")
        if self._next_due_ms is None or due_ms < self._next_due_ms:
            self._next_due_ms = due_ms

    def cancel_timer(self, due_ms: int, payload: bytes) -> None:
        """Forget a timer. The cached earliest instant may stay too early, which costs one look."""
        self.delete(_timer_key(due_ms, payload))

    @property
    def next_due_ms(self) -> int | None:
        """When the next timer is due, or somewhat earlier; None without timers."""
        return self._next_due_ms

    def has_due(self, now_ms: int) -> bool:
        """Whether a timer may be due: cheap enough to ask before every record."""
        return self._next_due_ms is not None and self._next_due_ms <= now_ms

    def due_timers(self, now_ms: int, limit: int) -> list[tuple[int, bytes]]:
        """The earliest due timers as (due_ms, payload). Each stays until it is cancelled."""
        end = TIMER_KEY_PREFIX + (now_ms + 1).to_bytes(_DUE_BYTES, "big")
        keys = [key for key, _ in islice(self.scan(TIMER_KEY_PREFIX, end), limit)]
        if not keys:
            self._next_due_ms = self._earliest_timer()
        return [(int.from_bytes(key[1 : 1 + _DUE_BYTES], "big"), key[1 + _DUE_BYTES :]) for key in keys]

    def savepoint(self) -> Savepoint:
        """What this record has written so far."""
        return dict(self._record)

    def undo_to(self, savepoint: Savepoint) -> None:
        """Forget what this record has written since."""
        self._record = dict(savepoint)

    def keep_record(self) -> None:
        """The record went well: its writes join the transaction's."""
        if self._record:
            if self._keys is not None:
                for key in self._record.keys() - self._transaction.keys():
                    insort(self._keys, key)
            self._transaction.update(self._record)
            self._record.clear()

    def drop_record(self) -> None:
        """The record failed: forget its writes."""
        self._record.clear()

    def changes(self) -> dict[bytes, bytes | None]:
        """The open transaction's writes, one per key; None deletes."""
        return self._transaction

    def committed(self, changelog_offset: int) -> None:
        """The transaction is durable: write it to the store.

        Args:
            changelog_offset: the next offset of the changelog to be read.
        """
        self._store.apply(self._transaction, changelog_offset)
        self._forget_transaction()

    def aborted(self) -> None:
        """Forget the open transaction's writes."""
        self._record.clear()
        self._forget_transaction()
        self._next_due_ms = self._earliest_timer()

    def close(self) -> None:
        """Release the store; what is not committed is forgotten."""
        self._store.close()

    def _forget_transaction(self) -> None:
        self._transaction = {}
        self._keys = None

    def _earliest_timer(self) -> int | None:
        first = next(self.scan(TIMER_KEY_PREFIX, _AFTER_TIMERS), None)
        return None if first is None else int.from_bytes(first[0][1 : 1 + _DUE_BYTES], "big")


def stream_time_of(rows: Rows) -> int:
    """The instant up to which a partition has been processed, as it is kept with its state; 0 where it never was."""
    return int.from_bytes(rows.get(STREAM_TIME_KEY) or b"", "big")


def _timer_key(due_ms: int, payload: bytes) -> bytes:
    return TIMER_KEY_PREFIX + due_ms.to_bytes(_DUE_BYTES, "big") + payload
