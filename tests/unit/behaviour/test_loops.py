"""Who asks the same again and again, or stays with one tool (`loop`, `loop_run`)."""

from __future__ import annotations

from itertools import accumulate

import msgspec
import pytest
from msgspec.structs import replace

from streams.behaviour.activity import DAY_MS
from streams.behaviour.detectors.loops import Onward, Stretch
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


@pytest.mark.parametrize(("every_ms", "wanted"), [(30_000, ["loop"]), (90_000, [])])
def test_whoever_asks_the_same_with_pauses_is_in_no_loop(every_ms: int, wanted: list[str]) -> None:
    it = declared("loop", 10, key=("session.id",), peer=("agent.id",), min_support=5, window_ms=600_000)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, mixed(20))
    assert names_found(observe_all(watch, rows, spaced(40, every_ms, call="same"))) == wanted


@pytest.mark.parametrize(
    ("tool", "every_ms", "wanted"),
    [
        ("ci.get_run", 5_000, []),
        ("ci.get_run", 3_000, ["loop"]),
        ("ci.start_run", 5_000, ["loop"]),
        ("crm.get_case", 5_000, ["loop"]),
    ],
)
def test_whoever_asks_for_a_state_may_ask_every_five_seconds(tool: str, every_ms: int, wanted: list[str]) -> None:
    it = declared("loop", 10, key=("session.id",), peer=("agent.id",), min_support=5, window_ms=600_000)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, mixed(20))
    assert names_found(observe_all(watch, rows, spaced(100, every_ms, tool=tool, call="same"))) == wanted


@pytest.mark.parametrize(
    ("pauses_s", "wanted"),
    [
        # As a client tries again that waits twice as long each time, up to two minutes.
        ([2, 4, 8, 16, 32, 64, 100, 100, 100, 100, 100, 100], []),
        ([50] * 12, ["loop"]),
        # Longer pauses with chance, and no longer at the end.
        ([40, 90, 30, 60, 80, 20, 70, 50, 60, 30, 90, 40], ["loop"]),
        # Pauses that grow excuse twice as many calls, and no more.
        ([2] * 12 + [4] * 30, ["loop"]),
    ],
)
def test_whoever_asks_ever_less_often_may_ask_twice_as_often(pauses_s: list[int], wanted: list[str]) -> None:
    it = declared("loop", 10, key=("session.id",), peer=("agent.id",), min_support=5, window_ms=15 * 60_000)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, mixed(20))
    times = accumulate(pauses_s, initial=0)
    calls = [activity(AFTER_MS + at * 1_000, session="asks", call="same") for at in times]
    assert names_found(observe_all(watch, rows, calls)) == wanted


@pytest.mark.parametrize(
    ("usual", "growth", "other", "length", "wanted"),
    [
        # Nothing is known, so the limit is 25 of the same calls.
        (0, 1.0, 0, 1, 25),
        (0, 1.01, 0, 1, 25),
        (0, 1.03, 0, 1, 50),
        (0, 1.04, 0, 1, 50),
        # The same limit, which is learned, and another call now and then.
        (8, 1.0, 0, 1, 25),
        (8, 1.03, 0, 1, 50),
        (8, 1.03, 9, 1, 57),
        # Two calls in turn, where a limit of 16 is learned, which they reach.
        (4, 1.0, 0, 2, 31),
        (4, 1.03, 0, 2, 63),
    ],
)
def test_pauses_that_grow_without_end_excuse_no_more_than_twice_as_many_calls(
    usual: int, growth: float, other: int, length: int, wanted: int
) -> None:
    it = declared("loop", 10, key=("session.id",), peer=("agent.id",), min_support=5, window_ms=600_000)
    rows, watch = Rows(), watcher(it)
    for day in range(14):
        at_ms = START_MS + day * DAY_MS
        polls = [activity(at_ms + at * 5_000, session=f"d{day}", call=f"job-{day}") for at in range(usual)]
        assert names_found(observe_all(watch, rows, polls)) == []
    at_ms, calls = float(AFTER_MS), []
    for at in range(120):
        call = f"other-{at}" if other and at % other == 0 else f"same-{at % length}"
        calls.append(activity(int(at_ms), session="asks", call=call))
        at_ms += 1_000 * growth**at
    found = observe_all(watch, rows, calls)
    assert next((at for at, each in enumerate(found, 1) if each.findings), 0) == wanted


@pytest.mark.parametrize(
    ("count", "different", "wanted"),
    [(30, 30, []), (30, 7, ["loop_run"]), (30, 0, ["loop_run"]), (60, 60, ["loop_run"])],
)
def test_whoever_gets_on_with_each_call_may_use_one_tool_for_longer(
    count: int, different: int, wanted: list[str]
) -> None:
    """So it is in a session that has read what others have written."""
    it = declared("loop_run", 9, key=("session.id",), peer=("agent.type",), min_support=100)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, mixed(20))
    pages = [f"page-{at % different}" if different else "" for at in range(count)]
    calls = [
        activity(AFTER_MS + at * 5_000, session="pages", tool="docs.read", call=page, is_trusted=False)
        for at, page in enumerate(pages)
    ]
    assert names_found(observe_all(watch, rows, calls)) == wanted


@pytest.mark.parametrize(
    ("different", "then", "wanted"),
    [
        # About a limit of 74 calls. Those that are tried again count for half: `loop` counts them.
        (0, "page-0", 146),
        (200, "", 107),
        # One that was seen lets all count, also if it comes late.
        (70, "page-3", 77),
        (70, "stuck", 77),
        (100, "page-99", 101),
    ],
)
def test_a_long_stretch_counts_in_full_once_a_call_comes_again(different: int, then: str, wanted: int) -> None:
    it = declared("loop_run", 0.5, key=("session.id",), peer=("agent.type",), min_support=100, deviations=2.0)
    rows, watch = Rows(), watcher(it)
    for day in range(14):
        at_ms = START_MS + day * DAY_MS
        pages = [activity(at_ms + at * 5_000, session=f"d{day}", call=f"{day}-{at}") for at in range(40)]
        assert names_found(observe_all(watch, rows, pages)) == []
    called = [f"page-{at}" if at < different else then for at in range(200)]
    calls = [
        activity(AFTER_MS + at * 5_000, session="pages", call=call, is_trusted=False) for at, call in enumerate(called)
    ]
    found = observe_all(watch, rows, calls)
    assert next((at for at, each in enumerate(found, 1) if each.findings), 0) == wanted


def test_a_stretch_that_an_earlier_version_has_begun_counts_in_full() -> None:
    older = msgspec.msgpack.encode(Stretch(7, 40))
    after = msgspec.msgpack.decode(older, type=Onward).after(7, activity(AFTER_MS, call="page-41"))
    assert after.length(is_given=True) == 41
    pages = [activity(AFTER_MS, call=f"page-{number}") for number in range(2)]
    assert Onward().after(7, pages[0]).after(7, pages[1]).length(is_given=False) == 1


@pytest.mark.parametrize(
    ("count", "fields", "wanted"),
    [
        # A long list, a mailing, and records that are read one after the other.
        (120, {"call": "page-{at}"}, []),
        (
            120,
            {"call": "letter {at}", "tool": "docs.send", "object": "lead-{at}", "destination": "to-{at}.example"},
            [],
        ),
        (120, {"call": "record {at}", "object": "record-{at}"}, []),
        # Without end, it is one.
        (400, {"call": "page-{at}"}, ["loop_run"]),
        # Whoever has read something by others may have been told to.
        (50, {"call": "page-{at}", "is_trusted": False}, ["loop_run"]),
        # Whoever asks for the same record each time, in other words, does not get on.
        (50, {"call": "question {at}", "object": "record-7"}, ["loop_run"]),
        (50, {"call": "letter {at}", "tool": "docs.send", "object": "lead", "destination": "to.example"}, ["loop_run"]),
        (50, {"call": "refund {at}", "tool": "pay.refund", "object": "order-7", "amount": 5.0}, ["loop_run"]),
        # Builds of one service are different acts on one thing.
        (60, {"call": "build {at}", "tool": "ci.trigger_build", "object": "service-7"}, []),
        (80, {"call": "build {at}", "tool": "ci.trigger_build", "object": "service-7"}, ["loop_run"]),
        (50, {"call": "build", "tool": "ci.trigger_build", "object": "service-7"}, ["loop_run"]),
        (
            50,
            {"call": "build {at}", "tool": "ci.trigger_build", "object": "service-7", "is_trusted": False},
            ["loop_run"],
        ),
        (50, {"call": "secret {at}", "tool": "vault.read", "object": "key-{at}"}, ["loop_run"]),
        (50, {"call": "record {at}", "tool": "docs.delete", "object": "record-{at}"}, ["loop_run"]),
    ],
)
def test_a_session_may_be_given_a_long_row_of_calls_about_different_things(
    count: int, fields: dict[str, object], wanted: list[str]
) -> None:
    it = declared("loop_run", 9, key=("session.id",), peer=("agent.type",), min_support=100)
    rows, watch = Rows(), watcher(it)
    tool = fields.get("tool", "docs.read")
    observe_all(watch, rows, [replace(each, tool=tool) if each.tool == "docs.read" else each for each in mixed(20)])
    calls = [
        activity(
            AFTER_MS + at * 5_000,
            **{"session": "row", "tool": tool}
            | {name: value.format(at=at) if isinstance(value, str) else value for name, value in fields.items()},
        )
        for at in range(count)
    ]
    assert names_found(observe_all(watch, rows, calls)) == wanted


def test_a_call_that_is_tried_again_is_half_a_call_of_a_stretch() -> None:
    tried = Onward()
    for _ in range(21):
        tried = tried.after(7, activity(AFTER_MS, call="write"))
    turns = Onward()
    for at in range(21):
        turns = turns.after(7, activity(AFTER_MS, call=f"read {at % 2}"))
    assert tried.length(is_given=True) == 11.5
    assert turns.length(is_given=True) == 21
