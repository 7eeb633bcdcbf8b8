"""Compares two epochs of an agent: what it does more, less, for the first time, and no longer.

A difference is stated if it is too large for chance and large enough to matter. The first is a likelihood-ratio test of
two shares (Wilks 1938), with a bound for the many tools and places that are compared. The second is a factor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import exp, log
from typing import NamedTuple

from streams.behaviour.activity import DAY_MS
from streams.behaviour.profiles import HOURS_PER_DAY, Profile

EVIDENCE_MIN = 15.0
"""The lowest likelihood ratio (chi-squared, one degree of freedom): chance reaches it about once in 10,000 times."""
FACTOR_MIN = 1.5
AMOUNTS_MIN = 10
"""Amounts that a median needs before it is compared."""
AMOUNT_DEVIATIONS_MIN = 1.0
QUIET_SHARE_MAX = 0.01
"""An hour is quiet if less than this share of calls fell into it."""
AWAKE_SHARE_MIN = 0.1
"""How much of the work must fall into hours that were quiet."""
DAYS_MIN = 3.0
CALLS_MIN = 50
"""Days and calls of each epoch that a pace needs before it is compared."""
MAD_TO_DEVIATION = 1.4826


class Change(NamedTuple):
    """One difference between two epochs.

    Attributes:
        kind: `tool`, `destination`, `amount`, `hours` or `pace`.
        what: the tool or the destination; empty for others.
        text: the difference in words.
        before, now: the shares, amounts or calls a day that are compared.
        evidence: how sure it is, as a likelihood ratio; the larger, the surer.
    """

    kind: str
    what: str
    text: str
    before: float
    now: float
    evidence: float


def changes_between(before: Profile, now: Profile) -> tuple[Change, ...]:
    """Return the differences between two epochs, the surest first.

    Args:
        before: what was usual before.
        now: what is usual now.
    """
    found = [
        *_shares("tool", dict(before.tools), dict(now.tools), before.calls, now.calls),
        *_shares("destination", dict(before.destinations), dict(now.destinations), sent_count(before), sent_count(now)),
        *_amounts(before, now),
        *_hours(before, now),
        *_pace(before, now),
    ]
    return tuple(sorted(found, key=lambda each: (-each.evidence, each.kind, each.what)))


def sent_count(profile: Profile) -> int:
    """Return how many calls of an epoch have sent something to a destination."""
    return sum(count for _, count in profile.destinations)


def _shares(
    kind: str, before: Mapping[str, int], now: Mapping[str, int], before_total: int, now_total: int
) -> Iterator[Change]:
    if not before_total or not now_total:
        return
    for what in sorted({*before, *now}):
        old, new = before.get(what, 0), now.get(what, 0)
        evidence = likelihood_ratio(old, before_total, new, now_total)
        factor = ((new + 0.5) / (now_total + 1)) / ((old + 0.5) / (before_total + 1))
        if evidence < EVIDENCE_MIN or 1 / FACTOR_MIN < factor < FACTOR_MIN:
            continue
        old_share, new_share = old / before_total, new / now_total
        yield Change(kind, what, _share_text(kind, what, old_share, new_share), old_share, new_share, evidence)


def _share_text(kind: str, what: str, old: float, new: float) -> str:
    verb, whole = ("is used", "of its calls") if kind == "tool" else ("is written to", "of what it sends")
    if not old:
        return f"{what} {verb} for the first time: {percent(new)} {whole}"
    if not new:
        return f"{what} {verb} no longer: it was {percent(old)} {whole}"
    return f"{what} {verb} {times(new / old)} as often: {percent(old)} {whole} before, {percent(new)} now"


def _amounts(before: Profile, now: Profile) -> Iterator[Change]:
    old = dict(before.amounts)
    for tool, median in now.amounts:
        was = old.get(tool)
        if was is None or min(was.count, median.count) < AMOUNTS_MIN:
            continue
        off = (median.median - was.median) / (MAD_TO_DEVIATION * max(was.spread, 0.01))
        low, high = exp(was.median) - 1, exp(median.median) - 1
        factor = high / low if low > 0 else FACTOR_MIN
        if abs(off) < AMOUNT_DEVIATIONS_MIN or 1 / FACTOR_MIN < factor < FACTOR_MIN:
            continue
        text = f"the usual amount of {tool} is {times(factor)} what it was: {number(low)} before, {number(high)} now"
        yield Change("amount", tool, text, low, high, min(was.count, median.count) * off * off)


def _hours(before: Profile, now: Profile) -> Iterator[Change]:
    if not before.calls or not now.calls:
        return
    quiet = [hour for hour in range(HOURS_PER_DAY) if before.hours[hour] < QUIET_SHARE_MAX * before.calls]
    old, new = sum(before.hours[hour] for hour in quiet), sum(now.hours[hour] for hour in quiet)
    evidence, share = likelihood_ratio(old, before.calls, new, now.calls), new / now.calls
    if evidence < EVIDENCE_MIN or share < AWAKE_SHARE_MIN:
        return
    worked = [hour for hour in quiet if now.hours[hour] >= QUIET_SHARE_MAX * now.calls]
    text = f"{percent(share)} of its calls fall into hours at which it hardly worked before: {spans(worked)} UTC"
    yield Change("hours", "", text, old / before.calls, share, evidence)


def _pace(before: Profile, now: Profile) -> Iterator[Change]:
    days = [max((each.last_ms - each.first_ms) / DAY_MS, 1.0) for each in (before, now)]
    if min(days) < DAYS_MIN or min(before.calls, now.calls) < CALLS_MIN:
        return
    old, new = before.calls / days[0], now.calls / days[1]
    if 1 / FACTOR_MIN < new / old < FACTOR_MIN:
        return
    text = f"it makes {times(new / old)} as many calls: {number(old)} a day before, {number(new)} now"
    yield Change("pace", "", text, old, new, EVIDENCE_MIN)


def likelihood_ratio(old: int, old_total: int, new: int, new_total: int) -> float:
    """Return twice the logarithm of how much better two shares explain the counts than one share does."""
    together = (old + new) / (old_total + new_total)
    return 2.0 * sum(
        _explained(count, total, count / total) - _explained(count, total, together)
        for count, total in ((old, old_total), (new, new_total))
    )


def _explained(count: int, total: int, share: float) -> float:
    hits = count * log(share) if count else 0.0
    misses = (total - count) * log(1.0 - share) if total > count else 0.0
    return hits + misses


def percent(share: float) -> str:
    """Return a share for people."""
    return "less than 1%" if 0 < share < 0.01 else f"{share:.0%}"


def times(factor: float) -> str:
    """Return a factor for people: `9 times`, `half`, `a third`, `1/10`."""
    parts = {2: "half", 3: "a third", 4: "a quarter"}
    if factor <= 0:
        return "0 times"
    if factor < 1 and round(1 / factor) in parts and abs(1 / factor - round(1 / factor)) < 0.15:
        return parts[round(1 / factor)]
    if factor < 1 / max(parts):
        return f"1/{1 / factor:,.0f}"
    return f"{factor:,.0f} times" if factor >= 10 else f"{factor:.2g} times"


def number(value: float) -> str:
    """Return a number for people: three digits, and of thousands all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def spans(hours: list[int]) -> str:
    """Return hours of the day as spans: `22:00-02:00, 05:00-06:00`."""
    found: list[tuple[int, int]] = []
    for hour in sorted(hours):
        if found and found[-1][1] == hour:
            found[-1] = (found[-1][0], hour + 1)
        else:
            found.append((hour, hour + 1))
    if len(found) > 1 and found[0][0] == 0 and found[-1][1] == HOURS_PER_DAY:
        first, last = found.pop(0), found.pop()
        found.append((last[0], first[1]))
    return ", ".join(f"{start:02d}:00-{end % HOURS_PER_DAY:02d}:00" for start, end in found) or "none"
