"""What somebody has announced of an agent: calls of which nothing is found, and from which nothing is learned.

**Idea.** No record tells a batch that was ordered from a session that somebody has taken over: both are allowed, and
both are unusual. Who has ordered it can say so beforehand. An announced call is not judged at all. So it adds nothing
to windows, sums and risk either, and what the agent does beside it and after it is judged as on any other day.

What is announced is narrow: one agent, its tools, where data may go, from when until when, how many calls, and how much
each of them may move. A call that differs in any of it is judged as ever, as is one that was denied.

Whoever can write the topic can write a signed announcement again for a while. So one that was withdrawn or is used up
is remembered until it would have ended, and what is known is not announced a second time.

**Rejected.** To name detectors: who orders work knows what will be called, and not what could be found. To quieten the
findings and let the calls count: the same work would alert at the first call after the announcement.
"""

from __future__ import annotations

from typing import Any

import msgspec

from streams.behaviour.activity import LEARNABLE, Activity, row_key
from streams.behaviour.pages import Layout, OpenRows, Place
from streams.model.alert_status import ANYWHERE, STATUS_AGE_MAX_MS, Announced

EXPECTED = Place(("agent.id",), "@announced")
KEPT_MAX = 32
"""How many announcements about an agent are remembered. There is no room for more than that."""
REPEATED_MS_MAX = 2 * STATUS_AGE_MAX_MS
"""How long an announcement can be written again after it was signed, by the clock of whoever signs the next one."""


class Expectation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An announcement, and how many calls are left of it: none if it was withdrawn. `made_ms` is when it was signed."""

    uid: str
    tools: tuple[str, ...]
    destinations: tuple[str, ...]
    from_ms: int
    until_ms: int
    left_count: int
    amount_max: float | None = None
    made_ms: int = 0

    def covers(self, activity: Activity) -> bool:
        """Return whether a call is one of those that were announced.

        What is announced to go somewhere goes there, and what is to move an amount has one. A call of which neither
        can be read is none of these: nobody knows where it goes.
        """
        return (
            activity.tool in self.tools
            and self.from_ms <= activity.time_ms < self.until_ms
            and activity.outcome == LEARNABLE
            and self._may_go_to(activity.destination)
            and self._may_move(activity.amount)
        )

    def _may_go_to(self, place: str | None) -> bool:
        if not self.destinations:
            return place is None
        return ANYWHERE in self.destinations or place in self.destinations

    def _may_move(self, amount: float | None) -> bool:
        if self.amount_max is None:
            return amount is None
        return amount is not None and abs(amount) <= self.amount_max


class Expected(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is announced of an agent, sorted by when it ends."""

    announced: tuple[Expectation, ...] = ()


def with_announcement(expected: Expected | None, uid: str, it: Announced, now_ms: int) -> Expected | None:
    """Return what is announced with one more announcement, without those that have ended; None if there is no room.

    Args:
        expected: what was announced before.
        uid: the id of the announcement. One that is known stays as it is, whatever is left of it.
        it: what is announced.
        now_ms: when, as it was signed.
    """
    kept = _lasting(expected, now_ms)
    if any(each.uid == uid for each in kept):
        return Expected(kept)
    if len(kept) >= KEPT_MAX:
        kept = tuple(each for each in kept if each.left_count or each.made_ms >= now_ms - REPEATED_MS_MAX)
    if len(kept) >= KEPT_MAX:
        return None
    made = Expectation(uid, it.tools, it.destinations, it.from_time, it.until_time, it.calls_max, it.amount_max, now_ms)
    return Expected(tuple(sorted((*kept, made), key=lambda each: (each.until_ms, each.uid))))


def without_announcement(expected: Expected | None, uid: str, now_ms: int) -> Expected | None:
    """Return what is announced after one of the announcements was withdrawn; None if none is left."""
    kept = tuple(_withdrawn(each) if each.uid == uid else each for each in _lasting(expected, now_ms))
    return Expected(kept) if kept else None


def counted_off(expected: Expected, activity: Activity) -> Expected | None:
    """Return what is left of what is announced after a call that is one of it; None if the call is not."""
    for at, each in enumerate(expected.announced):
        if each.left_count > 0 and each.covers(activity):
            left = msgspec.structs.replace(each, left_count=each.left_count - 1)
            return Expected((*expected.announced[:at], left, *expected.announced[at + 1 :]))
    return None


def _withdrawn(it: Expectation) -> Expectation:
    return msgspec.structs.replace(it, tools=(), destinations=(), left_count=0)


def _lasting(expected: Expected | None, now_ms: int) -> tuple[Expectation, ...]:
    """Return those that have not ended, whatever is left of them. The clocks of those who sign may be wrong."""
    known = () if expected is None else expected.announced
    return tuple(each for each in known if each.until_ms > now_ms - STATUS_AGE_MAX_MS)


class Announcements:
    """What is announced of all agents. It is in the rows."""

    def __init__(self, layout: Layout) -> None:
        """Args:
        layout: the pages; one of its places is `EXPECTED`.
        """
        slot = layout.slot(EXPECTED)
        self._shape, self._number = layout.shapes[slot.shape], slot.number

    def announce(self, rows: OpenRows, tenant: str, uid: str, announced: Announced, time_ms: int) -> bool:
        """Expect what somebody has announced of an agent. An announcement that comes again changes nothing.

        Args:
            rows: the open rows of the partition; changed.
            tenant: the tenant of the agent.
            uid: the id of the announcement.
            announced: what is announced.
            time_ms: when it is announced.

        Returns:
            Whether there was room for it. Otherwise nothing has changed.
        """
        page, key = self._page(rows, tenant, announced.agent)
        expected = with_announcement(page[self._number], uid, announced, time_ms)
        if expected is None:
            return False
        self._put(rows, page, key, expected)
        return True

    def withdraw(self, rows: OpenRows, tenant: str, uid: str, agent: str, time_ms: int) -> None:
        """Expect nothing more of what was announced with this id. Likewise."""
        page, key = self._page(rows, tenant, agent)
        self._put(rows, page, key, without_announcement(page[self._number], uid, time_ms))

    def _page(self, rows: OpenRows, tenant: str, agent: str) -> tuple[list[Any], bytes]:
        # As the shape would make it of an activity.
        key = row_key(self._shape.name, (tenant, agent))
        page = rows.page(key, self._shape)
        rows.created.discard(key)
        return page, key

    def _put(self, rows: OpenRows, page: list[Any], key: bytes, expected: Expected | None) -> None:
        page[self._number] = expected
        rows.changed[key] = self._shape.page_type
