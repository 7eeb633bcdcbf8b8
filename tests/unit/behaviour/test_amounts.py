"""Amounts that creep (`arg_cusum`), and those far above the usual (`arg_mad`)."""

from __future__ import annotations

from math import exp
from random import Random  # noqa: TID251 - usual amounts are drawn from a seed

import pytest
from msgspec.structs import replace

from streams.behaviour.activity import DAY_MS, HOUR_MS, Activity
from tests.unit.behaviour.kit import (
    AFTER_MS,
    FIRST_AMOUNT,
    Rows,
    activity,
    declared,
    names_found,
    observe_all,
    office_days,
    watcher,
)


def creeping(days: int, usual_each: int) -> list[Activity]:
    """Return two payments a day that grow from the usual to nine times of it, and usual ones between them."""
    rng, found = Random(3), []  # noqa: S311 - a test that has to be repeatable
    for day in range(days):
        for at in range(2 + 2 * usual_each):
            factor = exp(2.2 * (day + 1) / days) if at % (usual_each + 1) == 0 else exp(rng.gauss(0, 0.5))
            name = "creep" if at % (usual_each + 1) == 0 else "usual"
            at_ms = AFTER_MS + 2 * DAY_MS + day * DAY_MS + at * 1_200_000
            found.append(activity(at_ms, session=f"{name} {day} {at}", amount=100.0 * factor))
    return found


@pytest.mark.parametrize("usual_each", [0, 3])
def test_amounts_that_creep_are_found_between_usual_ones(usual_each: int) -> None:
    """Three of four payments are as usual as ever: they used to take from the sum what the others had added."""
    it = declared("arg_cusum", 7, value="call.amount", min_support=30, allowance=1, half_life_ms=3 * DAY_MS)
    rows, watch, rng = Rows(), watcher(it), Random(4)  # noqa: S311 - likewise
    usual = [replace(each, amount=100.0 * exp(rng.gauss(0, 0.5))) for each in office_days(20)]
    assert names_found(observe_all(watch, rows, usual)) == []
    found = [each for seen in observe_all(watch, rows, creeping(8, usual_each)) for each in seen.findings]
    assert found
    assert found[0].activity.session.startswith("creep")


def test_once_amounts_are_usual_again_the_next_larger_one_is_no_news() -> None:
    it = declared("arg_cusum", 7, value="call.amount", min_support=30, allowance=1, half_life_ms=3 * DAY_MS)
    rows, watch, rng = Rows(), watcher(it), Random(4)  # noqa: S311 - likewise
    observe_all(watch, rows, [replace(each, amount=100.0 * exp(rng.gauss(0, 0.5))) for each in office_days(20)])
    assert names_found(observe_all(watch, rows, creeping(8, 0)))
    after_ms = AFTER_MS + 11 * DAY_MS
    usual = [activity(after_ms + at * HOUR_MS, session=f"after {at}", amount=100.0) for at in range(12)]
    larger = activity(after_ms + 2 * DAY_MS, session="larger", amount=300.0)
    assert names_found(observe_all(watch, rows, [*usual, larger])) == []


def test_amounts_that_creep_are_found_if_nothing_is_said_about_what_is_allowed() -> None:
    it = declared("arg_cusum", 7, value="call.amount", min_support=30, half_life_ms=3 * DAY_MS)
    rows, watch, rng = Rows(), watcher(it), Random(4)  # noqa: S311 - likewise
    usual = [replace(each, amount=100.0 * exp(rng.gauss(0, 0.5))) for each in office_days(20)]
    assert names_found(observe_all(watch, rows, usual)) == []
    assert names_found(observe_all(watch, rows, creeping(8, 0)))


def test_after_a_wave_of_equal_amounts_usual_ones_are_no_outliers() -> None:
    """The wave lowered what counted as the usual spread, and that rose again by half a percent a day only."""
    it = declared("arg_mad", 4.2, value="call.amount", min_support=30)
    rows, watch, rng = Rows(), watcher(it), Random(6)  # noqa: S311 - likewise

    def paid(days: int, begin_ms: int) -> list[Activity]:
        at_ms = begin_ms - AFTER_MS
        days_of = [replace(each, time_ms=each.time_ms + at_ms, session=f"{begin_ms}") for each in office_days(days)]
        return [replace(each, amount=100.0 * exp(rng.gauss(0, 0.6))) for each in days_of]

    assert names_found(observe_all(watch, rows, paid(20, AFTER_MS))) == []
    wave_ms = AFTER_MS + 20 * DAY_MS
    wave = [activity(wave_ms + at * 60_000, session="wave", amount=100.0 + at % 7) for at in range(90)]
    assert names_found(observe_all(watch, rows, wave)) == []
    assert names_found(observe_all(watch, rows, paid(20, wave_ms + DAY_MS))) == []
    outlier = activity(wave_ms + 22 * DAY_MS, session="outlier", amount=6_000.0)
    assert names_found(observe_all(watch, rows, [outlier])) == ["arg_mad"]


@pytest.mark.parametrize(("known", "amount", "wanted"), [(10, 6_000, ["arg_mad"]), (10, 2_000, []), (7, 6_000, [])])
def test_an_amount_far_above_the_first_few_is_found(known: int, amount: float, wanted: list[str]) -> None:
    it = declared("arg_mad", 4.2, value="call.amount", min_support=30)
    rng, watch, rows = Random(3), watcher(it), Rows()  # noqa: S311 - likewise
    usual = [replace(each, amount=100.0 * exp(rng.gauss(0, 0.5))) for each in office_days(known, per_day=1)]
    assert names_found(observe_all(watch, rows, usual)) == []
    assert names_found([watch.observe(rows, activity(AFTER_MS, session="large", amount=amount))]) == wanted


def test_peers_that_are_known_well_are_asked_before_the_first_few_amounts_of_an_agent() -> None:
    it = declared("arg_mad", 4.2, value="call.amount", min_support=30, peer=("agent.type",))
    rng, watch, rows = Random(3), watcher(it), Rows()  # noqa: S311 - likewise
    peers = [replace(each, agent="peer", amount=9_000.0 * exp(rng.gauss(0, 0.5))) for each in office_days(20)]
    few = [replace(each, amount=100.0 * exp(rng.gauss(0, 0.5))) for each in office_days(10, per_day=1)]
    observe_all(watch, rows, [*peers, *few])
    assert names_found([watch.observe(rows, activity(AFTER_MS, session="large", amount=6_000.0))]) == []


@pytest.mark.parametrize(
    ("days", "amount", "is_much"),
    # Of the first days, nothing is usual.
    [(20, 100.0, False), (20, 2_000.0, True), (0, 100.0, True), (0, 1.0, True)],
)
def test_a_first_amount_is_compared_with_what_other_tools_move(days: int, amount: float, *, is_much: bool) -> None:
    rows, watch, rng = Rows(), watcher(FIRST_AMOUNT), Random(4)  # noqa: S311 - likewise
    observe_all(watch, rows, [replace(each, amount=100.0 * exp(rng.gauss(0, 0.5))) for each in office_days(days)])
    first = watch.observe(rows, activity(AFTER_MS, session="x", tool="bank.pay", amount=amount))
    assert any(each.score >= 3.2 for each in first.signals) == is_much


def test_nobody_opens_a_tool_for_large_amounts_with_a_small_one() -> None:
    rows, watch, rng = Rows(), watcher(FIRST_AMOUNT), Random(4)  # noqa: S311 - likewise
    observe_all(watch, rows, [replace(each, amount=100.0 * exp(rng.gauss(0, 0.5))) for each in office_days(20)])
    small = [activity(AFTER_MS + at, session=f"small {at}", tool="bank.pay", amount=90.0) for at in range(3)]
    assert names_found(observe_all(watch, rows, small)) == []
    large = activity(AFTER_MS + 60_000, session="large", tool="bank.pay", amount=2_000.0)
    assert names_found([watch.observe(rows, large)]) == ["first_amount"]


def test_a_first_amount_is_reported_once_and_again_when_it_is_much_larger() -> None:
    """Whoever pays wages each week, beside refunds of another tool, is one alert and not one each week."""
    rows, watch, rng = Rows(), watcher(FIRST_AMOUNT), Random(4)  # noqa: S311 - likewise
    observe_all(watch, rows, [replace(each, amount=100.0 * exp(rng.gauss(0, 0.5))) for each in office_days(20)])
    amounts = (2_000.0, 1_800.0, 2_200.0, 2_100.0, 9_000.0)
    wages = [
        activity(AFTER_MS + week * 7 * DAY_MS, session=f"week {week}", tool="bank.pay", amount=amount)
        for week, amount in enumerate(amounts)
    ]
    found = [bool(names_found([watch.observe(rows, each)])) for each in wages]
    assert found == [True, False, False, False, True]


def test_a_first_amount_that_was_denied_is_judged_again() -> None:
    rows, watch, rng = Rows(), watcher(FIRST_AMOUNT), Random(4)  # noqa: S311 - likewise
    observe_all(watch, rows, [replace(each, amount=100.0 * exp(rng.gauss(0, 0.5))) for each in office_days(20)])
    outcomes = ("DENY", "ALLOW", "ALLOW")
    asked = [
        activity(AFTER_MS + day * DAY_MS, session=f"day {day}", tool="bank.pay", amount=2_000.0, outcome=outcome)
        for day, outcome in enumerate(outcomes)
    ]
    found = [bool(each.signals) for each in observe_all(watch, rows, asked)]
    assert found == [True, True, False]


def test_a_first_amount_by_a_tool_that_peers_pay_with_is_left_to_what_they_pay() -> None:
    rows, watch, rng = Rows(), watcher(FIRST_AMOUNT), Random(4)  # noqa: S311 - likewise
    refunds = [replace(each, amount=100.0 * exp(rng.gauss(0, 0.5))) for each in office_days(20)]
    paid = office_days(20, agent="peer", tool="bank.pay")
    wages = [replace(each, amount=2_000.0 * exp(rng.gauss(0, 0.2))) for each in paid]
    observe_all(watch, rows, sorted([*refunds, *wages], key=lambda each: each.time_ms))
    instead = activity(AFTER_MS, session="instead of the peer", tool="bank.pay", amount=2_000.0)
    assert names_found([watch.observe(rows, instead)]) == []


@pytest.mark.parametrize("probes", [1, 7, 8, 9, 30])
def test_however_many_small_amounts_open_a_tool_a_large_one_is_found(probes: int) -> None:
    """Once the first ones are no longer compared with those of other tools, the tool has enough of its own."""
    alone = declared("arg_mad", 4.2, key=("agent.id", "tool.name"), value="call.amount", min_support=30)
    rows, watch, rng = Rows(), watcher(FIRST_AMOUNT, alone), Random(4)  # noqa: S311 - likewise
    observe_all(watch, rows, [replace(each, amount=100.0 * exp(rng.gauss(0, 0.5))) for each in office_days(20)])
    small = [activity(AFTER_MS + at, session=f"s {at}", tool="bank.pay", amount=60.0 + at % 60) for at in range(probes)]
    assert names_found(observe_all(watch, rows, small)) == []
    large = activity(AFTER_MS + 60_000, session="large", tool="bank.pay", amount=20_000.0)
    assert names_found([watch.observe(rows, large)])
