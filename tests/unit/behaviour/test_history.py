"""How much has to be known before something is unusual: days without an act, a letter, an errand, one record."""

from __future__ import annotations

import pytest

from streams.behaviour.activity import DAY_MS, HOUR_MS
from tests.unit.behaviour.kit import (
    AFTER_MS,
    START_MS,
    Rows,
    activity,
    declared,
    mixed,
    names_found,
    observe_all,
    spaced,
    watcher,
)

OF_TOOLS = {"key": ("agent.id", "tool.name"), "peer": ("agent.type", "tool.name"), "term": "object.id"}
OBJECTS = declared("fan_out", 8, window_ms=600_000, min_support=5, deviations=5, **OF_TOOLS)
OBJECTS_IN_HOURS = declared("fan_out", 12, window_ms=6 * HOUR_MS, min_support=5, deviations=6, **OF_TOOLS)
LETTERS = declared("egress", 3.5, value="call.bytes", half_life_ms=HOUR_MS, min_support=5)
LOOPS = declared("loop", 10, key=("session.id",), peer=("agent.id", "tool.name"), window_ms=600_000, min_support=5)
VERSIONS = declared("epoch_drift", 6, min_support=60)


@pytest.mark.parametrize(("days", "count", "found"), [(20, 12, 1), (20, 11, 0), (4, 12, 0)])
def test_days_of_work_without_a_tool_say_how_much_of_it_is_usual(days: int, count: int, found: int) -> None:
    rows, watch = Rows(), watcher(OBJECTS)
    observe_all(watch, rows, mixed(days))
    deletes = spaced(count, tool="files.delete", object=lambda at: f"f-{at}")
    assert len(names_found(observe_all(watch, rows, deletes))) == found


@pytest.mark.parametrize(("count", "found"), [(18, 1), (17, 0)])
def test_and_so_do_they_of_what_is_done_over_hours(count: int, found: int) -> None:
    rows, watch = Rows(), watcher(OBJECTS_IN_HOURS)
    observe_all(watch, rows, mixed(20))
    deletes = spaced(count, 600_000, tool="files.delete", object=lambda at: f"f-{at}")
    assert len(names_found(observe_all(watch, rows, deletes))) == found


@pytest.mark.parametrize(("size", "found"), [(3_500, []), (40_000, ["egress"])])
def test_a_short_letter_is_usual_of_whoever_sends_anything(size: int, found: list[str]) -> None:
    payments = [
        activity(START_MS + day * DAY_MS + 9 * HOUR_MS, session=f"p-{day}", destination="bank.example", size_bytes=100)
        for day in range(15)
    ]
    rows, watch = Rows(), watcher(LETTERS)
    observe_all(watch, rows, payments)
    letter = activity(AFTER_MS, session="letter", destination="partner.example", size_bytes=size)
    assert names_found([watch.observe(rows, letter)]) == found


@pytest.mark.parametrize(("tool", "found"), [("crm.get_record", 1), ("jobs.get_status", 0)])
def test_who_reads_one_record_slowly_again_and_again_does_not_wait_for_it(tool: str, found: int) -> None:
    rows, watch = Rows(), watcher(LOOPS)
    usual = [
        activity(START_MS + day * DAY_MS + 9 * HOUR_MS, session=f"d-{day}", tool=tool, call=f"{day}")
        for day in range(15)
    ]
    observe_all(watch, rows, usual)
    again = spaced(30, 18_000, tool=tool, call="the same")
    assert len(names_found(observe_all(watch, rows, again))) == found


@pytest.mark.parametrize(("every_ms", "count", "found"), [(18_000, 14, 1), (18_000, 13, 0), (5_000, 10, 1)])
def test_slow_reads_of_one_record_count_for_three_quarters(every_ms: int, count: int, found: int) -> None:
    rows, watch = Rows(), watcher(LOOPS)
    observe_all(watch, rows, mixed(20))
    again = spaced(count, every_ms, tool="crm.read", call="the same")
    assert len(names_found(observe_all(watch, rows, again))) == found


@pytest.mark.parametrize(("sessions", "found"), [(1, []), (16, ["epoch_drift"])])
def test_what_one_session_of_a_version_does_is_an_errand(sessions: int, found: list[str]) -> None:
    rows, watch = Rows(), watcher(VERSIONS)
    tools = ("crm.read", "docs.read", "mail.send", "crm.note")
    before = [
        activity(START_MS + at * HOUR_MS, session=f"s-{at // 8}", epoch="v1", tool=tools[at % 4]) for at in range(200)
    ]
    quiet = [
        activity(AFTER_MS + at * HOUR_MS, session=f"t-{at // 8}", epoch="v2", tool=tools[at % 4]) for at in range(80)
    ]
    batch = [
        activity(
            AFTER_MS + 90 * HOUR_MS + at * 60_000,
            session=f"b-{at * sessions // 64}",
            epoch="v2",
            tool=("keys.get", "keys.rotate")[at % 2],
        )
        for at in range(64)
    ]
    assert names_found(observe_all(watch, rows, [*before, *quiet])) == []
    assert names_found(observe_all(watch, rows, batch)) == found
