"""The worker: one thread that polls, runs the tasks of its partitions, and commits.

One transaction at a time, over all of its partitions (exactly once, version 2): outputs, changelog and input
offsets are committed together, and only then is the state written to the stores. See ADR 0005 for the order.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from streams.engine.broadcast_reader import BroadcastReader
from streams.engine.broadcasts import Broadcasts
from streams.engine.checkpoint import Transaction
from streams.engine.recovery import Restorer
from streams.engine.settings import EngineSettings
from streams.engine.state import PartitionState
from streams.engine.task import PartitionTask
from streams.model.errors import InvariantError, StoplogError
from streams.ports import (
    AbortableTransactionError,
    Clock,
    Consumer,
    DamagedStoreError,
    GroupMetadata,
    Producer,
    Reader,
    Received,
    RetriableLogError,
    Store,
    StoreProvider,
    TopicPartition,
)
from streams.ports.processor import Processor
from streams.ports.wire import Wire
from streams.topology import ProcessorSpec

_log = logging.getLogger(__name__)


class WorkerGaveUpError(StoplogError):
    """Transactions were aborted again and again."""


@dataclass(frozen=True, kw_only=True)
class Ports:
    """What a worker runs on. The worker closes the consumer and the producer."""

    consumer: Consumer
    producer: Producer
    open_reader: Callable[[], Reader]
    stores: StoreProvider
    clock: Clock


class Worker:
    """Runs one processor. Not thread-safe; `start`, then `step` again and again, then `stop`."""

    def __init__(
        self,
        *,
        spec: ProcessorSpec,
        processor: Processor,
        wire: Wire,
        ports: Ports,
        settings: EngineSettings,
        partition_counts: dict[str, int],
    ) -> None:
        self._spec = spec
        self._processor = processor
        self._wire = wire
        self._ports = ports
        self._settings = settings
        self._partition_counts = partition_counts
        self._transaction = Transaction(ports.producer, ports.clock, spec.changelog.name)
        self._restorer = Restorer(spec.changelog.name, ports.open_reader, ports.stores)
        self._tasks: dict[int, PartitionTask] = {}
        self._assigned: list[int] = []
        self._to_restore: list[int] | None = None
        self._committed: dict[int, dict[str, int]] = {}
        self._group: GroupMetadata | None = None
        self._aborts_in_a_row = 0
        self._punctuated_ms = 0
        self._took_in_ms: dict[int, int] = {}
        self._broadcasts = self._open_broadcasts()
        self._failed = False
        self._is_following = False

    def start(self) -> None:
        """Fence former holders of the transactional id, read control state to its end, join the group. Blocks."""
        self._ports.producer.init_transactions()
        if self._broadcasts is not None:
            self._broadcasts.read_to_end()
        self._ports.consumer.subscribe([topic.name for topic in self._spec.inputs], self)

    def step(self) -> int:
        """Poll once and do what there is to do.

        Returns:
            How many input records were taken in; 0 when idle.

        Raises:
            FatalLogError: the worker is of no more use; build a new one.
            WorkerGaveUpError: transactions keep being aborted.
        """
        try:
            if self._broadcasts is not None:
                self._broadcasts.poll()
            records = self._poll()
            self._restore()
            self._work(records)
        except AbortableTransactionError as error:
            self._abort(error)
            return 0
        except DamagedStoreError as error:
            self._rebuild(error)
            return 0
        except BaseException:
            # The transaction may hold half a record's work by now: `stop` must not commit it.
            self._failed = True
            raise
        return len(records)

    def stop(self) -> None:
        """Commit what is open (or abort it, after a step that failed), leave the group, release everything."""
        try:
            self._ports.consumer.close()  # calls on_revoked, which commits
        finally:
            self._restorer.stop()
            self._drop_tasks()
            if self._broadcasts is not None:
                self._broadcasts.close()
            self._ports.producer.close()

    @property
    def partitions(self) -> list[int]:
        """The partitions that are being processed (restored already)."""
        return sorted(self._tasks)

    @property
    def restoring(self) -> bool:
        """Whether partitions wait for their state."""
        return self._to_restore is not None or self._restorer.active

    @property
    def following(self) -> bool:
        """Whether partitions have not yet followed all that was broadcast."""
        return self._is_following

    @property
    def next_due_ms(self) -> int | None:
        """When the next timer of any partition is due, or somewhat earlier; None without timers."""
        due = (task.state.next_due_ms for task in self._tasks.values())
        return min((due_ms for due_ms in due if due_ms is not None), default=None)

    # AssignmentListener

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """Partitions are ours: their state is restored by the next steps, their input waits meanwhile."""
        self._group = self._ports.consumer.group_metadata()
        self._ports.consumer.pause(partitions)
        self._assigned = sorted({partition.partition for partition in partitions})
        self._to_restore = self._assigned

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """They go in good order: what was done is committed first. Revocation is eager: all of them go."""
        _log.info("giving up %d partitions", len(partitions))
        try:
            if not self._failed:
                self._commit()
        except (AbortableTransactionError, RetriableLogError) as error:
            _log.warning("the last transaction before a rebalance was aborted: %s", error)
        self._transaction.abort()
        self._forget_assignment()

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        """They belong to another already: nothing of what was done may become visible."""
        _log.warning("partitions were lost: %s", ", ".join(f"{p.topic}/{p.partition}" for p in partitions))
        self._transaction.abort()
        self._forget_assignment()

    # Steps

    def _open_broadcasts(self) -> Broadcasts | None:
        """Return the broadcast topics of the processor, None where it has none."""
        topics, broadcast = self._spec.broadcast, self._processor.broadcast
        if broadcast is None:
            if topics:
                raise InvariantError(f"processor `{self._spec.name}` reads broadcast topics, but takes in none")
            return None
        reader = BroadcastReader(
            reader=self._ports.open_reader(),
            topics=[topic.name for topic in topics],
            sink=broadcast.sink,
            wire=self._wire,
            clock=self._ports.clock,
            settings=self._settings,
        )
        return Broadcasts(broadcast, reader)

    def _poll(self) -> list[Received]:
        is_busy = self._broadcasts is not None and self._broadcasts.is_busy
        waiting = self._transaction.is_open or self.restoring or is_busy or self._is_following
        return self._ports.consumer.poll(self._settings.poll_records_max, 0 if waiting else self._settings.idle_poll_ms)

    def _work(self, records: list[Received]) -> None:
        try:
            if self._broadcasts is not None:
                self._broadcasts.write(self._tasks, self._transaction)
                self._follow_broadcast()
            self._process(records)
            self._punctuate(idle=not records)
            if self._transaction.is_due(self._settings, idle=not records):
                self._commit()
        except RetriableLogError as error:
            # The call could be made again, but where it was made is lost by now: the input is read again instead.
            raise AbortableTransactionError(str(error)) from error

    def _follow_broadcast(self) -> None:
        """Let partitions follow what was broadcast since the last step, before anything new is taken in."""
        self._is_following = False
        for task in self._tasks.values():
            if not task.has_followed:
                self._transaction.ensure_open()
                self._is_following |= task.follow_broadcast()

    def _process(self, records: list[Received]) -> None:
        if not records:
            return
        by_partition: dict[int, list[Received]] = {}
        for record in records:
            by_partition.setdefault(record.partition, []).append(record)
        self._took_in_ms.update(dict.fromkeys(by_partition, self._ports.clock.monotonic_ms()))
        for partition, batch in by_partition.items():
            task = self._tasks.get(partition)
            if task is not None:  # else revoked meanwhile; its new owner reads them again
                self._transaction.ensure_open()
                task.process(batch)
        self._transaction.note_inputs(len(records))

    def _punctuate(self, *, idle: bool) -> None:
        """Let stream time of idle partitions follow the wall clock: `idle` tells that all of them are.

        One without a record for `idle_margin_ms` is idle, too, however busy the others are.
        """
        clock, margin_ms = self._ports.clock, self._settings.idle_margin_ms
        monotonic_ms = clock.monotonic_ms()
        if monotonic_ms - self._punctuated_ms < self._settings.punctuate_ms:
            return
        self._punctuated_ms = monotonic_ms
        now_ms = clock.now_ms() - margin_ms
        for partition, task in self._tasks.items():
            is_idle = idle or monotonic_ms - self._took_in_ms.get(partition, 0) >= margin_ms
            if is_idle and task.state.has_due(now_ms):
                self._transaction.ensure_open()
                task.advance(now_ms)

    def _commit(self) -> None:
        if not self._transaction.is_open:
            return
        if self._group is None:
            raise AbortableTransactionError("no group generation is known to commit with")
        if self._processor.commit_hook is not None:
            for task in self._tasks.values():
                task.before_commit()
        self._transaction.commit(self._tasks, self._group)
        self._aborts_in_a_row = 0
        if self._broadcasts is not None:
            self._broadcasts.committed()

    def _abort(self, error: AbortableTransactionError) -> None:
        self._aborts_in_a_row += 1
        _log.warning("transaction aborted (%d in a row), reading its input again: %s", self._aborts_in_a_row, error)
        self._transaction.abort()
        if self._broadcasts is not None:
            self._broadcasts.rolled_back()
        for task in self._tasks.values():
            for partition, offset in task.aborted().items():
                self._ports.consumer.seek(partition, offset)
        self._give_up_or_wait(error)

    def _rebuild(self, error: DamagedStoreError) -> None:
        """Local state can't be trusted any more: all of it is made anew from the changelog."""
        self._aborts_in_a_row += 1
        _log.error("rebuilding the local state of %d partitions: %s", len(self._assigned), error)
        self._transaction.abort()
        self._restorer.stop()
        self._drop_tasks()
        for partition in self._assigned:
            self._ports.stores.wipe(partition)
        inputs = [TopicPartition(topic.name, number) for number in self._assigned for topic in self._spec.inputs]
        self._ports.consumer.pause(inputs)
        self._to_restore = self._assigned
        self._give_up_or_wait(error)

    def _give_up_or_wait(self, error: Exception) -> None:
        if self._aborts_in_a_row >= self._settings.aborts_in_a_row_max:
            raise WorkerGaveUpError(
                f"{self._aborts_in_a_row} transactions in a row were aborted, the last one: {error}; "
                "run `stoplog doctor` to check broker and disk"
            ) from error
        self._ports.clock.sleep_ms(self._settings.abort_backoff_ms)

    # State

    def _restore(self) -> None:
        if self._to_restore is not None:
            try:
                self._begin_restore(self._to_restore)
            except RetriableLogError as error:
                _log.warning("restoring waits for the log: %s", error)
                return
            self._to_restore = None
        if not self._restorer.active:
            return
        for partition, store in self._restorer.step(self._settings.idle_poll_ms).items():
            self._open_task(partition, store)

    def _begin_restore(self, partitions: list[int]) -> None:
        """Offsets first: once they are stable, the predecessor's last transaction is decided, its changelog with it."""
        inputs = [TopicPartition(topic.name, number) for number in partitions for topic in self._spec.inputs]
        committed = self._ports.consumer.committed(inputs)
        missing = [partition for partition in inputs if committed.get(partition) is None]
        beginnings = self._ports.consumer.beginning_offsets(missing) if missing else {}
        self._committed = {number: {} for number in partitions}
        for partition in inputs:
            offset = committed.get(partition)
            self._committed[partition.partition][partition.topic] = beginnings[partition] if offset is None else offset
        self._restorer.start(partitions, self._ports.clock.now_ms())

    def _open_task(self, partition: int, store: Store) -> None:
        self._tasks[partition] = PartitionTask(
            partition=partition,
            spec=self._spec,
            state=PartitionState(store, partition),
            processor=self._processor,
            wire=self._wire,
            emit=self._transaction.emit,
            partition_counts=self._partition_counts,
            committed=self._committed[partition],
        )
        if self._broadcasts is not None:
            self._broadcasts.recall(self._tasks[partition])
        inputs = [TopicPartition(topic.name, partition) for topic in self._spec.inputs]
        for input_partition in inputs:
            self._ports.consumer.seek(input_partition, self._committed[partition][input_partition.topic])
        self._ports.consumer.resume(inputs)

    def _forget_assignment(self) -> None:
        self._group = None
        self._assigned = []
        self._to_restore = None
        self._restorer.stop()
        self._drop_tasks()

    def _drop_tasks(self) -> None:
        if self._broadcasts is not None:
            self._broadcasts.rolled_back()
        for task in self._tasks.values():
            task.close()
        self._tasks.clear()
