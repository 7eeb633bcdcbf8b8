"""Check that the session's grant permits the call, and that the grant's budget is not used up."""

from __future__ import annotations

from streams.delegation.authority import Authority
from streams.model.reasons import Reason
from streams.processors.control.state import ControlState
from streams.processors.gate.case import Arguments, Case
from streams.processors.gate.decision import Decision, deny
from streams.processors.settings import GateSettings


def check_delegation(case: Case, _control: ControlState, _settings: GateSettings) -> Decision | None:
    """Deny a call that the session's grant does not permit: its time, its server, its tools, its arguments, its budget.

    A session without a grant has passed `check_grant` before.
    """
    authority = case.authority
    if authority is None:
        return None
    tool, arguments = case.asked.intent.tool, case.known_arguments()
    fault = authority.fault(tool.server_id, tool.name, arguments.values, case.asked.now_ms)
    if fault is not None:
        return deny(fault.reason, fault.detail)
    calls_max = authority.row.calls_max
    if calls_max is not None and case.session.counters.allowed_count >= calls_max:
        return deny(Reason.BUDGET_EXHAUSTED, f"the grant permits {calls_max} calls")
    return _check_amount(authority, arguments, case.session.counters.spent_minor)


def _check_amount(authority: Authority, arguments: Arguments, spent_minor: int) -> Decision | None:
    row = authority.row
    if row.amount_max is None:
        return None
    if arguments.has_invalid_amount:
        return deny(Reason.BUDGET_EXHAUSTED, "the grant limits amounts, and `amount` is not a whole number from 0 on")
    amount = arguments.amount
    if not amount:
        return None
    if row.currency is not None and arguments.values.get("currency", row.currency) != row.currency:
        return deny(Reason.BUDGET_EXHAUSTED, f"the grant has a budget in {row.currency}")
    if spent_minor + amount > row.amount_max:
        text = f"the grant has a budget of {row.amount_max}, of which {spent_minor} are spent"
        return deny(Reason.BUDGET_EXHAUSTED, text)
    return None
