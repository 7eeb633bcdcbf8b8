"""The arithmetic of baselines: pure functions over small immutable values, in event time.

Three rules hold for all of them. A negative time difference counts as zero, so records out of order never make a value
grow. One observation moves a baseline by a bounded amount, so an attacker who feeds it needs many. And the numbers
depend on the events alone, not on how often the state was written and read in between.
"""

from __future__ import annotations

from bisect import bisect_left
from math import exp, isfinite, log, log2, sqrt
from math import pow as power
from typing import TypeGuard, TypeVar

import msgspec

from streams.behaviour.activity import DAY_MS

Name = TypeVar("Name", int, str)

_LN10 = log(10)
WINSOR_SD = 3.0
"""An observation counts as at most this many standard deviations from the mean."""
WINSOR_AFTER = 8.0
"""How much weight a mean needs before observations are limited by it."""
STEP_MIN = 0.02
"""The smallest step of a running median, in units of the spread: how fast an old baseline still follows."""
SPREAD_MIN = 0.02
PEAK_SD_MIN = 0.3
"""Standard deviation of the logarithm of a peak at least: days differ by a third without any cause."""
LEVEL_SLACK = 0.3
LEVEL_RISE_PER_DAY = 0.01
SPREAD_SLACK = 0.2
SPREAD_RISE_PER_DAY = 0.005
"""How far a level (a logarithm) and the logarithm of its spread may rise: at once, and in a day. In 30 days, that is a
factor of 1.8 of the level and of 1.4 of the spread, whoever feeds them."""
LEVEL_FALL_PER_DAY = 0.1
SPREAD_FALL_PER_DAY = 0.05
"""How far what is usual falls in a day with work. If it fell at once, a wave of equal payments or a week of holidays
would make the usual work after it unusual for months, since it rises so slowly."""
_SPREAD_LEAST = exp(-SPREAD_SLACK)
SETTLED_DAYS = 10.0
"""Days after which what is usual is tethered."""
SETTLED_COUNT = 60
"""Amounts after which what is usual is tethered."""
SETTLED_WINDOWS = 60.0
"""Active windows after which what is usual is tethered."""
COUNT_MAX = 2**31
"""Up to where amounts are counted."""


class Tether(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How high a level, and the logarithm of its spread, may be taken for usual; and as of when."""

    level: float = 0.0
    log_spread: float = 0.0
    at_ms: int = 0


class Mean(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An exponentially weighted mean and variance, and how high they may be taken for usual once there is enough."""

    mean: float = 0.0
    var: float = 0.0
    weight: float = 0.0
    at_ms: int = 0
    tether: Tether | None = None


class Median(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A running median and median deviation, and how high they may be taken for usual once there is enough."""

    median: float = 0.0
    spread: float = 0.0
    count: int = 0
    tether: Tether | None = None


class Since(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """When something was first observed."""

    at_ms: int = 0


class Peak(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The highest value of each day: that of the last one, and mean and variance of those of the days before.

    Values are logarithms: what is normal for a count is a factor, not a difference.
    """

    day: int = -1
    highest: float = 0.0
    past: Mean = Mean()


def tethered(tether: Tether | None, level: float, spread: float, now_ms: int) -> Tether:
    """Return how high a level and its spread may be taken for usual.

    What is usual rises by a bounded amount in a day, however it is fed. A little slack above the current level lets it
    follow chance. It falls slowly, too.

    Args:
        tether: what it was before; None at first.
        level: what the estimator says, as a logarithm.
        spread: the spread of it.
        now_ms: event time.
    """
    log_spread = log(spread if spread > SPREAD_MIN else SPREAD_MIN) + SPREAD_SLACK
    level += LEVEL_SLACK
    if tether is None:
        return Tether(level, log_spread, now_ms)
    at_ms, days = tether.at_ms, 0.0
    if now_ms > at_ms:
        at_ms, days = now_ms, (now_ms - at_ms) / DAY_MS
    fallen_days = days if days < 1.0 else 1.0
    # Comparisons instead of `min`, here and below: these are called for every decision, and calls are what they cost.
    least, most = tether.level - LEVEL_FALL_PER_DAY * fallen_days, tether.level + LEVEL_RISE_PER_DAY * days
    level = least if level < least else most if level > most else level
    old = tether.log_spread
    least, most = old - SPREAD_FALL_PER_DAY * fallen_days, old + SPREAD_RISE_PER_DAY * days
    return Tether(level, least if log_spread < least else most if log_spread > most else log_spread, at_ms)


def within(tether: Tether | None, level: float, spread: float) -> tuple[float, float]:
    """Return level and spread as far as they count as usual: at most the tether, at least that without its slack."""
    if tether is None:
        return level, spread
    least, most = tether.level - LEVEL_SLACK, exp(tether.log_spread)
    level = tether.level if level > tether.level else least if level < least else level
    least = most * _SPREAD_LEAST
    return level, most if spread > most else least if spread < least else spread


def decay(dt_ms: int, half_life_ms: int) -> float:
    """Return what is left of 1 after `dt_ms`; a negative difference counts as zero."""
    return 1.0 if dt_ms <= 0 else power(0.5, dt_ms / half_life_ms)


def updated_mean(stat: Mean, value: float, now_ms: int, half_life_ms: int, sd_min: float = 0.0) -> Mean:
    """Return the mean with one more observation, limited to `WINSOR_SD` deviations of at least `sd_min`."""
    if stat.weight >= WINSOR_AFTER:
        sd = sqrt(stat.var)
        reach = WINSOR_SD * (sd if sd > sd_min else sd_min)
        if value < stat.mean - reach:
            value = stat.mean - reach
        elif value > stat.mean + reach:
            value = stat.mean + reach
    weight, at_ms = stat.weight, stat.at_ms
    if now_ms > at_ms:
        # As `decay` would reckon it.
        weight, at_ms = weight * power(0.5, (now_ms - at_ms) / half_life_ms), now_ms
    weight += 1.0
    step, difference = 1.0 / weight, value - stat.mean
    mean = stat.mean + step * difference
    var = (1.0 - step) * (stat.var + step * difference * difference)
    return Mean(mean, var, weight, at_ms, stat.tether)


def updated_median(stat: Median, value: float, prior_spread: float, now_ms: int) -> Median:
    """Return the median with one more observation, by stochastic approximation (Robbins and Monro 1951)."""
    if not stat.count:
        return Median(value, prior_spread, 1)
    # Comparisons instead of `min`, `max` and `abs`, as in `tethered`.
    step = 2.0 / (stat.count + 2.0)
    step = step if step > STEP_MIN else STEP_MIN
    off, reach = value - stat.median, step * 2.0 * stat.spread
    spread = stat.spread * exp(step if off > stat.spread or off < -stat.spread else -step)
    moved = -reach if off < -reach else reach if off > reach else off
    median, spread = stat.median + moved, spread if spread > SPREAD_MIN else SPREAD_MIN
    count = stat.count + 1 if stat.count < COUNT_MAX else COUNT_MAX
    return Median(
        median, spread, count, tethered(stat.tether, median, spread, now_ms) if count > SETTLED_COUNT else None
    )


def deviations(stat: Median, value: float, spread_min: float) -> float:
    """Return how many standard deviations a value lies above the median, as its median deviation says."""
    median, spread = within(stat.tether, stat.median, stat.spread)
    return (value - median) / (1.4826 * (spread if spread > spread_min else spread_min))


def updated_peak(peak: Peak, value: float, now_ms: int, half_life_ms: int) -> Peak:
    """Return the peak with one more value, a logarithm; a day that is over becomes one observation of the past."""
    day = now_ms // DAY_MS
    if day <= peak.day:
        return peak if value <= peak.highest else Peak(peak.day, value, peak.past)
    past = peak.past
    if peak.day >= 0:
        over_ms = peak.day * DAY_MS
        past = updated_mean(past, peak.highest, over_ms, half_life_ms, PEAK_SD_MIN)
        if past.weight > SETTLED_DAYS:
            tether = tethered(past.tether, past.mean, max(sqrt(past.var), PEAK_SD_MIN), over_ms)
            past = Mean(past.mean, past.var, past.weight, past.at_ms, tether)
    return Peak(day, value, past)


def usual_peak(peak: Peak) -> tuple[float, float]:
    """Return mean and standard deviation of the peaks of the days that are over, as far as they count as usual."""
    mean, spread = within(peak.past.tether, peak.past.mean, max(sqrt(peak.past.var), PEAK_SD_MIN))
    return mean, max(spread, PEAK_SD_MIN)


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


def is_number(value: float | None) -> TypeGuard[float]:
    """Return whether a value can be reckoned with: neither missing nor infinite."""
    return value is not None and isfinite(value)


def counted_up(counts: tuple[tuple[Name, int], ...], name: Name, names_max: int) -> tuple[tuple[Name, int], ...]:
    """Return how often each name was seen after one more time, sorted; the rarest makes room for a new one."""
    found, at = list(counts), bisect_left(counts, (name, 0))
    if at < len(found):
        known, count = found[at]
        if known == name:
            found[at] = (name, count + 1)
            return tuple(found)
    found.insert(at, (name, 1))
    if len(found) > names_max:
        found.remove(min(counts, key=lambda each: (each[1], each[0])))
    return tuple(found)


def count_of(counts: tuple[tuple[Name, int], ...], name: Name) -> int:
    """Return how often a name was seen, of counts sorted by name."""
    at = bisect_left(counts, (name, 0))
    return counts[at][1] if at < len(counts) and counts[at][0] == name else 0
