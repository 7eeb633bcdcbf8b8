"""Reads advisory topics: what a processor uses if it is there, and never waits for.

**Idea.** Control topics decide, so a worker that does not know that it has read them to their ends decides nothing. An
advisory topic only adds to what is known: the worker reads what has come, and goes on. So its reader is one of its own.
Whatever is wrong with the topic (it does not exist, this client may not read it, a writer died in a transaction, its
broker is away, a record can't be read) concerns that reader alone. It is closed, and opened again later.

How far an advisory topic had been read makes a difference to what is decided, like the control topics. Whoever uses it
must write the offset into what it decides, or no replay comes to the same result (ADR 0082).

**Rejected.** The reader of the control topics, with the advisory topics left out of what must have been read: one right
that is missing, or one topic, would then hold up the stops.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from streams.engine.broadcast_reader import BATCH_RECORDS, BroadcastReport
from streams.model.errors import InvariantError, RecordError
from streams.model.reasons import DeadLetterReason
from streams.ports import Clock, LogError, Reader, Received, StoreError, TopicPartition
from streams.ports.processor import BroadcastSink
from streams.ports.wire import Wire

_log = logging.getLogger(__name__)
RETRY_MS = 10_000
"""How long after a failure an advisory topic is tried again."""
_PARTITION = 0


class AdvisoryReader:
    """Feeds a `BroadcastSink` with what has come on advisory topics. Nothing about them stops the worker.

    Attributes:
        newest: by topic, the next offset to be read, and the broker time of the newest record that was read.
    """

    def __init__(
        self,
        *,
        open_reader: Callable[[], Reader],
        topics: Sequence[str],
        sink: BroadcastSink,
        wire: Wire,
        clock: Clock,
        report: Callable[[BroadcastReport], None],
    ) -> None:
        """Create it; it opens a reader of its own when it is first polled.

        Args:
            open_reader: opens a reader.
            topics: the topics, which have one partition each.
            sink: what applies the records.
            wire: decodes them.
            clock: says when to try again.
            report: takes a record that could not be used: it becomes a dead letter.
        """
        self._open_reader = open_reader
        self._topics = tuple(topics)
        self._sink = sink
        self._wire = wire
        self._clock = clock
        self._report = report
        self._reader: Reader | None = None
        self._retry_ms = clock.monotonic_ms()
        self._is_failing = False
        self.newest: dict[str, tuple[int, int]] = {}

    def poll(self) -> None:
        """Apply what has come, without waiting."""
        try:
            if self._reader is None:
                if self._clock.monotonic_ms() < self._retry_ms:
                    return
                self._reader = self._open_reader()
                self._reader.assign(self._positions())
            for record in self._reader.poll(BATCH_RECORDS, 0):
                self._apply(record)
            self._is_failing = False
        except LogError as error:
            if not self._is_failing:
                topics = ", ".join(f"`{topic}`" for topic in self._topics)
                _log.warning("%s can't be read, deciding without what is new there: %s", topics, error)
            self._is_failing = True
            self._retry_ms = self._clock.monotonic_ms() + RETRY_MS
            self.close()

    def close(self) -> None:
        """Release the reader."""
        reader, self._reader = self._reader, None
        if reader is not None:
            try:
                reader.close()
            except LogError as error:
                _log.warning("a reader of advisory topics can't be closed: %s", error)

    def _positions(self) -> dict[TopicPartition, int]:
        return {TopicPartition(topic, _PARTITION): self.newest.get(topic, (0, 0))[0] for topic in self._topics}

    def _apply(self, record: Received) -> None:
        try:
            decoded = None if record.value is None else self._wire.decode(record.topic, record.value, record.headers)
            self._sink.apply(record.topic, record.key, decoded, record.offset + 1, record.timestamp_ms)
        except RecordError as error:
            _log.warning("%s/%d/%d can't be used: %s", record.topic, record.partition, record.offset, error)
            self._report(BroadcastReport(record, error))
        except (InvariantError, StoreError, LogError):
            raise
        except Exception as error:
            _log.exception("processing %s/%d/%d failed", record.topic, record.partition, record.offset)
            failure = RecordError(DeadLetterReason.PROCESSING_FAILED, type(error).__name__)
            self._report(BroadcastReport(record, failure))
        self.newest[record.topic] = (record.offset + 1, record.timestamp_ms)
