"""Defines what the engine needs of the local store that holds a partition's state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol


class StoreError(Exception):
    """The error of a store or its provider. The message says what happened and where."""


class DamagedStoreError(StoreError):
    """The store's files are broken or not ours. Close it, `wipe` it, and rebuild it from the changelog."""


class Store(Protocol):
    """The local state of one partition: rows of bytes, ordered by their keys."""

    def get(self, key: bytes) -> bytes | None:
        """Return the row, or None."""

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows with start <= key < end, in key order, as they were at the time of the call."""

    def apply(self, rows: Mapping[bytes, bytes | None], changelog_offset: int) -> None:
        """Write the rows (None: delete) and the changelog's next offset to be read, in one atomic batch."""

    def changelog_offset(self) -> int | None:
        """Return the offset of the last `apply`; None for a new store."""

    def close(self) -> None:
        """Flush and release the store. The lock on its folder is gone when this returns."""


class StoreProvider(Protocol):
    """Opens the stores of one instance."""

    def open(self, partition: int) -> Store:
        """Open the partition's store, or create an empty one.

        Raises:
            DamagedStoreError: the store can't be used.
            StoreError: it can't be opened now (another process has it, the disk is full).
        """

    def wipe(self, partition: int) -> None:
        """Delete the partition's store, which must be closed."""
