"""Intents that wait: for their session to appear, for a person, or for a cancel window to pass."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

import msgspec

from streams.model.approval import ApprovalDecision, ApprovalStatus
from streams.model.errors import RecordError
from streams.model.ids import approval_task_id
from streams.model.intent import Intent
from streams.model.reasons import DeadLetterReason, Reason
from streams.model.types import SubProfile, same_person
from streams.ports.processor import Output, StateView
from streams.processors.gate.case import Case, deny
from streams.processors.gate.facts import ApprovalProgress
from streams.processors.gate.isolation import isolated
from streams.processors.gate.judge import Judge, defer, release
from streams.processors.gate.settings import GateSettings
from streams.processors.sessions import retention
from streams.processors.state import (
    PendingKind,
    PendingRow,
    decode_intent,
    decode_pending,
    encode_intent,
    encode_row,
    pending_row_key,
    read_session,
    rows_of_session,
    session_row_key,
)

_log = logging.getLogger(__name__)
replace = msgspec.structs.replace

DECISIONS_MAX = 256
"""That count for one intent."""

APPROVER_CHARS_MAX = 1_024
PENDING_BYTES_MAX = 524_288
"""Of an intent that is parked. Its verdict will be about as large, and must fit into a record for certain: it is
written along with the event that the session begins with, which must not fail for it."""


def defer_for_session(case: Case, state: StateView, settings: GateSettings) -> None:
    """Keep an intent whose session is not known yet: the two travel on different topics.

    Raises:
        RecordError: it is larger than anything that waits may be.
    """
    intent, session = case.intent, case.session
    row = encode_intent(intent)
    if len(row) > PENDING_BYTES_MAX:
        text = f"intent `{intent.intent_id}` of {len(row)} bytes cannot wait for its session: over {PENDING_BYTES_MAX}"
        raise RecordError(DeadLetterReason.RECORD_TOO_LARGE, text)
    pending_row = PendingRow(
        kind=PendingKind.SESSION,
        intent=row,
        received_ms=case.received_ms,
        due_ms=case.now_ms + settings.join_grace_ms,
        order=session.pending_serial,
        since_ms=case.now_ms,
    )
    after = defer(case.session_key, intent.intent_id, pending_row, session, state)
    after = retention.arm(case.session_key, after, state, settings, case.now_ms)
    state.put(session_row_key(case.session_key), encode_row(after))


def release_for_session(judge: Judge, session_key: bytes, state: StateView, now_ms: int) -> list[Output]:
    """The session has appeared: judge what waited for it, in log order."""

    def judged(pending_row: PendingRow) -> list[Output]:
        return judge.decide(_resume(session_key, decode_intent(pending_row.intent), pending_row, state, now_ms), state)

    waiting = [pending_row for pending_row in _waiting(session_key, state) if pending_row.kind is PendingKind.SESSION]
    return _each(judged, waiting, session_key, state)


def end_pending(judge: Judge, session_key: bytes, reason: Reason, state: StateView, now_ms: int) -> list[Output]:
    """The session is over: so is all that waits in it, in log order."""

    def denied(pending_row: PendingRow) -> list[Output]:
        return end_one(judge, session_key, pending_row, reason, state, now_ms)

    return _each(denied, _waiting(session_key, state), session_key, state)


def end_one(
    judge: Judge, session_key: bytes, pending_row: PendingRow, reason: Reason, state: StateView, now_ms: int
) -> list[Output]:
    """Deny a held intent for good, whatever it waits for."""
    case = _resume(session_key, decode_intent(pending_row.intent), pending_row, state, now_ms)
    if pending_row.kind is PendingKind.SESSION:
        # The rules have never had it before them.
        return judge.conclude(case, deny(reason), state)
    return judge.refuse(case, reason, state, _progress(pending_row))


def on_due(judge: Judge, session_key: bytes, intent_id: str, state: StateView, now_ms: int) -> list[Output]:
    """A held intent's time is up."""
    found = state.get(pending_row_key(session_key, intent_id))
    if found is None:
        return []
    pending_row = decode_pending(found)
    case = _resume(session_key, decode_intent(pending_row.intent), pending_row, state, now_ms)
    if pending_row.kind is PendingKind.APPROVAL:
        return judge.refuse(case, Reason.APPROVAL_EXPIRED, state)
    if pending_row.kind is PendingKind.BUDGET:
        return judge.refuse(case, Reason.BUDGET_UNAVAILABLE, state, _progress(pending_row))
    if pending_row.kind is PendingKind.CANCEL_WINDOW:
        return judge.decide(case, state, ApprovalProgress(pending_row.granted_by, now_ms - pending_row.since_ms))
    return judge.decide(case, state)


def on_budget(judge: Judge, session_key: bytes, intent_id: str, state: StateView, now_ms: int) -> list[Output]:
    """What an intent has waited for of a budget has been answered: judge it again, on the state of now."""
    found = state.get(pending_row_key(session_key, intent_id))
    pending_row = None if found is None else decode_pending(found)
    if pending_row is None or pending_row.kind is not PendingKind.BUDGET:
        return []
    case = _resume(session_key, decode_intent(pending_row.intent), pending_row, state, now_ms)
    case.budget_due_ms = pending_row.due_ms
    return judge.decide(case, state, _progress(pending_row))


def _progress(pending_row: PendingRow) -> ApprovalProgress:
    """What an intent that waited for a budget has been through."""
    return ApprovalProgress(pending_row.granted_by, pending_row.waited_ms, pending_row.groups or None)


def on_decision(
    judge: Judge, session_key: bytes, decision: ApprovalDecision, state: StateView, now_ms: int
) -> list[Output]:
    """A person has decided about a held intent.

    Raises:
        RecordError: nothing waits for it, or the decision does not count.
    """
    found = state.get(pending_row_key(session_key, decision.intent_id))
    pending_row = None if found is None else decode_pending(found)
    if pending_row is None or pending_row.kind in (PendingKind.SESSION, PendingKind.BUDGET):
        text = f"no decision is awaited about intent `{decision.intent_id}`"
        raise RecordError(DeadLetterReason.APPROVAL_NOT_AWAITED, text)
    intent = decode_intent(pending_row.intent)
    _check_decision(decision, pending_row, intent, now_ms)
    if decision.status in (ApprovalStatus.DENIED, ApprovalStatus.CANCELLED):
        case = _resume(session_key, intent, pending_row, state, now_ms)
        reason = Reason.APPROVAL_DENIED if pending_row.kind is PendingKind.APPROVAL else Reason.DEFERRAL_CANCELLED
        record = judge.writer.decision_record(case, decision, counted=True)
        return [record, *judge.refuse(case, reason, state)]
    approvals = tuple(sorted({*pending_row.approvals, same_person(decision.approver.sub)}))
    pending_row = replace(
        pending_row, approvals=approvals, decision_ids=(*pending_row.decision_ids, decision.header.id)
    )
    if len(pending_row.decision_ids) > DECISIONS_MAX:
        text = f"{DECISIONS_MAX} decisions have counted for intent `{intent.intent_id}` already"
        raise RecordError(DeadLetterReason.APPROVAL_NOT_VALID, text)
    if len(approvals) < pending_row.quorum:
        state.put(pending_row_key(session_key, intent.intent_id), encode_row(pending_row))
        case = Case(intent, session_key, now_ms, pending_row.received_ms, read_session(state, session_key))
        return [judge.writer.decision_record(case, decision, counted=False)]
    case = _resume(session_key, intent, pending_row, state, now_ms)
    record = judge.writer.decision_record(case, decision, counted=True)
    granted_by = {**pending_row.granted_by, **dict.fromkeys(pending_row.groups, len(approvals))}
    return [record, *judge.decide(case, state, ApprovalProgress(granted_by, approved_now=pending_row.groups))]


def _check_decision(decision: ApprovalDecision, pending_row: PendingRow, intent: Intent, now_ms: int) -> None:
    """Bound to the exact call, by a person who may, and who is neither the agent nor its subject."""
    approver = decision.approver
    person = same_person(approver.sub)
    if decision.task_id not in _tasks(decision.status, pending_row, intent):
        fault = f"task `{decision.task_id}` is not what is asked about the intent now"
    elif decision.header.id in pending_row.decision_ids:
        fault = f"decision `{decision.header.id}` has counted before"
    elif decision.args_digest != intent.args_digest:
        fault = "it was made about other arguments"
    elif approver.sub_profile is not SubProfile.USER:
        fault = f"`{approver.sub}` is not a person"
    elif not person or len(person) > APPROVER_CHARS_MAX:
        fault = f"its approver's name has {len(person)} characters that can be seen, 1 to {APPROVER_CHARS_MAX} count"
    elif person in (same_person(intent.sub), same_person(intent.act.sub)):
        fault = f"`{approver.sub}` may not decide about their own call"
    elif pending_row.groups and not set(pending_row.groups) & set(decision.approver_groups):
        fault = f"`{approver.sub}` is in none of the groups that may decide: {', '.join(pending_row.groups)}"
    elif decision.approved_until is not None and decision.approved_until <= now_ms:
        fault = f"it holds until {decision.approved_until} only"
    elif not _meaningful(decision.status, pending_row.kind):
        fault = f"`{decision.status.value}` decides nothing here"
    else:
        return
    text = f"decision about intent `{intent.intent_id}` does not count: {fault}"
    raise RecordError(DeadLetterReason.APPROVAL_NOT_VALID, text)


def _tasks(status: ApprovalStatus, pending_row: PendingRow, intent: Intent) -> list[str]:
    """The tasks that a decision may answer: an approval the last one that was asked, a refusal any."""
    first = pending_row.asked_count if status is ApprovalStatus.APPROVED else 0
    tenant_uid = intent.header.tenant_uid
    return [
        approval_task_id(tenant_uid, intent.session_id, intent.intent_id, round_no)
        for round_no in range(first, pending_row.asked_count + 1)
    ]


def _meaningful(status: ApprovalStatus, kind: PendingKind) -> bool:
    """A cancel window can only be cancelled; a request for approval can be decided either way."""
    if status is ApprovalStatus.APPROVED:
        return kind is PendingKind.APPROVAL
    return status in (ApprovalStatus.DENIED, ApprovalStatus.CANCELLED)


def _waiting(session_key: bytes, state: StateView) -> list[PendingRow]:
    """All that waits in a session, in log order; what can't be read is left out."""
    found = []
    for key, value in state.scan(*rows_of_session(b"h", session_key)):
        try:
            found.append(decode_pending(value))
        except msgspec.DecodeError:
            _log.exception("held row %r can't be read", key)
    return sorted(found, key=lambda pending_row: pending_row.order)


def _each(
    act: Callable[[PendingRow], list[Output]], waiting: list[PendingRow], session_key: bytes, state: StateView
) -> list[Output]:
    outputs: list[Output] = []
    for pending_row in waiting:
        outputs += isolated(
            partial(act, pending_row), state, f"held intent {pending_row.order} of session {session_key!r}"
        )
    return outputs


def _resume(session_key: bytes, intent: Intent, pending_row: PendingRow, state: StateView, now_ms: int) -> Case:
    """The held intent as a case again, no longer held."""
    row = release(session_key, intent.intent_id, pending_row, read_session(state, session_key), state)
    state.put(session_row_key(session_key), encode_row(row))
    asked_count = pending_row.asked_count + (pending_row.kind is PendingKind.APPROVAL)
    return Case(
        intent,
        session_key,
        now_ms,
        pending_row.received_ms,
        row,
        asked_count=asked_count,
        decision_ids=pending_row.decision_ids,
    )
