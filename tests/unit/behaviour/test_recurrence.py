"""What comes again and again about one agent and one tool alerts ever less, and is never mute (`recurrence`)."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from streams.behaviour.activity import DAY_MS, HOUR_MS, Activity
from streams.behaviour.correlations import Correlation, CorrelationType, FieldTest, Selection
from streams.behaviour.findings import Finding
from streams.behaviour.pages import OpenRows, RememberedRows
from streams.behaviour.watcher import Declared, Watcher
from tests.unit.behaviour.kit import AFTER_MS, Rows, activity, declared, mixed, observe_all, watcher

AMOUNT = declared("arg_mad", 3.9, value="call.amount", key=("agent.id", "tool.name"), min_support=30)
USUAL = 100.0


def paying(days: Iterable[int], amount: float = 300.0, **fields: object) -> list[Activity]:
    """Payments of an unusual amount, on these days after usual work."""
    return [
        activity(AFTER_MS + day * DAY_MS, **{"session": f"pays-{day}", "tool": "pay.send", "amount": amount, **fields})
        for day in days
    ]


def taught(**fields: object) -> tuple[Watcher, Rows]:
    """Return a watcher that knows the usual amounts of an agent."""
    watch, rows = watcher(AMOUNT), Rows()
    usual = [
        activity(each.time_ms, session=each.session, tool="pay.send", amount=USUAL + at % 7, **fields)
        for at, each in enumerate(mixed(20))
    ]
    observe_all(watch, rows, usual)
    return watch, rows


def days_alerted(watch: Watcher, rows: Rows, calls: Iterable[Activity]) -> list[int]:
    """Return the days after usual work on which something is found."""
    return [(each.time_ms - AFTER_MS) // DAY_MS for each in calls if watch.observe(rows, each).findings]


def test_what_an_agent_does_each_second_day_alerts_ever_less_and_not_never() -> None:
    watch, rows = taught()
    # Two alerts, and then a week, a fortnight and a month without one.
    assert days_alerted(watch, rows, paying(range(0, 90, 2))) == [0, 2, 10, 24, 52, 82]


def test_what_becomes_as_much_stronger_as_it_recurs_alerts_at_once() -> None:
    watch, rows = taught()
    assert days_alerted(watch, rows, paying((0, 2, 4))) == [0, 2]
    assert days_alerted(watch, rows, paying((5,), amount=800.0)) == [5]


@pytest.mark.parametrize(("fields", "wanted"), [({}, []), ({"agent": "other"}, [5]), ({"tool": "pay.order"}, [5])])
def test_another_tool_and_another_agent_know_nothing_of_it(fields: dict[str, object], wanted: list[int]) -> None:
    watch, rows = taught()
    if fields:
        observe_all(watch, rows, [_with(each, fields) for each in mixed(20)])
    assert days_alerted(watch, rows, paying((0, 2))) == [0, 2]
    assert days_alerted(watch, rows, paying((5,), **fields)) == wanted


def _with(each: Activity, fields: dict[str, object]) -> Activity:
    given = {"session": f"more-{each.session}", "tool": "pay.send", "amount": USUAL, **fields}
    return activity(each.time_ms, **given)


def closed(watch: Watcher, rows: Rows, finding: Finding, now_ms: int, *, is_false: bool) -> None:
    """Let a person close an alert."""
    opened = OpenRows(rows, RememberedRows())
    watch.reports.remember(opened, finding, "finding-1")
    watch.reports.close(opened, "acme", "finding-1", "status-1", now_ms, is_false=is_false)
    opened.close()


@pytest.mark.parametrize(
    ("is_false", "amount", "wanted"),
    [
        # What is alike has a bar of its own, 1.25 times the alert (see `feedback`). This is above it.
        (True, 500.0, []),
        (True, 1_000.0, [4]),
        # It was right: as if there had been none.
        (False, 300.0, [4, 6, 14]),
    ],
)
def test_a_person_who_closes_an_alert_counts_more(is_false: bool, amount: float, wanted: list[int]) -> None:
    watch, rows = taught()
    first = [finding for each in paying((0, 2)) for finding in watch.observe(rows, each).findings][-1]
    closed(watch, rows, first, AFTER_MS + 2 * DAY_MS + HOUR_MS, is_false=is_false)
    assert days_alerted(watch, rows, paying((4, 6, 8, 10, 12, 14), amount)) == wanted


DENIED = Selection("denied", (FieldTest("verdict.outcome", "", ("DENY",)),))
LARGE = Selection("large", (FieldTest("signal.arg_mad", "gt", (3.9,)),))


@pytest.mark.parametrize(
    ("rule", "outcome", "amount_on_day_4", "wanted"),
    [
        # Nothing says how strong it is, so it would be mute for a week, and then for longer.
        (DENIED, "DENY", 300.0, [0, 2, 4, 6, 8, 10, 12]),
        (LARGE, "ALLOW", 300.0, [0, 2, 10]),
        (LARGE, "ALLOW", 3_000.0, [0, 2, 4]),
    ],
)
def test_a_correlation_recurs_if_its_rule_asks_for_a_signal(
    rule: Selection, outcome: str, amount_on_day_4: float, wanted: list[int]
) -> None:
    it = Correlation(
        name="asked", title="Asked", type=CorrelationType.EVENT_COUNT, rules=(rule,), group_by=("session.id",),
        timespan_ms=HOUR_MS, conditions=(("gte", 1.0),),
    )  # fmt: skip
    quiet = declared("arg_mad", 3.9, value="call.amount", key=("agent.id", "tool.name"), min_support=30, alerts=False)
    watch, rows = Watcher(Declared((quiet,), (it,))), Rows()
    usual = [
        activity(each.time_ms, session=each.session, tool="pay.send", amount=USUAL + at % 7)
        for at, each in enumerate(mixed(20))
    ]
    observe_all(watch, rows, usual)
    calls = [
        call
        for day in range(0, 14, 2)
        for call in paying((day,), amount_on_day_4 if day == 4 else 300.0, outcome=outcome)
    ]
    assert days_alerted(watch, rows, calls) == wanted
