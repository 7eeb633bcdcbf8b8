"""What a worker reports about itself while it works. This class reports nothing; `WorkerMeter` counts.

Each method is called once for a turn of the loop, a transaction or a takeover, never for a record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from streams.engine.recovery import Restored
    from streams.engine.state import PartitionState
    from streams.engine.task import PartitionTask
    from streams.engine.transaction import Transaction
    from streams.ports import Clock, Consumer
    from streams.topology import ProcessorSpec


class SeenControl(NamedTuple):
    """What there is to be seen of the broadcast topics that a worker reads.

    Attributes:
        confirmed_ms: when the worker last knew that it had read them to their ends, on its monotonic clock; None if
            it never did.
        newest: by topic, the next offset to be read, and the broker time of the newest record that was read.
    """

    confirmed_ms: int | None
    newest: Mapping[str, tuple[int, int]]


class Seen(NamedTuple):
    """What there is to be seen of a worker between two turns.

    Attributes:
        spec: its topics.
        tasks: the partitions that it processes.
        partitions_count: how many are assigned to it, those that wait for their state included.
        standbys_count: how many it keeps standbys of.
        restore_left: how many offsets of the changelog must still be applied, by partition, as far as that is known.
        control: what it has read of broadcast topics; None if it reads none.
        consumer: what it reads its input with.
        clock: its clock.
    """

    spec: ProcessorSpec
    tasks: Mapping[int, PartitionTask]
    partitions_count: int
    standbys_count: int
    restore_left: Mapping[int, int]
    control: SeenControl | None
    consumer: Consumer
    clock: Clock


class Meter:
    """Counts nothing."""

    @property
    def is_due(self) -> bool:
        """Whether it is time to call `look`."""
        return False

    def turn(self) -> None:
        """Note that a turn of the loop begins."""

    def lap(self, stage: str) -> None:
        """Note that a stage of the turn is over: it took as long as it is since the last stage, or the turn's begin."""

    def taken_over(self, state: PartitionState) -> None:
        """Note that a partition's state is restored, and that the partition is processed from now on."""

    def restored(self, restored: Restored) -> None:
        """Note how a partition's state was restored."""

    def committing(self, tasks: Mapping[int, PartitionTask]) -> None:
        """Note that the changes of these tasks are about to be committed."""

    def committed(self, transaction: Transaction, opened_ms: int | None, clock: Clock) -> None:
        """Note that a transaction, which was opened at `opened_ms`, is committed."""

    def aborted(self) -> None:
        """Note that a transaction was aborted."""

    def look(self, seen: Seen) -> None:
        """Look at the worker. Called when `is_due`."""
