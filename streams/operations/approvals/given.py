"""What people have answered about calls, as gates have recorded it: an answer that did not count is not among it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from streams.codec.instants import format_instant
from streams.model.approval import GRANT_MADE, GRANT_USED, ApprovalDecision, ApprovalGrant, ApprovalStatus
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.types import Record
from streams.operations.approvals.bounds import grant_words

_APPROVED = ApprovalStatus.APPROVED.value.lower()


class Given(NamedTuple):
    """What a person has answered about one call, now or beforehand.

    Attributes:
        answer: `approved by ann`.
        time_ms: when a gate took the answer, or the grant for the call.
        scope: what was approved; empty for a denial.
    """

    answer: str
    time_ms: int
    scope: str


def is_answer(event: AuditEvent) -> bool:
    """Return whether the record says that a person has answered about a call, now or by an earlier grant."""
    return event.event_type is AuditEventType.APPROVAL and event.reason != GRANT_MADE


def answer_text(event: AuditEvent) -> str:
    """Return an answer in words: `approved by ann`."""
    by = event.act.sub
    return f"approved by a grant of {by}" if event.reason == GRANT_USED else f"{event.reason} by {by}"


def given_in(records: Iterable[Record]) -> dict[str, tuple[Given, ...]]:
    """Return what people have answered about the calls of a session, by intent, in the order of the records.

    Args:
        records: those of the session. What a grant approves is told from the decision that made it, or, if that can't
            be read, from what gates have recorded of it.
    """
    answers: list[AuditEvent] = []
    made: list[AuditEvent] = []
    granted: dict[str, ApprovalGrant] = {}
    for record in records:
        if isinstance(record, ApprovalDecision) and record.grant is not None:
            granted[record.header.id] = record.grant
        elif isinstance(record, AuditEvent) and record.event_type is AuditEventType.APPROVAL:
            (answers if is_answer(record) else made).append(record)
    by_decision = {event.parent_event_id: event for event in made}
    given: dict[str, list[Given]] = {}
    for event in answers:
        grant = by_decision.get(event.parent_event_id)
        own = given.setdefault(event.intent_id or "", [])
        own.append(Given(answer_text(event), event.header.time, _scope(event, grant, granted)))
    return {intent_id: tuple(dict.fromkeys(own)) for intent_id, own in given.items()}


def _scope(event: AuditEvent, made: AuditEvent | None, granted: dict[str, ApprovalGrant]) -> str:
    if event.reason not in (GRANT_USED, _APPROVED):
        return ""
    if made is None:
        return "what the grant approves is not on the log any more" if event.reason == GRANT_USED else "this call"
    grant = granted.get(made.parent_event_id or "")
    words = (made.reason_text or "") if grant is None else grant_words(grant)
    if event.reason == GRANT_USED:
        return f"{words} (granted {format_instant(made.header.time)})"
    return f"this call, and {words}"
