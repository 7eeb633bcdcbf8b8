"""Store pending intents, and take them out again: the rows, their timers and their count in the session's row."""

from __future__ import annotations

import logging

import msgspec

from streams.model.verdict import Outcome
from streams.ports.processor import StateView
from streams.processors.budgets.leases import budget_wait_ms
from streams.processors.gate.case import Asked, Case
from streams.processors.gate.decision import Decision
from streams.processors.row_kinds import RowKind
from streams.processors.rows import (
    TimerKind,
    all_rows,
    descendant_row_key,
    pending_row_key,
    rows_of_session,
    timer_payload,
)
from streams.processors.session_row import SessionRow, evolve
from streams.processors.settings import GateSettings
from streams.processors.state import PendingKind, PendingRow, decode_pending, encode_intent, encode_row

_log = logging.getLogger(__name__)


def row_for_session(asked: Asked, intent: bytes, order: int, settings: GateSettings) -> PendingRow:
    """Return the row of an intent that waits for its session, or for its session's grant.

    Args:
        intent: the encoded intent.
        order: the number of the pending intent within its session.
    """
    return PendingRow(
        kind=PendingKind.SESSION,
        intent=intent,
        received_ms=asked.received_ms,
        due_ms=asked.now_ms + settings.join_grace_ms,
        order=order,
        since_ms=asked.now_ms,
    )


def row_for_budget(case: Case, state: StateView, settings: GateSettings) -> PendingRow:
    """Return the row of an intent that waits for a budget: until its lease arrives, or its time to wait is over."""
    asked, progress = case.asked, case.asked.progress
    wait_until_ms = progress.budget_due_ms or asked.now_ms + budget_wait_ms(state, settings)
    return PendingRow(
        kind=PendingKind.BUDGET,
        intent=encode_intent(asked.intent),
        received_ms=asked.received_ms,
        due_ms=min(wait_until_ms, case.session.life.expires_ms),
        order=case.session.counters.pending_serial,
        since_ms=asked.now_ms,
        groups=progress.approved_now or (),
        granted_by=dict(progress.granted_by),
        waited_ms=progress.waited_ms,
        asked_count=progress.asked_count,
        decision_ids=progress.decision_ids,
        task_ids=progress.task_ids,
    )


def row_for_decision(case: Case, decision: Decision, order: int, settings: GateSettings) -> PendingRow:
    """Return the row of an intent that waits for a person, or in a cancel window; never longer than its session lives.

    Args:
        order: the number of the pending intent within its session.
    """
    asked, progress, policy = case.asked, case.asked.progress, decision.policy
    approval = None if policy is None else policy.approval
    if decision.outcome is Outcome.REQUIRE_APPROVAL:
        kind = PendingKind.APPROVAL
        wait_ms = settings.approval_ttl_ms if approval is None else approval.ttl_ms
    else:
        kind = PendingKind.CANCEL_WINDOW
        stated_ms = None if policy is None else policy.defer_ms
        wait_ms = settings.defer_ms if stated_ms is None else stated_ms
    return PendingRow(
        kind=kind,
        intent=encode_intent(asked.intent),
        received_ms=asked.received_ms,
        due_ms=min(asked.now_ms + wait_ms, case.session.life.expires_ms),
        order=order,
        since_ms=asked.now_ms,
        groups=() if approval is None else (approval.group,),
        quorum=1 if approval is None else approval.quorum,
        granted_by=dict(progress.granted_by),
        asked_count=progress.asked_count,
        decision_ids=progress.decision_ids,
        task_ids=progress.task_ids,
    )


def defer(session_key: bytes, intent_id: str, pending_row: PendingRow, row: SessionRow, state: StateView) -> SessionRow:
    """Store an intent until its timer is due, and return the session's row with the intent counted."""
    state.put(pending_row_key(session_key, intent_id), encode_row(pending_row))
    state.set_timer(pending_row.due_ms, timer_payload(TimerKind.PENDING, session_key, intent_id))
    if row.grant.ancestor_session_ids:
        state.put(descendant_row_key(session_key), b"")
    return evolve(row, waiting_count=row.counters.waiting_count + 1, pending_serial=row.counters.pending_serial + 1)


def release(
    session_key: bytes, intent_id: str, pending_row: PendingRow, row: SessionRow, state: StateView
) -> SessionRow:
    """Delete a pending intent and its timer, and return the session's row without it."""
    state.delete(pending_row_key(session_key, intent_id))
    state.cancel_timer(pending_row.due_ms, timer_payload(TimerKind.PENDING, session_key, intent_id))
    if row.counters.waiting_count == 1 and state.get(descendant_row_key(session_key)) is not None:
        state.delete(descendant_row_key(session_key))
    return evolve(row, waiting_count=row.counters.waiting_count - 1)


def pending_of_session(session_key: bytes, state: StateView) -> list[PendingRow]:
    """Return all pending intents of a session in log order; a row that can't be decoded is logged and left out."""
    found = []
    for key, value in state.scan(*rows_of_session(RowKind.PENDING, session_key)):
        try:
            found.append(decode_pending(value))
        except msgspec.DecodeError:
            _log.exception("the row of a pending intent can't be decoded: %r", key)
    return sorted(found, key=lambda pending_row: pending_row.order)


def has_pending_descendants(state: StateView) -> bool:
    """Tell whether an intent is pending in a session that descends from another.

    A session whose ancestors became known while its intent was pending is not found. Its revocation takes effect when
    the intent is judged.
    """
    return next(state.scan(*all_rows(RowKind.DESCENDANT)), None) is not None
