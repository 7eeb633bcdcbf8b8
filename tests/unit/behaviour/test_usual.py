"""A call beside what is usual for its agent: new tools, destinations and hours, amounts, and calls in an hour."""

from __future__ import annotations

import msgspec
import pytest

from streams.behaviour.activity import DAY_MS, HOUR_MS
from streams.behaviour.estimators import Median, Peak
from streams.behaviour.profiles import DESTINATIONS_MAX, TOOLS_MAX, Profile, updated_profile
from streams.behaviour.usual import (
    AMOUNTS_MIN,
    CALLS_MIN,
    SPAN_MS_MIN,
    TOLD_BITS,
    Unusual,
    Usual,
    compared,
    texts_of,
    usual_of,
)
from tests.baselines import AGENT, settled
from tests.unit.behaviour.kit import START_MS, activity

NOON_MS = START_MS // DAY_MS * DAY_MS + 12 * HOUR_MS
replace = msgspec.structs.replace


def told(
    usual: Usual,
    tool: str = "files.read",
    destination: str | None = None,
    amount: float | None = None,
    at_ms: int = NOON_MS,
    hour_calls: int = 1,
) -> Unusual:
    return compared(usual, tool, destination, amount, at_ms, hour_calls)


def test_a_usual_call_is_not_unusual() -> None:
    usual = usual_of([settled()])
    assert told(usual, "mail.send", "example.com") == Unusual(learned=500, odd_hour=1)
    assert told(usual, "bank.pay", amount=60.0).amount == 0


def test_a_tool_and_a_destination_are_new_by_as_much_as_is_known() -> None:
    few, many = usual_of([settled(calls=300)]), usual_of([settled(calls=30_000)])
    assert told(few, "web.fetch").new_tool == 9
    assert told(many, "web.fetch").new_tool == 15
    # Of 100 calls with a destination, as in both.
    assert told(few, destination="evil.example").new_destination == 7
    assert told(many, destination="evil.example").new_destination == 7


def test_an_agent_that_keeps_bringing_new_tools_does_not_surprise_with_one_more() -> None:
    some = tuple((f"t.{number:02d}", 1) for number in range(30))
    assert told(usual_of([settled(tools=(*some, ("z", 470)))]), "web.fetch").new_tool == 4


@pytest.mark.parametrize("names_max", [TOOLS_MAX, DESTINATIONS_MAX])
def test_a_list_that_had_to_leave_names_out_says_nothing_of_a_name_that_is_not_on_it(names_max: int) -> None:
    full = tuple((f"n.{number:02d}", 50) for number in range(names_max))
    usual = usual_of([settled(tools=full, destinations=full)])
    found = told(usual, "web.fetch", "evil.example")
    assert (found.new_tool == 0) is (names_max == TOOLS_MAX)
    assert found.new_destination == 0


@pytest.mark.parametrize(
    "fields", [{"calls": CALLS_MIN - 1}, {"first_ms": START_MS - SPAN_MS_MIN + 1, "last_ms": START_MS}]
)
def test_nothing_surprises_before_enough_is_known(fields: dict[str, int]) -> None:
    usual = usual_of([replace(settled(), **fields)])
    found = told(usual, "web.fetch", "evil.example", 1e9, NOON_MS - 12 * HOUR_MS, 10_000)
    assert found == Unusual(learned=usual.calls)


def test_an_hour_is_odd_if_the_agent_never_works_near_it() -> None:
    usual = usual_of([settled()])
    day_ms = START_MS // DAY_MS * DAY_MS
    bits = [told(usual, at_ms=day_ms + hour * HOUR_MS).odd_hour for hour in range(24)]
    assert bits == [9] * 7 + [3, 2] + [1] * 8 + [2, 3] + [9] * 5


def test_an_amount_is_compared_with_those_of_its_tool_if_there_were_enough() -> None:
    usual = usual_of([settled()])
    assert told(usual, "bank.pay", amount=54.0).amount == 0
    assert told(usual, "bank.pay", amount=540.0).amount == 7
    assert told(usual, "bank.pay", amount=float("inf")).amount == 0
    few = usual_of([settled(amounts=(("bank.pay", Median(4.0, 0.2, AMOUNTS_MIN - 1)),))])
    assert told(few, "bank.pay", amount=540.0).amount == 0


def test_the_calls_of_a_session_in_an_hour_are_compared_with_the_busiest_hour_of_a_day() -> None:
    usual = usual_of([settled()])
    assert usual.busiest == pytest.approx(10.02, abs=0.01)
    assert [told(usual, hour_calls=count).rate for count in (1, 10, 11, 31)] == [0, 0, 1, 3]
    assert told(usual_of([settled(busiest=Peak())]), hour_calls=10_000).rate == 0


def test_all_epochs_of_an_agent_count_together() -> None:
    """A release brings no time in which everything is unknown, and the newest knows how arguments are read."""
    old = settled(reads=(("destination", ("*",), "/old", "domain"),))
    new = settled(epoch="e2", calls=120, tools=(("web.fetch", 120),), amounts=(), busiest=Peak())
    usual = usual_of([old, new])
    assert (usual.calls, usual.span_ms, usual.reads) == (620, 21 * DAY_MS, new.reads)
    assert told(usual, "web.fetch").new_tool == told(usual, "mail.send").new_tool == 0
    assert told(usual, "bank.pay", amount=540.0).amount == 7


def test_sentences_say_what_a_person_would() -> None:
    usual = usual_of([settled()])
    unusual = told(usual, "web.fetch", "evil.example", None, NOON_MS - 12 * HOUR_MS, 45)
    assert unusual.new_tool >= TOLD_BITS > unusual.new_destination
    assert [text for _, _, text in texts_of(unusual, usual, AGENT, "web.fetch", "evil.example")] == [
        "first web.fetch by assistant in 500 calls of 21 days; 9 bits",
        "assistant has hardly ever worked at this hour (UTC) in 500 calls of 21 days; 9 bits",
        "calls of this session in this hour: 4 times the usual busiest hour of assistant",
    ]
    assert texts_of(told(usual), usual, AGENT, "files.read", None) == []


def test_a_profile_learns_its_busiest_hour() -> None:
    profile: Profile | None = None
    for day in range(12):
        for at in range(6):
            profile = updated_profile(profile, activity(NOON_MS + day * DAY_MS + at * 1_000))
    assert profile is not None
    late = updated_profile(profile, activity(NOON_MS))
    assert (late.hour, late.hour_calls, late.calls) == (profile.hour, 7, 73)
    assert usual_of([profile]).busiest == pytest.approx(6.0)
