"""New destinations that are called out of turn (`odd_contact`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from streams.behaviour.activity import DAY_MS, HOUR_MS, Activity
from streams.behaviour.declarations import Declaration
from tests.unit.behaviour.kit import START_MS, Rows, activity, declared, names_found, observe_all, watcher

MINUTE_MS = 60_000
USUAL = ("case.read", "mail.send")


def odd() -> Declaration:
    return declared(
        "odd_contact",
        8,
        peer=("agent.type",),
        term="dest.domain",
        window_ms=10 * DAY_MS,
        settle_ms=7 * DAY_MS,
        min_support=30.0,
        allowance=1.5,
    )


def session(day: int, minute: int, place: str, tools: Sequence[str] = USUAL, **more: object) -> list[Activity]:
    """Return calls of some tools, of which those that send have a destination."""
    begin_ms, name = START_MS + day * DAY_MS + 9 * HOUR_MS + minute * MINUTE_MS, f"s-{day}-{minute}"
    return [
        activity(
            begin_ms + at * 5_000,
            **{"session": name, "tool": tool, "destination": place if tool == "mail.send" else None, **more},
        )
        for at, tool in enumerate(tools)
    ]


def usual(days: int, **more: object) -> Iterator[Activity]:
    """Yield work of an agent that writes about cases, to known places and to a new one every day, and has notes."""
    for day in range(days):
        for number in range(6):
            yield from session(day, number * 20, f"known-{number % 3}.example", **more)
        yield from session(day, 130, f"new-{day}.example", **more)
        yield from session(day, 150, "known-1.example", ("case.read", "note.recall", "case.write"), **more)


def leak(days: int, first_day: int = 21, tools: Sequence[str] = ("note.recall", "mail.send")) -> list[Activity]:
    return [each for day in range(days) for each in session(first_day + day, 200, "drop.example", tools)]


def test_a_new_place_that_is_written_to_after_a_note_in_each_session_is_found() -> None:
    watch, rows = watcher(odd()), Rows()
    assert names_found(observe_all(watch, rows, usual(21))) == []
    found = [each for seen in observe_all(watch, rows, leak(3)) for each in seen.findings]
    assert [each.activity.destination for each in found] == ["drop.example"]


def test_a_new_place_that_is_written_to_as_others_are_is_not_found() -> None:
    watch, rows = watcher(odd()), Rows()
    observe_all(watch, rows, usual(21))
    assert names_found(observe_all(watch, rows, leak(8, tools=USUAL))) == []


def test_a_known_place_may_be_written_to_out_of_turn() -> None:
    watch, rows = watcher(odd()), Rows()
    observe_all(watch, rows, usual(21))
    calls = [each for day in range(5) for each in session(21 + day, 200, "known-1.example", ("note.recall", USUAL[1]))]
    assert names_found(observe_all(watch, rows, calls)) == []


def test_one_session_counts_once() -> None:
    watch, rows = watcher(odd()), Rows()
    observe_all(watch, rows, usual(21))
    assert names_found(observe_all(watch, rows, leak(1, tools=("note.recall", "mail.send") * 6))) == []


def test_what_others_of_the_type_have_long_written_to_is_not_new() -> None:
    watch, rows = watcher(odd()), Rows()
    observe_all(watch, rows, usual(21))
    observe_all(watch, rows, session(12, 300, "drop.example", agent="other"))
    assert names_found(observe_all(watch, rows, leak(3))) == []


def test_an_agent_that_has_just_begun_meets_everybody() -> None:
    watch, rows = watcher(odd()), Rows()
    observe_all(watch, rows, usual(20, agent="other"))
    assert names_found(observe_all(watch, rows, leak(3))) == []


def test_denied_calls_add_nothing() -> None:
    watch, rows = watcher(odd()), Rows()
    observe_all(watch, rows, usual(21))
    denied = [each for day in range(4) for each in session(21 + day, 200, "drop.example", ("note.recall",))]
    denied += [
        each
        for day in range(4)
        for each in session(21 + day, 201, "drop.example", ("note.recall", "mail.send"), outcome="DENY")
    ]
    assert names_found(observe_all(watch, rows, sorted(denied, key=lambda each: each.time_ms))) == []


def test_a_place_is_no_longer_new_after_its_window() -> None:
    watch, rows = watcher(odd()), Rows()
    observe_all(watch, rows, usual(21))
    observe_all(watch, rows, leak(1))
    assert names_found(observe_all(watch, rows, leak(4, first_day=32))) == []


def test_many_sessions_in_turn_buy_no_silence_for_those_out_of_turn() -> None:
    watch, rows = watcher(odd()), Rows()
    observe_all(watch, rows, usual(21))
    in_turn = [each for at in range(9) for each in session(21, 200 + at, "drop.example")]
    assert names_found(observe_all(watch, rows, in_turn)) == []
    assert names_found(observe_all(watch, rows, leak(5, first_day=22))) == ["odd_contact"]
    before = dict(rows)
    observe_all(watch, rows, [each for at in range(40) for each in session(28, 200 + at, "drop.example")])
    # The sessions have rows of their own.
    assert sum(len(rows[key]) for key in before) < sum(map(len, before.values())) + 100
