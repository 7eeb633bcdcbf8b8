"""Reads every record of one session that is on the log, in order of time, without those that gates have rejected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from streams.audit.content_officers import ContentOfficers
from streams.codec.avro import Codec
from streams.model.alert import Alert
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.content import USES_OF_CONTENT, key_name
from streams.model.intent import Intent
from streams.model.keys import session_key_of
from streams.model.revocation import Revocation
from streams.model.revocation_targets import session_target
from streams.model.session import COMPLETIONS, PROVEN_EVENTS, REPORTS, SessionEvent
from streams.model.topics import (
    ALERT,
    APPROVAL_DECISION,
    APPROVAL_REQUEST,
    AUDIT,
    AUDIT_REPORTED,
    CONTENT_ORDER,
    DELEGATION,
    INTENT,
    REPORT,
    REVOCATION,
    SESSION,
    VERDICT,
)
from streams.model.types import Record
from streams.model.verdict import Verdict
from streams.operations.contents.erased import SessionErasure, captured_of, erasure_of_session
from streams.operations.contents.orders import GivenOrder, read_orders
from streams.operations.topics.decoded import decoded
from streams.operations.topics.reader import hidden_topics, places_of_key, read_places_in_order
from streams.ports import Clock, Received
from streams.ports.open_log import Log

TOPICS = (
    SESSION,
    DELEGATION,
    REPORT,
    INTENT,
    # A gate judges at the instant of the answer, and asks at that of its verdict.
    APPROVAL_DECISION,
    VERDICT,
    APPROVAL_REQUEST,
    AUDIT,
    AUDIT_REPORTED,
    ALERT,
    REVOCATION,
)
"""What a session's story is told from; of one instant, in this order."""

_PROVEN = PROVEN_EVENTS | REPORTS
_REPORTABLE = frozenset(
    {AuditEventType.OUTCOME, AuditEventType.REFUSAL, AuditEventType.SESSION, AuditEventType.CONTENT}
)
"""What is believed of others than gates. Otherwise, whoever may report could hide and invent records."""
_RANK = {topic.name: rank for rank, topic in enumerate(TOPICS)}


class Line(NamedTuple):
    """A record and where it lies."""

    received: Received
    record: Record

    @property
    def place(self) -> str:
        """Topic, partition and offset."""
        return f"{self.received.topic}/{self.received.partition}/{self.received.offset}"


@dataclass(frozen=True)
class SessionRecords:
    """The records of a session. What is looked up is indexed once, because a session can have thousands of calls.

    Attributes:
        lines: in order of time.
        hidden: topics that this client may not read.
        erasures: the orders that have erased captured content, by the names of its keys (`key_name`).
    """

    tenant_uid: str
    session_id: str
    lines: Sequence[Line]
    hidden: frozenset[str]
    erasures: Mapping[str, GivenOrder] = field(default_factory=dict)

    def has_captured(self, owner_id: str) -> bool:
        """Return whether content of an event, or of an intent, was captured."""
        return owner_id in self._captured

    def erasure_of(self, owner_id: str) -> GivenOrder | None:
        """Return the order to erase the captured content of an event, or of an intent, whether it counts or not."""
        kid = self._captured.get(owner_id)
        return None if kid is None else self.erasures.get(key_name(self.tenant_uid, self.session_id, kid))

    def is_erased(self, intent_id: str) -> bool:
        """Return whether an order that counts has erased the content of an intent."""
        erasure = self._erasure
        return erasure is not None and erasure.of_call(intent_id, self._judged_ms.get(intent_id, 0)) is not None

    def of_intent(self, intent_id: str) -> list[Verdict]:
        """Return the different verdicts on an intent, in order."""
        return self._verdicts.get(intent_id, [])

    def intent(self, intent_id: str) -> Intent | None:
        """Return an intent; None if this client may not read it."""
        return self._intents.get(intent_id)

    def origin_of(self, event_id: str) -> str | None:
        """Return as what gates have counted something that was read; None if it was read after the last call."""
        return self._origins.get(event_id)

    def is_completed(self, intent_id: str | None) -> bool:
        """Return whether the executor of a call has reported how it ended."""
        return intent_id in self._completed

    def has_event(self, event_id: str) -> bool:
        """Return whether an event is among the records."""
        return event_id in self._event_ids

    def events(self) -> Iterator[SessionEvent]:
        """Yield the session's events."""
        yield from (record for _, record in self.lines if isinstance(record, SessionEvent))

    @cached_property
    def _erasure(self) -> SessionErasure | None:
        return erasure_of_session(self.erasures, self.tenant_uid, self.session_id, self._captured)

    @cached_property
    def _judged_ms(self) -> dict[str, int]:
        return {intent_id: verdicts[0].evaluated_at for intent_id, verdicts in self._verdicts.items()}

    @cached_property
    def _verdicts(self) -> dict[str, list[Verdict]]:
        found: dict[str, list[Verdict]] = {}
        for _, record in self.lines:
            if isinstance(record, Verdict) and record not in (own := found.setdefault(record.intent_id, [])):
                own.append(record)
        return found

    @cached_property
    def _captured(self) -> dict[str, str]:
        """The ids of keys by the event, or the intent, whose content they open."""
        found: dict[str, str] = {}
        for _, record in self.lines:
            place = captured_of(record) if isinstance(record, AuditEvent) else None
            if isinstance(record, AuditEvent) and place is not None and record.sensitive is not None:
                found[place[0]] = record.sensitive.kid
        return found

    @cached_property
    def _intents(self) -> dict[str, Intent]:
        found: dict[str, Intent] = {}
        for _, record in self.lines:
            if isinstance(record, Intent):
                found.setdefault(record.intent_id, record)
        return found

    @cached_property
    def _origins(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for _, record in self.lines:
            for influence in record.influences if isinstance(record, Verdict) else ():
                found.setdefault(influence.event_id, influence.origin.value.lower())
        return found

    @cached_property
    def _event_ids(self) -> frozenset[str]:
        return frozenset(event.header.id for event in self.events())

    @cached_property
    def _completed(self) -> frozenset[str | None]:
        return frozenset(event.intent_id for event in self.events() if event.type in COMPLETIONS)


def read_records(
    log: Log, codec: Codec, clock: Clock, tenant_uid: str, session_id: str, officers: ContentOfficers
) -> SessionRecords:
    """Return every record of a session. Blocking.

    Args:
        officers: whose orders to erase content count.

    Raises:
        TopicReadError: a topic is missing, or its end can't be reached.
        LogError: the log did not answer, or refused.
    """
    key = session_key_of(tenant_uid, session_id)
    names = [topic.name for topic in TOPICS]
    hidden = hidden_topics(log, names)
    lines: list[Line] = []
    target = session_target(tenant_uid, session_id)
    rejected: set[str] = set()
    for received in read_places_in_order(log, places_of_key(log, [n for n in names if n not in hidden], key), clock):
        is_own = received.key == key or received.topic in (ALERT.name, REVOCATION.name)
        record = decoded(codec, received) if is_own else None
        if record is None:
            continue
        if isinstance(record, Alert) and (record.header.tenant_uid, record.session_id) != (tenant_uid, session_id):
            continue
        if isinstance(record, Revocation) and record.id != target:
            continue
        if isinstance(record, AuditEvent):
            if received.topic == AUDIT_REPORTED.name and not _is_reportable(record):
                continue
            if record.event_type is AuditEventType.DEAD_LETTER:
                rejected.update(record.inputs)
        lines.append(Line(received, record))
    lines = [line for line in lines if not _is_rejected(line, rejected)]
    lines.sort(key=lambda line: (_time_of(line), _RANK[line.received.topic]))
    erasures: Mapping[str, GivenOrder] = {}
    if CONTENT_ORDER.name not in hidden and any(_has_content(line.record) for line in lines):
        erasures = read_orders(log, codec, clock, officers).erasures
    return SessionRecords(tenant_uid, session_id, lines, hidden, erasures)


def _has_content(record: Record) -> bool:
    return isinstance(record, AuditEvent) and captured_of(record) is not None


def _is_reportable(event: AuditEvent) -> bool:
    """Return whether an audit record counts that no gate has written."""
    if event.event_type is AuditEventType.CONTENT:
        return event.sensitive is None and event.reason in USES_OF_CONTENT
    return event.event_type in _REPORTABLE and event.sensitive is None


def _time_of(line: Line) -> int:
    """Return when something was decided, if a gate has recorded it, else when it came."""
    record = line.record
    if isinstance(record, Verdict):
        return record.evaluated_at
    if line.received.topic in (AUDIT.name, APPROVAL_REQUEST.name, ALERT.name):
        head = getattr(record, "header", None)
        return line.received.timestamp_ms if head is None else head.time
    return line.received.timestamp_ms


def _is_rejected(line: Line, rejected: set[str]) -> bool:
    record = line.record
    is_unproven = isinstance(record, SessionEvent) and record.type in _PROVEN and record.proof is None
    return is_unproven or line.place in rejected
