"""What the soak computes from samples, and when it refuses what it has measured."""

from __future__ import annotations

import pytest

from bench.soak.measurement import check_calls
from bench.soak.slopes import second_half, slope_per_minute


def test_the_slope_is_that_of_the_line_of_least_squares() -> None:
    samples = [(0.0, 10.0), (60.0, 13.0), (120.0, 13.0), (180.0, 16.0)]
    assert slope_per_minute(samples) == pytest.approx(1.8)


def test_a_flat_series_has_no_slope_whatever_its_noise() -> None:
    samples = [(float(second), 100.0 + second % 2) for second in range(0, 600)]
    assert abs(slope_per_minute(samples)) < 0.01


def test_samples_of_one_instant_have_no_slope() -> None:
    with pytest.raises(ValueError, match="no slope"):
        slope_per_minute([(1.0, 1.0), (1.0, 2.0)])


def test_only_the_second_half_of_the_time_counts() -> None:
    samples = [(float(second), 1.0) for second in range(0, 101, 10)]
    assert second_half(samples)[0][0] == 50.0


@pytest.mark.parametrize("calls", [0, 199])
def test_an_idle_executor_is_no_measurement(calls: int) -> None:
    with pytest.raises(RuntimeError, match=f"has run {calls} of 400 calls"):
        check_calls(1_000, calls)


def test_a_load_without_a_call_is_no_measurement() -> None:
    with pytest.raises(RuntimeError, match="idle"):
        check_calls(0, 0)


def test_an_executor_that_has_run_most_of_its_calls_is_measured() -> None:
    check_calls(1_000, 200)
