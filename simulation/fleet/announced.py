"""What operators announce of the odd work of a fleet: batches that somebody has ordered, and only a part of them."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random  # noqa: TID251 - everything of a fleet is drawn from one seeded source
from typing import NamedTuple

from simulation.fleet.agents import HOUR_MS, Planned
from streams.model.alert_status import ANNOUNCED_NAMES_MAX, ANYWHERE, Announced

ORDERED = frozenset({"backfill", "clean_up", "bulk_review", "quarterly_export", "rerun"})
"""Kinds of odd work that somebody has ordered: nobody announces an incident, or that a tool fails."""


class Notice(NamedTuple):
    """An announcement, and when it was made."""

    time_ms: int
    uid: str
    tenant: str
    announced: Announced


def notices_of(fleet: Sequence[Planned], share: float, seed: int) -> list[Notice]:
    """Return what is announced of a fleet's work, in order of time.

    Who orders a batch knows the agent, its tools, where data goes and about how much it is. So an announcement is made
    some hours before, for more calls than there will be, and for longer than they take. What goes somewhere, what moves
    an amount, and what does neither are announced apart.

    Args:
        fleet: what it does, in order of time.
        share: how much of what was ordered is announced.
        seed: what is drawn depends on it.
    """
    rng = Random(seed)  # noqa: S311 - a simulation that has to be repeatable
    batches: dict[tuple[str, str], list[Planned]] = {}
    for planned in fleet:
        if not planned.is_attack and planned.kind in ORDERED:
            batches.setdefault((planned.episode, planned.activity.agent), []).append(planned)
    found = []
    for (episode, agent), calls in batches.items():
        if rng.random() >= share:
            continue
        first, last = calls[0].activity, calls[-1].activity
        begin_ms = first.time_ms // HOUR_MS * HOUR_MS
        until_ms = last.time_ms + rng.randint(1, 6) * HOUR_MS
        reserve, made_ms = rng.uniform(1.1, 2.0), begin_ms - rng.randint(1, 20) * HOUR_MS
        for number, alike in enumerate(_alike(calls)):
            it = Announced(
                agent=agent,
                tools=tuple(sorted({each.activity.tool for each in alike})),
                destinations=_places(alike),
                from_time=begin_ms,
                until_time=until_ms,
                calls_max=round(len(alike) * reserve),
                amount_max=max((abs(each.activity.amount) for each in alike if each.activity.amount), default=None),
            )
            found.append(Notice(made_ms, f"notice-{episode}-{number}", first.tenant, it))
    return sorted(found, key=lambda each: (each.time_ms, each.uid))


def _alike(calls: Sequence[Planned]) -> list[list[Planned]]:
    """Return the calls of a batch by whether they have a destination, and by whether they move an amount."""
    found: dict[tuple[bool, bool], list[Planned]] = {}
    for each in calls:
        found.setdefault((bool(each.activity.destination), bool(each.activity.amount)), []).append(each)
    return list(found.values())


def _places(calls: Sequence[Planned]) -> tuple[str, ...]:
    """Return where the calls of a batch send data; nobody writes down as many places as a mailing has."""
    places = sorted({each.activity.destination for each in calls if each.activity.destination})
    return tuple(places) if len(places) <= ANNOUNCED_NAMES_MAX else (ANYWHERE,)
