"""The owner of budgets that several gate partitions share: it gives each window of each budget out in slices.

    o <budget key> NUL <window>    OwnerRow
    z                              the end of the newest window that was forgotten

What was given and not given back never exceeds the limit, so what is spent does not (ADR 0015). The owner of a budget
is the partition that its key falls into; it runs on the same engine as the gate.
"""

from __future__ import annotations

import msgspec

from streams.model.budget import BudgetAnswer, BudgetGrant, BudgetOp, BudgetRequest
from streams.model.errors import RecordError
from streams.model.proof import derived_uuid
from streams.model.reasons import DeadLetterReason
from streams.model.topics import BUDGET_GRANT
from streams.model.types import Header, Record
from streams.processors.effects import Encoder, Output, StateView
from streams.processors.state import encode_row

SOURCE = "stoplog/budgets"
GRACE_MS = 60_000
"""How long after its end a window is still given from: gates may lag behind."""
SHARE_DIVISOR = 2
"""A slice is at most this part of an equal share of what is left, or what is needed: little lies idle at the end."""
KEY_BYTES_MAX = 512
TARGETS_MAX = 1_000

_HORIZON_KEY = b"z"
_INSTANT_BYTES = 8

replace = msgspec.structs.replace


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """What a partition was answered last, for the case that it asks the same again."""

    serial: int
    op: str
    answer: str
    amount: int
    left: int
    targets: tuple[bytes, ...]


class OwnerRow(msgspec.Struct, frozen=True, array_like=True):
    """One window of one budget.

    Attributes:
        held: units that each gate partition was given and has not given back.
        targets: the values in the budget, each with the partitions that may use it.
        answers: the last one to each partition.
    """

    end_ms: int
    held: dict[int, int] = {}
    targets: dict[bytes, tuple[int, ...]] = {}
    answers: dict[int, Answer] = {}


_decode = msgspec.msgpack.Decoder(OwnerRow).decode


class NothingToControl:
    """What the engine tells an owner of its control state: there is none."""

    stale = False

    def apply(self, topic: str, key: bytes | None, record: Record | None, next_offset: int) -> None:
        """Nothing comes."""

    def block_unreadable(self, topic: str, key: bytes | None) -> None:
        """Nothing comes."""


class BudgetOwner:
    """Gives slices out; all memory is in the state views."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def process(
        self, key: bytes | None, record: Record, state: StateView, received_ms: int, now_ms: int
    ) -> list[Output]:
        """Take in one request; an ASK has one answer, a GIVE_BACK has none.

        Raises:
            RecordError: it is none of a gate; the state is as it was.
        """
        del received_ms
        request = _checked(key, record)
        if request.window_end + GRACE_MS <= now_ms or request.window_end <= _horizon(state):
            return [] if request.op is BudgetOp.GIVE_BACK else [self._too_late(request, now_ms)]
        row_key = _row_key(request.budget_key, request.window_start)
        found = state.get(row_key)
        if found is None:
            state.set_timer(request.window_end + GRACE_MS, row_key)
        row = OwnerRow(end_ms=request.window_end) if found is None else _decode(found)
        last = row.answers.get(request.gate_partition)
        if last is not None and request.serial <= last.serial:
            repeated = request.serial == last.serial and last.op == BudgetOp.ASK.value
            return [self._grant(request, last, now_ms)] if repeated else []
        row, answer = _given_back(row, request) if request.op is BudgetOp.GIVE_BACK else _granted(row, request)
        row = replace(row, answers={**row.answers, request.gate_partition: answer})
        state.put(row_key, encode_row(row))
        return [] if request.op is BudgetOp.GIVE_BACK else [self._grant(request, answer, now_ms)]

    def on_timer(self, payload: bytes, state: StateView, now_ms: int) -> list[Output]:
        """A window is over, and so is the time for late requests: forget it, and remember that it was forgotten."""
        del now_ms
        found = state.get(payload)
        if found is not None:
            end_ms = max(_horizon(state), _decode(found).end_ms)
            state.put(_HORIZON_KEY, end_ms.to_bytes(_INSTANT_BYTES, "big"))
            state.delete(payload)
        return []

    def _too_late(self, request: BudgetRequest, now_ms: int) -> Output:
        answer = Answer(request.serial, request.op.value, BudgetAnswer.TOO_LATE.value, 0, 0, ())
        return self._grant(request, answer, now_ms)

    def _grant(self, request: BudgetRequest, answer: Answer, now_ms: int) -> Output:
        record_id = derived_uuid("budget grant", request.header.id)
        header = Header(id=record_id, source=SOURCE, time=now_ms, tenant_uid=request.header.tenant_uid)
        grant = BudgetGrant(
            header=header,
            budget_key=request.budget_key,
            gate_partition=request.gate_partition,
            serial=request.serial,
            window_start=request.window_start,
            window_end=request.window_end,
            answer=BudgetAnswer(answer.answer),
            amount=answer.amount,
            left=answer.left,
            targets=answer.targets,
        )
        value = self._encoder.encode(BUDGET_GRANT.name, grant)
        return Output(BUDGET_GRANT, request.budget_key.encode(), value, header, request.gate_partition)


def _checked(key: bytes | None, record: Record) -> BudgetRequest:
    if not isinstance(record, BudgetRequest):
        raise RecordError(DeadLetterReason.SCHEMA_MISMATCH, f"`{type(record).__name__}` is no input of budgets")
    if key is None:
        raise RecordError(DeadLetterReason.KEY_MISSING, "the record has no key")
    if key != record.budget_key.encode("utf-8", "surrogatepass") or len(key) > KEY_BYTES_MAX:
        raise RecordError(DeadLetterReason.KEY_MISMATCH, "the key is not that of the budget, or too long")
    numbers = (record.gate_partition, record.serial, record.limit, record.need, record.want, record.amount)
    if record.op is BudgetOp.UNKNOWN or min(numbers) < 0 or record.window_end <= record.window_start:
        text = f"request `{record.header.id}` asks for nothing that there is"
        raise RecordError(DeadLetterReason.RECORD_INVALID, text)
    if len(record.targets) > TARGETS_MAX or "\x00" in record.budget_key:
        raise RecordError(DeadLetterReason.RECORD_INVALID, f"request `{record.header.id}` is out of bounds")
    return record


def _granted(row: OwnerRow, request: BudgetRequest) -> tuple[OwnerRow, Answer]:
    return _targets_granted(row, request) if request.targets else _units_granted(row, request)


def _units_granted(row: OwnerRow, request: BudgetRequest) -> tuple[OwnerRow, Answer]:
    """All that is wanted, down to a cautious share of what is left; less than what is needed is of no use."""
    left = max(0, request.limit - sum(row.held.values()))
    partition = request.gate_partition
    askers = len(row.held.keys() | {partition})
    amount = min(request.want, left // (SHARE_DIVISOR * askers)) if request.need <= left else 0
    amount = max(amount, request.need if request.need <= left else 0)
    held = {**row.held, partition: row.held.get(partition, 0) + amount}
    # INVARIANT: the sum of `held` is at most the limit, unless the limit itself was lowered since.
    is_granted = amount >= request.need and amount > 0
    answer = BudgetAnswer.GRANTED if is_granted else BudgetAnswer.REFUSED
    return replace(row, held=held), Answer(request.serial, request.op.value, answer.value, amount, left - amount, ())


def _targets_granted(row: OwnerRow, request: BudgetRequest) -> tuple[OwnerRow, Answer]:
    """All of the values or none: a call needs all of its."""
    new = [target for target in request.targets if target not in row.targets]
    left = max(0, request.limit - len(row.targets))
    if len(new) > left:
        refused = Answer(request.serial, request.op.value, BudgetAnswer.REFUSED.value, 0, left, ())
        return row, refused
    targets = dict(row.targets)
    for target in request.targets:
        targets[target] = tuple(sorted({*targets.get(target, ()), request.gate_partition}))
    granted = Answer(
        request.serial, request.op.value, BudgetAnswer.GRANTED.value, 0, left - len(new), tuple(request.targets)
    )
    return replace(row, targets=targets), granted


def _given_back(row: OwnerRow, request: BudgetRequest) -> tuple[OwnerRow, Answer]:
    """At most what the partition was given."""
    partition = request.gate_partition
    held = dict(row.held)
    held[partition] = max(0, held.get(partition, 0) - request.amount)
    targets = dict(row.targets)
    for target in request.targets:
        others = tuple(other for other in targets.pop(target, ()) if other != partition)
        if others:
            targets[target] = others
    if not held[partition]:
        del held[partition]
    answer = Answer(request.serial, request.op.value, BudgetAnswer.REFUSED.value, 0, 0, ())
    return replace(row, held=held, targets=targets), answer


def _row_key(budget_key: str, start_ms: int) -> bytes:
    return b"o" + budget_key.encode() + b"\x00" + start_ms.to_bytes(_INSTANT_BYTES, "big")


def _horizon(state: StateView) -> int:
    found = state.get(_HORIZON_KEY)
    return -1 if found is None else int.from_bytes(found, "big")
