"""Memories with `since`, against a recount of the order in which calls were made and reported."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.model.intent import Intent
from tests.keeping import LOOKUP, PURGE, SEND, CountingBench

RULES = """
history:
  ran: {keep: count, on: ran, match: {tools: [pay.lookup]}, key: args.account, since: {tools: [data.purge]}}
  failed: {keep: count, on: failed, match: {tools: [pay.lookup]}, since: {tools: [data.purge], on: ran}}
  of_account: {keep: count, on: ran, match: {tools: [pay.lookup]}, key: args.account,
               since: {tools: [data.purge], key: args.account}}
  before: {keep: any, on: allowed, match: {tools: [pay.lookup]}, key: args.account, since: {tools: ["*"]}}
rules:
  - {id: C-1, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}
  - {id: C-9, effect: deny, match: {tools: [post.send]}, reason: reads them all,
     when: history.ran < 0 && history.failed < 0 && history.of_account < 0 && history.before}
"""
TOOLS = {"lookup": LOOKUP, "purge": PURGE}
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["lookup", "lookup", "purge", "report", "report"]),
        st.sampled_from(["a", "b"]),
        st.integers(0, 9),
        st.booleans(),
    ),
    max_size=30,
)


@dataclass
class Call:
    """A call: when it was made and when its end was reported, as places in the order of all events."""

    tool: str
    account: str
    intent: Intent
    made: int
    ended: int | None = None
    failed: bool = False


def recount(calls: list[Call], account: str) -> dict[str, object]:
    purges = [call for call in calls if call.tool == "purge"]
    lookups = [call for call in calls if call.tool == "lookup"]
    last = max((call.made for call in purges), default=-1)
    last_of_account = max((call.made for call in purges if call.account == account), default=-1)
    last_ran = max((call.ended for call in purges if call.ended is not None and not call.failed), default=-1)
    ran = [call for call in lookups if call.ended is not None and not call.failed and call.account == account]
    failed = [call for call in lookups if call.ended is not None and call.failed]
    return {
        "ran": len([call for call in ran if call.made > last]),
        "failed": len([call for call in failed if call.made > last_ran]),
        "of_account": len([call for call in ran if call.made > last_of_account]),
        "before": bool(calls) and (calls[-1].tool, calls[-1].account) == ("lookup", account),
    }


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_a_memory_with_since_is_what_the_order_of_the_calls_gives(steps: list[tuple[str, str, int, bool]]) -> None:
    bench = CountingBench(RULES)
    calls: list[Call] = []
    for place, (what, account, index, flag) in enumerate(steps):
        if what == "report":
            open_calls = [call for call in calls if call.ended is None]
            if not open_calls:
                continue
            call = open_calls[index % len(open_calls)]
            bench.report(call.intent, is_error=flag)
            call.ended, call.failed = place, flag
        else:
            calls.append(Call(what, account, bench.propose(TOOLS[what], {"account": account}), place))
        for each in ("a", "b"):
            assert bench.history(SEND, {"args": {"account": each}}) == recount(calls, each)
