"""Evaluate Sigma correlations (specification 2.1) over activities and signals, with bounded state.

**Idea.** A correlation selects activities, groups them by fields, and looks at those of a sliding window: how many, how
many different values, their sum, average, median or percentile, whether all rules have matched, whether they have in
order. The matches of a group's window are one row, sorted by time and event, so that the order in which records arrive
and records that arrive twice make no difference within the window. The window ends at the newest match.

**Bounds.** A window holds `MATCHES_MAX` matches; the oldest make room. A threshold of a count can't be larger, so a
count that no longer fits has already reached it. A sum keeps what made room in its oldest match, and so is never too
small. Averages, medians and percentiles are then those of the newest matches.

**Rejected.** Buckets of time instead of matches: they are smaller, but they don't agree with the definition, and can't
tell an order.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from math import ceil, inf
from operator import eq, ge, gt, le, lt, ne
from statistics import median
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from streams.behaviour.activity import FIELDS, MEASURES, Activity, digest_of, digest_once, row_key
from streams.behaviour.temporal import Expression, holds_in_order, holds_together, longest_in_order

MATCHES_MAX = 256
RULES_MAX = 16


class CorrelationType(StrEnum):
    """What a correlation looks at."""

    EVENT_COUNT = "event_count"
    VALUE_COUNT = "value_count"
    TEMPORAL = "temporal"
    TEMPORAL_ORDERED = "temporal_ordered"
    VALUE_SUM = "value_sum"
    VALUE_AVG = "value_avg"
    VALUE_PERCENTILE = "value_percentile"
    VALUE_MEDIAN = "value_median"


class Incident(StrEnum):
    """What a correlation finds together with others: one of the incidents of detectors, or of correlations alone."""

    EGRESS = "egress"
    FAN_OUT = "fan_out"
    PROBING = "probing"


COMPARISONS: Mapping[str, Callable[[float, float], bool]] = MappingProxyType(
    {"gt": gt, "gte": ge, "lt": lt, "lte": le, "eq": eq, "neq": ne}
)
_NUMERIC = frozenset(
    {
        CorrelationType.VALUE_SUM,
        CorrelationType.VALUE_AVG,
        CorrelationType.VALUE_PERCENTILE,
        CorrelationType.VALUE_MEDIAN,
    }
)
_AT_LEAST = frozenset({"gt", "gte"})
_IN_TIME = frozenset({CorrelationType.TEMPORAL, CorrelationType.TEMPORAL_ORDERED})


class FieldTest(msgspec.Struct, frozen=True):
    """A field that must match one of some values; `how` is a modifier of Sigma, empty for equality with wildcards."""

    field: str
    how: str
    values: tuple[str | float, ...]


class Selection(msgspec.Struct, frozen=True):
    """A named rule: all of `tests` must hold, and not all of `filters` if there are any.

    A rule that is another correlation has neither: `is_chained` says so, and it matches the activities at which the
    window of that correlation fulfils it.
    """

    name: str
    tests: tuple[FieldTest, ...]
    filters: tuple[FieldTest, ...] = ()
    is_chained: bool = False


class Correlation(msgspec.Struct, frozen=True, kw_only=True):
    """A correlation as declared.

    Attributes:
        rules: the selections, in order.
        group_by: the fields that all matches of a group have in common.
        timespan_ms: the width of the window.
        field: the field whose values are looked at.
        percentile: which percentile, of 100.
        conditions: comparisons that must all hold.
        expression: which rules must have matched and which not, if it is a temporal correlation that says so.
        fields_by_rule: for each rule the fields that are compared, if `group_by` has aliases; empty if it has none.
        alerts: whether it is to be reported; not of one that only others refer to.
        latch_ms: how long the correlation is quiet about a group after it has fired.
        incident: the incident that it finds together with others, if it is not one of its own.
    """

    name: str
    title: str
    type: CorrelationType
    rules: tuple[Selection, ...]
    group_by: tuple[str, ...]
    timespan_ms: int
    field: str | None = None
    percentile: float = 50.0
    conditions: tuple[tuple[str, float], ...] = ()
    expression: Expression | None = None
    fields_by_rule: tuple[tuple[str, ...], ...] = ()
    alerts: bool = True
    latch_ms: int = 0
    incident: str = ""
    severity: str = "medium"
    tags: tuple[str, ...] = ()

    @property
    def fields(self) -> frozenset[str]:
        """The fields that tell groups apart."""
        return frozenset(self.group_by) if not self.fields_by_rule else frozenset().union(*self.fields_by_rule)


class Match(NamedTuple):
    """One match: when, of which event, of which rule (its index), with which value."""

    time_ms: int
    event: int
    rule: int
    value: float


class Matches(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The matches in a group's window, sorted; and when the correlation fired last."""

    found: tuple[Match, ...] = ()
    fired_ms: int | None = None


class Seen(msgspec.Struct, frozen=True, gc=False):
    """An activity with what detectors say about it."""

    activity: Activity
    scores: Mapping[str, float]


def value_of(field: str, seen: Seen) -> str | float | None:
    """Return the value of a field of an activity, or of a score `signal.NAME` or `risk.NAME`."""
    text = FIELDS.get(field)
    if text is not None:
        return text(seen.activity)
    measure = MEASURES.get(field)
    return measure(seen.activity) if measure is not None else seen.scores.get(field)


def value_text(field: str, activity: Activity) -> str:
    """Return the value of a field of an activity as text; empty if it has none."""
    value = FIELDS[field](activity)
    return "" if value is None else value


def selects(selection: Selection, seen: Seen) -> bool:
    """Return whether a selection matches."""
    if not all(holds(test, seen) for test in selection.tests):
        return False
    return not (selection.filters and all(holds(test, seen) for test in selection.filters))


def holds(test: FieldTest, seen: Seen) -> bool:
    """Return whether one of the values of a test matches. A field without a value matches nothing."""
    value = value_of(test.field, seen)
    if value is None:
        return False
    compare = COMPARISONS.get(test.how)
    if compare is not None:
        return isinstance(value, float | int) and any(
            isinstance(wanted, float | int) and compare(float(value), float(wanted)) for wanted in test.values
        )
    # Sigma compares text without regard to case.
    text = str(value).lower()
    return any(_matches(test.how, text, str(wanted).lower()) for wanted in test.values)


def strength_of(correlation: Correlation, matched: Sequence[int], seen: Seen) -> float:
    """Return how strong the strongest signal is that selects an activity, as a share of what its rule asks for.

    It is infinite if the rules that select it ask for none: then nothing says how strong it is.

    Args:
        correlation: the correlation.
        matched: the indexes of the rules that select the activity.
        seen: the activity.
    """
    shares = [
        seen.scores[test.field] / wanted
        for at in matched
        for test in correlation.rules[at].tests
        if test.how in _AT_LEAST and test.field in seen.scores
        for wanted in test.values
        if isinstance(wanted, float | int) and wanted > 0
    ]
    return max(shares, default=inf)


def _matches(how: str, text: str, wanted: str) -> bool:
    if how == "contains":
        return wanted in text
    if how == "startswith":
        return text.startswith(wanted)
    if how == "endswith":
        return text.endswith(wanted)
    return wildcard(wanted, text) if "*" in wanted or "?" in wanted else text == wanted


def wildcard(pattern: str, text: str) -> bool:
    """Return whether a text matches a pattern with `*` and `?`, in time bounded by the product of their lengths."""
    at, place, star, mark = 0, 0, -1, 0
    while at < len(text):
        if place < len(pattern) and (pattern[place] == "?" or (pattern[place] == text[at] and pattern[place] != "*")):
            at, place = at + 1, place + 1
        elif place < len(pattern) and pattern[place] == "*":
            star, mark, place = place, at, place + 1
        elif star >= 0:
            mark += 1
            place, at = star + 1, mark
        else:
            return False
    return all(sign == "*" for sign in pattern[place:])


def row_name(correlation: Correlation) -> str:
    """Return the name of a correlation's rows."""
    return f"={correlation.name}"


def group_key(correlation: Correlation, seen: Seen, fields: Iterable[str]) -> bytes | None:
    """Return the key of the row of an activity's group; None if a field of the group has no value."""
    values = [seen.activity.tenant]
    for field in fields:
        value = value_of(field, seen)
        if value is None:
            return None
        values.append(str(value))
    return row_key(row_name(correlation), tuple(values))


def groups_by_rule(
    correlation: Correlation, seen: Seen, matched: Iterable[int]
) -> Iterable[tuple[bytes | None, Sequence[int]]]:
    """Return the keys of the rows of an activity's groups, each with the rules by which it belongs to that one.

    There can be several, because the rules compare different fields.
    """
    by_key: dict[bytes | None, list[int]] = {}
    for rule in matched:
        by_key.setdefault(group_key(correlation, seen, correlation.fields_by_rule[rule]), []).append(rule)
    return by_key.items()


def observed(correlation: Correlation, row: Matches | None, seen: Seen, matched: Sequence[int]) -> tuple[Matches, bool]:
    """Return the group's row after an activity, and whether the correlation fires.

    Args:
        correlation: the correlation.
        row: the row of the activity's group.
        seen: the activity.
        matched: the indexes of the rules that select it; at least one.
    """
    row = row or Matches()
    value = _value(correlation, seen)
    if value is None:
        return row, False
    event, time_ms = digest_once(seen.activity.event_id), seen.activity.time_ms
    if event in [match.event for match in row.found]:
        return row, False
    found = list(row.found)
    for rule in matched:
        insort(found, Match(time_ms, event, rule, value))
    found = windowed(correlation, found)
    is_met = is_fulfilled(correlation, found)
    end_ms = found[-1].time_ms
    is_quiet = row.fired_ms is not None and end_ms < row.fired_ms + correlation.latch_ms
    if is_met and not is_quiet:
        return Matches(tuple(found), end_ms), True
    return Matches(tuple(found), row.fired_ms), False


def is_met(correlation: Correlation, before: Matches | None, row: Matches) -> bool:
    """Return whether an activity has been added to a window that now fulfils a correlation, also a quiet one."""
    return row is not before and bool(row.found) and is_fulfilled(correlation, row.found)


def windowed(correlation: Correlation, found: list[Match]) -> list[Match]:
    """Return the matches that are in the window which ends at the newest one, and at most `MATCHES_MAX`."""
    start_ms = found[-1].time_ms - correlation.timespan_ms
    kept = [match for match in found if match.time_ms > start_ms]
    over = len(kept) - MATCHES_MAX
    if over > 0:
        gone, kept = kept[:over], kept[over:]
        if correlation.type is CorrelationType.VALUE_SUM:
            kept[0] = kept[0]._replace(value=kept[0].value + sum(match.value for match in gone))
    return kept


def is_fulfilled(correlation: Correlation, found: Sequence[Match]) -> bool:
    """Return whether the matches of a window fulfil a correlation."""
    kind = correlation.type
    if kind in _IN_TIME and correlation.expression is not None:
        named = [(match.event, match.rule) for match in found]
        holds = holds_together if kind is CorrelationType.TEMPORAL else holds_in_order
        return holds(correlation.expression, named)
    if kind in _IN_TIME and not correlation.conditions:
        if kind is CorrelationType.TEMPORAL:
            return len({match.rule for match in found}) == len(correlation.rules)
        return _is_ordered(correlation, found)
    values = [match.value for match in found]
    if kind is CorrelationType.TEMPORAL:
        measured = float(len({match.rule for match in found}))
    elif kind is CorrelationType.TEMPORAL_ORDERED:
        measured = float(longest_in_order((match.event, match.rule) for match in found))
    elif kind is CorrelationType.EVENT_COUNT:
        # An activity that several rules select is one event.
        measured = float(len({match.event for match in found}))
    elif kind is CorrelationType.VALUE_COUNT:
        measured = float(len(set(values)))
    elif kind is CorrelationType.VALUE_SUM:
        measured = float(sum(values))
    elif kind is CorrelationType.VALUE_AVG:
        measured = sum(values) / len(values)
    elif kind is CorrelationType.VALUE_MEDIAN:
        measured = median(values)
    else:
        measured = percentile(values, correlation.percentile)
    return all(COMPARISONS[name](measured, wanted) for name, wanted in correlation.conditions)


def percentile(values: Sequence[float], wanted: float) -> float:
    """Return a percentile by the nearest rank: the smallest value that `wanted` percent of the values don't exceed."""
    ordered = sorted(values)
    return ordered[max(0, ceil(wanted / 100.0 * len(ordered)) - 1)]


def _is_ordered(correlation: Correlation, found: Sequence[Match]) -> bool:
    """Return whether the rules have matched in order, each by an event of its own."""
    wanted, last = 0, None
    for match in found:
        if match.rule == wanted and match.event != last:
            wanted, last = wanted + 1, match.event
            if wanted == len(correlation.rules):
                return True
    return False


def _value(correlation: Correlation, seen: Seen) -> float | None:
    """Return what is kept of a match: a number, or a digest of a text."""
    if correlation.field is None or correlation.type in _IN_TIME:
        return 0.0
    value = value_of(correlation.field, seen)
    if correlation.type in _NUMERIC:
        return float(value) if isinstance(value, float | int) else None
    return None if value is None else float(digest_of(str(value)))
