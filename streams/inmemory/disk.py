"""The disk of one simulated machine: stores that outlive the process."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterator, Mapping

from streams.ports import DamagedStoreError, StoreError

UNDO_BATCHES_MAX = 8
"""How many of a store's last batches a crash can undo."""


class _Table:
    """The rows of one partition on the disk, with their keys in order, and what undoes the last batches."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.keys: list[bytes] = []
        self.changelog_offset: int | None = None
        self.damaged = False
        self.undo: deque[tuple[dict[bytes, bytes | None], int | None]] = deque(maxlen=UNDO_BATCHES_MAX)

    def write_batch(self, rows: Mapping[bytes, bytes | None], changelog_offset: int | None) -> None:
        for key, value in rows.items():
            self.write(key, value)
        self.changelog_offset = changelog_offset

    def write(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            if self.rows.pop(key, None) is not None:
                del self.keys[bisect_left(self.keys, key)]
            return
        if key not in self.rows:
            insort(self.keys, key)
        self.rows[key] = value


def _undisturbed(partition: int) -> None:
    del partition


class Disk:
    """Implements the port `StoreProvider`.

    Attributes:
        before_read: called with the partition before a row is looked up.
        before_apply: called with the partition before a batch is written; what it raises is raised there, and
            nothing of the batch has been written.
        after_apply: the same once it has been.
    """

    def __init__(self) -> None:
        self.before_read: Callable[[int], None] = _undisturbed
        self.before_apply: Callable[[int], None] = _undisturbed
        self.after_apply: Callable[[int], None] = _undisturbed
        self._tables: dict[int, _Table] = {}
        self._open: dict[int, DiskStore] = {}

    def open(self, partition: int) -> DiskStore:
        """Open the partition's store.

        Raises:
            DamagedStoreError: a fault has damaged it.
            StoreError: it is open already.
        """
        if partition in self._open:
            raise StoreError(f"the store of partition {partition} is open already")
        table = self._tables.setdefault(partition, _Table())
        if table.damaged:
            raise DamagedStoreError(f"the store of partition {partition} is damaged")
        store = self._open[partition] = DiskStore(self, partition, table)
        return store

    def wipe(self, partition: int) -> None:
        """Delete the partition's store, which must be closed.

        Raises:
            StoreError: it is open.
        """
        if partition in self._open:
            raise StoreError(f"the store of partition {partition} is open and cannot be wiped")
        self._tables.pop(partition, None)

    def lose_process(self) -> None:
        """Release the locks of a process that is gone."""
        for store in list(self._open.values()):
            store.close()

    def damage(self, partition: int) -> None:
        """Make the partition's store unreadable from the next `open` on."""
        table = self._tables.get(partition)
        if table is not None:
            table.damaged = True

    def is_damaged(self, partition: int) -> bool:
        """Return whether a fault has damaged the partition's store."""
        table = self._tables.get(partition)
        return table is not None and table.damaged

    def lose_tail(self, partition: int, batches: int) -> None:
        """Undo the last batches of a store, as if the machine had crashed before they were written."""
        table = self._tables.get(partition)
        for _ in range(batches):
            if table is not None and table.undo:
                table.write_batch(*table.undo.pop())

    def released(self, store: DiskStore) -> None:
        """Note that a store is closed."""
        if self._open.get(store.partition) is store:
            del self._open[store.partition]

    def partitions(self) -> list[int]:
        """Return the partitions that have a store here."""
        return sorted(self._tables)

    def rows(self, partition: int) -> dict[bytes, bytes]:
        """Return a copy of what is on the disk."""
        table = self._tables.get(partition)
        return {} if table is None else dict(table.rows)

    def changelog_offset(self, partition: int) -> int | None:
        """Return the changelog offset that the partition's store has reached."""
        table = self._tables.get(partition)
        return None if table is None else table.changelog_offset


class DiskStore:
    """Implements the port `Store`."""

    def __init__(self, disk: Disk, partition: int, table: _Table) -> None:
        """Create it. Call `Disk.open` instead."""
        self.partition = partition
        self._disk = disk
        self._table = table
        self._closed = False

    def get(self, key: bytes) -> bytes | None:
        """Return the row, or None."""
        table = self._usable()
        self._disk.before_read(self.partition)
        return table.rows.get(key)

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows with start <= key < end, in key order, as they were at the time of the call."""
        table = self._usable()
        keys = table.keys[bisect_left(table.keys, start) : bisect_left(table.keys, end)]
        return iter([(key, table.rows[key]) for key in keys])

    def apply(self, rows: Mapping[bytes, bytes | None], changelog_offset: int) -> None:
        """Write the rows (None: delete) and the offset, all or nothing."""
        table = self._usable()
        self._disk.before_apply(self.partition)
        table.undo.append(({key: table.rows.get(key) for key in rows}, table.changelog_offset))
        table.write_batch(rows, changelog_offset)
        self._disk.after_apply(self.partition)

    def changelog_offset(self) -> int | None:
        """Return the offset of the last `apply`; None for a new store."""
        return self._usable().changelog_offset

    def close(self) -> None:
        """Release the store."""
        self._closed = True
        self._disk.released(self)

    def _usable(self) -> _Table:
        if self._closed:
            raise StoreError(f"the store of partition {self.partition} is closed")
        return self._table
