"""What is usual for an agent, in the form in which the terminal and the page draw it."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from typing import NamedTuple

from streams.behaviour.activity import DAY_MS
from streams.behaviour.epochs import changed_parts
from streams.behaviour.profiles import HOURS_PER_DAY, Profile
from streams.codec.instants import format_instant
from streams.model.plurals import many
from streams.operations.behaviour.baselines import Known
from streams.operations.behaviour.changes import (
    MAD_TO_DEVIATION,
    Change,
    changes_between,
    number,
    percent,
    sent_count,
    spans,
)

BUSY_SHARE = 0.9
"""The busiest hours are the fewest that have this share of the calls."""


class Bar(NamedTuple):
    """One tool or destination: how often, its share, and its share in the epoch before; None if there is none."""

    name: str
    calls: int
    share: float
    before: float | None


class Amount(NamedTuple):
    """The usual amount of a tool, and between which amounts about two thirds of them lie."""

    tool: str
    usual: float
    low: float
    high: float
    calls: int
    before: float | None

    @property
    def text(self) -> str:
        """Return it in words."""
        was = "" if self.before is None else f" ({number(self.before)} before)"
        return f"about {number(self.usual)}, mostly {number(self.low)} to {number(self.high)}{was}"


class Epoch(NamedTuple):
    """One line of the list of epochs."""

    name: str
    calls: int
    first: str
    last: str


class Portrait(NamedTuple):
    """What is usual for an agent in an epoch, and what has changed since the one before.

    Attributes:
        agent: the agent, with its tenant if it has one.
        epoch: the model, the toolset, the system prompt and the version.
        learned: from how much it was learned, in words.
        busy: the hours of the day with most of the calls, in words.
        hours: calls by the hour of the day (UTC).
        since: what changed between the epochs, in words; empty if there is none to compare with.
        is_beside: whether the other epoch is still at work, as beside a canary.
        changes: the differences, the surest first.
        epochs: all epochs, the newest first.
    """

    agent: str
    epoch: str
    learned: str
    published: str
    tools: tuple[Bar, ...]
    destinations: tuple[Bar, ...]
    amounts: tuple[Amount, ...]
    hours: tuple[int, ...]
    busy: str
    since: str
    is_beside: bool
    changes: tuple[Change, ...]
    epochs: tuple[Epoch, ...]

    @property
    def heading(self) -> str:
        """Return what the changes are compared with, in words."""
        if not self.since:
            return "there is no other epoch to compare with"
        return f"beside the epoch that is still at work ({self.since})" if self.is_beside else f"since {self.since}"


def portrait_of(known: Sequence[Known], chosen: Known, other: Known | None) -> Portrait:
    """Return what there is to draw.

    Args:
        known: all epochs of the agent.
        chosen: the one to show.
        other: the one to compare it with; None if there is none.
    """
    now, before = chosen.profile, None if other is None else other.profile
    days = int((now.last_ms - now.first_ms) // DAY_MS) + 1
    return Portrait(
        agent=f"{chosen.tenant_uid}|{now.agent}" if chosen.tenant_uid else now.agent,
        epoch=epoch_text(chosen),
        learned=f"{many(now.calls, 'allowed call')} in {many(days, 'day')}, "
        f"{day_text(now.first_ms)} to {day_text(now.last_ms)}",
        published=format_instant(chosen.published_ms),
        tools=_bars(now.tools, now.calls, None if before is None else (dict(before.tools), before.calls)),
        destinations=_bars(
            now.destinations,
            sent_count(now),
            None if before is None else (dict(before.destinations), sent_count(before)),
        ),
        amounts=_amounts(now, before),
        hours=now.hours,
        busy=spans(busiest(now.hours)),
        since="" if before is None else changed_parts(before.epoch, now.epoch),
        is_beside=before is not None and min(before.last_ms, now.last_ms) - max(before.first_ms, now.first_ms) > DAY_MS,
        changes=() if before is None else changes_between(before, now),
        epochs=tuple(_line(each) for each in known),
    )


def _bars(counts: Sequence[tuple[str, int]], total: int, before: tuple[dict[str, int], int] | None) -> tuple[Bar, ...]:
    found = []
    for name, count in sorted(counts, key=lambda each: (-each[1], each[0])):
        was = None if before is None or not before[1] else before[0].get(name, 0) / before[1]
        found.append(Bar(name, count, count / max(total, 1), was))
    return tuple(found)


def _amounts(now: Profile, before: Profile | None) -> tuple[Amount, ...]:
    old = {} if before is None else dict(before.amounts)
    found = []
    for tool, median in now.amounts:
        reach, was = MAD_TO_DEVIATION * median.spread, old.get(tool)
        found.append(
            Amount(
                tool,
                exp(median.median) - 1,
                max(exp(median.median - reach) - 1, 0.0),
                exp(median.median + reach) - 1,
                median.count,
                None if was is None else exp(was.median) - 1,
            )
        )
    return tuple(found)


def _line(known: Known) -> Epoch:
    profile = known.profile
    return Epoch(epoch_text(known), profile.calls, day_text(profile.first_ms), day_text(profile.last_ms))


def epoch_text(known: Known) -> str:
    """Return an epoch for people."""
    parts = known.parts
    named = (
        ("model", parts.model),
        ("toolset", parts.toolset),
        ("prompt", parts.prompt),
        ("version", parts.version),
    )
    return ", ".join(f"{name} {text}" for name, text in named if text) or "of an unknown model"


def day_text(time_ms: int) -> str:
    """Return the day of an instant."""
    return format_instant(time_ms).partition("T")[0]


def busiest(hours: Sequence[int]) -> list[int]:
    """Return the fewest hours that have `BUSY_SHARE` of the calls."""
    total, found, seen = sum(hours), [], 0
    for hour in sorted(range(HOURS_PER_DAY), key=lambda at: (-hours[at], at)):
        if not hours[hour] or seen >= BUSY_SHARE * total:
            break
        found.append(hour)
        seen += hours[hour]
    return found


def share_text(bar: Bar) -> str:
    """Return the share of a bar in words, with what it was before."""
    was = "" if bar.before is None else " (new)" if not bar.before else f" ({percent(bar.before)} before)"
    return f"{percent(bar.share)}{was}"
