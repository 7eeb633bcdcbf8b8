"""What is normal for an agent in an epoch, in numbers that people and gates can read: its published baseline."""

from __future__ import annotations

from math import log1p
from typing import NamedTuple

import msgspec

from streams.behaviour.activity import DAY_MS, HOUR_MS, Activity
from streams.behaviour.estimators import Median, Peak, counted_up, decay, is_number, updated_median, updated_peak

TOOLS_MAX = 64
DESTINATIONS_MAX = 32
AMOUNTS_MAX = 16
HOURS_PER_DAY = 24
PRIOR_SPREAD = 0.5
PEAK_HALF_LIFE_MS = 30 * DAY_MS


ROLE_MARK = "@"
"""Begins the pointer of an extraction that names the role of an argument. No JSON pointer begins with it, so a program
of before finds nothing there."""
RISKS_MAX = 16
RISK_STEP = 0.25
"""How much a risk, as a share of its threshold, must have risen since it was published last."""


class Extraction(NamedTuple):
    """Where a feature of a call is found, so that whoever reads the baseline reads calls as those it was learned from.

    Attributes:
        feature: its name, as files of detectors have it.
        tools: globs of the tools whose calls have it there.
        pointer: a JSON pointer (RFC 6901) into the arguments, or `@` and the role of an argument.
        read_as: how it is read.
    """

    feature: str
    tools: tuple[str, ...]
    pointer: str
    read_as: str


class RiskPoint(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A risk as of an instant, from which on it fades.

    Attributes:
        user: whose sessions with the agent it is the highest risk of; empty for the risk of the agent.
        share: the risk as a share of its threshold.
        at_ms, half_life_ms: when it was that high, and how fast it fades.
    """

    user: str
    share: float
    at_ms: int
    half_life_ms: int

    def at(self, now_ms: int) -> float:
        """Return what is left of it at an instant."""
        return self.share * decay(now_ms - self.at_ms, self.half_life_ms)


class Profile(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The usual behaviour of an agent in an epoch.

    Attributes:
        calls: how many calls it has been learned from.
        first_ms, last_ms: the first and the newest of them.
        tools, destinations: how often each was used, sorted by name; the rarest make room.
        hours: calls by hour of the day (UTC).
        amounts: the usual amount of each tool, as logarithms of the amount and one.
        version: how often it has been published; `is_published` says whether anything has been learned since.
        busiest: the busiest hour of a usual day, as the logarithm of its calls and one.
        hour, hour_calls: the newest hour, counted since the epoch, and its calls.
        reads: where in the arguments of calls destination and amount are found. Only what is published has it.
        cohort: the type of agents that it is compared with.
        risks: the risks of the agent and of its users, sorted by user.
    """

    agent: str = ""
    epoch: str = ""
    calls: int = 0
    first_ms: int = 0
    last_ms: int = 0
    tools: tuple[tuple[str, int], ...] = ()
    destinations: tuple[tuple[str, int], ...] = ()
    hours: tuple[int, ...] = (0,) * HOURS_PER_DAY
    amounts: tuple[tuple[str, Median], ...] = ()
    version: int = 0
    is_published: bool = False
    busiest: Peak = Peak()
    hour: int = -1
    hour_calls: int = 0
    reads: tuple[Extraction, ...] = ()
    cohort: str = ""
    risks: tuple[RiskPoint, ...] = ()


def updated_profile(profile: Profile | None, activity: Activity) -> Profile:
    """Return the profile after one more call.

    Args:
        profile: what there was before.
        activity: a call that may be learned from.
    """
    it = profile or Profile(activity.agent, activity.epoch, first_ms=activity.time_ms)
    number = activity.time_ms // HOUR_MS
    hour = number % HOURS_PER_DAY
    # A call that comes late counts in the newest hour: it makes nothing grow that was not called.
    hour_calls = it.hour_calls + 1 if number <= it.hour else 1
    amounts = it.amounts
    if is_number(activity.amount):
        amounts = _with_amount(amounts, activity, log1p(abs(activity.amount)))
    place = activity.destination
    return Profile(
        it.agent,
        it.epoch,
        it.calls + 1,
        it.first_ms,
        max(it.last_ms, activity.time_ms),
        counted_up(it.tools, activity.tool, TOOLS_MAX),
        it.destinations if place is None else counted_up(it.destinations, place, DESTINATIONS_MAX),
        (*it.hours[:hour], it.hours[hour] + 1, *it.hours[hour + 1 :]),
        amounts,
        it.version,
        busiest=updated_peak(it.busiest, log1p(hour_calls), activity.time_ms, PEAK_HALF_LIFE_MS),
        hour=max(number, it.hour),
        hour_calls=hour_calls,
        cohort=activity.cohort,
        risks=it.risks,
    )


def _with_amount(
    known: tuple[tuple[str, Median], ...], activity: Activity, log_amount: float
) -> tuple[tuple[str, Median], ...]:
    """Return the usual amounts with one more; those of further tools than `AMOUNTS_MAX` are left out."""
    amounts, tool = dict(known), activity.tool
    if tool not in amounts and len(amounts) >= AMOUNTS_MAX:
        return known
    amounts[tool] = updated_median(amounts.get(tool, Median()), log_amount, PRIOR_SPREAD, activity.time_ms)
    return tuple(sorted(amounts.items()))


def with_risk(profile: Profile, point: RiskPoint) -> Profile | None:
    """Return the profile with a risk; None if it has not risen enough since it was published last to be published.

    Args:
        profile: what is known.
        point: the risk as it is now.
    """
    others = [each for each in profile.risks if each.user != point.user]
    before = next((each.at(point.at_ms) for each in profile.risks if each.user == point.user), 0.0)
    if point.share < before + RISK_STEP:
        return None
    highest = sorted([*others, point], key=lambda each: (-each.at(point.at_ms), each.user))[:RISKS_MAX]
    if point not in highest:
        return None
    risks = tuple(sorted(highest, key=lambda each: each.user))
    return msgspec.structs.replace(profile, risks=risks, is_published=False)
