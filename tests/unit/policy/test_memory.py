"""Memories and budgets of a bundle: what is accepted, what is refused and where, and how rules are tested with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streams.policy import BundleError, bundle_from_files, check_bundle, compile_bundle, run_case_files
from streams.policy.language.bundle import MeasureKind
from streams.policy.language.tool_types import ToolTypes
from streams.policy.results import Effect, Reason
from streams.policy.runtime.memory_values import MemoryUpdateError, digest_of
from tests.unit.policy.rulefiles import tool

BUNDLE = 'apiVersion: rules/v1\nbundle: default\nversion: "1"\n'
RULE = '  - {id: R-1, effect: permit, match: {tools: [pay.refund]}, when: "true", reason: fine}\n'
TYPES = {
    "pay/refund": ToolTypes.from_json_schema(
        {
            "type": "object",
            "properties": {"amount": {"type": "integer"}, "account": {"type": "string"}, "fast": {"type": "boolean"}},
            "required": ["amount", "account"],
        }
    )
}


def files(kept: str, rules: str = RULE) -> dict[str, str]:
    return {"bundle.yaml": BUNDLE, "pay/pay.rules.yaml": f"apiVersion: rules/v1\npack: pay\n{kept}rules:\n{rules}"}


def refusal(kept: str, rules: str = RULE, types: dict[str, ToolTypes] | None = None) -> list[str]:
    with pytest.raises(BundleError) as caught:
        compile_bundle(bundle_from_files(files(kept, rules)), types)
    return [str(finding) for finding in caught.value.findings]


MEMORIES = [
    ("{on: allowed}", "4:6: error: memory `m` needs the key `keep`"),
    ("{keep: counts, on: allowed}", "4:13: error: `keep` must be one of any, count, sum, last, found `counts`"),
    ("{keep: count, on: permitted}", "4:24: error: `on` must be one of judged, allowed, denied, ran, failed"),
    ("{keep: sum, on: allowed}", "needs the key `of`: an expression such as `args.amount`"),
    ("{keep: count, on: allowed, of: args.amount}", "`of` is allowed only with `keep: sum`, found `keep: count`"),
    ("{keep: any, on: ran, group: finance}", "`group` is allowed only with `on: approved`"),
    ("{keep: any, on: ran, within: 32d}", "`within` must be a duration up to 31d"),
    ("{keep: any, on: ran, every: 1h}", "memory `m` has no key `every`"),
    ("{keep: any, on: ran, match: {tools: [refund]}}", "`refund` must be `SERVER.TOOL` or `*`"),
    ("{keep: any, on: ran, reset: {on: ran}}", "`reset` needs the key `tools`"),
    ("{keep: any, on: ran, reset: {tools: ['*'], on: denied}}", "`on` of a reset must be one of ran, allowed"),
    ("{keep: any, on: ran, when: args.amount}", "expected a value of type bool, found dyn"),
    ("{keep: any, on: ran, when: agrs.amount > 3}", "4:33: error: unknown name `agrs.amount`"),
    ("{keep: any, on: ran, when: history.m}", "a memory or a budget can't read `history`"),
    ("{keep: any, on: ran, key: label.integrity}", "`key` and `of` can't read `label`"),
    ("{keep: any, on: ran, key: session.tainted}", "expected a value of type dyn or int or string, found bool"),
    ("{keep: sum, on: ran, of: session.id}", "expected a value of type dyn or int, found string"),
    ("{keep: any, on: ran, when: 'label.color == \"red\"'}", "unknown field `color`, expected a field of Label"),
    ("{keep: any, on: ran, when: macros.nothing}", "unknown macro `nothing`"),
]


@pytest.mark.parametrize(("memory", "expected"), MEMORIES)
def test_a_bad_memory_is_refused_with_its_place(memory: str, expected: str) -> None:
    found = refusal(f"history:\n  m: {memory}\n")
    assert any(expected in line and line.startswith("pay/pay.rules.yaml:4:") for line in found), found


SHARED = "per: user, window: 24h"
MEMORIES += [
    ("{keep: count, on: allowed, per: user}", "a memory per user needs the key `window`, such as `24h`"),
    ("{keep: count, on: allowed, per: users, window: 1h}", "`per` must be one of session, agent, user, tool, tenant"),
    (
        "{keep: count, on: allowed, window: 1h}",
        "4:33: error: `window` is allowed only for a memory that sessions share",
    ),
    ("{keep: count, on: allowed, per: session, fresh: 1s}", "`fresh` is allowed only for a memory that sessions share"),
    (f"{{keep: count, on: allowed, {SHARED}, within: 1h}}", "`within` is not allowed for a memory that sessions share"),
    (f"{{keep: count, on: allowed, {SHARED}, reset: {{tools: ['*']}}}}", "`reset` is not allowed for a memory that"),
    (f"{{keep: count, on: allowed, {SHARED}, since: {{tools: ['*']}}}}", "`since` is not allowed for a memory that"),
    (f"{{keep: last, on: allowed, {SHARED}}}", "a memory that sessions share can't have `keep: last`"),
    (f"{{keep: any, on: approved, {SHARED}}}", "a memory that sessions share can't have `on: approved`"),
    (f"{{keep: count, on: denied, {SHARED}, key: args.a}}", "`key` is not allowed with `on: denied` for a memory that"),
    (f"{{keep: count, on: judged, {SHARED}, when: session.tainted}}", "`when` is not allowed with `on: judged` for a"),
    (f"{{keep: count, on: allowed, {SHARED}, fresh: 50ms}}", "`fresh` must be at least 100 ms"),
    (f"{{keep: count, on: allowed, {SHARED}, fresh: 2h}}", "`fresh` must be a duration up to 1h"),
    (f"{{keep: count, on: allowed, {SHARED}, keys_max: 3}}", "`keys_max` is allowed only with `key`"),
    ("{keep: count, on: allowed, per: user, window: 500ms}", "`window` must be at least 1000 ms"),
]

BUDGETS = [
    ("{per: session, measure: calls}", "budget `b` needs the key `limit`"),
    ("{per: sessions, measure: calls, limit: 1}", "`per` must be one of session, agent, user, tool, tenant"),
    ("{per: user, measure: calls, limit: 1}", "a budget per user needs the key `window`, such as `24h`"),
    ("{per: session, measure: call, limit: 1}", "`measure` must be `calls`"),
    ("{per: session, measure: {sums: args.a}, limit: 1}", "`measure` has no key `sums` (did you mean `sum`?)"),
    (
        "{per: session, measure: {sum: args.a, distinct: args.b}, limit: 1}",
        "`measure` must have one of the keys `sum` and",
    ),
    ("{per: session, measure: [calls], limit: 1}", "`measure` must be `calls` or a mapping, found a list"),
    ("{per: session, measure: calls, limit: 0}", "`limit` must be an integer from 1 to"),
    ("{per: session, measure: calls, limit: 9007199254740992}", "`limit` must be an integer from 1 to"),
    ("{per: session, measure: {distinct: args.to}, limit: 1001}", "`limit` of distinct values must be at most 1000"),
    ("{per: user, measure: calls, limit: 1, window: 500ms}", "`window` must be at least 1000 ms"),
    ("{per: user, measure: {sum: session.tainted}, limit: 1, window: 1h}", "expected a value of type dyn or int"),
    ("{per: user, measure: {sum: history.x}, limit: 1, window: 1h}", "unknown field `x`, expected a field of History"),
    ("{per: session, measure: calls, limit: 1, key: args.a}", "4:47: error: a budget per session can't have a `key`"),
    ("{per: user, measure: calls, limit: 1, window: 1h, keys_max: 9}", "`keys_max` is allowed only with `key`"),
    (
        "{per: user, measure: calls, limit: 1, window: 1h, key: args.a, keys_max: 0}",
        "`keys_max` must be an integer from",
    ),
    (
        "{per: user, measure: calls, limit: 1, window: 1h, key: args.a, keys_max: 1000001}",
        "`keys_max` must be an integer from 1 to 1000000",
    ),
    ("{per: user, measure: calls, limit: 1, window: 1h, key: agrs.a}", "4:61: error: unknown name `agrs.a`"),
    ("{per: user, measure: calls, limit: 1, window: 1h, key: session.tainted}", "dyn or int or string, found bool"),
    ("{per: user, measure: calls, limit: 1, window: 1h, key: label.integrity}", "`key` and `of` can't read `label`"),
    ("{per: user, measure: calls, limit: 1, window: 1h, key: [args.a]}", "must be text, found a list"),
]


@pytest.mark.parametrize(("budget", "expected"), BUDGETS)
def test_a_bad_budget_is_refused_with_its_place(budget: str, expected: str) -> None:
    found = refusal(f"budgets:\n  b: {budget}\n")
    assert any(expected in line and line.startswith("pay/pay.rules.yaml:4:") for line in found), found


def test_the_key_of_a_budget_is_read_from_the_call() -> None:
    budget = (
        "budgets:\n  b: {per: tenant, measure: {sum: args.amount}, limit: 9, window: 1h,\n"
        "      match: {tools: [pay.refund]},\n"
        "      when: has(args.amount), key: 'args.account.lowerAscii()'}\n"
    )
    compiled = compile_bundle(bundle_from_files(files(budget)))
    (found,) = (each for pack in compiled.bundle.packs for each in pack.budgets)
    assert found.keys_max == 10_000
    call = {"tool": tool("pay", "refund"), "args": {"amount": 5, "account": "A-1"}}
    (charge,) = compiled.plan(call["tool"]).charges(call)
    assert (charge.amount, charge.key) == (5, digest_of("a-1"))
    for args in ({"amount": 5}, {"amount": 5, "account": [1]}, {"amount": 5, "account": 1}):
        judged = compiled.judge({**call, "args": args})
        assert (judged.effect, judged.reason) == (Effect.DENY, Reason.BUDGET_KEY_INVALID)
        assert "the key of budget `b` is not usable" in judged.reason_text
    assert compiled.judge({**call, "args": {"other": 5}}).effect is Effect.ALLOW


def test_a_shared_memory_has_a_value_and_an_age() -> None:
    kept = f"history: {{m: {{keep: count, on: allowed, {SHARED}}}}}\n"
    rules = RULE.replace('"true"', '"history.m < 3 && history.m_age_ms <= 1000"')
    compiled = compile_bundle(bundle_from_files(files(kept, rules)))
    (memory,) = (each for pack in compiled.bundle.packs for each in pack.memories)
    assert (memory.per, memory.window_ms, memory.fresh_ms, memory.keys_max) == ("user", 86_400_000, 1_000, None)
    plan = compiled.plan(tool("pay", "refund"))
    assert ([recall.memory.name for recall in plan.shared], plan.recalls) == (["m"], ())
    assert compiled.memories.empty_history() == {"m": 0, "m_age_ms": 0}
    (only,) = (
        compile_bundle(bundle_from_files(files(kept, rules.replace("history.m < 3 && ", ""))))
        .plan(tool("pay", "refund"))
        .shared
    )
    assert only.memory.name == "m", "a rule that reads only the age needs the memory"
    taken = kept.replace("history: {", "history: {m_age_ms: {keep: any, on: ran}, ")
    with pytest.raises(BundleError, match="memory `m_age_ms` is defined twice"):
        compile_bundle(bundle_from_files(files(kept.replace("}}\n", "}, m_age_ms: {keep: any, on: ran}}\n"), rules)))
    with pytest.raises(BundleError, match="defined twice"):
        compile_bundle(bundle_from_files(files(taken, rules)))
    with pytest.raises(BundleError, match="unknown field `n_age_ms`"):
        compile_bundle(bundle_from_files(files("history: {n: {keep: count, on: ran}}\n", rules.replace(".m", ".n"))))


def test_names_are_the_bundles_and_there_once() -> None:
    memory = "history:\n  m: {keep: any, on: ran}\n"
    two = files(memory) | {
        "other/a.rules.yaml": f"apiVersion: rules/v1\npack: other\n{memory}rules:\n{RULE.replace('R-1', 'R-2')}"
    }
    with pytest.raises(BundleError, match=r"memory `m` is defined twice, first at other/a\.rules\.yaml:4:3"):
        compile_bundle(bundle_from_files(two))
    for name in ("Big", "_x", "1a", "in"):
        assert any(
            "name must be lower-case" in line for line in refusal(f"history:\n  {name}: {{keep: any, on: ran}}\n")
        )


def test_rules_read_memories_by_type_and_are_told_the_nearest_name() -> None:
    kept = "history:\n  refunds: {keep: count, on: allowed}\n  seen: {keep: any, on: ran}\n"

    def rule(when: str) -> str:
        return RULE.replace('"true"', when)

    assert "did you mean `refunds`?" in refusal(kept, rule("history.refund > 1"))[0]
    assert "must be a bool, found a value of type int" in refusal(kept, rule("history.refunds"))[0]
    assert "declare it under `history:`" in refusal("", rule("history.refunds > 1"))[0]
    fine = compile_bundle(bundle_from_files(files(kept, rule("history.seen && history.refunds < 2"))))
    assert [field.name for field in fine.history.fields] == ["refunds", "seen"]


def test_expressions_are_checked_against_the_tools_that_are_named() -> None:
    kept = "history:\n  m: {keep: sum, on: ran, match: {tools: [pay.refund]}, of: args.KEY}\n"
    assert compile_bundle(bundle_from_files(files(kept.replace("KEY", "amount"))), TYPES)
    assert "unknown field `amuont`" in refusal(kept.replace("KEY", "amuont"), types=TYPES)[0]
    assert "found string" in refusal(kept.replace("KEY", "account"), types=TYPES)[0]


def test_macros_and_lists_of_memories_count_as_used() -> None:
    kept = (
        "lists: {big: [acme, bank]}\nmacros: {big: args.account in lists.big}\n"
        "budgets: {b: {per: session, measure: calls, limit: 3, when: macros.big}}\n"
    )
    codes = {finding.code for finding in check_bundle(bundle_from_files(files(kept))).findings}
    assert not codes & {"unused_macro", "unused_list"}


def test_doubtful_memories_are_advised_against() -> None:
    kept = "history:\n  seen: {keep: any, on: ran}\n  last: {keep: last, on: ran}\n"
    rules = RULE.replace('"true"', "history.last > 3")
    codes = {finding.code: str(finding) for finding in check_bundle(bundle_from_files(files(kept, rules))).findings}
    assert "memory `seen`" in codes["unused_memory"]
    assert "`history.last` can be missing" in codes["unguarded"]


def test_tools_that_nothing_is_kept_of_have_an_empty_plan() -> None:
    ruleset = compile_bundle(
        bundle_from_files(files("history:\n  m: {keep: any, on: ran, match: {tools: [pay.refund]}}\n"))
    )
    assert ruleset.plan(tool("pay", "refund")).has_updates
    other = ruleset.plan(tool("mail", "send"))
    assert (other.has_updates, other.has_effects, other.recalls) == (False, False, ())


def test_numbers_of_json_are_whole_whatever_they_are_written_as() -> None:
    kept = (
        "budgets:\n  b: {per: session, measure: {sum: args.amount}, limit: 3}\n"
        "  d: {per: session, measure: {distinct: args.amount}, limit: 3}\n"
    )
    plan = compile_bundle(bundle_from_files(files(kept))).plan(tool("pay", "refund"))
    ones = [plan.charges({"args": {"amount": amount}}) for amount in (1, 1.0)]
    assert ones[0] == ones[1]
    assert {charge.budget.measure for charge in ones[0]} == {MeasureKind.SUM, MeasureKind.DISTINCT}
    for amount in (1.5, True, None, {"a": 1}, float("inf")):
        with pytest.raises(MemoryUpdateError):
            plan.charges({"args": {"amount": amount}})


FACTS = {
    "intent": {"id": "i", "turn": 1, "age_ms": 1, "claimed_sources": []},
    "args": {"amount": 5, "account": "a"},
    "agent": {"id": "agent"},
    "model": {},
    "user": {"id": "alice", "scopes": []},
    "tenant": "acme",
    "session": {
        "id": "s", "age_ms": 1, "attended": False, "intents": 0, "allowed": 0, "denied": 0, "spent": 0, "calls": {},
        "tainted": False, "confidentiality": "public", "risk": 0, "fingerprint_changed": False, "changed": [],
    },
    "delegation": {
        "depth": 0, "root_issuer": "i",
        "hops": [{"uid": "g", "issuer": "i", "sub": "alice", "actor": "agent", "depth": 0, "scopes": [],
                  "expires_in_ms": 1}],
    },
    "tool": {
        "id": "pay.refund", "server_id": "pay", "name": "refund", "version": "1", "read_only": False,
        "destructive": True, "idempotent": False, "open_world": True, "reversible": False, "irreversible": True,
        "external": True, "definition_digest": "0" * 64, "sink_args": [],
    },
    "catalog": {"reviewed_digests": ["0" * 64]},
    "provenance": [],
    "approval": {"granted": False, "granted_by": {}},
    "deferral": {"waited_ms": 0},
    "now": {"ms": 0, "hour": 0, "minute": 0, "weekday": 4},
}  # fmt: skip
KEPT = (
    "history:\n  refunds: {keep: count, on: allowed, match: {tools: [pay.refund]}, key: args.account}\n"
    "  last: {keep: last, on: ran}\n"
)
COUNTING = (
    '  - {id: R-1, effect: permit, match: {tools: [pay.refund]}, when: "true", reason: fine}\n'
    "  - {id: R-2, effect: deny, match: {tools: [pay.refund]}, when: history.refunds >= 2, reason: third}\n"
    '  - {id: R-3, effect: deny, match: {tools: ["*"]}, when: has(history.last) && history.last < 9, reason: x}\n'
)
CASES = """
tests: pay.rules.yaml
base: ../fixture.json
cases:
  - {name: first, expect: {verdict: allow, rules: [R-1]}}
  - {name: third, set: {history.refunds: 2}, expect: {verdict: deny, rules: [R-1, R-2]}}
  - {name: soon, set: {history.last: 3}, expect: {verdict: deny, rules: [R-1, R-3]}}
  - {name: late, set: {history.last: 9}, expect: {verdict: allow, rules: [R-1]}}
  - {name: long ago, set: {history.last: 99}, expect: {verdict: allow, rules: [R-1]}}
  - {name: unknown, unset: [history.refunds], expect: {verdict: deny, rules: [R-1], errors: [R-2], reason: rule_error}}
  - {name: no history, unset: [history], expect: {verdict: deny, rules: [R-1], errors: [R-2, R-3]}}
  - {name: cannot be kept, unset: [args.account], expect: {verdict: deny, reason: rule_error, rules: [R-1]}}
"""


def lay_out(root: Path, cases: str) -> Path:
    for name, text in files(KEPT, COUNTING).items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    (root / "fixture.json").write_text(json.dumps(FACTS))
    (root / "pay/pay.tests.yaml").write_text(cases)
    return root


def test_cases_say_what_is_remembered(tmp_path: Path) -> None:
    report = run_case_files(lay_out(tmp_path, CASES))
    assert [(result.case.name, result.problems) for result in report.failures] == []
    assert [str(finding) for finding in report.findings] == []


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("history.refund", "2", "`history.refund` is not a field of History"),
        ("history.refunds", "many", "`history.refunds` must be int, found str"),
    ],
)
def test_cases_that_misremember_are_told(tmp_path: Path, path: str, value: str, expected: str) -> None:
    report = run_case_files(lay_out(tmp_path, CASES.replace("history.refunds: 2", f"{path}: {value}")))
    assert any(expected in str(finding) for finding in report.findings)
