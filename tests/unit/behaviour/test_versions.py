"""Versions that do something else than the one before (`epoch_drift`)."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from streams.behaviour.activity import DAY_MS, Activity
from tests.unit.behaviour.kit import (
    AFTER_MS,
    START_MS,
    Rows,
    activity,
    declared,
    mixed,
    names_found,
    observe_all,
    watcher,
)


def test_small_changes_of_many_releases_are_compared_one_by_one() -> None:
    it = declared("epoch_drift", 6, min_support=60)
    rows, watch = Rows(), watcher(it)
    shares = (0.1, 0.15, 0.2, 0.27, 0.35, 0.45)
    for day, share in enumerate(shares):
        calls = [
            activity(
                START_MS + day * DAY_MS + at * 20_000,
                session=f"v{day}",
                epoch=f"v{day}",
                tool="a.send" if (at * share) % 1 < share else f"a.read{at % 2}",
            )
            for at in range(300)
        ]
        assert names_found(observe_all(watch, rows, calls)) == []
    jump = [
        activity(START_MS + 9 * DAY_MS + at * 20_000, session="x", epoch="x", tool=("a.read0", "a.wipe")[at % 2])
        for at in range(60)
    ]
    (found,) = [finding for each in observe_all(watch, rows, jump) for finding in each.findings]
    assert (found.name, found.activity.tool) == ("epoch_drift", "a.wipe")


def version(day: int, epoch: str, share: float, count: int = 300, agent: str = "bot") -> list[Activity]:
    """Return calls of a version, with a share of `a.send`."""
    return [
        activity(
            START_MS + day * DAY_MS + at * 20_000,
            agent=agent,
            session=f"{agent} {epoch} {at // 50}",
            epoch=epoch,
            tool="a.send" if (at * share) % 1 < share else f"a.read{at % 2}",
        )
        for at in range(count)
    ]


def test_a_version_that_does_what_was_reported_of_the_one_before_is_not_reported_again_and_more_of_it_is() -> None:
    it = declared("epoch_drift", 6, min_support=60)
    rows, watch = Rows(), watcher(it)
    seen = [
        names_found(observe_all(watch, rows, version(day, f"v{day}", share)))
        for day, share in ((0, 0.05), (3, 0.2), (6, 0.2), (9, 0.22), (12, 0.48))
    ]
    assert seen == [[], ["epoch_drift"], [], [], ["epoch_drift"]]
    # People who have heard of it are told again after a month.
    assert names_found(observe_all(watch, rows, version(60, "v60", 0.48))) == ["epoch_drift"]


def test_a_version_that_does_again_what_the_one_before_the_last_did_is_not_reported() -> None:
    it = declared("epoch_drift", 6, min_support=60)
    rows, watch = Rows(), watcher(it)
    shares = ((0, 0.4), (3, 0.15), (6, 0.4), (9, 0.4))
    seen = [names_found(observe_all(watch, rows, version(day, f"v{day}", share))) for day, share in shares]
    assert seen == [[], [], [], []]
    # It is the last but one, and not any that ever was.
    rows, watch = Rows(), watcher(it)
    shares = ((0, 0.4), (3, 0.15), (6, 0.15), (9, 0.4))
    seen = [names_found(observe_all(watch, rows, version(day, f"v{day}", share))) for day, share in shares]
    assert seen == [[], [], [], ["epoch_drift"]]


@pytest.mark.parametrize(("is_same", "wanted"), [(True, ["bot-0"]), (False, ["bot-0", "bot-1"])])
def test_what_new_versions_of_many_agents_do_alike_is_one_release(*, is_same: bool, wanted: list[str]) -> None:
    it = declared("epoch_drift", 6, peer=("agent.type",), min_support=60)
    rows, watch, found = Rows(), watcher(it), []
    agents = [f"bot-{number}" for number in range(5)]
    for agent in agents:
        observe_all(watch, rows, version(0, "v0", 0.05, agent=agent))
    for agent in agents:
        epoch = "v3" if is_same else f"v3 of {agent}"
        found += [agent for _ in names_found(observe_all(watch, rows, version(3, epoch, 0.4, agent=agent)))]
    assert found == wanted


@pytest.mark.parametrize(("every", "wanted"), [(14, []), (3, ["epoch_drift"])])
def test_a_tool_that_comes_with_a_version_may_take_a_tenth_of_its_calls(every: int, wanted: list[str]) -> None:
    it = declared("epoch_drift", 6, min_support=60)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, version(0, "v0", 0.2))
    calls = version(3, "v3", 0.2)
    used = [replace(call, tool="a.assist") if at % every == 0 else call for at, call in enumerate(calls)]
    assert names_found(observe_all(watch, rows, used)) == wanted


@pytest.mark.parametrize(("gone", "wanted"), [("a.send", []), ("a.wipe", ["epoch_drift"])])
def test_a_tool_that_takes_the_place_of_another_one_is_as_usual_as_that_was(gone: str, wanted: list[str]) -> None:
    """If the tool before is still called as often, the new one does something else."""
    it = declared("epoch_drift", 6, min_support=60)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, version(0, "v0", 0.3))
    after = [
        replace(call, tool="a.send_v2")
        if (call.tool == "a.send" if gone == "a.send" else at % 10 in (0, 3, 6))
        else call
        for at, call in enumerate(version(3, "v3", 0.3))
    ]
    assert names_found(observe_all(watch, rows, after)) == wanted


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ({"a.send": ["b.send"], "a.read0": ["b.read0"], "a.read1": ["b.read1"]}, []),
        ({"a.read0": ["b.read0"], "a.read1": ["b.read1"]}, []),
        ({"a.read0": ["a.wipe"], "a.read1": ["a.wipe"]}, ["epoch_drift"]),
        ({"a.read0": ["a.wipe"], "a.read1": [*["a.wipe"] * 5, "a.log"]}, ["epoch_drift"]),
    ],
    ids=["all", "a server", "one for two", "one for two, beside one that is hardly called"],
)
def test_a_server_that_has_another_name_is_no_other_behaviour(names: dict[str, list[str]], wanted: list[str]) -> None:
    it = declared("epoch_drift", 6, min_support=60)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, version(0, "v0", 0.4))
    after = [
        replace(call, tool=(now := names.get(call.tool, [call.tool]))[at // 4 % len(now)])
        for at, call in enumerate(version(3, "v3", 0.4))
    ]
    assert names_found(observe_all(watch, rows, after)) == wanted


def test_a_tool_in_use_that_is_called_instead_of_another_one_is_other_behaviour() -> None:
    """Nor is it new, so that nothing else would find it."""
    rows, watch = Rows(), watcher(declared("epoch_drift", 6, min_support=60))
    observe_all(watch, rows, of_tools(0, "v0", [*["a.read"] * 11, *["a.wipe"] * 2, *["a.list"] * 4, *["a.log"] * 3]))
    after = of_tools(3, "v3", [*["a.wipe"] * 12, *["a.list"] * 5, *["a.log"] * 3])
    assert names_found(observe_all(watch, rows, after)) == ["epoch_drift"]


def of_tools(day: int, epoch: str, tools: list[str]) -> list[Activity]:
    """Return calls of a version, with each tool as often as it is listed, in an order in which few come in a row."""
    return [
        activity(
            START_MS + day * DAY_MS + at * 20_000,
            session=f"{epoch} {at // 50}",
            epoch=epoch,
            tool=tools[at * 7 % len(tools)],
        )
        for at in range(300)
    ]


def test_an_errand_is_no_other_behaviour_of_a_version() -> None:
    it = declared("epoch_drift", 6, min_support=60)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, version(0, "v0", 0.3))
    errand = [
        activity(START_MS + DAY_MS + at, session="x", epoch="v1", tool=("m.send", "a.read0")[at % 2])
        for at in range(10)
    ]
    assert names_found(observe_all(watch, rows, errand)) == []


def test_a_release_that_changes_nothing_becomes_the_mature_epoch() -> None:
    it = declared("epoch_drift", 30, min_support=60)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, mixed(20))
    later = [
        activity(AFTER_MS + at * 60_000, session="v2", epoch="v2", tool=("crm.read", "docs.read", "mail.send")[at % 3])
        for at in range(700)
    ]
    assert names_found(observe_all(watch, rows, later)) == []
    changed = [
        activity(
            AFTER_MS + DAY_MS + at * 60_000,
            session=f"v3-{at // 30}",
            epoch="v3",
            tool=("shell.run", "crm.read")[at % 2],
        )
        for at in range(150)
    ]
    found = [finding for each in observe_all(watch, rows, changed) for finding in each.findings]
    assert [each.name for each in found] == ["epoch_drift"]


@pytest.mark.parametrize(("count", "wanted"), [(6, []), (35, []), (40, ["epoch_drift"])])
def test_what_one_session_does_needs_three_times_as_much(count: int, wanted: list[str]) -> None:
    rows, watch = Rows(), watcher(declared("epoch_drift", 6, min_support=60))
    observe_all(watch, rows, [*version(0, "v0", 0.1), *version(1, "v1", 0.1, 60)])
    asked_for = [
        activity(START_MS + 2 * DAY_MS + at * 20_000, session="x", epoch="v1", tool=("a.read0", "a.wipe")[at % 2])
        for at in range(2 * count)
    ]
    assert names_found(observe_all(watch, rows, asked_for)) == wanted


@pytest.mark.parametrize(("known", "wanted"), [(40, ["epoch_drift"]), (25, [])])
def test_a_version_is_compared_with_a_short_one_if_it_differs_much(known: int, wanted: list[str]) -> None:
    rows, watch = Rows(), watcher(declared("epoch_drift", 6, min_support=60))
    observe_all(watch, rows, version(0, "v0", 0.1, known))
    assert names_found(observe_all(watch, rows, version(3, "v1", 0.6, 120))) == wanted


@pytest.mark.parametrize(("known", "wanted"), [(62, ["epoch_drift"]), (45, [])])
def test_and_a_small_difference_from_a_short_one_says_nothing(known: int, wanted: list[str]) -> None:
    rows, watch = Rows(), watcher(declared("epoch_drift", 6, min_support=60))
    observe_all(watch, rows, version(0, "v0", 0.2, known))
    assert names_found(observe_all(watch, rows, version(3, "v1", 0.5, 120))) == wanted


@pytest.mark.parametrize(("before", "found"), [(0, []), (4, []), (12, ["epoch_drift"])])
def test_a_tool_that_was_hardly_called_before_is_as_good_as_a_new_one(before: int, found: list[str]) -> None:
    it = declared("epoch_drift", 6, min_support=60)
    rows, watch = Rows(), watcher(it)
    assert names_found(observe_all(watch, rows, version(0, "v0", before / 600, 600))) == []
    # As a tool of which nothing is known, it may have a tenth of all calls.
    assert names_found(observe_all(watch, rows, version(3, "v1", 0.1))) == found


def in_turn(day: int, epoch: str, tools: list[str], count: int, per_session: int = 25) -> list[Activity]:
    """Return calls of a version, with tools that take turns."""
    return [
        activity(
            START_MS + day * DAY_MS + at * 20_000,
            session=f"{epoch} {at // per_session}",
            epoch=epoch,
            tool=tools[at % len(tools)],
        )
        for at in range(count)
    ]


def served(day: int, epoch: str, servers: str, actions: str, count: int = 300) -> list[Activity]:
    """Return calls of a version, with tools that take turns, on servers that have one half of the calls each."""
    names, hosts = actions.split(), servers.split()
    tools = [f"{hosts[at * len(hosts) // count]}.{names[at % len(names)]}" for at in range(count)]
    return in_turn(day, epoch, tools, count, per_session=50)


@pytest.mark.parametrize(
    ("before", "did", "servers", "does", "wanted"),
    [
        ("crm", "get list", "crm crm2", "get list", []),
        ("crm crm2", "get list", "crm2", "get list", []),
        # It is no excuse for another behaviour.
        ("crm", "get list", "crm crm2", "wipe get wipe list", ["epoch_drift"]),
        ("crm", "get list note find", "crm crm2", "get list get note get find", ["epoch_drift"]),
    ],
)
def test_a_server_may_get_another_name_while_a_version_is_new(
    before: str, did: str, servers: str, does: str, wanted: list[str]
) -> None:
    rows, watch = Rows(), watcher(declared("epoch_drift", 6, min_support=60))
    observe_all(watch, rows, served(0, "v0", before, did))
    assert names_found(observe_all(watch, rows, served(3, "v1", servers, does))) == wanted


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # One name of several servers, of which none ceases.
        ("crm.get docs.get crm.list mail.send", "crm.get payroll.get crm.list docs.get payroll.get mail.send"),
        ("crm.read docs.read crm.find mail.send", "crm.read hr.read crm.find docs.read hr.read crm.find mail.send"),
        # One tool that is called less instead.
        (
            "crm.read docs.get crm.find mail.send",
            "crm.read payroll.get crm.find mail.send docs.get crm.read payroll.get",
        ),
        # Secrets, whatever they are read in place of.
        ("crm.read docs.read crm.find mail.send", "crm.read vault.read crm.find mail.send"),
        ("crm.read crm.find", "vault.read vault.find"),
    ],
)
def test_a_version_that_turns_to_another_server_for_one_thing_has_changed(before: str, after: str) -> None:
    rows, watch = Rows(), watcher(declared("epoch_drift", 6, min_support=60))
    observe_all(watch, rows, in_turn(0, "v0", before.split(), 600))
    assert names_found(observe_all(watch, rows, in_turn(3, "v1", after.split(), 590))) == ["epoch_drift"]


def test_how_much_more_often_a_tool_is_called_is_said_of_that_tool() -> None:
    """It was the share of all tools of its name beside that of the tool before."""
    it = declared("epoch_drift", 6, min_support=60, explain="{times} times")
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, in_turn(0, "v0", ["docs.read", *["crm.read", "crm.find"] * 9, "mail.send"], 600))
    later = in_turn(3, "v1", ["docs.read", "crm.read", "docs.read", "crm.find", "docs.read", "mail.send"], 590)
    findings = [each for seen in observe_all(watch, rows, later) for each in seen.findings]
    assert [each.name for each in findings] == ["epoch_drift"]
    assert 8.0 < float(findings[0].explain.split()[0]) < 12.0
