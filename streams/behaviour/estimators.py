"""The arithmetic of baselines: pure functions over small immutable values, in event time.

Three rules hold for all of them. A negative time difference counts as zero, so records out of order never make a value
grow. One observation moves a baseline by a bounded amount, so an attacker who feeds it needs many. And the numbers
depend on the events alone, not on how often the state was written and read in between.
"""

from __future__ import annotations

from math import exp, inf, isfinite, log, log2, sqrt

import msgspec

_LN10 = log(10)
WINSOR_SD = 3.0
"""An observation counts as at most this many standard deviations from the mean."""
WINSOR_AFTER = 8.0
"""How much weight a mean needs before observations are limited by it."""
STEP_MIN = 0.02
"""The smallest step of a running median, in units of the spread: how fast an old baseline still follows."""
SPREAD_MIN = 0.02


class Mean(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An exponentially weighted mean and variance."""

    mean: float = 0.0
    var: float = 0.0
    weight: float = 0.0
    at_ms: int = 0


class Median(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A running median and median deviation."""

    median: float = 0.0
    spread: float = 0.0
    count: int = 0


class Peak(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The highest value of each period: the running period's, and mean and variance of those that are over.

    Values are logarithms: what is normal for a count is a factor, not a difference.
    """

    period: int = -1
    highest: float = 0.0
    past: Mean = Mean()


def decay(dt_ms: int, half_life_ms: int) -> float:
    """Return what is left of 1 after `dt_ms`; a negative difference counts as zero."""
    return 1.0 if dt_ms <= 0 else float(0.5 ** (dt_ms / half_life_ms))


def updated_mean(stat: Mean, value: float, now_ms: int, half_life_ms: int, sd_min: float = 0.0) -> Mean:
    """Return the mean with one more observation, limited to `WINSOR_SD` deviations of at least `sd_min`."""
    if stat.weight >= WINSOR_AFTER:
        reach = WINSOR_SD * max(sqrt(stat.var), sd_min)
        value = min(max(value, stat.mean - reach), stat.mean + reach)
    weight = stat.weight * decay(now_ms - stat.at_ms, half_life_ms) + 1.0
    step, difference = 1.0 / weight, value - stat.mean
    mean = stat.mean + step * difference
    var = (1.0 - step) * (stat.var + step * difference * difference)
    return Mean(mean, var, weight, max(stat.at_ms, now_ms))


def updated_median(stat: Median, value: float, prior_spread: float) -> Median:
    """Return the median with one more observation, by stochastic approximation (Robbins and Monro 1951)."""
    if not stat.count:
        return Median(value, prior_spread, 1)
    step = max(2.0 / (stat.count + 2.0), STEP_MIN)
    off = value - stat.median
    spread = stat.spread * exp(step if abs(off) > stat.spread else -step)
    moved = min(max(off, -step * 2.0 * stat.spread), step * 2.0 * stat.spread)
    return Median(stat.median + moved, max(spread, SPREAD_MIN), min(stat.count + 1, 2**31))


def deviations(stat: Median, value: float, spread_min: float) -> float:
    """Return how many standard deviations a value lies above the median, as its median deviation says."""
    return (value - stat.median) / (1.4826 * max(stat.spread, spread_min))


def updated_peak(peak: Peak, value: float, now_ms: int, period_ms: int, half_life_ms: int, sd_min: float) -> Peak:
    """Return the peak with one more value; a period that is over becomes one observation of the past."""
    period = now_ms // period_ms
    if period <= peak.period:
        return peak if value <= peak.highest else Peak(peak.period, value, peak.past)
    past = peak.past
    if peak.period >= 0:
        past = updated_mean(past, peak.highest, peak.period * period_ms, half_life_ms, sd_min)
    return Peak(period, value, past)


def peak_deviations(peak: Peak, value: float, sd_min: float) -> float:
    """Return how many standard deviations a value lies above the peaks of the periods that are over."""
    return (value - peak.past.mean) / max(sqrt(peak.past.var), sd_min)


def count_surprise(count: float, mean: float, var: float) -> float:
    """Return -log10 of a bound of P(X >= count) for a negative binomial X with this mean and variance.

    The bound is Chernoff's. With a variance of at most the mean, X is a Poisson variable.
    """
    mean = max(mean, 1e-3)
    if count <= mean:
        return 0.0
    if var <= mean * 1.0001:
        return (count * log(count / mean) - count + mean) / _LN10
    r = mean * mean / (var - mean)
    found = count * log(count / mean) - (count + r) * log((count + r) / (mean + r))
    return max(0.0, found / _LN10)


def new_bits(once_count: float, total: float) -> float:
    """Return how surprising it is, in bits, to see something for the first time (Good 1953).

    Args:
        once_count: how many terms were seen exactly once.
        total: how many observations there were.
    """
    return -log2(min(1.0, (once_count + 0.5) / (total + 1.0)))


def is_number(value: float | None) -> bool:
    """Return whether a value can be reckoned with: neither missing nor infinite."""
    return value is not None and isfinite(value) and abs(value) < inf
