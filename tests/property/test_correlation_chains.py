"""Conditions in words, aliases and chains of correlations, as files declare them, against their definition.

What a watch finds is compared with all matches so far, looked at from the beginning for each call.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.behaviour.activity import Activity, digest_of
from streams.behaviour.temporal import Expression, parse_condition
from streams.behaviour.watcher import Watcher
from streams.processors.watch.behaviour_file import parse_behaviour
from tests.unit.behaviour.kit import START_MS, Rows, activity

SPAN_S = 60
TOOLS = ("read", "send", "drop")
EVENTS = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from(TOOLS), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=25
)
RULES = "".join(
    f"  - {{name: {tool}, detection: {{selection: {{tool.name: {tool}}}, condition: selection}}}}\n" for tool in TOOLS
)
Condition = tuple[str, ...] | str
"""A rule, or an operator with conditions."""
CONDITIONS = st.recursive(
    st.sampled_from(TOOLS),
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.just("and"), inner, inner),
        st.tuples(st.just("or"), inner, inner),
    ),
    max_leaves=6,
)


def file_of(*correlations: str) -> str:
    return f"apiVersion: behaviour/v1\npack: mine\nrules:\n{RULES}correlations:\n" + "".join(correlations)


def correlation(name: str, body: str) -> str:
    return f"  - {{title: {name}, name: {name}, correlation: {{timespan: {SPAN_S}s, x-latch: 1s, {body}}}}}\n"


def activities(events: list[tuple[int, str, int, int]]) -> list[Activity]:
    made, at_ms = [], START_MS
    for number, (pause_s, tool, owner, place) in enumerate(events):
        # No two at once: a group is quiet for a second after it has fired.
        at_ms += (pause_s + 1) * 1_000
        made.append(
            activity(at_ms, event_id=f"e-{number}", tool=tool, owner=f"p-{owner}", destination=f"p-{place}", amount=1.0)
        )
    return made


def fires(text: str, made: list[Activity]) -> list[bool]:
    """Return at which activities the watch finds anything."""
    watch, rows = Watcher(parse_behaviour({"a.detectors.yaml": text}).declared), Rows()
    seen = [watch.observe(rows, each) for each in made]
    return [bool(each.findings or each.quiet_count) for each in seen]


def window(made: list[Activity], at: int) -> list[Activity]:
    return [each for each in made[: at + 1] if each.time_ms > made[at].time_ms - SPAN_S * 1_000]


def orders(names: list[str], rules: tuple[str, ...]) -> list[frozenset[str]]:
    """Return all sets of rules that have matched in the order of the rules."""
    found = []
    for size in range(len(rules) + 1):
        for chosen in combinations(rules, size):
            places = product(*([at for at, each in enumerate(names) if each == rule] for rule in chosen))
            if any(list(each) == sorted(set(each)) for each in places):
                found.append(frozenset(chosen))
    return found


def holds(condition: Condition, chosen: frozenset[str], present: set[str], wanted: bool = True) -> bool:
    """Return whether a condition has the wanted value; a `not` is moved inwards to the names of rules."""
    if isinstance(condition, str):
        return condition in chosen if wanted else condition not in present
    operator, *parts = condition
    if operator == "not":
        return holds(parts[0], chosen, present, not wanted)
    values = [holds(part, chosen, present, wanted) for part in parts]
    return all(values) if (operator == "and") is wanted else any(values)


def text_of(condition: Condition) -> str:
    if isinstance(condition, str):
        return condition
    operator, *parts = condition
    return f"not ({text_of(parts[0])})" if operator == "not" else f"({f' {operator} '.join(map(text_of, parts))})"


def named(condition: Condition) -> set[str]:
    return {condition} if isinstance(condition, str) else set().union(*map(named, condition[1:]))


@given(events=EVENTS, condition=CONDITIONS, ordered=st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_condition_in_words_holds_when_its_definition_says_so(
    events: list[tuple[int, str, int, int]], condition: Condition, *, ordered: bool
) -> None:
    rules = tuple(tool for tool in TOOLS if tool in named(condition))
    kind = "temporal_ordered" if ordered else "temporal"
    text = file_of(
        correlation(
            "c", f"type: {kind}, rules: [{', '.join(rules)}], group-by: [agent.id], condition: '{text_of(condition)}'"
        )
    )
    if holds(condition, frozenset(), set()):
        with pytest.raises(ValueError, match="would hold if no rule had matched"):
            parse_condition(text_of(condition), rules)
        return
    made, wanted = activities(events), []
    for at, each in enumerate(made):
        names = [one.tool for one in window(made, at) if one.tool in rules]
        sets = orders(names, rules) if ordered else [frozenset(names)]
        is_matched = each.tool in rules
        wanted.append(is_matched and any(holds(condition, chosen, set(names)) for chosen in sets))
    assert fires(text, made) == wanted


@given(events=EVENTS, ordered=st.booleans())
@settings(max_examples=150, deadline=None)
def test_an_alias_compares_different_fields(events: list[tuple[int, str, int, int]], *, ordered: bool) -> None:
    kind = "temporal_ordered" if ordered else "temporal"
    body = f"type: {kind}, rules: [read, send], group-by: [agent.id, party]"
    aliases = "aliases: {party: {read: object.owner, send: dest.domain}}"
    made, wanted = activities(events), []
    for at, each in enumerate(made):
        sought = party(each)
        names = [one.tool for one in window(made, at) if one.tool in ("read", "send") and party(one) == sought]
        is_matched = each.tool in ("read", "send")
        both = frozenset({"read", "send"})
        found = orders(names, ("read", "send")) if ordered else [frozenset(names)]
        wanted.append(is_matched and both in found)
    assert fires(file_of(correlation("c", f"{body}, {aliases}")), made) == wanted


def party(each: Activity) -> str | None:
    return each.owner if each.tool == "read" else each.destination


@given(events=EVENTS, least=st.integers(1, 4), outer=st.sampled_from(["ordered", "together", "count", "deep"]))
@settings(max_examples=250, deadline=None)
def test_a_correlation_of_correlations_sees_when_they_are_fulfilled(
    events: list[tuple[int, str, int, int]], least: int, outer: str
) -> None:
    made = activities(events)
    inner = correlation(
        "many", f"type: event_count, rules: [read], group-by: [object.owner], condition: {{gte: {least}}}"
    )
    is_many = [
        each.tool == "read" and sum(one.tool == "read" and one.owner == each.owner for one in window(made, at)) >= least
        for at, each in enumerate(made)
    ]
    text, wanted = OUTERS[outer](made, is_many)
    # Which one comes first in the file makes no difference.
    assert fires(file_of(text, inner), made) == wanted
    assert fires(file_of(inner, text), made) == wanted


def ordered_pairs(made: list[Activity], first: list[bool], last: list[bool]) -> list[bool]:
    """Return at which calls, that are one or the other, both have come in order in the window."""
    found = []
    for at in range(len(made)):
        places = [made.index(one) for one in window(made, at)]
        in_order = any(first[before] and last[after] for before in places for after in places if before < after)
        found.append((first[at] or last[at]) and in_order)
    return found


def outer_ordered(made: list[Activity], is_many: list[bool]) -> tuple[str, list[bool]]:
    text = correlation("c", "type: temporal_ordered, rules: [many, send], group-by: [agent.id]")
    return text, ordered_pairs(made, is_many, [each.tool == "send" for each in made])


def outer_together(made: list[Activity], is_many: list[bool]) -> tuple[str, list[bool]]:
    text = correlation("c", "type: temporal, group-by: [agent.id], condition: many and not drop")
    wanted = []
    for at, each in enumerate(made):
        places = [made.index(one) for one in window(made, at)]
        holds_now = any(is_many[place] for place in places) and not any(made[place].tool == "drop" for place in places)
        wanted.append((is_many[at] or each.tool == "drop") and holds_now)
    return text, wanted


def outer_count(made: list[Activity], is_many: list[bool]) -> tuple[str, list[bool]]:
    text = correlation("c", "type: event_count, rules: [many, send], group-by: [agent.id], condition: {gte: 3}")
    is_match = [many or each.tool == "send" for many, each in zip(is_many, made, strict=True)]
    return text, [
        is_match[at] and sum(is_match[made.index(one)] for one in window(made, at)) >= 3 for at in range(len(made))
    ]


def outer_deep(made: list[Activity], is_many: list[bool]) -> tuple[str, list[bool]]:
    _, is_middle = outer_ordered(made, is_many)
    middle = correlation("middle", "type: temporal_ordered, rules: [many, send], group-by: [agent.id]")
    text = middle + correlation("c", "type: temporal_ordered, rules: [middle, drop], group-by: [agent.id]")
    return text, ordered_pairs(made, is_middle, [each.tool == "drop" for each in made])


OUTERS: dict[str, Callable[[list[Activity], list[bool]], tuple[str, list[bool]]]] = {
    "ordered": outer_ordered,
    "together": outer_together,
    "count": outer_count,
    "deep": outer_deep,
}


@pytest.mark.parametrize("is_inside", [True, False])
def test_what_a_correlation_refers_to_is_reported_only_if_it_says_so(*, is_inside: bool) -> None:
    inner = correlation("many", "type: event_count, rules: [read], group-by: [agent.id], condition: {gte: 2}")
    body = "type: temporal_ordered, rules: [many, send], group-by: [agent.id]"
    made = activities([(0, "read", 0, 0), (0, "read", 0, 0), (0, "send", 0, 0)])
    alone = file_of(inner, correlation("c", body))
    assert fires(alone, made) == [False, False, True]
    says_so = f"{body}, generate: true" if is_inside else body
    outer = correlation("c", says_so)
    with_parts = file_of(inner, outer if is_inside else outer.replace("name: c,", "name: c, generate: true,"))
    assert fires(with_parts, made) == [False, True, True]
    assert fires(with_parts, activities([(0, "send", 0, 0)])) == [True]
    parsed = parse_behaviour({"a.detectors.yaml": with_parts})
    assert {each.name for each in parsed.declared.correlations if each.alerts} == {"many", "send", "c"}
    assert parsed.packs.keys() >= {"many", "send", "c"}


def test_not_binds_more_than_and_and_that_more_than_or() -> None:
    rules = ("read", "send", "drop")
    read, send, drop = (Expression(rule=number) for number in range(3))
    both = Expression("and", (Expression("not", (read,)), send))
    assert parse_condition("NOT read and send OR drop", rules) == Expression("or", (both, drop))
    assert parse_condition("drop and ((read) or send)", rules) == Expression(
        "and", (drop, Expression("or", (read, send)))
    )


def test_digests_decide_between_calls_of_one_instant() -> None:
    made = [activity(START_MS, event_id=f"e-{number}", tool=tool) for number, tool in enumerate(("send", "read"))]
    text = file_of(correlation("c", "type: temporal_ordered, rules: [read, send], group-by: [agent.id]"))
    is_ordered = digest_of(made[1].event_id) < digest_of(made[0].event_id)
    assert fires(text, made)[-1] is is_ordered
