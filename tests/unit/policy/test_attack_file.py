"""Attack files: what counts as caught, what is reported, and which files are rejected."""

import json
from pathlib import Path

import pytest

from streams.policy import CaseReport, run_case_files
from tests.unit.policy.rulefiles import HEAD, PACK, PERMIT, rule

FIXTURE = json.loads((Path(__file__).parents[3] / "rules" / "fixtures" / "lookup.json").read_text())
RULES = PERMIT + rule(id="D-1", when="session.risk == 2") + rule(
    id="A-1", effect="require_approval", when="session.risk == 1", approval="{group: g}"
)  # fmt: skip
CASES = """
tests: p.rules.yaml
base: ../fixtures/base.json
cases:
  - {name: plain, expect: {verdict: allow}}
  - {name: risky, set: {session.risk: 2}, expect: {verdict: deny}}
  - {name: doubtful, set: {session.risk: 1}, expect: {verdict: require_approval}}
  - {name: blank, unset: [session.risk], expect: {verdict: deny, errors: [D-1, A-1]}}
"""
ATTACKS = """
attacks: p.rules.yaml
base: ../fixtures/base.json
techniques:
  - {technique: risk, idea: a book, vary: session.risk, values: [2, 2, 1]}
innocent:
  - {name: calm, expect: allow, calls: [{session.risk: 0}, {session.risk: 3, session.tainted: true}]}
unclaimed: [Everything else.]
"""


def lay(root: Path, attacks: str = ATTACKS, rules: str = RULES) -> Path:
    for name in ("p", "fixtures"):
        (root / name).mkdir(exist_ok=True)
    (root / "bundle.yaml").write_text(HEAD)
    (root / "p" / "p.rules.yaml").write_text(PACK + rules)
    (root / "p" / "p.tests.yaml").write_text(CASES)
    (root / "p" / "p.attacks.yaml").write_text(attacks)
    (root / "fixtures" / "base.json").write_text(json.dumps(FIXTURE))
    return root


def messages(report: CaseReport) -> list[tuple[str, int, str]]:
    return [(finding.code, finding.location.line, finding.message) for finding in report.findings]


def test_attacks_are_denied_or_need_approval(tmp_path: Path) -> None:
    report = run_case_files(lay(tmp_path))
    assert messages(report) == []
    assert report.passed
    (result,) = report.attacks.techniques
    assert (result.denied, result.asked, result.passed, result.caught_percent) == (2, 1, (), 100)
    assert (report.attacks.attacks, report.attacks.caught, report.attacks.innocent_calls) == (3, 3, 2)
    assert report.attacks.unclaimed == {"p": ("Everything else.",)}
    assert report.attacks.holds


@pytest.mark.parametrize(("passing", "holds"), [(1, True), (2, False)])
def test_one_in_twenty_may_pass(tmp_path: Path, passing: int, holds: bool) -> None:
    values = ["2"] * (20 - passing) + ["0"] * passing
    report = run_case_files(lay(tmp_path, ATTACKS.replace("[2, 2, 1]", f"[{', '.join(values)}]")))
    assert report.passed is report.attacks.holds is holds
    assert messages(report) == ([] if holds else [
        ("attacks_pass", 5, "technique `risk`: 2 of 20 attacks pass (90% caught, at least 95% required), in lines 5, 5")
    ])  # fmt: skip


def test_a_call_without_a_permit_is_not_caught(tmp_path: Path) -> None:
    rules = RULES.replace(PERMIT, rule(id="P-1", effect="permit", when="session.risk != 1"))
    rules = rules.replace("session.risk == 1", "session.risk == 7")
    report = run_case_files(lay(tmp_path, rules=rules))
    (result,) = report.attacks.techniques
    assert (result.denied, result.asked, len(result.passed)) == (2, 0, 1)


def test_a_rule_in_shadow_mode_catches_nothing(tmp_path: Path) -> None:
    report = run_case_files(lay(tmp_path, rules=RULES.replace("id: D-1", "id: D-1\n    mode: shadow")))
    (result,) = report.attacks.techniques
    assert (result.denied, result.asked, len(result.passed)) == (0, 1, 2)


def test_a_rule_in_error_catches(tmp_path: Path) -> None:
    attacks = ATTACKS.replace("vary: session.risk, values: [2, 2, 1]", "calls: [{session.risk: 0}]")
    report = run_case_files(lay(tmp_path, attacks, RULES + rule(id="D-2", when="args.nothing == 1")))
    (result,) = report.attacks.techniques
    assert (result.denied, result.passed) == (1, ())


def test_an_innocent_call_that_is_lost_is_an_error(tmp_path: Path) -> None:
    report = run_case_files(lay(tmp_path, ATTACKS.replace("session.risk: 3", "session.risk: 1")))
    assert messages(report) == [
        (
            "innocent_call",
            7,
            "innocent call of `calm` has the verdict require_approval, expected allow "
            "(matched rules: A-1, P-1; errors: none)",
        )
    ]
    assert not report.passed
    assert report.attacks.lost == 1


def test_denying_everything_is_no_way_to_pass(tmp_path: Path) -> None:
    report = run_case_files(lay(tmp_path, rules=RULES + rule(id="D-3", when="true")))
    assert [finding.code for finding in report.findings].count("innocent_call") == 2


@pytest.mark.parametrize(
    ("attacks", "code"),
    [
        ("[]", "wrong_kind"),
        (ATTACKS.replace("unclaimed: [Everything else.]", ""), "missing_key"),
        (ATTACKS.replace("innocent", "guilty"), "unknown_key"),
        (ATTACKS.replace("p.rules.yaml", "q.rules.yaml"), "missing_file"),
        (ATTACKS.replace("base.json", "other.json"), "bad_fixture"),
        (ATTACKS.replace("base: ../fixtures/base.json\n", ""), "missing_key"),
        (ATTACKS.replace("idea: a book, ", ""), "missing_key"),
        (ATTACKS.replace("values: [2, 2, 1]", "values: [high]"), "bad_facts"),
        (ATTACKS.replace("vary: session.risk", "vary: session..risk"), "bad_path"),
        (ATTACKS.replace("vary: session.risk, ", ""), "missing_key"),
        (ATTACKS.replace(", values: [2, 2, 1]", ""), "missing_key"),
        (ATTACKS.replace("expect: allow", "expect: maybe"), "wrong_value"),
        (ATTACKS.replace("{session.risk: 0}", "x"), "wrong_kind"),
        (ATTACKS.replace("name: calm", "name: risk"), "duplicate_case"),
    ],
)
def test_a_wrong_attack_file_is_an_error(tmp_path: Path, attacks: str, code: str) -> None:
    report = run_case_files(lay(tmp_path, attacks))
    assert not report.passed
    assert code in {finding.code for finding in report.findings}


def test_an_attack_file_of_no_pack_is_an_error(tmp_path: Path) -> None:
    root = lay(tmp_path)
    (root / "q").mkdir()
    (root / "q" / "q.attacks.yaml").write_text(ATTACKS)
    assert "missing_pack" in {finding.code for finding in run_case_files(root).findings}
