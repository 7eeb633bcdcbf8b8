"""Reads broadcast topics: to their end before the first decision, and closely behind it ever after."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

from streams.engine.settings import EngineSettings
from streams.model.errors import InvariantError, RecordError
from streams.model.reasons import DeadLetterReason
from streams.ports import Clock, LogError, Reader, Received, RetriableLogError, StoreError, TopicPartition
from streams.ports.processor import BroadcastEvent, BroadcastSink
from streams.ports.wire import Wire

_log = logging.getLogger(__name__)
BATCH_RECORDS = 500
POLL_MS = 100
_PARTITION = 0
REPORTS_MAX = 1_000
"""Half of them are for what was refused: at a start with a long topic there is much that was accepted long ago."""
ADVISORY_REPORTS_MAX = REPORTS_MAX // 4
"""How far records of advisory topics may fill it: who writes there must not keep stops from being reported."""


class BroadcastReport(NamedTuple):
    """A broadcast record that the owner of partition 0 reports.

    Attributes:
        record: the record; None for an event that no single record has caused.
        error: why it could not be used: it becomes a dead letter.
        event: the outcome.
    """

    record: Received | None
    error: RecordError | None
    event: BroadcastEvent | None = None


class BroadcastReader:
    """Feeds a `BroadcastSink`, and tells it when what it holds may be stale.

    It is current while everything that stood on the topics at most `control_stale_ms` ago has been read.

    Attributes:
        reports: what is to be reported, oldest first; whoever reports removes it.
        newest: by topic, the next offset to be read, and the broker time of the newest record that was read.
    """

    def __init__(
        self,
        *,
        reader: Reader,
        topics: Sequence[str],
        sink: BroadcastSink,
        wire: Wire,
        clock: Clock,
        settings: EngineSettings,
    ) -> None:
        """Create a reader of `topics`, which have one partition each; it closes `reader` and `sink`."""
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
        self._looking_since_ms: int | None = None
        self._awaited: dict[tuple[str, int], Received] = {}
        self.reports: list[BroadcastReport] = []
        self.newest: dict[str, tuple[int, int]] = {}

    @property
    def confirmed_ms(self) -> int | None:
        """When what was read is known to have been all, by the clock that never goes back; None if it never was."""
        return self._confirmed_ms

    def read_to_end(self) -> None:
        """Read everything there is, and make it ready. Blocks.

        Raises:
            RetriableLogError: the log does not answer.
        """
        self._reader.assign(dict.fromkeys(self._partitions, 0))
        self._read()
        self._note(self._sink.settle())
        # To settle may take seconds (rules are compiled), in which something may have been revoked.
        self._read()
        self._confirm()

    def poll(self) -> int:
        """Apply what has come, without waiting.

        Returns:
            The number of records.
        """
        count = self._take_in(0)
        now_ms = self._clock.monotonic_ms()
        self._note(self._sink.advance(now_ms))
        self._look_for_ends(now_ms)
        # Where nothing is new, even a process that stood still for long knows at once that it is current.
        if self._targets and self._reached():
            self._confirm()
        self._sink.stale = self._is_stale(now_ms)
        return count

    def close(self) -> None:
        """Release the reader, and drop what is under way."""
        self._sink.close()
        self._reader.close()

    def _read(self) -> None:
        self._ask()
        while not self._reached():
            self._take_in(POLL_MS)

    def _ask(self) -> None:
        self._asked_ms = self._clock.monotonic_ms()
        self._aim_at(self._reader.end_offsets(self._partitions), self._asked_ms)

    def _aim_at(self, ends: dict[TopicPartition, int], asked_ms: int) -> None:
        """Note how far is to be read. An answer that comes later than one to a later question is of no use."""
        if asked_ms >= self._targets_at_ms and (not self._targets or self._reached()):
            self._targets, self._targets_at_ms = ends, asked_ms

    def _look_for_ends(self, now_ms: int) -> None:
        """Ask for the ends once in a while, and take the answer when it comes.

        While a broker is away, the answer takes seconds, in which partitions would stand still. It is waited for only
        if what is held is stale, since nothing can be decided before it comes.
        """
        is_due = self._asked_ms is None or now_ms - self._asked_ms >= self._settings.control_check_ms
        try:
            if is_due and self._is_stale(now_ms):
                self._ask()
            elif is_due or self._looking_since_ms is not None:
                self._look(now_ms)
        except RetriableLogError as error:
            _log.warning("cannot tell whether what was broadcast has been read: %s", error)

    def _look(self, now_ms: int) -> None:
        if self._looking_since_ms is None:
            self._looking_since_ms = self._asked_ms = now_ms
        try:
            ends = self._reader.look_for_ends(self._partitions)
        except LogError:
            self._looking_since_ms = None
            raise
        if ends is not None:
            since_ms, self._looking_since_ms = self._looking_since_ms, None
            self._aim_at(ends, since_ms)

    def _is_stale(self, now_ms: int) -> bool:
        confirmed_ms = self._confirmed_ms
        return confirmed_ms is None or now_ms - confirmed_ms > self._settings.control_stale_ms

    def _reached(self) -> bool:
        return all(self._reader.position(partition) >= end for partition, end in self._targets.items())

    def _confirm(self) -> None:
        """Note that all that stood there when the ends were asked for has been read."""
        self._confirmed_ms = self._targets_at_ms
        self._targets = {}
        self._sink.stale = False

    def _take_in(self, timeout_ms: int) -> int:
        records = self._reader.poll(BATCH_RECORDS, timeout_ms)
        if not records:
            return 0
        for record in records:
            self._apply(record)
            self.newest[record.topic] = (record.offset + 1, record.timestamp_ms)
        # After each batch of a long topic, as a record is held until its event is known.
        self._note(self._sink.take_events())
        # Only records that were written since the start.
        if self._confirmed_ms is not None:
            self._sink.on_applied(records, self._clock.now_ms())
        return len(records)

    def _apply(self, record: Received) -> None:
        try:
            decoded = None if record.value is None else self._wire.decode(record.topic, record.value, record.headers)
            if self._sink.apply(record.topic, record.key, decoded, record.offset + 1, record.timestamp_ms):
                self._awaited[record.topic, record.offset] = record
        except RecordError as error:
            self._sink.block_unreadable(record.topic, record.key)
            _log.warning("%s/%d/%d can't be used: %s", record.topic, record.partition, record.offset, error)
            self._report(BroadcastReport(record, error))
        except (InvariantError, LogError, StoreError):
            raise
        except Exception as error:
            # One record must not stop every instance, and every restart of it.
            _log.exception("processing %s/%d/%d failed", record.topic, record.partition, record.offset)
            self._sink.block_unreadable(record.topic, record.key)
            failure = RecordError(DeadLetterReason.PROCESSING_FAILED, f"{type(error).__name__}: {error}")
            self._report(BroadcastReport(record, failure))

    def _note(self, events: Sequence[BroadcastEvent]) -> None:
        for event in events:
            record = self._awaited.pop((event.topic, event.offset), None)
            if record is not None and event.error is not None:
                _log.warning("%s/%d/%d is rejected: %s", record.topic, record.partition, record.offset, event.error)
            elif record is not None:
                record = record._replace(value=None)  # only a dead letter needs it, and it may be large
            self._report(BroadcastReport(record, event.error, event))

    def report_advisory(self, report: BroadcastReport) -> None:
        """Keep what is to be reported about a record of an advisory topic, if there is much room."""
        if len(self.reports) < ADVISORY_REPORTS_MAX:
            self.reports.append(report)

    def _report(self, report: BroadcastReport) -> None:
        room = REPORTS_MAX if report.error is not None else REPORTS_MAX // 2
        if len(self.reports) < room:
            self.reports.append(report)
