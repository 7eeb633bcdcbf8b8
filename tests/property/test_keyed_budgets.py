"""Budgets with a key against plain sums: each value of the key has the whole limit, across sessions and partitions.

Gates and allocators start again in between, windows end, and calls that did not run give back what they took.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from simulation.records import SessionMaker
from streams.model.intent import Intent
from streams.model.keys import partition_for
from streams.model.session import SessionEventType
from streams.model.topics import SESSION
from streams.processors.budgets.allocator import CLEAN_MS
from streams.processors.budgets.leases import RECHECK_MS
from tests.keeping import REFUND, SESSION_LIFE_MS, CountingBench
from tests.kit import MINUTE_MS

PARTITIONS = 3
WINDOW_MS = 10 * MINUTE_MS
LIMIT = 20
RULES = f"""
budgets:
  refunds: {{per: PER, key: args.customer, measure: {{sum: args.amount}}, match: {{tools: [pay.refund]}},
             limit: {LIMIT}, window: 10m}}
rules:
  - {{id: C-1, effect: permit, match: {{tools: ["*"]}}, when: "true", reason: fine}}
"""
CUSTOMERS: tuple[str | int, ...] = ("1", 1, "ann", "Ann", "ann#", '"]#')
SESSIONS = tuple(
    SessionMaker(f"desk-{number}", sub=f"user-{number % 2}", act=f"agent-{number % 3}") for number in range(6)
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("refund"), st.integers(0, 5), st.sampled_from(CUSTOMERS[:2]), st.integers(1, 9)),
        st.tuples(st.just("refund"), st.integers(0, 5), st.sampled_from(CUSTOMERS), st.integers(0, 21)),
        st.tuples(st.just("not run"), st.integers(0, 9), st.none(), st.none()),
        st.tuples(st.just("wait"), st.sampled_from([1, 700, 6_000, 70_000, WINDOW_MS // 2]), st.none(), st.none()),
        st.tuples(st.just("restart"), st.none(), st.none(), st.none()),
    ),
    max_size=25,
)


class Run:
    """One sequence of steps, on the gate and in the model."""

    def __init__(self, per: str) -> None:
        self.per = per
        self.bench = CountingBench(RULES.replace("PER", per), partitions=PARTITIONS)
        for each in SESSIONS:
            self.bench.establish(each, expires_ms=self.bench.now_ms + SESSION_LIFE_MS)
        self.spent: dict[tuple[object, ...], int] = defaultdict(int)
        self.allowed: list[tuple[Intent, SessionMaker, tuple[object, ...], int]] = []
        self.settled_ms = 0

    def step(self, what: str, first: Any, customer: Any, amount: Any) -> None:
        bench = self.bench
        if what == "wait":
            bench.wait(first)
        elif what == "restart":
            bench.restart()
        elif what == "refund":
            self.refund(SESSIONS[first], customer, amount)
        elif self.allowed:
            intent, session, key, units = self.allowed.pop(first % len(self.allowed))
            event = session.event(
                SessionEventType.TOOL_NOT_RUN, bench.now_ms, intent_id=intent.intent_id, tool=intent.tool
            )
            bench.driver.pipe(SESSION.name, session.key, event)
            self.spent[key] -= units
            # Until then, the allocator takes it that the others have nothing to return.
            self.settled_ms = bench.now_ms + CLEAN_MS + RECHECK_MS

    def refund(self, session: SessionMaker, customer: str | int, amount: int) -> None:
        bench = self.bench
        sharer = {"tenant": session.tenant, "user": session.sub, "agent": session.act.sub}[self.per]
        key = (bench.now_ms // WINDOW_MS, sharer, type(customer), customer)
        fits = self.spent[key] + amount <= LIMIT
        intent = bench.propose(REFUND, {"customer": customer, "amount": amount}, session)
        verdict = bench.verdict()
        if verdict.reason == "permitted":
            assert fits, f"{self.spent[key]} + {amount} for {customer!r}"
            self.spent[key] += amount
            self.allowed.append((intent, session, key, amount))
        else:
            assert verdict.reason == "budget_exhausted"
            assert not fits or bench.now_ms < self.settled_ms


def test_the_sessions_are_on_all_partitions() -> None:
    assert {partition_for(each.key, PARTITIONS) for each in SESSIONS} == set(range(PARTITIONS))


@settings(max_examples=100, deadline=None)
@given(per=st.sampled_from(["tenant", "user", "agent"]), steps=STEPS)
@example(per="tenant", steps=[("refund", number, "ann", 4) for number in range(6)])
@example(per="tenant", steps=[("refund", 0, "1", 20), ("refund", 1, 1, 20), ("refund", 2, "1", 1)])
def test_what_is_allowed_is_what_fits(per: str, steps: list[tuple[str, Any, Any, Any]]) -> None:
    run = Run(per)
    for step in steps:
        run.step(*step)
