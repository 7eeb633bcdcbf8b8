"""Explanations: of a verdict, and of one intent before every rule."""

from typing import Any

import pytest
from rulefiles import facts, rule, ruleset

from streams.policy.cel.unparse import unparse
from streams.policy.check import checker_for
from streams.policy.explain_intent import IntentExplanation, Outcome, explain_intent
from streams.policy.tooltypes import UNTYPED


def explained(expression: str, **changes: Any) -> str:
    compiled = ruleset(rule(when='"true"', explain=f"{{x: '{expression}'}}"))
    (explanation,) = compiled.evaluate(facts(**changes)).explanations
    assert (explanation.rule_id, explanation.name) == ("R-1", "x")
    return explanation.value


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("session.risk + 1", "1"),
        ("provenance.map(p, p.source)", '["e"]'),
        ("agent.id", '"helper"'),
        ("session.tainted", "false"),
        ("session.calls", "{}"),
        ("user.scopes", '["pay:write"]'),
        ("session.purpose.in_scope", "no value: no such key: purpose"),
        ("{1: 2u, true: [null]}", '"{1: 2, true: [null]}"'),
        ('[duration("90s"), timestamp(0)]', '["90s", "1970-01-01T00:00:00Z"]'),
        ('[ip("::1")]', '["::1"]'),
        ('[cidr("10.0.0.0/8")]', '["10.0.0.0/8"]'),
        ("type(1)", '"int"'),
        ("user.id", '"[redacted]"'),
        ("user", '"[redacted]"'),
        ("args.amount", '"[redacted]"'),
        ("args", '"[redacted]"'),
        ('args["amount"] + 1', '"[redacted]"'),
        ("size(args)", '"[redacted]"'),
        ("[user.id]", '"[redacted]"'),
        ("delegation.hops.map(h, h.sub)", '"[redacted]"'),
        ("delegation.hops.map(h, h.actor)", "no value: no such variable: delegation"),
    ],
)
def test_values_with_secrets_left_out(expression: str, value: str) -> None:
    assert explained(expression) == value


def test_long_values_are_cut() -> None:
    value = explained("agent.id", agent={"id": "x" * 5_000})
    assert len(value) == 1_003
    assert value.endswith("...")


def test_only_rules_that_matched_are_explained() -> None:
    compiled = ruleset(rule(when="session.tainted", explain="{x: agent.id}"))
    assert compiled.evaluate(facts()).explanations == ()


class TestIntent:
    RULES = (
        rule(id="P-1", effect="permit", when="session.risk < 3 && agent.id in lists.agents")
        + rule(id="D-1", when="session.tainted || args.amount > 50")
        + rule(id="D-2", when="args.nothing == 1")
        + rule(id="D-3", when="session.tainted", mode="off")
        + rule(id="D-4", when="session.tainted", match="{tools: [mail.send]}")
        + rule(id="D-5", when="session.tainted", match='{tools: ["*"], agents: [other]}')
        + rule(id="S-1", when="session.attended", mode="shadow")
    )

    def explain(self, *, reveal: bool = False) -> IntentExplanation:
        compiled = ruleset(self.RULES, before="lists: {agents: [helper]}\n")
        return explain_intent(compiled, facts(), reveal=reveal)

    def test_every_rule_is_there_with_what_came_of_it(self) -> None:
        whole = self.explain()
        assert [(item.rule_id, item.outcome) for item in whole.rules] == [
            ("D-1", Outcome.TRUE),
            ("D-2", Outcome.ERROR),
            ("D-3", Outcome.OFF),
            ("D-4", Outcome.NOT_FOR_TOOL),
            ("D-5", Outcome.NOT_FOR_CALLER),
            ("P-1", Outcome.TRUE),
            ("S-1", Outcome.TRUE),
        ]
        assert whole.result.effect == "DENY"
        assert (whole.bundle, whole.version, len(whole.digest)) == ("b", "1", 64)
        assert whole.rules[1].error == "no such key: nothing"
        assert whole.rules[0].place == "p/p.rules.yaml:10:5"

    def test_parts_show_what_a_condition_turned_on(self) -> None:
        permit = self.explain().rules[5]
        assert permit.condition == "(session.risk < 3) && (agent.id in lists.p.agents)"
        assert [(part.text, part.value) for part in permit.parts] == [
            ("session.risk < 3", "true"),
            ("session.risk", "0"),
            ("agent.id in lists.p.agents", "true"),
            ("agent.id", '"helper"'),
            ("lists.p.agents", '["helper"]'),
        ]

    def test_secrets_are_left_out_unless_asked_for(self) -> None:
        hidden = {part.text: part.value for part in self.explain().rules[0].parts}
        assert hidden["args.amount"] == '"[redacted]"'
        assert hidden["args.amount > 50"] == "true"
        shown = {part.text: part.value for part in self.explain(reveal=True).rules[0].parts}
        assert shown["args.amount"] == "100"

    def test_odd_facts_are_explained_too(self) -> None:
        compiled = ruleset(self.RULES, before="lists: {agents: [helper]}\n")
        whole = explain_intent(compiled, {"tool": 1})
        assert {item.outcome for item in whole.rules} <= set(Outcome)
        condition = ruleset(rule(id="A", when="session.tainted"))
        (odd,) = explain_intent(condition, facts(session={"tainted": "yes"})).rules
        assert (odd.outcome, odd.error) == (Outcome.ERROR, "condition is not a bool")


@pytest.mark.parametrize(
    "text",
    [
        'session.tainted && (agent.id == "a\\"b" || !tool.read_only)', "(session.risk + 1) * 2 >= 3 - -session.spent",
        'provenance.exists(p, p.trust != "trusted")', 'provenance.all(i, p, i > 0 || p.trust == "x")',
        'provenance.exists_one(p, p.trust == "x")', 'provenance.filter(p, p.trust == "x").map(q, q.source) == ["a"]',
        'user.scopes.map(s, s != "a", s + "b") == []', "has(session.purpose) ? session.purpose.in_scope : false",
        "cel.bind(x, session.risk + 1, x * x > 1)", '{"a": [1, 2u, 1.5, 2.0, null, true]}["a"] == []',
        'args.x.startsWith("a") && size(args.l[0]) > 1', 'b"\\xff" == bytes(agent.id)', "-(1 + 2) < 3 % 2",
        'duration("90s") < duration("1h") && timestamp(now.ms).getHours("UTC") == 3',
        'cidr("10.0.0.0/8").containsIP(ip("10.0.0.1"))', '"%s".format([agent.id]) == "a"',
    ],
)  # fmt: skip
def test_a_tree_reads_like_what_was_written(text: str) -> None:
    checker = checker_for(UNTYPED.args, {})
    once = unparse(checker.check(text).tree)
    assert unparse(checker.check(once).tree) == once
    assert "?" not in once or "?" in text
