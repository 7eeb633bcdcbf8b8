"""When an agent works: hours of the day at which neither it nor its peers do.

Calls come in bursts, so a thousand calls say no more about the hours of an agent than the days on which they were made.
Days are counted, not calls: on how many of its days the agent has worked at an hour of the day, or near it.
"""

from __future__ import annotations

from math import log2
from typing import Any

import msgspec
from msgspec.structs import replace

from streams.behaviour.activity import DAY_MS, HOUR_MS, Activity, digest_of
from streams.behaviour.detectors.peaks import SHARED_BY, SHARED_SHARE
from streams.behaviour.estimators import decay
from streams.behaviour.pages import Place
from streams.behaviour.profiles import HOURS_PER_DAY
from streams.behaviour.signals import Keyed, Rows, Scored

LATER = (0.5, 0.25, 0.125, 0.0625, 0.03125)
EARLIER = (0.5, 0.25)
"""How much work at an hour says about the hours after it, and before it. Work that lasts longer, until late, is no
other rhythm; work that begins long before anybody does is."""
OWN_SHARE = 0.8
PEER_FACTOR = 4.0
"""What peers say about an hour counts at least as much as this share of what the agent's own days say, and at most this
much more than it is: agents of one type may work in many time zones. At an hour at which all of them work, it is
nothing."""
PEER_DAYS_MIN = 5.0
"""Days of others without which an agent is compared with itself alone."""
SHARED_DAYS = 3
LATELY_MAX = 16
REST_MS = 6 * HOUR_MS
"""After which pause work is over."""
MUCH_HOURS = 1.25
"""How much there must be at hours that surprise, in hours of usual work."""
ODD_SHARE = 0.75
"""The share of the threshold from which on an hour surprises."""
MUCH_BITS_MAX = 3.0
"""What much work at such an hour adds at most: one bit for each time that it is twice as much."""
NEVER_DAYS = 0.5
"""With fewer days of work near an hour than that, the agent never works at it. Of work that lasts longer than usual, or
comes again, much is not surprising. Nor is it of an agent that sometimes works at any hour: many calls of one run are
one run."""
STRAY_SHARE = 0.15
STRAY_DAYS = 1.5
"""Work near an hour on at most this share of the days, or on this many of them, is none of the agent's usual hours."""
STRAYS_MIN = 1.25
"""On how many days there must have been such work for more of it to be the agent's way. Once is not; counts fade."""
_NOT_YET = (0.0,) * HOURS_PER_DAY


class Odd(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Work at hours that surprise, without a longer rest: the hours (a bit for each), when the last call was, how many.

    Nothing is learned of it before it is over, and nothing at all if it `alerted`.
    """

    hours: int = 0
    at_ms: int = 0
    calls: int = 0
    alerted: bool = False

    def after(self, now_ms: int, hour: int) -> Odd:
        """Return it with one more call; after a rest, other work begins."""
        if now_ms - self.at_ms > REST_MS:
            return Odd(1 << hour, now_ms, 1)
        return Odd(self.hours | 1 << hour, max(self.at_ms, now_ms), self.calls + 1, self.alerted)

    def without(self, hour: int) -> Odd:
        """Return it without one of its hours."""
        return replace(self, hours=self.hours & ~(1 << hour))


class Rhythm(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """On how many days there was work, and at each hour of the day (UTC); they fade.

    Attributes:
        day: the newest day; `seen` has a bit for each hour of it at which there was work.
        since_ms: when the first call was.
        calls: how many calls there were, of an agent; they fade as well.
        odd: work that surprises and has not been learned yet.
    """

    days: float = 0.0
    hours: tuple[float, ...] = _NOT_YET
    day: int = -1
    seen: int = 0
    since_ms: int = 0
    calls: float = 0.0
    odd: Odd | None = None

    def on(self, day: int, history_ms: int) -> Rhythm:
        """Return the rhythm as of a day."""
        if day <= self.day:
            return self
        left = decay((day - self.day) * DAY_MS, history_ms) if self.days else 1.0
        hours = tuple([count * left for count in self.hours])
        return Rhythm(self.days * left, hours, day, 0, self.since_ms, self.calls * left, self.odd)

    def with_work(self, hour: int, *, is_new_day: bool) -> Rhythm:
        """Return the rhythm with work at one more hour."""
        hours = (*self.hours[:hour], self.hours[hour] + 1.0, *self.hours[hour + 1 :])
        seen = self.seen | 1 << hour
        return Rhythm(self.days + is_new_day, hours, self.day, seen, self.since_ms, self.calls + 1.0, self.odd)

    def with_odd(self, odd: Odd | None) -> Rhythm:
        """Return the rhythm with work that surprises."""
        return replace(self, odd=odd)

    def with_hours_of(self, odd: Odd) -> Rhythm:
        """Return the rhythm after work that surprised is over: its hours count once, as those of other work do."""
        hours = tuple([count + (odd.hours >> hour & 1) for hour, count in enumerate(self.hours)])
        return replace(self, hours=hours, odd=None)

    def goes_on(self, odd: Odd, hour: int) -> bool:
        """Return whether work that surprises has gone on from usual hours, with an hour's pause at most."""
        worked, at = self.seen | odd.hours, hour
        while not self.seen >> at & 1:
            at -= 1 if at and worked >> (at - 1) & 1 else 2
            if at < 0 or not worked >> at & 1:
                return False
        return True

    def calls_an_hour(self) -> float:
        """Return how many calls there are in an hour with work, one at least."""
        return max(1.0, self.calls / max(1.0, sum(self.hours)))

    def near(self, hour: int) -> float:
        """Return on how many days there was work at an hour; days with work beside it count in part."""
        hours = self.hours
        before = sum([share * hours[hour - at] for at, share in enumerate(LATER, 1)])
        after = sum([share * hours[(hour + at) % HOURS_PER_DAY] for at, share in enumerate(EARLIER, 1)])
        return hours[hour] + before + after

    def strays(self) -> float:
        """Return on how many days there was work away from the usual hours, a run of several hours in a row once.

        What is done on call, or whenever somebody asks for it, comes at any hour. So one more such hour is as
        surprising as such work is rare, whichever hour it is (as Good and Turing ask of names).
        """
        most = max(STRAY_DAYS, STRAY_SHARE * self.days)
        # Work near an hour is no less than work at it, so most hours need not be added up.
        near = self.near
        found = [count if 0.0 < count <= most and near(hour) <= most else 0.0 for hour, count in enumerate(self.hours)]
        return sum([max(0.0, count - found[hour - 1]) for hour, count in enumerate(found)])


class Late(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """On which day an agent (a digest) has worked at which hour that surprises."""

    agent: int
    day: int
    hour: int


class Lately(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Who of the peers has lately worked at an hour that surprises, learned from or not; sorted by agent."""

    found: tuple[Late, ...] = ()

    def others(self, agent: int, day: int, hour: int) -> int:
        """Return how many other agents have, within some days, at about the same hour."""
        near = [late for late in self.found if late.agent != agent and abs(day - late.day) <= SHARED_DAYS]
        return sum(1 for late in near if (hour - late.hour + 1) % HOURS_PER_DAY <= 2)

    def with_work(self, agent: int, day: int, hour: int) -> Lately:
        """Return it with the newest such work of an agent."""
        newest = max((late.day for late in self.found), default=day)
        kept = [late for late in self.found if late.agent != agent and newest - late.day <= SHARED_DAYS]
        return Lately(tuple(sorted([*kept[-LATELY_MAX + 1 :], Late(agent, day, hour)], key=lambda late: late.agent)))


def rare_bits(near: float, days: float) -> float:
    """Return how surprising work at an hour is, in bits, after days of which `near` had work at it."""
    return -log2(min(1.0, (near + 0.5) / (days + 1.0)))


class OffHours(Keyed):
    """Work at an hour of the day at which neither the agent nor its peers work.

    How much work there is counts as well. After few days, or beside peers who begin early, no hour is very surprising
    by itself; a whole day's work at it is.

    A new job that is rolled out to many agents is found with the first of them. From the third on, the hour is new for
    the work, and not for the agent: that stays below an alert.
    """

    row_types: tuple[type, ...] = (Rhythm, Rhythm, Lately)

    def make_places(self) -> tuple[Place, ...]:
        """Return the places of the rhythm of the agent, of that of its peers, and of what they have begun lately."""
        return (self.own(), self.peers(), self.peers(part="lately"))

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return the bits of the hour, those for the agent and those for the others of its kind, and of much work."""
        it, known = self.declaration, rows[0] or Rhythm()
        day, hour = activity.time_ms // DAY_MS, activity.time_ms // HOUR_MS % HOURS_PER_DAY
        is_known = day <= known.day and known.seen >> hour & 1
        if is_known or known.days < it.min_support or activity.time_ms - known.since_ms < it.settle_ms:
            return Scored(rows)
        own = known.on(day, it.history_ms)
        near, strays = self._near(own, activity.time_ms, hour), own.strays()
        bits = rare_bits(near, own.days)
        if strays >= STRAYS_MIN:
            bits = min(bits, rare_bits(strays, own.days))
        all_peers = (rows[1] or Rhythm()).on(day, it.history_ms)
        days = max(0.0, all_peers.days - own.days)
        others = rare_bits(max(0.0, all_peers.near(hour) - own.near(hour)), days) if days >= PEER_DAYS_MIN else bits
        others = max(others, min(OWN_SHARE * bits, PEER_FACTOR * others))
        score = bits + others
        words = {"bits": score, "days": round(own.days), "hour": f"{hour:02d}:00", "count": 1}
        if score < ODD_SHARE * it.threshold:
            return Scored(rows, score, words)
        odd, lately = (known.odd or Odd()).after(activity.time_ms, hour), rows[2] or Lately()
        agent = digest_of(activity.agent)
        much = odd.calls / (MUCH_HOURS * own.calls_an_hour())
        if much > 1.0 and near < NEVER_DAYS and strays < STRAYS_MIN:
            score += min(log2(much), MUCH_BITS_MAX)
        words |= {"bits": score, "count": odd.calls}
        if score < it.threshold:
            return Scored((known.with_odd(odd), rows[1], rows[2]), score, words, odd)
        if much < 1.0 or lately.others(agent, day, hour) >= SHARED_BY:
            score = min(score, SHARED_SHARE * it.threshold)
        elif not odd.alerted:
            odd = Odd(odd.hours, odd.at_ms, odd.calls, alerted=True)
        return Scored((known.with_odd(odd), rows[1], lately.with_work(agent, day, hour)), score, words, odd)

    @staticmethod
    def _near(own: Rhythm, now_ms: int, hour: int) -> float:
        """Return on how many days there was work near an hour.

        What was done so far this evening says as much of the next hour as what is done in other evenings.
        """
        odd = own.odd
        if odd is None or odd.alerted or now_ms - odd.at_ms > REST_MS or not own.goes_on(odd, hour):
            return own.near(hour)
        return own.with_hours_of(odd.without(hour)).near(hour)

    def learn(self, rows: Rows, activity: Activity, noted: Any) -> Rows:
        """Return the rows with work at the hour, which counts once a day; of work that surprises, once it is over."""
        if noted is not None:
            return rows
        history_ms, own, peers = self.declaration.history_ms, rows[0], rows[1]
        day, hour = activity.time_ms // DAY_MS, activity.time_ms // HOUR_MS % HOURS_PER_DAY
        if own is not None and own.odd is not None and activity.time_ms - own.odd.at_ms > REST_MS:
            own, peers = _with_what_is_over(own, peers)
        if own is not None and day <= own.day and own.seen >> hour & 1:
            # As of almost all calls: a method would cost as much as the rest of it.
            it = Rhythm(own.days, own.hours, own.day, own.seen, own.since_ms, own.calls + 1.0, own.odd)
            return (it, peers, rows[2])
        before = own or Rhythm(since_ms=activity.time_ms)
        is_new_day = day > before.day
        peers = peers or Rhythm(since_ms=activity.time_ms)
        return (
            before.on(day, history_ms).with_work(hour, is_new_day=is_new_day),
            peers.on(day, history_ms).with_work(hour, is_new_day=is_new_day),
            rows[2],
        )


def _with_what_is_over(own: Rhythm, peers: Rhythm | None) -> tuple[Rhythm, Rhythm | None]:
    """Return the rhythms of an agent and its peers after work that surprised: they learn it, unless it has alerted."""
    odd = own.odd
    if odd is None or odd.alerted:
        return own.with_odd(None), peers
    return own.with_hours_of(odd), None if peers is None else peers.with_hours_of(odd)
