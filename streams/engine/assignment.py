"""Keeps the partitions that the group has assigned to a worker: takes them over, makes their tasks, gives them up.

**Idea.** An assignment begins with all of its partitions waiting for their state. Each becomes a task as soon as its
store is up to date (`streams.engine.recovery`); its input, which the worker has paused, then goes on from the committed
offsets. Revocation is eager, so an assignment ends as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from streams.engine.broadcasts import Broadcasts
from streams.engine.job import Job
from streams.engine.peers import Peers
from streams.engine.ports import Ports
from streams.engine.record_steps import Emit
from streams.engine.recovery import Restored, Restorer, TakenOver, Takeover
from streams.engine.standby_places import standby_partitions
from streams.engine.standbys import Standbys
from streams.engine.state import PartitionState
from streams.engine.task import PartitionTask
from streams.ports import Membership, TopicPartition


class Assignment:
    """The partitions of one worker.

    Attributes:
        tasks: the partitions that are being processed, by number. The dictionary stays the same.
        restored: how the state of each partition was restored that was ever processed here, the last time.
    """

    def __init__(
        self,
        *,
        job: Job,
        ports: Ports,
        emit: Emit,
        broadcasts: Broadcasts | None,
    ) -> None:
        """Create it without partitions.

        Args:
            job: what the worker runs.
            ports: what it runs on.
            emit: called with each record that a task writes in the open transaction.
            broadcasts: what partitions remember of broadcast topics; None if the processor has none.
        """
        self.tasks: dict[int, PartitionTask] = {}
        self.restored: dict[int, Restored] = {}
        self._job = job
        self._meter = ports.meter
        self._consumer = ports.consumer
        self._stores = ports.stores
        self._emit = emit
        self._broadcasts = broadcasts
        changelog = job.spec.changelog.name
        self._partition_count = job.partition_counts[changelog]
        self._peers = Peers(ports.consumer, self._partition_count, ports.clock, ports.end_transactions)
        self._standbys = Standbys(changelog, ports.open_reader, ports.stores, ports.clock)
        self._placed_among: Membership | None = None
        self._takeover = Takeover(
            job.spec.inputs,
            ports.consumer,
            self._peers,
            Restorer(changelog, ports.open_reader, ports.stores, ports.clock, self._standbys),
        )
        self._assigned: list[int] = []

    @property
    def partitions(self) -> Sequence[int]:
        """All that are assigned, those that wait for their state included."""
        return self._assigned

    @property
    def standby_lags(self) -> dict[int, int | None]:
        """How many offsets each standby is behind, by partition; None while it isn't known."""
        return self._standbys.lags

    @property
    def is_busy(self) -> bool:
        """Whether `stand_by` has more to do at once."""
        return self._standbys.is_busy

    @property
    def is_restoring(self) -> bool:
        """Whether partitions wait for their state."""
        return self._takeover.is_active

    @property
    def restore_left(self) -> dict[int, int]:
        """How many offsets of the changelog must still be applied, by partition, as far as that is known."""
        return self._takeover.left

    def begin(self, partitions: list[int]) -> None:
        """Begin to restore the state of these partitions in the next steps. Their input must be paused."""
        self._assigned = partitions
        self._peers.assigned(partitions)
        self._takeover.begin(partitions)

    def take_over(self, timeout_ms: int) -> None:
        """Do a bounded part of the restore, waiting up to `timeout_ms`, and make tasks of what is ready.

        Raises:
            StoreError: a store can't be opened or written.
        """
        for partition, taken in self._takeover.step(timeout_ms).items():
            self.restored[partition] = taken.restored
            self._meter.restored(taken.restored)
            self._open_task(partition, taken)

    def stand_by(self) -> None:
        """Do a bounded part of the work for standbys, unless partitions wait for their state: these go first."""
        if self.is_restoring:
            return
        self._peers.look()
        membership = self._peers.membership
        if membership is not None and membership is not self._placed_among:
            self._place(membership)
        self._standbys.step()

    def rebuild(self) -> None:
        """Delete the local state of all partitions, and begin to restore it. The tasks must be closed."""
        for partition in self._assigned:
            self._stores.wipe(partition)
        self._consumer.pause(self._inputs_of(self._assigned))
        self._takeover.begin(self._assigned)

    def close_tasks(self) -> None:
        """Give up what is being restored, and close all tasks."""
        self._takeover.cancel()
        for task in self.tasks.values():
            task.close()
        self.tasks.clear()

    def forget(self) -> None:
        """End all tasks, as the partitions are somebody else's. Their stores stay open until it is known whose."""
        for partition, task in self.tasks.items():
            self._standbys.keep(partition, task.state.hand_over())
        self.tasks.clear()
        self._takeover.cancel()
        self._assigned = []

    def close(self) -> None:
        """Close the standbys. The tasks must be closed."""
        self._standbys.close()

    def _place(self, membership: Membership) -> None:
        """Stand by for what this instance will get if others of these members are gone."""
        self._placed_among = membership
        standbys = self._job.settings.standbys
        wanted = standby_partitions(membership.own, len(membership.instances), self._partition_count, standbys)
        self._standbys.place(wanted.difference(self._assigned))

    def _open_task(self, partition: int, taken: TakenOver) -> None:
        """Start to process a partition whose state is restored."""
        task = self.tasks[partition] = PartitionTask(
            job=self._job,
            partition=partition,
            state=PartitionState(taken.store, partition),
            emit=self._emit,
            committed=taken.committed,
            has_reached_end=self._consumer.has_reached_end,
            deleted=taken.deleted,
        )
        self._meter.taken_over(task.state)
        if self._broadcasts is not None:
            self._broadcasts.recall(task)
        inputs = self._inputs_of([partition])
        for input_partition in inputs:
            self._consumer.seek(input_partition, taken.committed[input_partition.topic])
        self._consumer.resume(inputs)

    def _inputs_of(self, partitions: Iterable[int]) -> list[TopicPartition]:
        return [TopicPartition(topic.name, number) for number in partitions for topic in self._job.spec.inputs]
