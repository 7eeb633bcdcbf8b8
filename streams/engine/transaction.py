"""One transaction of a worker: outputs, changelog and input offsets are committed together, then state is stored.

The order is the point (ADR 0005): everything that other processes can see, and everything that state can be rebuilt
from, becomes durable in one commit. The local stores are written afterwards. They can be behind the log, never ahead of
it, and the changelog brings them up to date.
"""

from __future__ import annotations

from collections.abc import Mapping

from streams.engine.settings import EngineSettings
from streams.engine.task import PartitionTask
from streams.model.errors import InvariantError
from streams.ports import Clock, GroupMetadata, Outgoing, Producer, Received, TopicPartition


class Transaction:
    """The worker's open transaction, if there is one."""

    def __init__(self, producer: Producer, clock: Clock, changelog: str) -> None:
        """Create it closed.

        Args:
            producer: has one transaction at a time.
            clock: measures how long the transaction has been open.
            changelog: the topic that state changes go to.
        """
        self._producer = producer
        self._clock = clock
        self._changelog = changelog
        self._opened_ms: int | None = None
        self._inputs_count = 0
        self._bytes = 0
        self._last_input: Received | None = None
        self._notes: list[object] = []

    @property
    def is_open(self) -> bool:
        """Whether there is something to commit."""
        return self._opened_ms is not None

    @property
    def inputs_count(self) -> int:
        """How many input records are in it."""
        return self._inputs_count

    @property
    def last_input(self) -> Received | None:
        """The latest of them; None if there is none."""
        return self._last_input

    @property
    def opened_ms(self) -> int | None:
        """When it was opened, by the clock that never goes back; None if it is not open."""
        return self._opened_ms

    @property
    def notes(self) -> list[object]:
        """The notes of its records for measurements, in their order; those of the last one until the next is opened."""
        return self._notes

    def ensure_open(self) -> None:
        """Begin a transaction if none is open."""
        if self._opened_ms is None:
            self._producer.begin()
            self._opened_ms = self._clock.monotonic_ms()
            self._inputs_count = self._bytes = 0
            self._last_input = None
            self._notes = []

    def emit(self, outgoing: Outgoing) -> None:
        """Send a record in the transaction.

        Raises:
            InvariantError: none is open.
        """
        if self._opened_ms is None:
            raise InvariantError(f"a record for `{outgoing.topic}` was emitted outside a transaction")
        if outgoing.value is not None:
            self._bytes += len(outgoing.value)
        if outgoing.note is not None:
            self._notes.append(outgoing.note)
        self._producer.send(outgoing)

    def add_input(self, record: Received) -> None:
        """Make an input record part of the transaction, which is opened if it is not open. Call it before all else."""
        if self._opened_ms is None:
            self.ensure_open()
        self._inputs_count += 1
        self._last_input = record
        if record.value is not None:
            self._bytes += len(record.value)

    def is_full(self, settings: EngineSettings, records_max: int | None) -> bool:
        """Return whether no further record may go into it: it is old or large, or has `records_max` records."""
        if self._opened_ms is None:
            return False
        return (
            (records_max is not None and self._inputs_count >= records_max)
            or self._bytes >= settings.transaction_bytes_max
            or self._clock.monotonic_ms() - self._opened_ms >= settings.transaction_age_max_ms
        )

    def is_due(self, settings: EngineSettings, *, idle: bool) -> bool:
        """Return whether to commit now: when no input waits (`idle`), when it is old, or when it is large."""
        if self._opened_ms is None:
            return False
        return (
            idle
            or self._inputs_count >= settings.commit_records_max
            or self._clock.monotonic_ms() - self._opened_ms >= settings.commit_interval_ms
        )

    def commit(self, tasks: Mapping[int, PartitionTask], group: GroupMetadata) -> None:
        """Commit the work of the tasks.

        Args:
            tasks: all tasks of the worker, by partition.
            group: the group's generation of the assignment that the tasks belong to.

        Raises:
            AbortableTransactionError: nothing was committed; abort and rewind.
            FatalLogError: it may or may not be committed; the stores were not written.
        """
        changelog_ends: dict[int, int] = {}
        offsets: dict[TopicPartition, int] = {}
        for task in tasks.values():
            task.note_time()
            offsets.update(task.offsets())
            self._send_changes(task, changelog_ends)
        if not offsets:  # only timers or broadcasts did anything
            offsets = {partition: offset for task in tasks.values() for partition, offset in task.all_offsets().items()}
        # INVARIANT: every transaction commits offsets, for these alone are fenced by the group's generation.
        self._producer.send_offsets(offsets, group)
        self._producer.commit()
        self._opened_ms = None
        # INVARIANT: no store is written before this point (simulation plants the opposite and must catch it).
        for task in tasks.values():
            task.committed(changelog_ends.get(task.partition))

    def abort(self) -> None:
        """Abort the open transaction, if there is one."""
        if self._opened_ms is not None:
            self._opened_ms = None
            self._producer.abort()

    def hurry(self) -> None:
        """End the open transaction within seconds, or leave it: see `Producer.hurry`. It is the caller that ends it."""
        if self._opened_ms is not None:
            self._producer.hurry()

    def end_what_is_left(self) -> None:
        """End a transaction that was left open, so that nobody waits for it. Do nothing if none was.

        Raises:
            FatalLogError: the log doesn't answer.
        """
        if self._opened_ms is None:
            self.ensure_open()
            self.abort()

    def _send_changes(self, task: PartitionTask, ends: dict[int, int]) -> None:
        """Send the task's state changes to the changelog, and note in `ends` the offset after the last of them."""
        changes = task.state.changes()
        last = len(changes) - 1
        partition = task.partition

        def note_end(offset: int) -> None:
            ends[partition] = offset + 1

        for index, (key, row) in enumerate(changes.items()):
            outgoing = Outgoing(self._changelog, partition, key, row)
            self._producer.send(outgoing, note_end if index == last else None)
