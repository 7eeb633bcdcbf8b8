"""What `rules test --mutate` says of a change is what comes of the cases when the rule is really changed."""

from __future__ import annotations

import json
import random  # noqa: TID251 - chance with a seed
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from streams.policy import CompiledRuleset, MutationReport, ToolTypes, compile_bundle, load_bundle, run_case_files
from streams.policy.authoring.mutate import mutate_cases
from streams.policy.language.paths import with_changes
from tests.unit.policy.rulefiles import HEAD, rule

FIXTURE = json.loads((Path(__file__).parents[3] / "rules" / "fixtures" / "lookup.json").read_text())
Change = tuple[str, str, str]
"""Of a rule: a part of its condition, and what it became."""

PERMITS = "session.risk < 3"
BOT = "!session.attended"
TENANT = "session.tainted || (session.risk == 2)"
SCOPED = '"crm:write" in user.scopes'
SIZED = "has(args.x) && (args.x > 1)"
NEVER = "session.denied > 900"
LESS = "(args.x - 1) == 1"
OTHER = "args.x == 2"

PACKS = {
    "p": "budgets: {b: {per: session, measure: {sum: args.amount}, limit: 9, match: {tools: [crm.*]}}}\nrules:\n"
    + rule(id="P-1", effect="permit", when=PERMITS)
    + rule(id="P-2", effect="permit", when=f'"{BOT}"', match='{tools: ["*"], agents: [bot*]}')
    + rule(id="D-1", when=TENANT, match='{tools: ["*"], agents: [bot], tenants: ["acme-*"]}')
    + rule(id="S-1", when=f"'{SCOPED}'", mode="shadow", match="{tools: [crm.*], tenants: [acme]}"),
    "q": "rules:\n"
    + rule(id="Q-1", effect="quarantine", when=SIZED, match='{tools: ["*"], tenants: ["acme-*"]}')
    + rule(
        id="A-1",
        effect="require_approval",
        when=LESS,
        approval="{group: g}",
        match="{tools: [crm.lookup], agents: [bot]}",
    )
    + rule(id="W-1", effect="defer", when=OTHER, defer="5s", match='{tools: ["*"], agents: [helper]}')
    + rule(id="N-1", when=NEVER, match="{tools: [crm.other]}"),
}
CHANGES: tuple[Change, ...] = (
    ("P-1", PERMITS, "session.risk <= 3"),
    ("P-1", PERMITS, "session.risk < 4"),
    ("P-2", BOT, "session.attended"),
    ("D-1", TENANT, "session.tainted && (session.risk == 2)"),
    ("D-1", "session.risk == 2", "session.risk != 2"),
    ("S-1", SCOPED, f"!({SCOPED})"),
    ("Q-1", SIZED, "has(args.x) || (args.x > 1)"),
    ("Q-1", "args.x > 1", "args.x >= 1"),
    ("Q-1", "args.x > 1", "args.x > 2"),
    ("A-1", LESS, "(args.x - 1) != 1"),
    ("W-1", OTHER, "args.x != 2"),
    ("N-1", NEVER, "session.denied >= 900"),
    ("N-1", NEVER, "session.denied > 901"),
)
CONDITIONS = {
    "P-1": PERMITS,
    "P-2": BOT,
    "D-1": TENANT,
    "S-1": SCOPED,
    "Q-1": SIZED,
    "A-1": LESS,
    "W-1": OTHER,
    "N-1": NEVER,
}

CASES = 100
CHOICES: dict[str, tuple[Any, ...]] = {
    "agent.id": ("bot", "helper"),
    "tenant": ("acme", "acme-x"),
    "session.risk": (2, 3),
    "session.tainted": (False, True),
    "session.attended": (False, True),
    "args.x": (None, 1, 2, 2.0, "many"),
    "args.amount": (1,),
    "approval": ({"granted": False, "granted_by": {}}, {"granted": True, "granted_by": {"g": 1}}),
}
GONE = ("args.amount", "agent.id", "session.risk", "tool.server_id", "user.scopes")
TYPED = {
    "crm/lookup": ToolTypes.from_json_schema(
        {"type": "object", "properties": {"x": {"type": "integer"}, "amount": {"type": "integer"}}}
    )
}


def lay(root: Path, packs: Mapping[str, str], cases: Mapping[str, Iterable[dict[str, Any]]]) -> Path:
    root.mkdir(exist_ok=True)
    (root / "bundle.yaml").write_text(HEAD)
    (root / "base.json").write_text(json.dumps(FIXTURE))
    for pack, text in packs.items():
        (root / pack).mkdir(exist_ok=True)
        (root / pack / f"{pack}.rules.yaml").write_text(f"apiVersion: rules/v1\npack: {pack}\n{text}")
        tests = root / pack / f"{pack}.tests.yaml"
        tests.unlink(missing_ok=True)
        if own := list(cases.get(pack, ())):
            tests.write_text(json.dumps({"tests": f"{pack}.rules.yaml", "base": "../base.json", "cases": own}))
    return root


def changed(rule_id: str, before: str, after: str) -> dict[str, str]:
    """The packs with one condition really written otherwise."""
    when = CONDITIONS[rule_id]
    found = {}
    for pack, text in PACKS.items():
        head, mark, tail = text.partition(f"id: {rule_id}\n")
        found[pack] = head + mark + (tail.replace(when, when.replace(before, after), 1) if mark else "")
    assert found != PACKS
    return found


def expecting(ruleset: CompiledRuleset, pack: str, form: int, name: str, case: dict[str, Any]) -> dict[str, Any]:
    """A case that passes: it expects what comes of it, all or a part of what can be said of that."""
    result = ruleset.judge(with_changes(FIXTURE, case["set"], case.get("unset", ())))
    own = {each.rule.id for each in ruleset.rules if each.rule.pack == pack}
    expect: dict[str, Any] = {"verdict": result.effect.lower()}
    if failed := [failure.rule_id for failure in result.errors if failure.rule_id in own]:
        expect["errors"] = failed
    if form in (1, 3):
        expect["reason"] = result.reason.value
    if form in (2, 3):
        expect["rules"] = [match.rule_id for match in result.rules if match.rule_id in own]
    return {"name": name, **case, "expect": expect}


def some_cases(ruleset: CompiledRuleset) -> list[tuple[str, dict[str, Any]]]:
    """Cases of either pack: each caller, whatever makes a difference to a rule, and fields that are not there."""
    chance = random.Random(7)  # noqa: S311 - chance with a seed
    found = []
    for number in range(CASES):
        changes = {path: chance.choice(values) for path, values in CHOICES.items()}
        case: dict[str, Any] = {"set": {path: value for path, value in changes.items() if value is not None}}
        if chance.random() < 0.4:
            case["unset"] = [chance.choice(GONE)]
        pack, form, name = chance.choice(("p", "q")), chance.randrange(4), f"case {number}"
        made = expecting(ruleset, pack, form, name, case)
        if case.get("unset", ["args.amount"]) != ["args.amount"] and not made["expect"].get("errors"):
            # Every gate supplies the field, so a case without it must show that a rule fails closed.
            made = expecting(ruleset, pack, form, name, {"set": case["set"]})
        found.append((pack, made))
    return found


def unnoticed(report: MutationReport) -> set[Change]:
    return {(mutant.rule_id, mutant.before, mutant.after) for mutant in report.survivors}


@pytest.mark.parametrize("tools", [None, TYPED])
def test_a_change_is_noticed_by_the_cases_that_fail_with_it(
    tmp_path: Path, tools: Mapping[str, ToolTypes] | None
) -> None:
    cases = some_cases(compile_bundle(load_bundle(lay(tmp_path / "bare", PACKS, {})), tools))
    by_pack = {pack: [case for of, case in cases if of == pack] for pack in PACKS}
    whole = lay(tmp_path / "whole", PACKS, by_pack)
    report = run_case_files(whole, tools)
    assert {finding.code for finding in report.findings} <= {"uncovered_rule", "uncovered_condition"}
    assert (len(report.results), report.failures) == (len(cases), ())
    fails: dict[str, set[Change]] = {case["name"]: set() for _, case in cases}
    for change in CHANGES:
        for failed in run_case_files(lay(tmp_path / "changed", changed(*change), by_pack), tools).failures:
            fails[failed.case.name].add(change)

    for pack, case in cases:
        alone = mutate_cases(lay(tmp_path / "one", PACKS, {pack: [case]}), tools)
        assert alone.tried == len(CHANGES)
        assert unnoticed(alone) == set(CHANGES) - fails[case["name"]], case

    noticed = set[Change]().union(*fails.values())
    assert {rule_id for rule_id, _, _ in set(CHANGES) - noticed} == {"N-1"}
    assert unnoticed(mutate_cases(whole, tools)) == set(CHANGES) - noticed
