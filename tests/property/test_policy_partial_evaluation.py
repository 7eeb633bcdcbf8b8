"""What is worked out for a tool beforehand changes no outcome: with every field of the tool there, missing or odd."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.policy import bundle_from_files, compile_bundle
from streams.policy.cel.exact import compile_exact
from streams.policy.errors import EvaluationError
from streams.policy.runtime.partial_evaluation import known_tool_fields, specialize
from streams.policy.runtime.ruleset import CompiledRuleset
from tests.starter import starter_fixtures, starter_source

STARTER = compile_bundle(starter_source())
FIXTURES = starter_fixtures()
HEAD = 'apiVersion: rules/v1\nbundle: b\nversion: "1"\npacks: [p]\n'
LEAVES = (
    "true",
    "false",
    "tool.read_only",
    "tool.destructive",
    "tool.external",
    "tool.version.startsWith('1')",
    "tool.name == 'send'",
    "tool.name in ['send', 'read']",
    "tool.id in session.calls",
    "size(tool.sink_args) > 0",
    "session.tainted",
    "session.risk > 2",
    "has(session.model)",
    "args.flag",
    "args.amount > 1",
    "1 / (session.risk - 1) > 0",
    "provenance.exists(p, p.trust == 'untrusted' && !tool.read_only)",
    "provenance.map(p, tool.external, p.source).exists(s, s == tool.name)",
)
conditions = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(("&&", "||", "==")), inner).map(
            lambda parts: f"(({parts[0]}) {parts[1]} ({parts[2]}))"
        ),
        inner.map(lambda part: f"!({part})"),
        st.tuples(inner, inner, inner).map(lambda parts: f"({parts[0]} ? {parts[1]} : {parts[2]})"),
    ),
    max_leaves=7,
)
odd = st.sampled_from((None, 0, 1, "", "true", [], {}, 1.5))
given_tools = st.fixed_dictionaries(
    {"server_id": st.just("mail"), "name": st.sampled_from(("send", "read", "other"))},
    optional={
        "id": st.just("mail.send") | odd,
        "version": st.sampled_from(("1", "2")),
        "read_only": st.booleans() | odd,
        "destructive": st.booleans() | odd,
        "external": st.booleans() | odd,
        "sink_args": st.lists(st.just("to"), max_size=1) | odd,
    },
)
given_facts = st.fixed_dictionaries(
    {},
    optional={
        "session": st.fixed_dictionaries(
            {},
            optional={
                "tainted": st.booleans() | odd,
                "risk": st.integers(0, 4) | odd,
                "model": st.just("m"),
                "calls": st.just({"mail.send": 2}),
            },
        ),
        "args": st.fixed_dictionaries({}, optional={"flag": st.booleans() | odd, "amount": st.integers(0, 3) | odd}),
        "provenance": st.lists(
            st.fixed_dictionaries({"source": st.sampled_from(("s", "send"))}, optional={"trust": st.just("untrusted")}),
            max_size=2,
        ),
    },
)


def compiled(condition: str) -> CompiledRuleset:
    # Also where it is dynamic by itself, it is asked for a bool.
    when = f"true && ({condition})"
    rule = f'  - {{id: P, effect: permit, match: {{tools: ["*"]}}, when: "{when}", reason: p}}\n'
    text = f"apiVersion: rules/v1\npack: p\nrules:\n{rule}"
    return compile_bundle(bundle_from_files({"bundle.yaml": HEAD, "p/p.rules.yaml": text}))


def outcome(tree: Any, facts: dict[str, Any]) -> bool | None:
    """None where there is no value, or one that is no bool."""
    try:
        value = compile_exact(tree, {})(facts)
    except EvaluationError:
        return None
    return value if isinstance(value, bool) else None


@settings(max_examples=400, deadline=None)
@given(condition=conditions, tool=given_tools, facts=given_facts)
def test_a_pinned_condition_is_what_it_was(condition: str, tool: dict[str, Any], facts: dict[str, Any]) -> None:
    tree = compiled(condition).rules[0].checked.tree
    known = {"tool": tool, **facts}
    assert outcome(specialize(tree, known_tool_fields(tool)), known) is outcome(tree, known)


@settings(max_examples=200, deadline=None)
@given(condition=conditions, tool=given_tools, others=st.lists(given_facts, min_size=1, max_size=3))
def test_a_ruleset_gives_what_its_conditions_say(
    condition: str, tool: dict[str, Any], others: list[dict[str, Any]]
) -> None:
    """The code that is made for the tool, given only what it asks for."""
    ruleset = compiled(condition)
    needs = ruleset.plan(tool).needs
    for facts in others:
        expected = outcome(ruleset.rules[0].checked.tree, {"tool": tool, **facts})
        result = ruleset.evaluate({"tool": tool} | {name: facts[name] for name in needs & facts.keys()})
        assert (bool(result.rules), bool(result.errors)) == (expected is True, expected is None)


@settings(max_examples=150, deadline=None)
@given(
    base=st.sampled_from(FIXTURES),
    changed=st.fixed_dictionaries(
        {}, optional={name: st.booleans() for name in ("read_only", "destructive", "open_world", "reversible")}
    ),
    without=st.sets(st.sampled_from(sorted(FIXTURES[0])), max_size=2),
)
def test_starter_rules_need_no_more_than_they_ask_for(
    base: dict[str, Any], changed: dict[str, bool], without: set[str]
) -> None:
    tool = base["tool"] | changed
    facts = {name: value for name, value in base.items() if name not in without} | {"tool": tool}
    needs = STARTER.plan(tool).needs | {"approval", "deferral"}
    assert STARTER.evaluate({name: facts[name] for name in needs & facts.keys()}) == STARTER.evaluate(facts)
