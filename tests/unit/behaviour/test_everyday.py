"""Everyday work that looks like an attack: nightly and weekly jobs, polls as peers make them, storms of many agents."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from bench.behaviour.judges import Detectors
from streams.behaviour.activity import DAY_MS, HOUR_MS, Activity
from streams.behaviour.declarations import Declaration
from streams.behaviour.watcher import Declared
from tests.unit.behaviour.kit import START_MS, Rows, activity, declared, names_found, observe_all, watcher

MINUTE_MS = 60_000
RATE = declared("rate_nb", 8, peer=("agent.type",), window_ms=HOUR_MS, min_support=24)
LOOP = declared(
    "loop", 10, key=("session.id",), peer=("agent.id", "tool.name"), window_ms=10 * MINUTE_MS, min_support=5
)
SWEEP = declared(
    "novel_cusum",
    21,
    key=("agent.id", "tool.name"),
    term="object.id",
    min_support=10,
    allowance=2,
    settle_ms=8 * DAY_MS,
)


def job(day: int, count: int, agent: str = "bot", every_ms: int = 15_000) -> Iterator[Activity]:
    """Yield a job of many calls in one hour of the night."""
    for at in range(count):
        at_ms = START_MS + day * DAY_MS + 2 * HOUR_MS + at * every_ms
        yield activity(at_ms, agent=agent, session=f"{agent} night {day}")


def hourly(day: int, agent: str = "bot") -> Iterator[Activity]:
    """Yield a day with two calls in each hour after the job."""
    for hour in range(3, 24):
        for at in range(2):
            at_ms = START_MS + day * DAY_MS + hour * HOUR_MS + at * 1_000
            yield activity(at_ms, agent=agent, session=f"{agent} {day} {hour}")


@pytest.mark.parametrize("agent", ["bot", "new one"], ids=["its own nights", "nights of a peer"])
def test_a_job_of_each_night_is_no_busy_hour_and_one_that_runs_away_is(agent: str) -> None:
    rows, watch = Rows(), watcher(RATE)
    for day in range(14):
        assert names_found(observe_all(watch, rows, [*job(day, 100), *hourly(day)])) == []
    observe_all(watch, rows, hourly(14, agent))
    assert names_found(observe_all(watch, rows, job(15, 180, agent))) == []
    assert names_found(observe_all(watch, rows, job(16, 1_500, agent, 2_000))) == ["rate_nb"]


def test_the_first_nights_of_a_fleet_are_no_busy_hours() -> None:
    rows, watch = Rows(), watcher(RATE)
    observe_all(watch, rows, [*hourly(0), *hourly(1)])
    assert names_found(observe_all(watch, rows, job(2, 200))) == []


def poll(agent: str, day: int, count: int) -> list[Activity]:
    """Return the calls of a session that waits for a job by asking for its state."""
    begin_ms = START_MS + day * DAY_MS + 10 * HOUR_MS
    named = {"agent": agent, "session": f"{agent} {day}", "tool": "jobs.status", "call": f"job of {agent} {day}"}
    return [activity(begin_ms + at * 4_000, **named) for at in range(count)]


@pytest.mark.parametrize(("cohort", "wanted"), [("bots", []), ("others", ["loop"])])
def test_a_new_agent_may_ask_as_often_as_its_peers_do(cohort: str, wanted: list[str]) -> None:
    rows, watch = Rows(), watcher(LOOP)
    for day in range(10):
        assert names_found(observe_all(watch, rows, poll("known", day, 24))) == []
    asked = [replace(each, cohort=cohort) for each in poll("new one", 11, 28)]
    assert names_found(observe_all(watch, rows, asked)) == wanted


@pytest.mark.parametrize(("days", "wanted"), [(10, ["loop"]), (0, [])], ids=["usual days are known", "a new agent"])
def test_who_comes_back_to_one_record_with_other_arguments_is_stuck(days: int, wanted: list[str]) -> None:
    rows, watch = Rows(), watcher(replace(LOOP, term="object.id"))
    for day in range(days):
        reads = [
            activity(START_MS + day * DAY_MS + at * MINUTE_MS, tool="crm.read", call=f"{day} {at}", object=f"o-{at}")
            for at in range(9)
        ]
        observe_all(watch, rows, reads)
    begin_ms, tools = START_MS + 11 * DAY_MS, ("crm.read", "crm.search", "crm.update")
    stuck = [
        activity(begin_ms + at * 8_000, session="stuck", tool=tools[at % 3], call=f"call {at}", object="case-77")
        for at in range(60)
    ]
    assert names_found(observe_all(watch, rows, stuck)) == wanted
    listed = [replace(each, object=f"case-{at}", session="list", event_id=f"l-{at}") for at, each in enumerate(stuck)]
    assert names_found(observe_all(watch, rows, listed)) == []


@pytest.mark.parametrize(("between", "wanted"), [(0, []), (1, ["loop"])], ids=["in a row", "in turn with reads"])
def test_who_reads_a_list_page_by_page_gets_on(between: int, wanted: list[str]) -> None:
    rows, watch = Rows(), watcher(replace(LOOP, term="object.id"))
    for day in range(10):
        begin_ms = START_MS + day * DAY_MS
        searches = [activity(begin_ms + at * MINUTE_MS, tool="crm.search", object=f"list-{at}") for at in range(9)]
        observe_all(watch, rows, searches)
    asked: list[Activity] = []
    for at in range(60):
        at_ms = START_MS + 11 * DAY_MS + at * 8_000
        asked.append(activity(at_ms, session="pages", tool="crm.search", call=f"page {at}", object="orders"))
        asked += [activity(at_ms + 4_000, session="pages", call=f"read {at}", object=f"o-{at}")] * between
    assert names_found(observe_all(watch, rows, asked)) == wanted


@pytest.mark.parametrize(("window_ms", "wanted"), [(10 * MINUTE_MS, ["fan_out"]), (6 * HOUR_MS, [])])
def test_many_objects_of_which_no_days_are_known_alert_within_minutes_only(window_ms: int, wanted: list[str]) -> None:
    it = declared("fan_out", 8, term="object.id", window_ms=window_ms, min_support=5, explain="{count} beside {usual}")
    read = [activity(START_MS + at * 5_000, object=f"o-{at}") for at in range(100)]
    found = observe_all(watcher(it), Rows(), read)
    assert names_found(found) == wanted
    assert {each.explain for seen in found for each in seen.findings} <= {"40 beside not known"}


def opened(day: int, names: Iterator[str] | list[str], tool: str = "db.extract") -> list[Activity]:
    """Return a job that opens one object after the other."""
    begin_ms = START_MS + day * DAY_MS + 2 * HOUR_MS
    return [
        activity(begin_ms + at * MINUTE_MS, session=f"{tool} {day}", tool=tool, object=name)
        for at, name in enumerate(names)
    ]


USUAL = [f"table-{at}" for at in range(12)]
WEEKLY = [f"weekly-{at}" for at in range(12)]


def test_what_comes_once_a_week_has_come_once_before_anything_is_a_sweep() -> None:
    rows, watch = Rows(), watcher(SWEEP)
    for day in range(21):
        tables = [*USUAL, *WEEKLY] if day % 7 == 6 else USUAL
        assert names_found(observe_all(watch, rows, opened(day, tables))) == []
    assert names_found(observe_all(watch, rows, opened(21, [f"other-{at}" for at in range(12)]))) == ["novel_cusum"]


def test_a_tool_that_an_old_agent_takes_up_has_no_week_of_its_own() -> None:
    rows, watch = Rows(), watcher(SWEEP)
    for day in range(9):
        observe_all(watch, rows, opened(day, USUAL))
    observe_all(watch, rows, opened(9, USUAL * 20, "vault.read"))
    swept = opened(10, [f"secret-{at}" for at in range(12)], "vault.read")
    assert names_found(observe_all(watch, rows, swept)) == ["novel_cusum"]


STORM: Declaration = declared(
    "deleg_velocity", 6, key=("delegation.root",), peer=("agent.type",), window_ms=10 * MINUTE_MS, min_support=5
)


def test_a_storm_of_many_agents_is_one_alert_and_two_storms_are_two() -> None:
    judge = Detectors(Declared((STORM,)))
    found = []
    for root in ("first", "second"):
        for at in range(60):
            child = {"agent": f"bot-{at % 12}", "session": f"{root} {at}", "root": root, "depth": 2}
            found += [(root, name) for name in judge.alerts(activity(START_MS + at * 2_000, **child))]
    assert found == [("first", "deleg_velocity"), ("second", "deleg_velocity")]
