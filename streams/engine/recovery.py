"""Restoring state from the changelog before a partition's first record."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from streams.engine.state import stream_time_of
from streams.ports import DamagedStoreError, Reader, Store, StoreProvider, TopicPartition

_log = logging.getLogger(__name__)
RESTORE_BATCH_RECORDS = 2_000
STORE_AGE_MS_MAX = 43_200_000
"""A store that was written longer ago is made anew: compaction keeps the changelog's tombstones for a day
(`delete.retention.ms`), and without them rows would come back that were deleted meanwhile."""


@dataclass
class _Restoring:
    store: Store
    target: int


class Restorer:
    """Brings stores up to the end of their changelog partitions, a batch at a time, so that the group is polled on.

    The end is the high watermark at the time of asking, open transactions included: a predecessor's transaction
    that is decided but not yet marked on the changelog is waited for.
    """

    def __init__(self, changelog: str, open_reader: Callable[[], Reader], stores: StoreProvider) -> None:
        self._changelog = changelog
        self._open_reader = open_reader
        self._stores = stores
        self._reader: Reader | None = None
        self._restoring: dict[int, _Restoring] = {}

    def start(self, partitions: list[int], now_ms: int) -> None:
        """Open the partitions' stores and begin to restore them. To be called once what they had is committed."""
        self.stop()
        if not partitions:
            return
        reader = self._reader = self._open_reader()
        ends = reader.end_offsets([self._changelog_partition(partition) for partition in partitions])
        positions: dict[TopicPartition, int] = {}
        for partition in partitions:
            changelog_partition = self._changelog_partition(partition)
            target = ends[changelog_partition]
            store = self._open_store(partition, target, now_ms)
            positions[changelog_partition] = store.changelog_offset() or 0
            self._restoring[partition] = _Restoring(store, target)
        reader.assign(positions)

    def step(self, timeout_ms: int) -> dict[int, Store]:
        """Restore one batch; returns the stores that are complete now."""
        if self._reader is None:
            return {}
        if any(not self._is_done(partition) for partition in self._restoring):
            self._apply_batch(self._reader, timeout_ms)
        done = {
            partition: self._restoring[partition].store
            for partition in list(self._restoring)
            if self._is_done(partition)
        }
        for partition in done:
            del self._restoring[partition]
        if not self._restoring:
            self._close_reader()
        return done

    @property
    def active(self) -> bool:
        """Whether anything is left to restore."""
        return bool(self._restoring)

    def stop(self) -> None:
        """Give up what is being restored."""
        for restoring in self._restoring.values():
            restoring.store.close()
        self._restoring.clear()
        self._close_reader()

    def _apply_batch(self, reader: Reader, timeout_ms: int) -> None:
        rows: dict[int, dict[bytes, bytes | None]] = {}
        for record in reader.poll(RESTORE_BATCH_RECORDS, timeout_ms):
            if record.key is not None and record.partition in self._restoring:
                rows.setdefault(record.partition, {})[record.key] = record.value
        for partition, restoring in self._restoring.items():
            position = reader.position(self._changelog_partition(partition))
            if partition in rows or position != (restoring.store.changelog_offset() or 0):
                restoring.store.apply(rows.get(partition, {}), position)

    def _is_done(self, partition: int) -> bool:
        restoring = self._restoring[partition]
        return (restoring.store.changelog_offset() or 0) >= restoring.target

    def _open_store(self, partition: int, end: int, now_ms: int) -> Store:
        """The store, made anew where it can't be one of this changelog's past."""
        try:
            store = self._stores.open(partition)
        except DamagedStoreError as error:
            _log.warning("rebuilding the state of partition %d from `%s`: %s", partition, self._changelog, error)
            return self._open_anew(partition)
        offset = store.changelog_offset()
        if offset is None:
            return store
        age_ms = now_ms - stream_time_of(store)
        if offset <= end and age_ms <= STORE_AGE_MS_MAX:
            return store
        _log.warning(
            "rebuilding the state of partition %d: it was written %d ms ago and reaches to %d, `%s` ends at %d",
            partition,
            age_ms,
            offset,
            self._changelog,
            end,
        )
        store.close()
        return self._open_anew(partition)

    def _open_anew(self, partition: int) -> Store:
        self._stores.wipe(partition)
        return self._stores.open(partition)

    def _changelog_partition(self, partition: int) -> TopicPartition:
        return TopicPartition(self._changelog, partition)

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
