"""What an allowed call takes of its budgets: all of them, or nothing.

A session's own budgets are counted in the partition's state, exactly. Those that several partitions share are spent
from leases (`leases.py`).
"""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple, Protocol

import msgspec

from streams.model.budget import keyed
from streams.model.intent import Intent
from streams.model.reasons import Reason
from streams.policy.language.bundle import Budget, MeasureKind, Per
from streams.policy.runtime.budget_meters import Charge
from streams.ports.processor import Output, StateView
from streams.ports.wire import Encoder
from streams.processors.budgets.claims import Claim, used_of_lease
from streams.processors.budgets.leases import BudgetLeases, Status
from streams.processors.budgets.nearly_exhausted import holder_of, session_alert
from streams.processors.dedup.alerts import AlertWindows
from streams.processors.row_kinds import RowKind
from streams.processors.rows import lease_row_key, spend_row_key
from streams.processors.settings import GateSettings
from streams.processors.state import ChargeRow, SpendRow, decode_spend, encode_row

_KEY_BYTES_MAX = 400
_OWN = RowKind.SPEND.prefix

replace = msgspec.structs.replace


class Taken(NamedTuple):
    """The result of taking charges.

    Attributes:
        refused: why nothing was taken; None if all was.
        text: which budget that is due to.
        holder: that budget and whose it is, if it is exhausted.
        waits: nothing was taken yet; requests are out.
    """

    refused: Reason | None = None
    text: str = ""
    holder: str = ""
    waits: bool = False
    charges: tuple[ChargeRow, ...] = ()
    outputs: tuple[Output, ...] = ()


NOTHING_TAKEN = Taken()


class BudgetCharges:
    """Takes charges and gives them back. All memory is in the state views."""

    def __init__(self, settings: GateSettings, encoder: Encoder) -> None:
        self.leases = BudgetLeases(settings, encoder)
        self._alerts = AlertWindows(encoder, settings.alert_window_ms)

    def exhausted(
        self, charges: tuple[Charge, ...], intent: Intent, session_key: bytes, state: StateView, now_ms: int
    ) -> Budget | None:
        """Return the first budget that certainly does not suffice now; None if each may suffice."""
        for charge in charges:
            if self._status(charge, intent, session_key, state, now_ms) is Status.EXHAUSTED:
                return charge.budget
        return None

    def take(
        self, charges: tuple[Charge, ...], intent: Intent, session_key: bytes, state: StateView, now_ms: int
    ) -> Taken:
        """Take all charges of an allowed call, or request the leases that are missing and let the call wait."""
        due = [charge for charge in charges if charge.amount or charge.targets]
        if not due:
            return NOTHING_TAKEN
        found = [(charge, self._status(charge, intent, session_key, state, now_ms)) for charge in due]
        for charge, status in found:
            if status is Status.EXHAUSTED:
                budget = charge.budget
                return Taken(refused=Reason.BUDGET_EXHAUSTED, text=told(budget), holder=holder(budget, intent))
            if status is Status.NO_ROOM:
                text = f"{told(charge.budget)}, for at most {charge.budget.keys_max} keys"
                held_by = holder(charge.budget, intent)
                return Taken(refused=Reason.BUDGET_KEYS_EXHAUSTED, text=text, holder=held_by)
        short = [charge for charge, status in found if status is Status.SHORT]
        if short:
            return self._wait(short, intent, session_key, state, now_ms)
        outputs: list[Output] = []
        rows = []
        for charge in due:
            budget = charge.budget
            if budget.per is Per.SESSION:
                taken, row = _take_own(charge, session_key, state, now_ms)
                rows.append(taken)
                if budget.warn_at and not row.is_warned:
                    outputs += self._warn(budget, row, taken.holder, intent, state, now_ms)
                continue
            claim = _claim(charge, intent, now_ms)
            outputs += self.leases.spend(claim, state, now_ms)
            rows.append(ChargeRow(lease_row_key(claim.key), claim.start_ms, charge.amount, charge.targets))
        return Taken(charges=tuple(rows), outputs=tuple(outputs))

    def give_back(self, charges: tuple[ChargeRow, ...], state: StateView, now_ms: int) -> None:
        """Return the charges of a call that did not run."""
        for charge in charges:
            if charge.holder.startswith(_OWN):
                _give_back_own(charge, state)
            else:
                self.leases.give_back(charge, state, now_ms)

    def _status(self, charge: Charge, intent: Intent, session_key: bytes, state: StateView, now_ms: int) -> Status:
        if charge.budget.per is not Per.SESSION:
            return self.leases.status(_claim(charge, intent, now_ms), state, now_ms)
        row = _own_row(charge.budget, session_key, state, now_ms)
        used = len(row.targets.keys() | set(charge.targets)) if charge.targets else row.units + charge.amount
        return Status.ENOUGH if used <= charge.budget.limit else Status.EXHAUSTED

    def _warn(
        self, budget: Budget, row: SpendRow, row_key: bytes, intent: Intent, state: StateView, now_ms: int
    ) -> list[Output]:
        """Raise an alert if so much of a session's own budget is used; once in its window."""
        used = len(row.targets) if budget.measure is MeasureKind.DISTINCT else row.units
        if used < budget.warn_at:
            return []
        state.put(row_key, encode_row(replace(row, is_warned=True)))
        family = _family(budget, intent)
        alert = session_alert(budget, used, intent, family, row.start_ms, now_ms)
        return self._alerts.raised(alert, state, now_ms)

    def _wait(self, short: list[Charge], intent: Intent, session_key: bytes, state: StateView, now_ms: int) -> Taken:
        waiting = (session_key, intent.intent_id)
        outputs: list[Output] = []
        for charge in short:
            asked = self.leases.wait(_claim(charge, intent, now_ms), waiting, state, now_ms)
            if asked is None:
                return Taken(refused=Reason.BUDGET_UNAVAILABLE, text=told(charge.budget), outputs=tuple(outputs))
            outputs += asked
        return Taken(waits=True, text=told(short[0].budget), outputs=tuple(outputs))


def holder(budget: Budget, intent: Intent) -> str:
    """Return the budget's name, and a digest that tells one holder (a session, an agent, a user...) from another.

    It goes to readers who may not know arguments, so the key of a budget with a key is not in it.
    """
    return holder_of(budget.name, _family(budget, intent))


def _family(budget: Budget, intent: Intent) -> str:
    sharer = (intent.session_id,) if budget.per is Per.SESSION else sharer_of(budget.per, intent)
    return budget_key(budget, intent.header.tenant_uid, sharer)


class Rows(Protocol):
    """The rows of a partition's state."""

    def get(self, key: bytes) -> bytes | None:
        """Return a row, or None."""


def used(charge: Charge, intent: Intent, session_key: bytes, rows: Rows, now_ms: int) -> int:
    """Return how much of the budget of a charge this partition's calls have used in the current window.

    Args:
        charge: what a call takes or would take.
        intent: the call.
        session_key: the key of its session.
        rows: the state of the partition.
        now_ms: stream time.
    """
    if charge.budget.per is Per.SESSION:
        row = _own_row(charge.budget, session_key, rows, now_ms)
        return len(row.targets) if charge.targets else row.units
    return used_of_lease(_claim(charge, intent, now_ms), rows.get)


def told(budget: Budget) -> str:
    """Return a budget in words."""
    window = "" if budget.window_ms is None else f" in {budget.window_ms // 1_000} s"
    key = "" if budget.key is None else f" and `{budget.key.text}`"
    return f"budget `{budget.name}` of {budget.limit} per {budget.per}{key}{window}"


def _start_ms(budget: Budget, now_ms: int) -> int:
    return 0 if budget.window_ms is None else now_ms - now_ms % budget.window_ms


def _claim(charge: Charge, intent: Intent, now_ms: int) -> Claim:
    budget, tenant_uid = charge.budget, intent.header.tenant_uid
    start_ms = _start_ms(budget, now_ms)
    family = budget_key(budget, tenant_uid, sharer_of(budget.per, intent))
    return Claim(
        key=keyed(family, charge.key) if charge.key else family,
        tenant_uid=tenant_uid,
        start_ms=start_ms,
        end_ms=start_ms + (budget.window_ms or 1),
        limit=budget.limit,
        amount=charge.amount,
        targets=charge.targets,
        keys_max=budget.keys_max or 0,
        warn_at=budget.warn_at,
    )


def sharer_of(per: Per, intent: Intent) -> tuple[str, ...]:
    """Return who shares a budget or a memory with the call of an intent, within its tenant."""
    if per is Per.AGENT:
        return (intent.act.iss, intent.act.sub)
    if per is Per.USER:
        return (intent.sub,)
    return (intent.tool.server_id, intent.tool.name) if per is Per.TOOL else ()


def budget_key(budget: Budget, tenant_uid: str, sharer: tuple[str, ...]) -> str:
    """Return the key of a shared budget: who shares it and what it measures, as amounts and values are separate.

    Of a budget with a key, this is what all values of the key have in common.
    """
    return shared_key((budget.name, budget.measure.value, budget.per.value), tenant_uid, sharer)


def shared_key(head: tuple[str, ...], tenant_uid: str, sharer: tuple[str, ...]) -> str:
    """Return a budget key that begins with `head`, and is not too long, whoever shares it."""
    key = json.dumps([*head, tenant_uid, *sharer], separators=(",", ":"))
    if len(key) <= _KEY_BYTES_MAX:
        return key
    return json.dumps([*head, hashlib.sha256(key.encode()).hexdigest()], separators=(",", ":"))


def _own_row(budget: Budget, session_key: bytes, state: Rows, now_ms: int) -> SpendRow:
    start_ms = _start_ms(budget, now_ms)
    found = state.get(spend_row_key(session_key, budget.name))
    row = SpendRow(start_ms) if found is None else decode_spend(found)
    return row if row.start_ms == start_ms else SpendRow(start_ms)


def _take_own(charge: Charge, session_key: bytes, state: StateView, now_ms: int) -> tuple[ChargeRow, SpendRow]:
    row = _own_row(charge.budget, session_key, state, now_ms)
    targets = dict(row.targets)
    for target in charge.targets:
        targets[target] = targets.get(target, 0) + 1
    row = replace(row, units=row.units + charge.amount, targets=targets)
    key = spend_row_key(session_key, charge.budget.name)
    state.put(key, encode_row(row))
    return ChargeRow(key, row.start_ms, charge.amount, charge.targets), row


def _give_back_own(charge: ChargeRow, state: StateView) -> None:
    found = state.get(charge.holder)
    row = None if found is None else decode_spend(found)
    if row is None or row.start_ms != charge.start_ms:
        return
    targets = dict(row.targets)
    for target in charge.targets:
        uses = targets.pop(target, 0) - 1
        if uses > 0:
            targets[target] = uses
    state.put(charge.holder, encode_row(replace(row, units=max(0, row.units - charge.amount), targets=targets)))
