"""Bound what one agent adds to the state: names and numbers in its calls are its own choice, and each can be new.

**Idea.** Pages of terms (tools, destinations, objects, versions, orders of tools) and pages of sessions are counted for
each agent when they are written first. Beyond `TERMS_PER_DAY_MAX` and `SESSIONS_PER_DAY_MAX` on a day, a page that does
not exist yet stays empty: detectors see it as they would see a new one, nothing of it is kept, and one finding says so.
Pages of agents and of their types are not counted, so rates, volumes, ceilings and risk work on through a flood.

**Rejected.** To forget the oldest pages instead: a flood of new names would push out what is usual, and afterwards the
usual would be new. A bound for all agents together: one of them would use it up for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import msgspec

from streams.behaviour.activity import DAY_MS
from streams.behaviour.pages import TIME_PART, Layout, Place

TERMS_PER_DAY_MAX = 10_000
SESSIONS_PER_DAY_MAX = 10_000
NAME = "too_many_rows"
KIND = "growth"
GROWTH = Place(("agent.id",), "@growth")

_OF_SESSIONS = frozenset({"session.id", "delegation.root"})
_FEW = frozenset({"tenant", "agent.id", "agent.type", TIME_PART, "session.trust", "verdict.outcome"})
"""Fields with few values for each agent, or with one."""


class Growth(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How many pages an agent has added on a day."""

    day: int = -1
    terms: int = 0
    sessions: int = 0

    @property
    def terms_left(self) -> int:
        """How many further pages of terms are kept today."""
        return max(0, TERMS_PER_DAY_MAX - self.terms)

    @property
    def sessions_left(self) -> int:
        """How many further pages of sessions are kept today."""
        return max(0, SESSIONS_PER_DAY_MAX - self.sessions)

    @property
    def is_full(self) -> bool:
        """Whether further pages of terms or of sessions are not kept today."""
        return self.terms >= TERMS_PER_DAY_MAX or self.sessions >= SESSIONS_PER_DAY_MAX

    def has_room(self, fields: Collection[str]) -> bool:
        """Return whether a further page or group with these fields is kept today.

        Those that are neither as many as terms nor as many as sessions are few, and always kept.
        """
        if counts_terms(fields):
            return self.terms_left > 0
        return not counts_sessions(fields) or self.sessions_left > 0


def growth_on(growth: Growth | None, time_ms: int) -> Growth:
    """Return the growth of the day of an instant; an earlier day counts as the newest one."""
    day = time_ms // DAY_MS
    return growth if growth is not None and growth.day >= day else Growth(day)


def bits_of(layout: Layout, is_counted: Callable[[Collection[str]], bool]) -> int:
    """Return a bit for each shape of a layout whose pages are counted."""
    return sum(1 << number for number, shape in enumerate(layout.shapes) if is_counted(shape.fields))


def counts_sessions(fields: Collection[str]) -> bool:
    """Return whether pages or matches with these fields are as many as there are sessions."""
    return not _OF_SESSIONS.isdisjoint(fields) and (_OF_SESSIONS | _FEW).issuperset(fields)


def counts_terms(fields: Collection[str]) -> bool:
    """Return whether pages or matches with these fields are as many as an agent wants."""
    return not (_OF_SESSIONS | _FEW).issuperset(fields)
