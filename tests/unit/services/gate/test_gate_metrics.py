"""What a driven gate counts, from intents to budgets, and that only what was committed counts."""

from __future__ import annotations

from collections import Counter
from itertools import count

import pytest

from simulation.records import SessionMaker, revocation
from streams.engine.worker_meter import LOOK_NS, WorkerMeter
from streams.inmemory.faults import Call, NoFaults
from streams.metrics import declared
from streams.metrics.declared import HELD_FOR, METRICS, Exporter, Metric
from streams.metrics.registry import Distribution, Metrics
from streams.model.approval import ApprovalGrant, ApprovalStatus, GrantScope
from streams.model.attributes import entity_key
from streams.model.delegation import ToolGrant
from streams.model.revocation import RevocationKind
from streams.model.topics import APPROVAL_DECISION, BUDGET_REQUEST, CATALOG, INTENT, REVOCATION
from streams.ports import AbortableTransactionError
from streams.services.gate.metrics import AttributesRoom, HeldIntents, StopsInForce, count_answers, count_verdicts
from streams.topology import BUDGETS, GATE
from tests.keeping import LOOKUP, CountingBench
from tests.kit import ADMIN_WIPE, MAIL_SEND, GateBench
from tests.unit.processors.entities import entity, held


class Counted:
    """Metrics, with meters of both workers that look at them in each turn."""

    def __init__(self) -> None:
        self.metrics = Metrics(Exporter.GATE)
        ticks_ns = count(0, LOOK_NS)
        gate = WorkerMeter(
            self.metrics,
            "gate",
            count_notes=lambda notes, now_ms: count_verdicts(self.metrics, notes, now_ms),
            census=HeldIntents(self.metrics),
            timer_ns=lambda: next(ticks_ns),
        )
        budgets = WorkerMeter(
            self.metrics,
            "budgets",
            count_notes=lambda notes, _now_ms: count_answers(self.metrics, notes),
            timer_ns=lambda: next(ticks_ns),
        )
        self.meters = {GATE: gate, BUDGETS: budgets}

    def __getitem__(self, key: tuple[Metric, tuple[str, ...]]) -> float:
        metric, labels = key
        return self.metrics.value(metric, *labels)

    def series(self, metric: Metric) -> dict[tuple[str, ...], float]:
        (family,) = [each for each in self.metrics.collect() if each.metric is metric]
        return family.values

    def distributions(self, metric: Metric) -> dict[tuple[str, ...], Distribution]:
        (family,) = [each for each in self.metrics.collect() if each.metric is metric]
        return family.distributions

    def held(self) -> dict[str, float]:
        return {kind: self.metrics.value(declared.HELD, kind) for kind in HELD_FOR}


@pytest.fixture
def counted() -> Counted:
    return Counted()


def test_verdicts_are_counted_by_outcome_and_reason_once_however_often_they_are_given(counted: Counted) -> None:
    bench = GateBench(meters=counted.meters)
    first = bench.propose()
    bench.propose()
    bench.propose(MAIL_SEND, {"to": "attacker@evil.example"})
    bench.propose(ADMIN_WIPE, {})
    bench.send(first)
    verdicts = bench.verdicts()
    expected = Counter((v.outcome.value, v.reason) for v in verdicts)
    assert expected.pop(("ALLOW", "permitted")) == 3
    assert counted.series(declared.VERDICTS) == {("ALLOW", "permitted"): 2.0, **expected}
    assert sum(expected.values()) == 2


def test_the_latency_begins_with_the_append_and_ends_with_the_commit(counted: Counted) -> None:
    bench = GateBench(meters=counted.meters)
    bench.propose()
    bench.send(bench.session.intent(MAIL_SEND, {"to": "bob", "later": True}, bench.now_ms))
    bench.wait(45_000)
    (family,) = [each for each in counted.metrics.collect() if each.metric is declared.VERDICT_SECONDS]
    sums = {labels: (sum(each.counts), each.sum) for labels, each in family.distributions.items()}
    # One at once; one that is held at once, and judged 30 s later.
    assert sums[("none",)] == (2, pytest.approx(0))
    assert sums[("cancel_window",)] == (1, pytest.approx(30))


def test_intents_that_wait_are_counted_until_they_are_judged_and_after_a_restart(counted: Counted) -> None:
    bench = GateBench(meters=counted.meters)
    bench.propose(MAIL_SEND, {"to": "bob", "ask": "one"})
    asked = bench.propose(MAIL_SEND, {"to": "bob", "ask": "one"})
    bench.propose(MAIL_SEND, {"to": "bob", "later": True})
    early = SessionMaker("s-early")
    bench.propose(session=early)
    assert counted.held() == {"session": 1, "approval": 2, "cancel_window": 1, "budget": 0}
    bench.restart()
    assert counted.held() == {"session": 1, "approval": 2, "cancel_window": 1, "budget": 0}
    bench.establish(early)
    decision = bench.session.decision(asked, "lea", bench.now_ms, groups=("leads",), status=ApprovalStatus.APPROVED)
    bench.driver.pipe(APPROVAL_DECISION.name, bench.session.key, decision)
    assert counted.held() == {"session": 0, "approval": 1, "cancel_window": 1, "budget": 0}
    bench.wait(3_600_000)
    assert counted.held() == dict.fromkeys(HELD_FOR, 0)


def test_dead_letters_are_counted_by_topic_and_reason(counted: Counted) -> None:
    bench = GateBench(meters=counted.meters)
    bench.driver.pipe(INTENT.name, b"acme|s-1", b"not a record")
    bench.driver.pipe(INTENT.name, b"acme|s-1", None)
    bench.driver.pipe(CATALOG.name, b"files/read", b"not a record")
    letters = counted.series(declared.DEAD_LETTERS)
    assert sum(letters.values()) == 3
    assert {labels[:2] for labels in letters} == {("gate", INTENT.name), ("gate", CATALOG.name)}
    assert len(bench.dead_letters(INTENT.name)) == 2


class TwoCommitsFail(NoFaults):
    """The broker aborts the next two transactions."""

    def __init__(self) -> None:
        self._left = 2

    def before(self, client: str, call: Call) -> None:
        if call is Call.COMMIT and self._left:
            self._left -= 1
            raise AbortableTransactionError("the broker says no")


def test_what_is_aborted_does_not_count_and_is_counted_once_when_it_is_done_again(counted: Counted) -> None:
    bench = GateBench(meters=counted.meters)
    bench.driver.log.faults = TwoCommitsFail()
    bench.propose(MAIL_SEND, {"to": "bob", "ask": "one"})
    assert counted[declared.TRANSACTIONS, ("gate", "aborted")] == 2
    assert counted.series(declared.VERDICTS) == {("REQUIRE_APPROVAL", "approval_required"): 1}
    assert counted.held()["approval"] == 1


def test_budgets_are_counted_by_name_and_never_by_owner(counted: Counted) -> None:
    rules = """
budgets:
  hourly: {per: user, measure: calls, match: {tools: [pay.lookup]}, limit: 2, window: 1h}
rules:
  - {id: C-1, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}
"""
    bench = CountingBench(rules, meters=counted.meters)
    assert [bench.outcome(LOOKUP, {}) for _ in range(3)] == ["ALLOW", "ALLOW", "budget_exhausted"]
    answers = counted.series(declared.BUDGET_ANSWERS)
    assert {budget for budget, _ in answers} == {"hourly"}
    assert answers["hourly", "granted"] >= 1
    (family,) = [each for each in counted.metrics.collect() if each.metric is declared.BUDGET_SPENT]
    assert max(place for place, number in enumerate(family.distributions[("hourly",)].counts) if number) == 7
    bench.driver.pipe(BUDGET_REQUEST.name, b"x", b"not a record")
    assert sum(n for labels, n in counted.series(declared.DEAD_LETTERS).items() if labels[0] == "budgets") == 1


def test_the_workers_show_what_they_do(counted: Counted) -> None:
    bench = GateBench(meters=counted.meters)
    bench.propose()
    published = len(bench.driver.read_raw(CATALOG.name))
    assert counted[declared.TURNS, ("gate",)] > 0
    assert counted[declared.RECORDS, ("gate",)] == 2
    assert counted[declared.TRANSACTIONS, ("gate", "committed")] >= 2
    assert counted[declared.PARTITIONS, ("gate", "processing")] == 1
    assert counted[declared.RESTORE_SECONDS, ("gate", "disk")] == 1
    assert counted[declared.LAG, ("gate", INTENT.name, "0")] == 0
    assert counted[declared.TIME_BEHIND, ("gate", "0")] == 0
    for stage in ("control", "poll", "decide", "commit", "restore"):
        assert counted[declared.STAGE_SECONDS, ("gate", stage)] > 0, stage
    assert counted[declared.CONTROL_OFFSET, (CATALOG.name,)] == published
    assert counted[declared.CONTROL_CHANGED, (CATALOG.name,)] == bench.now_ms / 1_000
    assert counted[declared.CONTROL_AGE, ()] == 0


def test_stops_in_force_are_counted_by_kind_until_they_are_over_or_released(counted: Counted) -> None:
    bench = GateBench()
    stops = StopsInForce(counted.metrics, bench.revocations, bench.driver.clock)
    for kind, target, until_ms in (
        (RevocationKind.AGENT, "acme|a", None),
        (RevocationKind.AGENT, "acme|b", bench.now_ms + 60_000),
        (RevocationKind.SESSION, "acme|s-9", None),
    ):
        bench.driver.pipe(REVOCATION.name, *revocation(kind, target, time_ms=bench.now_ms, until_ms=until_ms))
    stops.look()
    assert (counted[declared.STOPS, ("agent",)], counted[declared.STOPS, ("session",)]) == (2, 1)
    bench.wait(61_000)
    stops.look()
    assert (counted[declared.STOPS, ("agent",)], counted[declared.STOPS, ("tool",)]) == (1, 0)


def test_hostile_names_in_records_make_no_series(counted: Counted) -> None:
    """Tenants, sessions, agents, tools and intents have any name that a stranger likes."""
    bench = GateBench(meters=counted.meters)
    bench.propose()

    def series() -> set[tuple[str, ...]]:
        return {
            (each.metric.name, *key) for each in counted.metrics.collect() for key in each.values | each.distributions
        }

    def attack(names: range) -> None:
        for number in names:
            maker = SessionMaker(f's-{number}"}}\n')
            bench.propose(MAIL_SEND, {"to": f"x-{number}"}, session=maker)
            bench.driver.pipe(INTENT.name, f"tenant-{number}|s".encode(), b"\x00bad")
        bench.wait(10_000)

    attack(range(30))
    before = series()
    attack(range(30, 400))
    assert series() == before
    assert len(before) < 4 * len(METRICS)


def test_questions_are_counted_with_how_long_people_take(counted: Counted) -> None:
    bench = GateBench(meters=counted.meters)
    first = bench.propose(MAIL_SEND, {"ask": "one"})
    bench.propose(MAIL_SEND, {"ask": "one", "to": "b"})
    bench.propose(MAIL_SEND, {"ask": "leads"})
    tool = ToolGrant(server_id="mail", name="send")
    grant = ApprovalGrant(scope=GrantScope.SESSION, tools=(tool,), uses_max=2)
    bench.wait(20_000)
    made = bench.session.decision(first, "lena", bench.now_ms, groups=("leads",), grant=grant)
    bench.driver.pipe(APPROVAL_DECISION.name, bench.session.key, made)
    bench.propose(MAIL_SEND, {"ask": "one", "to": "c"})
    bench.wait(600_000)
    assert counted.series(declared.QUESTIONS) == {("asked",): 2, ("joined",): 1, ("granted",): 2}
    (numbers,) = counted.distributions(declared.SESSION_QUESTIONS).values()
    assert numbers.counts[:3] == (1, 1, 0)
    taken = counted.distributions(declared.QUESTION_SECONDS)
    endings = {ending: sum(found.counts) for (ending,), found in taken.items()}
    assert endings == {"approved": 1, "granted": 1, "expired": 1}
    assert taken["approved",].sum == 20


def test_the_room_that_attributes_take_is_told() -> None:
    metrics, room = Metrics(Exporter.GATE), AttributesRoom()
    room.look(metrics)
    table = room.follow(held())
    for tenant, count_of in (("acme", 3), ("globex", 1)):
        for number in range(count_of):
            record = entity(f"c-{number}", {"tier": "gold"}, tenant=tenant)
            table.offer(entity_key(tenant, "customer", f"c-{number}"), record, 0, 1_000)
    table.make_unclear(entity_key("acme", "customer", "bad"))
    room.look(metrics)
    told = {of: metrics.value(declared.ATTRIBUTES_BYTES, of) for of in ("all_tenants", "largest_tenant")}
    assert told["all_tenants"] == table.bytes_count
    assert table.bytes_count / 2 < told["largest_tenant"] < table.bytes_count
    assert metrics.value(declared.ATTRIBUTES_UNCLEAR) == 1
