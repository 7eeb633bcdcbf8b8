"""Tests of rules: case files, fixtures, coverage and mutation."""

import json
from pathlib import Path
from typing import Any

import pytest

from streams.policy import BundleError, run_case_files
from streams.policy.authoring.mutate import mutate_cases
from streams.policy.language.paths import PathError, split_path, with_changes
from streams.policy.runtime.evaluate import ConditionResults, Conditions
from tests.unit.policy.rulefiles import HEAD, PACK, PERMIT, rule

FIXTURE = json.loads((Path(__file__).parents[3] / "rules" / "fixtures" / "lookup.json").read_text())
RULES = rule(id="P-1", effect="permit", when="session.risk < 3") + rule(id="D-1", when="session.tainted")
CASES = """
tests: p.rules.yaml
base: ../fixtures/base.json
cases:
  - {name: plain, expect: {verdict: allow, rules: [P-1]}}
  - {name: risky, set: {session.risk: 3}, expect: {verdict: deny, reason: no_permit, rules: []}}
  - {name: nearly, set: {session.risk: 2}, expect: {verdict: allow, rules: [P-1]}}
  - {name: tainted, set: {session.tainted: true}, expect: {verdict: deny, rules: [P-1, D-1]}}
  - {name: blank, unset: [session.risk, session.tainted], expect: {verdict: deny, rules: [], errors: [P-1, D-1]}}
"""


def lay(root: Path, cases: str = CASES, rules: str = RULES, fixture: Any = FIXTURE) -> Path:
    for name in ("p", "fixtures"):
        (root / name).mkdir(exist_ok=True)
    (root / "bundle.yaml").write_text(HEAD)
    (root / "p" / "p.rules.yaml").write_text(PACK + rules)
    (root / "p" / "p.tests.yaml").write_text(cases)
    (root / "fixtures" / "base.json").write_text(fixture if isinstance(fixture, str) else json.dumps(fixture))
    return root


def one(case: str, tests: str = "p.rules.yaml", base: str = "../fixtures/base.json") -> str:
    return f"tests: {tests}\nbase: {base}\ncases:\n  - {case}\n"


def test_cases_pass_and_cover(tmp_path: Path) -> None:
    report = run_case_files(lay(tmp_path))
    assert [(failed.case.name, failed.problems) for failed in report.failures] == []
    assert report.findings == ()
    assert report.passed
    assert [result.case.name for result in report.results] == ["plain", "risky", "nearly", "tainted", "blank"]


@pytest.mark.parametrize(
    ("expect", "problem"),
    [
        ("{verdict: deny}", "verdict is allow (because), expected deny"),
        ("{verdict: allow, rules: []}", "matched rules are P-1, expected none"),
        ("{verdict: allow, rules: [P-1, D-1]}", "matched rules are P-1, expected D-1, P-1"),
        ("{verdict: allow, errors: [D-1]}", "rules in error are none, expected D-1"),
        ("{verdict: allow, reason: no_permit}", "reason is permitted, expected no_permit"),
    ],
)
def test_a_wrong_expectation_fails(tmp_path: Path, expect: str, problem: str) -> None:
    report = run_case_files(lay(tmp_path, one(f"{{name: x, expect: {expect}}}")))
    assert not report.passed
    assert [failed.problems for failed in report.failures] == [(problem,)]
    assert str(report.failures[0].case.location) == "p/p.tests.yaml:4:5"


def test_an_unexpected_error_fails_and_says_why(tmp_path: Path) -> None:
    report = run_case_files(lay(tmp_path, one("{name: x, unset: [session.tainted], expect: {verdict: deny}}")))
    (problem,) = report.failures[0].problems
    assert problem == "rules in error are D-1, expected none; D-1: no such key: tainted"


def test_each_rule_needs_three_kinds_of_cases(tmp_path: Path) -> None:
    report = run_case_files(lay(tmp_path, one("{name: x, expect: {verdict: allow}}")))
    assert not report.passed
    assert report.failures == ()
    assert sorted((finding.rule_id, finding.message) for finding in report.findings) == [
        ("D-1", "no case in which a field that the rule reads is missing"),
        ("D-1", "no case in which the rule matches"),
        ("P-1", "no case in which a field that the rule reads is missing"),
        ("P-1", "no case in which the rule does not match"),
    ]


WANTING = [
    ("args.x > 1", "{}", True),
    ("has(args.a) && args.x.y > 1", "{args.a: 1, args.x: {}}", True),
    ('\'"x" in args && args.x > 1 || args["y"] > 1\'', "{}", True),
    ("args.id > 1", "{}", False),
    ("has(args.x) || args.id > 1", "{}", False),
    ("has(args.a) || shell(args.id).writes.all(w, true)", "{args.id: 'a > \"$x\"'}", False),
]


@pytest.mark.parametrize(("when", "changes", "counts"), WANTING)
def test_a_field_that_a_fixture_lacks_is_missed_where_that_is_an_error(
    tmp_path: Path, when: str, changes: str, counts: bool
) -> None:
    case = one(f"{{name: x, set: {changes}, expect: {{verdict: deny, errors: [D-1]}}}}")
    report = run_case_files(lay(tmp_path, case.replace("set: {}, ", ""), rule(id="D-1", when=when)))
    assert report.failures == ()
    assert [each.missing for each in report.rules] == [int(counts)]
    found = [finding for finding in report.findings if "a field that the rule reads" in finding.message]
    assert [finding.hint for finding in found] == ([] if counts else [
        "`unset` such a field in a case (`set` it there first if the fixture lacks it), "
        "or add a case without it that expects `errors: [D-1]`"
    ])  # fmt: skip


def test_an_error_that_a_case_does_not_expect_shows_nothing(tmp_path: Path) -> None:
    report = run_case_files(lay(tmp_path, one("{name: x, expect: {verdict: deny}}"), rule(id="D-1", when="args.x > 1")))
    assert [each.missing for each in report.rules] == [0]


def test_what_a_fixture_lacks_is_set_before_it_is_removed(tmp_path: Path) -> None:
    case = "{name: x, unset: [args.x], expect: {verdict: deny, errors: [D-1]}}"
    rules = rule(id="D-1", when="args.x > 1")
    (finding,) = (f for f in run_case_files(lay(tmp_path, one(case), rules)).findings if f.code == "bad_path")
    assert (
        finding.message
        == "`args.x` can't be unset: it does not exist; `set` it in the case first, or remove its `unset`"
    )
    report = run_case_files(lay(tmp_path, one(case.replace("unset", "set: {args.x: 1}, unset")), rules))
    assert [each.missing for each in report.rules] == [1]


COMPOUND = rule(id="D-1", when='"session.tainted && (session.risk > 2 || agent.id == lists.a[0]) && has(args.x)"')


def test_each_part_of_a_condition_needs_to_be_true_and_false(tmp_path: Path) -> None:
    cases = """
tests: p.rules.yaml
base: ../fixtures/base.json
cases:
  - {name: fires, set: {session.tainted: true, session.risk: 3, args.x: 1}, expect: {verdict: deny, rules: [D-1]}}
  - {name: clean, expect: {verdict: deny, rules: []}}
  - {name: blank, unset: [session.risk], expect: {verdict: deny, rules: []}}
"""
    root = lay(tmp_path, cases, COMPOUND)
    (root / "p" / "p.rules.yaml").write_text(PACK.replace("rules:", "lists: {a: [x]}\nrules:") + COMPOUND)
    report = run_case_files(root)
    assert report.passed
    (finding,) = report.findings
    assert (finding.code, finding.severity.value, finding.rule_id) == ("uncovered_condition", "warning", "D-1")
    assert finding.message == "no case in which `agent.id == lists.p.a[0]` is true"
    assert str(finding.location) == "p/p.rules.yaml:8:52"
    (counts,) = report.rules
    assert (counts.fires, counts.silent, counts.missing) == (1, 2, 1)
    assert (counts.tests, counts.seen) == (4, 7)


def test_a_rule_that_reads_nothing_need_only_fire(tmp_path: Path) -> None:
    assert run_case_files(lay(tmp_path, one("{name: x, expect: {verdict: allow}}"), PERMIT)).passed


def test_a_case_that_names_a_rule_which_is_off_says_so(tmp_path: Path) -> None:
    """The rule is there, and no other one is meant."""
    rules = rule(id="P-1", effect="permit", when="session.risk < 3") + rule(id="D-1", when="true", mode='"off"')
    report = run_case_files(lay(tmp_path, one("{name: x, expect: {verdict: allow, rules: [P-1, D-1]}}"), rules))
    (found,) = [each for each in report.findings if each.code in ("rule_off", "unknown_rule")]
    assert found.message == "rule `D-1` is off, so it matches no call"


@pytest.mark.parametrize(
    ("cases", "code"),
    [
        ("[]", "wrong_kind"),
        ("a: b\n", "unknown_key"),
        ("tests: p.rules.yaml\n", "missing_key"),
        (one("{name: x}"), "missing_key"),
        (one("{expect: {verdict: allow}}"), "missing_key"),
        (one("{name: x, expect: {}}"), "missing_key"),
        (one("{name: x, expect: {verdict: yes}}"), "wrong_value"),
        (one("{name: x, expect: {verdict: allow, reason: because}}"), "wrong_value"),
        (one("{name: x, expect: {verdict: allow, rules: P-1}}"), "wrong_kind"),
        (one("{name: x, expect: {verdict: allow, rules: [P-2]}}"), "unknown_rule"),
        (one("{name: x, expect: {verdict: allow, errors: [[P-1]]}}"), "unknown_rule"),
        (one("{name: x, set: {session.rsk: 1}, expect: {verdict: allow}}"), "bad_facts"),
        (one("{name: x, set: {session.risk: high}, expect: {verdict: allow}}"), "bad_facts"),
        (one("{name: x, set: {nothing: 1}, expect: {verdict: allow}}"), "bad_facts"),
        (one("{name: x, set: {a.b.c: 1}, expect: {verdict: allow}}"), "bad_path"),
        (one("{name: x, set: {tenant.x: 1}, expect: {verdict: allow}}"), "bad_path"),
        (one("{name: x, unset: [session.rsk], expect: {verdict: allow}}"), "bad_path"),
        (one("{name: x, unset: [provenance.7], expect: {verdict: allow}}"), "bad_path"),
        (one("{name: x, unset: [a..b], expect: {verdict: allow}}"), "bad_path"),
        (one("{name: x, expect: {verdict: allow}}\n  - {name: x, expect: {verdict: allow}}"), "duplicate_case"),
        (one("{name: x, expect: {verdict: allow}}", tests="q.rules.yaml"), "missing_file"),
        (one("{name: x, expect: {verdict: allow}}", base="../fixtures/other.json"), "bad_fixture"),
        (one("{name: x, expect: {verdict: allow}}", base="../../../../etc/hostname"), "outside"),
        ("tests: p.rules.yaml\ncases: [{name: x, expect: {verdict: allow}}]\n", "missing_key"),
        ("a: &x b\n", "anchor"),
    ],
)
def test_a_wrong_case_file_is_an_error(tmp_path: Path, cases: str, code: str) -> None:
    report = run_case_files(lay(tmp_path, cases))
    assert not report.passed
    assert code in {finding.code for finding in report.findings}
    assert all(finding.location.path == "p/p.tests.yaml" for finding in report.findings if finding.code == code)


@pytest.mark.parametrize(
    "fixture", ["not json", "[]", {}, FIXTURE | {"agent": {}}, FIXTURE | {"extra": 1}, "[" * 100_000]
)
def test_a_wrong_fixture_is_an_error(tmp_path: Path, fixture: Any) -> None:
    report = run_case_files(lay(tmp_path, fixture=fixture))
    assert {finding.code for finding in report.findings} >= {"bad_fixture"}


def test_a_fixture_that_can_not_be_read_is_told_once(tmp_path: Path) -> None:
    root = lay(tmp_path)
    fixture = root / "fixtures" / "base.json"
    fixture.unlink()
    fixture.mkdir()
    assert [str(finding) for finding in run_case_files(root).findings] == [
        f"p/p.tests.yaml:3:1: error: fixture `{fixture.resolve()}` is not a regular file [bad_fixture]"
    ]


def test_a_case_file_of_no_pack_is_an_error(tmp_path: Path) -> None:
    root = lay(tmp_path)
    (root / "q").mkdir()
    (root / "q" / "q.tests.yaml").write_text(CASES)
    assert "missing_pack" in {finding.code for finding in run_case_files(root).findings}


def test_a_broken_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        run_case_files(lay(tmp_path, rules=rule(when="nothing")))


@pytest.mark.parametrize(
    "wrong",
    [
        ConditionResults([], []),
        ConditionResults([0, 1], []),
        ConditionResults([], [(0, "no such key"), (1, "no such key")]),
    ],
)
def test_a_rule_of_which_the_evaluators_say_different_things_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: ConditionResults
) -> None:
    root = lay(tmp_path)
    assert run_case_files(root).passed
    monkeypatch.setattr(Conditions, "true_of", lambda _self, _facts: None)
    monkeypatch.setattr(Conditions, "run", lambda _self, _facts: wrong)
    report = run_case_files(root)
    found = [finding for finding in report.findings if finding.code == "evaluators_differ"]
    assert found
    assert report.is_complete
    assert "generated code disagrees with the exact evaluator" in found[0].message


class TestMutation:
    def test_good_cases_notice_every_change(self, tmp_path: Path) -> None:
        report = mutate_cases(lay(tmp_path))
        assert (report.tried, report.survivors) == (2, ())
        assert report.passed

    def test_a_missing_boundary_is_named(self, tmp_path: Path) -> None:
        cases = CASES.replace("session.risk: 3", "session.risk: 4").replace("session.risk: 2", "session.risk: 1")
        report = mutate_cases(lay(tmp_path, cases))
        assert [(mutant.before, mutant.after) for mutant in report.survivors] == [
            ("session.risk < 3", "session.risk <= 3"),
            ("session.risk < 3", "session.risk < 4"),
        ]
        assert str(report.survivors[0].location) == "p/p.rules.yaml:7:24"

    def test_changes_reach_into_folds(self, tmp_path: Path) -> None:
        rules = rule(id="P-1", effect="permit", when="'!provenance.exists(p, p.trust == agent.id)'")
        report = mutate_cases(lay(tmp_path, one("{name: x, expect: {verdict: allow, rules: [P-1]}}"), rules))
        assert report.tried == 2
        assert report.survivors == ()

    def test_wrong_case_files_are_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(BundleError):
            mutate_cases(lay(tmp_path, one("{name: x}")))


class TestPaths:
    def test_changes_leave_the_original_alone(self) -> None:
        facts = {"a": {"b": [1, {"c": 2}]}, "d": 3}
        changed = with_changes(facts, {"a.b.1.c": 5, "a.b.0": 7, "e": {"f": 1}}, ["d"])
        assert changed == {"a": {"b": [7, {"c": 5}]}, "e": {"f": 1}}
        assert facts == {"a": {"b": [1, {"c": 2}]}, "d": 3}

    def test_a_slash_allows_dots_in_names(self) -> None:
        assert split_path("/session/calls/mail.send") == ("session", "calls", "mail.send")
        assert with_changes({"calls": {"a.b": 1}}, {}, ["/calls/a.b"]) == {"calls": {}}

    @pytest.mark.parametrize("path", ["", ".", "a.", ".a", "/", "a..b", ".".join("a" * 13)])
    def test_paths_have_a_form(self, path: str) -> None:
        with pytest.raises(PathError):
            split_path(path)


IMPOSSIBLE = [
    ("session.confidentiality: secret", "`session.confidentiality` must be one of public, private, user_identity"),
    ("session.denied: -1", "`session.denied` is -1, and never negative"),
    ("session.age_ms: -1", "`session.age_ms` is -1, and never negative"),
    ("session.risk: 5", "`session.risk` is 5, but it is always from 0 to 4"),
    ("session.risk: -1", "`session.risk` is -1, but it is always from 0 to 4"),
    ("session.intents: 9", "`session.intents` is 9, but 3 allowed and 0 denied ones make 3"),
    ("session.calls: {a.b: 0}", "`session.calls` has a tool with less than one call"),
    ("session.calls: {a.b: 5}, session.allowed: 4", "`session.calls` has 5 calls, but only 4 were allowed"),
    ("session.spent: 1, session.allowed: 0, session.calls: {}", "`session.spent` is not 0, but no call was allowed"),
    ("session.tainted: false, provenance: [{source: e, trust: untrusted}]", "`session.tainted` is false, but"),
    ("session.changed: [model]", "`session.changed` names `model`, but `session.model` is missing"),
    ("session.fingerprint_changed: true", "`session.fingerprint_changed` is true exactly if `session.changed`"),
    ("session.system_prompt_digest: approved", "`session.system_prompt_digest` must be a SHA-256 digest in hex"),
    ("tool.external: true, tool.open_world: false", "`tool.external` is always the same as `tool.open_world`"),
    ("tool.reversible: true, tool.irreversible: true", "`tool.irreversible` is always the opposite of"),
    ("tool.id: a.b, tool.name: c", "`tool.id` is `a.b`, but the server and the name make `crm.c`"),
    ('tool.version: "1.2"', "`tool.version` is `1.2`, but it is always the number of the catalog entry"),
    ("catalog.reviewed_digests: []", "`catalog.reviewed_digests` lacks `tool.definition_digest`"),
    ("approval.granted: true", "`approval.granted` is true exactly if `approval.granted_by` names a group"),
    ("approval.granted_by: {g: 0}", "`approval.granted_by` has a group with less than one approval"),
    ("delegation.depth: 1", "the `depth` of `delegation` and of its hops must count the hops from 0"),
    ("delegation.hops: []", "`delegation.hops` is empty"),
    ("delegation.root_issuer: x", "`delegation.root_issuer` is always the issuer of the first hop"),
    ("delegation.hops.0.sub: bob", "the `sub` of every hop is always `user.id`"),
    ("delegation.hops.0.actor: bob", "the `actor` of the last hop is always `agent.id`"),
    ("delegation.hops.0.scopes: []", "`user.scopes` has `crm:read`, which the last hop of `delegation` doesn't convey"),
    ("model: {name: small}", "`model` has both `provider` and `name`, or nothing"),
    ("now: {ms: 0, hour: 3, minute: 0, weekday: 4}", "`now.hour` is 3, but at `now.ms` it is 0"),
    ("deferral.waited_ms: -5", "`deferral.waited_ms` is -5, and never negative"),
    ("signals: [{name: drift, score: 0.9}]", "`signals` is not a fact"),
    ("session.purpose: {in_scope: false}", "`session.purpose` is not a field of Session"),
]


@pytest.mark.parametrize(("change", "why"), IMPOSSIBLE, ids=[change for change, _ in IMPOSSIBLE])
def test_facts_that_no_gate_makes_are_errors_with_a_place(tmp_path: Path, change: str, why: str) -> None:
    report = run_case_files(lay(tmp_path, one("{name: x, set: {" + change + "}, expect: {verdict: allow}}")))
    assert not report.passed
    found = [finding for finding in report.findings if finding.code in ("bad_facts", "impossible_facts")]
    assert [str(finding.location) for finding in found] == ["p/p.tests.yaml:4:5"]
    assert why in found[0].message


def test_a_fixture_that_no_gate_makes_is_an_error(tmp_path: Path) -> None:
    fixture = FIXTURE | {"approval": {"granted": True, "granted_by": {}}}
    (finding,) = run_case_files(lay(tmp_path, fixture=fixture)).findings
    assert (finding.code, str(finding.location)) == ("bad_fixture", "p/p.tests.yaml:3:1")
    assert "no gate makes these facts: `approval.granted`" in finding.message


@pytest.mark.parametrize(
    ("expect", "is_error"),
    [
        ("{verdict: allow, rules: [P-1]}", True),
        ("{verdict: deny, rules: [D-1]}", True),
        ("{verdict: deny}", True),
        ("{verdict: deny, rules: []}", False),
        ("{verdict: deny, errors: [D-1]}", False),
    ],
)
def test_a_case_without_a_fact_that_is_always_there_must_fail_closed(
    tmp_path: Path, expect: str, is_error: bool
) -> None:
    report = run_case_files(lay(tmp_path, one("{name: x, unset: [session.tainted], expect: " + expect + "}")))
    found = [str(finding.location) for finding in report.findings if finding.code == "impossible_facts"]
    assert found == (["p/p.tests.yaml:4:15"] if is_error else [])


@pytest.mark.parametrize(
    ("change", "condition"),
    [
        ("tool.open_world: true", "tool.external"),
        ("tool.irreversible: true", "!tool.reversible"),
        ("tool.id: pay.refund", "tool.server_id == 'pay' && tool.name == 'refund'"),
        ("tool.name: purge", "tool.id == 'crm.purge'"),
        (f"tool.definition_digest: {'c' * 64}", "tool.definition_digest in catalog.reviewed_digests"),
        ("session.calls: {crm.purge: 40}", "session.allowed == 40 && session.intents == 40"),
        ("session.denied: 7", "session.intents == 10"),
        ("session.changed: [toolset], session.toolset_digest: '" + "d" * 64 + "'", "session.fingerprint_changed"),
        ("provenance: [{source: e, trust: untrusted}]", "session.tainted"),
        ("approval.granted_by: {leads: 1}", "approval.granted"),
        ("user.id: bob, agent.id: bot", "delegation.hops.all(h, h.sub == 'bob' && h.actor == 'bot')"),
        ("user.scopes: ['x:y']", "'x:y' in delegation.hops[0].scopes"),
        ("now.hour: 22, now.weekday: 6", "timestamp(now.ms / 1000).getHours('UTC') == 22 && now.minute == 0"),
        ("now.ms: 0", "now.weekday == 4 && now.hour == 0"),
    ],
)
def test_facts_follow_those_that_they_depend_on(tmp_path: Path, change: str, condition: str) -> None:
    rules = rule(id="P-1", effect="permit", when=f'"{condition}"')
    case = one("{name: x, set: {" + change + "}, expect: {verdict: allow}}")
    report = run_case_files(lay(tmp_path, case, rules))
    assert [result.problems for result in report.results] == [()]
    assert {finding.code for finding in report.findings} <= {"uncovered_rule", "uncovered_condition"}
