"""How much goes to what is new, while it is new: a first contact is everyday work, and so are the few after it.

**Idea.** An agent whose work is to write to new places surprises nobody with one more, so single first contacts say
nothing about it. But how much goes to a place in its first days has a usual size, too: a reply or two, a contract. That
is counted for each place while it is new, over sessions and days, and compared with the highest such counts of usual
days. So it finds what leaves a little every day as well as what leaves at once.

Days on which something new is met are few. What is usual is therefore mixed with `PRIOR_DAYS` days of `PRIOR_COUNT`
calls, a guess about any agent, which weighs less the more is known.

Over days, few calls of each session and day count: a mailing that brings a dozen letters to one provider of mail is one
occasion, and who leaks for a week has many. In an hour, each call counts.

A term is compared with what was usual when it was met. Otherwise each day of a leak that is not reported yet would be a
day on which new terms get as much, and whoever doubles what he takes from day to day would never be found.

**Rejected.** The share of all that leaves: an agent that sends little is then alarming with its first two mails.
"""

from __future__ import annotations

from math import exp, log1p
from typing import Any

import msgspec
from msgspec.structs import replace

from streams.behaviour.activity import DAY_MS, Activity, digest_of, digest_of_call
from streams.behaviour.declarations import MINUTE_MS, Declaration
from streams.behaviour.detectors.peaks import SHARED_BY, SHARED_SHARE, both_learned, has_days, learned
from streams.behaviour.detectors.rates import PRIOR_DAYS, with_letter, with_prior
from streams.behaviour.estimators import Peak, is_number, usual_peak
from streams.behaviour.pages import Place, without_tool
from streams.behaviour.presence import ALLOWED, SENT
from streams.behaviour.signals import Keyed, Rows, Scored

PRIOR_COUNT = 2.0
SURPRISED_MAX = 16
CALLS_MAX = 6
"""How many calls of one session count on a day, in a window of days."""
SESSIONS_MAX = 24
"""How many calls are remembered by their sessions, the newest. An older session counts again."""
RETRY_MS = 10 * MINUTE_MS
"""For how long an equal call only tries again. Later, what it exports may be something else: no argument shows that."""
LETTER_DEVIATIONS = 2.0
"""How many standard deviations above the largest calls of usual days a single call to a new term may lie."""


class Meeting(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """When a term was met first, and how much has gone to it: of everything, and of what was learned from.

    `largest` is the largest measure of one call to it, and `last` a digest of the last call that
    counted, made at `last_ms`. `sessions` are digests of the sessions and days of the last calls that counted.
    `usual` and `spread` are what new terms got when it was met: mean and standard deviation of the logarithm, 0 if
    unknown.
    """

    since_ms: int = 0
    total: float = 0.0
    good: float = 0.0
    largest: float = 0.0
    last: int = 0
    last_ms: int = 0
    sessions: tuple[int, ...] = ()
    usual: float = 0.0
    spread: float = 0.0

    def has_counted(self, call: int, now_ms: int) -> bool:
        """Return whether a call (a digest, 0 if unknown) is the last one that counted, tried again."""
        return bool(call) and call == self.last and now_ms - self.last_ms < RETRY_MS


class Met(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """When the first call was, and the highest sums of new terms on each day."""

    since_ms: int = 0
    peak: Peak = Peak()


class Surprised(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Agents (digests, sorted) whose calls to a new term surprised, learned from or not.

    `since_ms` is when the first call was that was learned from, of any agent of the type.
    """

    agents: tuple[int, ...] = ()
    since_ms: int = 0


class NewContact(Keyed):
    """More calls, or a larger measure of them, to a new term than new terms usually get.

    A new service that many agents begin to use is found with the first of them. From the third on, it is new for the
    work, and not for the agent: that stays below an alert. A place that agents of the type have dealt with for as
    long as it takes to settle, with whatever tool, surprises nobody. What goes there is learned as ever. And a sum
    of a measure that is no larger than the largest call of a usual day, to whomever, stays below an alert: one letter
    with an attachment is everyday work, whoever gets it. So is one that is larger, but not larger than such calls ever
    are; then what else has gone to the term decides. A call that is tried again brings nothing more, and counts once.
    """

    row_types = (Meeting, Met, Met, Surprised, Peak)
    keys_have_term = True
    needs = ALLOWED

    def __init__(self, declaration: Declaration) -> None:
        super().__init__(declaration)
        if declaration.term == "dest.domain" and declaration.value is None:
            # Who looks something up, or prepares a letter, has made no contact. What an address carries adds up.
            self.needs |= SENT
        # How many calls one piece of work takes says much about an hour, and little about days.
        self._by_session = declaration.value is None and declaration.window_ms > DAY_MS

    def make_places(self) -> tuple[Place, ...]:
        """Return the places of the term, of the peaks of the agent and of its peers, of peers that surprised, and of
        the largest calls."""
        it = self.declaration
        # Whichever tool they use, it is the same service.
        who = without_tool(it.peer or it.key)
        together = Place((*who, it.term or ""), f"{it.name}~surprised", is_required=False)
        return (self.own(it.term or ""), self.own(part="peak"), self.peers(), together, self.own(part="largest"))

    def _amount(self, activity: Activity) -> float:
        if self._value is None:
            return 1.0
        value = self._value(activity)
        return max(value, 0.0) if is_number(value) else 0.0

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return how many deviations the sum lies above what new terms usually get."""
        it, now_ms, met = self.declaration, activity.time_ms, rows[1]
        if met is None:
            return Scored(rows)
        before = rows[0] or Meeting(now_ms)
        is_new = before.since_ms - met.since_ms >= it.settle_ms and now_ms - before.since_ms < it.window_ms
        if not is_new:
            # Of what is known, nothing more is counted.
            return Scored(rows if rows[0] is not None else (before, *rows[1:]))
        call = digest_of_call(activity.call) if activity.call else 0
        if before.has_counted(call, now_ms):
            return Scored(rows)
        meeting, amount = self._goes_on(before, activity, call, (met.peak, None if rows[2] is None else rows[2].peak))
        kept, usual, spread = (meeting, *rows[1:]), meeting.usual, meeting.spread
        if not spread or self._is_known(rows[3], before.since_ms):
            return Scored(kept, noted=amount)
        if self._value is not None:
            usual = with_letter(usual, meeting.largest)
        z = (log1p(meeting.total) - usual) / spread
        if z < self.faint:
            return Scored(kept, noted=amount)
        words = {"sum": meeting.total, "usual": exp(min(usual, 80.0)) - 1.0, "z": z}
        if z >= it.threshold and self._is_one_letter(rows[4], meeting, usual + it.threshold * spread):
            return Scored(kept, SHARED_SHARE * it.threshold, words, amount)
        if z < it.threshold or not it.peer:
            return Scored(kept, z, words, amount)
        surprised, agent = rows[3] or Surprised(), digest_of(activity.agent)
        others = [each for each in surprised.agents if each != agent]
        if len(others) >= SHARED_BY:
            z = SHARED_SHARE * it.threshold
        if agent not in surprised.agents:
            surprised = Surprised(tuple(sorted((*others, agent)))[:SURPRISED_MAX], surprised.since_ms)
        return Scored((*kept[:3], surprised, rows[4]), z, words, amount)

    def _goes_on(
        self, before: Meeting, activity: Activity, call: int, peaks: tuple[Peak, Peak | None]
    ) -> tuple[Meeting, float]:
        """Return what is known of a new term after one more call, and what the call adds.

        Args:
            before: what was known of it.
            activity: the call.
            call: its digest.
            peaks: the highest sums of days, of the agent and of its peers.
        """
        amount, sessions, usual, spread = self._amount(activity), before.sessions, before.usual, before.spread
        if self._by_session:
            # A session that never ends, as that of a daemon, is another piece of work each day.
            session = digest_of(activity.session) ^ activity.time_ms // DAY_MS
            if sessions.count(session) < CALLS_MAX:
                sessions = (*sessions, session)[-SESSIONS_MAX:]
            else:
                amount = 0.0
        if not spread:
            usual, spread = self._usual(*peaks)
        return Meeting(
            since_ms=before.since_ms,
            total=before.total + amount,
            good=before.good,
            largest=amount if amount > before.largest else before.largest,
            last=call,
            last_ms=activity.time_ms,
            sessions=sessions,
            usual=usual,
            spread=spread,
        ), amount

    def _is_one_letter(self, largest: Peak | None, meeting: Meeting, limit: float) -> bool:
        """Return whether a sum is no larger than the largest call of a usual day, or is so because of one such call.

        Args:
            largest: the largest calls of earlier days.
            meeting: the sum, and the largest call of it.
            limit: the logarithm of the sum from which on it is reported.
        """
        if self._value is None or largest is None or not has_days(largest, self.declaration):
            return False
        mean, spread = usual_peak(largest)
        if log1p(meeting.total) <= mean:
            return True
        is_usual = log1p(meeting.largest) <= mean + LETTER_DEVIATIONS * spread
        return is_usual and log1p(meeting.total - meeting.largest) < min(limit, mean)

    def _is_known(self, together: Surprised | None, since_ms: int) -> bool:
        """Return whether the type had dealt with the term for long when the agent met it."""
        if together is None or not self.declaration.peer or not self.declaration.settle_ms:
            return False
        return bool(together.since_ms) and since_ms - together.since_ms >= self.declaration.settle_ms

    def _usual(self, own: Peak, peers: Peak | None) -> tuple[float, float]:
        """Return mean and standard deviation of the logarithm of what new terms get; 0 if nothing is known of it."""
        peak = own
        if peers is not None and not has_days(own, self.declaration):
            peak = peers if peers.past.weight > own.past.weight else own
        days = peak.past.weight
        mean, spread = usual_peak(peak)
        if self._value is None:
            mean = (days * mean + PRIOR_DAYS * log1p(PRIOR_COUNT)) / (days + PRIOR_DAYS)
        elif days < 1.0:
            # Of measures, no size can be guessed.
            return 0.0, 0.0
        return mean, with_prior(spread, days)

    def learn(self, rows: Rows, activity: Activity, noted: Any) -> Rows:
        """Return the rows with the sums of the day."""
        it, now_ms, (meeting, met, peers, surprised, largest) = self.declaration, activity.time_ms, rows
        met = met or Met(now_ms)
        if self._value is not None:
            largest = learned(largest, self._amount(activity), now_ms, it)
        surprised = surprised or Surprised()
        if not surprised.since_ms:
            surprised = Surprised(surprised.agents, now_ms)
        if noted is None:
            return (meeting or Meeting(now_ms), met, peers, surprised, largest)
        meeting = replace(meeting, good=meeting.good + noted)
        peers = peers or Met(now_ms)
        own, of_peers = both_learned(met.peak, peers.peak, meeting.good, now_ms, it)
        return (
            meeting,
            Met(met.since_ms, own),
            Met(peers.since_ms, of_peers),
            surprised,
            largest,
        )
