"""The starter bundle is accepted without a finding, and its own cases pass and cover every rule."""

import json
from pathlib import Path

import pytest

from streams.policy import CaseReport, check_bundle, compile_bundle, load_bundle, run_case_files
from streams.policy.authoring.mutate import mutate_cases
from streams.policy.language.check import structs_by_type_name
from streams.policy.language.compile import list_constants
from streams.policy.language.tool_types import UNTYPED
from streams.policy.runtime.codegen import generate
from streams.policy.runtime.partial_evaluation import known_tool_fields, specialize

RULES = Path(__file__).parents[3] / "rules"


def test_starter_bundle_has_no_findings() -> None:
    assert [str(finding) for finding in check_bundle(load_bundle(RULES)).findings] == []


@pytest.fixture(scope="module")
def report() -> CaseReport:
    """What all the cases have come to: to run them takes many seconds."""
    return run_case_files(RULES)


def test_every_case_of_the_starter_bundle_passes(report: CaseReport) -> None:
    assert [(str(failed.case.location), failed.problems) for failed in report.failures] == []
    assert [str(finding) for finding in report.findings] == []
    assert report.passed
    assert len(report.results) > 90


def test_attacks_on_the_starter_bundle_are_caught_and_innocent_calls_are_not(report: CaseReport) -> None:
    attacks = report.attacks
    assert {(r.technique.pack, r.technique.name) for r in attacks.techniques if not r.holds} == set()
    assert attacks.lost == 0
    packs = set(attacks.unclaimed or {})
    assert packs == {path.parent.name for path in RULES.glob("*/*.rules.yaml")}
    for pack in packs:
        innocent = sum(len(group.calls) for group in attacks.innocent if group.pack == pack)
        assert innocent >= 20, pack
        assert all((attacks.unclaimed or {})[pack]), pack
    assert min(len(result.technique.calls) for result in attacks.techniques) >= 10


# It tries thousands of mutants and waits for nothing: beside other tests on a slow machine, it takes many minutes.
@pytest.mark.timeout(1_800)
def test_no_slip_of_the_pen_would_go_unnoticed() -> None:
    report = mutate_cases(RULES)
    assert report.tried > 100
    assert report.survivors == ()


EXACT = {"MAIL-013"}
"""It looks at each value of each argument that it does not know: in loops within loops, which are not generated."""


@pytest.mark.parametrize("fixture", ["fetch", "file", "git", "lookup", "mail", "refund", "secret"])
def test_generated_code_decides_every_rule_for_tools_of_everyday_calls(fixture: str) -> None:
    # A rule that generated code leaves out costs several times as much, at every call of the tool.
    tool = json.loads((RULES / "fixtures" / f"{fixture}.json").read_text())["tool"]
    ruleset = compile_bundle(load_bundle(RULES))
    rules = ruleset.applicable(tool["server_id"], tool["name"], tool["version"])
    trees = [specialize(rule.checked.tree, known_tool_fields(tool)) for rule in rules]
    made = generate(trees, list_constants(ruleset.bundle), structs_by_type_name(UNTYPED.args, ruleset.history))
    assert {rules[index].rule.id for index in made.refused} <= EXACT
