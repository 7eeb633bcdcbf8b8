"""Runs a processor over the partitions that a consumer group assigns: polls, decides, commits, in one thread.

**Idea.** A worker repeats one step: apply what was broadcast, poll the input, hand each record to the task of its
partition, fire timers, and commit when it is time. There is one transaction at a time, over all partitions: outputs,
changelog and input offsets are committed together, and only then is the state written to the local stores (ADR 0005).
A step therefore happens completely or not at all, whatever dies in between.

What keeps two workers from deciding the same record is the group: partitions are assigned to one member, and the
generation of that assignment goes into each commit, so that the commit of a former owner is refused.

    assigned    pause the partitions' input, restore their state, then read on from the committed offsets
    polled      buffer the records; a task processes those that are known to be the next in the order of broker time
    revoked     commit what was done, then forget the partitions (revocation is eager: all of them go)
    lost        abort before the callback returns, as somebody else owns them already
    aborted     roll the tasks back, read their input again from the committed offsets
    fatal       the error leaves `step`; the caller stops this worker and builds a new one

**Rejected.** A thread for each partition (a transaction for each, so as many round trips to the brokers), and commits
in the background (a rebalance would have to wait for them anyway, and outputs could overtake their state).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial

from streams.engine.assignment import Assignment
from streams.engine.batch import Batch
from streams.engine.broadcasts import open_broadcasts
from streams.engine.job import Job
from streams.engine.meter import Seen
from streams.engine.ports import Ports
from streams.engine.recovery import Restored
from streams.engine.settings import EngineSettings
from streams.engine.task import PartitionTask, Turn
from streams.engine.time_watch import TimeWatch
from streams.engine.transaction import Transaction
from streams.model.errors import RecordError, StoplogError
from streams.model.reasons import DeadLetterReason
from streams.ports import (
    AbortableTransactionError,
    DamagedStoreError,
    GroupMetadata,
    Received,
    RetriableLogError,
    TopicPartition,
)
from streams.ports.processor import Processor
from streams.ports.wire import Wire
from streams.topology import ProcessorSpec

_log = logging.getLogger(__name__)
HELD_POLL_MS = 5
"""How long a poll waits while input is held back: what lets it go on need not be a record, but the end of a topic."""
LOOK_FOR_TOPICS_MS = 10_000
"""How often a worker looks for topics of tenants that are new or gone."""


class WorkerGaveUpError(StoplogError):
    """Too many transactions were aborted in a row."""


class Worker:
    """Runs one processor. Call `start` once, `step` again and again, then `stop`. Not thread-safe."""

    def __init__(
        self,
        *,
        spec: ProcessorSpec,
        processor: Processor,
        wire: Wire,
        ports: Ports,
        settings: EngineSettings,
        partition_counts: Mapping[str, int],
        resets_time: bool = False,
    ) -> None:
        """Create a worker that has not joined the group yet.

        Args:
            spec: the processor's topics.
            processor: what decides.
            wire: translates between records and bytes.
            ports: what the worker runs on.
            settings: how it runs.
            partition_counts: how many partitions each topic has, by its name.
            resets_time: whether a partition whose stream time is far ahead is set back to now.

        Raises:
            InvariantError: the spec has broadcast topics, and the processor has no sink for them.
        """
        self._spec = spec
        self._processor = processor
        self._ports = ports
        self._settings = settings
        self._meter = ports.meter
        self._transaction = Transaction(ports.producer, ports.clock, spec.changelog.name)
        job = Job(spec=spec, processor=processor, wire=wire, settings=settings, partition_counts=partition_counts)
        self._broadcasts = open_broadcasts(job, ports)
        self._assignment = Assignment(job=job, ports=ports, emit=self._transaction.emit, broadcasts=self._broadcasts)
        self._tasks = self._assignment.tasks
        self._time = TimeWatch(
            ports=ports,
            settings=settings,
            tasks=self._tasks,
            transaction=self._transaction,
            commit=self._commit,
            resets_time=resets_time,
        )
        self._group: GroupMetadata | None = None
        self._aborts_in_a_row = 0
        self._looked_ms = ports.clock.monotonic_ms()
        self._with_input: dict[int, PartitionTask] = {}
        self._batch = Batch(settings)
        self._left_count = 0
        self._last_abort = ""
        self._failed = False
        self._may_have_left = False
        self._is_following = False

    def start(self) -> None:
        """Fence former holders of the transactional id, read broadcast topics to their end, join the group. Blocks.

        Raises:
            LogError: the log does not answer, or refuses.
        """
        self._ports.producer.init_transactions()
        if self._broadcasts is not None:
            self._broadcasts.read_to_end()
        self._ports.consumer.subscribe([topic.name for topic in self._spec.inputs], self)

    def step(self) -> int:
        """Poll once, process what came, and commit if it is time.

        Returns:
            How many input records were polled, or, if none, how many that had waited were processed; 0 when idle.

        Raises:
            FatalLogError: the worker can't be used any more; build a new one.
            WorkerGaveUpError: transactions are aborted again and again.
        """
        records: list[Received] = []
        meter = self._meter
        meter.turn()
        try:
            if self._broadcasts is not None:
                self._broadcasts.poll()
            meter.lap("control")
            records = self._poll()
            meter.lap("poll")
            if self.restoring:
                self._assignment.take_over(self._settings.idle_poll_ms)
                meter.lap("restore")
            count = self._work(records)
            self._assignment.stand_by()
            meter.lap("stand_by")
            if meter.is_due:
                self._measure()
        except AbortableTransactionError as error:
            self._abort(error)
            return len(records)
        except DamagedStoreError as error:
            self._rebuild(error)
            return 0
        except BaseException:
            # The transaction may hold half a record's work by now: `stop` must not commit it.
            self._failed = True
            raise
        return len(records) or count

    def request_stop(self) -> None:
        """Let all steps, also the one under way, wait for the log only for seconds. Thread-safe; returns at once."""
        self._ports.producer.leave()

    def stop(self) -> None:
        """Commit what is open (or abort it, if a step has failed), leave the group, release everything."""
        try:
            self._ports.consumer.close()  # calls on_revoked, which commits
        finally:
            self._drop_tasks()
            self._assignment.close()
            if self._broadcasts is not None:
                self._broadcasts.close()
            self._ports.producer.close()

    @property
    def partitions(self) -> list[int]:
        """The partitions that are being processed; those whose state is not restored yet are not among them."""
        return sorted(self._tasks)

    @property
    def restoring(self) -> bool:
        """Whether partitions wait for their state."""
        return self._assignment.is_restoring

    @property
    def restored(self) -> Mapping[int, Restored]:
        """How the state of each partition was restored that was ever processed here, the last time."""
        return self._assignment.restored

    @property
    def standby_lags(self) -> dict[int, int | None]:
        """How many offsets each standby of this instance is behind, by partition; None while it isn't known."""
        return self._assignment.standby_lags

    @property
    def waits_for(self) -> tuple[str, ...]:
        """What is missing until the worker processes all that it should; empty if nothing is."""
        missing = []
        if not self._assignment.partitions:
            missing.append("partitions: the group has assigned none to this instance")
        elif self.restoring:
            missing.append("the state of partitions, which is being restored")
        if self._broadcasts is not None and not self._broadcasts.is_current:
            missing.append("the log: it is not confirmed that stops, tools and rules are read to their ends")
        return tuple(missing)

    @property
    def following(self) -> bool:
        """Whether partitions have not yet followed all that was broadcast."""
        return self._is_following

    @property
    def abandoned_count(self) -> int:
        """How often a partition has gone on without an input topic, as far as it is still processed here."""
        return sum(task.input.abandoned_count for task in self._tasks.values())

    @property
    def next_due_ms(self) -> int | None:
        """When the next timer of any partition is due, or somewhat earlier; None without timers."""
        due = (task.state.next_due_ms for task in self._tasks.values())
        return min((due_ms for due_ms in due if due_ms is not None), default=None)

    # AssignmentListener: called from within the consumer's `poll` and `close`

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """Begin to restore the state of these partitions in the next steps; their input waits meanwhile."""
        self._group = self._ports.consumer.group_metadata()
        self._ports.consumer.pause(partitions)
        self._assignment.begin(sorted({partition.partition for partition in partitions}))

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Commit what was done, then forget all partitions: revocation is eager."""
        _log.info("partitions %s are given up (changelog `%s`)", _numbers(partitions), self._spec.changelog.name)
        self._transaction.hurry()
        try:
            if not self._failed:
                self._commit()
        except (AbortableTransactionError, RetriableLogError) as error:
            _log.warning("the last transaction before a rebalance is aborted: %s", error)
        self._abort_in_a_hurry()
        self._forget_assignment()

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Abort what was done: another member owns the partitions already, so nothing of it may become visible."""
        name = self._spec.changelog.name
        _log.warning("partitions %s are lost to another member (changelog `%s`)", _numbers(partitions), name)
        self._transaction.hurry()
        self._abort_in_a_hurry()
        self._forget_assignment()

    # The parts of a step

    def _poll(self) -> list[Received]:
        is_busy = self._broadcasts is not None and self._broadcasts.is_busy
        waiting = self._transaction.is_open or self.restoring or is_busy or self._is_following or self._left_count
        timeout_ms = 0 if waiting or self._assignment.is_busy else self._settings.idle_poll_ms
        if self._with_input:
            timeout_ms = min(timeout_ms, HELD_POLL_MS)
        # What is left of the last poll comes first; the group wants to be polled nevertheless.
        return self._ports.consumer.poll(max(1, self._settings.poll_records_max - self._left_count), timeout_ms)

    def _work(self, records: list[Received]) -> int:
        """Do what is to be done in the transaction. Return how many input records were processed."""
        try:
            if self._may_have_left:
                self._may_have_left = False
                self._transaction.end_what_is_left()
            self._prepare()
            if self._broadcasts is not None:
                self._broadcasts.write(self._tasks, self._transaction)
                self._follow_broadcast()
            self._report_deleted_input()
            self._time.check()
            self._add(records)
            if self._batch.needs_probe:
                self._probe()
            count = self._process()
            if self._time.is_due:
                self._look_for_topics()
                self._time.punctuate(idle=not records)
            if count:
                self._meter.lap("decide")
            if self._is_full() or self._transaction.is_due(self._settings, idle=not records):
                self._commit()
        except RetriableLogError as error:
            # The call could be made again, but where it was made is lost by now: the input is read again instead.
            raise AbortableTransactionError(str(error)) from error
        return count

    def _prepare(self) -> None:
        """Let the processor prepare partitions that were taken over, before anything else is written to their state."""
        for task in self._tasks.values():
            if task.prepare():
                self._transaction.ensure_open()

    def _report_deleted_input(self) -> None:
        for task in self._tasks.values():
            if task.has_deleted_input:
                self._transaction.ensure_open()
                task.report_deleted_input(self._ports.clock.now_ms())

    def _follow_broadcast(self) -> None:
        """Let partitions follow what was broadcast since the last step, before any new input is processed."""
        self._is_following = False
        for task in self._tasks.values():
            if not task.has_followed:
                self._transaction.ensure_open()
                self._is_following |= task.follow_broadcast()

    def _add(self, records: list[Received]) -> None:
        records, limit_ms = self._time.admit(records)
        if not records:
            return
        by_partition: dict[int, list[Received]] = {}
        for record in records:
            by_partition.setdefault(record.partition, []).append(record)
        self._time.had_input(by_partition)
        for partition, batch in by_partition.items():
            task = self._tasks.get(partition)
            if task is not None:  # else revoked meanwhile; its new owner reads them again
                task.add(batch, limit_ms)
                self._with_input[partition] = task

    def _process(self) -> int:
        """Process the input that is in order, as far as it fits into the transaction; return how many records."""
        self._left_count = 0
        count, now_ms, turn = 0, self._ports.clock.monotonic_ms(), self._next_turn()
        for partition, task in list(self._with_input.items()):
            count += task.process(turn, now_ms)
            # The others come first the next time, so that no partition keeps them waiting.
            del self._with_input[partition]
            if task.input.buffer.may_pause:
                self._pause_or_resume(partition, task)
                self._with_input[partition] = task
            elif task.input.buffer:
                self._with_input[partition] = task
            if count and self._is_full():
                self._left_count = sum(len(left.input.buffer) for left in self._with_input.values())
                break
        return count

    def _next_turn(self) -> Turn:
        """Return what the tasks ask about each record, with as few calls as possible: they ask it for every record."""
        begin = self._begin if self._batch.has_suspects else self._transaction.add_input
        return Turn(begin, partial(self._transaction.is_full, self._settings, self._batch.records_max))

    def _begin(self, record: Received) -> RecordError | None:
        self._transaction.add_input(record)
        if self._batch.is_rejected(record):
            text = f"{self._settings.record_aborts_max} transactions with this record alone were aborted"
            return RecordError(DeadLetterReason.PROCESSING_FAILED, f"{text}, the last one: {self._last_abort}")
        return None

    def _is_full(self) -> bool:
        return self._transaction.is_full(self._settings, self._batch.records_max)

    def _pause_or_resume(self, partition: int, task: PartitionTask) -> None:
        """Poll no more of topics whose buffers are full, and go on with those that have room again."""
        buffer, consumer = task.input.buffer, self._ports.consumer
        consumer.resume([TopicPartition(topic, partition) for topic in buffer.to_resume()])
        consumer.pause([TopicPartition(topic, partition) for topic in buffer.to_pause()])

    def _look_for_topics(self) -> None:
        monotonic_ms = self._ports.clock.monotonic_ms()
        if self._ports.look_for_topics is not None and monotonic_ms - self._looked_ms >= LOOK_FOR_TOPICS_MS:
            self._looked_ms = monotonic_ms
            self._ports.look_for_topics()

    def _commit(self) -> None:
        if not self._transaction.is_open:
            return
        if self._group is None:
            raise AbortableTransactionError("no group generation is known to commit with")
        if self._processor.commit_hook is not None:
            for task in self._tasks.values():
                task.before_commit()
        self._meter.committing(self._tasks)
        opened_ms = self._transaction.opened_ms
        self._transaction.commit(self._tasks, self._group)
        self._meter.committed(self._transaction, opened_ms, self._ports.clock)
        self._aborts_in_a_row = 0
        self._time.committed()
        self._batch.committed(self._transaction.inputs_count, self._transaction.last_input)
        if self._broadcasts is not None:
            self._broadcasts.committed()

    # After failures

    def _abort_in_a_hurry(self) -> None:
        """Abort within seconds. What the log leaves unanswered is ended by the next step: the group must not wait."""
        self._may_have_left |= self._transaction.is_open
        self._transaction.abort()

    def _probe(self) -> None:
        """Commit a transaction without input, to find out whether the log takes any."""
        aborts_in_a_row = self._aborts_in_a_row
        self._transaction.ensure_open()
        self._commit()
        # INVARIANT: a probe does not count as progress: a record that can't even become a dead letter ends the worker.
        self._aborts_in_a_row = aborts_in_a_row
        self._batch.probed()

    def _abort(self, error: AbortableTransactionError) -> None:
        """Roll back, and read the input of the transaction again."""
        self._aborts_in_a_row += 1
        _log.warning("transaction aborted (%d in a row), reading its input again: %s", self._aborts_in_a_row, error)
        self._last_abort = str(error)
        self._meter.aborted()
        if self._transaction.is_open:
            self._batch.aborted(self._transaction.inputs_count, self._transaction.last_input)
        self._transaction.abort()
        self._left_count = 0
        if self._broadcasts is not None:
            self._broadcasts.rolled_back()
        for task in self._tasks.values():
            for partition, offset in task.aborted().items():
                self._ports.consumer.seek(partition, offset)
        self._give_up_or_wait(error)

    def _measure(self) -> None:
        assignment, broadcasts, ports = self._assignment, self._broadcasts, self._ports
        seen = Seen(
            spec=self._spec,
            tasks=self._tasks,
            partitions_count=len(assignment.partitions),
            standbys_count=len(assignment.standby_lags),
            restore_left=assignment.restore_left,
            control=None if broadcasts is None else broadcasts.seen(),
            consumer=ports.consumer,
            clock=ports.clock,
        )
        self._meter.look(seen)

    def _rebuild(self, error: DamagedStoreError) -> None:
        """Delete all local state, which can't be trusted any more, and rebuild it from the changelog."""
        self._aborts_in_a_row += 1
        _log.error("rebuilding the local state of %d partitions: %s", len(self._assignment.partitions), error)
        self._transaction.abort()
        self._drop_tasks()
        self._assignment.rebuild()
        self._give_up_or_wait(error)

    def _give_up_or_wait(self, error: Exception) -> None:
        if self._aborts_in_a_row >= self._settings.aborts_in_a_row_max:
            raise WorkerGaveUpError(
                f"{self._aborts_in_a_row} transactions in a row were aborted, the last one: {error}; "
                "run `stoplog doctor` to check broker and disk"
            ) from error
        self._ports.clock.sleep_ms(self._settings.abort_backoff_ms)

    # Tasks

    def _forget_assignment(self) -> None:
        self._group = None
        self._assignment.forget()
        self._drop_tasks()

    def _drop_tasks(self) -> None:
        if self._broadcasts is not None:
            self._broadcasts.rolled_back()
        self._assignment.close_tasks()
        self._with_input.clear()
        self._left_count = 0
        self._batch.forget()


def _numbers(partitions: Sequence[TopicPartition]) -> str:
    return ", ".join(map(str, sorted({partition.partition for partition in partitions})))
