"""Sessions that come back to the same person over days (`returns`)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streams.behaviour.activity import DAY_MS, HOUR_MS, Activity
from streams.behaviour.watcher import Watcher
from tests.unit.behaviour.kit import START_MS, Rows, activity, declared, names_found, observe_all, watcher

AGAIN = declared(
    "returns",
    4,
    peer=("agent.type",),
    term="object.owner",
    window_ms=7 * DAY_MS,
    settle_ms=8 * DAY_MS,
    min_support=5,
    deviations=3.0,
)
DAYS = 20


def looked_up(day: int, number: int, owner: str, calls: int = 1, **fields: object) -> list[Activity]:
    """Return a session about somebody."""
    begin_ms = START_MS + day * DAY_MS + 9 * HOUR_MS + number * HOUR_MS
    session = {"session": f"s-{day}-{number}-{owner}", "tool": "crm.get", "owner": owner}
    return [activity(begin_ms + at * 60_000, **{**session, **fields}) for at in range(calls)]


def usual(returns: int = 1) -> Iterator[Activity]:
    """Yield days on which an agent deals with four people, each of them in as many sessions of a week."""
    for day in range(DAYS):
        for number in range(4):
            yield from looked_up(day, number, f"p-{day // returns}-{number}", calls=3)


def taught(returns: int = 1) -> tuple[Watcher, Rows]:
    watch, rows = watcher(AGAIN), Rows()
    assert names_found(observe_all(watch, rows, usual(returns))) == []
    return watch, rows


def test_who_is_looked_up_in_session_after_session_is_found_and_named_once() -> None:
    watch, rows = taught()
    calls = [each for day in range(4) for at in range(3) for each in looked_up(DAYS + day, at, "eve")]
    found = [each for seen in observe_all(watch, rows, calls) for each in seen.findings]
    assert [(each.name, each.activity.owner) for each in found] == [("returns", "eve")]
    # What is usual is one, and twice would be usual enough.
    assert found[0].activity.session == calls[3].session


@pytest.mark.parametrize(
    "calls",
    [
        looked_up(DAYS, 1, "eve", calls=40),
        [each for at in range(12) for each in looked_up(DAYS, at, "eve", root="one-grant")],
        [each for at in range(12) for each in looked_up(DAYS, at, f"other-{at}")],
        [each for at in range(12) for each in looked_up(DAYS, at, "eve", outcome="DENY")],
        [each for week in range(6) for each in looked_up(DAYS + 7 * week, 1, "eve")],
    ],
    ids=["one case", "helpers of one session", "many people", "denied", "once a week"],
)
def test_one_reason_to_look_is_no_return(calls: list[Activity]) -> None:
    watch, rows = taught()
    assert names_found(observe_all(watch, rows, calls)) == []


def test_who_usually_comes_back_may_come_back() -> None:
    calls = [each for day in range(5) for each in looked_up(DAYS + day, 1, "eve")]
    for returns, wanted in ((1, ["returns"]), (5, [])):
        watch, rows = taught(returns)
        assert names_found(observe_all(watch, rows, calls)) == wanted


def test_of_a_new_agent_nobody_knows_who_comes_back() -> None:
    watch, rows = watcher(AGAIN), Rows()
    calls = [each for day in range(6) for each in looked_up(day, 1, "eve")]
    assert names_found(observe_all(watch, rows, calls)) == []
