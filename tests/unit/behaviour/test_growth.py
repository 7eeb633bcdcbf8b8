"""What one agent may add to the state on a day, and what becomes of the rest."""

from __future__ import annotations

import pytest

from streams.behaviour.activity import DAY_MS, Activity
from streams.behaviour.correlations import Correlation, CorrelationType, FieldTest, Selection
from streams.behaviour.growth import Growth, counts_sessions, counts_terms, growth_on
from streams.behaviour.pages import OpenRows, RememberedRows
from streams.behaviour.watcher import Declared, Watcher
from tests.unit.behaviour.kit import START_MS, Rows, activity, declared, names_found, observe_all, office_days

TERMS_MAX = 20
KEPT = TERMS_MAX // 2
"""A new destination has a page of the agent and one of its peers."""
SESSIONS_MAX = 12
AFTER_MS = START_MS + 40 * DAY_MS
NEW_DEST = declared("new_terms", 1e6, name="dest", term="dest.domain", min_support=1)
AMOUNT = declared("arg_mad", 3.9, name="amount", value="call.amount", min_support=30)
STRANGE = Correlation(
    name="strange",
    title="Strange",
    type=CorrelationType.EVENT_COUNT,
    rules=(Selection("denied", (FieldTest("verdict.outcome", "", ("DENY",)),)),),
    group_by=("dest.domain",),
    timespan_ms=DAY_MS,
    conditions=(("gte", 1e6),),
)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.behaviour.growth.TERMS_PER_DAY_MAX", TERMS_MAX)
    monkeypatch.setattr("streams.behaviour.growth.SESSIONS_PER_DAY_MAX", SESSIONS_MAX)


def new_names(number: int, start_ms: int = AFTER_MS, **fields: object) -> list[Activity]:
    return [
        activity(
            start_ms + at * 1_000, **{"session": f"s-{at // 10}", "destination": f"{start_ms}-{at}.example", **fields}
        )
        for at in range(number)
    ]


def test_what_is_new_beyond_the_bound_leaves_no_row_and_is_one_finding() -> None:
    watch, rows = Watcher(Declared((NEW_DEST, AMOUNT))), Rows()
    seen = observe_all(watch, rows, new_names(100))
    assert names_found(seen) == ["too_many_rows"]
    (finding,) = [finding for each in seen for finding in each.findings]
    assert finding.activity.destination == f"{AFTER_MS}-{KEPT}.example"
    assert "bot brings more than 20 new tools" in finding.explain
    assert sum(key.startswith(b"agent.id+dest.domain") for key in rows) == KEPT
    assert not seen[KEPT - 1].is_full
    assert seen[KEPT].is_full


def test_what_is_known_of_the_agent_goes_on_and_there_is_room_again_on_the_next_day() -> None:
    watch, rows = Watcher(Declared((NEW_DEST, AMOUNT))), Rows()
    observe_all(watch, rows, office_days(20, amount=100.0, destination="known.example"))
    observe_all(watch, rows, new_names(100))
    outlier = activity(AFTER_MS + 200_000, amount=90_000.0, session="x", destination="known.example")
    assert names_found([watch.observe(rows, outlier)]) == ["amount"]
    before = len(rows)
    observe_all(watch, rows, new_names(3, AFTER_MS + 2 * DAY_MS, session="later"))
    assert sum(key.startswith(b"agent.id+dest.domain") for key in rows) == 1 + KEPT + 3
    assert len(rows) > before


def test_what_brings_nothing_new_is_learned_also_when_there_is_no_room() -> None:
    """A call without a destination has no page of one that could be new."""
    watch, rows = Watcher(Declared((NEW_DEST, AMOUNT))), Rows()
    observe_all(watch, rows, new_names(100))
    assert watch.observe(rows, activity(AFTER_MS + 200_000, session="x")).has_learned
    assert not watch.observe(rows, new_names(1, AFTER_MS + 201_000, session="y")[0]).has_learned


def test_sessions_have_a_bound_of_their_own() -> None:
    loop = declared("loop", 10, key=("session.id",), min_support=5)
    watch, rows = Watcher(Declared((loop,))), Rows()
    calls = [activity(AFTER_MS + at, session=f"s-{at}", call="c") for at in range(50)]
    assert names_found(observe_all(watch, rows, calls)) == ["too_many_rows"]
    assert sum(key.startswith(b"session.id") for key in rows) == SESSIONS_MAX


def test_groups_of_correlations_are_counted() -> None:
    watch, rows = Watcher(Declared((), (STRANGE,))), Rows()
    observe_all(watch, rows, new_names(100, outcome="DENY"))
    assert sum(key.startswith(b"=strange") for key in rows) == TERMS_MAX


def test_one_agent_takes_no_room_of_another() -> None:
    watch, rows = Watcher(Declared((NEW_DEST,))), Rows()
    observe_all(watch, rows, new_names(100))
    observe_all(watch, rows, new_names(10, agent="other", session="o"))
    assert sum(key.startswith(b"agent.id+dest.domain") for key in rows) == KEPT + 10


@pytest.mark.parametrize("size", [1, 7, 40, 200])
def test_the_bound_does_not_depend_on_how_decisions_are_cut_into_steps(size: int) -> None:
    stream = [*office_days(3, destination="known.example", owner="c"), *new_names(60, owner="c")]
    watch, rows = Watcher(Declared((NEW_DEST, AMOUNT), (STRANGE,))), Rows()
    expected = observe_all(watch, rows, stream)
    again, stepwise, found = Watcher(Declared((NEW_DEST, AMOUNT), (STRANGE,))), Rows(), []
    remembered = RememberedRows()
    for start in range(0, len(stream), size):
        open_rows = OpenRows(stepwise, remembered)
        found += [again.judge(open_rows, each) for each in stream[start : start + size]]
        open_rows.close()
    assert found == expected
    assert stepwise == rows


def test_fields_say_what_is_counted() -> None:
    assert [
        counts_terms(each) for each in (("agent.id",), ("agent.id", "dest.domain"), ("session.id", "object.id"))
    ] == [
        False,
        True,
        True,
    ]
    assert [counts_sessions(each) for each in (("agent.id",), ("session.id",), ("session.id", "object.id"))] == [
        False,
        True,
        False,
    ]


def test_an_earlier_day_counts_as_the_newest_one() -> None:
    grown = Growth(day=10, terms=3)
    assert growth_on(grown, 9 * DAY_MS) == growth_on(grown, 10 * DAY_MS) == grown
    assert growth_on(grown, 11 * DAY_MS) == growth_on(None, 11 * DAY_MS) == Growth(day=11)
