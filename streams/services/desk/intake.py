"""Reads alerts and statuses, and keeps what is to be delivered because of them.

The log itself is the queue: how far it is read is in the same file as what follows from it, and both change in one
transaction. A log that does not answer costs nothing, and delays no delivery.

An alert that can't be read, or that the desk fails on, goes to the dead-letter topic, and an audit record reports it.
Both are stored before the desk reads on. A status counts only if somebody has signed it who may handle the alert:
otherwise, whoever can write its topic could end an escalation. The watch makes a dead letter of one that does not
count.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial

from streams.audit.alert_handlers import AlertHandlers
from streams.codec.deadletter import dead_letter
from streams.codec.instants import format_instant
from streams.desk.desk import Desk
from streams.desk.messages import Delivery
from streams.desk.rows import State, StatusChange
from streams.metrics.health import Health, hanging
from streams.model.alert import Alert
from streams.model.alert_status import CLOSED, OCSF_STATUS, AlertStatus
from streams.model.errors import RecordError
from streams.model.plurals import many
from streams.model.proof import derived_uuid
from streams.model.reasons import CONTROL_TEXTS, ControlReason, DeadLetterReason
from streams.model.topics import ALERT, ALERT_STATUS, AUDIT_REPORTED, Topic
from streams.model.types import Record
from streams.ports import LogError, Reader, Received, RetriableLogError, TopicPartition, UnansweredError
from streams.processors.audit import dead_letter_event, desk_event
from streams.sdk.connection.single_records import outgoing
from streams.sdk.connection.transport import Transport
from streams.services.desk.errors import DeskError
from streams.services.desk.store import DeskStore, Position
from streams.services.retrying import RetryingThread
from streams.services.sending import Backoff

SOURCE = "stoplog-desk"
POLL_MS = 500
POLL_RECORDS_MAX = 200
PAUSE_MS_MAX = 1_000
"""How long nothing is escalated while the log does not answer."""
NOTE_MS = 2_000
FAILURES_MAX = 3
"""After how many failures one after the other the desk is not ready any more."""
STORE_MS_MAX = 30_000
KEEP_MS = 30 * 86_400_000
"""How long findings and incidents are remembered that are not heard of, and messages that were set aside: as long as
the topic keeps alerts."""
TOPICS: tuple[Topic, ...] = (ALERT, ALERT_STATUS)
NOT_READ = "the log: not all alerts are read"
NOT_TIMELY = "the desk: what is due is not escalated"
_TEXT_CHARS_MAX = 500
_MS_PER_S = 1_000

_log = logging.getLogger(__name__)

Count = Callable[[str], None]


def check_topics(transport: Transport) -> None:
    """Check that there are the topics that the desk reads and writes. A log that does not answer is waited for later.

    Raises:
        LogError: there is none of that name, or this client may not see it.
    """
    for name in (*(topic.name for topic in TOPICS), ALERT.dlq, AUDIT_REPORTED.name):
        try:
            transport.partitions(name)
        except (RetriableLogError, UnansweredError) as error:
            _log.warning("the log does not answer: %s", error)
            return


class Intake(RetryingThread):
    """Reads in a thread of its own."""

    faults = (LogError, DeskError)

    def __init__(
        self,
        desk: Desk,
        store: DeskStore,
        transport: Transport,
        backoff: Backoff,
        handlers: AlertHandlers,
        *,
        first_start_ms: int,
        monotonic_ms: Callable[[], int],
        count: Count,
        tell: Callable[[], None],
        note: Callable[[], None],
    ) -> None:
        """Prepare, without starting the thread.

        Args:
            desk: decides.
            store: keeps.
            transport: the log.
            backoff: the pauses after a fault of the log or of the file.
            handlers: whose statuses count.
            first_start_ms: how old alerts may be where there is no position yet.
            monotonic_ms: a clock that never goes back, for health.
            count: is called with the outcome of each record: `taken`, `old`, `unproven` or `rejected`.
            tell: is called when there may be something to deliver.
            note: is called every now and then, to measure what waits.
        """
        super().__init__("stoplog-desk-intake")
        self._desk = desk
        self._store = store
        self._transport = transport
        self._backoff = backoff
        self._handlers = handlers
        self._first_start_ms = first_start_ms
        self._monotonic_ms = monotonic_ms
        self._count = count
        self._tell = tell
        self._note = note
        self._noted_ms: int | None = None
        self._turned_ms: int | None = None
        self._has_caught_up = False
        self._read_failures = 0
        self._time_failures = 0
        self._known: Mapping[TopicPartition, Position] = {}

    def start(self) -> None:
        """Start the thread."""
        self._turned_ms = self._monotonic_ms()
        super().start()

    def health(self) -> Health:
        """Return whether the thread turns, has read all alerts since it started, and still can. Thread-safe."""
        hangs = hanging("desk", self._turned_ms, self._monotonic_ms())
        is_read = self._has_caught_up and self._read_failures < FAILURES_MAX
        is_timely = self._time_failures < FAILURES_MAX
        return Health(hangs, (*(() if is_read else (NOT_READ,)), *(() if is_timely else (NOT_TIMELY,))))

    @property
    def _trouble(self) -> str:
        return "alerts are not read"

    def _work(self) -> None:
        with closing(self._transport.reader()) as reader:
            self._follow(reader)

    def _delay_ms(self, *, is_known: bool) -> int:
        del is_known
        self._read_failures += 1
        return self._backoff.take_ms()

    def _pause(self, pause_ms: int) -> None:
        """Wait before alerts are read again. What is due meanwhile is escalated anyway."""
        while True:
            try:
                self.take(())
                self._turned()
            except Exception:
                _log.exception("what is due is not escalated")
            wait_ms = min(pause_ms, PAUSE_MS_MAX)
            pause_ms -= wait_ms
            if self._stop.wait(wait_ms / _MS_PER_S) or pause_ms <= 0:
                return

    def _follow(self, reader: Reader) -> None:
        positions = self._positions()
        reader.assign(positions)
        while not self._stop.is_set():
            received = reader.poll(POLL_RECORDS_MAX, POLL_MS)
            self.take(received)
            self._report_full()
            self._turned()
            self._read_failures = 0
            self._backoff.reset()
            if not received and all(reader.lag(place) is not None for place in positions):
                # An empty answer of all partitions: there is nothing more to read.
                self._has_caught_up = True

    def _turned(self) -> None:
        self._turned_ms = self._monotonic_ms()
        if self._noted_ms is None or self._turned_ms - self._noted_ms >= NOTE_MS:
            self._noted_ms = self._turned_ms
            self._note()

    def _positions(self) -> Mapping[TopicPartition, int]:
        """Return where to read on. A partition without a position is read from its beginning, without what is old."""
        places = [
            TopicPartition(topic.name, number)
            for topic in TOPICS
            for number in range(self._transport.partitions(topic.name))
        ]
        known = self._store.positions()
        for place in places:
            if place not in known:
                self._store.begin(place, self._transport.now_ms() - self._first_start_ms)
        self._known = self._store.positions()
        return {place: self._known[place].next_offset for place in places}

    def take(self, received: Sequence[Received]) -> None:
        """Take records, and let time pass: all in one transaction.

        Raises:
            DeskError: the file can't be used.
            LogError: a dead letter could not be stored.
        """
        now_ms = self._transport.now_ms()
        read = [(each, self._decoded(each)) for each in received]
        deliveries: list[Delivery] = []
        with self._store.transaction():
            failures = self._time_failures
            # Before the records, which may be about the same incidents.
            owed = self._timely(self._tell_owed, now_ms)
            for each, record in read:
                deliveries += self._taken(each, record, now_ms)
            deliveries += self._timely(partial(self._desk.on_time, self._store), now_ms)
            self._time_failures = 0 if self._time_failures == failures else failures + 1
            self._store.outbox.add(deliveries)
            self._store.purge(now_ms - KEEP_MS)
            self._store.note_positions(
                {TopicPartition(each.topic, each.partition): each.offset + 1 for each in received}
            )
        if deliveries or owed:
            self._tell()

    def _tell_owed(self, now_ms: int) -> list[Delivery]:
        """Keep messages for sinks that have room again, about incidents for which there was none."""
        told: list[Delivery] = []
        for each in self._store.outbox.owed():
            messages = self._desk.told_late(self._store, each.incident, each.kinds, now_ms)
            told += self._store.outbox.tell_owed(each, messages)
        return told

    def _report_full(self) -> None:
        """Put on the record for which sinks messages are left out, and that this is over.

        Raises:
            LogError: an audit record is not known to be stored. It is stored later.
            DeskError: the file can't be used.
        """
        for full in self._store.outbox.full_sinks():
            if full.is_reported and not full.is_over:
                continue
            reason = ControlReason.SINK_CAUGHT_UP if full.is_over else ControlReason.SINK_FULL
            text = f"sink `{full.sink}`: {CONTROL_TEXTS[reason]}"
            if full.is_over:
                text += f"; {many(full.left_out_count, 'message')} left out since {format_instant(full.since_ms)}"
            record_id = derived_uuid("desk sink", full.sink, reason, str(full.since_ms))
            event = desk_event(record_id, SOURCE, self._transport.now_ms(), full.sink, reason, text)
            audit = outgoing(self._transport, AUDIT_REPORTED, full.sink.encode(), event, event.header)
            self._transport.store([audit], STORE_MS_MAX)
            with self._store.transaction():
                self._store.outbox.note_reported(full)
            _log.warning("%s", text)

    def _timely(self, step: Callable[[int], list[Delivery]], now_ms: int) -> list[Delivery]:
        """Take a step that no record leads to, and return what it tells people. If it fails, alerts are read anyway."""
        try:
            with self._store.savepoint():
                return step(now_ms)
        except Exception:
            self._time_failures += 1
            _log.exception("what is due is not escalated")
            return []

    def _decoded(self, received: Received) -> Record | None:
        """Return a record; None if it can't be read, and its dead letter is stored."""
        try:
            return self._transport.codec.decode(received.topic, received.value, received.headers)
        except RecordError as error:
            if received.topic == ALERT.name:
                self._reject(received, str(error.reason), str(error))
            else:
                self._count("unproven")
                _log.warning("status %d/%d can't be read: %s", received.partition, received.offset, error)
            return None

    def _taken(self, received: Received, record: Record | None, now_ms: int) -> list[Delivery]:
        if record is None:
            return []
        place = TopicPartition(received.topic, received.partition)
        if place in self._known and received.timestamp_ms < self._known[place].oldest_ms:
            self._count("old")
            return []
        try:
            with self._store.savepoint():
                deliveries = self._decided(received, record, now_ms)
        except RecordError as error:
            self._count("unproven")
            _log.warning("a status does not count: %s", error)
            return []
        except Exception as error:
            if received.topic != ALERT.name:
                raise
            _log.exception("%s/%d/%d could not be taken", received.topic, received.partition, received.offset)
            self._reject(received, DeadLetterReason.PROCESSING_FAILED, f"{type(error).__name__} in the desk")
            return []
        self._count("taken")
        return deliveries

    def _decided(self, received: Received, record: Record, now_ms: int) -> list[Delivery]:
        """Raises:
        RecordError: it is a status that does not count.
        """
        if isinstance(record, Alert):
            return self._desk.on_alert(self._store, record, now_ms)
        if isinstance(record, AlertStatus):
            self._handlers.check(record, received.key, received.timestamp_ms)
            if record.announced is not None:
                # It is about no alert.
                return []
            return self._desk.on_status(self._store, _change_of(record, received.timestamp_ms), now_ms)
        return []

    def _reject(self, received: Received, reason: str, text: str) -> None:
        """Store the dead letter of a record, and the audit record about it.

        Raises:
            LogError: they are not known to be stored.
        """
        place = f"{received.topic}/{received.partition}/{received.offset}"
        record_id = derived_uuid("desk dead letter", place)
        said = text[:_TEXT_CHARS_MAX]
        event = dead_letter_event(
            record_id, SOURCE, "", "", received.timestamp_ms, place=place, reason=reason, text=said
        )
        letter = dead_letter(received, reason, text, SOURCE)
        audit = outgoing(self._transport, AUDIT_REPORTED, received.topic.encode(), event, event.header)
        self._transport.store([letter, audit], STORE_MS_MAX)
        self._count("rejected")
        _log.error("%s can't be read (%s): it is in `%s`", place, reason, letter.topic)


def _change_of(status: AlertStatus, appended_ms: int) -> StatusChange:
    return StatusChange(
        finding_uid=status.finding_uid,
        tenant=status.header.tenant_uid,
        dedup_key=status.dedup_key,
        state=State.CLOSED if status.status in CLOSED else State.ACKNOWLEDGED,
        word=OCSF_STATUS[status.status].detail,
        by=status.by_user,
        why=status.reason,
        changed_ms=appended_ms,
        uid=status.header.id,
    )
