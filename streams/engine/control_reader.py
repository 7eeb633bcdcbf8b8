"""Reading broadcast topics: to their end before the first verdict, and closely behind it ever after."""

from __future__ import annotations

import logging
from typing import NamedTuple

from streams.engine.settings import EngineSettings
from streams.engine.wire import ControlSink, Wire
from streams.model.errors import RecordError
from streams.ports import Clock, Reader, Received, RetriableLogError, TopicPartition

_log = logging.getLogger(__name__)
CONTROL_BATCH_RECORDS = 500
CONTROL_POLL_MS = 100
_PARTITION = 0
REPORTS_MAX = 1_000


class ControlReport(NamedTuple):
    """A broadcast record that could not be used; the owner of partition 0 makes a dead letter of it."""

    record: Received
    error: RecordError


class ControlReader:
    """Feeds a `ControlSink` and tells it when its state may be stale.

    State counts as current while everything that stood on the topics at most `control_stale_ms` ago has been read.

    Attributes:
        reports: records that could not be used, oldest first; whoever reports them takes them out.
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
        self.reports: list[ControlReport] = []

    def read_to_end(self) -> None:
        """Read everything there is. Blocks; raises RetriableLogError when the log does not answer."""
        if not self._partitions:
            return
        self._reader.assign(dict.fromkeys(self._partitions, 0))
        self._ask()
        while not self._reached():
            self._take_in(CONTROL_POLL_MS)
        self._confirm()

    def poll(self) -> int:
        """Take in what has come, without waiting; the number of records."""
        if not self._partitions:
            return 0
        count = self._take_in(0)
        now_ms = self._clock.monotonic_ms()
        if self._asked_ms is None or now_ms - self._asked_ms >= self._settings.control_check_ms:
            self._ask_quietly()
        # Where nothing is new, even a process that stood still for long knows at once that it is current.
        if self._targets and self._reached():
            self._confirm()
        confirmed_ms = self._confirmed_ms
        self._sink.stale = confirmed_ms is None or now_ms - confirmed_ms > self._settings.control_stale_ms
        return count

    def close(self) -> None:
        """Release the reader."""
        self._reader.close()

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
        return len(records)

    def _apply(self, record: Received) -> None:
        try:
            decoded = None if record.value is None else self._wire.decode(record.topic, record.value, record.headers)
            self._sink.apply(record.topic, record.key, decoded, record.offset + 1)
        except RecordError as error:
            self._sink.block_unreadable(record.topic, record.key)
            _log.warning("%s/%d/%d is not usable: %s", record.topic, record.partition, record.offset, error)
            if len(self.reports) < REPORTS_MAX:
                self.reports.append(ControlReport(record, error))
