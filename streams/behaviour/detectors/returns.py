"""Who or what an agent is made to come back to: one session after the other about the same, over days.

**Idea.** Whoever spies on somebody looks the same person up again and again. Each look is everyday work, and there are
few of them. What is not is that so many sessions are about one person: most people are dealt with once, and of those
who are not, how often they come back within a week has a usual size, which is learned as the highest of each day.

**Rejected.** Calls instead of sessions: one case takes many calls, and is one reason to look.
"""

from __future__ import annotations

from typing import Any

import msgspec

from streams.behaviour.activity import Activity, digest_of
from streams.behaviour.detectors.contacts import Met
from streams.behaviour.detectors.peaks import both_learned, compared
from streams.behaviour.pages import Place
from streams.behaviour.presence import ALLOWED
from streams.behaviour.signals import Keyed, Rows, Scored

VISITS_MAX = 16
"""How many sessions about one term are remembered, the newest. Whoever has so many usually is never found."""
SHARE_MAX = 1.5
"""The share of the threshold that the score is at most: an alert that is open need not say that somebody goes on."""


class Visits(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The last sessions that were about a term: their digests, and when they began to be. All of one grant are one."""

    found: tuple[tuple[int, int], ...] = ()

    def after(self, who: int, now_ms: int, window_ms: int) -> Visits:
        """Return it with one more session; those before the window are forgotten."""
        kept = [each for each in self.found if now_ms - each[1] < window_ms]
        return Visits((*kept, (who, now_ms))[-VISITS_MAX:])


_NONE = Visits()


class Returns(Keyed):
    """More sessions about one term within a window than is usual of any term."""

    row_types = (Visits, Met, Met)
    keys_have_term = True
    needs = ALLOWED

    def make_places(self) -> tuple[Place, ...]:
        """Return the places of the sessions about the term, and of the peaks of the agent and of its peers."""
        return (self.own(self.declaration.term or ""), self.own(part="peak"), self.peers())

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return how many sessions were about the term, beside what is usual; each speaks once."""
        visits, who = rows[0] or _NONE, digest_of(activity.root or activity.session)
        for visit in visits.found:
            if visit[0] == who:
                return Scored(rows)
        it, now_ms, met, peers = self.declaration, activity.time_ms, rows[1], rows[2]
        visits = visits.after(who, now_ms, it.window_ms)
        kept, count = (visits, met, peers), float(len(visits.found))
        if count < 2.0 or met is None or now_ms - met.since_ms < it.settle_ms:
            return Scored(kept, noted=count)
        found = compared(count, it, [each.peak for each in (met, peers) if each is not None])
        score = min(found.score, SHARE_MAX * it.threshold)
        return Scored(kept, score, {"count": round(count), "usual": found.usual}, count)

    def learn(self, rows: Rows, activity: Activity, noted: Any) -> Rows:
        """Return the rows with the peaks of the day."""
        if noted is None:
            return rows
        visits, met, peers = rows
        met, peers = met or Met(activity.time_ms), peers or Met(activity.time_ms)
        own, of_peers = both_learned(met.peak, peers.peak, noted, activity.time_ms, self.declaration)
        return (visits, Met(met.since_ms, own), Met(peers.since_ms, of_peers))
