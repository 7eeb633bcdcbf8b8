"""What `check_bundle` advises."""

import pytest
from rulefiles import HEAD, PERMIT, rule, source

from streams.policy import Severity, ToolTypes, check_bundle

TOOLS = {"pay/refund": ToolTypes.from_json_schema({}), "mail/send": ToolTypes.from_json_schema({})}


def codes(rules: str, before: str = "", head: str = HEAD) -> list[tuple[str, str | None]]:
    report = check_bundle(source(rules, before=before, head=head), TOOLS)
    assert report.ok is not any(finding.severity is Severity.ERROR for finding in report.findings)
    return [(finding.code, finding.rule_id) for finding in report.findings]


def test_a_sound_bundle_has_no_findings() -> None:
    assert codes(rule(when="session.tainted && agent.id.matches('^a')")) == []


@pytest.mark.parametrize(
    ("when", "code"),
    [
        ("agent.id.matches('(')", "bad_regex"),
        ("agent.id.matches('(?=a)')", "bad_regex"),
        ("duration('5 minutes') > duration('1s')", "bad_duration"),
        ("duration('5') > duration('1s')", "bad_duration"),
        ("ip('1.2.3') == ip(agent.id)", "bad_address"),
        ("cidr('10.0.0.0/99').containsIP(agent.id)", "bad_address"),
        ("cidr('10.0.0.0/8').containsIP('10.0.0')", "bad_address"),
        ("cidr('10.0.0.0/8').containsCIDR('10.0.0.0/x')", "bad_address"),
        ("session.purpose.in_scope", "unguarded"),
        ("agent.version == '1'", "unguarded"),
        ("provenance.exists(p, p.trust != 'trusted')", "maybe_empty"),
        ("true", "constant"),
    ],
)
def test_doubtful_conditions(when: str, code: str) -> None:
    assert codes(rule(when='"' + when + '"')) == [(code, "R-1")]


@pytest.mark.parametrize(
    "when",
    [
        "agent.id.matches('^[a-z]+$')",
        "duration('1h30m') > duration('90s')",
        "ip('::1') == ip(agent.id) && cidr('10.0.0.0/8').containsIP('10.0.0.1')",
        "has(session.purpose) && session.purpose.in_scope",
        "size(provenance) == 0 || provenance.exists(p, p.trust != 'trusted')",
        "provenance.all(p, p.trust == 'trusted')",
    ],
)
def test_sound_conditions(when: str) -> None:
    assert codes(rule(when='"' + when + '"')) == []


def test_an_open_list_is_no_matter_to_a_permit() -> None:
    assert codes(rule(effect="permit", when='"provenance.exists(p, p.trust == agent.id)"')) == []


def test_unused_names() -> None:
    before = "lists: {a: [x], b: [y]}\nmacros: {m: session.tainted, n: macros.m}\n"
    assert codes(rule(when="agent.id in lists.a"), before) == [
        ("unused_list", None),
        ("unused_macro", None),
        ("unused_macro", None),
    ]
    assert codes(rule(when="macros.n && agent.id in lists.a", explain="{b: lists.b}"), before) == []
    assert codes(PERMIT, head=HEAD + "lists: {a: [x]}\n")[0] == ("unused_list", None)


def test_a_pattern_that_matches_no_tool() -> None:
    assert codes(rule(match="{tools: [pay.refund, pay.refnd]}")) == [("no_tool", "R-1")]
    assert codes(rule(match='{tools: ["mail.*"], servers: [pay]}')) == [("no_tool", "R-1")]
    assert check_bundle(source(rule(match="{tools: [nowhere.else]}"))).findings == ()


def test_two_rules_on_one_condition() -> None:
    first = rule(id="A-1", effect="permit")
    assert codes(first + rule(id="B-1", effect="deny")) == [("contradiction", "B-1")]
    assert codes(first + rule(id="B-1", effect="permit", when='"session.tainted "')) == [("duplicate", "B-1")]
    assert codes(first + rule(id="B-1", effect="deny", match="{tools: [pay.refund]}")) == []


def test_errors_are_reported_without_advice() -> None:
    report = check_bundle(source(rule(when="session.foo"), before="lists: {a: [x]}\n"))
    assert [finding.code for finding in report.findings] == ["unknown_field"]
    assert not report.ok


def test_advice_names_its_place() -> None:
    (finding,) = check_bundle(source(rule(when="\"session.tainted && agent.id.matches('(')\""))).findings
    assert str(finding.location) == "p/p.rules.yaml:7:48"
    assert str(finding).startswith("p/p.rules.yaml:7:48: warning: rule `R-1`: `(` is not a regular expression")
