"""Memories, kept event by event, against a recount of everything that has happened."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.model.labels import Confidentiality, Integrity, Label
from streams.processors.sessions.memory import BUCKETS_COUNT
from tests.keeping import LOOKUP, PURGE, REFUND, CountingBench
from tests.kit import MINUTE_MS

WITHIN_MS = 10 * MINUTE_MS
RULES = """
history:
  allowed: {keep: count, on: allowed, match: {tools: [pay.refund]}, key: args.account, within: 10m}
  total: {keep: sum, on: allowed, match: {tools: [pay.refund]}, of: args.amount, key: args.account}
  recent_total: {keep: sum, on: allowed, match: {tools: [pay.refund]}, of: args.amount, within: 10m}
  denied: {keep: count, on: denied, match: {tools: [pay.refund]}, when: args.amount > 3}
  judged: {keep: any, on: judged, key: args.account, within: 10m, reset: {tools: [data.purge], on: allowed}}
  ran: {keep: count, on: ran, when: 'label.confidentiality == "private"', reset: {tools: [data.purge]}}
  failed: {keep: count, on: failed, match: {tools: [pay.refund]}}
  since: {keep: last, on: ran, within: 10m}
rules:
  - {id: C-1, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}
  - {id: C-2, effect: deny, match: {tools: ["*"]}, when: args.no == true, reason: asked to}
  - {id: C-9, effect: deny, match: {tools: [pay.lookup]}, reason: reads them all,
     when: history.allowed < 0 && history.total < 0 && history.recent_total < 0 && history.denied < 0 && history.judged
           && history.ran < 0 && history.failed < 0 && has(history.since)}
"""
ACCOUNTS = ("a", "b")
TOOLS = {"refund": REFUND, "lookup": LOOKUP, "purge": PURGE}
WORSE = Label(integrity=Integrity.TRUSTED, confidentiality=Confidentiality.PRIVATE)

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["refund", "refund", "refund", "lookup", "purge", "again"]),
        st.sampled_from(ACCOUNTS),
        st.integers(0, 9),
        st.booleans(),
        st.sampled_from(["none", "ran", "ran twice", "failed"]),
        st.sampled_from([0, 1, 1_000, WITHIN_MS // BUCKETS_COUNT, WITHIN_MS // 2, WITHIN_MS]),
    ),
    max_size=25,
)


@dataclass(frozen=True)
class Happened:
    """One entry of the log that is recounted."""

    tool: str
    account: str
    amount: int
    allowed: bool
    at_ms: int
    ran_ms: int | None = None
    failed_ms: int | None = None


def recount(log: list[Happened], account: str, now_ms: int, slack_ms: int) -> dict[str, object]:
    """What the memories must hold; `slack_ms` is how much longer than its window an event may count."""
    within_ms = WITHIN_MS + slack_ms
    last_purge = max((i for i, e in enumerate(log) if e.tool == "purge" and e.allowed), default=-1)
    purged_ms = max((e.ran_ms for e in log if e.tool == "purge" and e.ran_ms is not None), default=-1)
    refunds = [e for e in log if e.tool == "refund"]
    paid = [e for e in refunds if e.allowed]
    recent = [e for e in paid if now_ms - e.at_ms < within_ms]
    judged = [e for e in log[last_purge + 1 :] if e.account == account and now_ms - e.at_ms < within_ms]
    ran = [e for e in log if e.ran_ms is not None]
    # A result and a purge never come at the same instant here.
    private = [e for e in ran if e.tool != "purge" and (e.ran_ms or 0) > purged_ms]
    since = max((e.ran_ms for e in ran if e.ran_ms is not None), default=None)
    held: dict[str, object] = {
        "allowed": len([e for e in recent if e.account == account]),
        "total": sum(e.amount for e in paid if e.account == account),
        "recent_total": sum(e.amount for e in recent),
        "denied": len([e for e in refunds if not e.allowed and e.amount > 3]),
        "judged": bool(judged),
        "ran": len(private),
        "failed": len([e for e in refunds if e.failed_ms is not None]),
    }
    if since is not None and now_ms - since < WITHIN_MS:
        held["since"] = now_ms - since
    return held


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_every_memory_is_what_a_recount_of_the_log_gives(steps: list[tuple[str, str, int, bool, str, int]]) -> None:
    bench = CountingBench(RULES)
    log: list[Happened] = []
    intent = None
    for tool, account, amount, no, end, wait_ms in steps:
        if tool == "again":
            if intent is not None:
                bench.send(intent)
        else:
            intent = bench.propose(TOOLS[tool], {"account": account, "amount": amount, "no": no})
            at_ms, ran_ms, failed_ms = bench.now_ms, None, None
            if end != "none":
                bench.wait(1)
                for _ in range(2 if end == "ran twice" else 1):
                    bench.report(intent, is_error=end == "failed", label=WORSE)
                if not no:
                    ran_ms, failed_ms = (None, bench.now_ms) if end == "failed" else (bench.now_ms, None)
            log.append(Happened(tool, account, amount, not no, at_ms, ran_ms, failed_ms))
        bench.wait(wait_ms)
        check(bench, log)


def check(bench: CountingBench, log: list[Happened]) -> None:
    for account in ACCOUNTS:
        held = bench.history(LOOKUP, {"args": {"account": account}})
        exact = recount(log, account, bench.now_ms, 0)
        widest = recount(log, account, bench.now_ms, WITHIN_MS // BUCKETS_COUNT)
        assert held.keys() == exact.keys()
        for name, value in held.items():
            assert exact[name] <= value <= widest[name], name
