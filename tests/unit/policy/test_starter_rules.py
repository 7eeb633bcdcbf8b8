"""The starter bundle is accepted without a finding, and its own cases pass and cover every rule."""

from pathlib import Path

from streams.policy import check_bundle, load_bundle, run_case_files
from streams.policy.authoring.mutate import mutate_cases

RULES = Path(__file__).parents[3] / "rules"


def test_starter_bundle_has_no_findings() -> None:
    assert [str(finding) for finding in check_bundle(load_bundle(RULES)).findings] == []


def test_every_case_of_the_starter_bundle_passes() -> None:
    report = run_case_files(RULES)
    assert [(str(failed.case.location), failed.problems) for failed in report.failures] == []
    assert [str(finding) for finding in report.findings] == []
    assert report.passed
    assert len(report.results) > 90


def test_no_slip_of_the_pen_would_go_unnoticed() -> None:
    report = mutate_cases(RULES)
    assert report.tried > 100
    assert report.survivors == ()
