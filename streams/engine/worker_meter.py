"""Counts what a worker does, in the metrics of its process.

**Idea.** The worker's thread counts in plain lists, and adds them to the metrics once for a transaction, or once a
second. What a processor wants counted comes with its records (`Output.note`): it counts only if they are committed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from streams.engine.meter import Meter, Seen, SeenControl
from streams.engine.record_steps import DeadLettered
from streams.engine.recovery import Restored
from streams.engine.state import PartitionState
from streams.engine.task import PartitionTask
from streams.engine.transaction import Transaction
from streams.metrics import declared
from streams.metrics.registry import Labels, Metrics
from streams.ports import Clock, Consumer, TopicPartition

LOOK_NS = 1_000_000_000
"""How often the worker is looked at."""

_NS_PER_S = 1e9
_MS_PER_S = 1_000

CountNotes = Callable[[Sequence[object], int], None]
"""Counts what committed records tell: their notes, and the wall clock at the commit in ms."""

Rows = Sequence[tuple[bytes, bytes | None]]
"""Rows by their keys; None for a row that was deleted."""


class RowCensus(Protocol):
    """Counts rows of one kind, from what is committed."""

    @property
    def prefix(self) -> bytes:
        """Return what the keys of these rows begin with: one byte."""

    def begin(self, partition: int, rows: Iterator[tuple[bytes, bytes]]) -> None:
        """Count all rows of a partition."""

    def change(self, partition: int, rows: Rows) -> None:
        """Count committed changes of a partition."""

    def report(self, partitions: Sequence[int]) -> None:
        """Report the rows of these partitions, and forget all others."""


class WorkerMeter(Meter):
    """Counts what one worker does. For the worker's thread."""

    def __init__(
        self,
        metrics: Metrics,
        worker: str,
        *,
        count_notes: CountNotes | None = None,
        census: RowCensus | None = None,
        look: Callable[[], None] | None = None,
        timer_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        """Create it.

        Args:
            metrics: the metrics of the process.
            worker: the worker's name in them.
            count_notes: counts what the processor tells with its records.
            census: counts rows of the state.
            look: looks at the processor once a second.
            timer_ns: a clock that never goes back, in ns.
        """
        self._metrics = metrics
        self._worker = worker
        self._count_notes = count_notes
        self._census = census
        self._look = look
        self._timer_ns = timer_ns
        self._at_ns = self._looked_ns = timer_ns()
        self._turns = 0
        self._laps: dict[str, list[float]] = {stage: [] for stage in declared.STAGES}
        self._changes: list[tuple[int, Rows]] = []

    @property
    def is_due(self) -> bool:
        """Whether it is time to call `look`."""
        return self._at_ns - self._looked_ns >= LOOK_NS

    def turn(self) -> None:
        """Note that a turn of the loop begins."""
        self._turns += 1
        self._at_ns = self._timer_ns()

    def lap(self, stage: str) -> None:
        """Note that a stage of the turn is over."""
        now_ns = self._timer_ns()
        self._laps[stage].append((now_ns - self._at_ns) / _NS_PER_S)
        self._at_ns = now_ns

    def taken_over(self, state: PartitionState) -> None:
        """Count the rows of a partition whose state is restored."""
        if self._census is not None:
            prefix = self._census.prefix
            self._census.begin(state.partition, state.scan(prefix, bytes([prefix[0] + 1])))

    def restored(self, restored: Restored) -> None:
        """Count a restored partition."""
        source = "standby" if restored.from_standby else "disk"
        self._metrics.observe(declared.RESTORE_SECONDS, [restored.duration_ms / _MS_PER_S], self._worker, source)
        self._metrics.add(declared.RESTORED_RECORDS, self._worker, amount=restored.records)

    def committing(self, tasks: Mapping[int, PartitionTask]) -> None:
        """Remember the rows that are about to be committed and that the census counts."""
        if self._census is None:
            return
        prefix = self._census.prefix[0]
        self._changes = [
            (partition, rows)
            for partition, task in tasks.items()
            if (rows := [item for item in task.state.changes().items() if item[0][0] == prefix])
        ]

    def committed(self, transaction: Transaction, opened_ms: int | None, clock: Clock) -> None:
        """Count a committed transaction, and what its records tell."""
        self.lap("commit")
        metrics, worker = self._metrics, self._worker
        metrics.add(declared.TRANSACTIONS, worker, "committed")
        if transaction.inputs_count:
            metrics.add(declared.RECORDS, worker, amount=transaction.inputs_count)
        if opened_ms is not None:
            open_s = (clock.monotonic_ms() - opened_ms) / _MS_PER_S
            metrics.observe(declared.TRANSACTION_SECONDS, [open_s], worker)
        if self._census is not None:
            for partition, rows in self._changes:
                self._census.change(partition, rows)
        self._changes = []
        if transaction.notes:
            self._count(transaction.notes, clock.now_ms())

    def aborted(self) -> None:
        """Count an aborted transaction."""
        self._changes = []
        self._metrics.add(declared.TRANSACTIONS, self._worker, "aborted")
        self._add_laps()

    def look(self, seen: Seen) -> None:
        """Set what can be seen of the worker, and add what was counted."""
        self._looked_ns = self._at_ns
        self._add_laps()
        self._look_at_partitions(seen)
        if seen.control is not None:
            self._look_at_control(seen.control, seen.clock)
        if self._census is not None:
            self._census.report(list(seen.tasks))
        if self._look is not None:
            self._look()

    def _count(self, notes: Sequence[object], now_ms: int) -> None:
        dead = Counter(note for note in notes if isinstance(note, DeadLettered))
        for letter, count in dead.items():
            self._metrics.add(declared.DEAD_LETTERS, self._worker, letter.topic, letter.reason, amount=count)
        if self._count_notes is not None and dead.total() < len(notes):
            self._count_notes(notes, now_ms)

    def _add_laps(self) -> None:
        self._metrics.add(declared.TURNS, self._worker, amount=self._turns)
        self._turns = 0
        for stage, laps_s in self._laps.items():
            if laps_s:
                self._metrics.observe(declared.STAGE_SECONDS, laps_s, self._worker, stage)
                laps_s.clear()

    def _look_at_partitions(self, seen: Seen) -> None:
        worker, metrics = self._worker, self._metrics
        now_ms, restoring = seen.clock.now_ms(), seen.partitions_count - len(seen.tasks)
        states = {"processing": len(seen.tasks), "restoring": restoring, "standby": seen.standbys_count}
        for state, count in states.items():
            metrics.set(declared.PARTITIONS, count, worker, state)
        left: dict[Labels, float] = {
            (worker, str(number)): float(offsets) for number, offsets in seen.restore_left.items()
        }
        metrics.replace(declared.RESTORE_LEFT, left, worker)
        behind: dict[Labels, float] = {
            (worker, str(number)): _behind_s(task, now_ms) for number, task in seen.tasks.items()
        }
        metrics.replace(declared.TIME_BEHIND, behind, worker)
        lags: dict[Labels, float] = {}
        for number, task in seen.tasks.items():
            for topic in seen.spec.inputs:
                lag = _lag(task, TopicPartition(topic.name, number), seen.consumer)
                if lag is not None:
                    lags[worker, topic.name, str(number)] = lag
        metrics.replace(declared.LAG, lags, worker)

    def _look_at_control(self, control: SeenControl, clock: Clock) -> None:
        if control.confirmed_ms is not None:
            age_s = (clock.monotonic_ms() - control.confirmed_ms) / _MS_PER_S
            self._metrics.set(declared.CONTROL_AGE, max(0.0, age_s))
        for topic, (next_offset, appended_ms) in control.newest.items():
            self._metrics.set(declared.CONTROL_OFFSET, next_offset, topic)
            self._metrics.set(declared.CONTROL_CHANGED, appended_ms / _MS_PER_S, topic)


def _behind_s(task: PartitionTask, now_ms: int) -> float:
    """Return how far stream time is behind the clock. While nothing waits it stands still, and is not behind."""
    if not task.stream_time_ms:
        return 0.0
    due_ms = task.state.next_due_ms
    since_ms = task.stream_time_ms
    if task.input.is_complete:
        if due_ms is None or due_ms > now_ms:
            return 0.0
        since_ms = max(since_ms, due_ms)
    return max(0.0, (now_ms - since_ms) / _MS_PER_S)


def _lag(task: PartitionTask, place: TopicPartition, consumer: Consumer) -> float | None:
    """Return how many offsets are not processed; those without data don't count once all was read."""
    if consumer.has_reached_end(place) and not task.input.buffer.count_of(place.topic):
        return 0.0
    end = consumer.end_offset(place)
    return None if end is None else float(max(0, end - task.positions.get(place.topic, 0)))
