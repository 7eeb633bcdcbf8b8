"""Explanations: of a verdict, and of one intent before every rule."""

from typing import Any

import pytest

from streams.policy.authoring.explain_intent import ExplainedPart, IntentExplanation, RuleOutcome, explain_intent
from streams.policy.cel import exact
from streams.policy.cel import unparse as unparsing
from streams.policy.cel.tree import Expr, Ident
from streams.policy.cel.unparse import Unparser, unparse
from streams.policy.language.check import checker_for
from streams.policy.language.tool_types import UNTYPED
from tests.unit.policy.rulefiles import facts, rule, ruleset


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
        ("session.model", "no value: no such key: model"),
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
        ("delegation.hops", '"[redacted]"'),
        ("delegation.hops[0]", '"[redacted]"'),
        ("delegation", '"[redacted]"'),
        ("delegation.hops.filter(h, h.depth > 0)", '"[redacted]"'),
        ("delegation.hops.map(h, [h])", '"[redacted]"'),
        ("dyn(user)", '"[redacted]"'),
        ("session", '{"id": "s", "tainted": false, "attended": true, "spent": 0, "risk": 0, "calls": {}}'),
        ("size(session.calls)", "0"),
        ("delegation.depth", "no value: no such variable: delegation"),
        ("delegation.hops[0].actor", "no value: no such variable: delegation"),
        ("size(delegation.hops)", "no value: no such variable: delegation"),
        ("delegation.hops.exists(h, h.depth > 0)", "no value: no such variable: delegation"),
        ("delegation.hops.map(h, h.actor)", "no value: no such variable: delegation"),
    ],
)
def test_values_with_secrets_left_out(expression: str, value: str) -> None:
    assert explained(expression) == value


def lines(part: ExplainedPart | None, depth: int = 0) -> list[str]:
    """A part and its own parts, further in."""
    assert part is not None
    inner = [line for child in part.parts for line in lines(child, depth + 1)]
    return [f"{' ' * depth}{part.text}: {part.value}", *inner]


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
            ("D-1", RuleOutcome.TRUE),
            ("D-2", RuleOutcome.ERROR),
            ("D-3", RuleOutcome.OFF),
            ("D-4", RuleOutcome.NOT_FOR_TOOL),
            ("D-5", RuleOutcome.NOT_FOR_CALLER),
            ("P-1", RuleOutcome.TRUE),
            ("S-1", RuleOutcome.TRUE),
        ]
        assert whole.result.effect == "DENY"
        assert (whole.bundle, whole.version, len(whole.digest)) == ("b", "1", 64)
        assert whole.rules[1].error == "no such key: nothing"
        assert whole.rules[0].place == "p/p.rules.yaml:10:5"

    def test_parts_show_what_a_condition_turned_on(self) -> None:
        permit = self.explain().rules[5]
        assert lines(permit.whole) == [
            "(session.risk < 3) && (agent.id in lists.p.agents): true",
            " session.risk < 3: true",
            "  session.risk: 0",
            " agent.id in lists.p.agents: true",
            '  agent.id: "helper"',
            '  lists.p.agents: ["helper"]',
        ]

    def test_elements_are_shown_with_what_is_asked_of_them(self) -> None:
        condition = "provenance.exists(p, p.trust != 'trusted') && has(args.x) && cel.bind(r, session.risk, r > 1)"
        read = [{"source": f"e{n}", "trust": "trusted"} for n in range(9)]
        (explained,) = explain_intent(ruleset(rule(when=f'"{condition}"')), facts(provenance=read)).rules
        shown = lines(explained.whole)
        assert [line.strip() for line in shown if line.startswith("   p: ")] == [
            f'p: {{"source": "e{n}", "trust": "trusted"}}' for n in range(5)
        ]
        assert shown.count('    p.trust != "trusted": false') == 5
        bound = shown.index(" cel.bind(r, session.risk, r > 1): false")
        assert shown[bound + 1 :] == ["  session.risk: 0", "  r > 1: false"]

    def test_of_many_elements_those_that_decide_are_shown(self) -> None:
        read = [{"source": f"e{n}", "trust": "untrusted" if n == 70 else "trusted"} for n in range(90)]
        condition = "provenance.exists(p, p.trust != 'trusted')"
        (explained,) = explain_intent(ruleset(rule(when=f'"{condition}"')), facts(provenance=read)).rules
        assert lines(explained.whole)[1:] == [
            ' p: {"source": "e70", "trust": "untrusted"}',
            '  p.trust != "trusted": true',
            '   p.trust: "untrusted"',
        ]

    def test_keys_of_a_map_are_elements(self) -> None:
        session = {"calls": {"a": 1, "b": 2}}
        (explained,) = explain_intent(
            ruleset(rule(when="\"session.calls.all(k, k != 'c')\"")), facts(session=session)
        ).rules
        assert lines(explained.whole)[1:] == [' k: "a"', '  k != "c": true', ' k: "b"', '  k != "c": true']

    def test_folds_in_folds(self) -> None:
        condition = "provenance.exists(p, user.scopes.exists(s, s == p.source))"
        (explained,) = explain_intent(ruleset(rule(when=f'"{condition}"')), facts()).rules
        assert lines(explained.whole)[1:] == [
            ' p: {"source": "e", "trust": "trusted"}',
            "  user.scopes.exists(s, s == p.source): false",
            '   s: "pay:write"',
            "    s == p.source: false",
            '     p.source: "e"',
        ]

    @pytest.mark.parametrize(
        ("condition", "decided"),
        [
            ("session.risk > 3 && session.attended", ["session.risk > 3"]),
            ("session.risk < 3 && session.attended", ["session.risk < 3", "session.attended"]),
            ("session.risk > 3 || session.attended", ["session.attended"]),
            ("session.risk > 3 || session.tainted", ["session.risk > 3", "session.tainted"]),
            ("session.attended && args.x > 1", ["args.x > 1"]),
            ("session.tainted || args.x > 1", ["args.x > 1"]),
            ("session.risk > 3", ["session.risk"]),
        ],
    )
    def test_what_decided(self, condition: str, decided: list[str]) -> None:
        (explained,) = explain_intent(ruleset(rule(when=f'"{condition}"')), facts()).rules
        assert explained.whole is not None
        assert [part.text for part in explained.whole.decisive_parts()] == decided

    def test_large_conditions_are_cut(self) -> None:
        condition = " && ".join(f"session.risk != {n}" for n in range(500))
        (explained,) = explain_intent(ruleset(rule(when=f'"{condition}"')), facts()).rules
        assert len(lines(explained.whole)) == 300

    def test_secrets_are_left_out_unless_asked_for(self) -> None:
        assert '  args.amount: "[redacted]"' in lines(self.explain().rules[0].whole)
        assert " args.amount > 50: true" in lines(self.explain().rules[0].whole)
        assert "  args.amount: 100" in lines(self.explain(reveal=True).rules[0].whole)

    def test_secrets_of_elements_are_left_out(self) -> None:
        hops = {"hops": [{"sub": "alice", "actor": "a"}]}
        made = ruleset(rule(when="\"delegation.hops.map(h, h.sub + h.actor) == ['x']\""))
        (explained,) = explain_intent(made, facts(delegation=hops)).rules
        assert not [line for line in lines(explained.whole) if "alice" in line]

    def test_variables_that_hide_others_have_their_own_values(self) -> None:
        condition = "[2, 3].exists(n, [n + 5].exists(n, n == 8)) && cel.bind(n, args.nothing, n == 1 || tool.read_only)"
        (explained,) = explain_intent(ruleset(rule(when=f'"{condition}"')), facts(), reveal=True).rules
        shown = lines(explained.whole)
        assert [line.strip() for line in shown if line.strip().startswith("n: ")][:2] == ["n: 3", "n: 8"]
        # The error of a bound value is that of each part that reads it.
        assert "   n == 1: no value: no such key: nothing" in shown

    def test_a_part_of_a_fold_is_compiled_once_for_all_elements(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made: list[Expr] = []
        compile_node = exact._Compiler.node

        def noted(self: Any, node: Expr) -> Any:
            made.append(node)
            return compile_node(self, node)

        made_ruleset = ruleset(rule(when="\"provenance.all(p, p.trust == 'trusted' || p.source != 'e3')\""))
        monkeypatch.setattr(exact._Compiler, "node", noted)
        counts = []
        for length in (1, 5):
            made.clear()
            read = [{"source": "e", "trust": "trusted"}] * length
            assert explain_intent(made_ruleset, facts(provenance=read)).rules[0].whole is not None
            counts.append(sum(1 for node in made if not isinstance(node, Ident)))
        assert counts[0] == counts[1]

    def test_parts_are_made_when_they_are_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A person sees those of one or two rules of a hundred."""
        made: list[Expr] = []
        write = Unparser.text

        def noted(self: Unparser, node: Expr) -> str:
            made.append(node)
            return write(self, node)

        monkeypatch.setattr(Unparser, "text", noted)
        whole = self.explain()
        assert made == []
        assert lines(whole.rules[0].whole)
        count = len(made)
        assert count > 0
        assert lines(whole.rules[0].whole)
        assert len(made) == count

    def test_odd_facts_are_explained_too(self) -> None:
        compiled = ruleset(self.RULES, before="lists: {agents: [helper]}\n")
        whole = explain_intent(compiled, {"tool": 1})
        assert {item.outcome for item in whole.rules} <= set(RuleOutcome)
        condition = ruleset(rule(id="A", when="session.tainted"))
        (odd,) = explain_intent(condition, facts(session={"tainted": "yes"})).rules
        assert (odd.outcome, odd.error) == (RuleOutcome.ERROR, "condition is not a bool")


@pytest.mark.parametrize(
    "text",
    [
        'session.tainted && (agent.id == "a\\"b" || !tool.read_only)', "(session.risk + 1) * 2 >= 3 - -session.spent",
        'provenance.exists(p, p.trust != "trusted")', 'provenance.all(i, p, i > 0 || p.trust == "x")',
        'provenance.exists_one(p, p.trust == "x")', 'provenance.filter(p, p.trust == "x").map(q, q.source) == ["a"]',
        'user.scopes.map(s, s != "a", s + "b") == []', "has(session.model) ? size(session.model) > 3 : false",
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


def test_each_part_of_a_condition_is_converted_to_text_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts of a condition are in each other: at a depth of 20, a million conversions of the innermost one."""
    converted: list[object] = []

    def literal(value: object, convert: Any = unparsing._literal) -> str:
        converted.append(value)
        return convert(value)

    monkeypatch.setattr(unparsing, "_literal", literal)
    numbers = range(20)
    tree = checker_for(UNTYPED.args, {}).check(f"session.risk < {' + '.join(map(str, numbers))}").tree
    assert unparse(tree).endswith(
        "(((0 + 1) + 2) + 3)" + "".join(f" + {number})" for number in numbers[4:-1]) + " + 19)"
    )
    assert sorted(converted) == list(numbers)
    converted.clear()
    unparser = Unparser()
    assert unparser.text(tree) == unparser.text(tree)
    assert unparser.text(tree.args[1]) in unparser.text(tree)
    assert sorted(converted) == list(numbers)
