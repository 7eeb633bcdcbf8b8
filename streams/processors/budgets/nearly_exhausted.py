"""Alerts that a budget is nearly exhausted, if its rules state at which part of the limit that is.

**Idea.** A session's own budget is counted in one place, so the call that takes it to the threshold raises the alert.
No gate knows how much is spent of a budget that several partitions share, but each grant says how much is left to
lease. So the partition whose grant takes what is leased across the threshold raises the alert: one grant does. It may
come somewhat early, because a lease is a little ahead of need, but never after that much is spent.

**Rejected.** An alert of the allocator, which alone sees everything: requests would have to tell it the threshold, and
it has no windows of alerts. An alert of each partition once what it knows is enough: as many as there are partitions.

If leases are returned and what is leased crosses the threshold again, the alert of another partition has the same id.
"""

from __future__ import annotations

import hashlib
import json

import msgspec

from streams.model.alert import Alert, clipped
from streams.model.analytics import BUDGET_NEARLY_EXHAUSTED, made_alert
from streams.model.budget import BudgetAnswer, BudgetGrant, family_of
from streams.model.intent import Intent
from streams.model.proof import derived_uuid
from streams.policy.language.bundle import Budget
from streams.processors.budgets.lease_row import LeaseRow
from streams.processors.headers import gate_header, reply_header

_HOLDER_HEX_CHARS = 16
_TITLE = "budget nearly exhausted"

replace = msgspec.structs.replace


def holder_of(name: str, family: str) -> str:
    """Return a budget's name, and a digest that tells one holder (a session, an agent, a user...) from another.

    Args:
        name: the name of the budget.
        family: its budget key, or what the budget keys of all values of its key have in common.
    """
    return f"{name} {hashlib.sha256(family.encode()).hexdigest()[:_HOLDER_HEX_CHARS]}"


def nears(grant: BudgetGrant, row: LeaseRow) -> bool:
    """Return whether this grant takes what is leased across the threshold of the row's budget."""
    if grant.answer is not BudgetAnswer.GRANTED or grant.window_start != row.start_ms:
        return False
    leased = row.limit - grant.left
    return leased - grant.amount - len(grant.targets) < row.warn_at <= leased


def lease_alert(grant: BudgetGrant, row: LeaseRow, now_ms: int) -> Alert:
    """Return the alert about a budget that several partitions share.

    Args:
        grant: it takes what is leased across the threshold.
        row: what is leased here.
        now_ms: stream time.
    """
    tenant_uid = row.tenant_uid
    # The id of a value of a budget's key must not tell which value it is to somebody who tries them all.
    family = family_of(grant.budget_key)
    about = (grant.header.id,) if family else (grant.budget_key, str(row.start_ms))
    name, _, per, *_ = json.loads(family or grant.budget_key)
    key = " and key" if family else ""
    return made_alert(
        BUDGET_NEARLY_EXHAUSTED,
        gate_header(derived_uuid("budget alert", *about), tenant_uid, now_ms),
        title=f"{_TITLE}: {clipped(name)}",
        desc=f"{row.limit - grant.left} of {row.limit} of budget `{name}` per {per}{key} are spent, or leased to gates",
        dedup_key=_dedup_key(tenant_uid, holder_of(name, family or grant.budget_key), row.start_ms),
        response=("stoplog session list --state live",),
        related=(grant.header.id,),
    )


def session_alert(budget: Budget, used: int, intent: Intent, family: str, start_ms: int, now_ms: int) -> Alert:
    """Return the alert about a session's own budget.

    Args:
        budget: the budget.
        used: how much of it is used with this call.
        intent: the call.
        family: the budget key that tells this session's budget from others.
        start_ms: when its window began.
        now_ms: stream time.
    """
    tenant_uid, session_id = intent.header.tenant_uid, intent.session_id
    alert = made_alert(
        BUDGET_NEARLY_EXHAUSTED,
        reply_header(derived_uuid("budget alert", family, str(start_ms)), intent, now_ms),
        title=f"{_TITLE}: {clipped(budget.name)}",
        desc=f"{used} of {budget.limit} of budget `{budget.name}` per session are spent (session {session_id})",
        dedup_key=_dedup_key(tenant_uid, holder_of(budget.name, family), start_ms),
        response=(f"stoplog explain {intent.intent_id}",),
        related=(intent.header.id,),
    )
    return replace(alert, session_id=session_id, sub=intent.sub, act=intent.act, intent_id=intent.intent_id)


def _dedup_key(tenant_uid: str, holder: str, start_ms: int) -> str:
    return json.dumps([BUDGET_NEARLY_EXHAUSTED, tenant_uid, holder, start_ms])
