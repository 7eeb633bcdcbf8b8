"""The shipped rules on behaviour are in shadow, each is covered by cases, and they fit beside the starter packs."""

from __future__ import annotations

import shutil
from pathlib import Path

from streams.policy import compile_bundle, load_bundle, run_case_files
from streams.policy.errors import Findings
from streams.policy.language.parse import parse_bundle
from streams.policy.results import Mode
from streams.wiring.shipped import rules_directory, shadow_rules_directory

PACK = "behaviour_stops"


def test_every_rule_has_a_case_that_fires_and_one_that_does_not() -> None:
    report = run_case_files(shadow_rules_directory())
    assert report.passed
    assert {rule for case in report.results for rule in case.case.expect.rules or ()} == {
        f"BEH-{number:03}" for number in range(1, 7)
    }


def test_each_rule_is_in_shadow_in_whichever_bundle_it_stands(tmp_path: Path) -> None:
    """The pack is copied into the starter bundle, as its page says."""
    mine = tmp_path / "rules"
    shutil.copytree(rules_directory(), mine)
    shutil.copytree(shadow_rules_directory() / PACK, mine / PACK)
    shutil.copy(shadow_rules_directory() / "fixtures/payment.json", mine / "fixtures")
    bundle = mine / "bundle.yaml"
    bundle.write_text(bundle.read_text().replace("packs: [", f"packs: [{PACK}, "))
    findings = Findings()
    parsed = parse_bundle(load_bundle(mine), findings)
    assert parsed is not None
    assert not findings.has_errors
    rules = [rule for pack in parsed.packs if pack.name == PACK for rule in pack.rules]
    assert len(rules) == 6
    assert {rule.mode for rule in rules} == {Mode.SHADOW}
    assert "signal" in compile_bundle(load_bundle(mine)).reads


def test_the_starter_bundle_costs_no_gate_what_signals_cost() -> None:
    assert "signal" not in compile_bundle(load_bundle(rules_directory())).reads
