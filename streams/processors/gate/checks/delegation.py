"""Check that the session's grant permits the call, and that the grant's budget is not used up."""

from __future__ import annotations

from streams.delegation.authority import AuthorityRow
from streams.model.money import Money, Unit, read_money
from streams.model.reasons import Reason
from streams.processors.control.state import ControlState
from streams.processors.gate.case import Case
from streams.processors.gate.decision import Decision, deny
from streams.processors.session_row import OTHER_CURRENCIES, Counters
from streams.processors.settings import GateSettings


def check_delegation(case: Case, control: ControlState, _settings: GateSettings) -> Decision | None:
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
    if authority.row.amount_max is None:
        return None
    # The catalog is checked later. Nothing is known of a tool that it does not have, and nothing will run.
    cataloged = control.tools.get((tool.server_id, tool.name))
    values, currency = arguments.values, case.currency_unstated
    if cataloged is None:
        money = read_money(values, Unit.UNSTATED, currency)
    else:
        money = cataloged.uses.money_of(values, currency)
    return _check_amount(authority.row, authority.row.amount_max, money, case.session.counters)


def _check_amount(row: AuthorityRow, amount_max: int, money: Money | None, counters: Counters) -> Decision | None:
    """Deny an amount that is over the grant's budget, or that can't be read.

    An amount without a currency counts as one in the grant's.
    """
    if money is None:
        text = "the grant limits amounts, and `amount` can't be read as a number from 0 on in its currency"
        return deny(Reason.BUDGET_EXHAUSTED, text)
    if not money.minor:
        return None
    if counters.is_spent_unclear:
        return deny(Reason.BUDGET_EXHAUSTED, "the grant limits amounts, and an earlier `amount` could not be read")
    if row.currency is not None and money.currency not in ("", row.currency):
        return deny(Reason.BUDGET_EXHAUSTED, f"the grant has a budget in {row.currency}")
    others = sum(
        minor
        for name, minor in counters.spent_in.items()
        if row.currency is not None and name not in (row.currency, OTHER_CURRENCIES)
    )
    spent = counters.spent_minor - others
    if spent + money.minor > amount_max:
        text = f"the grant has a budget of {amount_max}, of which {spent} are spent"
        return deny(Reason.BUDGET_EXHAUSTED, text)
    return None
