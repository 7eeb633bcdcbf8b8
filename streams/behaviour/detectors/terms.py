"""What was never seen before: single new terms, and runs of them.

The probability of something new is Good and Turing's: the share of observations whose term was seen once. A term has a
row of its own; an agent's row holds only counts, so an event costs the same however many terms there are.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from streams.behaviour.activity import Activity, digest_of
from streams.behaviour.detectors.peaks import SHARED_BY, SHARED_SHARE
from streams.behaviour.estimators import decay, new_bits
from streams.behaviour.pages import Place
from streams.behaviour.signals import Keyed, Rows, Scored

KNOWERS_MAX = 16
STEP_BITS_MAX = 8.0
"""What one new term adds to a run at most, so that no single call alerts as a sweep."""
KNOWN_BITS = 0.3
"""What a known term takes from a run."""


class Totals(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Observations, terms that were seen once, different terms, and when the first observation was."""

    total: int = 0
    once: int = 0
    distinct: int = 0
    since_ms: int = 0


class Term(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How often a term was seen, when last, and by which agents (digests, sorted; of peers only).

    `surprised_by` are the agents whose first use surprised, learned from or not, and `versions` those of the agents.
    """

    count: int = 0
    last_ms: int = 0
    knowers: tuple[int, ...] = ()
    surprised_by: tuple[int, ...] = ()
    versions: tuple[int, ...] = ()


class Run(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Evidence of a sweep, and when it was last added to."""

    total: float = 0.0
    at_ms: int = 0


def is_known(term: Term | None, now_ms: int, history_ms: int) -> bool:
    """Return whether a term was seen within the history."""
    return term is not None and term.count > 0 and now_ms - term.last_ms <= history_ms


def counted(
    totals: Totals | None, term: Term | None, activity: Activity, history_ms: int, distinct_max: int
) -> tuple[Totals, Term | None]:
    """Return totals and term after one more observation; a new term has no row if there are `distinct_max` already."""
    totals = totals or Totals(since_ms=activity.time_ms)
    if term is not None and term.count > 1 and activity.time_ms - term.last_ms <= history_ms:
        # What is well known, as almost all is.
        term = Term(term.count + 1, max(term.last_ms, activity.time_ms), term.knowers, term.surprised_by, term.versions)
        return Totals(totals.total + 1, totals.once, totals.distinct, totals.since_ms), term
    is_first = term is None or not term.count
    if is_first and totals.distinct >= distinct_max:
        return Totals(totals.total + 1, totals.once, totals.distinct, totals.since_ms), term
    was_known = is_known(term, activity.time_ms, history_ms)
    before = term or Term()
    count = before.count + 1 if was_known else 1
    # A term that was forgotten counts as seen once again; if it was seen once before, it already does.
    once = totals.once + {1: 0 if before.count == 1 else 1, 2: -1}.get(count, 0)
    totals = Totals(totals.total + 1, max(0, once), totals.distinct + is_first, totals.since_ms)
    return totals, Term(
        count, max(before.last_ms, activity.time_ms), before.knowers, before.surprised_by, before.versions
    )


class NewTerms(Keyed):
    """The first time that an agent does something; more surprising if no peer has ever done it.

    A new tool that is rolled out to many agents is found with the first of them. From the third on, or if it comes with
    the same version, it is new for the work, and not for the agent: that stays below an alert, and is learned.
    """

    row_types = (Totals, Term, Totals, Term)
    keys_have_term = True

    def make_places(self) -> tuple[Place, ...]:
        """Return the places of the totals and of the term, of the agent and of its peers."""
        term = self.declaration.term or ""
        return (self.own(), self.own(term), self.peers(), self.peers(term))

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return the bits of a new term."""
        it, (own, term, peers, peer_term) = self.declaration, rows
        if is_known(term, activity.time_ms, it.history_ms):
            return Scored(rows)
        own, peers = own or Totals(), peers or Totals()
        is_full = term is None and own.distinct >= it.count_max
        # The minimum is of the agent's own history: it says nothing about an agent that has just begun.
        is_settled = activity.time_ms - own.since_ms >= it.settle_ms
        if own.total < it.min_support or not is_settled or is_full:
            return Scored(rows)
        bits, seen = new_bits(own.once, own.total), peer_term or Term()
        knowers = len(set(seen.knowers) - {digest_of(activity.agent)})
        if it.peer and not knowers:
            bits += new_bits(peers.once, peers.total)
        words = {"bits": bits, "peers": knowers, "seen": own.total}
        if not it.peer or not it.alerts or bits < it.threshold:
            return Scored(rows, bits, words)
        agent = digest_of(activity.agent)
        others = {*seen.surprised_by} - {agent}
        version = {digest_of(activity.epoch)} if activity.epoch else set()
        if len(others) >= SHARED_BY or (others and version & {*seen.versions}):
            bits = min(bits, SHARED_SHARE * it.threshold)
        by, versions = (tuple(sorted(each))[:KNOWERS_MAX] for each in (others | {agent}, version | {*seen.versions}))
        return Scored((*rows[:3], replace(seen, surprised_by=by, versions=versions)), bits, words)

    def learn(self, rows: Rows, activity: Activity, noted: Any) -> Rows:
        """Return the rows with one more observation of the term."""
        del noted
        it, (own, term, peers, peer_term) = self.declaration, rows
        own, term = counted(own, term, activity, it.history_ms, it.count_max)
        peers, peer_term = counted(peers, peer_term, activity, it.history_ms, it.count_max * KNOWERS_MAX)
        if peer_term is not None:
            agent = digest_of(activity.agent)
            if len(peer_term.knowers) < KNOWERS_MAX and agent not in peer_term.knowers:
                knowers = tuple(sorted((*peer_term.knowers, agent)))
                peer_term = replace(peer_term, knowers=knowers)
        return (own, term, peers, peer_term)


class NovelCusum(Keyed):
    """A sweep: one new term after the other, where known ones are usual."""

    row_types = (Run, Totals, Term)
    keys_have_term = True

    def make_places(self) -> tuple[Place, ...]:
        """Return the places of the run, of the totals and of the term."""
        return (self.own(), self.own(part="all"), self.own(self.declaration.term or ""))

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return the evidence of a sweep (a one-sided CUSUM, Page 1954, that fades)."""
        it, (run, totals, term) = self.declaration, rows
        run, totals = run or Run(), totals or Totals()
        left = run.total * decay(activity.time_ms - run.at_ms, it.half_life_ms)
        bits = 0.0
        if is_known(term, activity.time_ms, it.history_ms):
            total = max(0.0, left - KNOWN_BITS)
        elif totals.total < it.min_support or (term is None and totals.distinct >= it.count_max):
            total = left
        else:
            bits = min(new_bits(totals.once, totals.total), STEP_BITS_MAX)
            total = max(0.0, left + bits - it.allowance)
        run = Run(total, max(run.at_ms, activity.time_ms))
        # What is known adds nothing, even while a run has not faded yet.
        kept = (run, rows[1], term)
        return Scored(kept, total, {"bits": bits, "sum": total}) if bits else Scored(kept)

    def learn(self, rows: Rows, activity: Activity, noted: Any) -> Rows:
        """Return the rows with one more observation of the term."""
        del noted
        it, (run, totals, term) = self.declaration, rows
        totals, term = counted(totals, term, activity, it.history_ms, it.count_max)
        return (run, totals, term)
