"""What `check_bundle` advises."""

import pytest

from streams.policy import Severity, ToolTypes, check_bundle
from tests.unit.policy.rulefiles import HEAD, PERMIT, rule, source

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
        ("agent.id.matches('(a|' + 'b|' + 'c')", "bad_regex"),
        ("duration('5 minutes') > duration('1s')", "bad_duration"),
        ("duration('5') > duration('1s')", "bad_duration"),
        ("ip('1.2.3') == ip(agent.id)", "bad_address"),
        ("cidr('10.0.0.0/99').containsIP(agent.id)", "bad_address"),
        ("cidr('10.0.0.0/8').containsIP('10.0.0')", "bad_address"),
        ("cidr('10.0.0.0/8').containsCIDR('10.0.0.0/x')", "bad_address"),
        ("size(session.model) > 3", "unguarded"),
        ("agent.instance == '1'", "unguarded"),
        ("provenance.exists(p, p.trust != 'trusted')", "maybe_empty"),
        ("(true)", "constant"),
        ("session.confidentiality == 'privat'", "unknown_value"),
        ("'Trusted' != label.integrity", "unknown_value"),
        ("provenance.all(p, p.trust != 'trustd')", "unknown_value"),
        ("provenance.all(p, p.trust in ['trusted', 'system'])", "unknown_value"),
        ("'prompt' in session.changed", "unknown_value"),
    ],
)
def test_doubtful_conditions(when: str, code: str) -> None:
    assert codes(rule(when='"' + when + '"')) == [(code, "R-1")]


@pytest.mark.parametrize(
    "when",
    [
        "true",
        "agent.id.matches('^[a-z]+$')",
        "agent.id.matches('(a|' + 'b)')",
        "agent.id.matches('(' + agent.id)",
        "duration('1h30m') > duration('90s')",
        "ip('::1') == ip(agent.id) && cidr('10.0.0.0/8').containsIP('10.0.0.1')",
        "has(session.model) && size(session.model) > 3",
        "size(provenance) == 0 || provenance.exists(p, p.trust != 'trusted')",
        "provenance.all(p, p.trust == 'trusted')",
        "session.confidentiality in ['private', 'user_identity'] && 'toolset' in session.changed",
        "session.confidentiality == args.level || label.confidentiality != session.id || agent.id == 'privat'",
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


def test_a_tool_written_as_commands_show_it() -> None:
    odd = rule(match='{tools: ["*.pay/refund"]}')
    (finding,) = check_bundle(source(odd), TOOLS).findings
    assert (finding.code, finding.severity) == ("slash_in_tool", Severity.WARNING)
    assert finding.hint == "write `pay.refund`: rules separate server and tool with a dot"
    assert not check_bundle(source(odd), {"shop/pay/refund": ToolTypes.from_json_schema({})}).findings


def test_a_budget_for_a_tool_written_as_commands_show_it() -> None:
    budget = 'budgets:\n  b: {per: session, measure: calls, limit: 1, match: {tools: ["*.pay/refund"]}}\n'
    assert codes(PERMIT.replace("true", "session.tainted"), before=budget) == [("slash_in_tool", None)]


def test_a_budget_of_every_call_whose_key_is_an_argument() -> None:
    tainted = PERMIT.replace("true", "session.tainted")
    head = "budgets:\n  b: {per: tenant, measure: calls, limit: 1, window: 1h, key: "
    assert codes(tainted, before=head + "args.customer}\n") == [("key_of_all_calls", None)]
    for more in (
        "args.customer, match: {tools: [pay.refund]}",
        "args.customer, when: has(args.customer)",
        "session.id",
    ):
        assert codes(tainted, before=head + more + "}\n") == []


def test_two_rules_on_one_condition() -> None:
    first = rule(id="A-1", effect="permit")
    assert codes(first + rule(id="B-1", effect="deny")) == [("contradiction", "B-1")]
    assert codes(first + rule(id="B-1", effect="permit", when='"session.tainted "')) == [("duplicate", "B-1")]
    assert codes(first + rule(id="B-1", effect="deny", match="{tools: [pay.refund]}")) == []


def test_errors_are_reported_without_advice() -> None:
    report = check_bundle(source(rule(when="session.foo"), before="lists: {a: [x]}\n"))
    assert [finding.code for finding in report.findings] == ["unknown_field"]
    assert not report.ok


@pytest.mark.parametrize(
    ("changes", "before", "place"),
    [
        ({"when": '"session.tainted > 1"'}, "", "p/p.rules.yaml:7:28: error: wrong_type"),
        ({"when": '"session.foo"'}, "", "p/p.rules.yaml:7:19: error: unknown_field"),
        ({"when": "\"agent.id.matches('[')\""}, "", "p/p.rules.yaml:7:29: error: bad_regex"),
        ({"when": "\"cidr('10.0.0.0/40').containsIP(agent.id)\""}, "", "p/p.rules.yaml:7:17: warning: bad_address"),
        ({"when": "\"duration('1 day') > duration('1h')\""}, "", "p/p.rules.yaml:7:21: warning: bad_duration"),
        ({"when": '"session.risk > 1 && agent.instance == agent.id"'}, "", "p/p.rules.yaml:7:32: warning: unguarded"),
        ({"when": '"provenance.exists(p, p.trust == agent.id)"'}, "", "p/p.rules.yaml:7:12: warning: maybe_empty"),
        ({"match": "{tools: [pay.refund, pay.refnd]}"}, "", "p/p.rules.yaml:6:33: warning: no_tool"),
        ({}, "lists:\n  a: [x]\n", "p/p.rules.yaml:4:3: warning: unused_list"),
        ({}, "macros: {m: session.tainted}\n", "p/p.rules.yaml:3:13: warning: unused_macro"),
        ({"explain": "{x: \"agent.id.matches(')')\"}"}, "", "p/p.rules.yaml:9:36: error: bad_regex"),
    ],
)
def test_every_advice_names_its_place(changes: dict[str, str], before: str, place: str) -> None:
    (finding,) = check_bundle(source(rule(**changes), before=before), TOOLS).findings
    assert f"{finding.location}: {finding.severity}: {finding.code}" == place


def test_two_rules_name_the_later() -> None:
    first = rule(id="A-1", effect="permit")
    for later, code in (("deny", "contradiction"), ("permit", "duplicate")):
        (finding,) = check_bundle(source(first + rule(id="B-1", effect=later))).findings
        assert (finding.code, str(finding.location)) == (code, "p/p.rules.yaml:9:5")


def test_advice_names_its_place() -> None:
    (finding,) = check_bundle(source(rule(when="\"session.tainted && agent.id.matches('(')\""))).findings
    assert str(finding.location) == "p/p.rules.yaml:7:48"
    assert str(finding).startswith("p/p.rules.yaml:7:48: error: rule `R-1`: `(` is not a regular expression")


@pytest.mark.parametrize(
    "when",
    [
        "session.tainted && !session.tainted",
        "!session.tainted && agent.id == 'a' && session.tainted",
        "session.risk > 3 && session.risk < 3",
        "session.risk > 3 && session.risk <= 3",
        "session.risk == 3 && session.risk > 3",
        "3 < session.risk && session.risk <= 3",
        "session.risk == 2 && session.risk == 3",
        "agent.id == 'a' && 'b' == agent.id",
        "args.n > 5 && args.n < 4.5",
        "session.tainted && 1 > 2",
        "agent.id in lists.a && !(agent.id in lists.a)",
    ],
)
def test_conditions_that_are_never_true(when: str) -> None:
    before = "lists: {a: [x]}\n" if "lists.a" in when else ""
    assert codes(rule(when='"' + when + '"'), before) == [("unreachable", "R-1")]


@pytest.mark.parametrize(
    "when",
    [
        "session.tainted && !session.attended",
        "session.risk >= 3 && session.risk <= 3",
        "session.risk > 3 || session.risk < 3",
        "agent.id == 'a' || agent.id == 'b'",
        "session.risk > 3 && session.spent < 3",
        "agent.id == 'a' && tool.name == 'b'",
        "args.n == 1 && args.m == 2",
    ],
)
def test_nothing_is_said_of_conditions_that_may_be_true(when: str) -> None:
    assert codes(rule(when='"' + when + '"')) == []


@pytest.mark.parametrize(
    ("permit", "deny", "shadowed"),
    [
        ({"when": "session.tainted && agent.id == 'a'"}, {"when": "session.tainted"}, True),
        ({"when": "agent.id == 'a' && session.tainted"}, {"when": "session.tainted", "effect": "quarantine"}, True),
        ({"when": "session.tainted || agent.id == 'a'"}, {"when": "session.tainted"}, False),
        ({"when": "session.tainted && agent.id == 'a'"}, {"when": "session.tainted", "mode": "shadow"}, False),
        ({"match": "{tools: [pay.refund]}"}, {"match": '{tools: ["pay.*"]}'}, True),
        ({"match": "{tools: [pay.refund, mail.send]}"}, {"match": '{tools: ["pay.*"]}'}, False),
        ({"match": '{tools: ["pay.*"]}'}, {"match": "{tools: [pay.refund]}"}, False),
        ({}, {"match": '{tools: ["*"], agents: [a]}'}, False),
        ({"match": '{tools: ["*"], agents: [a]}'}, {"match": '{tools: ["*"], agents: [a, b]}'}, True),
        ({"match": '{tools: ["*"], agents: [a, c]}'}, {"match": '{tools: ["*"], agents: [a, b]}'}, False),
        ({}, {"match": '{tools: ["*"], tool_version: "1.*"}'}, False),
    ],
)
def test_permits_that_can_never_count(permit: dict[str, str], deny: dict[str, str], shadowed: bool) -> None:
    first = {"id": "P-1", "effect": "permit", "when": "session.tainted && agent.id == 'a'"} | permit
    text = rule(**first) + rule(**({"id": "D-1"} | deny))
    assert codes(text) == ([("shadowed", "P-1")] if shadowed else [])


@pytest.mark.parametrize(
    ("tag", "hint"),
    [
        ("ASI77", "did you mean `ASI07`?"),
        ("ASI11", "did you mean `ASI10`?"),
        ("ASl01", "did you mean `ASI01`?"),
        ("AML.T86", "such as `AML.T0051.001`"),
        ("AML_T0086", "such as `AML.T0051.001`"),
    ],
)
def test_a_tag_that_looks_like_an_id_and_is_none_is_reported(tag: str, hint: str) -> None:
    (found,) = check_bundle(source(rule(tags=f"[{tag}]"))).findings
    assert (found.code, found.rule_id, found.severity) == ("unknown_tag", "R-1", Severity.WARNING)
    assert hint in (found.hint or "")


@pytest.mark.parametrize("tag", ["ASI01", "ASI10", "AML.T0086", "AML.T0051.001", "LLM01", "asia-desk", "team:pay"])
def test_ids_and_tags_of_ones_own_are_fine(tag: str) -> None:
    assert check_bundle(source(rule(tags=f"[{tag}]"))).findings == ()
