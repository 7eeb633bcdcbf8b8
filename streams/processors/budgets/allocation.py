"""One window of one budget as pure steps: what it can grant, what it must refuse, and who is asked to return what.

INVARIANT: units that were leased and not returned never exceed the limit (ADR 0015). The allocator stores the rows.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from streams.model.budget import BudgetAnswer, BudgetRequest, CarriedSource

SHARE_DIVISOR = 2
"""A lease ahead of need is at most this part of an equal share of what is left: little is idle at the end."""

replace = msgspec.structs.replace


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """The last answer to a partition, in case the partition repeats its request."""

    serial: int
    answer: str
    amount: int = 0
    left: int = 0
    targets: tuple[bytes, ...] = ()
    sources: tuple[CarriedSource, ...] = ()


class Pending(msgspec.Struct, frozen=True, array_like=True):
    """An ASK that is answered once other partitions have returned what they do not use."""

    partition: int
    serial: int
    request_id: str
    limit: int
    need: int
    want: int
    targets: tuple[bytes, ...]


class AllocationRow(msgspec.Struct, frozen=True, array_like=True):
    """One window of one budget.

    Attributes:
        held: units that each gate partition was given and has not given back.
        targets: the values in the budget, each with the partitions that may use it.
        serials: of each partition's last request.
        answers: the last one to each partition.
        pending: requests that wait for what was recalled, the oldest first; at most one of a partition.
        recalled: partitions that have not answered a recall.
        recalled_ms: when was recalled last.
        recall_due_ms: until when answers to that recall are waited for.
        clean: partitions that have returned what they did not use, and were given nothing since.
        clean_until_ms: until when they count as such; afterwards calls that did not run may have given something back.
        unused_since_ms: since when no partition holds anything; 0 if one does.
    """

    start_ms: int
    end_ms: int
    tenant_uid: str
    held: dict[int, int] = {}
    targets: dict[bytes, tuple[int, ...]] = {}
    serials: dict[int, int] = {}
    answers: dict[int, Answer] = {}
    pending: tuple[Pending, ...] = ()
    recalled: tuple[int, ...] = ()
    recalled_ms: int = 0
    recall_due_ms: int = 0
    clean: tuple[int, ...] = ()
    clean_until_ms: int = 0
    unused_since_ms: int = 0

    @property
    def is_unused(self) -> bool:
        """Whether no partition holds anything, or waits for anything."""
        return not (self.held or self.targets or self.pending or self.recalled)


decode_allocation = msgspec.msgpack.Decoder(AllocationRow).decode


def pending_of(request: BudgetRequest) -> Pending:
    return Pending(
        request.gate_partition,
        request.serial,
        request.header.id,
        request.limit,
        request.need,
        request.want,
        request.targets,
    )


def grant_what_is_left(row: AllocationRow, asked: Iterable[Pending]) -> tuple[AllocationRow, dict[int, Answer]]:
    """Grant the requests that can be granted, and refuse those ahead of need that can't; the rest stays pending."""
    answers: dict[int, Answer] = {}
    rest: dict[int, Pending] = {}
    for each in asked:
        row, answer = _targets_granted(row, each) if each.targets else _units_granted(row, each)
        if answer is None:
            rest[each.partition] = each
            continue
        answers[each.partition] = answer
        if answer.answer == BudgetAnswer.GRANTED.value:
            row = replace(row, clean=tuple(other for other in row.clean if other != each.partition))
    return replace(row, pending=tuple(rest.values())), answers


def refuse_or_recall(
    row: AllocationRow, answers: dict[int, Answer], now_ms: int
) -> tuple[AllocationRow, dict[int, Answer], tuple[int, ...]]:
    """Refuse the pending requests for which nothing can be recalled; return who is asked to return what for the first
    of the others.

    INVARIANT: before a request that intents wait for is refused, every other holder has returned what it doesn't use
    since it was last given something, or has not answered in time.
    """
    holders = {partition for partition, held in row.held.items() if held}
    holders.update(partition for partitions in row.targets.values() for partition in partitions)
    if now_ms < row.clean_until_ms:
        holders.difference_update(row.clean)
    rest: list[Pending] = []
    recalls: set[int] = set()
    for each in row.pending:
        others = holders - {each.partition}
        if others or rest:
            recalls = recalls or others
            rest.append(each)
        else:
            answers = {**answers, each.partition: _refusal(row, each)}
    return replace(row, pending=tuple(rest)), answers, tuple(sorted(recalls))


def _refusal(row: AllocationRow, asked: Pending) -> Answer:
    return Answer(asked.serial, BudgetAnswer.REFUSED.value, left=_left(row, asked))


def limit_of(asked: Iterable[Pending]) -> int:
    """Return the limit of a budget: the highest one, while gates have different rules."""
    return max((each.limit for each in asked), default=0)


def leased_of(row: AllocationRow) -> int:
    return sum(row.held.values()) + len(row.targets)


def _left(row: AllocationRow, asked: Pending) -> int:
    return max(0, asked.limit - (len(row.targets) if asked.targets else sum(row.held.values())))


def _units_granted(row: AllocationRow, asked: Pending) -> tuple[AllocationRow, Answer | None]:
    """Grant what is wanted as far as it is there if intents wait for it; ahead of need only a cautious share."""
    left, partition = _left(row, asked), asked.partition
    if asked.need > left:
        return row, None
    amount = min(asked.want, left)
    if not asked.need:
        askers = len(row.held.keys() | {partition})
        amount = min(amount, left // (SHARE_DIVISOR * askers))
        if not amount:
            return row, _refusal(row, asked)
    amount = max(asked.need, amount)
    # INVARIANT: the sum of `held` is at most the limit, unless the limit itself was lowered since.
    row = replace(row, held={**row.held, partition: row.held.get(partition, 0) + amount})
    return row, Answer(asked.serial, BudgetAnswer.GRANTED.value, amount, left - amount)


def _targets_granted(row: AllocationRow, asked: Pending) -> tuple[AllocationRow, Answer | None]:
    """Grant all of the values or none: a call needs all of them."""
    new = [target for target in asked.targets if target not in row.targets]
    left = _left(row, asked)
    if len(new) > left:
        return row, None
    targets = dict(row.targets)
    for target in asked.targets:
        targets[target] = tuple(sorted({*targets.get(target, ()), asked.partition}))
    granted = Answer(asked.serial, BudgetAnswer.GRANTED.value, 0, left - len(new), asked.targets)
    return replace(row, targets=targets), granted


def take_back(row: AllocationRow, request: BudgetRequest) -> AllocationRow:
    """Subtract what a partition returns, at most what it was given."""
    partition = request.gate_partition
    held = dict(row.held)
    held[partition] = max(0, held.get(partition, 0) - request.amount)
    if not held[partition]:
        del held[partition]
    targets = dict(row.targets)
    for target in request.targets:
        others = tuple(other for other in targets.pop(target, ()) if other != partition)
        if others:
            targets[target] = others
    return replace(row, held=held, targets=targets)
