"""Amounts to one counterparty that rise from payment to payment (`arg_trend`)."""

from __future__ import annotations

from math import exp
from random import Random  # noqa: TID251 - usual amounts are drawn from a seed

import msgspec
import pytest

from streams.behaviour.activity import DAY_MS, HOUR_MS, Activity
from streams.behaviour.declarations import Declaration
from streams.behaviour.detectors.trends import PAID_MAX, trend_deviations
from streams.behaviour.session_tail import SEEN_MAX
from tests.unit.behaviour.kit import START_MS, Rows, activity, declared, names_found, observe_all, watcher

RISING = [100.0 * 1.08**at for at in range(12)]


def trend() -> Declaration:
    return declared("arg_trend", 3.5, key=("agent.id", "tool.name"), term="dest.domain")


def paid(amounts: list[float], payee: str, first_day: int = 0, **more: object) -> list[Activity]:
    """Return a payment a day to one payee."""
    return [
        activity(
            START_MS + (first_day + at) * DAY_MS + 9 * HOUR_MS,
            **{"session": f"{payee}-{at}", "tool": "pay.send", "destination": payee, "amount": amount, **more},
        )
        for at, amount in enumerate(amounts)
    ]


def in_order(*payments: list[Activity]) -> list[Activity]:
    return sorted((each for some in payments for each in some), key=lambda each: each.time_ms)


def drawn(count: int, seed: int) -> list[float]:
    rng = Random(seed)  # noqa: S311 - a test that has to be repeatable
    return [100.0 * exp(rng.gauss(0, 1.1)) for _ in range(count)]


def test_a_payee_who_gets_more_each_time_is_found_among_others() -> None:
    others = [paid(drawn(20, seed), f"payee-{seed}") for seed in range(12)]
    observed = observe_all(watcher(trend()), Rows(), in_order(*others, paid(RISING, "greedy")))
    found = [each for seen in observed for each in seen.findings]
    assert {each.activity.destination for each in found} == {"greedy"}


def test_a_payee_who_gets_more_each_time_is_found_although_some_amounts_are_out_of_order() -> None:
    amounts = [*RISING[:4], RISING[2], *RISING[4:8], RISING[6], *RISING[8:], RISING[-1] * 1.1]
    assert names_found(observe_all(watcher(trend()), Rows(), paid(amounts, "greedy"))) == ["arg_trend"]


def test_an_honest_supplier_is_not_found_whatever_is_paid() -> None:
    watch, rows = watcher(trend()), Rows()
    for seed in range(60):
        assert names_found(observe_all(watch, rows, paid(drawn(20, seed), f"payee-{seed}"))) == []


def test_the_same_amount_every_day_does_not_rise() -> None:
    assert names_found(observe_all(watcher(trend()), Rows(), paid([100.0] * 20, "rent"))) == []


def test_what_hardly_rises_is_not_reported() -> None:
    assert names_found(observe_all(watcher(trend()), Rows(), paid([100.0 + at for at in range(20)], "rent"))) == []


@pytest.mark.parametrize("outcome", ["DENY", "REQUIRE_APPROVAL"])
def test_what_was_not_paid_does_not_count(outcome: str) -> None:
    asked = paid(RISING, "greedy", outcome=outcome)
    assert names_found(observe_all(watcher(trend()), Rows(), asked)) == []


def test_what_was_paid_long_ago_does_not_count() -> None:
    monthly = [paid([amount], "insurer", first_day=31 * at) for at, amount in enumerate(RISING)]
    assert names_found(observe_all(watcher(trend()), Rows(), in_order(*monthly))) == []


def test_payments_that_arrive_out_of_order_are_sorted_by_time() -> None:
    late = paid(RISING, "greedy")
    late[3], late[4] = late[4], late[3]
    late[8], late[9] = late[9], late[8]
    assert names_found(observe_all(watcher(trend()), Rows(), late)) == ["arg_trend"]


@pytest.mark.parametrize("before", [[300.0], [300.0, 110.0]])
def test_one_large_payment_before_does_not_hide_that_the_others_rise(before: list[float]) -> None:
    rising = [100.0 * 1.08**at for at in range(14)]
    assert names_found(observe_all(watcher(trend()), Rows(), paid([*before, *rising], "greedy"))) == ["arg_trend"]


def test_payments_of_one_moment_stay_in_the_order_in_which_they_came() -> None:
    """By amount they would always rise."""
    falling = paid([200.0 - 10 * at for at in range(12)], "batch")
    at_once = [msgspec.structs.replace(each, time_ms=falling[-1].time_ms) for each in falling]
    late, next_one = paid([80.0, 150.0], "batch", first_day=10)
    next_one = msgspec.structs.replace(next_one, time_ms=falling[-1].time_ms + HOUR_MS)
    assert names_found(observe_all(watcher(trend()), Rows(), [*at_once, late, next_one])) == []


def test_a_row_keeps_a_bounded_number_of_payments() -> None:
    watch, rows = watcher(trend()), Rows()
    first = paid([100.0], "rent")[0]
    # More than what a session remembers of itself.
    calls = [activity(first.time_ms + at * 1_000, **_fields(first)) for at in range(300)]
    observe_all(watch, rows, calls[: SEEN_MAX + PAID_MAX])
    full = sum(map(len, rows.values()))
    observe_all(watch, rows, calls[SEEN_MAX + PAID_MAX :])
    assert sum(map(len, rows.values())) < full + 100


def _fields(each: Activity) -> dict[str, object]:
    return {"session": "rent", "tool": each.tool, "destination": each.destination, "amount": each.amount}


def test_the_trend_of_values_in_order_is_that_of_kendall() -> None:
    # S = 28 of 8 values in order; its variance is 8 * 7 * 21 / 18.
    assert trend_deviations(tuple(map(float, range(8)))) == pytest.approx(27 / (8 * 7 * 21 / 18) ** 0.5)
    assert trend_deviations((1.0, 1.0, 1.0, 1.0)) < 0
