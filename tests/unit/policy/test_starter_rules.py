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


def test_attacks_on_the_starter_bundle_are_caught_and_innocent_calls_are_not() -> None:
    report = run_case_files(RULES).attacks
    assert {(r.technique.pack, r.technique.name) for r in report.techniques if not r.holds} == set()
    assert report.lost == 0
    packs = set(report.unclaimed or {})
    assert packs == {path.parent.name for path in RULES.glob("*/*.rules.yaml")}
    for pack in packs:
        innocent = sum(len(group.calls) for group in report.innocent if group.pack == pack)
        assert innocent >= 20, pack
        assert all((report.unclaimed or {})[pack]), pack
    assert min(len(result.technique.calls) for result in report.techniques) >= 10


def test_no_slip_of_the_pen_would_go_unnoticed() -> None:
    report = mutate_cases(RULES)
    assert report.tried > 100
    assert report.survivors == ()
