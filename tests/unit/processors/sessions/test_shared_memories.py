"""Memories that sessions share: what rules see of other sessions, how fresh it is, and what happens without answers."""

from __future__ import annotations

from typing import Any

import pytest

from simulation.records import SessionMaker
from streams.inmemory.faults import NoFaults
from streams.model.budget import BudgetOp
from streams.model.keys import partition_for
from streams.model.session import SessionEventType
from streams.model.topics import BUDGET_GRANT, BUDGET_REQUEST, SESSION
from streams.processors.row_kinds import RowKind
from tests.keeping import LOOKUP, PURGE, REFUND, CountingBench
from tests.kit import GATE_SETTINGS, HOUR_MS, MINUTE_MS
from tests.unit.processors.absent_allocator import Absent
from tests.unit.processors.budgets.budget_hand import grants, requests

PARTITIONS = 3
FRESH_MS = 1_000
RULES = """
history:
  refunds: {keep: count, on: allowed, match: {tools: [pay.refund]}, per: user, window: 24h}
  spent: {keep: sum, of: args.amount, on: ran, match: {tools: [pay.refund]}, per: tenant, window: 24h,
          key: args.customer, keys_max: 2}
  refused: {keep: any, on: denied, match: {tools: [data.purge]}, per: agent, window: 1h, fresh: 10s}
rules:
  - {id: C-1, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}
  - {id: C-2, effect: deny, match: {tools: [pay.refund]}, when: history.refunds >= 3, reason: enough}
  - {id: C-3, effect: deny, match: {tools: [pay.refund]}, when: history.spent >= 100, reason: spent}
  - {id: C-4, effect: deny, match: {tools: [data.purge]}, when: has(args.no), reason: asked to}
  - {id: C-5, effect: deny, match: {tools: [pay.lookup]}, when: history.refused, reason: something was refused}
  - id: C-6
    effect: deny
    mode: shadow
    match: {tools: [pay.lookup]}
    when: history.refused_age_ms >= 4000
    reason: it is known since long
"""
ALICE = [SessionMaker(f"desk-{number}") for number in range(6)]
BOB = SessionMaker("desk-6", sub="bob", act="other-agent")


@pytest.fixture
def bench() -> CountingBench:
    made = CountingBench(RULES, partitions=PARTITIONS)
    for each in (*ALICE, BOB):
        made.establish(each, expires_ms=made.now_ms + 48 * HOUR_MS)
    return made


def refund(bench: CountingBench, session: SessionMaker, customer: object = "ann", amount: int = 1) -> str:
    return bench.outcome(REFUND, {"customer": customer, "amount": amount}, session=session)


def ran(bench: CountingBench, session: SessionMaker, customer: str, amount: int) -> None:
    intent = bench.propose(REFUND, {"customer": customer, "amount": amount}, session)
    assert bench.verdict().reason == "permitted"
    event = session.event(SessionEventType.TOOL_RESULT, bench.now_ms, intent_id=intent.intent_id, tool=intent.tool)
    bench.driver.pipe(SESSION.name, session.key, event)


def test_the_sessions_are_on_several_partitions() -> None:
    assert {partition_for(each.key, PARTITIONS) for each in ALICE} == set(range(PARTITIONS))


class TestWhatRulesSee:
    def test_is_what_has_happened_in_all_sessions_of_the_user(self, bench: CountingBench) -> None:
        assert [refund(bench, each, f"c-{number % 2}") for number, each in enumerate(ALICE[:3])] == ["ALLOW"] * 3
        bench.wait(FRESH_MS + 1)
        assert {refund(bench, each, "c-0") for each in ALICE} == {"rule_denied"}
        assert refund(bench, BOB, "c-0") == "ALLOW"

    def test_is_exact_on_the_own_partition(self, bench: CountingBench) -> None:
        own = ALICE[0]
        assert [refund(bench, own) for _ in range(4)] == ["ALLOW", "ALLOW", "ALLOW", "rule_denied"]

    def test_is_what_ran_for_the_customer(self, bench: CountingBench) -> None:
        ran(bench, ALICE[0], "ann", 60)
        ran(bench, BOB, "ann", 40)
        bench.wait(FRESH_MS + 1)
        assert [refund(bench, BOB, "ann"), refund(bench, BOB, "joe")] == ["rule_denied", "ALLOW"]

    def test_is_what_was_denied_to_the_agent(self, bench: CountingBench) -> None:
        first, second = ALICE[0], ALICE[2]
        assert bench.outcome(LOOKUP, {}, session=second) == "ALLOW"
        assert bench.outcome(PURGE, {"no": True}, session=first) == "rule_denied"
        bench.wait(11_000)
        assert [hit.rule_id for hit in bench.judge(LOOKUP, {}, second).rules] == ["C-1", "C-5"]
        bench.wait(3_999)
        assert [hit.rule_id for hit in bench.judge(LOOKUP, {}, second).rules] == ["C-1", "C-5"]
        bench.wait(1)
        assert [hit.rule_id for hit in bench.judge(LOOKUP, {}, second).rules] == ["C-1", "C-5", "C-6"]
        assert bench.outcome(LOOKUP, {}, session=BOB) == "ALLOW"

    def test_starts_again_with_the_window(self, bench: CountingBench) -> None:
        for each in ALICE[:3]:
            refund(bench, each)
        bench.wait(24 * HOUR_MS - bench.now_ms % (24 * HOUR_MS))
        session = SessionMaker("desk-7")
        bench.establish(session)
        assert refund(bench, session) == "ALLOW"

    def test_survives_restarts(self, bench: CountingBench) -> None:
        for each in ALICE[:3]:
            assert refund(bench, each) == "ALLOW"
            bench.restart()
        bench.wait(FRESH_MS + 1)
        assert refund(bench, ALICE[3]) == "rule_denied"


class TestHowFresh:
    def test_what_happens_elsewhere_is_seen_after_fresh(self, bench: CountingBench) -> None:
        here = ALICE[0]
        there = next(
            each for each in ALICE if partition_for(each.key, PARTITIONS) != partition_for(here.key, PARTITIONS)
        )
        assert refund(bench, here) == "ALLOW"
        assert [refund(bench, there) for _ in range(2)] == ["ALLOW"] * 2
        bench.wait(FRESH_MS)
        assert refund(bench, here) == "ALLOW", "an answer is good for as long as `fresh` says"
        bench.wait(1)
        assert refund(bench, here) == "rule_denied"

    def test_one_question_serves_all_calls_within_fresh(self, bench: CountingBench) -> None:
        bench.outcome(LOOKUP, {}, session=ALICE[0])
        requests(bench)
        for _ in range(20):
            bench.outcome(LOOKUP, {}, session=ALICE[0])
        assert requests(bench) == []
        bench.wait(10_001)
        bench.outcome(LOOKUP, {}, session=ALICE[0])
        assert [request.op for request in requests(bench)] == [BudgetOp.READ]

    def test_calls_of_other_tools_ask_and_note_nothing(self, bench: CountingBench) -> None:
        bench.outcome(PURGE, {}, session=ALICE[0])
        assert requests(bench) == []

    def test_nothing_is_guessed_without_an_answer(self, bench: CountingBench) -> None:
        bench.driver.log.faults = Absent()
        bench.propose(LOOKUP, {}, ALICE[0])
        assert bench.verdicts() == []
        bench.wait(GATE_SETTINGS.budget_wait_max_ms)
        assert bench.verdict().reason == "budget_unavailable"
        bench.driver.log.faults = NoFaults()
        bench.driver.settle()
        assert bench.outcome(LOOKUP, {}, session=ALICE[0]) == "ALLOW"


class TestWhatIsRepeated:
    def test_notes_count_once(self, bench: CountingBench) -> None:
        for each in ALICE[:2]:
            refund(bench, each)
        notes = [request for request in requests(bench) if request.op is BudgetOp.NOTE]
        for note in notes * 3:
            bench.driver.pipe(BUDGET_REQUEST.name, b'["#refunds","count","user","acme","alice"]', note)
        bench.wait(FRESH_MS + 1)
        assert [refund(bench, ALICE[3]), refund(bench, ALICE[3])] == ["ALLOW", "rule_denied"]

    def test_so_do_answers(self, bench: CountingBench) -> None:
        refund(bench, ALICE[0])
        refund(bench, ALICE[2])
        for grant in grants(bench) * 3:
            bench.driver.pipe(BUDGET_GRANT.name, grant.budget_key.encode(), grant)
        bench.wait(FRESH_MS + 1)
        assert [refund(bench, ALICE[3]), refund(bench, ALICE[3])] == ["ALLOW", "rule_denied"]

    def test_a_redelivered_intent_counts_once(self, bench: CountingBench) -> None:
        intent = bench.propose(REFUND, {"customer": "ann", "amount": 1}, ALICE[0])
        for _ in range(4):
            bench.send(intent, ALICE[0])
        assert [refund(bench, ALICE[0]), refund(bench, ALICE[0]), refund(bench, ALICE[0])] == [
            "ALLOW", "ALLOW", "rule_denied",
        ]  # fmt: skip


class TestBounds:
    def test_a_value_without_room_denies_what_reads_it(self, bench: CountingBench) -> None:
        ran(bench, ALICE[0], "ann", 1)
        ran(bench, ALICE[0], "bob", 1)
        assert refund(bench, ALICE[0], "eve") == "rule_error"
        bench.wait(MINUTE_MS)
        assert refund(bench, ALICE[0], "eve") == "rule_error"

    def test_values_that_are_only_read_take_no_room(self, bench: CountingBench) -> None:
        outcomes = [refund(bench, BOB, f"made-up-{number}") for number in range(20)]
        assert outcomes == ["ALLOW"] * 3 + ["rule_denied"] * 17
        ran(bench, ALICE[0], "ann", 60)
        ran(bench, ALICE[1], "bob", 1)
        bench.wait(FRESH_MS + 1)
        assert refund(bench, ALICE[2], "joe") == "rule_error", "what has happened still takes room"
        assert refund(bench, ALICE[2], "ann") == "ALLOW"

    def test_a_missing_value_denies_what_reads_it(self, bench: CountingBench) -> None:
        assert bench.outcome(REFUND, {"amount": 1}, session=ALICE[0]) == "rule_error"

    def test_everything_is_forgotten_in_the_end(self, bench: CountingBench) -> None:
        for each in ALICE[:3]:
            refund(bench, each)
        bench.outcome(LOOKUP, {}, session=ALICE[0])
        assert _rows(bench, RowKind.TALLY)
        bench.wait(49 * HOUR_MS)
        assert not _rows(bench, RowKind.TALLY)

    def test_what_was_only_read_is_forgotten_soon(self, bench: CountingBench) -> None:
        bench.outcome(LOOKUP, {}, session=ALICE[0])
        assert len(_rows(bench, RowKind.TALLY)) == 1
        bench.wait(2 * MINUTE_MS)
        assert not _rows(bench, RowKind.TALLY)


def test_an_intent_that_waits_for_one_keeps_nothing_that_only_other_rules_need(bench: CountingBench) -> None:
    assert bench.outcome(REFUND, {"amount": 1, "customer": "c-1"}, session=ALICE[0]) == "ALLOW"
    assert not _rows(bench, RowKind.PROVENANCE)


def _rows(bench: CountingBench, kind: RowKind) -> list[Any]:
    return [key for part in range(PARTITIONS) for key in bench.driver.disk.rows(part) if key.startswith(kind.prefix)]
