"""What somebody has announced of an agent: calls of which nothing is found, and from which nothing is learned.

**Idea.** No record tells a batch that was ordered from a session that somebody has taken over: both are allowed, and
both are unusual. Who has ordered it can say so beforehand. An announced call is not judged at all. So it adds nothing
to windows, sums and risk either, and what the agent does beside it and after it is judged as on any other day.

What is announced is narrow: one agent, its tools, where data may go, from when until when, how many calls, and how much
each of them may move. A call that differs in any of it is judged as ever, as is one that was denied.

**Rejected.** To name detectors: who orders work knows what will be called, and not what could be found. To quieten the
findings and let the calls count: the same work would alert at the first call after the announcement.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from streams.behaviour.activity import LEARNABLE, Activity
from streams.behaviour.pages import Place
from streams.model.alert_status import ANYWHERE, Announced

EXPECTED = Place(("agent.id",), "@announced")
KEPT_MAX = 16
"""How many announcements about an agent are kept; of more, those that end last."""


class Expectation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An announcement, and how many calls are left of it."""

    uid: str
    tools: tuple[str, ...]
    destinations: tuple[str, ...]
    from_ms: int
    until_ms: int
    left_count: int
    amount_max: float | None = None

    def covers(self, activity: Activity) -> bool:
        """Return whether a call is one of those that were announced."""
        return (
            activity.tool in self.tools
            and self.from_ms <= activity.time_ms < self.until_ms
            and activity.outcome == LEARNABLE
            and (activity.amount is None or (self.amount_max is not None and abs(activity.amount) <= self.amount_max))
            and (
                activity.destination is None
                or activity.destination in self.destinations
                or ANYWHERE in self.destinations
            )
        )


class Expected(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is announced of an agent, sorted by when it ends."""

    announced: tuple[Expectation, ...] = ()


def with_announcement(expected: Expected | None, uid: str, it: Announced, now_ms: int) -> Expected | None:
    """Return what is announced with one more announcement, and without those that have ended; None if none is left.

    Args:
        expected: what was announced before.
        uid: the id of the announcement. One with this id is replaced.
        it: what is announced.
        now_ms: when.
    """
    made = Expectation(uid, it.tools, it.destinations, it.from_time, it.until_time, it.calls_max, it.amount_max)
    return _kept([*_others(expected, uid), made], now_ms)


def without_announcement(expected: Expected | None, uid: str, now_ms: int) -> Expected | None:
    """Return what is announced without one of the announcements; None if none is left."""
    return _kept(_others(expected, uid), now_ms)


def counted_off(expected: Expected, activity: Activity) -> Expected | None:
    """Return what is left of what is announced after a call that is one of it; None if the call is not."""
    for at, each in enumerate(expected.announced):
        if each.left_count > 0 and each.covers(activity):
            left = msgspec.structs.replace(each, left_count=each.left_count - 1)
            return Expected((*expected.announced[:at], left, *expected.announced[at + 1 :]))
    return None


def _others(expected: Expected | None, uid: str) -> list[Expectation]:
    return [] if expected is None else [each for each in expected.announced if each.uid != uid]


def _kept(found: Iterable[Expectation], now_ms: int) -> Expected | None:
    lasting = sorted((each for each in found if each.until_ms > now_ms), key=lambda each: (each.until_ms, each.uid))
    return Expected(tuple(lasting[-KEPT_MAX:])) if lasting else None
