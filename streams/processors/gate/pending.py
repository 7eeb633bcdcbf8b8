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
from streams.processors.effects import Output, StateView
from streams.processors.gate.case import Case, deny
from streams.processors.gate.facts import Standing
from streams.processors.gate.isolation import attempted
from streams.processors.gate.judge import Judge, hold, let_go
from streams.processors.gate.settings import GateSettings
from streams.processors.sessions import retention
from streams.processors.state import (
    HeldKind,
    HeldRow,
    decode_held,
    decode_intent,
    encode_intent,
    encode_row,
    held_row_key,
    read_session,
    rows_of_session,
    session_row_key,
)

_log = logging.getLogger(__name__)
replace = msgspec.structs.replace

DECISIONS_MAX = 256
"""That count for one intent."""

APPROVER_CHARS_MAX = 1_024
PARKED_BYTES_MAX = 524_288
"""Of an intent that is parked. Its verdict will be about as large, and must fit into a record for certain: it is
written along with the event that the session begins with, which must not fail for it."""


def park(case: Case, state: StateView, settings: GateSettings) -> None:
    """Keep an intent whose session is not known yet: the two travel on different topics.

    Raises:
        RecordError: it is larger than anything that waits may be.
    """
    intent, session = case.intent, case.session
    row = encode_intent(intent)
    if len(row) > PARKED_BYTES_MAX:
        text = f"intent `{intent.intent_id}` of {len(row)} bytes cannot wait for its session: over {PARKED_BYTES_MAX}"
        raise RecordError(DeadLetterReason.RECORD_TOO_LARGE, text)
    held = HeldRow(
        kind=HeldKind.SESSION,
        intent=row,
        received_ms=case.received_ms,
        due_ms=case.now_ms + settings.join_grace_ms,
        order=session.held_serial,
        since_ms=case.now_ms,
    )
    after = hold(case.session_key, intent.intent_id, held, session, state)
    after = retention.arm(case.session_key, after, state, settings, case.now_ms)
    state.put(session_row_key(case.session_key), encode_row(after))


def release_parked(judge: Judge, own_key: bytes, state: StateView, now_ms: int) -> list[Output]:
    """The session has appeared: judge what waited for it, in log order."""

    def judged(held: HeldRow) -> list[Output]:
        return judge.decide(_resume(own_key, decode_intent(held.intent), held, state, now_ms), state)

    parked = [held for held in _waiting(own_key, state) if held.kind is HeldKind.SESSION]
    return _each(judged, parked, own_key, state)


def end_held(judge: Judge, own_key: bytes, reason: Reason, state: StateView, now_ms: int) -> list[Output]:
    """The session is over: so is all that waits in it, in log order."""

    def denied(held: HeldRow) -> list[Output]:
        return end_one(judge, own_key, held, reason, state, now_ms)

    return _each(denied, _waiting(own_key, state), own_key, state)


def end_one(judge: Judge, own_key: bytes, held: HeldRow, reason: Reason, state: StateView, now_ms: int) -> list[Output]:
    """Deny a held intent for good, whatever it waits for."""
    case = _resume(own_key, decode_intent(held.intent), held, state, now_ms)
    if held.kind is HeldKind.SESSION:
        # The rules have never had it before them.
        return judge.conclude(case, deny(reason), state)
    return judge.refuse(case, reason, state, _standing(held))


def on_due(judge: Judge, own_key: bytes, intent_id: str, state: StateView, now_ms: int) -> list[Output]:
    """A held intent's time is up."""
    found = state.get(held_row_key(own_key, intent_id))
    if found is None:
        return []
    held = decode_held(found)
    case = _resume(own_key, decode_intent(held.intent), held, state, now_ms)
    if held.kind is HeldKind.APPROVAL:
        return judge.refuse(case, Reason.APPROVAL_EXPIRED, state)
    if held.kind is HeldKind.BUDGET:
        return judge.refuse(case, Reason.BUDGET_UNAVAILABLE, state, _standing(held))
    if held.kind is HeldKind.CANCEL_WINDOW:
        return judge.decide(case, state, Standing(held.granted_by, now_ms - held.since_ms))
    return judge.decide(case, state)


def on_budget(judge: Judge, own_key: bytes, intent_id: str, state: StateView, now_ms: int) -> list[Output]:
    """What an intent has waited for of a budget has been answered: judge it again, on the state of now."""
    found = state.get(held_row_key(own_key, intent_id))
    held = None if found is None else decode_held(found)
    if held is None or held.kind is not HeldKind.BUDGET:
        return []
    case = _resume(own_key, decode_intent(held.intent), held, state, now_ms)
    case.budget_due_ms = held.due_ms
    return judge.decide(case, state, _standing(held))


def _standing(held: HeldRow) -> Standing:
    """What an intent that waited for a budget has been through."""
    return Standing(held.granted_by, held.waited_ms, held.groups or None)


def on_decision(
    judge: Judge, own_key: bytes, decision: ApprovalDecision, state: StateView, now_ms: int
) -> list[Output]:
    """A person has decided about a held intent.

    Raises:
        RecordError: nothing waits for it, or the decision does not count.
    """
    found = state.get(held_row_key(own_key, decision.intent_id))
    held = None if found is None else decode_held(found)
    if held is None or held.kind in (HeldKind.SESSION, HeldKind.BUDGET):
        text = f"no decision is awaited about intent `{decision.intent_id}`"
        raise RecordError(DeadLetterReason.APPROVAL_NOT_AWAITED, text)
    intent = decode_intent(held.intent)
    _check_decision(decision, held, intent, now_ms)
    if decision.status in (ApprovalStatus.DENIED, ApprovalStatus.CANCELLED):
        case = _resume(own_key, intent, held, state, now_ms)
        reason = Reason.APPROVAL_DENIED if held.kind is HeldKind.APPROVAL else Reason.DEFERRAL_CANCELLED
        record = judge.writer.decision_record(case, decision, counted=True)
        return [record, *judge.refuse(case, reason, state)]
    approvals = tuple(sorted({*held.approvals, same_person(decision.approver.sub)}))
    held = replace(held, approvals=approvals, decision_ids=(*held.decision_ids, decision.header.id))
    if len(held.decision_ids) > DECISIONS_MAX:
        text = f"{DECISIONS_MAX} decisions have counted for intent `{intent.intent_id}` already"
        raise RecordError(DeadLetterReason.APPROVAL_NOT_VALID, text)
    if len(approvals) < held.quorum:
        state.put(held_row_key(own_key, intent.intent_id), encode_row(held))
        case = Case(intent, own_key, now_ms, held.received_ms, read_session(state, own_key))
        return [judge.writer.decision_record(case, decision, counted=False)]
    case = _resume(own_key, intent, held, state, now_ms)
    record = judge.writer.decision_record(case, decision, counted=True)
    granted_by = {**held.granted_by, **dict.fromkeys(held.groups, len(approvals))}
    return [record, *judge.decide(case, state, Standing(granted_by, approved_now=held.groups))]


def _check_decision(decision: ApprovalDecision, held: HeldRow, intent: Intent, now_ms: int) -> None:
    """Bound to the exact call, by a person who may, and who is neither the agent nor its subject."""
    approver = decision.approver
    person = same_person(approver.sub)
    if decision.task_id not in _tasks(decision.status, held, intent):
        fault = f"task `{decision.task_id}` is not what is asked about the intent now"
    elif decision.header.id in held.decision_ids:
        fault = f"decision `{decision.header.id}` has counted before"
    elif decision.args_digest != intent.args_digest:
        fault = "it was made about other arguments"
    elif approver.sub_profile is not SubProfile.USER:
        fault = f"`{approver.sub}` is not a person"
    elif not person or len(person) > APPROVER_CHARS_MAX:
        fault = f"its approver's name has {len(person)} characters that can be seen, 1 to {APPROVER_CHARS_MAX} count"
    elif person in (same_person(intent.sub), same_person(intent.act.sub)):
        fault = f"`{approver.sub}` may not decide about their own call"
    elif held.groups and not set(held.groups) & set(decision.approver_groups):
        fault = f"`{approver.sub}` is in none of the groups that may decide: {', '.join(held.groups)}"
    elif decision.approved_until is not None and decision.approved_until <= now_ms:
        fault = f"it holds until {decision.approved_until} only"
    elif not _meaningful(decision.status, held.kind):
        fault = f"`{decision.status.value}` decides nothing here"
    else:
        return
    text = f"decision about intent `{intent.intent_id}` does not count: {fault}"
    raise RecordError(DeadLetterReason.APPROVAL_NOT_VALID, text)


def _tasks(status: ApprovalStatus, held: HeldRow, intent: Intent) -> list[str]:
    """The tasks that a decision may answer: an approval the last one that was asked, a refusal any."""
    first = held.asked_count if status is ApprovalStatus.APPROVED else 0
    tenant_uid = intent.header.tenant_uid
    return [
        approval_task_id(tenant_uid, intent.session_id, intent.intent_id, round_no)
        for round_no in range(first, held.asked_count + 1)
    ]


def _meaningful(status: ApprovalStatus, kind: HeldKind) -> bool:
    """A cancel window can only be cancelled; a request for approval can be decided either way."""
    if status is ApprovalStatus.APPROVED:
        return kind is HeldKind.APPROVAL
    return status in (ApprovalStatus.DENIED, ApprovalStatus.CANCELLED)


def _waiting(own_key: bytes, state: StateView) -> list[HeldRow]:
    """All that waits in a session, in log order; what can't be read is left out."""
    found = []
    for key, value in state.scan(*rows_of_session(b"h", own_key)):
        try:
            found.append(decode_held(value))
        except msgspec.DecodeError:
            _log.exception("held row %r can't be read", key)
    return sorted(found, key=lambda held: held.order)


def _each(
    act: Callable[[HeldRow], list[Output]], waiting: list[HeldRow], own_key: bytes, state: StateView
) -> list[Output]:
    outputs: list[Output] = []
    for held in waiting:
        outputs += attempted(partial(act, held), state, f"held intent {held.order} of session {own_key!r}")
    return outputs


def _resume(own_key: bytes, intent: Intent, held: HeldRow, state: StateView, now_ms: int) -> Case:
    """The held intent as a case again, no longer held."""
    row = let_go(own_key, intent.intent_id, held, read_session(state, own_key), state)
    state.put(session_row_key(own_key), encode_row(row))
    asked_count = held.asked_count + (held.kind is HeldKind.APPROVAL)
    return Case(intent, own_key, now_ms, held.received_ms, row, asked_count=asked_count, decision_ids=held.decision_ids)
