"""Compare a count with the highest counts of earlier days, of the same key or else of its peers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from math import exp, log1p

import msgspec

from streams.behaviour.activity import DAY_MS
from streams.behaviour.declarations import Declaration
from streams.behaviour.estimators import Peak, updated_peak, usual_peak
from streams.behaviour.signals import FAINT

COLD_FACTOR = 5.0
"""How much more a count has to be where nothing is known of what is usual."""
SURE_DEVIATIONS = 3.0
"""Up to how many standard deviations above the usual peaks may lie beyond what is reported where nothing is known."""
SHARED_BY = 2
"""How many others of its kind must have done the same surprising thing before it is the work's, and not the agent's."""
SHARED_SHARE = 0.75
"""The share of the threshold that it then has at most."""
DAYS_MIN = 3.0
DAYS_DEVIATIONS = 3.0
"""How many days must be known before a score is compared with their highest values, and how many deviations above these
a value has to be."""
NOT_KNOWN = "not known"
"""Stands in sentences for what is usual, where nothing is known of it."""
SKETCH_MAX = 64
_DIGEST_MAX = 2.0**63


class Compared(msgspec.Struct, frozen=True, gc=False):
    """A count beside what is usual.

    Attributes:
        score: the count, scaled so that it reaches the threshold where it leaves what is usual.
        usual: the highest count of a usual day; `NOT_KNOWN` if too few days are known.
    """

    score: float
    usual: float | str


def has_days(peak: Peak, declaration: Declaration) -> bool:
    """Return whether enough days of a peak are known to compare with."""
    weight = peak.past.weight
    return weight >= 1.0 and weight >= declaration.min_support


def usual_limit(peak: Peak, wanted_deviations: float) -> float:
    """Return the count that lies so many standard deviations above the peaks of earlier days."""
    return _limit(*usual_peak(peak), wanted_deviations)


def _limit(mean: float, spread: float, wanted_deviations: float) -> float:
    return exp(min(mean + wanted_deviations * spread, 80.0)) - 1.0


def compared(
    count: float, declaration: Declaration, peaks: Iterable[Peak | None], cold_factor: float = COLD_FACTOR
) -> Compared:
    """Return a count beside the first of the peaks that has enough days, or else beside `cold_factor` thresholds.

    Peaks that differ much from day to day allow no more than nothing known does, unless the usual ones are about as
    high. The score is never more than the count. So of a count that is below what is reported, none is reckoned.
    """
    threshold = declaration.threshold
    if count < FAINT * threshold:
        return Compared(0.0, NOT_KNOWN)
    for peak in peaks:
        if peak is not None and has_days(peak, declaration):
            mean, spread = usual_peak(peak)
            sure = max(cold_factor * threshold, _limit(mean, spread, SURE_DEVIATIONS))
            limit = max(threshold, min(_limit(mean, spread, declaration.deviations), sure))
            return Compared(count * threshold / limit, exp(min(mean, 80.0)) - 1.0)
    return Compared(count / cold_factor, NOT_KNOWN)


def beside_days(score: float, value: float, peaks: Iterable[Peak | None], declaration: Declaration) -> float:
    """Return a score that reaches its threshold only if the value also leaves the highest values of usual days.

    Args:
        score: what is said of the value without them.
        value: a count, of which the peaks have the highest of each day.
        peaks: those of the agent and of its peers; the first of which enough days are known is asked. If none is, the
            score is 0.
        declaration: whose threshold it is.
    """
    for peak in peaks:
        if peak is not None and peak.past.weight >= DAYS_MIN:
            return min(score, declaration.threshold * value / max(usual_limit(peak, DAYS_DEVIATIONS), 1.0))
    return 0.0


def learned(peak: Peak | None, count: float, now_ms: int, declaration: Declaration) -> Peak:
    """Return the peak after another count."""
    value = log1p(count) if count > 0.0 else 0.0
    if peak is not None and value <= peak.highest and now_ms // DAY_MS <= peak.day:
        # As almost all counts of a day are.
        return peak
    return updated_peak(peak or Peak(), value, now_ms, declaration.history_ms)


def both_learned(
    own: Peak | None, peers: Peak | None, count: float, now_ms: int, declaration: Declaration
) -> tuple[Peak, Peak]:
    """Return the peaks of an agent and of its peers after another count. Likewise."""
    value, day = log1p(count) if count > 0.0 else 0.0, now_ms // DAY_MS
    if own is None or value > own.highest or day > own.day:
        own = updated_peak(own or Peak(), value, now_ms, declaration.history_ms)
    if peers is None or value > peers.highest or day > peers.day:
        peers = updated_peak(peers or Peak(), value, now_ms, declaration.history_ms)
    return own, peers


class Sketch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How many different values there were: exact up to `SKETCH_MAX`, then by the smallest digests.

    The estimator is KMV (Bar-Yossef et al. 2002): its error with 64 digests is about 13%. A HyperLogLog is smaller only
    from thousands of values on, and it is a dependency; this is a sorted tuple, the same bytes in any order of arrival.
    """

    digests: tuple[int, ...] = ()

    def with_digest(self, digest: int) -> Sketch:
        """Return the sketch with one more value."""
        known = self.digests
        at = bisect_left(known, digest)
        if at == SKETCH_MAX or (at < len(known) and known[at] == digest):
            return self
        return Sketch((*known[:at], digest, *known[at:])[:SKETCH_MAX])

    def count(self) -> float:
        """Return how many different values there were."""
        count = len(self.digests)
        return float(count) if count < SKETCH_MAX else (SKETCH_MAX - 1) * _DIGEST_MAX / (self.digests[-1] + 1)
