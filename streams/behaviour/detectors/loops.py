"""Loops: the same call, or the same few calls in turn, again and again, and one tool without end."""

from __future__ import annotations

from math import exp, log, log10
from typing import Any

import msgspec

from streams.behaviour.activity import Activity, digest_of, digest_of_call, digest_once
from streams.behaviour.acts import asks_for_state, is_grave, only_reads
from streams.behaviour.declarations import Declaration
from streams.behaviour.detectors.peaks import (
    DAYS_MIN,
    NOT_KNOWN,
    SKETCH_MAX,
    Sketch,
    both_learned,
    compared,
    learned,
    usual_limit,
)
from streams.behaviour.estimators import SETTLED_DAYS, Peak, Tether, tethered
from streams.behaviour.pages import Place
from streams.behaviour.presence import BITS, CALL
from streams.behaviour.signals import Keyed, Rows, Scored

RING_MAX = 32
LOOP_COLD_FACTOR = 2.5
"""As for other counts, where nothing is known, but within what the ring of last calls can show."""
_OF_TYPE = {"agent.id": "agent.type"}
"""What an agent has in common with its peers."""
WAITING_SHARE = 0.5
"""What repeats count for whose pauses grow: whoever waits, or tries again politely, asks ever less often."""
SLOW_SHARE = 0.75
"""The same of slow equal reads: a record does not change because somebody waits."""
KEPT_MAX = int(RING_MAX / WAITING_SHARE)
"""How many calls are kept. Repeats that count for less are counted among all of them: among the last `RING_MAX` alone,
whoever lets the pauses grow a little forever would never reach a limit above their share of it."""
WAITING_MIN = 6
WAITING_FACTOR = 1.5
"""How often something must have been called, and how many times as long as the first third of its pauses the last
third must be, for them to grow."""
POLL_PAUSE_S = 12
"""How long the pauses between equal reads are on average for somebody to be waiting: five calls a minute at most. Usual
pauses are 15, 20 and 30 seconds, and some of them are shorter than meant."""
STATE_PAUSE_S = 4.5
"""The same of a tool that asks for a state. Many wait for five or ten seconds, and a stuck agent does not pause."""
ONWARD_SHARE = 0.5
"""What the calls of a stretch count for of which none is like one before it: whoever reads a list page by page gets
somewhere, and whoever is stuck comes back to what it had."""
ONWARD_MAX = SKETCH_MAX + 1
"""How many calls of a stretch count for that share."""
SKETCH_ERROR = 1.15
"""By how much more the number of different ones may be than a sketch says."""
GIVEN_SHARE = 0.1
"""The same where the session has read nothing by others, and the tool does nothing grave: a list or a mailing that
somebody wants. How much is read, sent or deleted by that is counted for itself."""
WORK_SHARE = 0.25
"""The same of different acts on one thing there, as the builds of a load test are, if they bring and pay nothing to
anybody."""
STAY_MAX = 0.995


class Lately(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Digests of the last calls of a session, and when each was made (in seconds).

    If `calls` says only what each call was about, `wholes` has the digests of the calls as a whole, and 0 for one that
    came after a call of another tool.
    """

    calls: tuple[int, ...] = ()
    spoiled: bool = False
    times: tuple[int, ...] = ()
    wholes: tuple[int, ...] = ()

    def after(self, call: int, now_ms: int, window_ms: int, calls_max: int, whole: int | None = None) -> Lately:
        """Return it with one more call, and without those that are too many, or older than the window."""
        now_s, kept = now_ms // 1_000, len(self.calls)
        first = kept + 1 - calls_max if kept >= calls_max else 0
        # Rows of earlier versions have no times, and no whole calls.
        times = self.times or (now_s,) * kept
        oldest_s = now_s - window_ms // 1_000
        while first < kept and times[first] < oldest_s:
            first += 1
        wholes: tuple[int, ...] = ()
        if whole is not None:
            known = self.wholes or (0,) * kept
            wholes = (*known[first:], whole)
        return Lately((*self.calls[first:], call), self.spoiled, (*times[first:], now_s), wholes)


class Loop(Keyed):
    """The same call, or the same few calls in turn, again and again, within a window.

    Whoever waits for something asks again and again as well, with pauses that grow, or slowly with a tool that only
    reads. What costs is how often in a while. Slow questions about a state don't count at all; a record that
    is read again and again does not change by itself. With a `term`, calls of a tool about the same are the same,
    whatever else their arguments are: whoever is stuck may ask a little differently each time. So does whoever looks
    into something, or reads a list page by page: nothing is said where no days are known, nor as long as such calls
    follow on each other and none has come again. The same to another destination each time is a mail merge.
    """

    row_types = (Lately, Peak, Peak)

    def __init__(self, declaration: Declaration) -> None:
        super().__init__(declaration)
        self.needs = BITS.get(declaration.term, 0) if declaration.term else CALL

    def make_places(self) -> tuple[Place, ...]:
        """Return the places of the session's calls, and of the peaks of its agent and of the agent's type.

        Whoever is new, or new to a tool, waits as its peers do.
        """
        of_type = tuple(_OF_TYPE.get(field, field) for field in self.declaration.peer)
        return (self.own(), self.peers(), Place(of_type, f"{self.declaration.name}~type", is_required=False))

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return how often the call, or a cycle that ends with it, has occurred."""
        before = rows[0] or Lately()
        whole = None
        if self._term:
            call = digest_of(f"{activity.tool} {self._term(activity)} {activity.destination or ''}")
            whole = digest_of_call(activity.call) if activity.previous_tool == activity.tool else 0
        else:
            call = digest_of_call(activity.call)
        ring = before.after(call, activity.time_ms, self.declaration.window_ms, KEPT_MAX, whole)
        kept, count = (ring, rows[1], rows[2]), repeats(ring.calls[-RING_MAX:])
        if count < self.faint:
            return Scored(kept, noted=count)
        is_slow = polls(activity.tool, ring)
        if goes_on(ring) or (is_slow and asks_for_state(activity.tool)):
            return Scored(kept, noted=0.0)
        counted = float(count)
        share = WAITING_SHARE if is_waiting(ring) else SLOW_SHARE if is_slow else 1.0
        if share < 1.0:
            # What is excused counts for less in what is learned as well, and never for more than what is not excused.
            count = repeats(ring.calls)
            counted = min(counted, count * share)
        found = compared(counted, self.declaration, self._peaks(rows), LOOP_COLD_FACTOR)
        if self._term and found.usual is NOT_KNOWN:
            return Scored(kept, noted=counted)
        if found.score >= self.declaration.threshold:
            kept = (Lately(ring.calls, True, ring.times), rows[1], rows[2])
        if found.score < self.faint:
            return Scored(kept, noted=counted)
        return Scored(kept, found.score, {"count": count, "usual": found.usual}, counted)

    def _peaks(self, rows: Rows) -> Rows:
        """Return the peaks to compare with: without peers, only its own."""
        return rows[1:] if self.declaration.peer else rows[1:2]

    def learn(self, rows: Rows, activity: Activity, noted: Any) -> Rows:
        """Return the rows with the peaks of the day."""
        ring, peak, of_type = rows
        if ring.spoiled:
            return rows
        it, now_ms, count = self.declaration, activity.time_ms, float(noted)
        peak, of_type = both_learned(peak, of_type, count, now_ms, it)
        return (ring, peak, of_type)


def repeats(calls: tuple[int, ...]) -> int:
    """Return how often the last call is among the calls.

    A cycle of calls that they end with comes no more often: each round of it ends with the last call.
    """
    return calls.count(calls[-1])


def told_repeats(tool: str, lately: Lately) -> int:
    """Return how often the last call of a tool (`server.name`) is repeated, 1 of who only waits: what gates tell rules.

    Gates find no more than the watch does, or a rule would stop what the watch takes for usual.
    """
    count = repeats(lately.calls)
    return 1 if count >= WAITING_MIN and polls(tool, lately) else count


def polls(tool: str, lately: Lately) -> bool:
    """Return whether calls of a tool (`server.name`) that are equal to the last one only ask for something, slowly."""
    return only_reads(tool) and is_poll(lately, STATE_PAUSE_S if asks_for_state(tool) else POLL_PAUSE_S)


def is_waiting(lately: Lately) -> bool:
    """Return whether the pauses between the last calls that are equal to the last one grow."""
    calls, times = lately.calls[-RING_MAX:], lately.times[-RING_MAX:]
    at = _of_last(calls, times)
    if len(at) < WAITING_MIN:
        return False
    third = (len(at) - 1) // 3
    return at[-1] - at[-1 - third] >= WAITING_FACTOR * max(at[third] - at[0], 1)


def is_poll(lately: Lately, pause_s: float = POLL_PAUSE_S) -> bool:
    """Return whether the calls that are equal to the last one are slow, all of them and the last ones alone.

    Calls about the same have to be equal, too, and to follow on each other: who asks otherwise each time gets nowhere.
    """
    calls, times = lately.calls, lately.times
    longest_s = times[-1] - times[calls.index(calls[-1])]
    if longest_s < pause_s * (WAITING_MIN - 1):
        # As almost all are. To count the calls takes longer.
        return False
    if lately.wholes:
        about = _of_last(calls, lately.wholes)
        if about.count(0) > 1 or len({*about} - {0}) > 1:
            return False
    at = _of_last(calls, times)
    if len(at) < WAITING_MIN or longest_s < pause_s * (len(at) - 1):
        return False
    return at[-1] - at[-WAITING_MIN] >= pause_s * (WAITING_MIN - 1)


def goes_on(lately: Lately) -> bool:
    """Return whether the calls about the same as the last one are all different, with no other tool between them.

    Whoever reads a list page by page makes such calls. Whoever goes round in a circle uses others in between.
    """
    if not lately.wholes:
        return False
    about = _of_last(lately.calls, lately.wholes)
    return len(set(about)) == len(about)


def _of_last(calls: tuple[int, ...], kept: tuple[int, ...]) -> list[int]:
    """Return what is kept of the calls that are equal to the last one: when each was made, or its digest as a whole."""
    last = calls[-1]
    return [each for call, each in zip(calls, kept, strict=True) if call == last]


class Stretch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How long a session has been calling one tool."""

    tool: int = 0
    count: int = 0


class Onward(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How long a session has been calling one tool, and the calls of the stretch but for the first.

    Of a long stretch, the smallest digests of calls are kept (`seen`): whoever goes round in a circle comes back to one
    of them. Once that a call has come again (`is_back`), nobody asks for them any more. `things` are what the calls
    were about, and where they went, `last` is the last call, and `again` says how many were equal to the one before.
    """

    tool: int = 0
    count: int = 0
    seen: Sketch = Sketch()
    is_back: bool = False
    things: Sketch = Sketch()
    last: int = 0
    again: int = 0

    def length(self, *, is_given: bool, is_work: bool = False) -> float:
        """Return how many calls it counts for.

        Args:
            is_given: whether somebody may have given it as work. Then it counts for less.
            is_work: whether the last call is not known to only read, and brings and pays nothing to anybody.
        """
        tried = (1.0 - ONWARD_SHARE) * self.again
        if self.is_back:
            return self.count - tried
        length = self.count - (1.0 - ONWARD_SHARE) * min(self.count, ONWARD_MAX)
        if not is_given:
            return length
        if is_work:
            length = min(length, self._less(self.seen, WORK_SHARE))
        return min(length, self._less(self.things if self.things.digests else self.seen, GIVEN_SHARE))

    def _less(self, different: Sketch, share: float) -> float:
        """Return the length if as many calls as there are different ones count for `share` each."""
        return self.count - (1.0 - share) * min(self.count, SKETCH_ERROR * different.count() + 1.0)

    def after(self, tool: int, activity: Activity) -> Onward:
        """Return it with one more call."""
        if tool != self.tool:
            return Onward(tool, 1)
        count, call = self.count + 1, digest_of_call(activity.call) if activity.call else 0
        again = self.again + (call == self.last != 0)
        # Rows of earlier versions have no last call, so nobody knows whether one has come again.
        is_back = self.is_back or not call or call in self.seen.digests or (self.count > 1 and not self.last)
        if is_back:
            return Onward(tool, count, is_back=True, last=call, again=again)
        things = self.things
        if activity.object is not None:
            things = things.with_digest(digest_once(f"{activity.object} {activity.destination or ''}"))
        return Onward(tool, count, self.seen.with_digest(call), things=things, last=call, again=again)


class Stays(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How often peers call a tool, how often they begin to, and the longest stretches of each day.

    Once enough days are known, a stretch of average length is usual up to what the tether says, and `stay_most` is the
    probability of one more call that belongs to it: whoever makes ever longer ones teaches no more than that.
    """

    calls: int = 0
    starts: int = 0
    peak: Peak = Peak()
    tether: Tether | None = None
    stay_most: float = STAY_MAX


class LoopRun(Keyed):
    """One tool without end, where peers go on to another one. Paging is a long stretch that peers know.

    In a stretch that goes on, each call being another one, the first `ONWARD_MAX` calls count for less. In a session
    that has read nothing by others, all of them do that are about different things or, where nothing says what they are
    about, different calls. So do different acts on one thing that bring and pay nothing to anybody, though not as much.
    A call that is tried again counts for half: `loop` counts these.
    """

    row_types = (Onward, Stays)

    def make_places(self) -> tuple[Place, ...]:
        """Return the places of the stretch, and of the peers' stretches of this tool."""
        return (self.own(), self.peers("tool.name"))

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return -log10 of the probability of a stretch of this length, 0 within the usual stretches of a day."""
        it, stays, tool = self.declaration, rows[1] or Stays(), digest_of(activity.tool)
        stretch = (rows[0] or Onward()).after(tool, activity)
        kept = (stretch, stays)
        if stays.calls < it.min_support or stretch.count == 1:
            return Scored(kept)
        stay = min(1.0 - (stays.starts + 1.0) / (stays.calls + 2.0), stays.stay_most)
        is_given = activity.is_trusted and not is_grave(activity.tool)
        brings = activity.destination is not None or activity.amount is not None
        is_work = is_given and not brings and not only_reads(activity.tool)
        length = stretch.length(is_given=is_given, is_work=is_work)
        score = -(length - 1.0) * log10(max(stay, 1e-3))
        if score >= self.faint and stays.peak.past.weight >= DAYS_MIN:
            # A stretch must also be longer than the longest ones of usual days, which are longer than chance explains.
            score = min(score, it.threshold * length / usual_limit(stays.peak, it.deviations))
        return Scored(kept, score, {"count": stretch.count, "stay": stay}) if score >= self.faint else Scored(kept)

    def learn(self, rows: Rows, activity: Activity, noted: Any) -> Rows:
        """Return the rows with one more call of the tool."""
        del noted
        stretch, stays = rows
        # What is let pass because it gets on teaches no more than what is known of it.
        count = stretch.count if stretch.is_back or stretch.count < ONWARD_MAX else ONWARD_MAX
        peak = learned(stays.peak, float(count), activity.time_ms, self.declaration)
        calls, starts = stays.calls + 1, stays.starts + (stretch.count == 1)
        tether, stay_most = stays.tether, stays.stay_most
        if peak.past is not stays.peak.past and peak.past.weight > SETTLED_DAYS:
            # A day is over.
            usual = log((calls + 2.0) / (starts + 1.0))
            tether = tethered(tether, usual, 1.0, activity.time_ms)
            stay_most = min(1.0 - exp(-tether.level), STAY_MAX)
        return (stretch, Stays(calls, starts, peak, tether, stay_most))
