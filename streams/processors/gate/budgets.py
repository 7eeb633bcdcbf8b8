"""Charge the budgets of a call that the rules do not deny."""

from __future__ import annotations

from streams.model.reasons import Reason
from streams.model.verdict import Outcome
from streams.policy.runtime.budget_meters import Charge
from streams.ports.processor import StateView
from streams.processors.budgets.charges import NOTHING_TAKEN, BudgetCharges, Taken, holder, told
from streams.processors.gate.case import Case
from streams.processors.gate.decision import Decision
from streams.processors.settings import GateSettings


def charge_budgets(
    budget_charges: BudgetCharges,
    case: Case,
    decision: Decision,
    charges: tuple[Charge, ...],
    state: StateView,
    settings: GateSettings,
) -> tuple[Decision, Taken]:
    """Charge an allowed call; deny it if a budget does not suffice, or let it wait for a lease.

    A call that is not allowed yet is charged nothing. It is denied if its budgets certainly do not suffice: no person
    is asked about such a call.

    Args:
        budget_charges: the budgets.
        case: the intent.
        decision: what the rules decided about it.
        charges: what the call takes from its budgets.
        state: the state of the partition.
        settings: the bounds for waiting.

    Returns:
        The decision, and what was taken. If `Taken.waits` is true, the intent must wait and has no verdict yet.
    """
    asked = case.asked
    if decision.outcome is not Outcome.ALLOW:
        budget = budget_charges.exhausted(charges, asked.intent, asked.session_key, state, asked.now_ms)
        if budget is None:
            return decision, NOTHING_TAKEN
        return decision.refused(Reason.BUDGET_EXHAUSTED, told(budget), holder(budget, asked.intent)), NOTHING_TAKEN
    taken = budget_charges.take(charges, asked.intent, asked.session_key, state, asked.now_ms)
    due_ms = asked.progress.budget_due_ms
    if taken.waits and due_ms and asked.now_ms >= due_ms:
        taken = taken._replace(waits=False, refused=Reason.BUDGET_UNAVAILABLE)
    if taken.waits and case.session.counters.waiting_count >= settings.pending_per_session_max:
        taken = taken._replace(waits=False, refused=Reason.TOO_MANY_PENDING)
    if taken.refused is not None:
        decision = decision.refused(taken.refused, taken.text, taken.holder)
    return decision, taken
