"""Runs a processor on one record or one timer at a time: all that it leads to is kept, or nothing of it.

**Idea.** A record that can't be read, can't be processed, or leads to something that no topic takes becomes a dead
letter, with a report of the processor, and the next record goes on. A timer that fails is cancelled and reported. Only
errors of the log, of the store and of the program itself go on to the caller.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from streams.engine.job import Job
from streams.engine.placement import InputPlacement, OutputPlacement
from streams.engine.state import PartitionState
from streams.model.errors import InvariantError, RecordError
from streams.model.reasons import DeadLetterReason
from streams.model.types import Record
from streams.ports import LogError, Outgoing, Received, StoreError
from streams.ports.processor import Output, SetAsideError

_log = logging.getLogger(__name__)
TEXT_CHARS_MAX = 500
"""The longest text that says why a record became a dead letter."""

Emit = Callable[[Outgoing], None]
Decoded = tuple[Received, Record | Exception]
"""A record, and its decoded form or the error that decoding it raised."""


class DeadLettered(NamedTuple):
    """A record that became a dead letter, for measurements.

    Attributes:
        topic: the topic that it was read from.
        reason: a `DeadLetterReason`.
    """

    topic: str
    reason: str


class RecordSteps:
    """The records and timers of one partition, one at a time.

    Attributes:
        placement: says where outputs go.
    """

    def __init__(self, job: Job, partition: int, state: PartitionState, emit: Emit) -> None:
        """Create them for one partition.

        Args:
            job: what the worker runs.
            partition: the partition's number.
            state: its state.
            emit: called with each record that is to be written in the open transaction.
        """
        spec, counts = job.spec, job.partition_counts
        self.placement = OutputPlacement(partition, job.wire, counts)
        self._partition = partition
        self._state = state
        self._processor = job.processor
        self._wire = job.wire
        self._emit = emit
        self._with_dead_letters = {topic.name for topic in spec.read if topic.dead_letters}
        self._input_placement = InputPlacement(spec.inputs, counts)

    def decoded(self, record: Received) -> Record | Exception:
        """Return the record, or the error that reading it raised."""
        try:
            self._input_placement.check(record)
            if record.value is None:
                raise RecordError(DeadLetterReason.VALUE_MISSING, f"a record of `{record.topic}` has no value")
            return self._wire.decode(record.topic, record.value, record.headers)
        except Exception as error:
            return error

    def with_possible_times(self, found: Sequence[Decoded], limit_ms: int, last_ms: Mapping[str, int]) -> list[Decoded]:
        """Give records whose broker time can't be true the time of the record before them.

        They become dead letters, except those that take effect whatever their time, as the processor says. Neither
        moves stream time.

        Args:
            found: records of this partition with what decoding has returned, in offset order within each topic.
            limit_ms: the latest time that a record can have.
            last_ms: the time of the record before the first one, by topic; 0 if it is not known.
        """
        # INVARIANT: nothing of the outcome depends on the clock, or on how the log was cut into polls.
        before_ms = dict(last_ms)
        checked: list[Decoded] = []
        for record, decoded in found:
            if record.timestamp_ms <= limit_ms:
                before_ms[record.topic] = record.timestamp_ms
                checked.append((record, decoded))
                continue
            text = (
                f"{record.topic}/{record.partition}/{record.offset} was stamped {record.timestamp_ms}, which is later "
                "than any broker's clock can be: run `stoplog doctor`"
            )
            _log.error("%s", text)
            is_kept = isinstance(decoded, Exception) or self._processor.takes_effect_ahead(decoded)
            outcome = decoded if is_kept else RecordError(DeadLetterReason.BROKER_TIME_AHEAD, text)
            checked.append((record._replace(timestamp_ms=before_ms[record.topic]), outcome))
        return checked

    def process(self, record: Received, decoded: Record | Exception, stream_time_ms: int) -> None:
        """Process a record, or make it a dead letter."""
        try:
            if isinstance(decoded, Exception):
                raise decoded
            outputs = self._processor.process(
                record.topic, record.key, decoded, self._state, record.timestamp_ms, stream_time_ms
            )
            outgoing: Sequence[Outgoing] = self.placement.outgoing(outputs) if outputs else ()
        except SetAsideError as error:
            self._set_aside(record, error, stream_time_ms)
        except RecordError as error:
            self._state.drop_record()
            if error.reason == DeadLetterReason.BROKER_TIME_AHEAD:
                record = record._replace(timestamp_ms=stream_time_ms)
            self.report_dead_letter(record, error, stream_time_ms)
        except (InvariantError, LogError, StoreError):
            raise
        except Exception as error:
            # One record must never stop a partition: it is set aside with its cause, and the next one is taken.
            _log.exception("processing %s/%d/%d failed", record.topic, record.partition, record.offset)
            self._state.drop_record()
            # The text of an unexpected error may quote arguments: it stays in the log of this machine.
            failure = RecordError(DeadLetterReason.PROCESSING_FAILED, type(error).__name__)
            self.report_dead_letter(record, failure, stream_time_ms)
        else:
            self._state.keep_record()
            for one in outgoing:
                self._emit(one)

    def fire(self, due_ms: int, payload: bytes, stream_time_ms: int) -> None:
        """Cancel a timer that is due, and process it."""
        try:
            self._state.cancel_timer(due_ms, payload)
            outgoing = self.placement.outgoing(self._processor.on_timer(payload, self._state, stream_time_ms))
        except (InvariantError, LogError, StoreError):
            raise
        except Exception as error:
            # The timer is cancelled anyway: one that always fails would hold up every later one.
            _log.exception("timer %r of partition %d failed", payload, self._partition)
            self._state.drop_record()
            self._state.cancel_timer(due_ms, payload)
            failed = self._processor.on_timer_failed(self._partition, due_ms, payload, error)
            outgoing = self.placement.outgoing(failed)
        self._state.keep_record()
        self.emit_all(outgoing)

    def report_dead_letter(self, record: Received, error: RecordError, stream_time_ms: int) -> None:
        """Write a record's dead letter, if its topic has any, and what the processor reports about it.

        Args:
            record: an input record of this partition, or a broadcast record.
            error: why it can't be processed.
            stream_time_ms: of this partition.
        """
        reported = self.placement.outgoing(self._processor.on_dead_letter(record, error, self._state, stream_time_ms))
        self._state.keep_record()
        if record.topic in self._with_dead_letters:
            letter = self._wire.dead_letter(record, str(error.reason), str(error)[:TEXT_CHARS_MAX])
            self._emit(replace(letter, note=DeadLettered(record.topic, str(error.reason))))
        self.emit_all(reported)

    def emit_outputs(self, outputs: list[Output]) -> None:
        """Write outputs.

        Raises:
            RecordError: one is larger than a topic takes.
        """
        self.emit_all(self.placement.outgoing(outputs))

    def emit_all(self, outgoing: list[Outgoing]) -> None:
        """Write records that were placed already."""
        for one in outgoing:
            self._emit(one)

    def _set_aside(self, record: Received, error: SetAsideError, stream_time_ms: int) -> None:
        """Keep what a record has changed, and write its outputs, although it becomes a dead letter."""
        try:
            outgoing = self.placement.outgoing(error.outputs)
        except RecordError as failure:
            self._state.drop_record()
            self.report_dead_letter(record, failure, stream_time_ms)
            return
        self._state.keep_record()
        self.emit_all(outgoing)
        self.report_dead_letter(record, error, stream_time_ms)
