"""Which rules can apply to the same tools, as a comparison of all pairs finds, and in what time for many rules."""

from __future__ import annotations

import time
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from streams.policy.authoring.matched_tools import KnownTools
from streams.policy.authoring.overlaps import OverlapIndex
from streams.policy.errors import Findings
from streams.policy.language.bundle import Match
from streams.policy.language.compile import CheckedRule, check_rules
from streams.policy.language.globs import ToolMatcher, named_tools
from streams.policy.language.parse import parse_bundle
from tests.unit.policy.rulefiles import rule, source

RULES_COUNT = 3_000
SLOW_S = 3.0
_PARTS = ("a", "b", "ab", "*", "a*", "*b", "a?", "?", "")
PATTERNS = st.one_of(
    st.just("*"),
    st.tuples(st.sampled_from(_PARTS[:-1]), st.sampled_from(_PARTS[:-1])).map(".".join),
)
TEXTS = ["".join(letters) for length in (1, 2, 3) for letters in product("ab", repeat=length)]
TOOLS = [(server, name, None) for server in TEXTS for name in TEXTS]


def rules_for(*matches: list[str], servers: str = "") -> tuple[CheckedRule, ...]:
    """Rules that are about tools of these patterns."""
    on = f", servers: ['{servers}']" if servers else ""
    text = "".join(
        rule(id=f"R-{number:05}", match=f"{{tools: [{', '.join(repr(pattern) for pattern in patterns)}]{on}}}")
        for number, patterns in enumerate(matches)
    )
    findings = Findings()
    bundle = parse_bundle(source(text), findings)
    assert bundle is not None
    assert not findings.has_errors
    return check_rules(bundle, {}, findings)


@given(st.lists(st.lists(PATTERNS, min_size=1, max_size=3, unique=True), min_size=2, max_size=5))
def test_no_rule_is_left_out_that_can_apply_to_a_common_tool(matches: list[list[str]]) -> None:
    rules = rules_for(*matches)
    index = OverlapIndex(rules)
    matched = [
        {tool[:2] for tool in TOOLS if ToolMatcher(Match(each.rule.match.tools)).matches(*tool)} for each in rules
    ]
    for number, each in enumerate(rules):
        found = index.of(each)
        assert found == sorted(found, key=lambda other: other.rule.id)
        for other_number, other in enumerate(rules):
            has_common = not matched[number].isdisjoint(matched[other_number])
            assert other in found or not has_common
            if named_tools(each.rule.match) is not None or named_tools(other.rule.match) is not None:
                assert (other in found) == has_common


@given(
    st.lists(PATTERNS, min_size=1, max_size=3),
    st.lists(st.sampled_from(TOOLS), max_size=5),
    st.sampled_from(["", "a", "b*"]),
)
def test_a_known_tool_is_found_for_the_patterns_that_match_it(
    patterns: list[str], tools: list[tuple[str, str, None]], servers: str
) -> None:
    match = rules_for(patterns, servers=servers)[0].rule.match
    expected = any(ToolMatcher(match).matches(*tool) for tool in tools)
    assert KnownTools(f"{server}/{name}" for server, name, _ in tools).has_match(match) == expected


def test_many_patterns_are_not_tried_on_all_of_many_tools() -> None:
    known = KnownTools(f"bank/pay_{number}" for number in range(5_000))
    rules = rules_for(*([f"{server}.gone_{number}*"] for number in range(RULES_COUNT // 2) for server in ("bank", "*")))
    began_s = time.thread_time()
    assert not any(known.has_match(each.rule.match) for each in rules)
    # Likewise.
    assert time.thread_time() - began_s < SLOW_S


def test_rules_about_many_tools_of_one_server_are_not_compared_with_each_other() -> None:
    rules = rules_for(*([f"bank.pay_{number}_{end}"] for number in range(RULES_COUNT // 2) for end in ("*", "all")))
    began_s = time.thread_time()
    index = OverlapIndex(rules)
    assert {len(index.of(each)) for each in rules} == {2}
    # Of the processor, because others share the machine. A comparison of all pairs takes 60 s.
    assert time.thread_time() - began_s < SLOW_S
