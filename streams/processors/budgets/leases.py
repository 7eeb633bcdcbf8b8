"""Spend what a gate partition has leased of budgets that several partitions share.

Nothing is spent that was not granted, so the limit holds whatever happens to requests, grants and gates (ADR 0015).
A lease belongs to one window of broker time and is worth nothing in another.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from streams.model.budget import BudgetAnswer, BudgetGrant, BudgetOp, BudgetRequest, family_of, request_key
from streams.model.proof import derived_uuid
from streams.model.topics import BUDGET_REQUEST
from streams.model.types import Header
from streams.ports.processor import Output, StateView
from streams.ports.wire import Encoder
from streams.processors.budgets.claims import (
    Claim,
    amount_lacking,
    amount_wanted,
    idle_values,
    lease_of_now,
    taken_together,
)
from streams.processors.budgets.lease_row import Asked, LeaseRow, decode_lease, spent_row
from streams.processors.budgets.nearly_exhausted import lease_alert, nears
from streams.processors.budgets.round_trips import note_round_trip, round_trip_ms
from streams.processors.dedup.alerts import AlertWindows
from streams.processors.headers import gate_header
from streams.processors.row_kinds import RowKind
from streams.processors.rows import (
    REQUEST_SERIAL_KEY,
    TimerKind,
    budget_of_lease,
    lease_row_key,
    pending_row_key,
    timer_payload,
)
from streams.processors.settings import GateSettings
from streams.processors.state import ChargeRow, encode_row

RECHECK_MS = 1_000
"""How long an allocator that has nothing left is not asked for as much again."""
RESEND_MS = 10_000
"""After how long an unanswered request is sent again, under the same number."""
WAITING_MAX = 1_024
"""How many intents of a partition wait for one budget at most."""
UNANSWERED_MS = 60_000
"""After how long without an answer a value of a budget's key is forgotten that nothing was spent of; intents wait less
than that. Otherwise values that somebody makes up would fill the state while the allocator is away."""
AHEAD_ROUND_TRIPS = 2
"""How many round trips' use is requested ahead of need. Half a round trip's use is left when it arrives."""
WAIT_ROUND_TRIPS = 8
"""How long intents wait, in round trips. Near the end of a budget, a request that comes right after another waits for
its answer (up to two round trips, with a recall), then for its own (four, if a recall is under way and another must
follow), and then for the last units that others have returned meanwhile."""

_V1_PREFIX = RowKind.GRANT.prefix
"""What keys of leases began with in layout 1. Charges of calls that have not ended may still name them so."""

_V1_LEASES = (_V1_PREFIX + b'["', _V1_PREFIX + b"[#")
_SERIAL_BYTES = 8

replace = msgspec.structs.replace


class Status(Enum):
    """Whether a charge fits into what is leased."""

    ENOUGH = 1
    SHORT = 2
    EXHAUSTED = 3
    NO_ROOM = 4


def move_from_layout_1(state: StateView) -> None:
    """Move the rows of leases from the keys that they had in layout 1 of the rows.

    They began like those of grants. A budget's key is a JSON array that begins with a text, and so may the name of a
    hostile tenant: the value tells a lease from a grant.
    """
    for key, value in list(state.scan(*_V1_LEASES)):
        try:
            decode_lease(value)
        except msgspec.DecodeError:
            continue  # a grant
        state.delete(key)
        state.put(lease_row_key(key[len(_V1_PREFIX) :].decode()), value)


class BudgetLeases:
    """Spends leases, requests more, and returns what is idle. All memory is in the state views."""

    def __init__(self, settings: GateSettings, encoder: Encoder) -> None:
        self._idle_ms = settings.budget_idle_ms
        self._encoder = encoder
        self._alerts = AlertWindows(encoder, settings.alert_window_ms)

    def status(self, claim: Claim, state: StateView, now_ms: int) -> Status:
        """Return whether the claim fits."""
        row = lease_of_now(claim, state)
        lacking = amount_lacking(claim, row)
        if not lacking:
            return Status.ENOUGH
        if taken_together(claim, row) > claim.limit:
            return Status.EXHAUSTED
        if now_ms < row.no_room_until_ms:
            return Status.NO_ROOM
        left = row.left + len(idle_values(claim, row))
        return Status.EXHAUSTED if now_ms < row.short_until_ms and lacking > left else Status.SHORT

    def spend(self, claim: Claim, state: StateView, now_ms: int) -> list[Output]:
        """Take a claim that fits, and request more if little is left."""
        row = lease_of_now(claim, state)
        targets = row.targets
        if claim.targets:
            targets = dict(targets)
            for target in claim.targets:
                targets[target] = targets[target] + 1
        row = spent_row(row, claim.amount, targets, now_ms)
        outputs: list[Output] = []
        expected = row.expected()
        is_running_out = row.available < expected + expected // 2
        if (
            is_running_out
            and row.asked is None
            and not row.behind
            and now_ms >= max(row.short_until_ms, row.ahead_from_ms)
        ):
            want = min(AHEAD_ROUND_TRIPS * expected, row.limit)
            asked = Asked(next_serial(state), now_ms, 0, want, (), now_ms)
            row, output = self._ask(claim.key, row, asked, state.partition)
            outputs.append(output)
        self._put(claim.key, row, state, now_ms)
        return outputs

    def wait(self, claim: Claim, waiting: tuple[bytes, str], state: StateView, now_ms: int) -> list[Output] | None:
        """Let an intent wait for more, which is requested; return None if too many wait already."""
        row = lease_of_now(claim, state)
        others = with_room(row.waiting, state)
        if others is None:
            return None
        if waiting not in others:
            demand = row.demand + claim.amount
            row = replace(row, waiting=(*others, waiting), demand=demand, touched_ms=now_ms)
        outputs: list[Output] = []
        if row.asked is None:
            idle = idle_values(claim, row)
            if idle:
                # Values that no call uses any longer make room for those of this one.
                serial = next_serial(state)
                outputs.append(
                    self._return(claim.key, replace(row, available=0), serial, idle, now_ms, state.partition)
                )
                row = replace(row, targets={target: uses for target, uses in row.targets.items() if target not in idle})
            missing = tuple(target for target in claim.targets if target not in row.targets)
            need = amount_lacking(claim, row)
            want = min(max(need, amount_wanted(claim, row, state)), row.limit)
            asked = Asked(next_serial(state), now_ms, need, want, missing, now_ms)
            row, output = self._ask(claim.key, row, asked, state.partition)
            outputs.append(output)
        elif now_ms - row.asked.asked_ms >= RESEND_MS:
            outputs.append(self._request(claim.key, row, row.asked, now_ms, state.partition))
            row = replace(row, asked=replace(row.asked, asked_ms=now_ms))
        self._put(claim.key, row, state, now_ms)
        return outputs

    def give_back(self, charge: ChargeRow, state: StateView, now_ms: int) -> None:
        """Return what a call was charged that did not run."""
        key = _holder(charge)
        found = state.get(key)
        if found is None:
            return
        row = decode_lease(found)
        if row.start_ms != charge.start_ms:
            return
        targets = dict(row.targets)
        for target in charge.targets:
            if targets.get(target, 0) > 0:
                targets[target] -= 1
        row = replace(
            row,
            available=row.available + charge.amount,
            spent=max(0, row.spent - charge.amount),
            targets=targets,
            touched_ms=now_ms,
        )
        self._put(budget_of_lease(key), row, state, now_ms)

    def on_recall(self, recall: BudgetGrant, state: StateView, now_ms: int) -> Output:
        """Return what is unused here, because another partition needs it. Answer even if there is nothing."""
        found = state.get(lease_row_key(recall.budget_key))
        row = None if found is None else decode_lease(found)
        if row is None or row.start_ms != recall.window_start:
            tenant_uid = recall.header.tenant_uid
            row = LeaseRow(tenant_uid, recall.window_start, recall.window_end, 0)
            return self._return(recall.budget_key, row, next_serial(state), (), now_ms, state.partition)
        row, output = self._given_back(recall.budget_key, row, state, now_ms)
        self._put(recall.budget_key, row, state, now_ms)
        return output

    def on_grant(
        self, grant: BudgetGrant, state: StateView, now_ms: int
    ) -> tuple[tuple[tuple[bytes, str], ...], list[Output]]:
        """Process an answer, and return who has waited for it. An answer to no open request changes nothing here.

        Returns:
            Who has waited, as session key and intent id; and what is to be written.
        """
        found = state.get(lease_row_key(grant.budget_key))
        if found is None:
            return (), self._unwanted(grant, state, now_ms)
        row = decode_lease(found)
        if row.asked is None or row.asked.serial != grant.serial:
            return (), []
        asked, waiting = row.asked, row.waiting
        round_trip = note_round_trip(state, now_ms - (asked.since_ms or asked.asked_ms))
        row = replace(row, asked=None, waiting=(), touched_ms=now_ms, left=grant.left, round_trip_ms=round_trip)
        if grant.answer is BudgetAnswer.GRANTED and grant.window_start == row.start_ms:
            targets = {**dict.fromkeys(grant.targets, 0), **row.targets}
            row = replace(row, available=row.available + grant.amount, targets=targets)
        outputs: list[Output] = []
        if row.warn_at and not row.is_warned and nears(grant, row):
            row = replace(row, is_warned=True)
            outputs = self._alerts.raised(lease_alert(grant, row, now_ms), state, now_ms)
        is_granted = grant.answer is BudgetAnswer.GRANTED and grant.amount + len(grant.targets) > 0
        if is_granted:
            row = replace(row, short_until_ms=0, ahead_from_ms=0, no_room_until_ms=0)
        elif grant.answer is BudgetAnswer.NO_ROOM:
            row = replace(row, no_room_until_ms=now_ms + RECHECK_MS)
        elif asked.need or asked.targets:
            row = replace(row, short_until_ms=now_ms + RECHECK_MS)
        else:
            # INVARIANT: only a request that intents wait for tells that a budget is exhausted. Before the allocator
            # refuses one, it recalls what is unused elsewhere; ahead of need it doesn't.
            row = replace(row, ahead_from_ms=now_ms + RECHECK_MS)
        # What came to wait within a round trip is what a round trip uses.
        used = max(row.used, row.demand) if is_granted else row.used
        row = replace(row, demand=0, behind=max(0, row.demand - row.available) if is_granted else 0, used=used)
        self._put(grant.budget_key, row, state, now_ms)
        return waiting, outputs

    def _unwanted(self, grant: BudgetGrant, state: StateView, now_ms: int) -> list[Output]:
        """Return a lease of a value of a budget's key that came after the value was forgotten here.

        INVARIANT: until the end of its window, a value without a row is one that nothing was spent of here.
        """
        is_lost = grant.answer is BudgetAnswer.GRANTED and now_ms < grant.window_end
        if not is_lost or not family_of(grant.budget_key):
            return []
        tenant_uid, start_ms, end_ms = grant.header.tenant_uid, grant.window_start, grant.window_end
        row = LeaseRow(tenant_uid, start_ms, end_ms, 0, available=grant.amount)
        serial = next_serial(state)
        return [self._return(grant.budget_key, row, serial, grant.targets, now_ms, state.partition)]

    def on_due(self, key: str, state: StateView, now_ms: int) -> list[Output]:
        """Delete a lease after its window, or return what of it is idle."""
        found = state.get(lease_row_key(key))
        if found is None:
            return []
        row = replace(decode_lease(found), due_ms=0)
        if now_ms >= row.end_ms:
            state.delete(lease_row_key(key))
            return []
        outputs: list[Output] = []
        holds = row.available or not all(row.targets.values())
        if row.keys_max:
            if now_ms < self._keyed_due_ms(row, now_ms - 1):
                self._put(key, row, state, now_ms)
                return []
            state.delete(lease_row_key(key))
            return [self._given_back(key, row, state, now_ms)[1]] if holds else []
        if holds and now_ms - row.touched_ms >= self._idle_ms and row.asked is None:
            row, output = self._given_back(key, row, state, now_ms)
            outputs.append(output)
        self._put(key, row, state, now_ms)
        return outputs

    def _put(self, key: str, row: LeaseRow, state: StateView, now_ms: int) -> None:
        """Store a row with a timer: at the end of its window, or sooner if something of it may become idle."""
        due_ms = row.end_ms
        if row.keys_max:
            due_ms = self._keyed_due_ms(row, now_ms)
        elif row.available or not all(row.targets.values()):
            # What was requested may be on its way for an intent that waits: nothing is idle before the answer.
            touched_ms = now_ms if row.asked is not None else row.touched_ms
            due_ms = min(row.end_ms, max(touched_ms + self._idle_ms, now_ms + 1))
        if not row.due_ms or due_ms < row.due_ms:
            payload = timer_payload(TimerKind.LEASE, key.encode())
            if row.due_ms:
                state.cancel_timer(row.due_ms, payload)
            state.set_timer(due_ms, payload)
            row = replace(row, due_ms=due_ms)
        state.put(lease_row_key(key), encode_row(row))

    def _keyed_due_ms(self, row: LeaseRow, now_ms: int) -> int:
        """Return when a value of a budget's key is forgotten here, after `now_ms`.

        What is left of its lease is not returned before that: calls with this value come seldom, and a lease for each
        of them would cost more than a recall near the end of the budget.
        """
        if row.is_used:
            return row.end_ms
        kept_ms = self._idle_ms if row.asked is None else UNANSWERED_MS
        return min(row.end_ms, max(row.touched_ms + kept_ms, now_ms + 1))

    def _given_back(self, key: str, row: LeaseRow, state: StateView, now_ms: int) -> tuple[LeaseRow, Output]:
        """Return the row without what no call uses, and the record that returns that."""
        idle = tuple(sorted(target for target, uses in row.targets.items() if not uses))
        output = self._return(key, row, next_serial(state), idle, now_ms, state.partition)
        kept = {target: uses for target, uses in row.targets.items() if uses}
        return replace(row, available=0, targets=kept), output

    def _ask(self, key: str, row: LeaseRow, asked: Asked, partition: int) -> tuple[LeaseRow, Output]:
        return replace(row, asked=asked, behind=0), self._request(key, row, asked, asked.asked_ms, partition)

    def _request(self, key: str, row: LeaseRow, asked: Asked, now_ms: int, partition: int) -> Output:
        request = BudgetRequest(
            header=request_header(key, row.tenant_uid, partition, asked.serial, now_ms),
            budget_key=key,
            op=BudgetOp.ASK,
            gate_partition=partition,
            serial=asked.serial,
            window_start=row.start_ms,
            window_end=row.end_ms,
            limit=row.limit,
            need=asked.need,
            want=asked.want,
            targets=asked.targets,
            keys_max=row.keys_max,
        )
        return self._output(key, request)

    def _return(
        self, key: str, row: LeaseRow, serial: int, targets: tuple[bytes, ...], now_ms: int, partition: int
    ) -> Output:
        request = BudgetRequest(
            header=request_header(key, row.tenant_uid, partition, serial, now_ms),
            budget_key=key,
            op=BudgetOp.GIVE_BACK,
            gate_partition=partition,
            serial=serial,
            window_start=row.start_ms,
            window_end=row.end_ms,
            limit=row.limit,
            amount=row.available,
            targets=targets,
            keys_max=row.keys_max,
        )
        return self._output(key, request)

    def _output(self, key: str, request: BudgetRequest) -> Output:
        value = self._encoder.encode(BUDGET_REQUEST.name, request)
        return Output(BUDGET_REQUEST, request_key(key), value, request.header)


def _holder(charge: ChargeRow) -> bytes:
    """Return the key of the lease that a call was charged to."""
    if charge.holder.startswith(_V1_PREFIX):
        return lease_row_key(charge.holder[len(_V1_PREFIX) :].decode())
    return charge.holder


def budget_wait_ms(state: StateView, settings: GateSettings) -> int:
    """Return how long an intent may wait for a lease: by the measured round trip, within the bounds of the settings."""
    measured_ms = round_trip_ms(state)
    wait_ms = settings.budget_wait_max_ms
    if measured_ms is not None:
        wait_ms = min(wait_ms, WAIT_ROUND_TRIPS * measured_ms)
    return max(settings.budget_wait_ms, wait_ms)


def with_room(waiting: tuple[tuple[bytes, str], ...], state: StateView) -> tuple[tuple[bytes, str], ...] | None:
    """Return the intents that wait for an answer if one more may; None if too many do.

    If there are too many, those that wait no longer are left out first. An empty intent stands for a session that waits
    itself.
    """
    if len(waiting) >= WAITING_MAX:
        waiting = tuple(each for each in waiting if not each[1] or state.get(pending_row_key(*each)) is not None)
    return waiting if len(waiting) < WAITING_MAX else None


def next_serial(state: StateView) -> int:
    """Return the next number: numbers rise over all requests of a partition, so that none is used twice."""
    found = state.get(REQUEST_SERIAL_KEY)
    serial = 1 if found is None else int.from_bytes(found, "big") + 1
    state.put(REQUEST_SERIAL_KEY, serial.to_bytes(_SERIAL_BYTES, "big"))
    return serial


def request_header(key: str, tenant_uid: str, partition: int, serial: int, now_ms: int) -> Header:
    """Return the header of a request to the allocator."""
    record_id = derived_uuid("budget request", key, str(partition), str(serial))
    return gate_header(record_id, tenant_uid, now_ms)
