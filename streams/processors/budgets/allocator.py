"""Allocate budgets that several gate partitions share: lease each window of each budget in parts.

The sum of what was leased and not returned never exceeds the limit, so what is spent does not (ADR 0015). A budget is
allocated by the partition that its key falls into. The allocator runs on the same engine as the gate.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from streams.model.budget import (
    BudgetAnswer,
    BudgetGrant,
    BudgetOp,
    BudgetRequest,
    family_of,
    is_carried,
    is_memory,
    request_key,
)
from streams.model.errors import RecordError
from streams.model.proof import derived_uuid
from streams.model.reasons import DeadLetterReason
from streams.model.topics import AUDIT_REPORTED, BUDGET_GRANT
from streams.model.types import Header, Record
from streams.ports.processor import Output, StateView
from streams.ports.wire import Encoder
from streams.processors import layout
from streams.processors.budgets import carried
from streams.processors.budgets.allocation import (
    AllocationRow,
    Answer,
    Pending,
    decode_allocation,
    grant_what_is_left,
    leased_of,
    limit_of,
    pending_of,
    refuse_or_recall,
    take_back,
)
from streams.processors.budgets.live_keys import count_key, live_keys
from streams.processors.budgets.round_trips import note_round_trip, round_trip_ms
from streams.processors.dead_letters import Reporter, ReportingProcessor
from streams.processors.dedup.alerts import AlertWindows
from streams.processors.rows import (
    HORIZON_KEY,
    INSTANT_BYTES,
    TimerKind,
    allocation_row_key,
    budget_of_allocation,
    parse_timer,
)
from streams.processors.settings import ALERT_WINDOW_MS
from streams.processors.state import encode_row

SOURCE = "stoplog/budgets"
GRACE_MS = 60_000
"""How long after its end a window can still be leased from, because gates may lag behind."""
CLEAN_MS = 1_000
"""How long a holder that has returned what it does not use, and was given nothing since, is not asked again."""
RECALL_WAIT_MS_MIN = 300
RECALL_WAIT_MS_MAX = 10_000
"""How long the allocator waits for answers to a recall at least and at most; this long if nothing was measured yet."""
RECALL_WAIT_ROUND_TRIPS = 3
"""How long it waits between these bounds, in round trips as measured. A holder may have just begun a commit."""
KEY_BYTES_MAX = 512
TARGETS_MAX = 1_000

AMOUNT_MAX = 2**62

MEMORY_OPS = frozenset({BudgetOp.NOTE, BudgetOp.READ})
_UNANSWERED = frozenset({BudgetOp.GIVE_BACK, BudgetOp.NOTE})
_RECALL_PREFIX = b"r"

replace = msgspec.structs.replace


class Answered(NamedTuple):
    """An answer of the allocator, for measurements.

    Attributes:
        budget_key: the budget and its owner.
        answer: the answer.
        leased: the share of the limit that is leased after it; None if the limit is not known.
    """

    budget_key: str
    answer: BudgetAnswer
    leased: float | None


class BudgetAllocator(ReportingProcessor):
    """Leases parts of budgets. All memory is in the state views."""

    def __init__(self, encoder: Encoder, alert_window_ms: int = ALERT_WINDOW_MS) -> None:
        """Create an allocator.

        Args:
            encoder: what encodes its records.
            alert_window_ms: for how long further dead letters of one kind are only counted.
        """
        self._windows = AlertWindows(encoder, alert_window_ms)
        super().__init__(Reporter(encoder, AUDIT_REPORTED, SOURCE), self._windows)
        self._encoder = encoder

    def prepare(self, state: StateView) -> None:
        """Check that the partition's rows have a layout that this version knows."""
        layout.bring_up_other(state)

    def process(
        self, topic: str, key: bytes | None, record: Record, state: StateView, received_ms: int, now_ms: int
    ) -> list[Output]:
        """Process one request; an ASK has one answer, a GIVE_BACK has none.

        Raises:
            RecordError: it is none of a gate; the state is as it was.
        """
        del topic, received_ms
        request = _checked(key, record)
        if is_carried(request.budget_key):
            return self._carried(request, state, now_ms)
        if request.window_end + GRACE_MS <= now_ms or request.window_end <= _horizon(state):
            return [] if request.op in _UNANSWERED else [self._too_late(request, now_ms)]
        row_key = allocation_row_key(request.budget_key, request.window_start)
        found = state.get(row_key)
        if found is None:
            answered = self._new_key(request, state, now_ms)
            if answered is not None:
                return answered
            state.set_timer(request.window_end + GRACE_MS, row_key)
            row = AllocationRow(request.window_start, request.window_end, request.header.tenant_uid)
        else:
            row = decode_allocation(found)
        partition = request.gate_partition
        if request.op in MEMORY_OPS and request.serial > row.serials.get(partition, 0):
            return self._counted(row_key, row, request, state, now_ms)
        if request.serial <= row.serials.get(partition, 0):
            last = row.answers.get(partition)
            repeated = request.op is BudgetOp.ASK and last is not None and last.serial == request.serial
            return [self._grant(request.budget_key, row, partition, last, now_ms)] if repeated and last else []
        row = replace(row, serials={**row.serials, partition: request.serial})
        asked: tuple[Pending, ...] = ()
        if request.op is BudgetOp.GIVE_BACK:
            row = self._given_back(row, request, state, now_ms)
        else:
            asked = (pending_of(request),)
        limit = limit_of((*row.pending, *asked))
        row, answers = grant_what_is_left(row, (*row.pending, *asked))
        return self._settled(row_key, row, answers, state, now_ms, limit)

    def on_timer(self, payload: bytes, state: StateView, now_ms: int) -> list[Output]:
        """Refuse what waits for a recall that not all have answered, or end the window of a budget or of an alert."""
        if payload[0] == TimerKind.ALERT:
            return self._windows.on_due(parse_timer(payload)[1], state, now_ms)
        if payload.startswith(carried.TIMER_PREFIX):
            carried.on_due(payload[len(carried.TIMER_PREFIX) :], state, now_ms)
            return []
        if payload.startswith(_RECALL_PREFIX):
            return self._on_silence(payload[len(_RECALL_PREFIX) :], state, now_ms)
        found = state.get(payload)
        if found is None:
            return []
        row, family = decode_allocation(found), family_of(budget_of_allocation(payload))
        if now_ms < row.end_ms + GRACE_MS:
            if not row.is_unused or now_ms < row.unused_since_ms + GRACE_MS:
                return []
            state.cancel_timer(row.end_ms + GRACE_MS, payload)
        else:
            # INVARIANT: a window that was forgotten is not leased again.
            end_ms = max(_horizon(state), row.end_ms)
            state.put(HORIZON_KEY, end_ms.to_bytes(INSTANT_BYTES, "big"))
        state.delete(payload)
        if family:
            count_key(family, row.start_ms, state, -1)
        return []

    def _new_key(self, request: BudgetRequest, state: StateView, now_ms: int) -> list[Output] | None:
        """Count a new value of a budget's key; return what is answered if it can't be leased from, otherwise None."""
        key, family = request.budget_key, family_of(request.budget_key)
        has_room = not family or live_keys(family, request.window_start, state) < request.keys_max
        if request.op is BudgetOp.READ and has_room:
            # INVARIANT: questions take no room. Whoever proposes calls could make up values, also in calls that are
            # denied, and leave no room for those of others.
            row = AllocationRow(request.window_start, request.window_end, request.header.tenant_uid)
            answer = Answer(request.serial, BudgetAnswer.COUNTED.value)
            return [self._grant(key, row, request.gate_partition, answer, now_ms)]
        if not family:
            return None
        if request.op is BudgetOp.GIVE_BACK:
            return []  # Nothing is held of a value that was forgotten.
        if not has_room:
            if request.op is BudgetOp.NOTE:
                return []  # Whoever reads the value is told that there is no room for it.
            row = AllocationRow(request.window_start, request.window_end, request.header.tenant_uid)
            answer = Answer(request.serial, BudgetAnswer.NO_ROOM.value)
            return [self._grant(key, row, request.gate_partition, answer, now_ms)]
        count_key(family, request.window_start, state, 1)
        return None

    def _carried(self, request: BudgetRequest, state: StateView, now_ms: int) -> list[Output]:
        """Add values to what outlives sessions, or answer with all of them."""
        kept = carried.process(request, state, now_ms)
        if kept is None:
            return []
        row = AllocationRow(request.window_start, request.window_end, request.header.tenant_uid)
        targets = (kept.packed,) if kept.packed else ()
        answer = Answer(request.serial, BudgetAnswer.COUNTED.value, kept.flags, targets=targets, sources=kept.sources)
        return [self._grant(request.budget_key, row, request.gate_partition, answer, now_ms)]

    def _counted(
        self, row_key: bytes, row: AllocationRow, request: BudgetRequest, state: StateView, now_ms: int
    ) -> list[Output]:
        """Store how much has happened on a partition, or answer how much has happened on the others."""
        partition, held = request.gate_partition, row.held
        if request.op is BudgetOp.NOTE:
            held = {**held, partition: max(held.get(partition, 0), request.amount)}
        row = replace(row, serials={**row.serials, partition: request.serial}, held=held)
        state.put(row_key, encode_row(row))
        if request.op is BudgetOp.NOTE:
            return []
        others = sum(amount for other, amount in held.items() if other != partition)
        answer = Answer(request.serial, BudgetAnswer.COUNTED.value, min(others, AMOUNT_MAX))
        return [self._grant(request.budget_key, row, partition, answer, now_ms)]

    def _on_silence(self, row_key: bytes, state: StateView, now_ms: int) -> list[Output]:
        """Stop waiting for partitions that have not answered a recall; their gate may be dead."""
        found = state.get(row_key)
        row = None if found is None else decode_allocation(found)
        if row is None or not row.recalled or now_ms < row.recall_due_ms:
            return []
        # They are not asked again for a while: everything that waits would wait for them once more.
        clean = tuple(sorted({*row.clean, *row.recalled}))
        row = replace(row, recalled=(), clean=clean, clean_until_ms=now_ms + CLEAN_MS)
        return self._settled(row_key, row, {}, state, now_ms, limit_of(row.pending))

    def _given_back(self, row: AllocationRow, request: BudgetRequest, state: StateView, now_ms: int) -> AllocationRow:
        row = take_back(row, request)
        partition = request.gate_partition
        if partition not in row.recalled:
            return row
        note_round_trip(state, now_ms - row.recalled_ms)
        recalled = tuple(other for other in row.recalled if other != partition)
        clean = tuple(sorted({*row.clean, partition}))
        return replace(row, recalled=recalled, clean=clean, clean_until_ms=now_ms + CLEAN_MS)

    def _settled(
        self, row_key: bytes, row: AllocationRow, answers: dict[int, Answer], state: StateView, now_ms: int, limit: int
    ) -> list[Output]:
        """Refuse the pending requests that nothing more will come for, or recall for them; store the row.

        `limit` is the budget's limit, as the requests say; 0 if there is none.
        """
        recalls: tuple[int, ...] = ()
        if row.pending and not row.recalled:
            row, answers, recalls = refuse_or_recall(row, answers, now_ms)
        if recalls:
            measured_ms = round_trip_ms(state)
            wait_ms = RECALL_WAIT_MS_MAX
            if measured_ms is not None:
                wait_ms = min(max(RECALL_WAIT_MS_MIN, RECALL_WAIT_ROUND_TRIPS * measured_ms), RECALL_WAIT_MS_MAX)
            row = replace(row, recalled=recalls, recalled_ms=now_ms, recall_due_ms=now_ms + wait_ms)
            state.set_timer(row.recall_due_ms, _RECALL_PREFIX + row_key)
        row = replace(row, answers={**row.answers, **answers})
        key = budget_of_allocation(row_key)
        if family_of(key) and row.is_unused != bool(row.unused_since_ms):
            row = replace(row, unused_since_ms=now_ms if row.is_unused else 0)
            if row.is_unused:
                state.set_timer(now_ms + GRACE_MS, row_key)
        state.put(row_key, encode_row(row))
        recall = Answer(0, BudgetAnswer.RECALL.value)
        told = [*((other, recall) for other in recalls), *answers.items()]
        leased = leased_of(row) / limit if limit else None
        return [self._grant(key, row, other, answer, now_ms, leased) for other, answer in told]

    def _too_late(self, request: BudgetRequest, now_ms: int) -> Output:
        row = AllocationRow(request.window_start, request.window_end, request.header.tenant_uid)
        answer = Answer(request.serial, BudgetAnswer.TOO_LATE.value)
        return self._grant(request.budget_key, row, request.gate_partition, answer, now_ms)

    def _grant(
        self,
        key: str,
        row: AllocationRow,
        partition: int,
        answer: Answer,
        now_ms: int,
        leased: float | None = None,
    ) -> Output:
        about = str(answer.serial) if answer.serial else f"recall {row.recalled_ms}"
        record_id = derived_uuid("budget grant", key, str(row.start_ms), str(partition), about)
        header = Header(id=record_id, source=SOURCE, time=now_ms, tenant_uid=row.tenant_uid)
        grant = BudgetGrant(
            header=header,
            budget_key=key,
            gate_partition=partition,
            serial=answer.serial,
            window_start=row.start_ms,
            window_end=row.end_ms,
            answer=BudgetAnswer(answer.answer),
            amount=answer.amount,
            left=answer.left,
            targets=answer.targets,
            sources=answer.sources,
        )
        value = self._encoder.encode(BUDGET_GRANT.name, grant)
        return Output(BUDGET_GRANT, key.encode(), value, header, partition, Answered(key, grant.answer, leased))


def _checked(key: bytes | None, record: Record) -> BudgetRequest:
    if not isinstance(record, BudgetRequest):
        text = f"`{type(record).__name__}` is not an input of the budget allocator"
        raise RecordError(DeadLetterReason.SCHEMA_MISMATCH, text)
    if key is None:
        raise RecordError(DeadLetterReason.KEY_MISSING, "the record has no key")
    if key != request_key(record.budget_key) or len(key) > KEY_BYTES_MAX:
        raise RecordError(DeadLetterReason.KEY_MISMATCH, "the key is not that of the budget, or too long")
    amounts = (record.limit, record.need, record.want, record.amount, record.keys_max)
    numbers = (record.gate_partition, record.serial, *amounts)
    if record.op is BudgetOp.UNKNOWN or min(numbers) < 0 or record.window_end <= record.window_start:
        text = f"request `{record.header.id}` asks for nothing that there is"
        raise RecordError(DeadLetterReason.RECORD_INVALID, text)
    if (record.op in MEMORY_OPS) is not is_memory(record.budget_key):
        raise RecordError(DeadLetterReason.RECORD_INVALID, f"request `{record.header.id}` is about something else")
    if len(record.targets) > TARGETS_MAX or "\x00" in record.budget_key:
        raise RecordError(DeadLetterReason.RECORD_INVALID, f"request `{record.header.id}` is out of bounds")
    return record


def _horizon(state: StateView) -> int:
    found = state.get(HORIZON_KEY)
    return -1 if found is None else int.from_bytes(found, "big")
