"""Budgets of one partition against plain sums: exact to the unit, whatever is denied, held, given back or too late."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.model.intent import Intent
from streams.model.session import SessionEventType
from streams.model.topics import INTENT, SESSION
from tests.keeping import REFUND, SEND, CountingBench
from tests.kit import GATE_SETTINGS, MINUTE_MS

WINDOW_MS = 10 * MINUTE_MS
SUM_LIMIT, TARGETS_LIMIT, CALLS_LIMIT = 20, 3, 8
RULES = """
budgets:
  sums: {{per: {per}, measure: {{sum: args.amount}}, match: {{tools: [pay.refund]}}, limit: 20, window: 10m}}
  targets: {{per: {per}, measure: {{distinct: args.to}}, match: {{tools: [post.send]}}, limit: 3, window: 10m}}
  calls: {{per: {per}, measure: calls, limit: 8, window: 10m}}
rules:
  - {{id: C-1, effect: permit, match: {{tools: ["*"]}}, when: "true", reason: fine}}
  - {{id: C-2, effect: deny, match: {{tools: ["*"]}}, when: args.how == "no", reason: asked to}}
  - id: C-3
    effect: require_approval
    match: {{tools: ["*"]}}
    when: args.how == "ask"
    approval: {{group: finance, ttl: 60m}}
    reason: a person must say so
"""
HOW = st.sampled_from(["yes", "yes", "yes", "no", "ask"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("refund"), st.integers(0, 9), HOW),
        st.tuples(st.just("send"), st.lists(st.sampled_from("abcde"), min_size=1, max_size=2), HOW),
        st.tuples(st.just("approve"), st.integers(0, 5), st.none()),
        st.tuples(st.just("not run"), st.integers(0, 9), st.none()),
        st.tuples(st.just("again"), st.integers(0, 9), st.none()),
        st.tuples(st.just("wait"), st.sampled_from([1, 700, 6_000, MINUTE_MS, WINDOW_MS // 2]), st.none()),
    ),
    max_size=30,
)


@dataclass
class Model:
    """What has been taken, by window."""

    sums: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    calls: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    targets: dict[int, dict[str, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))

    def fits(self, window: int, args: dict[str, Any]) -> bool:
        used = {target for target, uses in self.targets[window].items() if uses}
        return (
            self.calls[window] + 1 <= CALLS_LIMIT
            and self.sums[window] + args.get("amount", 0) <= SUM_LIMIT
            and len(used | set(args.get("to", ()))) <= TARGETS_LIMIT
        )

    def take(self, window: int, args: dict[str, Any], sign: int) -> None:
        self.calls[window] += sign
        self.sums[window] += sign * args.get("amount", 0)
        for target in set(args.get("to", ())):
            self.targets[window][target] += sign


class Run:
    """One sequence of steps, on the gate and in the model."""

    def __init__(self, per: str) -> None:
        self.bench = CountingBench(RULES.format(per=per))
        self.model = Model()
        self.asked: list[tuple[Intent, dict[str, Any]]] = []
        self.allowed: list[tuple[Intent, dict[str, Any], int]] = []
        self.ended: set[str] = set()

    @property
    def window(self) -> int:
        return self.bench.now_ms // WINDOW_MS

    def step(self, what: str, value: Any, how: str | None) -> None:
        bench = self.bench
        if what == "wait":
            bench.wait(value)
        elif what in ("refund", "send"):
            args = {"how": how, **({"amount": value} if what == "refund" else {"to": value})}
            intent = bench.propose(REFUND if what == "refund" else SEND, args)
            self.judged(intent, args, bench.verdict().reason)
        elif what == "approve" and self.asked:
            intent, args = self.asked.pop(value % len(self.asked))
            bench.decide(intent, "fred", groups=("finance",))
            self.judged(intent, {**args, "how": "yes"}, bench.verdict().reason)
        elif what == "not run" and self.allowed:
            intent, args, window = self.allowed[value % len(self.allowed)]
            event = bench.session.event(
                SessionEventType.TOOL_NOT_RUN, bench.now_ms, intent_id=intent.intent_id, tool=intent.tool
            )
            bench.driver.pipe(SESSION.name, bench.session.key, event)
            if intent.intent_id not in self.ended:
                self.ended.add(intent.intent_id)
                self.model.take(window, args, -1)
        elif what == "again" and self.allowed:
            self.redelivered(self.allowed[value % len(self.allowed)][0])

    def redelivered(self, intent: Intent) -> None:
        """Nothing is judged or taken again: the verdict's bytes come again, or later on a dead letter that names it."""
        self.bench.send(intent)
        given = [verdict.reason for verdict in self.bench.verdicts()]
        letters = self.bench.dead_letters(INTENT.name)
        assert (given, letters) in ((["permitted"], []), ([], ["verdict_given_before"]))
        age_ms = self.bench.now_ms - intent.header.time
        assert given or age_ms >= GATE_SETTINGS.verdict_bytes_retention_ms

    def judged(self, intent: Intent, args: dict[str, Any], reason: str) -> None:
        fits = self.model.fits(self.window, args)
        if args["how"] == "no":
            assert reason == "rule_denied"
        elif not fits:
            assert reason == "budget_exhausted"
        elif args["how"] == "ask":
            assert reason == "approval_required"
            self.asked.append((intent, args))
        else:
            assert reason == "permitted"
            self.model.take(self.window, args, 1)
            self.allowed.append((intent, args, self.window))


@settings(max_examples=60, deadline=None)
@given(per=st.sampled_from(["session", "user"]), steps=STEPS)
@example(per="user", steps=[("send", ["a", "d"], "yes"), ("send", ["b", "c"], "ask"), ("approve", 0, None)])
@example(per="session", steps=[("send", ["a", "d"], "yes"), ("send", ["b", "c"], "ask")])
def test_what_is_allowed_is_what_fits(per: str, steps: list[tuple[str, Any, str | None]]) -> None:
    run = Run(per)
    for what, value, how in steps:
        run.step(what, value, how)
