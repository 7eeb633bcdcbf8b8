"""The task of one partition: its inputs in log order, its state, its timers."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from heapq import merge
from itertools import pairwise

from streams.engine.deadletters import dead_letter_outputs, timer_failure_output
from streams.engine.state import PartitionState, stream_time_of
from streams.engine.wire import Emit, Processor, Wire
from streams.model.errors import InvariantError, RecordError
from streams.model.keys import partition_for
from streams.model.reasons import DeadLetterReason
from streams.model.topics import Spread
from streams.model.types import Record
from streams.ports import LogError, Outgoing, Received, StoreError, TopicPartition
from streams.processors.effects import Output, SetAsideError

_log = logging.getLogger(__name__)
TIMERS_PER_STEP_MAX = 500
OUTPUT_BYTES_MAX = 1_032_192
"""Of a record that is written, key and headers included: what a topic takes, less the batch around it."""

# Below these nobody has to count: ids, names and trace contexts have bounds of their own.
_SURELY_FITS_BYTES = OUTPUT_BYTES_MAX // 2
_SURELY_FITS_HEADERS = 8

_Input = tuple[Received, Record | Exception]


class PartitionTask:
    """Runs a processor over one partition of the co-partitioned topics. Knows no transactions: it is told.

    Attributes:
        positions: the next offset to be processed, per input topic; what a checkpoint commits.
        stream_time_ms: the highest broker time seen, or later while input is idle. It never goes back, whoever owns
            the partition: what was decided at one instant must not be followed by something decided at an earlier one.
    """

    def __init__(
        self,
        *,
        partition: int,
        input_ranks: dict[str, int],
        state: PartitionState,
        processor: Processor,
        wire: Wire,
        emit: Emit,
        partition_counts: dict[str, int],
        committed: dict[str, int],
    ) -> None:
        self.partition = partition
        self._committed_time_ms = stream_time_of(state)
        self.stream_time_ms = self._committed_time_ms
        self.positions = dict(committed)
        self._committed = dict(committed)
        self._ranks = input_ranks
        self._state = state
        self._processor = processor
        self._wire = wire
        self._emit = emit
        self._partition_counts = partition_counts
        self._followed_mark: int | None = 0

    @property
    def state(self) -> PartitionState:
        """The partition's state."""
        return self._state

    def process(self, records: list[Received]) -> None:
        """Take in a batch of this partition: by broker time across topics, in offset order within each."""
        # All are decoded before the first is processed: in a row, each costs half of what it does between two others.
        for record, decoded in self._in_order([(record, self._decoded(record)) for record in records]):
            position = self.positions.get(record.topic, 0)
            if record.offset < position:
                continue  # read again after a rewind of another topic; it is done already
            self.stream_time_ms = max(self.stream_time_ms, record.timestamp_ms)
            self.fire_timers()
            self._process_one(record, decoded)
            self.positions[record.topic] = record.offset + 1

    def advance(self, now_ms: int) -> bool:
        """Input is idle: let stream time follow the wall clock. Whether anything happened."""
        self.stream_time_ms = max(self.stream_time_ms, now_ms)
        return self.fire_timers()

    def fire_timers(self) -> bool:
        """Run what is due at stream time, at most `TIMERS_PER_STEP_MAX`; whether anything was."""
        if not self._state.has_due(self.stream_time_ms):
            return False
        timers = self._state.due_timers(self.stream_time_ms, TIMERS_PER_STEP_MAX)
        for due_ms, payload in timers:
            self._fire(due_ms, payload)
        return bool(timers)

    def follow_control(self) -> bool:
        """Let the state follow what was broadcast, a bounded step; whether there is more to be done."""
        mark = self._processor.control_mark
        if mark == self._followed_mark:
            return False
        try:
            outputs, is_done = self._processor.follow_control(self._state, self.stream_time_ms)
            outgoing = self._outgoing(outputs)
        except (InvariantError, LogError, StoreError):
            raise
        except Exception:
            # What waits is denied all the same, when its time comes; to try again and again would hold up the rest.
            _log.exception("partition %d could not follow what was broadcast", self.partition)
            self._state.drop_record()
            outgoing, is_done = [], True
        self._state.keep_record()
        self._emit_all(outgoing)
        self._followed_mark = mark if is_done else None
        return not is_done

    @property
    def has_followed(self) -> bool:
        """Whether `follow_control` has nothing to do."""
        return self._processor.control_mark == self._followed_mark

    def report_dead_letter(self, record: Received, error: RecordError) -> None:
        """Emit a dead letter, with its audit record on this partition."""
        for outgoing in dead_letter_outputs(self._wire, record, error, self.partition):
            self._emit(outgoing)

    def emit_outputs(self, outputs: list[Output]) -> None:
        """Emit records that no input has led to.

        Raises:
            RecordError: one is larger than a topic takes.
        """
        self._emit_all(self._outgoing(outputs))

    def note_time(self) -> None:
        """Make stream time part of the transaction; to be called before its changes are taken."""
        moved = self.positions != self._committed or self._state.changes()
        if moved and self.stream_time_ms > self._committed_time_ms:
            self._state.note_stream_time(self.stream_time_ms)
            self._state.keep_record()

    def offsets(self) -> dict[TopicPartition, int]:
        """What to commit: positions that have moved."""
        return {
            TopicPartition(topic, self.partition): offset
            for topic, offset in self.positions.items()
            if offset != self._committed.get(topic)
        }

    def all_offsets(self) -> dict[TopicPartition, int]:
        """All positions, also those that have not moved."""
        return {TopicPartition(topic, self.partition): offset for topic, offset in self.positions.items()}

    def committed(self, changelog_offset: int | None) -> None:
        """The transaction with this task's outputs, offsets and changes is durable."""
        self._committed = dict(self.positions)
        if self._state.changes():
            if changelog_offset is None:
                raise InvariantError(f"partition {self.partition} committed changes without a changelog offset")
            self._state.committed(changelog_offset)
            self._committed_time_ms = self.stream_time_ms

    def aborted(self) -> dict[TopicPartition, int]:
        """The transaction is gone: forget what it did, and say where to read on."""
        self._state.aborted()
        self._followed_mark = None
        self.positions = dict(self._committed)
        self.stream_time_ms = self._committed_time_ms
        return {TopicPartition(topic, self.partition): offset for topic, offset in self._committed.items()}

    def close(self) -> None:
        """Release the store."""
        self._state.close()

    def _decoded(self, record: Received) -> Record | Exception:
        """The record, or what came of reading it."""
        try:
            if record.value is None:
                raise RecordError(DeadLetterReason.VALUE_MISSING, f"a record of `{record.topic}` has no value")
            return self._wire.decode(record.topic, record.value, record.headers)
        except Exception as error:
            return error

    def _in_order(self, inputs: list[_Input]) -> Iterable[_Input]:
        if all(a.topic == b.topic for (a, _), (b, _) in pairwise(inputs)):
            return inputs
        by_topic: dict[str, list[_Input]] = {}
        for one in inputs:
            by_topic.setdefault(one[0].topic, []).append(one)
        ranks = self._ranks
        return merge(*by_topic.values(), key=lambda one: (one[0].timestamp_ms, ranks[one[0].topic]))

    def _process_one(self, record: Received, decoded: Record | Exception) -> None:
        try:
            if isinstance(decoded, Exception):
                raise decoded
            outputs = self._processor.process(
                record.key, decoded, self._state, record.timestamp_ms, self.stream_time_ms
            )
            outgoing = self._outgoing(outputs)
        except SetAsideError as error:
            self._set_aside(record, error)
        except RecordError as error:
            self._state.drop_record()
            self.report_dead_letter(record, error)
        except (InvariantError, LogError, StoreError):
            raise
        except Exception as error:
            # One record must never stop a partition: it is set aside with its cause, and the next one is taken.
            _log.exception("processing %s/%d/%d failed", record.topic, record.partition, record.offset)
            self._state.drop_record()
            failure = RecordError(DeadLetterReason.PROCESSING_FAILED, f"{type(error).__name__}: {error}")
            self.report_dead_letter(record, failure)
        else:
            self._state.keep_record()
            self._emit_all(outgoing)

    def _set_aside(self, record: Received, error: SetAsideError) -> None:
        """Keep what a record has changed, with what is told of that, although it becomes a dead letter."""
        try:
            outgoing = self._outgoing(list(error.outputs))
        except RecordError as failure:
            self._state.drop_record()
            self.report_dead_letter(record, failure)
            return
        self._state.keep_record()
        self._emit_all(outgoing)
        self.report_dead_letter(record, error)

    def _fire(self, due_ms: int, payload: bytes) -> None:
        try:
            self._state.cancel_timer(due_ms, payload)
            outgoing = self._outgoing(self._processor.on_timer(payload, self._state, self.stream_time_ms))
        except (InvariantError, LogError, StoreError):
            raise
        except Exception as error:
            # The timer is spent all the same; a timer that always fails would hold up every later one.
            _log.exception("timer %r of partition %d failed", payload, self.partition)
            self._state.drop_record()
            self._state.cancel_timer(due_ms, payload)
            outgoing = [timer_failure_output(self._wire, self.partition, due_ms, payload, error)]
        self._state.keep_record()
        self._emit_all(outgoing)

    def _outgoing(self, outputs: list[Output]) -> list[Outgoing]:
        """The outputs as they will be written; made before the first one is, so that a record has all of them or none.

        Raises:
            RecordError: one is larger than a topic takes.
        """
        made = []
        for topic, key, value, header, named in outputs:
            partition = self.partition if named is None else named
            if topic.spread is Spread.BROADCAST:
                partition = 0
            elif topic.spread is Spread.OWN or topic.placed_by_key:
                partition = partition_for(key, self._partition_counts[topic.name])
            elif named is not None and named >= self._partition_counts[topic.name]:
                text = f"`{topic.name}` has no partition {named}"
                raise RecordError(DeadLetterReason.RECORD_INVALID, text)
            headers = self._wire.headers(topic, header)
            size = len(value)
            if size > _SURELY_FITS_BYTES or len(headers) > _SURELY_FITS_HEADERS:
                size += len(key) + sum(len(name) + len(content) for name, content in headers)
            if size > OUTPUT_BYTES_MAX:
                text = f"it leads to {size} bytes for `{topic.name}`, at most {OUTPUT_BYTES_MAX} are written"
                raise RecordError(DeadLetterReason.RECORD_TOO_LARGE, text)
            made.append(Outgoing(topic.name, partition, key, value, headers))
        return made

    def _emit_all(self, outgoing: list[Outgoing]) -> None:
        for one in outgoing:
            self._emit(one)
