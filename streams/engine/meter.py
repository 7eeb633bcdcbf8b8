"""What a worker reports about itself while it works. This class reports nothing; `WorkerMeter` counts.

Each method is called once for a turn of the loop, a transaction or a takeover, never for a record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from streams.engine.assignment import Assignment
    from streams.engine.broadcasts import Broadcasts
    from streams.engine.ports import Ports
    from streams.engine.recovery import Restored
    from streams.engine.state import PartitionState
    from streams.engine.task import PartitionTask
    from streams.engine.transaction import Transaction
    from streams.ports import Clock
    from streams.topology import ProcessorSpec


class Seen(NamedTuple):
    """What there is to be seen of a worker between two turns.

    Attributes:
        spec: its topics.
        tasks: the partitions that it processes.
        assignment: all of its partitions.
        broadcasts: what it reads of broadcast topics; None if it reads none.
        ports: what it runs on.
    """

    spec: ProcessorSpec
    tasks: Mapping[int, PartitionTask]
    assignment: Assignment
    broadcasts: Broadcasts | None
    ports: Ports


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
