"""Defines what the engine needs of the local store that holds a partition's state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol


class StoreError(Exception):
    """What a store or its provider raises; the message says what and where."""


class DamagedStoreError(StoreError):
    """The store's files are broken or not ours: close it, `StoreProvider.wipe` it, rebuild it from the changelog."""


class Store(Protocol):
    """The local state of one partition: ordered bytes to bytes."""

    def get(self, key: bytes) -> bytes | None:
        """The value, or None."""

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Rows with start <= key < end, in key order, as they were when it was called."""

    def apply(self, rows: Mapping[bytes, bytes | None], changelog_offset: int) -> None:
        """Write (None: delete) the rows and the next changelog offset to be read in one atomic batch."""

    def changelog_offset(self) -> int | None:
        """The offset of the last `apply`; None for a new store."""

    def close(self) -> None:
        """Flush and release; the lock on the folder is gone when this returns."""


class StoreProvider(Protocol):
    """Opens the stores of this instance."""

    def open(self, partition: int) -> Store:
        """The partition's store, made empty where there is none.

        Raises:
            DamagedStoreError: what is there can't be used.
            StoreError: it can't be opened now (another process has it, the disk is full).
        """

    def wipe(self, partition: int) -> None:
        """Delete the (closed) partition's store."""
