"""Tools in an order that nobody takes (`seq_surprise`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
from msgspec.structs import replace

from streams.behaviour.activity import DAY_MS, HOUR_MS, Activity
from tests.unit.behaviour.kit import START_MS, Rows, activity, declared, names_found, observe_all, watcher


def odd_session(day: int, steps: int) -> list[Activity]:
    """Return calls in an order that is never taken: known tools, each after one that it never follows."""
    tools = ("crm.update", "crm.search", "mail.send", "crm.read")
    at_ms = START_MS + day * DAY_MS + 10 * HOUR_MS
    return [activity(at_ms + step * 5_000, session="odd", tool=tools[step % 4]) for step in range(steps)]


def steady_sessions(days: int) -> Iterator[Activity]:
    """Yield three sessions a day that take the same four tools in turn."""
    tools = ("crm.search", "crm.read", "mail.send", "crm.update")
    for day in range(days):
        for part in range(3):
            at_ms = START_MS + day * DAY_MS + (9 + part) * HOUR_MS
            for step in range(16):
                yield activity(at_ms + step * 5_000, session=f"steady-{day}-{part}", tool=tools[step % 4])


def test_one_step_that_nobody_has_taken_is_no_odd_order_and_several_are() -> None:
    it = declared(
        "seq_surprise", 12, key=("session.id",), peer=("agent.type",), min_support=200, allowance=1.5,
        half_life_ms=HOUR_MS,
    )  # fmt: skip
    for steps, found in ((2, []), (10, ["seq_surprise"])):
        rows, watch = Rows(), watcher(it)
        assert names_found(observe_all(watch, rows, steady_sessions(20))) == []
        assert names_found(observe_all(watch, rows, odd_session(21, steps))) == found


def test_where_sessions_are_odd_every_day_one_more_is_none() -> None:
    it = declared(
        "seq_surprise", 12, key=("session.id",), peer=("agent.type",), min_support=200, allowance=1.5,
        half_life_ms=HOUR_MS,
    )  # fmt: skip
    rows, watch, tools = Rows(), watcher(it), [f"shell.run{number}" for number in range(40)]
    for day in range(20):
        observe_all(
            watch, rows, (each for each in steady_sessions(day + 1) if each.session.startswith(f"steady-{day}-"))
        )
        # A person tries four tools of hundreds, others each day.
        at_ms = START_MS + day * DAY_MS + 15 * HOUR_MS
        tried = [
            activity(at_ms + step * 5_000, session=f"tried-{day}", tool=tools[(day * 4 + step) % 40])
            for step in range(4)
        ]
        found = names_found(observe_all(watch, rows, tried))
        if day > 10:
            assert found == []


def rows_of_reads(reads: int, then: int) -> list[Activity]:
    """Return a session that reads one thing after the other with one tool, and then goes on in an odd order."""
    at_ms = START_MS + 21 * DAY_MS + 10 * HOUR_MS
    tools = ["crm.search", *["crm.read"] * reads, *["crm.search", "crm.update"] * then]
    return [
        activity(at_ms + step * 5_000, session="odd", tool=tool, call=f"call {step}", object=f"o-{step}")
        for step, tool in enumerate(tools)
    ]


def found_after_steady_days(calls: Iterable[Activity], threshold: float = 12) -> list[str]:
    it = declared(
        "seq_surprise", threshold, key=("session.id",), peer=("agent.type",), min_support=200, allowance=1.5,
        half_life_ms=HOUR_MS,
    )  # fmt: skip
    rows, watch = Rows(), watcher(it)
    assert names_found(observe_all(watch, rows, steady_sessions(20))) == []
    return names_found(observe_all(watch, rows, calls))


def test_reads_in_a_row_are_reported_with_the_next_odd_call() -> None:
    """How many things a session reads is no order. What it then does may be."""
    assert found_after_steady_days(rows_of_reads(14, 0)) == []
    assert found_after_steady_days(rows_of_reads(14, 1)) == ["seq_surprise"]
    assert found_after_steady_days(rows_of_reads(0, 1)) == []


def test_a_usual_call_reports_nothing_of_what_was_odd_before_it() -> None:
    """After three reads in a row, a letter is usual, and a search is not."""
    assert found_after_steady_days(rows_of_reads(3, 0), threshold=7) == []
    letter = activity(START_MS + 21 * DAY_MS + 11 * HOUR_MS, session="odd", tool="mail.send", call="letter")
    at_once = replace(letter, time_ms=rows_of_reads(3, 0)[-1].time_ms + 5_000)
    assert found_after_steady_days([*rows_of_reads(3, 0), at_once], threshold=7) == []
    assert found_after_steady_days(rows_of_reads(3, 1), threshold=7) == ["seq_surprise"]


def test_reads_in_a_row_do_not_make_odd_orders_usual() -> None:
    days = [
        replace(each, time_ms=each.time_ms + day * DAY_MS, session=f"row-{day}", event_id=f"row-{day}-{each.event_id}")
        for day in range(6)
        for each in rows_of_reads(3, 0)
    ]
    odd = [replace(each, time_ms=each.time_ms + 7 * DAY_MS) for each in odd_session(21, 10)]
    assert found_after_steady_days([*days, *odd], threshold=7) == ["seq_surprise"]


@pytest.mark.parametrize(("call", "wanted"), [("the same", []), ("step {step}", ["seq_surprise"])])
def test_a_call_that_is_tried_again_is_in_no_order(call: str, wanted: list[str]) -> None:
    at_ms = START_MS + 21 * DAY_MS + 10 * HOUR_MS
    calls = [
        activity(at_ms + step * 5_000, session="odd", tool="crm.update", call=call.format(step=step))
        for step in range(4)
    ]
    assert found_after_steady_days(calls, threshold=7) == wanted


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        # A server gets another name, and its tools do what they did.
        ({"crm.search": "hub.search", "crm.read": "hub.read", "crm.update": "hub.update"}, []),
        # Known tools, in another order.
        ({"crm.search": "crm.read", "crm.read": "mail.send", "mail.send": "crm.search"}, ["seq_surprise"]),
    ],
)
def test_a_tool_that_is_new_is_in_no_order_yet(names: dict[str, str], wanted: list[str]) -> None:
    sessions = [each for each in steady_sessions(22) if each.session == "steady-21-0"]
    assert found_after_steady_days(replace(each, tool=names.get(each.tool, each.tool)) for each in sessions) == wanted
