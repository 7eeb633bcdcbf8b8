"""Policies of public collections in the language of stoplog: their scenarios pass, and leave no rule untried."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from streams.operations.scenarios.run import ScenarioReport, run_scenarios
from streams.policy import Severity, check_bundle, load_bundle
from streams.policy.authoring.rule_outcome import ExactRule, RuleOutcome
from streams.policy.language.compile import list_constants
from streams.policy.runtime.ruleset import compile_bundle
from streams.wiring.codecs import build_offline_codec

FOLDER = Path(__file__).parent / "ports"
PORTS = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
COLLECTIONS = {"dogwood", "invariant", "agt", "cerbos", "opa"}
PARTS = ("**Source.**", "**Here.**", "**Not said.**")


@cache
def run(name: str) -> ScenarioReport:
    return run_scenarios(FOLDER / name, build_offline_codec())


def test_there_are_fifteen_of_five_collections() -> None:
    assert len(PORTS) >= 15
    assert {name.partition("_")[0] for name in PORTS} == COLLECTIONS


def test_the_page_says_of_each_what_is_not_said() -> None:
    sections = re.split(r"^## ", (FOLDER / "README.md").read_text(), flags=re.MULTILINE)[1:]
    assert sorted(section.splitlines()[0] for section in sections) == PORTS
    for section in sections:
        assert [part for part in PARTS if f"- {part} " in section] == list(PARTS), section.splitlines()[0]


@pytest.mark.parametrize("name", PORTS)
def test_it_is_accepted_and_its_scenarios_pass(name: str) -> None:
    findings = check_bundle(load_bundle(FOLDER / name)).findings
    assert [str(finding) for finding in findings if finding.severity is Severity.ERROR] == []
    report = run(name)
    # A warning would be a memory or a budget that no scenario tests.
    assert [str(finding) for finding in report.findings] == []
    assert [(failed.scenario.name, failed.problems) for failed in report.failures] == []
    assert report.steps_count >= 5


@pytest.mark.parametrize("name", PORTS)
def test_every_rule_fires_in_one_scenario_and_not_in_another(name: str) -> None:
    ruleset = compile_bundle(load_bundle(FOLDER / name))
    constants = list_constants(ruleset.bundle)
    for checked in ruleset.rules:
        rule = ExactRule(checked, constants)
        seen = {rule.outcome(each.facts)[0] for each in run(name).observations}
        assert RuleOutcome.TRUE in seen, checked.rule.id
        always = checked.rule.when.text == "true"
        assert always or RuleOutcome.FALSE in seen, checked.rule.id
