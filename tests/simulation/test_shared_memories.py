"""Memories that sessions share lose and invent nothing under faults: in the end, all partitions see everything."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from streams.model.budget import BudgetOp, BudgetRequest
from streams.model.intent import Intent
from streams.model.topics import INTENT
from streams.model.verdict import Verdict
from streams.ports.processor import Output, StateView
from streams.processors.budgets.allocation import AllocationRow
from streams.processors.budgets.allocator import BudgetAllocator
from streams.processors.gate.shared_memories import SharedMemories, TallyRow
from tests.keeping import SEND
from tests.simulation.fleet import Fleet, Report, assert_caught, assert_kept

SEEDS = 40
PLANT_SEEDS = 40
BITS = 9
FRESH_MS = 500
BIT_RULES = "".join(
    f"""
  - {{id: N-{bit}, effect: deny, mode: shadow, match: {{tools: [post.send]}},
      when: history.refunds / {1 << bit} % 2 == 1, reason: this bit is set}}"""
    for bit in range(BITS)
)
RULES = f"""
history:
  refunds: {{keep: count, on: allowed, match: {{tools: [pay.refund]}}, per: tenant, window: 1h, fresh: 500ms}}
rules:
  - {{id: C-1, effect: permit, match: {{tools: ["*"]}}, when: "true", reason: fine}}{BIT_RULES}
"""

replace = msgspec.structs.replace


def seen(verdict: Verdict) -> int:
    """The value of the memory that the rules saw."""
    return sum(1 << int(hit.rule_id[2:]) for hit in verdict.rules if hit.rule_id.startswith("N-"))


class MemoryFleet(Fleet):
    """One seed, and a last call of every session when all is at rest."""

    rules = RULES

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.refunds = 0

    def run(self) -> Report:
        report = super().run()
        self._clock.advance(FRESH_MS + 1)
        last = []
        for maker in self._sessions:
            intent = maker.intent(SEND, {"to": ["t-1"]}, self._world.now_ms)
            self._intents[intent.intent_id] = (intent, {"to": ["t-1"]})
            self._world.write(INTENT.name, maker.key, intent)
            last.append(intent.intent_id)
        self._heal()
        violations = [
            f"{seen(verdict)} of {self.refunds} refunds seen"
            for verdict in self._final.values()
            if seen(verdict) > self.refunds
        ]
        violations += [
            f"in the end, {seen(self._final[each])} of {self.refunds} refunds seen"
            for each in last
            if seen(self._final[each]) != self.refunds or self._final[each].reason != "permitted"
        ]
        return report._replace(violations=violations)

    def count(
        self, intent: Intent, args: dict[str, object], window: int, sign: int, spent: object, uses: object
    ) -> list[str]:
        del intent, window, spent, uses
        self.refunds += sign > 0 and "amount" in args
        return []


def test_in_the_end_every_partition_sees_what_has_happened() -> None:
    report = assert_kept(MemoryFleet, range(SEEDS))
    # A simulation in which nothing goes wrong proves nothing.
    assert report.allowed > 1_000
    assert report.unavailable > 50
    assert report.duplicates > 300
    assert report.starts > 200


def adds_notes_up(patch: pytest.MonkeyPatch) -> None:
    """The allocator takes a note for what was added, not for all that there is."""

    def counted(
        self: BudgetAllocator, row_key: bytes, row: AllocationRow, request: BudgetRequest, state: StateView, now_ms: int
    ) -> list[Output]:
        if request.op is BudgetOp.NOTE:
            before = row.held.get(request.gate_partition, 0)
            request = replace(request, amount=before + request.amount)
        return original(self, row_key, row, request, state, now_ms)

    original = BudgetAllocator._counted
    patch.setattr(BudgetAllocator, "_counted", counted)


def notes_one_at_a_time(patch: pytest.MonkeyPatch) -> None:
    """A gate notes what was added, not all that there is."""
    request = SharedMemories._request

    def one(self: SharedMemories, key: str, row: TallyRow, op: BudgetOp, *more: int) -> Output:
        return request(self, key, replace(row, own=min(row.own, 1)), op, *more)

    patch.setattr(SharedMemories, "_request", one)


def takes_its_own_for_others(patch: pytest.MonkeyPatch) -> None:
    """The allocator counts what has happened on the partition that asks, too, which counts that itself."""

    def counted(
        self: BudgetAllocator, row_key: bytes, row: AllocationRow, request: BudgetRequest, state: StateView, now_ms: int
    ) -> list[Output]:
        if request.op is BudgetOp.READ and row.held:
            row = replace(row, held={**row.held, -1: row.held.get(request.gate_partition, 0)})
        return original(self, row_key, row, request, state, now_ms)

    original = BudgetAllocator._counted
    patch.setattr(BudgetAllocator, "_counted", counted)


PLANTS = (adds_notes_up, notes_one_at_a_time, takes_its_own_for_others)


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_caught(plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert_caught(MemoryFleet, plant.__name__, PLANT_SEEDS)
