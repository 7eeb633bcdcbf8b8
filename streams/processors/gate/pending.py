"""Judge or end intents that are pending: for their session, for a person, for a cancel window, or for a budget."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from streams.model.errors import RecordError
from streams.model.intent import Intent
from streams.model.reasons import DeadLetterReason, Reason
from streams.ports.processor import Output, StateView
from streams.processors.gate.case import FIRST_TIME, Asked, Case, Progress
from streams.processors.gate.decision import deny
from streams.processors.gate.isolation import isolated
from streams.processors.gate.judge import Judge
from streams.processors.gate.pending_rows import defer, pending_of_session, release, row_for_session
from streams.processors.rows import pending_row_key, session_row_key
from streams.processors.session_row import read_session
from streams.processors.sessions import retention
from streams.processors.settings import GateSettings
from streams.processors.state import PendingKind, PendingRow, decode_intent, decode_pending, encode_intent, encode_row

PENDING_BYTES_MAX = 524_288
"""Largest intent that can wait for its session. Its verdict is about as large, and must fit into a record in any case:
it is written along with the event that begins the session, which must not fail because of it."""


def defer_for_session(case: Case, state: StateView, settings: GateSettings) -> None:
    """Store an intent whose session, or whose session's grant, has not arrived: they travel on different topics.

    Raises:
        RecordError: the intent is larger than `PENDING_BYTES_MAX`.
    """
    asked, session = case.asked, case.session
    intent_id, encoded = asked.intent.intent_id, encode_intent(asked.intent)
    if len(encoded) > PENDING_BYTES_MAX:
        text = f"intent `{intent_id}` of {len(encoded)} bytes cannot wait for its session: over {PENDING_BYTES_MAX}"
        raise RecordError(DeadLetterReason.RECORD_TOO_LARGE, text)
    pending_row = row_for_session(asked, encoded, session.counters.pending_serial, settings)
    row = defer(asked.session_key, intent_id, pending_row, session, state)
    row = retention.arm(asked.session_key, row, state, settings, asked.now_ms)
    state.put(session_row_key(asked.session_key), encode_row(row))


def release_for_session(judge: Judge, session_key: bytes, state: StateView, now_ms: int) -> list[Output]:
    """Judge the intents that have waited for their session, in log order."""

    def judged(pending_row: PendingRow) -> list[Output]:
        case = released_case(session_key, decode_intent(pending_row.intent), pending_row, FIRST_TIME, state, now_ms)
        return judge.decide(case, state)

    waiting = [row for row in pending_of_session(session_key, state) if row.kind is PendingKind.SESSION]
    return _each(judged, waiting, session_key, state)


def end_pending(judge: Judge, session_key: bytes, reason: Reason, state: StateView, now_ms: int) -> list[Output]:
    """Deny all intents that are pending in a session that is over, in log order."""

    def denied(pending_row: PendingRow) -> list[Output]:
        return end_one(judge, session_key, pending_row, reason, state, now_ms)

    return _each(denied, pending_of_session(session_key, state), session_key, state)


def end_one(
    judge: Judge, session_key: bytes, pending_row: PendingRow, reason: Reason, state: StateView, now_ms: int
) -> list[Output]:
    """Deny a pending intent, whatever it waits for."""
    intent = decode_intent(pending_row.intent)
    if pending_row.kind is PendingKind.SESSION:
        # The rules have never judged it.
        case = released_case(session_key, intent, pending_row, FIRST_TIME, state, now_ms)
        return judge.concluder.conclude(case, deny(reason), state)
    case = released_case(session_key, intent, pending_row, _progress_with_approvals(pending_row), state, now_ms)
    return judge.refuse(case, reason, state)


def judge_granted(judge: Judge, session_key: bytes, row: PendingRow, state: StateView, now_ms: int) -> list[Output]:
    """Judge an intent that people are asked about again, after they have granted what may answer for it."""
    case = released_case(session_key, decode_intent(row.intent), row, progress_of(row), state, now_ms)
    return judge.decide(case, state)


def judge_due(judge: Judge, session_key: bytes, intent_id: str, state: StateView, now_ms: int) -> list[Output]:
    """Judge or deny a pending intent whose time to wait is over."""
    found = state.get(pending_row_key(session_key, intent_id))
    if found is None:
        return []
    pending_row = decode_pending(found)
    kind = pending_row.kind
    if kind is PendingKind.CANCEL_WINDOW:
        waited_ms = now_ms - pending_row.since_ms
        progress = progress_of(pending_row)._replace(granted_by=pending_row.granted_by, waited_ms=waited_ms)
    elif kind is PendingKind.BUDGET:
        progress = _progress_with_approvals(pending_row)
    else:
        progress = FIRST_TIME if kind is PendingKind.SESSION else progress_of(pending_row)
    case = released_case(session_key, decode_intent(pending_row.intent), pending_row, progress, state, now_ms)
    if kind is PendingKind.APPROVAL:
        return judge.refuse(case, Reason.APPROVAL_EXPIRED, state)
    if kind is PendingKind.BUDGET:
        return judge.refuse(case, Reason.BUDGET_UNAVAILABLE, state)
    return judge.decide(case, state)


def judge_after_budget(judge: Judge, session_key: bytes, intent_id: str, state: StateView, now_ms: int) -> list[Output]:
    """Judge an intent again, on the current state, after the answer about a budget for which it has waited."""
    found = state.get(pending_row_key(session_key, intent_id))
    pending_row = None if found is None else decode_pending(found)
    if pending_row is None or pending_row.kind is not PendingKind.BUDGET:
        return []
    progress = _progress_with_approvals(pending_row)._replace(budget_due_ms=pending_row.due_ms)
    case = released_case(session_key, decode_intent(pending_row.intent), pending_row, progress, state, now_ms)
    return judge.decide(case, state)


def progress_of(pending_row: PendingRow) -> Progress:
    """Return how often persons were asked about a pending intent, and which of their decisions have counted."""
    asked = () if pending_row.question is None else (pending_row.question.task_id,)
    return Progress(
        asked_count=pending_row.asked_count + (pending_row.kind is PendingKind.APPROVAL),
        decision_ids=pending_row.decision_ids,
        task_ids=(*pending_row.task_ids, *asked),
    )


def released_case(
    session_key: bytes, intent: Intent, pending_row: PendingRow, progress: Progress, state: StateView, now_ms: int
) -> Case:
    """Return a pending intent as a case. It is no longer pending afterwards."""
    row = release(session_key, intent.intent_id, pending_row, read_session(state, session_key), state)
    state.put(session_row_key(session_key), encode_row(row))
    return Case(Asked(intent, session_key, pending_row.received_ms, now_ms, progress, pending_row.kind), row)


def _progress_with_approvals(pending_row: PendingRow) -> Progress:
    # Groups of an intent that waits for a budget have approved it. Those of one that waits for approval are only asked.
    has_approval = pending_row.kind is PendingKind.BUDGET and bool(pending_row.groups)
    return progress_of(pending_row)._replace(
        granted_by=pending_row.granted_by,
        waited_ms=pending_row.waited_ms,
        approved_now=pending_row.groups if has_approval else None,
    )


def _each(
    act: Callable[[PendingRow], list[Output]], waiting: list[PendingRow], session_key: bytes, state: StateView
) -> list[Output]:
    outputs: list[Output] = []
    for pending_row in waiting:
        what = f"pending intent {pending_row.order} of session {session_key!r}"
        outputs += isolated(partial(act, pending_row), state, what)
    return outputs
