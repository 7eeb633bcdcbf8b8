"""Calls to a new destination that come where such calls never come.

**Idea.** A new partner is written to in the course of the work that concerns it: a case is read, then a letter goes
out, as letters to others do. What leaves on somebody else's behalf goes out of whatever the agent is just doing: after
a recalled note, a query, a deletion. No single such call is alarming, and neither are their number and size. So the
bits by which each call surprises where it stands are summed for each destination while it is new, over sessions and
days. A session counts once: whoever is interrupted in one piece of work may write several times out of turn.

What is asked is how seldom the tool follows on the call before it, among the calls of the tool that have a destination.
Only these are learned from, so a decision without a destination costs nothing.

**Rejected.** How seldom the tool is chosen after the call before it, among all calls that follow on that. It finds
other slow leaks, but a new tool that comes with a version is chosen from anywhere.
"""

from __future__ import annotations

from typing import Any

import msgspec

from streams.behaviour.activity import Activity, digest_of
from streams.behaviour.detectors.orders import STEP_BITS_MAX, SURPRISE_BITS_MAX, Context, after, surprise_bits
from streams.behaviour.detectors.terms import SUM_SHARE_MAX
from streams.behaviour.estimators import Mean, Since, updated_mean
from streams.behaviour.pages import Place
from streams.behaviour.presence import ALLOWED
from streams.behaviour.signals import Keyed, Rows, Scored

SESSIONS_MAX = 8
"""How many sessions of a destination are remembered, the last ones, so that each counts once. Later ones count as well:
otherwise eight letters that are in order would buy silence for what follows."""


class Stray(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """When a destination was met, the sum of bits, and the sessions (digests) that have added to it.

    `is_known` says that others of the type had long dealt with it, or that the agent itself had just begun.
    """

    since_ms: int = 0
    total: float = 0.0
    sessions: tuple[int, ...] = ()
    is_known: bool = False


class OddContact(Keyed):
    """A new destination to which calls go from where other destinations are not called."""

    row_types = (Stray, Since, Since, Context, Mean)
    keys_have_term = True
    needs = ALLOWED

    def make_places(self) -> tuple[Place, ...]:
        """Return the places of the destination, of the agent's first call to any, and of three rows of the peers: their
        first call to the destination, what comes before the tool, and how much that surprises."""
        term = self.declaration.term or ""
        return (
            self.own(term),
            self.own(),
            self.peers(term, part="known"),
            self.peers("tool.name", part="before"),
            self.peers("tool.name", part="usual"),
        )

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return the sum of surprises of the calls to the destination."""
        if activity.tool == activity.previous_tool:
            # Of calls in a row, only the first was chosen.
            return Scored(rows)
        it, now_ms, context = self.declaration, activity.time_ms, rows[3]
        before = digest_of(activity.previous_tool)
        bits = surprise_bits((context,), before)
        bits = bits if bits < SURPRISE_BITS_MAX else SURPRISE_BITS_MAX
        noted = (bits, before)
        stray = rows[0] or self._met(rows, now_ms)
        kept = (stray, *rows[1:])
        is_new = not stray.is_known and now_ms - stray.since_ms < it.window_ms
        if not is_new or context is None or context.total < it.min_support:
            return Scored(kept, noted=noted)
        session = digest_of(activity.session)
        if session in stray.sessions:
            return Scored(kept, noted=noted)
        usual = rows[4] or Mean()
        step = min(bits - usual.mean - it.allowance, STEP_BITS_MAX)
        # What goes on is not reported again: the alert says that it has begun.
        total = min(max(0.0, stray.total + step), SUM_SHARE_MAX * it.threshold)
        sessions = (*stray.sessions, session)[-SESSIONS_MAX:]
        kept = (Stray(stray.since_ms, total, sessions), *rows[1:])
        if total < self.faint or step <= 0.0:
            return Scored(kept, noted=noted)
        words: dict[str, Any] = {"sum": total, "sessions": float(len(sessions))}
        return Scored(kept, total, words, noted)

    def _met(self, rows: Rows, now_ms: int) -> Stray:
        """Return what is known of a destination that the agent calls for the first time."""
        settle_ms, (_, first, known, *_) = self.declaration.settle_ms, rows
        is_settled = first is not None and now_ms - first.at_ms >= settle_ms
        is_shared = bool(self.declaration.peer) and known is not None and now_ms - known.at_ms >= settle_ms
        return Stray(now_ms, is_known=is_shared or not is_settled)

    def learn(self, rows: Rows, activity: Activity, noted: Any) -> Rows:
        """Return the rows with what came before this call."""
        if noted is None:
            return rows
        (bits, before), (stray, first, known, context, usual), now_ms = noted, rows, activity.time_ms
        usual = updated_mean(usual or Mean(), bits, now_ms, self.declaration.history_ms, 1.0)
        context = after(context, before)
        return (stray, first or Since(now_ms), known or Since(now_ms), context, usual)
