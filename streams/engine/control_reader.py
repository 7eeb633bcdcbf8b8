"""Reading broadcast topics: to their end before the first verdict, and closely behind it ever after."""

from __future__ import annotations

import logging
from typing import NamedTuple

from streams.engine.settings import EngineSettings
from streams.engine.wire import ControlSink, Wire
from streams.model.errors import InvariantError, RecordError
from streams.model.reasons import DeadLetterReason
from streams.model.topics import REVOCATION
from streams.ports import Clock, LogError, Reader, Received, RetriableLogError, StoreError, TopicPartition
from streams.processors.control.state import ControlEvent

_log = logging.getLogger(__name__)
CONTROL_BATCH_RECORDS = 500
CONTROL_POLL_MS = 100
_PARTITION = 0
REPORTS_MAX = 1_000
"""Half of them are for what was refused: at a start with a long topic there is much that was taken long ago."""


class ControlReport(NamedTuple):
    """What the owner of partition 0 puts on record of a broadcast record.

    Attributes:
        record: it; None for an event that no single record has caused.
        error: why it could not be used: it becomes a dead letter.
        event: what became of it.
    """

    record: Received | None
    error: RecordError | None
    event: ControlEvent | None = None


class ControlReader:
    """Feeds a `ControlSink` and tells it when its state may be stale.

    State counts as current while everything that stood on the topics at most `control_stale_ms` ago has been read.

    Attributes:
        reports: what is to be put on record, oldest first; whoever does takes them out.
    """

    def __init__(
        self,
        *,
        reader: Reader,
        topics: tuple[str, ...],
        sink: ControlSink,
        wire: Wire,
        clock: Clock,
        settings: EngineSettings,
    ) -> None:
        self._reader = reader
        self._partitions = [TopicPartition(topic, _PARTITION) for topic in topics]
        self._sink = sink
        self._wire = wire
        self._clock = clock
        self._settings = settings
        self._targets: dict[TopicPartition, int] = {}
        self._targets_at_ms = 0
        self._confirmed_ms: int | None = None
        self._asked_ms: int | None = None
        self._awaited: dict[tuple[str, int], Received] = {}
        self.reports: list[ControlReport] = []

    @property
    def is_busy(self) -> bool:
        """Whether `poll` has something to do although nothing has come."""
        return self._sink.is_busy

    def read_to_end(self) -> None:
        """Read everything there is, and make it ready. Blocks; RetriableLogError when the log does not answer."""
        if not self._partitions:
            return
        self._reader.assign(dict.fromkeys(self._partitions, 0))
        self._read()
        self._note(self._sink.settle())
        # Compiling rules takes seconds, in which something may have been revoked.
        self._read()
        self._confirm()

    def poll(self) -> int:
        """Take in what has come, without waiting; the number of records."""
        if not self._partitions:
            return 0
        count = self._take_in(0)
        now_ms = self._clock.monotonic_ms()
        self._note(self._sink.advance(now_ms))
        if self._asked_ms is None or now_ms - self._asked_ms >= self._settings.control_check_ms:
            self._ask_quietly()
        # Where nothing is new, even a process that stood still for long knows at once that it is current.
        if self._targets and self._reached():
            self._confirm()
        confirmed_ms = self._confirmed_ms
        self._sink.stale = confirmed_ms is None or now_ms - confirmed_ms > self._settings.control_stale_ms
        return count

    def close(self) -> None:
        """Release the reader, and drop what is under way."""
        self._sink.close()
        self._reader.close()

    def memory(self) -> bytes | None:
        """What every partition is to remember of control state; the same object until it changes."""
        return self._sink.memory()

    def recall(self, memory: bytes) -> None:
        """What a partition remembered when it was taken over."""
        self._sink.recall(memory)

    def _read(self) -> None:
        self._ask()
        while not self._reached():
            self._take_in(CONTROL_POLL_MS)

    def _ask(self) -> None:
        self._asked_ms = self._clock.monotonic_ms()
        targets = self._reader.end_offsets(self._partitions)
        if not self._targets or self._reached():
            self._targets, self._targets_at_ms = targets, self._asked_ms

    def _ask_quietly(self) -> None:
        try:
            self._ask()
        except RetriableLogError as error:
            _log.warning("cannot tell whether control state is current: %s", error)

    def _reached(self) -> bool:
        return all(self._reader.position(partition) >= end for partition, end in self._targets.items())

    def _confirm(self) -> None:
        """All that stood there when the ends were asked for has been read."""
        self._confirmed_ms = self._targets_at_ms
        self._targets = {}
        self._sink.stale = False

    def _take_in(self, timeout_ms: int) -> int:
        records = self._reader.poll(CONTROL_BATCH_RECORDS, timeout_ms)
        for record in records:
            self._apply(record)
        if records:
            # Not all of a long topic at once: what waits to be told of holds its record.
            self._note(self._sink.take_events())
        if self._confirmed_ms is not None:
            self._tell_of_stops(records)
        return len(records)

    def _tell_of_stops(self, records: list[Received]) -> None:
        """Log how soon what was taken back is so here; of what came together the slowest. What stood there before the
        start is no news."""
        stops = [record for record in records if record.topic == REVOCATION.name and record.value is not None]
        if not stops:
            return
        latency_ms = max(0, self._clock.now_ms() - min(record.timestamp_ms for record in stops))
        fields = {
            "event": "stop_in_force",
            "count": len(stops),
            "offset": stops[-1].offset,
            "latency_ms": latency_ms,
        }
        text = "%d records of `%s` are in force here, %d ms after the first of them"
        _log.info(text, len(stops), REVOCATION.name, latency_ms, extra={"fields": fields})

    def _apply(self, record: Received) -> None:
        try:
            decoded = None if record.value is None else self._wire.decode(record.topic, record.value, record.headers)
            if self._sink.apply(record.topic, record.key, decoded, record.offset + 1):
                self._awaited[record.topic, record.offset] = record
        except RecordError as error:
            self._sink.block_unreadable(record.topic, record.key)
            _log.warning("%s/%d/%d is not usable: %s", record.topic, record.partition, record.offset, error)
            self._report(ControlReport(record, error))
        except (InvariantError, LogError, StoreError):
            raise
        except Exception as error:
            # One record must not stop every gate, and every restart of it.
            _log.exception("%s/%d/%d can't be taken in", record.topic, record.partition, record.offset)
            self._sink.block_unreadable(record.topic, record.key)
            failure = RecordError(DeadLetterReason.PROCESSING_FAILED, f"{type(error).__name__}: {error}")
            self._report(ControlReport(record, failure))

    def _note(self, events: list[ControlEvent]) -> None:
        for event in events:
            record = self._awaited.pop((event.topic, event.offset), None)
            if record is not None and event.error is not None:
                _log.warning("%s/%d/%d is refused: %s", record.topic, record.partition, record.offset, event.error)
            elif record is not None:
                record = record._replace(value=None)  # only a dead letter needs it, and it may be large
            self._report(ControlReport(record, event.error, event))

    def _report(self, report: ControlReport) -> None:
        room = REPORTS_MAX if report.error is not None else REPORTS_MAX // 2
        if len(self.reports) < room:
            self.reports.append(report)
