"""The scenarios of the starter packs: they pass, test every memory and budget, and fail where a limit is another."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import pytest

from streams.operations.scenarios.run import ScenarioReport, run_scenarios
from streams.wiring.codecs import build_offline_codec

RULES = Path(__file__).parents[3] / "rules"


@cache
def shipped() -> ScenarioReport:
    return run_scenarios(RULES, build_offline_codec())


def test_every_scenario_of_the_starter_bundle_passes() -> None:
    report = shipped()
    assert [(failed.scenario.name, failed.problems) for failed in report.failures] == []
    assert report.passed
    assert {result.scenario.pack for result in report.results} >= {
        "baseline", "email", "owasp_agentic", "payments", "secrets"
    }  # fmt: skip


def test_every_memory_and_budget_of_the_starter_bundle_is_tested() -> None:
    report = shipped()
    assert [str(finding) for finding in report.findings] == []
    assert report.memories_count >= 1
    assert len(report.memories_read) == report.memories_count
    assert len(report.budgets_exhausted) == report.budgets_count


@pytest.mark.parametrize(
    ("pack", "before", "after"),
    [
        ("owasp_agentic", "rule_denials >= 25", "rule_denials >= 26"),
        ("owasp_agentic", "within: 1h", "within: 2h"),
        ("owasp_agentic", "on: denied", "on: judged"),
        ("owasp_agentic", "session.calls[tool.id] >= 100", "session.calls[tool.id] >= 101"),
        ("owasp_agentic", "session.age_ms > 43200000", "session.age_ms > 46200000"),
        ("payments", "quorum: 2", "quorum: 3"),
        ("payments", "defer: 60s", "defer: 61s"),
        ("payments", "ttl: 15m", "ttl: 16m"),
        ("secrets", "session.calls[tool.id] >= 5", "session.calls[tool.id] >= 4"),
    ],
)
def test_a_change_of_a_limit_fails(pack: str, before: str, after: str, tmp_path: Path) -> None:
    root = tmp_path / "rules"
    shutil.copytree(RULES, root)
    path = root / pack / f"{pack}.rules.yaml"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    assert {failed.scenario.pack for failed in run_scenarios(root, build_offline_codec()).failures} == {pack}
