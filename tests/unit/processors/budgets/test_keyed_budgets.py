"""Budgets with a key that comes from the arguments: each value has a budget of its own, across sessions and agents."""

from __future__ import annotations

from typing import Any

import pytest

from simulation.records import SessionMaker
from streams.inmemory.faults import NoFaults
from streams.model.budget import BudgetAnswer, BudgetOp, family_of, keyed
from streams.model.topics import BUDGET_CHANGELOG, BUDGET_GRANT, BUDGET_REQUEST
from streams.processors.budgets.allocator import GRACE_MS
from streams.processors.budgets.leases import RECHECK_MS, UNANSWERED_MS
from streams.processors.row_kinds import RowKind
from tests.keeping import LOOKUP, REFUND, SEND, CountingBench
from tests.kit import GATE_SETTINGS, HOUR_MS, MINUTE_MS
from tests.unit.processors.absent_allocator import Absent
from tests.unit.processors.budgets.budget_hand import grants, not_run, requests

PERMIT = """
rules:
  - {id: C-1, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}
"""
RULES = (
    """
budgets:
  refunds:
    per: tenant
    key: args.customer
    measure: {sum: args.amount}
    match: {tools: [pay.refund]}
    limit: 100
    window: 24h
  targets: {per: tenant, key: args.customer, measure: {distinct: args.to}, match: {tools: [post.send]}, limit: 2,
            window: 24h}
"""
    + PERMIT
)
FEW = RULES.replace("key: args.customer\n", "key: args.customer\n    keys_max: 2\n")


@pytest.fixture
def bench() -> CountingBench:
    return CountingBench(RULES)


def refund(bench: CountingBench, customer: object, amount: object = 60, **more: Any) -> str:
    return bench.outcome(REFUND, {"customer": customer, "amount": amount}, **more)


def allocator_rows(bench: CountingBench, kind: RowKind) -> dict[bytes, bytes]:
    """What the allocator holds of a kind of row, by its changelog."""
    rows: dict[bytes, bytes | None] = {}
    for _, record in bench.driver.log.written_since((BUDGET_CHANGELOG.name,), -1):
        rows[record.key or b""] = record.value
    return {key: row for key, row in rows.items() if row is not None and key.startswith(kind.prefix)}


def counts(bench: CountingBench) -> list[int]:
    return [int.from_bytes(row, "big") for row in allocator_rows(bench, RowKind.KEY_COUNT).values()]


class TestEachValue:
    def test_has_a_budget_of_its_own(self, bench: CountingBench) -> None:
        assert [refund(bench, "ann"), refund(bench, "bob")] == ["ALLOW", "ALLOW"]
        assert [refund(bench, "ann"), refund(bench, "ann", 40), refund(bench, "ann", 1)] == [
            "budget_exhausted", "ALLOW", "budget_exhausted",
        ]  # fmt: skip
        assert refund(bench, "bob", 40) == "ALLOW"

    def test_is_shared_by_sessions_users_and_agents(self, bench: CountingBench) -> None:
        others = [SessionMaker("s-2", sub="bob"), SessionMaker("s-3", act="other-bot")]
        for each in others:
            bench.establish(each)
        assert refund(bench, "ann") == "ALLOW"
        assert [refund(bench, "ann", session=each) for each in others] == ["budget_exhausted"] * 2
        assert refund(bench, "ann", 40, session=others[1]) == "ALLOW"
        assert refund(bench, "ann", 1, session=others[0]) == "budget_exhausted"

    def test_is_not_shared_by_tenants(self, bench: CountingBench) -> None:
        other = SessionMaker("s-2", tenant="zeta")
        bench.establish(other)
        assert [refund(bench, "ann", 100), refund(bench, "ann", 100, session=other)] == ["ALLOW", "ALLOW"]

    def test_counts_distinct_values_for_itself(self, bench: CountingBench) -> None:
        def send(customer: str, to: str) -> str:
            return bench.outcome(SEND, {"customer": customer, "to": to})

        assert [send("ann", to) for to in ("a", "b", "a", "c")] == ["ALLOW", "ALLOW", "ALLOW", "budget_exhausted"]
        assert [send("bob", "c"), send("bob", "a"), send("bob", "b")] == ["ALLOW", "ALLOW", "budget_exhausted"]

    def test_starts_again_with_the_window(self, bench: CountingBench) -> None:
        bench.wait(24 * HOUR_MS - bench.now_ms % (24 * HOUR_MS) - 1)
        session = SessionMaker("s-2")
        bench.establish(session)
        assert [refund(bench, "ann", 100, session=session), refund(bench, "ann", 1, session=session)] == [
            "ALLOW", "budget_exhausted",
        ]  # fmt: skip
        bench.wait(1)
        assert refund(bench, "ann", 100, session=session) == "ALLOW"

    def test_is_given_back_what_did_not_run(self, bench: CountingBench) -> None:
        intent = bench.propose(REFUND, {"customer": "ann", "amount": 100})
        bench.verdicts()
        bench.wait(MINUTE_MS)
        assert refund(bench, "ann", 1) == "budget_exhausted"
        not_run(bench, intent)
        assert [refund(bench, "ann", 100), refund(bench, "ann", 1)] == ["ALLOW", "budget_exhausted"]

    def test_survives_a_restart(self, bench: CountingBench) -> None:
        assert refund(bench, "ann") == "ALLOW"
        bench.restart()
        assert [refund(bench, "ann", 41), refund(bench, "ann", 40)] == ["budget_exhausted", "ALLOW"]

    def test_is_named_in_the_denial(self, bench: CountingBench) -> None:
        verdict = bench.judge(REFUND, {"customer": "ann", "amount": 101})
        assert "budget `refunds` of 100 per tenant and `args.customer` in 86400 s" in verdict.reason_text


class TestTheValue:
    @pytest.mark.parametrize("pair", [("1", 1), ("ann", "Ann"), ("ann", "ann "), ("é", "e\u0301"), ("", " ")])
    def test_is_taken_exactly(self, bench: CountingBench, pair: tuple[object, object]) -> None:
        assert [refund(bench, each, 100) for each in pair] == ["ALLOW", "ALLOW"]
        assert [refund(bench, each, 1) for each in pair] == ["budget_exhausted"] * 2

    def test_is_one_number_however_it_is_written(self, bench: CountingBench) -> None:
        assert [refund(bench, 7, 100), refund(bench, 7.0, 1)] == ["ALLOW", "budget_exhausted"]

    @pytest.mark.parametrize("value", [None, True, 1.5, [], ["ann"], {"id": "ann"}, "x" * 257, "ä" * 129])
    def test_denies_if_it_is_not_usable(self, bench: CountingBench, value: object) -> None:
        verdict = bench.judge(REFUND, {"customer": value, "amount": 1})
        assert (verdict.outcome.value, verdict.reason) == ("DENY", "budget_key_invalid")
        assert "the key of budget `refunds` is not usable" in verdict.reason_text
        assert requests(bench) == []

    def test_denies_if_it_is_missing(self, bench: CountingBench) -> None:
        assert bench.outcome(REFUND, {"amount": 1}) == "budget_key_invalid"
        assert bench.outcome(LOOKUP, {}) == "ALLOW", "the budget is not about this tool"

    def test_may_be_256_bytes_long(self, bench: CountingBench) -> None:
        assert [refund(bench, "ä" * 128, 100), refund(bench, "ä" * 128, 1)] == ["ALLOW", "budget_exhausted"]

    def test_does_not_leave_the_gate_in_clear(self, bench: CountingBench) -> None:
        refund(bench, "customer-4711")
        for topic in (BUDGET_REQUEST.name, BUDGET_GRANT.name):
            assert all(b"4711" not in (raw.key or b"") + (raw.value or b"") for raw in bench.driver.read_raw(topic))


class TestHowManyValues:
    def test_one_more_is_denied_with_a_reason_of_its_own(self) -> None:
        bench = CountingBench(FEW)
        assert [refund(bench, each) for each in ("ann", "bob", "eve")] == ["ALLOW", "ALLOW", "budget_keys_exhausted"]
        assert [refund(bench, each, 40) for each in ("ann", "bob")] == ["ALLOW", "ALLOW"], "those known go on"
        verdict = bench.judge(REFUND, {"customer": "eve", "amount": 1})
        assert "budget `refunds` of 100 per tenant and `args.customer` in 86400 s, for at most 2 keys" in (
            verdict.reason_text
        )
        assert counts(bench) == [2]

    def test_the_allocator_is_not_asked_again_for_a_second(self) -> None:
        bench = CountingBench(FEW)
        for each in ("ann", "bob", "eve"):
            refund(bench, each)
        requests(bench)
        assert {refund(bench, "eve", 1) for _ in range(20)} == {"budget_keys_exhausted"}
        assert requests(bench) == []
        bench.wait(RECHECK_MS)
        assert (refund(bench, "eve"), len(requests(bench))) == ("budget_keys_exhausted", 1)

    def test_values_that_found_no_room_are_forgotten(self) -> None:
        bench = CountingBench(FEW)
        for number in range(50):
            refund(bench, f"c-{number}")
        bench.wait(GATE_SETTINGS.budget_idle_ms)
        assert len(bench.rows(RowKind.LEASE.prefix)) == 2

    def test_each_owner_has_room_of_its_own(self) -> None:
        bench, stranger = CountingBench(FEW.replace("per: tenant\n", "per: user\n")), SessionMaker("s-2", sub="bob")
        bench.establish(stranger)
        assert [refund(bench, each) for each in ("ann", "bob", "eve")] == ["ALLOW", "ALLOW", "budget_keys_exhausted"]
        assert refund(bench, "eve", session=stranger) == "ALLOW"

    def test_a_value_of_which_nothing_is_spent_makes_room(self) -> None:
        bench = CountingBench(FEW)
        intent = bench.propose(REFUND, {"customer": "ann", "amount": 60})
        assert [refund(bench, "bob"), refund(bench, "eve")] == ["ALLOW", "budget_keys_exhausted"]
        not_run(bench, intent)
        bench.wait(GATE_SETTINGS.budget_idle_ms)
        assert len(bench.rows(RowKind.LEASE.prefix)) == 1
        assert refund(bench, "eve") == "budget_keys_exhausted", "the allocator waits for records that come again"
        bench.wait(GRACE_MS)
        assert counts(bench) == [1]
        assert [refund(bench, "eve"), refund(bench, "ann", 1)] == ["ALLOW", "budget_keys_exhausted"]

    def test_a_value_that_is_used_again_in_time_stays(self) -> None:
        bench = CountingBench(FEW)
        not_run(bench, bench.propose(REFUND, {"customer": "ann", "amount": 60}))
        bench.wait(GATE_SETTINGS.budget_idle_ms + GRACE_MS // 2)
        assert refund(bench, "ann", 70) == "ALLOW"
        bench.wait(2 * GRACE_MS)
        assert counts(bench) == [1]
        assert [refund(bench, "ann", 31), refund(bench, "ann", 30)] == ["budget_exhausted", "ALLOW"]

    def test_the_next_window_has_room_again(self) -> None:
        bench = CountingBench(FEW)
        for each in ("ann", "bob", "eve"):
            refund(bench, each)
        bench.wait(24 * HOUR_MS - bench.now_ms % (24 * HOUR_MS))
        session = SessionMaker("s-2")
        bench.establish(session)
        assert refund(bench, "eve", session=session) == "ALLOW"
        bench.wait(2 * GRACE_MS)
        assert counts(bench) == [1]

    def test_a_larger_bound_counts_at_once(self) -> None:
        bench = CountingBench(FEW)
        for each in ("ann", "bob", "eve"):
            refund(bench, each)
        bench.put_in_force(FEW.replace("keys_max: 2", "keys_max: 3"))
        bench.wait(RECHECK_MS)
        assert [refund(bench, "eve"), refund(bench, "joe")] == ["ALLOW", "budget_keys_exhausted"]

    def test_everything_is_forgotten_in_the_end(self) -> None:
        bench = CountingBench(RULES)
        for number in range(20):
            refund(bench, f"c-{number}")
        assert counts(bench) == [20]
        bench.wait(49 * HOUR_MS)
        assert bench.rows(RowKind.LEASE.prefix) == []
        assert not allocator_rows(bench, RowKind.KEY_COUNT)
        assert not allocator_rows(bench, RowKind.ALLOCATION)


class TestTheLease:
    def test_one_of_a_value_lasts_for_several_calls(self) -> None:
        bench = CountingBench(RULES.replace("limit: 100\n", "limit: 10000\n"))
        for _ in range(10):
            assert refund(bench, "ann", 200) == "ALLOW"
            bench.wait(MINUTE_MS)
        assert [request.op for request in requests(bench)] == [BudgetOp.ASK]

    def test_values_that_differ_are_answered_each_on_its_own(self, bench: CountingBench) -> None:
        for each in ("ann", "bob"):
            refund(bench, each)
        keys = {grant.budget_key for grant in grants(bench)}
        assert len(keys) == 2
        assert {family_of(key) for key in keys} == {'["refunds","sum","tenant","acme"]'}

    def test_what_comes_after_the_value_was_forgotten_is_returned(self, bench: CountingBench) -> None:
        bench.driver.log.faults = Absent()
        bench.propose(REFUND, {"customer": "ann", "amount": 60})
        bench.wait(UNANSWERED_MS)
        assert bench.verdict().reason == "budget_unavailable"
        assert bench.rows(RowKind.LEASE.prefix) == []
        requests(bench)
        bench.driver.log.faults = NoFaults()
        bench.driver.settle()
        (back,) = requests(bench)
        assert (back.op, back.amount) == (BudgetOp.GIVE_BACK, 60)
        assert [refund(bench, "ann", 100), refund(bench, "ann", 1)] == ["ALLOW", "budget_exhausted"]

    def test_a_grant_that_comes_again_changes_nothing(self, bench: CountingBench) -> None:
        assert refund(bench, "ann") == "ALLOW"
        (given,) = [grant for grant in grants(bench) if grant.answer is BudgetAnswer.GRANTED]
        for _ in range(5):
            bench.driver.pipe(BUDGET_GRANT.name, given.budget_key.encode(), given)
        assert refund(bench, "ann", 41) == "budget_exhausted"

    def test_a_request_under_another_key_is_a_dead_letter(self, bench: CountingBench) -> None:
        refund(bench, "ann")
        (request,) = requests(bench)
        family = family_of(request.budget_key)
        assert request.budget_key == keyed(family, bytes.fromhex(request.budget_key[-32:]))
        bench.driver.pipe(BUDGET_REQUEST.name, request.budget_key.encode(), request)
        assert bench.dead_letters(BUDGET_REQUEST.name) == ["key_mismatch"]
