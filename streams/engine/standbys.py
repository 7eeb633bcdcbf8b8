"""Keeps stores of partitions warm that other instances own, so that a takeover has little left to restore.

**Idea.** A standby is an ordinary store that follows the committed records of the changelog, some milliseconds behind
the owner. When its partition is assigned to this instance, the restore goes on where the standby stands, with the same
steps and the same checks as for any store that is behind: committed offsets first, then up to the changelog's high
watermark. What is special about a standby is only that it is hardly behind.

INVARIANT: a standby holds nothing that isn't committed. It reads what is committed only, and rows and changelog offset
are written in one batch. The changelog is committed together with the input offsets, so a standby is never ahead of
them either (simulation plants the opposite and must catch it).

It works in the worker's thread, a bounded batch for each step, so that nothing needs locks and a simulation can repeat
everything. `streams.engine.standby_places` says which partitions an instance stands by for.

**Rejected.** A thread or a process for standbys: the work is small (some 5 us a row), and a thread competes for the
interpreter's lock at the worst moments. To let the standby follow the inputs and decide, too: two would have to agree.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass

from streams.engine.changelog import STORE_AGE_MS_MAX, open_store, rows_by_partition
from streams.engine.state import stream_time_of
from streams.ports import Clock, LogError, Reader, Store, StoreError, StoreProvider, TopicPartition

_log = logging.getLogger(__name__)
BATCH_RECORDS = 500
"""What one step applies at most: 3 ms, so that catching up doesn't delay what is decided meanwhile."""

RETRY_MS = 5_000
"""How long after an error of disk or log the standbys are tried again."""


@dataclass
class _Standby:
    """A store that follows its changelog partition.

    Attributes:
        position: the next offset to be read. What is between the store's offset and this has no rows.
        current_ms: up to which instant it certainly has everything.
    """

    store: Store
    position: int
    current_ms: int


class Standbys:
    """The standbys of one instance."""

    def __init__(self, changelog: str, open_reader: Callable[[], Reader], stores: StoreProvider, clock: Clock) -> None:
        """Create none yet.

        Args:
            changelog: the topic that they follow.
            open_reader: opens the reader that all of them share.
            stores: opens and wipes the stores.
            clock: tells how old a store is.
        """
        self._changelog = changelog
        self._open_reader = open_reader
        self._stores = stores
        self._clock = clock
        self._reader: Reader | None = None
        self._wanted: frozenset[int] = frozenset()
        self._standbys: dict[int, _Standby] = {}
        self._is_placed = True
        self._followed: frozenset[int] = frozenset()
        self._retry_ms: int | None = None
        self._is_busy = False

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions to stand by for."""
        return self._wanted

    @property
    def is_busy(self) -> bool:
        """Whether there is more to be applied at once."""
        return self._is_busy

    @property
    def lags(self) -> dict[int, int | None]:
        """How many offsets each standby is behind its changelog partition, by partition; None while it isn't known."""
        return {partition: self._lag(partition) for partition in self._wanted}

    def place(self, partitions: Collection[int]) -> None:
        """Stand by for these partitions from now on, and for no others. Their stores must not be in use."""
        wanted = frozenset(partitions)
        if wanted != self._wanted:
            _log.info("standing by for partitions %s", ", ".join(map(str, sorted(wanted))) or "none")
        self._wanted = wanted
        for partition in [number for number in self._standbys if number not in wanted]:
            _close(self._standbys.pop(partition).store)
        self._is_placed = False

    def keep(self, partition: int, store: Store) -> None:
        """Keep the store of a partition that this instance doesn't own any more, or not for the moment.

        A rebalance takes all partitions away and brings most of them back: to close and open their stores costs a tenth
        of a second for each, more on a slow disk. `place` closes those that are not wanted.
        """
        try:
            offset = store.changelog_offset() or 0
        except StoreError as error:
            _log.warning("the store of partition %d can't be kept; it is restored when needed: %s", partition, error)
            _close(store)
            return
        self._standbys[partition] = _Standby(store, offset, self._clock.now_ms())
        self._is_placed = False

    def lend_reader(self) -> Reader | None:
        """Hand over the reader, which is connected already; None if there is none. The caller closes it.

        The standbys open another one when they go on.
        """
        now_ms = self._clock.now_ms()
        for partition, standby in self._standbys.items():
            if self._lag(partition) == 0:
                standby.current_ms = now_ms
        reader, self._reader = self._reader, None
        self._stop_following()
        return reader

    def take(self, partition: int) -> Store | None:
        """Hand over the store of a partition that this instance owns from now on; None if there is no usable one.

        The caller closes it.
        """
        self._wanted -= {partition}
        standby = self._standbys.pop(partition, None)
        self._is_placed = False
        if standby is None:
            return None
        if self._clock.now_ms() - standby.current_ms > STORE_AGE_MS_MAX:
            _close(standby.store)
            return None
        return standby.store

    def step(self) -> None:
        """Apply what has come, up to `BATCH_RECORDS`. Never waits for records."""
        self._is_busy = False
        if not self._wanted or self._pauses():
            return
        try:
            if not self._is_placed:
                self._follow()
            if self._reader is not None:
                self._apply_batch(self._reader)
        except (LogError, StoreError) as error:
            # A standby is a convenience: what it can't do now must not stop what this instance owns.
            _log.warning("the standbys pause for %d ms: %s", RETRY_MS, error)
            self._release()
            self._retry_ms = self._clock.monotonic_ms() + RETRY_MS

    def close(self) -> None:
        """Close all stores. They stay on the disk."""
        self._wanted = frozenset()
        self._release()

    def _pauses(self) -> bool:
        if self._retry_ms is not None and self._clock.monotonic_ms() >= self._retry_ms:
            self._retry_ms = None
        return self._retry_ms is not None

    def _follow(self) -> None:
        """Open the stores that are missing, and read the changelog of all of them, each from where it stands."""
        if self._reader is None:
            self._reader = self._open_reader()
        now_ms = self._clock.now_ms()
        missing = [partition for partition in sorted(self._wanted) if partition not in self._standbys]
        ends = (
            self._reader.end_offsets([self._changelog_partition(partition) for partition in missing]) if missing else {}
        )
        for partition in missing:
            end = ends[self._changelog_partition(partition)]
            store = open_store(self._stores, self._changelog, partition, end, now_ms)
            offset = store.changelog_offset()
            current_ms = now_ms if offset is None else stream_time_of(store)
            self._standbys[partition] = _Standby(store, offset or 0, current_ms)
        self._reader.assign(
            {self._changelog_partition(partition): standby.position for partition, standby in self._standbys.items()}
        )
        self._followed = frozenset(self._standbys)
        self._is_placed = True

    def _apply_batch(self, reader: Reader) -> None:
        records = reader.poll(BATCH_RECORDS, 0)
        self._is_busy = len(records) == BATCH_RECORDS
        if not records:
            return
        rows = rows_by_partition(records)
        read_ms = {record.partition: record.timestamp_ms for record in records}
        for partition, standby in self._standbys.items():
            standby.position = reader.position(self._changelog_partition(partition))
            if partition in rows:
                standby.store.apply(rows[partition], standby.position)
                standby.current_ms = max(standby.current_ms, read_ms[partition])

    def _lag(self, partition: int) -> int | None:
        if self._reader is None or partition not in self._followed:
            return None
        return self._reader.lag(self._changelog_partition(partition))

    def _release(self) -> None:
        standbys, self._standbys = self._standbys, {}
        for standby in standbys.values():
            _close(standby.store)
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()
        self._stop_following()

    def _stop_following(self) -> None:
        self._followed = frozenset()
        self._is_placed = self._is_busy = False

    def _changelog_partition(self, partition: int) -> TopicPartition:
        return TopicPartition(self._changelog, partition)


def _close(store: Store) -> None:
    try:
        store.close()
    except StoreError as error:
        # What was not flushed is read from the changelog again.
        _log.warning("closing a standby: %s", error)
