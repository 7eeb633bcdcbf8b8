"""Process the decisions of persons about pending intents."""

from __future__ import annotations

import msgspec

from streams.model.approval import ApprovalDecision, ApprovalStatus
from streams.model.errors import RecordError
from streams.model.ids import approval_task_id
from streams.model.intent import Intent
from streams.model.reasons import DeadLetterReason, Reason
from streams.model.types import SubProfile, same_person
from streams.ports.processor import Output, StateView
from streams.processors.audit import approval_event, audit_output
from streams.processors.gate.judge import Judge
from streams.processors.gate.pending import progress_of, released_case
from streams.processors.rows import pending_row_key
from streams.processors.state import PendingKind, PendingRow, decode_intent, decode_pending, encode_row

DECISIONS_MAX = 256
"""Decisions that count for one intent."""

APPROVER_CHARS_MAX = 1_024
_REFUSING = frozenset({ApprovalStatus.DENIED, ApprovalStatus.CANCELLED})
replace = msgspec.structs.replace


def process_decision(
    judge: Judge, session_key: bytes, decision: ApprovalDecision, state: StateView, now_ms: int
) -> list[Output]:
    """Apply a person's decision to the pending intent that it is about.

    Raises:
        RecordError: no decision is awaited about the intent, or this one does not count.
    """
    found = state.get(pending_row_key(session_key, decision.intent_id))
    pending_row = None if found is None else decode_pending(found)
    if pending_row is None or pending_row.kind in (PendingKind.SESSION, PendingKind.BUDGET):
        text = f"no decision is awaited about intent `{decision.intent_id}`"
        raise RecordError(DeadLetterReason.APPROVAL_NOT_AWAITED, text)
    intent = decode_intent(pending_row.intent)
    _check_decision(decision, pending_row, intent, now_ms)
    if decision.status in _REFUSING:
        case = released_case(session_key, intent, pending_row, progress_of(pending_row), state, now_ms)
        reason = Reason.APPROVAL_DENIED if pending_row.kind is PendingKind.APPROVAL else Reason.DEFERRAL_CANCELLED
        record = _record(judge, session_key, intent, decision, now_ms, is_complete=True)
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
        return [_record(judge, session_key, intent, decision, now_ms, is_complete=False)]
    granted_by = {**pending_row.granted_by, **dict.fromkeys(pending_row.groups, len(approvals))}
    progress = progress_of(pending_row)._replace(granted_by=granted_by, approved_now=pending_row.groups)
    case = released_case(session_key, intent, pending_row, progress, state, now_ms)
    record = _record(judge, session_key, intent, decision, now_ms, is_complete=True)
    return [record, *judge.decide(case, state)]


def _record(
    judge: Judge, session_key: bytes, intent: Intent, decision: ApprovalDecision, now_ms: int, *, is_complete: bool
) -> Output:
    return audit_output(judge.encoder, session_key, approval_event(intent, decision, now_ms, is_complete=is_complete))


def _check_decision(decision: ApprovalDecision, pending_row: PendingRow, intent: Intent, now_ms: int) -> None:
    """Check that a decision is about the exact call, and by a person who may decide about it.

    Raises:
        RecordError: the decision does not count.
    """
    approver = decision.approver
    person = same_person(approver.sub)
    if decision.task_id not in _tasks(decision.status, pending_row, intent):
        fault = f"task `{decision.task_id}` is not the one that is open for the intent"
    elif decision.header.id in pending_row.decision_ids:
        fault = f"decision `{decision.header.id}` has counted before"
    elif decision.args_digest != intent.args_digest:
        fault = "it was made about other arguments"
    elif approver.sub_profile is not SubProfile.USER:
        fault = f"`{approver.sub}` is not a person"
    elif not person or len(person) > APPROVER_CHARS_MAX:
        fault = f"its approver's name has {len(person)} visible characters, 1 to {APPROVER_CHARS_MAX} are accepted"
    elif person in (same_person(intent.sub), same_person(intent.act.sub)):
        fault = f"`{approver.sub}` may not decide about their own call"
    elif pending_row.groups and not set(pending_row.groups) & set(decision.approver_groups):
        fault = f"`{approver.sub}` is in none of the groups that may decide: {', '.join(pending_row.groups)}"
    elif decision.approved_until is not None and decision.approved_until <= now_ms:
        fault = f"it was valid until {decision.approved_until}"
    elif not _is_meaningful(decision.status, pending_row.kind):
        fault = f"`{decision.status.value}` decides nothing here"
    else:
        return
    text = f"decision about intent `{intent.intent_id}` does not count: {fault}"
    raise RecordError(DeadLetterReason.APPROVAL_NOT_VALID, text)


def _tasks(status: ApprovalStatus, pending_row: PendingRow, intent: Intent) -> list[str]:
    """Return the tasks that a decision may answer: an approval the last one that was asked, a refusal any."""
    first = pending_row.asked_count if status is ApprovalStatus.APPROVED else 0
    tenant_uid = intent.header.tenant_uid
    return [
        approval_task_id(tenant_uid, intent.session_id, intent.intent_id, round_no)
        for round_no in range(first, pending_row.asked_count + 1)
    ]


def _is_meaningful(status: ApprovalStatus, kind: PendingKind) -> bool:
    """Tell whether a status decides something: a cancel window can only be cancelled."""
    if status is ApprovalStatus.APPROVED:
        return kind is PendingKind.APPROVAL
    return status in _REFUSING
