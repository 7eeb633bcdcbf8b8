"""Runs a processor over one partition: its input in the order of broker time, its timers, its dead letters.

**Idea.** Partition n of all co-partitioned topics is one task. It processes records by broker time across topics
(`streams.engine.input_buffer` says when a record's turn has come) and fires the timers that are due before each of
them; `streams.engine.record_steps` sees to it that each leads to everything or to nothing. A task sends what is to be
written to whoever runs it and knows no transactions: it is told when one was committed or aborted.
`streams.engine.worker` has one transaction over all of its tasks.

**Rejected.** A task that commits by itself: a transaction per partition would cost as many round trips to the brokers
as there are partitions.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from streams.engine.job import Job
from streams.engine.ordered_input import HasReachedEnd, OrderedInput
from streams.engine.record_steps import Emit, RecordSteps
from streams.engine.state import PartitionState, stream_time_of
from streams.model.errors import InvariantError, RecordError
from streams.model.types import Record
from streams.ports import AbortableTransactionError, LogError, Outgoing, Received, StoreError, TopicPartition
from streams.ports.processor import DeletedInput, TimeReset

_log = logging.getLogger(__name__)
TIMERS_PER_STEP_MAX = 500


class Turn(NamedTuple):
    """What a task asks about each record that it processes.

    Attributes:
        begin: makes a record part of the transaction; returns an error if it is to become a dead letter.
        is_over: whether no further record may go into the transaction.
    """

    begin: Callable[[Received], RecordError | None]
    is_over: Callable[[], bool]


class PartitionTask:
    """Runs a processor over one partition of its input topics.

    Attributes:
        partition: its number.
        positions: the next offset to be processed, per input topic; what a checkpoint commits.
        stream_time_ms: the highest broker time seen, or later while input is idle. It never goes back, whoever owns
            the partition: what was decided at one instant must not be followed by something decided at an earlier one.
        steps: runs the processor on single records and timers, and writes what they lead to.
    """

    def __init__(
        self,
        *,
        job: Job,
        partition: int,
        state: PartitionState,
        emit: Emit,
        committed: Mapping[str, int],
        has_reached_end: HasReachedEnd,
        deleted: Sequence[DeletedInput] = (),
    ) -> None:
        """Create the task of a partition whose state is restored.

        Args:
            job: what the worker runs.
            partition: the partition's number.
            state: its state.
            emit: called with each record that is to be written in the open transaction.
            committed: where to read each input topic from: the group's committed offset, or the first that is there.
            has_reached_end: whether an input partition was read to its end.
            deleted: the input that the committed offsets say was not processed, and that is not there any more.
        """
        self.partition = partition
        self._committed_time_ms = stream_time_of(state)
        self.stream_time_ms = self._committed_time_ms
        self.positions = dict(committed)
        self._committed = dict(committed)
        self._deleted = tuple(deleted)
        self._has_reported_deleted = False
        topics = [topic.name for topic in job.spec.inputs]
        self._input = OrderedInput(partition, topics, committed, has_reached_end, job.settings)
        self._state = state
        processor = self._processor = job.processor
        self._follower = None if processor.broadcast is None else processor.broadcast.follower
        self._followed_mark: int | None = 0
        self._is_prepared = False
        self._hook = processor.commit_hook
        self._written: list[Outgoing] = []
        self._read: list[Received] = []
        self._shown_inputs: frozenset[str] = frozenset() if self._hook is None else self._hook.inputs
        self._send = emit
        # Whoever has no hook, or one that is shown nothing of what is written, pays nothing for each record.
        shown = None if self._hook is None else self._hook.topics
        self._emit = self._emit_for_hook(shown) if shown else emit
        self.steps = RecordSteps(job, partition, state, self._emit)

    @property
    def state(self) -> PartitionState:
        """The partition's state."""
        return self._state

    # Input and timers

    def add(self, records: Sequence[Received], limit_ms: int | None = None) -> None:
        """Buffer what was polled of this partition, in offset order within each topic.

        Args:
            records: what was polled.
            limit_ms: the latest time that a record can have, see `RecordSteps`; None if none is later.
        """
        # All are decoded before the first is processed: in a row, each costs half of what it does between two others.
        decoded = self.steps.decoded
        found = [(record, decoded(record)) for record in records]
        if limit_ms is not None:
            last_ms = {record.topic: self._input.buffer.last_ms(record.topic) for record in records}
            found = self.steps.with_possible_times(found, limit_ms, last_ms)
        self._input.buffer.add(found)

    def process(self, turn: Turn, now_ms: int) -> int:
        """Process the records whose turn has come: by broker time across topics, in offset order within each.

        Args:
            turn: what the transaction has to do with it.
            now_ms: of a clock that never goes back.

        Returns:
            How many records were processed.
        """
        count, buffer, shown = 0, self._input.buffer, self._shown_inputs
        first_ms = self.stream_time_ms or buffer.first_time_ms()
        if not first_ms and buffer.takes_effect:
            # A clock that was ahead has stamped the partition's first records. Nothing is there yet that they could
            # affect, and no time to process them at: what they set up at zero would be over with the first real time.
            return 0
        buffer.look()
        for record, decoded, _ in self._input.ready(now_ms):
            count += 1
            fault = turn.begin(record)
            time_ms = max(first_ms, record.timestamp_ms)
            self.stream_time_ms = max(self.stream_time_ms, time_ms)
            if self._state.has_due(self.stream_time_ms):
                self.fire_timers()
            self.steps.process(record, fault or decoded, self.stream_time_ms)
            self.positions[record.topic] = record.offset + 1
            if record.topic in shown:
                self._read.append(record)
            if turn.is_over():
                break
        return count

    def process_next(self, record: Received, decoded: Record | Exception) -> None:
        """Process one record as `process` does, without buffering it: for whoever knows that it is the next one.

        A replay knows it, and saves a twentieth of its time. The partition has a stream time, nothing is buffered, and
        there is no commit hook.
        """
        self.stream_time_ms = max(self.stream_time_ms, record.timestamp_ms)
        if self._state.has_due(self.stream_time_ms):
            self.fire_timers()
        self.steps.process(record, decoded, self.stream_time_ms)
        self.positions[record.topic] = record.offset + 1

    @property
    def needs_time(self) -> bool:
        """Whether nothing to come gives the partition its first time: a topic is full of records without one.

        As long as more is read of another topic, that may bring a record with a time.
        """
        if self.stream_time_ms:
            return False
        buffer = self._input.buffer
        return buffer.takes_effect and not buffer.first_time_ms() and self._input.takes_no_more

    @property
    def input(self) -> OrderedInput:
        """What was polled and not processed yet."""
        return self._input

    def advance(self, now_ms: int) -> bool:
        """Let stream time follow the wall clock, as input is idle and none is missing, or as it `needs_time`.

        Returns:
            Whether a timer was due.
        """
        self.stream_time_ms = max(self.stream_time_ms, now_ms)
        return self.fire_timers()

    def fire_timers(self) -> bool:
        """Run the timers that are due at stream time, at most `TIMERS_PER_STEP_MAX`.

        Returns:
            Whether any was due.
        """
        if not self._state.has_due(self.stream_time_ms):
            return False
        timers = self._state.due_timers(self.stream_time_ms, TIMERS_PER_STEP_MAX)
        for due_ms, payload in timers:
            self.steps.fire(due_ms, payload, self.stream_time_ms)
        return bool(timers)

    # The rows' layout

    def prepare(self) -> bool:
        """Let the processor prepare the partition's rows, once.

        Returns:
            Whether it has written any.

        Raises:
            StoreError: the rows can't be used.
        """
        if self._is_prepared:
            return False
        self._processor.prepare(self._state)
        self._state.keep_record()
        self._is_prepared = True
        return bool(self._state.changes())

    # Broadcasts

    @property
    def has_followed(self) -> bool:
        """Whether `follow_broadcast` has nothing to do."""
        return self._follower is None or self._follower.broadcast_mark == self._followed_mark

    def follow_broadcast(self) -> bool:
        """Let the state follow what was broadcast, a bounded step.

        Returns:
            Whether there is more to be done.
        """
        follower = self._follower
        if follower is None or self.has_followed:
            return False
        mark = follower.broadcast_mark
        try:
            outputs, is_done = follower.follow_broadcast(self._state, self.stream_time_ms)
            outgoing = self.steps.placement.outgoing(outputs)
        except (InvariantError, LogError, StoreError):
            raise
        except Exception:
            # To try again and again would hold up the rest; what waits in the state still has its timers.
            _log.exception("partition %d could not follow what was broadcast", self.partition)
            self._state.drop_record()
            outgoing, is_done = [], True
        self._state.keep_record()
        self.steps.emit_all(outgoing)
        self._followed_mark = mark if is_done else None
        return not is_done

    # What no input of this partition has led to

    @property
    def has_deleted_input(self) -> bool:
        """Whether `report_deleted_input` has something to do."""
        return bool(self._deleted) and not self._has_reported_deleted

    def report_deleted_input(self, now_ms: int) -> None:
        """Write the processor's report of input that was deleted before it was processed.

        INVARIANT: the report and the offsets that skip the deleted input are committed together.

        Args:
            now_ms: the wall clock.
        """
        for deleted in self._deleted:
            self.steps.emit_outputs(self._processor.on_input_deleted(deleted, now_ms))
        self._has_reported_deleted = True

    # Checkpoints

    def before_commit(self) -> None:
        """Let the processor's commit hook add its outputs, if this partition has part in the transaction.

        Raises:
            AbortableTransactionError: the hook failed.
        """
        if self._hook is None or not self._has_part():
            return
        try:
            written, read = tuple(self._written), tuple(self._read)
            outputs = self._hook.before_commit(written, read, self._state, self.stream_time_ms)
            outgoing = self.steps.placement.outgoing(outputs)
        except (InvariantError, LogError, StoreError):
            raise
        except Exception as error:
            # INVARIANT: nothing is committed without the hook; what it would have covered is done again.
            _log.exception("the commit hook of partition %d failed", self.partition)
            text = f"the commit hook of partition {self.partition} failed: {type(error).__name__}: {error}"
            raise AbortableTransactionError(text) from error
        self._state.keep_record()
        for one in outgoing:
            self._send(one)

    def write_time(self) -> None:
        """Write the row of stream time, changed or not, so that a broker's time of storing it is heard."""
        self._state.note_stream_time(self.stream_time_ms)
        self._state.keep_record()

    def reset_time(self, now_ms: int) -> None:
        """Set stream time, which is far ahead, back to `now_ms`, and report that."""
        reset = TimeReset(self.partition, self.stream_time_ms, now_ms)
        self.stream_time_ms = now_ms
        self.write_time()
        self.steps.emit_outputs(self._processor.on_time_reset(reset))

    def note_time(self) -> None:
        """Make stream time part of the transaction. Call it before the changes of the state are taken."""
        moved = self.positions != self._committed or self._state.has_worked
        if moved and self.stream_time_ms > self._committed_time_ms:
            self._state.note_stream_time(self.stream_time_ms)
            self._state.keep_record()

    def offsets(self) -> dict[TopicPartition, int]:
        """Return the offsets to commit: the positions that have moved, also past input that was deleted."""
        passed_over = {deleted.topic for deleted in self._deleted if self._has_reported_deleted}
        return {
            TopicPartition(topic, self.partition): offset
            for topic, offset in self.positions.items()
            if offset != self._committed.get(topic) or topic in passed_over
        }

    def all_offsets(self) -> dict[TopicPartition, int]:
        """Return all positions, also those that have not moved."""
        return {TopicPartition(topic, self.partition): offset for topic, offset in self.positions.items()}

    def committed(self, changelog_offset: int | None) -> None:
        """Note that the transaction with this task's outputs, offsets and changes is durable.

        Args:
            changelog_offset: the changelog's next offset after the changes; None if there were none.

        Raises:
            InvariantError: there were changes, and no offset is given.
        """
        self._committed = dict(self.positions)
        self._written.clear()
        self._read.clear()
        if self._has_reported_deleted:
            self._deleted, self._has_reported_deleted = (), False
        if self._state.changes():
            if changelog_offset is None:
                raise InvariantError(f"partition {self.partition} committed changes without a changelog offset")
            self._state.committed(changelog_offset)
            self._committed_time_ms = self.stream_time_ms

    def aborted(self) -> dict[TopicPartition, int]:
        """Forget what the aborted transaction did.

        Returns:
            The offsets to read on from.
        """
        self._state.aborted()
        self._written.clear()
        self._read.clear()
        self._has_reported_deleted = False
        self._is_prepared = False
        self._followed_mark = None
        self.positions = dict(self._committed)
        self._input.buffer.clear(self._committed)
        self.stream_time_ms = self._committed_time_ms
        return {TopicPartition(topic, self.partition): offset for topic, offset in self._committed.items()}

    def close(self) -> None:
        """Release the store."""
        self._state.close()

    def _has_part(self) -> bool:
        """Return whether the partition has processed input, or written anything, in the open transaction."""
        is_moved = self.positions != self._committed or self._has_reported_deleted
        return is_moved or bool(self._state.changes() or self._written)

    def _emit_for_hook(self, topics: frozenset[str]) -> Emit:
        """Return what emits records, and notes those that the commit hook is shown."""
        send, note = self._send, self._written.append

        def emit(outgoing: Outgoing) -> None:
            send(outgoing)
            if outgoing.topic in topics:
                note(outgoing)

        return emit
