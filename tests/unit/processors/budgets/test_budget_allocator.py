"""The budget allocator alone: what it grants, recalls and refuses, in the order of its requests."""

from __future__ import annotations

from simulation.records import ROOT_KEY, header
from streams.codec.wire import CodecWire
from streams.engine.state import PartitionState
from streams.model.budget import BudgetGrant, BudgetOp, BudgetRequest
from streams.model.topics import BUDGET_GRANT, BUDGET_REQUEST
from streams.ports.processor import Output
from streams.processors.budgets import leases
from streams.processors.budgets.allocator import CLEAN_MS, RECALL_WAIT_MS_MAX, RECALL_WAIT_MS_MIN, BudgetAllocator
from streams.processors.budgets.round_trips import note_round_trip, round_trip_ms
from streams.processors.settings import GateSettings
from streams.stores.memory import MemoryStores
from tests.kit import HOUR_MS, START_MS, wire

KEY = '["shared"]'
LIMIT = 100


class Owner:
    """An allocator, and the gate partitions that ask it."""

    def __init__(self) -> None:
        self._wire: CodecWire = wire()
        self._allocator = BudgetAllocator(self._wire)
        self.state = PartitionState(MemoryStores().open(0))
        self.now_ms = START_MS
        self._serial = 0

    def ask(self, partition: int, need: int, want: int = 0) -> list[tuple[int, str, int]]:
        return self._request(partition, BudgetOp.ASK, need=need, want=max(need, want))

    def give_back(self, partition: int, amount: int) -> list[tuple[int, str, int]]:
        return self._request(partition, BudgetOp.GIVE_BACK, amount=amount)

    def wait(self, duration_ms: int) -> list[tuple[int, str, int]]:
        self.now_ms += duration_ms
        told = []
        for due_ms, payload in self.state.due_timers(self.now_ms, 10):
            self.state.cancel_timer(due_ms, payload)
            told += self._told(self._allocator.on_timer(payload, self.state, self.now_ms))
        return told

    def _request(self, partition: int, op: BudgetOp, **fields: int) -> list[tuple[int, str, int]]:
        self._serial += 1
        request = BudgetRequest(
            header=header(f"request {self._serial}", self.now_ms),
            budget_key=KEY,
            op=op,
            gate_partition=partition,
            serial=self._serial,
            window_start=START_MS - START_MS % HOUR_MS,
            window_end=START_MS - START_MS % HOUR_MS + HOUR_MS,
            limit=LIMIT,
            **fields,
        )
        return self._told(
            self._allocator.process(BUDGET_REQUEST.name, KEY.encode(), request, self.state, self.now_ms, self.now_ms)
        )

    def _told(self, outputs: list[Output]) -> list[tuple[int, str, int]]:
        self.state.keep_record()
        told = []
        for output in outputs:
            grant = self._wire.decode(BUDGET_GRANT.name, output.value, ())
            assert isinstance(grant, BudgetGrant)
            told.append((grant.gate_partition, grant.answer.value, grant.amount))
        return told


def test_intents_that_wait_get_what_they_need_and_requests_ahead_of_need_a_share() -> None:
    owner = Owner()
    assert owner.ask(0, 1, want=70) == [(0, "GRANTED", 70)]
    assert owner.ask(1, 0, want=30) == [(1, "GRANTED", 7)]


def test_a_request_ahead_of_need_is_refused_without_a_recall() -> None:
    owner = Owner()
    owner.ask(0, 1, want=100)
    assert owner.ask(1, 0, want=10) == [(1, "REFUSED", 0)]


def test_nobody_is_refused_before_the_others_have_returned_what_they_do_not_use() -> None:
    owner = Owner()
    owner.ask(0, 1, want=60)
    owner.ask(1, 1, want=40)
    assert owner.ask(2, 10) == [(0, "RECALL", 0), (1, "RECALL", 0)]
    assert owner.give_back(0, 5) == []
    assert owner.give_back(1, 8) == [(2, "GRANTED", 10)]
    # All but partition 2 have nothing to return, as far as is known; partition 2 was just given something.
    assert owner.ask(0, 5) == [(2, "RECALL", 0)]
    assert owner.give_back(2, 4) == [(0, "GRANTED", 5)]
    assert owner.ask(2, 5) == [(0, "RECALL", 0)]
    assert owner.give_back(0, 0) == [(2, "REFUSED", 0)]
    assert owner.ask(1, 5) == [(1, "REFUSED", 0)]
    # By now calls that did not run may have given something back.
    owner.wait(CLEAN_MS)
    assert owner.ask(1, 5) == [(0, "RECALL", 0), (2, "RECALL", 0)]


def test_a_recall_is_waited_for_as_long_as_answers_take() -> None:
    owner = Owner()
    owner.ask(0, 1, want=100)
    assert owner.ask(1, 10) == [(0, "RECALL", 0)]
    owner.wait(900)
    assert owner.give_back(0, 10) == [(1, "GRANTED", 10)]
    assert round_trip_ms(owner.state) == 900
    owner.wait(CLEAN_MS)
    assert owner.ask(1, 10) == [(0, "RECALL", 0)]
    assert owner.wait(2_600) == []
    assert owner.wait(100) == [(1, "REFUSED", 0)]


def test_a_holder_that_does_not_answer_holds_up_nobody_for_ever() -> None:
    owner = Owner()
    owner.ask(0, 1, want=100)
    assert owner.ask(1, 10) == [(0, "RECALL", 0)]
    assert owner.wait(RECALL_WAIT_MS_MAX) == [(1, "REFUSED", 0)]
    assert owner.ask(1, 10) == [(1, "REFUSED", 0)], "it is not asked again at once"
    note_round_trip(owner.state, 1)
    owner.wait(CLEAN_MS)
    assert owner.ask(1, 10) == [(0, "RECALL", 0)]
    assert owner.wait(RECALL_WAIT_MS_MIN) == [(1, "REFUSED", 0)]


def test_a_measured_round_trip_rises_at_once_and_falls_slowly() -> None:
    state = Owner().state
    assert round_trip_ms(state) is None
    assert [note_round_trip(state, sample_ms) for sample_ms in (100, 900, 500, 500, 0, 10**9)] == [
        100, 900, 800, 725, 543, 60_000,
    ]  # fmt: skip


def test_intents_wait_by_the_measured_round_trip_between_bounds() -> None:
    state = Owner().state
    settings = GateSettings(root_key=ROOT_KEY, budget_wait_ms=500, budget_wait_max_ms=10_000)
    assert leases.budget_wait_ms(state, settings) == 10_000, "nothing was measured yet"
    note_round_trip(state, 10)
    assert leases.budget_wait_ms(state, settings) == 500
    note_round_trip(state, 900)
    assert leases.budget_wait_ms(state, settings) == 7_200
    note_round_trip(state, 9_000)
    assert leases.budget_wait_ms(state, settings) == 10_000
