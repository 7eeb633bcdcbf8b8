"""Rules as data: judged as those they were made of, made ready in steps, and nothing but rules."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.policy import BundleError, CompiledRuleset, ToolTypes, compile_bundle
from streams.policy.runtime.portable import PortableRuleset, compile_portable, load_ruleset, load_steps
from streams.policy.runtime.portable_values import PortableError, decode_message, encode_message, from_data, to_data
from streams.policy.runtime.ruleset import active_tools
from tests.starter import starter_fixtures, starter_source
from tests.unit.policy.rulefiles import PERMIT, facts, rule, source, tool

STARTER = starter_source()
WHOLE = compile_bundle(STARTER)
PORTABLE = load_ruleset(compile_portable(STARTER))
FIXTURES = starter_fixtures()
TYPES = {
    "pay/refund": ToolTypes.from_json_schema(
        {"type": "object", "properties": {"amount": {"type": "number"}, "tags": {"type": "array"}}}
    )
}
OTHER = tool("pay", "other", version="1.0")
MANY = "".join(
    rule(id=f"R-{number:03}", match='{tools: ["pay.refund"]}', when=f"'args.amount == {number} && args.n != 1'")
    for number in range(130)
)
EVERYTHING = (
    PERMIT
    + rule(
        id="R-LIT",
        when='\'args.amount > 0u || args.blob == b"\\x00\\xff" || duration("90s") < duration(args.span) || '
        'timestamp("2026-01-01T00:00:00Z") > timestamp(args.at) || '
        "-9223372036854775808 == args.low || 1.5e300 < args.d'",
    )
    + rule(id="R-FOLD", when='\'[1, 2, 3].exists(n, n == args.amount) && {"a": 1, "b": 2}.all(k, v, v > 0)\'')
    + rule(id="R-LIST", when="'args.currency in lists.coins'", effect="permit")
    + rule(id="R-WHO", match='{tools: ["pay.*"], agents: ["help*"], tenants: [acme], servers: [pay]}')
    + rule(id="R-VER", match='{tools: ["pay.refund"], tool_version: "1.*"}', when="'args.amount > 50'", mode="shadow")
    + rule(id="R-OFF", mode="'off'", when="'true'")
    + rule(
        id="R-ASK", effect="require_approval", approval="{group: leads, quorum: 2, ttl: 5m}", when="'args.ask == true'"
    )
    + rule(id="R-WAIT", effect="defer", defer="30s", when="'args.later == true'")
    + rule(
        id="R-SAY",
        when="'args.amount == 100'",
        explain="{amount: args.amount, who: user.id}",
        tags="[ASI01]",
    )
    + rule(
        id="R-DUTY",
        effect="permit",
        when="'args.amount == 100'",
        obligations="[{id: o, type: log, properties: {deep: [1, {x: null}]}}]",
    )
)
LISTS = "lists: {coins: [EUR, USD], sizes: [1, 2]}\n"


def both(
    rules: str, tools: dict[str, ToolTypes] | None = None, **kwargs: str
) -> tuple[CompiledRuleset, CompiledRuleset]:
    made = source(rules, **kwargs)
    return compile_bundle(made, tools), load_ruleset(compile_portable(made, tools))


@settings(max_examples=200, deadline=None)
@given(
    base=st.sampled_from(FIXTURES),
    dropped=st.sets(st.sampled_from(sorted(FIXTURES[0]))),
    tool=st.sampled_from(["git_log", "refund", "send", "lookup", "unheard"]),
)
def test_the_starter_rules_judge_as_before(base: dict[str, Any], dropped: set[str], tool: str) -> None:
    given_facts = {name: value for name, value in base.items() if name not in dropped}
    if "tool" in given_facts:
        given_facts["tool"] = {**given_facts["tool"], "name": tool}
    assert PORTABLE.evaluate(given_facts) == WHOLE.evaluate(given_facts)


def test_everything_that_rules_can_say_comes_through() -> None:
    whole, portable = both(EVERYTHING, before=LISTS)
    args: list[dict[str, Any]] = [
        {"amount": 2, "currency": "EUR"},
        {"amount": 100, "currency": "GBP", "ask": True},
        {"amount": 51, "later": True, "blob": b"\x00\xff", "span": "91s", "at": "2025-01-01T00:00:00Z", "d": 1e301},
        {"amount": 5, "low": -(2**63), "currency": 7, "later": "odd"},
        {},
    ]
    for given_args in args:
        for agent in ({"id": "helper"}, {"id": "other"}, None):
            given_facts = facts(args=given_args, agent=agent)
            assert portable.evaluate(given_facts) == whole.evaluate(given_facts)
            assert portable.judge(given_facts) == whole.judge(given_facts)
    assert [each.rule.id for each in portable.rules] == [each.rule.id for each in whole.rules]
    assert (portable.name, portable.version, portable.digest, portable.mode, portable.history) == (
        *(whole.name, whole.version, whole.digest, whole.mode, whole.history),
    )


def test_a_typed_tool_has_its_own_conditions() -> None:
    whole, portable = both(PERMIT + rule(match='{tools: ["pay.refund"]}', when="'args.amount > 1.0'"), TYPES)
    for amount in (0, 1, 2, 0.5, 1.5, "x"):
        given_facts = facts(args={"amount": amount})
        assert portable.evaluate(given_facts) == whole.evaluate(given_facts)


def test_memories_and_budgets_have_the_same_plans() -> None:
    before = (
        "history:\n  sent: {keep: count, on: ran, match: {tools: [mail.send]}, within: 1h}\n"
        "  paid: {keep: sum, on: allowed, of: args.amount, key: args.to, match: {tools: [pay.refund]}}\n"
        "budgets:\n  calls: {per: session, measure: calls, limit: 3, match: {tools: [pay.refund]}}\n"
    )
    rules = (
        PERMIT
        + rule(when="'history.sent > 2'")
        + rule(id="R-2", match="{tools: [pay.refund]}", when="'history.paid > 9'")
    )
    whole, portable = both(rules, before=before)
    for described in (tool("mail", "send"), tool("pay", "refund"), tool("other", "tool", version="2")):
        ours, theirs = portable.plan(described), whole.plan(described)
        assert (ours.needs, ours.has_updates, ours.has_effects) == (
            theirs.needs,
            theirs.has_updates,
            theirs.has_effects,
        )
        assert [recall.memory.name for recall in ours.recalls] == [recall.memory.name for recall in theirs.recalls]
        given_facts = facts(args={"amount": 4, "to": "x"})
        assert [update.memory.name for update in ours.updates(given_facts)] == [
            update.memory.name for update in theirs.updates(given_facts)
        ]


def test_a_bad_bundle_is_refused_with_all_errors() -> None:
    bad = source(rule(when="session.bar") + rule(id="R-2", when="'1 + 1'"))
    with pytest.raises(BundleError) as ours:
        compile_portable(bad)
    with pytest.raises(BundleError) as theirs:
        compile_bundle(bad)
    assert ours.value.findings == theirs.value.findings
    assert len(ours.value.findings) == 2


def test_a_tool_with_many_rules_is_made_ready_in_steps() -> None:
    whole, portable = both(PERMIT + MANY)
    steps = list(portable.warm_steps([facts()["tool"], OTHER]))
    assert len(steps) > 130 / 16
    assert active_tools(portable, 10) == (facts()["tool"], OTHER)
    assert active_tools(portable, 1) == (OTHER,)
    for args in ({"amount": 129, "n": 2}, {"amount": 64, "n": 1}, {"amount": 3}, {"amount": "odd", "n": 1}, {"n": 5}):
        assert portable.evaluate(facts(args=args)) == whole.evaluate(facts(args=args))


def test_it_can_be_read_in_steps() -> None:
    read: list[PortableRuleset] = []

    def follow() -> Generator[None, None, None]:
        read.append((yield from load_steps(compile_portable(source(PERMIT + MANY)))))

    assert len(list(follow())) >= 2
    assert len(read[0].rules) == 131


def test_it_has_all_that_a_ruleset_has() -> None:
    assert vars(PORTABLE).keys() >= vars(WHOLE).keys()
    assert PORTABLE.reads == WHOLE.reads != frozenset()


DATA = compile_portable(source(EVERYTHING, before=LISTS))


@settings(max_examples=300, deadline=None)
@given(at=st.integers(0, len(DATA) - 1), byte=st.integers(0, 255))
def test_damaged_data_raises_no_other_error(at: int, byte: int) -> None:
    damaged = DATA[:at] + bytes([byte]) + DATA[at + 1 :]
    try:
        read = load_ruleset(damaged)
        for index in range(len(read.rules)):
            read.rule(index)
        read.evaluate(facts())
    except (PortableError, TypeError, ValueError, AttributeError, KeyError, IndexError):
        return  # the gate denies whatever can't be judged; what matters here is that nothing else happens


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(PortableError):
        load_ruleset(data)


def test_no_other_class_can_be_told_or_made() -> None:
    with pytest.raises(PortableError, match="Path` has no portable form"):
        to_data(Path())
    for number in (-1, 10_000, "os.system", None):
        with pytest.raises(PortableError):
            from_data([5, number, "x"])
    with pytest.raises(PortableError):
        from_data(decode_message(encode_message([7, [["bool"]], [[3, 0, -1, 9, "f", False, []]]])))
    nested: Any = "x"
    for _ in range(5_000):
        nested = [0, nested]
    with pytest.raises(PortableError):
        from_data(nested)


def test_deep_expressions_come_through() -> None:
    deep = "'" + " && ".join(["session.tainted"] * 600) + "'"
    whole, portable = both(PERMIT + rule(when=deep))
    for tainted in (True, False):
        given_facts = facts(session={"tainted": tainted})
        assert portable.evaluate(given_facts) == whole.evaluate(given_facts)
