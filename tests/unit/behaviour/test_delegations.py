"""A storm of sessions is compared with what is usual of whoever has delegated to them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

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
        # An agent that never delegates has half as many again as the threshold, whomever it delegates to.
        (12, "helper-7", 2, ["deleg_velocity"]),
        (12, "helper-1", 2, ["deleg_velocity"]),
        (11, "helper-7", 2, []),
    ],
)
def test_a_storm_is_compared_with_who_has_delegated(count: int, by: str, depth: int, wanted: list[str]) -> None:
    storm = children(count, AFTER_MS, "storm", delegator=by, depth=depth)
    assert found_after(18, 5, storm) == wanted


def test_what_several_agents_have_handed_on_is_compared_with_whom_it_has_reached() -> None:
    # The helpers are given five tasks a day, whoever gives them.
    assert found_after(18, 5, children(10, AFTER_MS, "storm", delegator="")) == []
    assert found_after(18, 1, children(10, AFTER_MS, "storm", delegator="")) == ["deleg_velocity"]


@pytest.mark.parametrize("delegator", ["planner", ""])
def test_where_nobody_has_delegated_yet_half_as_many_again_are_a_storm(delegator: str) -> None:
    assert found_after(0, 5, children(11, AFTER_MS, "storm", delegator=delegator)) == []
    assert found_after(0, 5, children(12, AFTER_MS, "storm", delegator=delegator)) == ["deleg_velocity"]


@pytest.mark.parametrize(("tasks", "alerts"), [(11, 0), (13, 4)])
def test_an_agent_that_begins_to_plan_work_is_no_alert_below_a_dozen_tasks(tasks: int, alerts: int) -> None:
    rows, watch, found = Rows(), watcher(STORM), []
    for day in range(6):
        plan = children(tasks, START_MS + day * DAY_MS + 9 * HOUR_MS, f"plan-{day}")
        found.append(names_found(observe_all(watch, rows, plan)))
    assert found == [["deleg_velocity"]] * alerts + [[]] * (6 - alerts)


def test_whoever_delegates_a_little_may_delegate_a_dozen_tasks_but_no_more() -> None:
    assert found_after(18, 3, children(11, AFTER_MS, "storm")) == []
    assert found_after(18, 3, children(13, AFTER_MS, "storm")) == ["deleg_velocity"]


@pytest.mark.parametrize(("usual", "bound"), [(1, 12), (2, 10), (3, 12)])
def test_whoever_has_delegated_few_tasks_for_days_gains_nothing_by_that(usual: int, bound: int) -> None:
    # Of single tasks nothing is learned: it is as if there had been none.
    assert found_after(18, usual, children(bound - 1, AFTER_MS, "storm")) == []
    assert found_after(18, usual, children(bound, AFTER_MS, "storm")) == ["deleg_velocity"]


@pytest.mark.parametrize("handed_on", [0, 1, 3])
def test_a_worker_does_not_move_what_is_usual_of_whoever_has_given_it_work(handed_on: int) -> None:
    """The planner gives two tasks a day. A worker hands on some more under the same grant, and then it goes on."""
    rows, watch = Rows(), watcher(STORM)
    for day in range(36):
        start_ms, root = START_MS + (day - 18) * DAY_MS + 9 * HOUR_MS, f"day-{day}"
        plan = children(2, start_ms, root)
        more = children(handed_on if day >= 18 else 0, start_ms + HOUR_MS, f"{root}-more")
        more = [replace(each, root=root, depth=3, delegator="") for each in more]
        later = [replace(each, event_id=f"{each.event_id}-later", time_ms=start_ms + 2 * HOUR_MS) for each in plan]
        assert names_found(observe_all(watch, rows, [*plan, *more, *later])) == []
    assert names_found(observe_all(watch, rows, children(10, AFTER_MS, "storm"))) == ["deleg_velocity"]


def test_an_alert_says_who_has_given_the_work() -> None:
    for delegator, wanted in (("planner", "given by planner"), ("", "given by agents that are not known")):
        watch = watcher(replace(STORM, explain="{count} sessions, given by {by}; the usual peak is {usual}"))
        found = observe_all(watch, Rows(), children(12, AFTER_MS, "storm", delegator=delegator))
        explained = [finding.explain for each in found for finding in each.findings]
        assert explained == [f"12 sessions, {wanted}; the usual peak is not known"]


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
