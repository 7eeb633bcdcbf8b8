"""A storm of sessions is compared with what is usual of whoever has delegated to them."""

from __future__ import annotations

import pytest

from streams.behaviour.activity import DAY_MS, HOUR_MS, Activity
from tests.unit.behaviour.kit import AFTER_MS, START_MS, Rows, activity, declared, names_found, observe_all, watcher

STORM = declared(
    "deleg_velocity",
    8,
    key=("delegation.root",),
    peer=("agent.type",),
    window_ms=6 * HOUR_MS,
    min_support=3,
    deviations=4.0,
)


def children(count: int, time_ms: int, root: str, **fields: object) -> list[Activity]:
    """One call of each of some sessions under one grant, by three agents in turn."""
    given = {"root": root, "depth": 2, "delegator": "planner", **fields}
    return [
        activity(time_ms + at * 60_000, session=f"{root}-{at}", **{"agent": f"helper-{at % 3}", **given})
        for at in range(count)
    ]


def found_after(days: int, usual: int, then: list[Activity], **fields: object) -> list[str]:
    """The names of what is found after days on which a planner has given others some tasks."""
    rows, watch = Rows(), watcher(STORM)
    for day in range(days):
        observe_all(watch, rows, children(usual, START_MS + day * DAY_MS + 9 * HOUR_MS, f"day-{day}", **fields))
    return names_found(observe_all(watch, rows, then))


@pytest.mark.parametrize(
    ("count", "by", "depth", "wanted"),
    [
        # Whoever plans the work of others gives a few more tasks now and then,
        (10, "planner", 2, []),
        # but not many more,
        (20, "planner", 2, ["deleg_velocity"]),
        # and not in a deep chain.
        (10, "planner", 6, ["deleg_velocity"]),
        # An agent that never delegates does not hide behind it, whomever it delegates to,
        (8, "helper-7", 2, ["deleg_velocity"]),
        (8, "helper-1", 2, ["deleg_velocity"]),
        (7, "helper-7", 2, []),
    ],
)
def test_a_storm_is_compared_with_who_has_delegated(count: int, by: str, depth: int, wanted: list[str]) -> None:
    storm = children(count, AFTER_MS, "storm", delegator=by, depth=depth)
    assert found_after(18, 5, storm) == wanted


def test_what_several_agents_have_handed_on_is_compared_with_whom_it_has_reached() -> None:
    # The helpers are given five tasks a day, whoever gives them.
    assert found_after(18, 5, children(10, AFTER_MS, "storm", delegator="")) == []
    assert found_after(18, 1, children(10, AFTER_MS, "storm", delegator="")) == ["deleg_velocity"]


def test_where_nobody_has_delegated_yet_the_threshold_counts() -> None:
    assert found_after(0, 5, children(7, AFTER_MS, "storm")) == []
    assert found_after(0, 5, children(8, AFTER_MS, "storm")) == ["deleg_velocity"]
    # Of whom it has reached through several agents, half as many again.
    assert found_after(0, 5, children(11, AFTER_MS, "storm", delegator="")) == []
    assert found_after(0, 5, children(12, AFTER_MS, "storm", delegator="")) == ["deleg_velocity"]


def test_an_agent_that_begins_to_plan_work_is_an_alert_for_four_days() -> None:
    rows, watch, found = Rows(), watcher(STORM), []
    for day in range(6):
        plan = children(10, START_MS + day * DAY_MS + 9 * HOUR_MS, f"plan-{day}")
        found.append(names_found(observe_all(watch, rows, plan)))
    assert found == [["deleg_velocity"]] * 4 + [[]] * 2


def test_whoever_delegates_a_little_may_delegate_a_dozen_tasks_but_no_more() -> None:
    assert found_after(18, 3, children(11, AFTER_MS, "storm")) == []
    assert found_after(18, 3, children(13, AFTER_MS, "storm")) == ["deleg_velocity"]


def test_whoever_has_delegated_single_tasks_for_days_gains_nothing_by_that() -> None:
    assert found_after(18, 1, children(8, AFTER_MS, "storm")) == ["deleg_velocity"]


def test_a_storm_does_not_teach_what_is_usual() -> None:
    rows, watch = Rows(), watcher(STORM)
    for day in range(18):
        observe_all(watch, rows, children(5, START_MS + day * DAY_MS + 9 * HOUR_MS, f"day-{day}"))
    for day in range(3):
        storm = children(30, AFTER_MS + day * 2 * DAY_MS, f"storm-{day}")
        assert names_found(observe_all(watch, rows, storm)) == ["deleg_velocity"]


def test_a_session_that_nobody_has_delegated_to_is_no_part_of_a_storm() -> None:
    alone = children(40, AFTER_MS, "storm", depth=1, delegator="")
    assert found_after(18, 5, alone) == []
