"""Takes partitions over: finds out where their input goes on, and restores their state from the changelog.

**Idea.** The changelog topic is the truth about a partition's state; the local store is a copy that may be behind.
Before a partition's first record, the store is brought up to the end of the changelog. Two things make that safe:

- The committed offsets are asked for first. The answer waits until no transaction is still writing them; then the last
  transaction of the partition's previous owner is decided, with everything it wrote to the changelog.
- The end is the high watermark, open transactions included. A transaction that is decided may not be marked on the
  changelog yet: to stop at the last stable offset would miss its changes.

The changelog is read in batches, between which the group is polled, so that a long restore does not cost the
membership.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from streams.engine.changelog import open_store, rows_by_partition
from streams.engine.peers import Peers
from streams.engine.standbys import Standbys
from streams.model.topics import Topic
from streams.ports import (
    Clock,
    Consumer,
    Reader,
    RetriableLogError,
    Store,
    StoreProvider,
    TopicPartition,
)
from streams.ports.processor import DeletedInput

_log = logging.getLogger(__name__)
RESTORE_BATCH_RECORDS = 2_000


class Restored(NamedTuple):
    """How a partition's state was restored.

    Attributes:
        from_standby: whether a standby was there.
        offset: where in the changelog the restore began.
        records: how many records of the changelog it has applied.
        duration_ms: how long it took.
    """

    from_standby: bool
    offset: int
    records: int
    duration_ms: int


class TakenOver(NamedTuple):
    """A partition that is ready to be processed.

    Attributes:
        store: its state, up to date.
        restored: how its state was restored.
        committed: the next offset to be read of each input topic.
        deleted: the input that was not processed, and is not on the log any more.
    """

    store: Store
    restored: Restored
    committed: dict[str, int]
    deleted: list[DeletedInput]


class Takeover:
    """Takes over the partitions of one assignment at a time. Their input must be paused meanwhile.

    If the offsets of some are not stable, because a member has died in a transaction that nobody may end, the
    partitions that were this member's before don't wait for that: it has ended its own transactions before it gave
    them up.
    """

    def __init__(self, inputs: Sequence[Topic], consumer: Consumer, peers: Peers, restorer: Restorer) -> None:
        """Create it idle.

        Args:
            inputs: the input topics.
            consumer: knows the group's committed offsets.
            peers: knows who had the partitions before.
            restorer: restores the state.
        """
        self._peers = peers
        # Behind the last record of a transaction is its marker: retention may delete it long after all was processed.
        self._offsets_without_record = {topic.name: int(topic.is_written_in_transactions) for topic in inputs}
        self._consumer = consumer
        self._restorer = restorer
        self._waiting: list[int] | None = None
        self._former: set[int] = set()
        self._first: list[int] = []
        self._has_told = False
        self._committed: dict[int, dict[str, int]] = {}
        self._deleted: dict[int, list[DeletedInput]] = {}

    @property
    def is_active(self) -> bool:
        """Whether any partition is not ready yet."""
        return self._waiting is not None or self._restorer.active

    @property
    def left(self) -> dict[int, int]:
        """See `Restorer.left`."""
        return self._restorer.left

    def begin(self, partitions: list[int]) -> None:
        """Take over these partitions in the next steps, instead of any others."""
        self._waiting = partitions
        self._first = [number for number in partitions if number in self._former]
        self._former.clear()
        self._has_told = False

    def cancel(self) -> None:
        """Give up what is under way."""
        self._waiting = None
        self._restorer.stop()

    def step(self, timeout_ms: int) -> dict[int, TakenOver]:
        """Do a bounded part of the work, waiting up to `timeout_ms` for records of the changelog.

        Returns:
            The partitions that are ready now.

        Raises:
            StoreError: a store can't be opened or written.
        """
        if self._waiting is not None and not self._restorer.active:
            self._peers.look()
            if self._peers.may_take_over:
                self._try(self._waiting)
        if not self._restorer.active:
            return {}
        taken = {
            number: TakenOver(store, restored, self._committed[number], self._deleted[number])
            for number, (store, restored) in self._restorer.step(timeout_ms).items()
        }
        self._former.update(taken)
        return taken

    def _try(self, partitions: list[int]) -> None:
        """Start the partitions if their offsets are stable, or else those of them that were this member's before."""
        first, self._first = self._first, []
        try:
            self._peers.end_transactions()
            self._start(partitions)
            self._waiting = None
        except RetriableLogError as error:
            if not self._has_told:
                _log.warning("the log does not answer, restoring partitions later: %s", error)
            self._has_told = True
            # What was opened already has no reader: it would never be complete, and nothing else would be tried.
            self._restorer.stop()
            if not first:
                return
            try:
                self._start(first)
                self._waiting = [number for number in partitions if number not in first]
            except RetriableLogError:
                self._restorer.stop()

    def _start(self, partitions: list[int]) -> None:
        inputs = [TopicPartition(topic, number) for number in partitions for topic in self._offsets_without_record]
        # This does not wait for long where offsets are not stable: who is gone may become known meanwhile (`step`).
        # INVARIANT: this comes before the changelog's ends. Once the offsets are stable, the previous owner's last
        # transaction is decided.
        committed = self._consumer.committed(inputs)
        beginnings = self._consumer.beginning_offsets(inputs)
        self._committed = {number: {} for number in partitions}
        self._deleted = {number: [] for number in partitions}
        for partition in inputs:
            begin, offset = beginnings[partition], committed.get(partition)
            self._committed[partition.partition][partition.topic] = begin if offset is None else max(begin, offset)
            if offset is not None and begin - offset > self._offsets_without_record[partition.topic]:
                _log.error("%d records of %s/%d were deleted before they were processed", begin - offset, *partition)
                deleted = DeletedInput(partition.topic, partition.partition, offset, begin)
                self._deleted[partition.partition].append(deleted)
        self._restorer.start(partitions)


@dataclass
class _Restoring:
    store: Store
    target: int
    from_standby: bool
    offset: int
    records: int = 0


class Restorer:
    """Brings stores up to the end of their changelog partitions, a batch at a time."""

    def __init__(
        self, changelog: str, open_reader: Callable[[], Reader], stores: StoreProvider, clock: Clock, standbys: Standbys
    ) -> None:
        """Create it idle.

        Args:
            changelog: the topic that the state is rebuilt from.
            open_reader: opens a reader for one restore.
            stores: opens and wipes the stores.
            clock: tells how old a store is.
            standbys: have stores that need little more.
        """
        self._clock = clock
        self._standbys = standbys
        self._began_ms = 0
        self._changelog = changelog
        self._open_reader = open_reader
        self._stores = stores
        self._reader: Reader | None = None
        self._restoring: dict[int, _Restoring] = {}
        self._untold: dict[int, Restored] = {}

    def start(self, partitions: list[int]) -> None:
        """Open the partitions' stores and begin to restore them. What they had must be committed already.

        Raises:
            RetriableLogError: the log does not answer.
            StoreError: a store can't be opened.
        """
        self.stop()
        if not partitions:
            return
        self._began_ms = self._clock.monotonic_ms()
        # That of the standbys is connected: a new one takes up to a second until its first record.
        reader = self._reader = self._standbys.lend_reader() or self._open_reader()
        ends = reader.end_offsets([self._changelog_partition(partition) for partition in partitions])
        positions: dict[TopicPartition, int] = {}
        for partition in partitions:
            changelog_partition = self._changelog_partition(partition)
            target = ends[changelog_partition]
            restoring = self._restoring[partition] = self._open(partition, target)
            positions[changelog_partition] = restoring.offset
        reader.assign(positions)

    def step(self, timeout_ms: int) -> dict[int, tuple[Store, Restored]]:
        """Restore one batch.

        Returns:
            The stores that are complete now.
        """
        if self._reader is None:
            return {}
        if any(not self._is_done(partition) for partition in self._restoring):
            self._apply_batch(self._reader, timeout_ms)
        done = {partition: self._finish(partition) for partition in list(self._restoring) if self._is_done(partition)}
        if not self._restoring:
            self._close_reader()
            self._tell()
        return done

    @property
    def left(self) -> dict[int, int]:
        """How many offsets of the changelog each partition that is restored must still apply."""
        return {
            partition: max(0, restoring.target - (restoring.store.changelog_offset() or 0))
            for partition, restoring in self._restoring.items()
        }

    @property
    def active(self) -> bool:
        """Whether anything is left to restore."""
        return bool(self._restoring)

    def stop(self) -> None:
        """Give up what is being restored, and close its stores."""
        for restoring in self._restoring.values():
            restoring.store.close()
        self._restoring.clear()
        self._close_reader()
        self._tell()

    def _apply_batch(self, reader: Reader, timeout_ms: int) -> None:
        rows = rows_by_partition(reader.poll(RESTORE_BATCH_RECORDS, timeout_ms))
        for partition, restoring in self._restoring.items():
            position = reader.position(self._changelog_partition(partition))
            if partition in rows:
                restoring.records += len(rows[partition])
            if partition in rows or position != (restoring.store.changelog_offset() or 0):
                restoring.store.apply(rows.get(partition, {}), position)

    def _is_done(self, partition: int) -> bool:
        restoring = self._restoring[partition]
        return (restoring.store.changelog_offset() or 0) >= restoring.target

    def _finish(self, partition: int) -> tuple[Store, Restored]:
        restoring = self._restoring.pop(partition)
        duration_ms = self._clock.monotonic_ms() - self._began_ms
        restored = Restored(restoring.from_standby, restoring.offset, restoring.records, duration_ms)
        self._untold[partition] = restored
        return restoring.store, restored

    def _tell(self) -> None:
        """Log in one line what was restored since the last one, unless all local stores were up to date.

        A gate has three changelogs, each with up to hundreds of partitions.
        """
        untold, self._untold = self._untold, {}
        if not any(each.records or each.from_standby for each in untold.values()):
            return
        _log.info(
            "restored the state of partitions %s from `%s` in %d ms (records read: %d, standbys used: %d)",
            ", ".join(map(str, sorted(untold))),
            self._changelog,
            max(each.duration_ms for each in untold.values()),
            sum(each.records for each in untold.values()),
            sum(each.from_standby for each in untold.values()),
            extra={"fields": {"restored": {str(number): each._asdict() for number, each in untold.items()}}},
        )

    def _open(self, partition: int, end: int) -> _Restoring:
        """Take the partition's standby, or the store that was kept of it, or open it."""
        from_standby = partition in self._standbys.partitions
        warm = self._standbys.take(partition)
        if warm is not None and (warm.changelog_offset() or 0) <= end:
            return _Restoring(warm, end, from_standby, warm.changelog_offset() or 0)
        if warm is not None:
            # The topic was created again.
            warm.close()
        store = open_store(self._stores, self._changelog, partition, end, self._clock.now_ms())
        return _Restoring(store, end, False, store.changelog_offset() or 0)

    def _changelog_partition(self, partition: int) -> TopicPartition:
        return TopicPartition(self._changelog, partition)

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
