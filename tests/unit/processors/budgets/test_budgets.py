"""Budgets, through the driven gate with the owner of shared ones beside it."""

from __future__ import annotations

import pytest

from simulation.records import SessionMaker
from streams.model.approval import ApprovalStatus
from streams.model.budget import BudgetAnswer, BudgetOp
from streams.model.topics import BUDGET_GRANT
from tests.keeping import LOOKUP, PURGE, REFUND, SEND, CountingBench
from tests.kit import HOUR_MS, MINUTE_MS
from tests.unit.processors.budgets.budget_hand import PERMIT, grants, not_run, refund, requests, send

OWN = (
    """
budgets:
  refunds: {per: session, measure: {sum: args.amount}, match: {tools: [pay.refund]}, limit: 100}
  targets: {per: session, measure: {distinct: args.to}, match: {tools: [post.send]}, limit: 3}
  hourly: {per: session, measure: calls, match: {tools: [pay.lookup]}, limit: 2, window: 1h}
"""
    + PERMIT
)
SHARED = (
    """
budgets:
  refunds: {per: user, measure: {sum: args.amount}, match: {tools: [pay.refund]}, limit: 100, window: 24h}
  targets: {per: tenant, measure: {distinct: args.to}, match: {tools: [post.send]}, limit: 3, window: 24h}
  hourly: {per: tool, measure: calls, match: {tools: [pay.lookup]}, limit: 5, window: 1h}
  purges: {per: agent, measure: calls, match: {tools: [data.purge]}, limit: 1, window: 1h}
"""
    + PERMIT
)


@pytest.fixture(params=[OWN, SHARED], ids=["own", "shared"])
def bench(request: pytest.FixtureRequest) -> CountingBench:
    return CountingBench(request.param)


class TestEveryBudget:
    def test_sums_are_exact_to_the_last_unit(self, bench: CountingBench) -> None:
        amounts = (60, 41, 40, 1, 0, 101)
        expected = ["ALLOW", "budget_exhausted", "ALLOW", "budget_exhausted", "ALLOW", "budget_exhausted"]
        assert [refund(bench, amount) for amount in amounts] == expected

    def test_values_count_once(self, bench: CountingBench) -> None:
        assert [send(bench, to) for to in ("a", "b", "a", "c", "d", "b")] == [
            "ALLOW", "ALLOW", "ALLOW", "ALLOW", "budget_exhausted", "ALLOW",
        ]  # fmt: skip

    def test_values_of_a_list_count_together(self, bench: CountingBench) -> None:
        assert send(bench, ["a", "b"]) == "ALLOW"
        assert send(bench, ["b", "c", "d"]) == "budget_exhausted"
        assert send(bench, ["c", "a"]) == "ALLOW"
        assert send(bench, "d") == "budget_exhausted"

    def test_what_is_denied_takes_nothing(self, bench: CountingBench) -> None:
        denied = [bench.outcome(REFUND, {"amount": 60, "no": True}) for _ in range(5)]
        assert denied == ["rule_denied"] * 5
        assert refund(bench, 100) == "ALLOW"

    def test_what_is_held_takes_nothing_until_it_is_allowed(self, bench: CountingBench) -> None:
        asked = bench.propose(REFUND, {"amount": 60, "ask": True})
        assert refund(bench, 60) == "ALLOW"
        bench.decide(asked, "fred", groups=("finance",))
        assert bench.verdict().reason == "budget_exhausted"
        assert refund(bench, 40) == "ALLOW"

    def test_nobody_is_asked_about_what_a_budget_does_not_allow(self, bench: CountingBench) -> None:
        assert refund(bench, 100) == "ALLOW"
        assert refund(bench, 1) == "budget_exhausted"
        assert bench.outcome(REFUND, {"amount": 1, "ask": True}) == "budget_exhausted"

    def test_a_refused_approval_takes_nothing(self, bench: CountingBench) -> None:
        asked = bench.propose(REFUND, {"amount": 60, "ask": True})
        bench.decide(asked, "fred", groups=("finance",), status=ApprovalStatus.DENIED)
        bench.verdicts()
        assert refund(bench, 100) == "ALLOW"

    def test_a_redelivered_intent_takes_once(self, bench: CountingBench) -> None:
        intent = bench.propose(REFUND, {"amount": 50})
        for _ in range(5):
            bench.send(intent)
        assert {verdict.outcome.value for verdict in bench.verdicts()} == {"ALLOW"}
        assert [refund(bench, 50), refund(bench, 1)] == ["ALLOW", "budget_exhausted"]

    def test_what_did_not_run_is_given_back_once(self, bench: CountingBench) -> None:
        intent = bench.propose(REFUND, {"amount": 100})
        bench.verdicts()
        assert refund(bench, 50) == "budget_exhausted"
        for _ in range(3):
            not_run(bench, intent)
        assert [refund(bench, 60), refund(bench, 60), refund(bench, 40)] == ["ALLOW", "budget_exhausted", "ALLOW"]

    def test_what_ran_or_failed_is_not_given_back(self, bench: CountingBench) -> None:
        for fails in (False, True):
            intent = bench.propose(REFUND, {"amount": 50})
            bench.report(intent, is_error=fails)
            not_run(bench, intent)
        bench.verdicts()
        assert refund(bench, 1) == "budget_exhausted"

    def test_values_are_given_back_when_no_call_stands_on_them(self, bench: CountingBench) -> None:
        first, again = (bench.propose(SEND, {"to": "a"}) for _ in range(2))
        bench.verdicts()
        assert [send(bench, "b"), send(bench, "c"), send(bench, "d")] == ["ALLOW", "ALLOW", "budget_exhausted"]
        not_run(bench, first)
        bench.wait(MINUTE_MS)
        assert send(bench, "d") == "budget_exhausted"
        not_run(bench, again)
        bench.wait(MINUTE_MS)
        assert [send(bench, "d"), send(bench, "a")] == ["ALLOW", "budget_exhausted"]

    def test_a_call_that_did_not_run_was_not_read_either(self, bench: CountingBench) -> None:
        intent = bench.propose(LOOKUP, {})
        not_run(bench, intent)
        bench.verdicts()
        assert bench.judge(REFUND, {"amount": 1}).influences == ()

    def test_what_cannot_be_charged_is_not_allowed(self, bench: CountingBench) -> None:
        verdict = bench.judge(REFUND, {"amount": "5"})
        assert (verdict.outcome.value, verdict.reason) == ("DENY", "rule_error")
        assert "budget `refunds` can't be charged" in verdict.reason_text
        assert refund(bench, 1.5) == "rule_error"
        assert refund(bench, -5) == "ALLOW"
        assert [refund(bench, 100), refund(bench, 1)] == ["ALLOW", "budget_exhausted"]

    def test_forged_intents_take_nothing(self, bench: CountingBench) -> None:
        for _ in range(3):
            assert refund(bench, 60, unproven={"turn": 9}) == "proof_invalid"
        assert refund(bench, 100) == "ALLOW"


class TestOwnBudgets:
    def test_sessions_do_not_share_them(self) -> None:
        bench, other = CountingBench(OWN), SessionMaker("s-2")
        bench.establish(other)
        assert [refund(bench, 100), refund(bench, 100, session=other)] == ["ALLOW", "ALLOW"]

    def test_a_window_ends_with_broker_time(self) -> None:
        bench = CountingBench(OWN)
        bench.wait(HOUR_MS - bench.now_ms % HOUR_MS - 1)
        assert [bench.outcome(LOOKUP, {}) for _ in range(3)] == ["ALLOW", "ALLOW", "budget_exhausted"]
        bench.wait(1)
        assert bench.outcome(LOOKUP, {}) == "ALLOW"

    def test_parallel_calls_are_charged_one_by_one(self) -> None:
        bench = CountingBench(OWN)
        for _ in range(3):
            bench.propose(REFUND, {"amount": 40})
        assert [verdict.outcome.value for verdict in bench.verdicts()] == ["ALLOW", "ALLOW", "DENY"]


class TestSharedBudgets:
    def test_sessions_of_a_user_share_one(self) -> None:
        bench = CountingBench(SHARED)
        second, stranger = SessionMaker("s-2"), SessionMaker("s-3", sub="bob")
        bench.establish(second)
        bench.establish(stranger)
        assert [refund(bench, 70), refund(bench, 70, session=second)] == ["ALLOW", "budget_exhausted"]
        assert refund(bench, 70, session=stranger) == "ALLOW"
        assert [bench.outcome(PURGE, {}), bench.outcome(PURGE, {}, session=stranger)] == ["ALLOW", "budget_exhausted"]

    def test_slices_grow_for_those_who_use_them_up(self) -> None:
        rules = SHARED.replace("limit: 100,", "limit: 100000,")
        bench = CountingBench(rules)
        assert {refund(bench, 10) for _ in range(200)} == {"ALLOW"}
        assert len(requests(bench)) < 20

    def test_what_lies_idle_is_given_back(self) -> None:
        bench = CountingBench(SHARED.replace("limit: 100,", "limit: 100000,"))
        for _ in range(20):
            refund(bench, 10)
        requests(bench)
        bench.wait(6_000)
        (back,) = requests(bench)
        assert (back.op, back.amount > 0) == (BudgetOp.GIVE_BACK, True)
        assert refund(bench, 99_800) == "ALLOW"
        assert refund(bench, 1) == "budget_exhausted"

    def test_an_owner_that_has_nothing_is_not_asked_again_and_again(self) -> None:
        bench = CountingBench(SHARED)
        assert refund(bench, 100) == "ALLOW"
        requests(bench)
        assert {refund(bench, 1) for _ in range(50)} == {"budget_exhausted"}
        assert len(requests(bench)) <= 2

    def test_slices_go_with_their_window(self) -> None:
        bench = CountingBench(SHARED)
        bench.wait(HOUR_MS - bench.now_ms % HOUR_MS - 1)
        bench.establish(SessionMaker("s-2"))
        fresh = SessionMaker("s-2")
        assert [bench.outcome(LOOKUP, {}, session=fresh) for _ in range(6)] == ["ALLOW"] * 5 + ["budget_exhausted"]
        bench.wait(1)
        assert [bench.outcome(LOOKUP, {}, session=fresh) for _ in range(6)] == ["ALLOW"] * 5 + ["budget_exhausted"]

    def test_everything_is_forgotten_in_the_end(self) -> None:
        bench = CountingBench(SHARED)
        for entry in (REFUND, SEND, LOOKUP, PURGE):
            bench.propose(entry, {"amount": 5, "to": "x"})
        bench.wait(72 * HOUR_MS)
        left = {key[:1] for key, _ in bench.rows(b"")}
        kept = {b"q", b"y", b"L", b"n", b"c"}
        assert left <= kept, "the last request's number, its round trip, the layout's number, and the engine's own rows"

    def test_answers_that_nobody_waits_for_change_nothing(self) -> None:
        bench = CountingBench(SHARED)
        assert refund(bench, 60) == "ALLOW"
        (given,) = [grant for grant in grants(bench) if grant.answer is BudgetAnswer.GRANTED][:1]
        for _ in range(5):
            bench.driver.pipe(BUDGET_GRANT.name, given.budget_key.encode(), given)
        assert refund(bench, 41) == "budget_exhausted"
        assert bench.dead_letters(BUDGET_GRANT.name) == []
