"""Tests of turns: which version is measured when, and what counts."""

from __future__ import annotations

import itertools

from bench.harness.turns import take_turns


def measured(turns: int, *, warm_up: int = 1) -> tuple[list[tuple[int, ...]], str]:
    """Return what turns of two versions find, which is the number of the measurement, and who was measured when."""
    numbers, order = itertools.count(), []

    def measure(version: str) -> int:
        order.append(version)
        return next(numbers)

    return take_turns("ab", measure, turns, warm_up=warm_up), "".join(order)


def test_each_turn_reverses_the_order_and_still_tells_versions_apart() -> None:
    assert measured(2, warm_up=0) == ([(1, 0), (2, 3)], "baab")


def test_turns_to_warm_up_do_not_count() -> None:
    assert measured(2) == ([(2, 3), (5, 4)], "baabba")
