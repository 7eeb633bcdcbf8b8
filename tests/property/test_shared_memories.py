"""Memories that sessions share against plain counts: exact on the own partition, and on others once they were asked.

Gates start again in between, records come again, and windows end.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from simulation.records import SessionMaker
from streams.model.keys import partition_for
from streams.model.topics import BUDGET_GRANT, BUDGET_REQUEST
from streams.ports import Outgoing
from tests.keeping import REFUND, SESSION_LIFE_MS, CountingBench
from tests.kit import MINUTE_MS

PARTITIONS = 3
WINDOW_MS = 10 * MINUTE_MS
FRESH_MS = 500
VALUE_MAX = 40
STEPS_MAX = 20
COUNTED = "".join(
    f"""
  - id: N-{number:02}
    effect: deny
    mode: shadow
    match: {{tools: [pay.refund]}}
    when: history.refunds >= {number}
    reason: so many
"""
    for number in range(1, VALUE_MAX)
)
RULES = f"""
history:
  refunds: {{keep: sum, of: args.amount, on: allowed, per: user, key: args.customer, window: 10m, fresh: 500ms,
            match: {{tools: [pay.refund]}}}}
rules:
  - {{id: C-1, effect: permit, match: {{tools: ["*"]}}, when: "true", reason: fine}}
  - {{id: C-2, effect: deny, match: {{tools: [pay.refund]}}, when: has(args.no), reason: asked to}}
{COUNTED}
"""
SESSIONS = tuple(SessionMaker(f"desk-{number}", sub=f"user-{number // 3}") for number in range(6))
CUSTOMERS = ("1", 1, "ann")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("refund"), st.integers(0, 5), st.sampled_from(CUSTOMERS), st.integers(0, 2)),
        st.tuples(st.just("refund"), st.integers(0, 5), st.just("ann"), st.just(1)),
        st.tuples(st.just("denied"), st.integers(0, 5), st.just("ann"), st.just(1)),
        st.tuples(st.just("wait"), st.sampled_from([1, FRESH_MS + 1, 70_000, WINDOW_MS // 2]), st.none(), st.none()),
        st.tuples(st.just("restart"), st.none(), st.none(), st.none()),
        st.tuples(st.just("again"), st.integers(0, 9), st.none(), st.none()),
    ),
    max_size=STEPS_MAX,
)


class Run:
    """One sequence of steps, on the gate and in the model."""

    def __init__(self) -> None:
        self.bench = CountingBench(RULES, partitions=PARTITIONS)
        for each in SESSIONS:
            self.bench.establish(each, expires_ms=self.bench.now_ms + SESSION_LIFE_MS)
        self.happened: dict[tuple[object, ...], list[tuple[int, int, int]]] = defaultdict(list)

    def step(self, what: str, first: Any, customer: Any, amount: Any) -> None:
        if what == "wait":
            self.bench.wait(first)
        elif what == "restart":
            self.bench.restart()
        elif what == "again":
            self.repeat(first)
        else:
            self.refund(SESSIONS[first], customer, amount, is_denied=what == "denied")

    def repeat(self, number: int) -> None:
        """A note or an answer comes again, long after it was processed."""
        log = self.bench.driver.log
        carried = [received for _, received in log.written_since((BUDGET_REQUEST.name, BUDGET_GRANT.name), -1)]
        if carried:
            again = carried[number % len(carried)]
            log.append(Outgoing(again.topic, again.partition, again.key, again.value, again.headers))
            self.bench.driver.settle()

    def refund(self, session: SessionMaker, customer: str | int, amount: int, *, is_denied: bool) -> None:
        bench, partition = self.bench, partition_for(session.key, PARTITIONS)
        happened = self.happened[bench.now_ms // WINDOW_MS, session.sub, type(customer), customer]
        total = sum(units for _, _, units in happened)
        own = sum(units for at, _, units in happened if at == partition)
        surely = sum(units for at, time_ms, units in happened if at == partition or bench.now_ms - time_ms > FRESH_MS)
        args = {"customer": customer, "amount": amount, **({"no": True} if is_denied else {})}
        bench.verdicts()
        bench.propose(REFUND, args, session)
        verdict = bench.verdict()
        assert verdict.reason == ("rule_denied" if is_denied else "permitted")
        seen = sum(hit.rule_id.startswith("N-") for hit in verdict.rules)
        assert own <= surely <= seen <= total
        if not is_denied:
            happened.append((partition, bench.now_ms, amount))


def test_the_sessions_of_a_user_are_on_several_partitions() -> None:
    for user in (0, 1):
        assert len({partition_for(each.key, PARTITIONS) for each in SESSIONS[3 * user : 3 * user + 3]}) > 1


@settings(max_examples=100, deadline=None)
@given(steps=STEPS)
@example(steps=[("refund", 0, "ann", 1), ("refund", 2, "ann", 1), ("wait", FRESH_MS + 1, None, None),
                ("refund", 0, "ann", 1), ("again", 1, None, None), ("wait", FRESH_MS + 1, None, None),
                ("refund", 2, "ann", 1)])  # fmt: skip
def test_what_rules_see_is_what_has_happened(steps: list[tuple[str, Any, Any, Any]]) -> None:
    run = Run()
    for step in steps:
        run.step(*step)
