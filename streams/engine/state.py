"""Holds the state of one partition: committed rows below, the writes of the transaction and of the record above.

A write goes through three layers. It begins in the current record's; `keep_record` moves that to the transaction's, and
`committed` moves that to the store. To fail a record or abort a transaction is to drop a layer. Nothing reaches the
store before the transaction is committed (ADR 0005).

A row that is set and removed within one transaction, and that the store does not have, leaves nothing behind: there is
nothing that its tombstone could delete (ADR 0083).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from heapq import merge
from itertools import chain, islice
from typing import Protocol

from streams.model.errors import RecordError
from streams.model.reasons import DeadLetterReason
from streams.ports import Store
from streams.ports.processor import STREAM_TIME_KEY, TIMER_KEY_PREFIX, Savepoint

INSERTS_MAX = 64
"""From this many new keys on, sorting all keys once is cheaper than inserting each in its place."""
ABSENT_MAX = 50_000
"""From this many remembered keys on, which the store does not have, no further ones are remembered."""
ROW_BYTES_MAX = 1_000_000
"""The largest row with its key: it must fit into a record of the changelog."""

_DUE_BYTES = 8
_AFTER_TIMERS = b"u"


class Rows(Protocol):
    """Anything that can be asked for a row."""

    def get(self, key: bytes) -> bytes | None:
        """Return the row, or None."""


class PartitionState:
    """A `StateView` over a `Store`, with timers. Timers are rows, ordered by the instant at which they are due."""

    def __init__(self, store: Store, partition: int = 0) -> None:
        self.partition = partition
        self._store = store
        self._transaction: dict[bytes, bytes | None] = {}
        self._record: dict[bytes, bytes | None] = {}
        # What the current record has removed that was set since the last commit, perhaps more than once.
        self._removed: list[bytes] = []
        self._has_passed = False
        # Keys of which the store has said since the last commit that it does not have them.
        self._absent: set[bytes] = set()
        # The transaction's keys in order: made by its first scan, and brought up to date by each scan with those that
        # are new since the one before.
        self._keys: list[bytes] | None = None
        self._new_keys: set[bytes] = set()
        self._next_due_ms = self._earliest_timer()

    def get(self, key: bytes) -> bytes | None:
        """Return the row as the current record sees it, or None."""
        if key in self._record:
            return self._record[key]
        if key in self._transaction:
            return self._transaction[key]
        row = self._store.get(key)
        if row is None and len(self._absent) < ABSENT_MAX:
            self._absent.add(key)
        return row

    def put(self, key: bytes, row: bytes) -> None:
        """Set the row.

        Raises:
            RecordError: it does not fit into a record of the changelog.
        """
        if len(key) + len(row) > ROW_BYTES_MAX:
            text = f"it leads to a state row of {len(key) + len(row)} bytes, at most {ROW_BYTES_MAX} are accepted"
            raise RecordError(DeadLetterReason.RECORD_TOO_LARGE, text)
        self._record[key] = row

    def delete(self, key: bytes) -> None:
        """Remove the row."""
        record = self._record
        if record.get(key) is not None or self._transaction.get(key) is not None:
            self._removed.append(key)
        record[key] = None

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows with start <= key < end, in key order. Do not write to the state while iterating."""
        in_order = self._keys_in_order()
        keys = in_order[bisect_left(in_order, start) : bisect_left(in_order, end)]
        written = {key: self._transaction[key] for key in keys}
        written.update((key, row) for key, row in self._record.items() if start <= key < end)
        stored = self._store.scan(start, end)
        if not written:
            yield from stored
            return
        above = ((key, row) for key, row in sorted(written.items()) if row is not None)
        first = next(stored, None)
        if first is None:
            # As mostly of rows that live for seconds.
            if len(self._absent) < ABSENT_MAX:
                self._absent.update(written)
            yield from above
            return
        below = ((key, row) for key, row in chain((first,), stored) if key not in written)
        yield from merge(below, above)

    def note_stream_time(self, now_ms: int) -> None:
        """Store the instant up to which the partition has been processed."""
        self.put(STREAM_TIME_KEY, now_ms.to_bytes(_DUE_BYTES, "big"))

    def set_timer(self, due_ms: int, payload: bytes) -> None:
        """Call the processor with `payload` once stream time has reached `due_ms`. Idempotent."""
        key = timer_key(due_ms, payload)
        if key not in self._record and self._transaction.get(key) is not None:
            # A record before this one has set it: many share a timer.
            return
        self.put(key, b"")
        if self._next_due_ms is None or due_ms < self._next_due_ms:
            self._next_due_ms = due_ms

    def cancel_timer(self, due_ms: int, payload: bytes) -> None:
        """Forget a timer. `next_due_ms` may stay too early, which costs one lookup."""
        self.delete(timer_key(due_ms, payload))

    @property
    def next_due_ms(self) -> int | None:
        """When the next timer is due, or somewhat earlier; None without timers."""
        return self._next_due_ms

    def has_due(self, now_ms: int) -> bool:
        """Return whether a timer may be due. Cheap enough to be asked before every record."""
        return self._next_due_ms is not None and self._next_due_ms <= now_ms

    def due_timers(self, now_ms: int, limit: int) -> list[tuple[int, bytes]]:
        """Return the earliest due timers as (due_ms, payload), at most `limit`. Each stays until it is cancelled."""
        end = TIMER_KEY_PREFIX + (now_ms + 1).to_bytes(_DUE_BYTES, "big")
        keys = [key for key, _ in islice(self.scan(TIMER_KEY_PREFIX, end), limit)]
        if not keys:
            self._next_due_ms = self._earliest_timer()
        return [(int.from_bytes(key[1 : 1 + _DUE_BYTES], "big"), key[1 + _DUE_BYTES :]) for key in keys]

    def savepoint(self) -> Savepoint:
        """Return what the current record has written so far."""
        return dict(self._record)

    def undo_to(self, savepoint: Savepoint) -> None:
        """Forget what the current record has written since `savepoint`."""
        self._record = dict(savepoint)

    def keep_record(self) -> None:
        """Add the current record's writes to the transaction's: it succeeded."""
        if self._record:
            if self._removed:
                self._forget_passing()
            if self._keys is not None:
                # Not a difference of the two views: Python would run over all keys of the transaction.
                transaction = self._transaction
                self._new_keys.update([key for key in self._record if key not in transaction])
            self._transaction.update(self._record)
            self._record.clear()

    def drop_record(self) -> None:
        """Forget the current record's writes: it failed."""
        self._record.clear()
        self._removed.clear()

    def changes(self) -> dict[bytes, bytes | None]:
        """Return the open transaction's writes, one per key; None deletes."""
        return self._transaction

    @property
    def has_worked(self) -> bool:
        """Whether the open transaction has written rows, also if none of them is left."""
        return self._has_passed or bool(self._transaction)

    def committed(self, changelog_offset: int) -> None:
        """Write the transaction's rows to the store, as it is durable.

        Args:
            changelog_offset: the next offset of the changelog to be read when this store is restored.
        """
        self._store.apply(self._transaction, changelog_offset)
        self._forget_transaction()

    def aborted(self) -> None:
        """Forget the open transaction's writes."""
        self._record.clear()
        self._removed.clear()
        self._forget_transaction()
        self._next_due_ms = self._earliest_timer()

    def close(self) -> None:
        """Release the store. Forgets what is not committed."""
        self._store.close()

    def hand_over(self) -> Store:
        """Return the store, which holds what is committed. This state must not be used any more."""
        return self._store

    def _forget_passing(self) -> None:
        """Forget the rows that the record has removed and nobody else ever sees."""
        record, transaction, keys, absent = self._record, self._transaction, self._keys, self._absent
        for key in self._removed:
            if record.get(key, b"") is not None or (key not in absent and self._store.get(key) is not None):
                continue
            del record[key]
            self._has_passed = True
            if key in transaction:
                del transaction[key]
                if key in self._new_keys:
                    self._new_keys.discard(key)
                elif keys is not None:
                    del keys[bisect_left(keys, key)]
        self._removed.clear()

    def _keys_in_order(self) -> list[bytes]:
        """Return the transaction's keys in order."""
        keys, new = self._keys, self._new_keys
        if keys is None:
            keys = self._keys = sorted(self._transaction)
        elif len(new) > INSERTS_MAX:
            keys += new
            keys.sort()
        else:
            for key in new:
                insort(keys, key)
        if new:
            self._new_keys = set()
        return keys

    def _forget_transaction(self) -> None:
        self._transaction = {}
        self._keys = None
        self._new_keys = set()
        self._has_passed = False
        self._absent.clear()

    def _earliest_timer(self) -> int | None:
        first = next(self.scan(TIMER_KEY_PREFIX, _AFTER_TIMERS), None)
        return None if first is None else int.from_bytes(first[0][1 : 1 + _DUE_BYTES], "big")


def stream_time_of(rows: Rows) -> int:
    """Return the instant up to which a partition was processed, as its state has it; 0 if it never was."""
    return int.from_bytes(rows.get(STREAM_TIME_KEY) or b"", "big")


def timer_key(due_ms: int, payload: bytes) -> bytes:
    """Return the key of a timer's row. Timers are sorted by when they are due."""
    return TIMER_KEY_PREFIX + due_ms.to_bytes(_DUE_BYTES, "big") + payload
