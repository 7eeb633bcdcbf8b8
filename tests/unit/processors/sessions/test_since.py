"""Memories that start again with a call (`since`), through the driven gate."""

from __future__ import annotations

import pytest

from streams.model.catalog import ToolCatalogEntry
from streams.policy import bundle_from_files, check_bundle
from streams.processors.row_kinds import RowKind
from streams.processors.sessions import memory
from tests.keeping import LOOKUP, PURGE, REFUND, SEND, CountingBench, bundle_files
from tests.kit import MINUTE_MS

PERMIT = """
rules:
  - {id: C-1, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}
"""
# A test is `pay.lookup`, an edit `data.purge`, and a deployment `post.send`.
TESTED = f"""
history:
  tested: {{keep: any, on: ran, match: {{tools: [pay.lookup]}}, since: {{tools: [data.purge]}}}}
{PERMIT}
  - {{id: C-2, effect: deny, match: {{tools: [post.send]}}, when: "!history.tested", reason: not tested}}
"""
SAME_FILE = f"""
history:
  read: {{keep: any, on: ran, match: {{tools: [pay.lookup]}}, key: args.path,
         since: {{tools: [data.purge], key: args.path}}}}
{PERMIT}
  - {{id: C-2, effect: deny, match: {{tools: [data.purge]}}, when: "!history.read", reason: not read since}}
"""
PREVIOUS = f"""
history:
  just_looked_up: {{keep: any, on: allowed, match: {{tools: [pay.lookup]}}, key: args.account, since: {{tools: ["*"]}}}}
{PERMIT}
  - {{id: C-2, effect: deny, match: {{tools: [pay.refund]}}, when: "!history.just_looked_up",
      reason: the call before was not the lookup of this account}}
"""


def run(bench: CountingBench, *tools: ToolCatalogEntry) -> None:
    for tool in tools:
        bench.report(bench.propose(tool, {}))
    bench.verdicts()


def test_an_event_counts_until_the_next_start() -> None:
    bench = CountingBench(TESTED)
    assert bench.outcome(SEND, {}) == "rule_denied", "no test yet"
    run(bench, LOOKUP)
    assert bench.outcome(SEND, {}) == "ALLOW"
    run(bench, PURGE)
    assert bench.outcome(SEND, {}) == "rule_denied", "edited after the test"
    run(bench, LOOKUP)
    assert bench.outcome(SEND, {}) == "ALLOW"


def test_a_start_counts_as_soon_as_it_is_allowed_and_not_if_it_is_denied() -> None:
    bench = CountingBench(
        TESTED + "  - {id: C-3, effect: deny, match: {tools: [data.purge]}, when: args.no == true, reason: no}\n"
    )
    run(bench, LOOKUP)
    bench.judge(PURGE, {"no": True})
    assert bench.outcome(SEND, {}) == "ALLOW"
    bench.propose(PURGE, {"no": False})
    bench.verdicts()
    assert bench.outcome(SEND, {}) == "rule_denied", "the edit may be under way"


def test_a_report_that_comes_after_the_start_does_not_count_for_a_call_that_was_allowed_before_it() -> None:
    bench = CountingBench(TESTED)
    early = bench.propose(LOOKUP, {})
    run(bench, PURGE)
    bench.report(early)
    bench.verdicts()
    assert bench.outcome(SEND, {}) == "rule_denied", "the test ran on what was there before the edit"
    late = bench.propose(LOOKUP, {})
    bench.report(late)
    bench.verdicts()
    assert bench.outcome(SEND, {}) == "ALLOW"


def test_a_key_starts_again_by_itself() -> None:
    bench = CountingBench(SAME_FILE)

    def outcome(tool: ToolCatalogEntry, path: str) -> str:
        intent = bench.propose(tool, {"path": path})
        verdict = bench.verdicts()[-1]
        bench.report(intent)
        return "ALLOW" if verdict.outcome.value == "ALLOW" else verdict.reason

    assert outcome(PURGE, "a") == "rule_denied"
    assert [outcome(LOOKUP, "a"), outcome(LOOKUP, "b")] == ["ALLOW", "ALLOW"]
    assert [outcome(PURGE, "a"), outcome(PURGE, "a"), outcome(PURGE, "b")] == ["ALLOW", "rule_denied", "ALLOW"]
    assert [outcome(LOOKUP, "a"), outcome(PURGE, "a")] == ["ALLOW", "ALLOW"]


def test_a_start_of_one_key_does_not_drop_what_is_under_way_for_another() -> None:
    bench = CountingBench(SAME_FILE)
    bench.report(bench.propose(LOOKUP, {"path": "a"}))
    under_way = bench.propose(LOOKUP, {"path": "b"}), bench.propose(LOOKUP, {"path": "a"})
    assert bench.outcome(PURGE, {"path": "a"}) == "ALLOW"
    for intent in under_way:
        bench.report(intent)
    bench.verdicts()
    assert bench.outcome(PURGE, {"path": "b"}) == "ALLOW"
    assert bench.outcome(PURGE, {"path": "a"}) == "rule_denied", "it was read before the change"


def test_the_call_before_is_known_by_what_it_was_about() -> None:
    bench = CountingBench(PREVIOUS)
    a, b = {"account": "a"}, {"account": "b"}
    assert bench.outcome(REFUND, a) == "rule_denied"
    assert [bench.outcome(LOOKUP, a), bench.outcome(REFUND, a)] == ["ALLOW", "ALLOW"]
    assert bench.outcome(REFUND, a) == "rule_denied", "the call before was a refund"
    assert [bench.outcome(LOOKUP, a), bench.outcome(REFUND, b)] == ["ALLOW", "rule_denied"]
    assert bench.outcome(REFUND, a) == "ALLOW", "a denied call is not a call before"
    assert [bench.outcome(LOOKUP, a), bench.outcome(SEND, b), bench.outcome(REFUND, a)] == [
        "ALLOW",
        "ALLOW",
        "rule_denied",
    ]


def test_the_memory_of_the_call_before_does_not_grow() -> None:
    bench = CountingBench(PREVIOUS)
    for number in range(30):
        assert bench.outcome(LOOKUP, {"account": f"a-{number}"}) == "ALLOW"
    assert len(bench.rows(RowKind.MEMORY_CELL.prefix)) == 1
    held = [bench.history(REFUND, {"args": {"account": f"a-{number}"}})["just_looked_up"] for number in range(30)]
    assert held == [False] * 29 + [True]


def test_a_start_that_can_not_be_told_denies_its_call() -> None:
    rules = SAME_FILE.replace('when: "!history.read"', 'when: "false"')
    bench = CountingBench(rules)
    verdict = bench.judge(PURGE, {})
    assert (verdict.outcome.value, verdict.reason) == ("DENY", "rule_error")
    assert "memory `read` can't be started again for this call" in verdict.reason_text


def test_a_start_on_a_judged_call_that_can_not_be_told_makes_the_memory_unclear() -> None:
    rules = TESTED.replace(
        "since: {tools: [data.purge]}", "since: {tools: [data.purge], on: judged, when: args.real == true}"
    )
    bench = CountingBench(rules)
    run(bench, LOOKUP)
    assert bench.outcome(SEND, {}) == "ALLOW"
    assert bench.outcome(PURGE, {}) == "ALLOW"
    assert bench.outcome(SEND, {}) == "rule_error", "nobody knows whether it has started again"
    assert bench.outcome(PURGE, {"real": True}) == "ALLOW"
    assert bench.outcome(SEND, {}) == "rule_denied"


def test_a_start_without_room_for_its_key_lets_no_call_count_that_began_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "KEYS_MAX", 2)
    within = SAME_FILE.replace("key: args.path,\n", "key: args.path, within: 32m,\n").replace(
        '"!history.read"', '"!history.read && args.no == true"'
    )
    bench = CountingBench(within)
    early = bench.propose(LOOKUP, {"path": "c"})
    for path in ("a", "b"):
        bench.report(bench.propose(LOOKUP, {"path": path}))
    assert bench.outcome(PURGE, {"path": "c", "no": False}) == "ALLOW", "there is no room to remember this start"
    bench.verdicts()
    bench.wait(70 * MINUTE_MS)
    bench.report(early)
    assert bench.history(PURGE, {"args": {"path": "c"}})["read"] is False


@pytest.mark.parametrize(
    ("since", "fault"),
    [
        ("{keep: any, on: ran, since: {on: ran}}", "`since` needs the key `tools`"),
        ("{keep: any, on: ran, since: {tools: ['*'], on: denied}}", "`on` of `since` must be one of allowed, judged"),
        (
            "{keep: any, on: ran, since: {tools: ['*'], key: args.a}}",
            "`since` has a `key`, but the memory keeps no value",
        ),
        ("{keep: any, on: ran, reset: {tools: ['*']}, since: {tools: ['*']}}", "either `reset` or `since`"),
        ("{keep: any, on: ran, since: {tools: ['*'], when: args.a + 1}}", "expected a value of type bool"),
        ("{keep: any, on: ran, since: {tools: ['*'], when: history.m}}", "can't read `history`"),
        ("{keep: any, on: ran, key: args.a, since: {tools: ['*'], key: label.integrity}}", "can't read `label`"),
    ],
)
def test_a_wrong_since_is_an_error_of_the_check(since: str, fault: str) -> None:
    source = bundle_from_files(bundle_files(f"history:\n  m: {since}\n{PERMIT}"))
    assert any(fault in str(finding) for finding in check_bundle(source).findings), since


def test_a_call_that_the_since_does_not_match_changes_nothing() -> None:
    bench = CountingBench(TESTED)
    run(bench, LOOKUP, REFUND)
    assert bench.outcome(SEND, {}) == "ALLOW"
