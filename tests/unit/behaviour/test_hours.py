"""Work at unusual hours (`off_hours`)."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from streams.behaviour.activity import DAY_MS, HOUR_MS
from streams.behaviour.watcher import Watcher
from tests.unit.behaviour.kit import START_MS, Rows, activity, declared, names_found, observe_all, office_days, watcher


def night_work(
    watch: Watcher, rows: Rows, hour: int, agent: str = "bot", *, day: int = 22, count: int = 8
) -> list[str]:
    """What is found if an agent works at an hour of a day after three weeks: more than in an hour of usual work."""
    at_ms = START_MS + day * DAY_MS + hour * HOUR_MS
    calls = [activity(at_ms + at * 1_000, agent=agent, session=f"{agent} at {day} {hour}") for at in range(count)]
    return names_found(observe_all(watch, rows, calls))


def test_hours_are_counted_by_days_and_not_by_calls() -> None:
    it = declared("off_hours", 8, min_support=10, settle_ms=14 * DAY_MS)
    rows, watch = Rows(), watcher(it)
    # A thousand calls of one morning are one day.
    observe_all(watch, rows, [activity(START_MS + 9 * HOUR_MS + at * 2_000, session="m") for at in range(1_000)])
    assert night_work(watch, rows, 3) == []
    observe_all(watch, rows, office_days(20, agent="other"))
    assert night_work(watch, rows, 3, "other") == ["off_hours"]


@pytest.mark.parametrize(
    ("hour", "found"), [(8, []), (7, []), (6, ["off_hours"]), (14, []), (16, []), (23, ["off_hours"])]
)
def test_work_that_lasts_longer_is_no_other_rhythm_and_work_long_before_is(hour: int, found: list[str]) -> None:
    it = declared("off_hours", 7, min_support=10, settle_ms=14 * DAY_MS)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, [replace(each, agent="bot") for each in office_days(20)])
    assert night_work(watch, rows, hour) == found


def test_an_hour_at_which_peers_work_is_less_of_a_surprise() -> None:
    it = declared("off_hours", 9, peer=("agent.type",), min_support=10, settle_ms=14 * DAY_MS)
    for hour_of_peer, found in ((9, ["off_hours"]), (3, [])):
        rows, watch = Rows(), watcher(it)
        observe_all(watch, rows, office_days(20))
        for at in range(3):
            shift_ms = (hour_of_peer - 9) * HOUR_MS
            peers = [replace(each, time_ms=each.time_ms + shift_ms) for each in office_days(20, agent=f"peer-{at}")]
            observe_all(watch, rows, peers)
        assert night_work(watch, rows, 3) == found


def nights(watch: Watcher, rows: Rows, agents: list[str], days: range) -> list[tuple[str, int]]:
    """Return which agents alert on which days, if all of them have a job at three at night."""
    found = []
    for day in days:
        for number, agent in enumerate(agents):
            at_ms = START_MS + (22 + day) * DAY_MS + 3 * HOUR_MS + number * 60_000
            calls = [activity(at_ms + call, agent=agent, session=f"{agent} night {day}") for call in range(8)]
            found += [(agent, day) for _ in names_found(observe_all(watch, rows, calls))]
    return found


def test_a_job_that_is_rolled_out_to_many_agents_is_found_with_the_first_of_them() -> None:
    it = declared("off_hours", 8, peer=("agent.type",), min_support=10, settle_ms=14 * DAY_MS)
    rows, watch, agents = Rows(), watcher(it), [f"bot-{number}" for number in range(6)]
    for agent in agents:
        observe_all(watch, rows, office_days(20, agent=agent))
    assert nights(watch, rows, agents, range(4)) == [("bot-0", 0), ("bot-1", 0)]


def test_others_of_another_hour_or_of_last_week_are_no_excuse() -> None:
    it = declared("off_hours", 8, peer=("agent.type",), min_support=10, settle_ms=14 * DAY_MS)
    rows, watch, agents = Rows(), watcher(it), [f"bot-{number}" for number in range(5)]
    for agent in agents:
        observe_all(watch, rows, office_days(20, agent=agent))
    assert nights(watch, rows, agents[:2], range(1)) == [("bot-0", 0), ("bot-1", 0)]
    assert night_work(watch, rows, 23, "bot-2") == ["off_hours"]
    assert nights(watch, rows, agents[3:], range(6, 7)) == [("bot-3", 6), ("bot-4", 6)]


def test_a_new_nightly_job_is_one_alert_in_a_month() -> None:
    it = declared("off_hours", 8, min_support=10, settle_ms=14 * DAY_MS)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, office_days(20))
    assert nights(watch, rows, ["bot"], range(29)) == [("bot", 0)]


def test_a_little_work_at_night_is_no_alert_and_a_job_the_night_after() -> None:
    it = declared("off_hours", 8, min_support=10, settle_ms=14 * DAY_MS)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, office_days(20))
    assert night_work(watch, rows, 3, count=3) == []
    observe_all(watch, rows, (replace(each, time_ms=each.time_ms + 22 * DAY_MS) for each in office_days(1)))
    # What was quiet and is over has been learned.
    assert night_work(watch, rows, 3, day=23, count=40) == []
    assert night_work(watch, rows, 22, day=23, count=40) == ["off_hours"]


@pytest.mark.parametrize(
    ("threshold", "count", "found"),
    [(10, 12, []), (10, 24, ["off_hours"]), (14, 200, [])],
    ids=["four hours' work", "eight hours' work", "too little of a surprise for any amount"],
)
def test_an_hour_that_is_a_little_odd_alerts_with_much_work(threshold: float, count: int, found: list[str]) -> None:
    it = declared("off_hours", threshold, min_support=10, settle_ms=14 * DAY_MS)
    rows, watch = Rows(), watcher(it)
    # An hour without any work is 10.1 bits now.
    observe_all(watch, rows, office_days(20))
    assert night_work(watch, rows, 3, count=count) == found


def test_some_work_at_an_hour_that_is_a_little_odd_is_learned_when_it_is_over() -> None:
    it = declared("off_hours", 11.5, min_support=10, settle_ms=14 * DAY_MS)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, office_days(20))
    assert night_work(watch, rows, 3, count=8) == []
    observe_all(watch, rows, (replace(each, time_ms=each.time_ms + 22 * DAY_MS) for each in office_days(1)))
    assert night_work(watch, rows, 3, day=23, count=40) == []


def test_a_night_is_not_learned_before_it_is_over_and_never_if_it_has_alerted() -> None:
    it = declared("off_hours", 8, min_support=10, settle_ms=14 * DAY_MS)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, office_days(20))
    assert night_work(watch, rows, 2, count=3) == []
    assert night_work(watch, rows, 3, count=3) == ["off_hours"]
    observe_all(watch, rows, (replace(each, time_ms=each.time_ms + 22 * DAY_MS) for each in office_days(30)))
    # The alert is forgotten, and the hours are as odd as before.
    assert night_work(watch, rows, 2, day=60) == ["off_hours"]


@pytest.mark.parametrize(
    ("runs", "found"),
    [
        ([(4, 21), (11, 4)], []),
        # Once is no habit, and days that last longer are no runs at any hour.
        ([(11, 4)], ["off_hours"]),
        ([(4, 13), (11, 13)], ["off_hours"]),
    ],
)
def test_whoever_sometimes_works_at_any_hour_does_so_again(runs: list[tuple[int, int]], found: list[str]) -> None:
    it = declared("off_hours", 8, min_support=10, settle_ms=14 * DAY_MS)
    rows, watch = Rows(), watcher(it)
    extra = [activity(START_MS + day * DAY_MS + hour * HOUR_MS, session=f"r-{day}") for day, hour in runs]
    observe_all(watch, rows, sorted([*office_days(20), *extra], key=lambda each: each.time_ms))
    assert night_work(watch, rows, 1, count=40) == found


@pytest.mark.parametrize(
    ("hours", "found"),
    [
        ((18, 20, 21, 22, 23), []),
        # Nothing leads there, or a pause of three hours lies between.
        ((22,), ["off_hours"]),
        ((19, 22), ["off_hours"]),
    ],
)
def test_an_evening_that_goes_on_is_one_working_day(hours: tuple[int, ...], found: list[str]) -> None:
    watch, rows = after_a_working_day()
    assert [name for hour in hours for name in night_work(watch, rows, hour)] == found


def test_a_night_that_begins_with_little_work_is_no_evening_that_goes_on() -> None:
    watch, rows = after_a_working_day()
    assert night_work(watch, rows, 24, count=1) == []
    assert night_work(watch, rows, 25) == ["off_hours"]


def after_a_working_day() -> tuple[Watcher, Rows]:
    """A bot that has worked from nine to five for three weeks, and today."""
    rows, watch = Rows(), watcher(declared("off_hours", 8.5, min_support=10, settle_ms=14 * DAY_MS))
    observe_all(watch, rows, office_days(20, per_day=24))
    today = [replace(each, time_ms=each.time_ms + 22 * DAY_MS) for each in office_days(1, per_day=24)]
    assert names_found(observe_all(watch, rows, today)) == []
    return watch, rows


RISK = declared("risk", 1e6, name="session", key=("session.id",), half_life_ms=HOUR_MS // 2)


@pytest.mark.parametrize(
    ("threshold", "things", "found"),
    [(9, 1, []), (9, 4, ["off_hours"]), (8, 1, ["off_hours"])],
    ids=["an hour alone", "much is read", "far from any usual hour"],
)
def test_an_hour_alone_needs_a_second_sign_or_a_quarter_more(threshold: float, things: int, found: list[str]) -> None:
    hours = declared("off_hours", threshold, min_support=10, settle_ms=14 * DAY_MS)
    fan = declared(
        "fan_out", 8, key=("agent.id", "tool.name"), term="object.id", window_ms=600_000, min_support=5, alerts=False
    )
    rows, watch = Rows(), watcher(hours, fan, RISK)
    observe_all(watch, rows, office_days(20, object="o-1"))
    at_ms = START_MS + 22 * DAY_MS + 3 * HOUR_MS
    night = [activity(at_ms + at * 1_000, session="night", object=f"n-{at % things}") for at in range(8)]
    assert names_found(observe_all(watch, rows, night)) == found
