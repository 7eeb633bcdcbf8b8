"""Stores in memory, for tests, simulation and trials. They outlive `close`, as folders would."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping

from streams.ports import StoreError

# From this many new keys on, sorting all keys once is cheaper than inserting each in its place.
INSERTS_MAX = 64


class _Rows:
    """A partition's rows, with sorted keys."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.keys: list[bytes] = []
        self.changelog_offset: int | None = None


class MemoryStore:
    """The port `Store` on a dictionary and a sorted list of its keys. For one thread at a time."""

    def __init__(self, rows: _Rows | None = None) -> None:
        """Create an empty store, or a view of rows that a provider keeps."""
        self._rows: _Rows | None = _Rows() if rows is None else rows

    def _open_rows(self) -> _Rows:
        if self._rows is None:
            raise StoreError("the store in memory is closed")
        return self._rows

    def get(self, key: bytes) -> bytes | None:
        """Return the value, or None."""
        return self._open_rows().values.get(key)

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows with start <= key < end, in key order, as they are now."""
        rows = self._open_rows()
        keys = rows.keys[bisect_left(rows.keys, start) : bisect_left(rows.keys, end)]
        return iter([(key, rows.values[key]) for key in keys])

    def apply(self, rows: Mapping[bytes, bytes | None], changelog_offset: int) -> None:
        """Write (None: delete) the rows and the offset."""
        held = self._open_rows()
        fresh: list[bytes] = []
        for key, value in rows.items():
            if value is not None:
                if key not in held.values:
                    fresh.append(key)
                held.values[key] = value
            elif held.values.pop(key, None) is not None:
                del held.keys[bisect_left(held.keys, key)]
        if len(fresh) > INSERTS_MAX:
            held.keys += fresh
            held.keys.sort()
        else:
            for key in fresh:
                insort(held.keys, key)
        held.changelog_offset = changelog_offset

    def changelog_offset(self) -> int | None:
        """Return the offset of the last `apply`; None for a new store."""
        return self._open_rows().changelog_offset

    def close(self) -> None:
        """Make this object unusable; the provider keeps the rows."""
        self._rows = None


class MemoryStores:
    """The port `StoreProvider` in memory: a partition's rows stay until `wipe`, or until this object is deleted."""

    def __init__(self) -> None:
        """Start without rows for any partition."""
        self._partitions: dict[int, _Rows] = {}

    def open(self, partition: int) -> MemoryStore:
        """Return the partition's store."""
        return MemoryStore(self._partitions.setdefault(partition, _Rows()))

    def wipe(self, partition: int) -> None:
        """Delete the partition's rows."""
        self._partitions.pop(partition, None)
