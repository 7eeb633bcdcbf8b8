"""Remember across sessions: what has happened in all sessions of a user, an agent, a tool or a tenant.

Each partition counts what happens on it, and notes its total with the budget allocator. A rule that reads such a memory
sees what has happened on its own partition, exactly, and on the others as of the last answer of the allocator. If that
answer is older than the memory's `fresh`, the intent waits for a new one, as it would for a lease.

A note says how much there is in all, not how much was added, and the allocator keeps the largest one of each partition:
a note that is repeated, or comes late, changes nothing.

Rejected: sending each event to all partitions. It costs a record for each of them, whether anybody reads the memory
there or not, and how old a memory is would depend on which partition lags; nobody could say.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from streams.model.budget import BudgetAnswer, BudgetGrant, BudgetOp, BudgetRequest, keyed, memory_head, request_key
from streams.model.intent import Intent
from streams.model.topics import BUDGET_REQUEST
from streams.policy.language.bundle import Keep, Memory, Per
from streams.policy.language.fact_types import Facts
from streams.policy.runtime.memory_updates import MemoryUpdate, ToolPlan
from streams.ports.processor import Output, StateView
from streams.ports.wire import Encoder
from streams.processors.budgets.charges import shared_key, sharer_of
from streams.processors.budgets.leases import RECHECK_MS, RESEND_MS, next_serial, request_header, with_room
from streams.processors.budgets.round_trips import note_round_trip
from streams.processors.rows import TimerKind, tally_row_key, timer_payload
from streams.processors.sessions.memory import Happened, is_due, update_row
from streams.processors.state import MemoryUpdateRow, encode_row

KEPT_MS = 60_000
"""How long a value is kept of which nothing has happened on this partition, or longer if it is fresh for longer."""
AMOUNT_MAX = 2**62

replace = msgspec.structs.replace


class Tally(NamedTuple):
    """One value of a shared memory in its current window.

    Attributes:
        key: its budget key.
        fresh_ms: how old an answer about it may be; 0 if it is only noted.
    """

    key: str
    tenant_uid: str
    start_ms: int
    end_ms: int
    keys_max: int
    fresh_ms: int = 0


class TallyRow(msgspec.Struct, frozen=True, array_like=True):
    """What a partition knows of one value of a shared memory.

    Attributes:
        own: how much has happened on this partition.
        others: how much has happened on the others, by the last answer.
        answered_ms: when that answer was processed; 0 if there was none.
        serial: of the question that has not been answered yet; 0 if there is none.
        asked_ms: when that was asked.
        waiting: intents that wait for the answer, as session key and intent id.
        no_room_until_ms: until when the allocator is not asked again, because it has no room for this value.
        fresh_ms: how long an answer is good for.
        due_ms: when the timer of the row is due; 0 if there is none.
    """

    tenant_uid: str
    start_ms: int
    end_ms: int
    keys_max: int
    own: int = 0
    others: int = 0
    answered_ms: int = 0
    serial: int = 0
    asked_ms: int = 0
    waiting: tuple[tuple[bytes, str], ...] = ()
    no_room_until_ms: int = 0
    fresh_ms: int = 0
    due_ms: int = 0


_decode = msgspec.msgpack.Decoder(TallyRow).decode


class Recalled(NamedTuple):
    """What is known of the shared memories that the rules for a call read.

    Attributes:
        history: their values, and how old they are. Values that can't be known are not there.
        stale: those that the allocator must be asked for first.
    """

    history: dict[str, Any]
    stale: tuple[Tally, ...]


def recall_shared(plan: ToolPlan, facts: Facts, intent: Intent, state: StateView, now_ms: int) -> Recalled:
    """Return what is known of the shared memories that the rules of a tool read."""
    history: dict[str, Any] = {}
    stale = []
    for recalled in plan.shared:
        memory, key = recalled.memory, recalled.key_of(facts)
        if key is None:
            continue
        tally = _tally(memory, key, intent, now_ms)
        row = _of_now(tally, state)
        if now_ms < row.no_room_until_ms:
            continue
        age_ms = max(0, now_ms - row.answered_ms)
        if not row.answered_ms or age_ms > tally.fresh_ms:
            stale.append(tally)
            continue
        amount = min(row.own + row.others, AMOUNT_MAX)
        history[memory.name] = amount > 0 if memory.keep is Keep.ANY else amount
        history[memory.age_name] = age_ms
    return Recalled(history, tuple(stale))


def shared_update_row(update: MemoryUpdate, intent: Intent) -> MemoryUpdateRow:
    """Return an update in the form in which it is stored until the call has ended, with the memory that it is for."""
    row, memory = update_row(update), update.memory
    if memory.per is None:
        return row
    tally = _tally(memory, update.key, intent, 0)
    return replace(row, tally=tally.key, window_ms=memory.window_ms or 1, keys_max=tally.keys_max)


class SharedMemories:
    """Notes what has happened, and asks what has happened elsewhere. All memory is in the state views."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def ask(
        self, stale: Iterable[Tally], waiting: tuple[bytes, str], state: StateView, now_ms: int
    ) -> list[Output] | None:
        """Let an intent wait for answers, which are asked for; return None if too many wait already."""
        outputs: list[Output] = []
        for tally in stale:
            row = _of_now(tally, state)
            others = with_room(row.waiting, state)
            if others is None:
                return None
            row = replace(row, waiting=others if waiting in others else (*others, waiting))
            if not row.serial or now_ms - row.asked_ms >= RESEND_MS:
                row = replace(row, serial=next_serial(state), asked_ms=now_ms)
                outputs.append(self._request(tally.key, row, BudgetOp.READ, row.serial, now_ms, state.partition))
            self._put(tally.key, replace(row, fresh_ms=tally.fresh_ms), state, now_ms)
        return outputs

    def note(
        self,
        updates: Iterable[MemoryUpdateRow],
        happened: Happened,
        tenant_uid: str,
        state: StateView,
        now_ms: int,
    ) -> list[Output]:
        """Count what has happened to a call, and return the notes of it."""
        outputs: list[Output] = []
        for update in updates:
            if not update.tally or not update.amount or not is_due(update, happened):
                continue
            start_ms = now_ms - now_ms % update.window_ms
            tally = Tally(update.tally, tenant_uid, start_ms, start_ms + update.window_ms, update.keys_max)
            row = _of_now(tally, state)
            row = replace(row, own=min(row.own + update.amount, AMOUNT_MAX))
            serial = next_serial(state)
            outputs.append(self._request(tally.key, row, BudgetOp.NOTE, serial, now_ms, state.partition))
            self._put(tally.key, row, state, now_ms)
        return outputs

    def on_grant(self, grant: BudgetGrant, state: StateView, now_ms: int) -> tuple[tuple[bytes, str], ...]:
        """Process an answer, and return who has waited for it. An answer to no open question changes nothing."""
        found = state.get(tally_row_key(grant.budget_key))
        row = None if found is None else _decode(found)
        if row is None or not row.serial or row.serial != grant.serial:
            return ()
        waiting = row.waiting
        note_round_trip(state, now_ms - row.asked_ms)
        row = replace(row, serial=0, waiting=())
        if grant.answer is BudgetAnswer.COUNTED and grant.window_start == row.start_ms:
            row = replace(row, others=grant.amount, answered_ms=now_ms, no_room_until_ms=0)
        elif grant.answer is not BudgetAnswer.COUNTED:
            row = replace(row, no_room_until_ms=now_ms + RECHECK_MS)
        self._put(grant.budget_key, row, state, now_ms)
        return waiting

    def on_due(self, key: str, state: StateView, now_ms: int) -> None:
        """Delete a row after its window, or when nothing has happened here and it was not read for a while."""
        found = state.get(tally_row_key(key))
        if found is None:
            return
        row = replace(_decode(found), due_ms=0)
        if now_ms >= _due_ms(row, 0):
            state.delete(tally_row_key(key))
        else:
            self._put(key, row, state, now_ms)

    def _put(self, key: str, row: TallyRow, state: StateView, now_ms: int) -> None:
        due_ms = _due_ms(row, now_ms + 1)
        if not row.due_ms or due_ms < row.due_ms:
            payload = timer_payload(TimerKind.TALLY, key.encode())
            if row.due_ms:
                state.cancel_timer(row.due_ms, payload)
            state.set_timer(due_ms, payload)
            row = replace(row, due_ms=due_ms)
        state.put(tally_row_key(key), encode_row(row))

    def _request(self, key: str, row: TallyRow, op: BudgetOp, serial: int, now_ms: int, partition: int) -> Output:
        request = BudgetRequest(
            header=request_header(key, row.tenant_uid, partition, serial, now_ms),
            budget_key=key,
            op=op,
            gate_partition=partition,
            serial=serial,
            window_start=row.start_ms,
            window_end=row.end_ms,
            limit=0,
            amount=row.own,
            keys_max=row.keys_max,
        )
        return Output(
            BUDGET_REQUEST, request_key(key), self._encoder.encode(BUDGET_REQUEST.name, request), request.header
        )


def _tally(memory: Memory, key: bytes, intent: Intent, now_ms: int) -> Tally:
    tenant_uid, per, window_ms = intent.header.tenant_uid, memory.per or Per.SESSION, memory.window_ms or 1
    head = memory_head(memory.name, memory.keep.value, per.value)
    family = shared_key(head, tenant_uid, sharer_of(per, intent))
    start_ms = now_ms - now_ms % window_ms
    name = keyed(family, key) if key else family
    return Tally(name, tenant_uid, start_ms, start_ms + window_ms, memory.keys_max or 0, memory.fresh_ms or 0)


def _of_now(tally: Tally, state: StateView) -> TallyRow:
    """Return the row of the current window; of an earlier window only the waiting intents and the timer are kept."""
    fresh = TallyRow(tally.tenant_uid, tally.start_ms, tally.end_ms, tally.keys_max)
    found = state.get(tally_row_key(tally.key))
    if found is None:
        return fresh
    row = _decode(found)
    if (row.start_ms, row.end_ms) != (tally.start_ms, tally.end_ms):
        return replace(fresh, waiting=row.waiting, due_ms=row.due_ms)
    return row if row.keys_max == tally.keys_max else replace(row, keys_max=tally.keys_max)


def _due_ms(row: TallyRow, earliest_ms: int) -> int:
    """Return when a row can be deleted, at `earliest_ms` or later."""
    if row.own:
        return row.end_ms
    kept_ms = max(KEPT_MS, row.fresh_ms)
    return min(row.end_ms, max(max(row.asked_ms, row.answered_ms) + kept_ms, earliest_ms))
