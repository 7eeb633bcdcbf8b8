"""Correlations of every type, against their definition: all matches of a window, looked at from the beginning."""

from __future__ import annotations

from itertools import combinations, product

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from streams.behaviour.activity import Activity, digest_of
from streams.behaviour.correlations import (
    COMPARISONS,
    MATCHES_MAX,
    Correlation,
    CorrelationType,
    FieldTest,
    Match,
    Matches,
    Seen,
    Selection,
    observed,
    selects,
    wildcard,
    windowed,
)

START_MS = 1_767_571_200_000
SPAN_MS = 60_000
TOOLS = ("read", "send", "drop")
RULES = tuple(Selection(tool, (FieldTest("tool.name", "", (tool,)),)) for tool in TOOLS)
EVENTS = st.lists(
    st.tuples(st.integers(0, 240), st.sampled_from(TOOLS), st.integers(0, 4), st.integers(0, 50)),
    min_size=1,
    max_size=30,
)
TYPES = st.sampled_from(list(CorrelationType))
CONDITIONS = st.lists(
    st.tuples(st.sampled_from(list(COMPARISONS)), st.integers(0, 60).map(float)), min_size=1, max_size=2, unique=True
)


def activity(number: int, event: tuple[int, str, int, int]) -> Activity:
    seconds, tool, owner, amount = event
    return Activity(
        event_id=f"e-{number}",
        time_ms=START_MS + seconds * 1_000,
        agent="bot",
        session="s",
        tool=tool,
        owner=f"c-{owner}",
        amount=float(amount),
    )


def correlation(kind: CorrelationType, conditions: list[tuple[str, float]], percentile: int) -> Correlation:
    numeric = kind.startswith("value_") and kind is not CorrelationType.VALUE_COUNT
    return Correlation(
        name="c",
        title="c",
        type=kind,
        rules=RULES,
        group_by=("agent.id",),
        timespan_ms=SPAN_MS,
        field="call.amount" if numeric else "object.owner" if kind is CorrelationType.VALUE_COUNT else None,
        percentile=float(percentile),
        conditions=tuple(conditions),
    )


def in_order(window: list[str]) -> set[frozenset[str]]:
    """Return all sets of tools of which there are calls in the order of the tools."""
    found = set()
    for size in range(len(TOOLS) + 1):
        for tools in combinations(TOOLS, size):
            places = product(*([at for at, each in enumerate(window) if each == tool] for tool in tools))
            if any(list(each) == sorted(set(each)) for each in places):
                found.add(frozenset(tools))
    return found


def by_definition(it: Correlation, activities: list[Activity]) -> bool:
    """Return whether the window that ends at the newest activity fulfils the correlation, by trying everything."""
    end_ms = max(each.time_ms for each in activities)
    window = [each for each in activities if end_ms - SPAN_MS < each.time_ms]
    window.sort(key=lambda each: (each.time_ms, digest_of(each.event_id)))
    tools = {each.tool for each in window}
    if it.type is CorrelationType.TEMPORAL and not it.conditions:
        return tools == set(TOOLS)
    if it.type is CorrelationType.TEMPORAL_ORDERED and not it.conditions:
        return frozenset(TOOLS) in in_order([each.tool for each in window])
    amounts = sorted(each.amount or 0.0 for each in window)
    if it.type is CorrelationType.TEMPORAL:
        value = float(len(tools))
    elif it.type is CorrelationType.TEMPORAL_ORDERED:
        value = float(max(len(each) for each in in_order([each.tool for each in window])))
    elif it.type is CorrelationType.EVENT_COUNT:
        value = float(len(window))
    elif it.type is CorrelationType.VALUE_COUNT:
        value = float(len({each.owner for each in window}))
    elif it.type is CorrelationType.VALUE_SUM:
        value = sum(amounts)
    elif it.type is CorrelationType.VALUE_AVG:
        value = sum(amounts) / len(amounts)
    elif it.type is CorrelationType.VALUE_MEDIAN:
        value = (amounts[(len(amounts) - 1) // 2] + amounts[len(amounts) // 2]) / 2
    else:
        value = next(each for at, each in enumerate(amounts, 1) if at * 100 >= it.percentile * len(amounts))
    return all(COMPARISONS[name](value, wanted) for name, wanted in it.conditions)


@given(
    events=EVENTS,
    kind=TYPES,
    conditions=st.one_of(CONDITIONS, st.just([])),
    percentile=st.integers(1, 100),
)
@settings(max_examples=400)
def test_it_fires_when_its_definition_says_so(
    events: list[tuple[int, str, int, int]], kind: CorrelationType, conditions: list[tuple[str, float]], percentile: int
) -> None:
    assume(conditions or kind in (CorrelationType.TEMPORAL, CorrelationType.TEMPORAL_ORDERED))
    it, row, past = correlation(kind, conditions, percentile), None, list[Activity]()
    # In order of time: a late match can't change what a window said that was over before it.
    for number, event in enumerate(sorted(events)):
        each = activity(number, event)
        past.append(each)
        row, has_fired = observed(it, row, Seen(each, {}), [TOOLS.index(each.tool)])
        assert has_fired == by_definition(it, past)


@given(events=EVENTS, order=st.randoms(use_true_random=False), kind=TYPES)
@settings(max_examples=150)
def test_order_of_arrival_and_repetitions_leave_the_same_window(
    events: list[tuple[int, str, int, int]], order: object, kind: CorrelationType
) -> None:
    it, activities = correlation(kind, [("gte", 1e9)], 50), [activity(*each) for each in enumerate(events)]
    shuffled = activities * 2
    order.shuffle(shuffled)
    found = []
    for stream in (activities, shuffled):
        row: Matches | None = None
        for each in stream:
            row, _ = observed(it, row, Seen(each, {}), [TOOLS.index(each.tool)])
        assert row is not None
        found.append(row.found)
    assert found[0] == found[1]


def test_a_sum_that_does_not_fit_is_never_too_small_and_a_count_has_reached_its_limit() -> None:
    total = correlation(CorrelationType.VALUE_SUM, [("gte", 0.0)], 50)
    many = [Match(START_MS + at, at, 0, 2.0) for at in range(MATCHES_MAX + 50)]
    kept = windowed(total, many)
    assert len(kept) == MATCHES_MAX
    assert sum(match.value for match in kept) == 2.0 * len(many)
    count = correlation(CorrelationType.EVENT_COUNT, [("gte", 0.0)], 50)
    assert len(windowed(count, many)) == MATCHES_MAX


def test_it_is_quiet_about_its_group_until_its_latch_opens() -> None:
    it = Correlation(
        name="c",
        title="c",
        type=CorrelationType.EVENT_COUNT,
        rules=RULES,
        group_by=("agent.id",),
        timespan_ms=SPAN_MS,
        conditions=(("gte", 2.0),),
        latch_ms=SPAN_MS,
    )
    row, fired = None, []
    for at in range(12):
        row, has_fired = observed(it, row, Seen(activity(at, (at * 10, "read", 0, 0)), {}), [0])
        fired.append(has_fired)
    assert [at for at, has_fired in enumerate(fired) if has_fired] == [1, 7]


def test_selections_compare_as_sigma_does() -> None:
    seen = Seen(activity(1, (0, "read", 3, 20)), {"signal.new": 12.0})
    is_read, is_new = FieldTest("tool.name", "", ("READ", "x")), FieldTest("signal.new", "gte", (12,))
    starts, ends = FieldTest("tool.name", "startswith", ("re",)), FieldTest("tool.name", "endswith", ("ad",))
    any_owner, is_send = FieldTest("object.owner", "", ("c-*",)), FieldTest("tool.name", "", ("send",))
    assert selects(Selection("a", (is_read, is_new)), seen)
    assert not selects(Selection("a", (FieldTest("signal.new", "gt", (12,)),)), seen)
    assert not selects(Selection("a", (FieldTest("signal.old", "gt", (0,)),)), seen)
    assert selects(Selection("a", (any_owner,), (is_send,)), seen)
    assert not selects(Selection("a", (any_owner,), (is_read,)), seen)
    assert selects(Selection("a", (starts, ends)), seen)
    assert not selects(Selection("a", (starts, is_send)), seen)


@given(pattern=st.text("ab*?", max_size=8), text=st.text("ab", max_size=8))
def test_wildcards_match_as_their_definition_says(pattern: str, text: str) -> None:
    def matches(left: str, right: str) -> bool:
        if not left:
            return not right
        if left[0] == "*":
            return any(matches(left[1:], right[at:]) for at in range(len(right) + 1))
        return bool(right) and left[0] in ("?", right[0]) and matches(left[1:], right[1:])

    assert wildcard(pattern, text) == matches(pattern, text)
