"""Entities of a bundle: what is accepted, what is refused and where, and how rules are tested with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streams.policy import BundleError, Effect, bundle_from_files, check_bundle, compile_bundle, run_case_files
from streams.policy.language.bundle import BundleSource
from streams.policy.runtime.portable import compile_portable, load_ruleset
from tests.unit.policy.test_memory import RULE, TYPES, files, refusal

FIXTURE = Path(__file__).parents[3] / "rules" / "fixtures" / "refund.json"
CUSTOMER = "entities:\n  customer: {key: args.account, fields: {tier: string, limit: int, regions: list(string)}}\n"
RULES = """\
  - {id: R-1, effect: permit, match: {tools: [pay.refund]}, when: "true", reason: fine}
  - {id: R-2, effect: deny, match: {tools: [pay.refund]}, reason: not theirs,
     when: '!entities.customer.known || entities.customer.tier != "gold" || args.amount > entities.customer.limit'}
"""


def source(kept: str = CUSTOMER, rules: str = RULES) -> BundleSource:
    return bundle_from_files(files(kept, rules))


ENTITIES = [
    ("{fields: {a: string}}", "entity `c` needs the key `key`"),
    ("{key: args.a}", "entity `c` needs the key `fields`"),
    ("{key: args.a, fields: [a]}", "`fields` must be a mapping"),
    (
        "{key: args.a, fields: {a: text}}",
        "the type of field `a` of entity `c` must be one of string, int, bool, list(string)",
    ),
    ("{key: args.a, fields: {a: [string]}}", "the type of field `a` of entity `c` must be one of"),
    ("{key: args.a, fields: {age_ms: int}}", "field `age_ms` of entity `c` has a name that every entity has"),
    ("{key: args.a, fields: {A: int}}", "field `A` of entity `c` must be lower-case letters"),
    ("{key: args.a, kind: Customer, fields: {a: int}}", "`kind` must be a name of lower-case letters"),
    ("{key: args.a, fields: {a: int}, owner: x}", "entity `c` has no key `owner`"),
    ("{key: agrs.a, fields: {a: int}}", "unknown name `agrs.a`"),
    ("{key: session.tainted, fields: {a: int}}", "expected a value of type dyn or int or string, found bool"),
    ("{key: entities.c.a, fields: {a: string}}", "the key of an entity can't read `entities`"),
    ("{key: history.m, fields: {a: string}}", "the key of an entity can't read `history`"),
    ("{key: args.amont, match: {tools: [pay.refund]}, fields: {a: int}}", "unknown field `amont`"),
]


@pytest.mark.parametrize(("entity", "expected"), ENTITIES)
def test_a_bad_entity_is_refused_with_its_place(entity: str, expected: str) -> None:
    kept = f"entities:\n  c: {entity}\nhistory:\n  m: {{keep: count, on: ran}}\n"
    found = refusal(kept, types=TYPES)
    assert any(expected in line and line.startswith("pay/pay.rules.yaml:4:") for line in found), found


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("entities.customer.teir == 'gold'", "unknown field `teir`, expected a field of Entity_customer"),
        ("entities.costumer.tier == 'gold'", "unknown field `costumer`, expected a field of Entities"),
        ("entities.customer.tier > 3", "can't be applied to (string, int)"),
        ("entities.customer.regions == 'eu'", "can't be applied to (list(string), string)"),
        ("customer.tier == 'gold'", "unknown name `customer.tier`"),
    ],
)
def test_a_condition_is_checked_against_the_declared_fields(condition: str, expected: str) -> None:
    rules = f'  - {{id: R-1, effect: permit, match: {{tools: [pay.refund]}}, when: "{condition}", reason: fine}}\n'
    found = refusal(CUSTOMER, rules)
    assert any(expected in line for line in found), found


def test_an_entity_that_is_not_declared_has_a_hint() -> None:
    with pytest.raises(BundleError) as caught:
        compile_bundle(source("", RULES))
    assert any(finding.hint == "declare it under `entities:`" for finding in caught.value.findings)


def test_names_are_those_of_the_whole_bundle_and_unread_entities_are_reported() -> None:
    other = f"apiVersion: rules/v1\npack: other\n{CUSTOMER}rules:\n{RULE.replace('R-1', 'O-1')}"
    with pytest.raises(BundleError, match=r"entity `customer` is defined twice, first at other/other.rules.yaml:4:3"):
        compile_bundle(bundle_from_files({**files(CUSTOMER), "other/other.rules.yaml": other}))
    codes = [finding.code for finding in check_bundle(source(rules=RULE)).findings]
    assert "unused_entity" in codes
    codes = [finding.code for finding in check_bundle(source()).findings]
    assert "unused_entity" not in codes


def facts(**entity: Any) -> dict[str, Any]:
    base = json.loads(FIXTURE.read_text())
    base["args"]["account"] = "a-1"
    return {**base, "entities": {"customer": {"known": True, "age_ms": 5, **entity}}}


@pytest.mark.parametrize("is_portable", [False, True])
def test_rules_judge_by_the_entity_and_so_does_a_ruleset_that_was_compiled_elsewhere(is_portable: bool) -> None:
    ruleset = load_ruleset(compile_portable(source())) if is_portable else compile_bundle(source())
    amount = facts()["args"]["amount"]
    assert ruleset.judge(facts(tier="gold", limit=amount)).effect is Effect.ALLOW
    assert ruleset.judge(facts(tier="gold", limit=amount - 1)).effect is Effect.DENY
    assert ruleset.judge(facts(tier="basic", limit=amount)).effect is Effect.DENY
    assert [error.rule_id for error in ruleset.judge(facts(tier="gold")).errors] == ["R-2"]
    (lookup,) = ruleset.plan(facts()["tool"]).lookups
    assert (lookup.name, lookup.kind, lookup.id_of(facts())) == ("customer", "customer", "a-1")


def test_a_memory_with_since_comes_through_the_compiling_process() -> None:
    kept = "history:\n  m: {keep: any, on: ran, key: args.account, since: {tools: [a.b], key: args.account}}\n"
    rules = RULE.replace('"true"', "history.m")
    portable = load_ruleset(compile_portable(source(kept, rules)))
    assert portable.bundle.packs[0].memories[0].since is not None
    assert portable.plan({**facts()["tool"], "id": "a.b", "server_id": "a", "name": "b"}).has_updates


def test_only_the_entities_that_a_tools_rules_read_are_looked_up() -> None:
    kept = (
        "entities:\n  customer: {key: args.account, fields: {tier: string}}\n"
        "  order: {key: args.order, match: {tools: ['pay.*']}, fields: {owner: string}}\n"
    )
    rules = (
        "  - {id: R-1, effect: permit, match: {tools: [pay.refund]}, when: 'has(entities.order.owner)', reason: r}\n"
        "  - {id: R-2, effect: permit, match: {tools: [a.b]}, when: 'entities.customer.tier == \"x\"', reason: r}\n"
        "  - {id: R-3, effect: permit, match: {tools: [a.c]}, when: 'has(entities.order.owner)', reason: r}\n"
        "  - {id: R-4, effect: permit, match: {tools: [a.d]}, when: 'true', reason: r}\n"
    )
    ruleset = compile_bundle(source(kept, rules))

    def looked_up(server: str, name: str) -> list[str]:
        described = {**facts()["tool"], "id": f"{server}.{name}", "server_id": server, "name": name}
        return [lookup.name for lookup in ruleset.plan(described).lookups]

    assert looked_up("pay", "refund") == ["order"]
    assert looked_up("a", "b") == ["customer"]
    assert looked_up("a", "c") == [], "`order` is not for this tool: the rule is in error"
    assert looked_up("a", "d") == []


def test_cases_set_what_is_known_and_nothing_is_known_otherwise(tmp_path: Path) -> None:
    (tmp_path / "fixtures").mkdir()
    (tmp_path / "pay").mkdir()
    (tmp_path / "fixtures" / "refund.json").write_text(FIXTURE.read_text())
    for name, text in files(CUSTOMER.replace("args.account", "args.id"), RULES).items():
        (tmp_path / name).write_text(text)
    cases = """\
tests: pay.rules.yaml
base: ../fixtures/refund.json
cases:
  - {name: gold, set: {entities.customer: {known: true, age_ms: 1, tier: gold, limit: 10000000}},
     expect: {verdict: allow, rules: [R-1]}}
  - {name: unknown, expect: {verdict: deny, rules: [R-1, R-2]}}
  - {name: no tier, set: {entities.customer: {known: true, age_ms: 1, limit: 10000000}},
     expect: {verdict: deny, errors: [R-2]}}
"""
    (tmp_path / "pay" / "pay.tests.yaml").write_text(cases)
    report = run_case_files(tmp_path)
    assert [str(finding) for finding in report.findings if finding.severity.value == "error"] == []
    assert [case.passed for case in report.results] == [True, True, True]
    (tmp_path / "pay" / "pay.tests.yaml").write_text(cases.replace("tier: gold", "tier: 3"))
    found = [str(finding) for finding in run_case_files(tmp_path).findings]
    assert any("`entities.customer.tier` must be string, found int" in line for line in found), found


def test_the_solver_knows_the_fields() -> None:
    pytest.importorskip("z3")
    rules = RULE + (
        "  - {id: R-2, effect: deny, match: {tools: [pay.refund]}, reason: never,"
        " when: 'entities.customer.known && !entities.customer.known'}\n"
    )
    found = check_bundle(source(rules=rules), prove=True).findings
    assert any(finding.rule_id == "R-2" and "never" in finding.message for finding in found), [*map(str, found)]
