"""Count a decision in the row of its session."""

from __future__ import annotations

import msgspec

from streams.model.catalog import ToolCatalogEntry
from streams.model.money import Money
from streams.model.verdict import FINAL_OUTCOMES, Outcome
from streams.processors.gate.case import Case
from streams.processors.gate.decision import Decision
from streams.processors.session_row import (
    CALLED_TOOLS_MAX,
    CURRENCIES_MAX,
    OTHER_CURRENCIES,
    Counters,
    SessionRow,
    SessionStatus,
    evolve,
)
from streams.processors.sessions.events import trust_after_allow

_OTHER_TOOLS = "(other)"
replace = msgspec.structs.replace
# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_ALLOW = Outcome.ALLOW


def counted_row(case: Case, decision: Decision, revocation_offset: int) -> SessionRow:
    """Return the row of the session with the decision counted.

    An intent that is not proven to be the session's leaves no trace.

    Args:
        revocation_offset: up to where the revocations have been read; only a later release ends a quarantine.
    """
    row, outcome, tool = case.session, decision.outcome, case.tool
    if not case.is_proven or outcome not in FINAL_OUTCOMES:
        return row
    # Part by part, and not with `evolve`: every intent comes here.
    life, counters = replace(row.life, active_ms=case.asked.now_ms), row.counters
    if outcome is _ALLOW and tool is not None:
        trust = trust_after_allow(
            row,
            case.asked.intent.intent_id,
            tool.output_label,
            tool.full_name,
            has_untrusted=tool.uses.returns_untrusted,
        )
        counters = replace(
            counters,
            intents_count=counters.intents_count + 1,
            allowed_count=counters.allowed_count + 1,
            calls=_with_call(counters.calls, tool.entry),
        )
        values = case.known_arguments().values
        if "amount" in values:
            counters = _with_money(counters, tool.uses.money_of(values, case.currency_unstated))
        return replace(row, life=life, trust=trust, counters=counters)
    counters = replace(counters, intents_count=counters.intents_count + 1, denied_count=counters.denied_count + 1)
    row = replace(row, life=life, counters=counters)
    if outcome is Outcome.QUARANTINE:
        return evolve(row, status=SessionStatus.FROZEN, frozen_offset=revocation_offset)
    return row


def _with_money(counters: Counters, money: Money | None) -> Counters:
    """Add what a call spends. From an amount that can't be read on, nobody knows what the session has spent."""
    if money is None:
        return replace(counters, is_spent_unclear=True)
    if not money.minor:
        return counters
    spent_in = counters.spent_in
    if money.currency:
        name = money.currency if money.currency in spent_in or len(spent_in) < CURRENCIES_MAX else OTHER_CURRENCIES
        spent_in = {**spent_in, name: spent_in.get(name, 0) + money.minor}
    return replace(counters, spent_minor=counters.spent_minor + money.minor, spent_in=spent_in)


def _with_call(calls: dict[str, int], entry: ToolCatalogEntry) -> dict[str, int]:
    tool = f"{entry.server_id}.{entry.name}"
    if tool not in calls and len(calls) >= CALLED_TOOLS_MAX:
        tool = _OTHER_TOOLS
    return {**calls, tool: calls.get(tool, 0) + 1}
