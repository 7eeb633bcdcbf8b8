"""Tools in an order that nobody takes (`seq_surprise`)."""

from __future__ import annotations

from collections.abc import Iterator

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
