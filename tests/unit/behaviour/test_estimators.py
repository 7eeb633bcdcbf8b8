"""The arithmetic of baselines, against numbers that are worked out otherwise."""

from __future__ import annotations

from math import exp, lgamma, log, log10

import pytest

from streams.behaviour.detectors.loops import repeats
from streams.behaviour.detectors.peaks import SKETCH_MAX, Sketch
from streams.behaviour.estimators import (
    Mean,
    Median,
    count_surprise,
    decay,
    deviations,
    new_bits,
    updated_mean,
    updated_median,
)

HOUR_MS = 3_600_000


def test_a_mean_without_decay_is_the_mean_and_variance() -> None:
    values, stat = [3.0, 5.0, 4.0, 8.0, 1.0], Mean()
    for value in values:
        stat = updated_mean(stat, value, 1_000, HOUR_MS)
    mean = sum(values) / len(values)
    assert stat.mean == pytest.approx(mean)
    assert stat.var == pytest.approx(sum((value - mean) ** 2 for value in values) / len(values))


def test_time_that_goes_back_counts_as_no_time() -> None:
    assert decay(-5_000, HOUR_MS) == 1.0
    stat = updated_mean(Mean(1.0, 0.0, 4.0, 10_000), 1.0, 2_000, HOUR_MS)
    assert stat == Mean(1.0, 0.0, 5.0, 10_000)


def test_one_observation_moves_a_mean_by_a_bounded_amount() -> None:
    stat = Mean()
    for value in (9.0, 10.0, 11.0) * 10:
        stat = updated_mean(stat, value, 0, HOUR_MS)
    assert updated_mean(stat, 1e12, 0, HOUR_MS).mean < 10.2


@pytest.mark.parametrize(("mean", "var"), [(2.0, 2.0), (2.0, 6.0), (20.0, 90.0), (0.5, 0.9)])
@pytest.mark.parametrize("count", [3, 8, 30, 90])
def test_surprise_bounds_the_exact_tail(mean: float, var: float, count: int) -> None:
    if count <= mean:
        assert count_surprise(count, mean, var) == 0
        return
    tail = sum(_probability(k, mean, var) for k in range(count, count + 2_000))
    bound = count_surprise(float(count), mean, var)
    assert 10.0**-bound >= tail * 0.999999
    assert bound >= -log10(tail) * 0.5 - 0.7


def _probability(k: int, mean: float, var: float) -> float:
    if var <= mean:
        return exp(k * log(mean) - mean - lgamma(k + 1))
    r = mean * mean / (var - mean)
    p = mean / var
    return exp(lgamma(k + r) - lgamma(r) - lgamma(k + 1) + r * log(p) + k * log(1 - p))


def test_a_first_time_is_the_more_surprising_the_fewer_there_were() -> None:
    assert new_bits(0, 0) == 1.0
    assert new_bits(0, 1_000) == pytest.approx(10.97, abs=0.01)
    assert new_bits(1_000, 1_000) < 0.01


def test_a_median_follows_its_values_and_ignores_outliers() -> None:
    stat = Median()
    for at in range(2_000):
        stat = updated_median(stat, 1e9 if at % 10 == 9 else 5.0 + (at % 7 - 3) / 10, 0.5, at * 60_000)
    assert stat.median == pytest.approx(5.0, abs=0.2)
    assert deviations(stat, 1e9, 0.1) > 100
    assert deviations(stat, 5.0, 0.1) < 1.5


def test_a_sketch_is_exact_until_it_is_full_and_then_close() -> None:
    sketch, step = Sketch(), 2**63 // 2_000
    for at in range(SKETCH_MAX - 1):
        sketch = sketch.with_digest(at * step + 17)
    assert sketch.count() == SKETCH_MAX - 1
    for at in range(2_000):
        sketch = sketch.with_digest(at * step + 17)
    assert 1_500 < sketch.count() < 2_500
    assert len(sketch.digests) == SKETCH_MAX


@pytest.mark.parametrize(
    ("calls", "wanted"), [("a", 1), ("abc", 1), ("aaaa", 4), ("xababab", 3), ("abcabcabc", 3), ("abca", 2)]
)
def test_repeats_counts_a_call_or_a_cycle(calls: str, wanted: int) -> None:
    assert repeats(tuple(ord(call) for call in calls)) == wanted
