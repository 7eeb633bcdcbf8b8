"""What was never seen before: single new terms, and runs of them.

The probability of something new is Good and Turing's: the share of observations whose term was seen once. A term has a
row of its own; an agent's row holds only counts, so an event costs the same however many terms there are.
"""

from __future__ import annotations

from math import log2
from typing import Any

import msgspec
from msgspec.structs import replace

from streams.behaviour.activity import DAY_MS, REFUSED, Activity, digest_of
from streams.behaviour.acts import is_grave, is_of_secrets, may_send
from streams.behaviour.breadth import BREADTH, SWEEPS_FACTOR, works_one_by_one
from streams.behaviour.declarations import Declaration
from streams.behaviour.detectors.peaks import SHARED_BY, SHARED_SHARE
from streams.behaviour.estimators import SETTLED_DAYS, Since, decay, new_bits
from streams.behaviour.pages import Place, without_tool
from streams.behaviour.presence import BITS
from streams.behaviour.signals import Keyed, Rows, Scored

KNOWERS_MAX = 16
VERSIONS_MAX = 8
BROUGHT_WITHIN = 100
"""Within how many calls of a new version what is new came with it: that is what versions are for."""
STEP_BITS_MAX = 8.0
"""What one new term adds to a run at most, so that no single call alerts as a sweep."""
FRESH_PRIOR = 20.0
"""How many observations without anything new are taken for granted before the share of new ones says something."""
FRESH_SEEN_MAX = 400.0
"""From how many observations on older ones count for half."""
_ASKS = "asks"
"""What is noted of a call that brings nothing to the place that it names."""
SECRET_BITS = 3.5
SECRETS_LONGER = 4
"""What a new secret adds to a run at least, and how much longer it is remembered than other things: whoever is patient
reads one or two in each session, for days. Who reads hardly any secrets does not get used to new ones."""
SECRETS_PRIOR = 40.0
"""As `FRESH_PRIOR`, of secrets, whose reads of all earlier days count: few of them say less about the next."""
SECRETS_LEFT = 0.5
"""The share of the threshold that is left of a run over secrets once it is one, so that who reads a new one in the days
after it is not blamed for it."""
SUM_SHARE_MAX = 1.25
"""How far a sum goes above its threshold, as a share of it: once the amounts are usual again, it is soon below."""
SWEEP_SHARE_MAX = SUM_SHARE_MAX * SWEEPS_FACTOR
"""How far a run goes above its threshold, as a share of it: further than reads need that have no second sign."""
KNOWN_BITS = 0.3
"""What a known term takes from a run."""
LEAST_SHARE = 0.6
LEAST_FALL_PER_DAY = 0.03
LEAST_RISE_PER_DAY = 0.15
"""What a new term adds to a run at least: this share of what it adds on usual days, which falls by a share in a day and
rises by so many bits. Who brings new ones every day may bring less than five times as many after 30 days."""


class Totals(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Observations, terms that were seen once, different terms, and when the first observation was.

    `asked` are the calls that have brought nothing to a place: they make none known.

    `versions` are the last versions of the agent (digests, the newest last); of agents alone, and only where somebody
    asks. `version_at` is how many observations there were before the newest one, and `new_from` before what counts as
    new began with it, or with one shortly before it.
    """

    total: int = 0
    once: int = 0
    distinct: int = 0
    since_ms: int = 0
    versions: tuple[int, ...] = ()
    version_at: int = 0
    new_from: int = 0
    asked: int = 0

    def support(self, total_min: float) -> int:
        """Return how many observations there are; with the calls that only asked if there are few others.

        Whoever only reads is known as well, and what such calls ask of many places says nothing about who also sends.
        """
        return self.total if self.total >= total_min else self.total + self.asked

    def in_version(self, epoch: str) -> Totals:
        """Return it with a version of the agent, if that is a new one."""
        version = digest_of(epoch)
        if not epoch or version in self.versions:
            return self
        # A version that follows shortly after another one is part of the same release, and makes it no longer.
        is_apart = not self.versions or self.total - self.version_at >= BROUGHT_WITHIN
        versions = (*self.versions, version)[-VERSIONS_MAX:]
        return replace(
            self,
            versions=versions,
            version_at=self.total,
            new_from=self.total if is_apart else self.new_from,
        )

    def is_new(self, epoch: str) -> bool:
        """Return whether a version of the agent has just begun. Its first one is not new: there was none before it."""
        it = self.in_version(epoch)
        is_newest = len(it.versions) > 1 and it.versions[-1] == digest_of(epoch)
        return is_newest and it.total - it.new_from < BROUGHT_WITHIN

    def less_new(self, epoch: str) -> Totals:
        """Return it with one call less in which the version is new."""
        it = self.in_version(epoch)
        return replace(it, new_from=it.new_from - 1)

    def after(self, once: int, distinct: int) -> Totals:
        """Return it after one more observation."""
        it = self
        return Totals(it.total + 1, once, distinct, it.since_ms, it.versions, it.version_at, it.new_from, it.asked)


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
    """Evidence of a sweep, when it was last added to, and how many terms are new on usual days.

    Of the observations that were learned from since somebody is settled, `seen` are of earlier days and `fresh` of them
    were new. Those of `day` are counted apart, so that a sweep does not explain itself. `least` is what a new one
    adds at least, None as long as the tool is new.
    """

    total: float = 0.0
    at_ms: int = 0
    seen: float = 0.0
    fresh: float = 0.0
    day: int = -1
    seen_today: int = 0
    fresh_today: int = 0
    least: float | None = None

    @property
    def fresh_share(self) -> float:
        """The share of observations that were new on earlier days; small as long as few are known."""
        return self.fresh / (self.seen + FRESH_PRIOR)

    def after(self, time_ms: int, *, is_new: bool) -> Run:
        """Return it with one more observation."""
        day, it = time_ms // DAY_MS, self
        if day > it.day:
            kept = 0.5 if it.seen >= FRESH_SEEN_MAX else 1.0
            seen, fresh = (it.seen + it.seen_today) * kept, (it.fresh + it.fresh_today) * kept
            it = Run(it.total, it.at_ms, seen, fresh, day, least=it.least)
        return Run(it.total, it.at_ms, it.seen, it.fresh, it.day, it.seen_today + 1, it.fresh_today + is_new, it.least)

    def bits(self, totals: Totals) -> float:
        """Return how surprising a new term is by all that is known, in bits."""
        bits = min(new_bits(totals.once, totals.total), STEP_BITS_MAX)
        return min(bits, -log2(self.fresh_share)) if self.fresh else bits

    def tethered(self, usual: float, days: int) -> Run:
        """Return it at the begin of a day, so many days after the last one, when a new term usually adds so much."""
        least = max(LEAST_SHARE * usual, 0.0)
        if self.least is not None:
            fallen = self.least * (1.0 - LEAST_FALL_PER_DAY) ** days
            least = min(max(least, fallen), self.least + LEAST_RISE_PER_DAY)
        return replace(self, least=least)


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
        last_ms = activity.time_ms if activity.time_ms > term.last_ms else term.last_ms
        term = Term(term.count + 1, last_ms, term.knowers, term.surprised_by, term.versions)
        return totals.after(totals.once, totals.distinct), term
    is_first = term is None or not term.count
    if is_first and totals.distinct >= distinct_max:
        return totals.after(totals.once, totals.distinct), term
    was_known = is_known(term, activity.time_ms, history_ms)
    before = term or Term()
    count = before.count + 1 if was_known else 1
    # A term that was forgotten counts as seen once again; if it was seen once before, it already does.
    once = totals.once + {1: 0 if before.count == 1 else 1, 2: -1}.get(count, 0)
    totals = totals.after(max(0, once), totals.distinct + is_first)
    return totals, Term(
        count, max(before.last_ms, activity.time_ms), before.knowers, before.surprised_by, before.versions
    )


def _secrets_new(run: Run, totals: Totals, now_ms: int) -> float:
    """Return the share of reads of secrets that were new on all earlier days."""
    seen, fresh = (run.seen_today, run.fresh_today) if run.day == now_ms // DAY_MS else (0, 0)
    return (max(0, totals.distinct - fresh) + 0.5) / (max(0, totals.total - seen) + SECRETS_PRIOR)


class NewTerms(Keyed):
    """The first time that an agent does something; more surprising if no peer has ever done it.

    What comes with a new version of the agent, in its first calls, is what the version is for. A new tool that many
    agents begin to use later is found with the first of them. From the third on, or if it comes with the same version,
    it is new for the work, and not for the agent. Both stay below an alert, and are learned. So does what is new to an
    agent without peers: nobody else could know it, and who works for long meets each of his rare tools. Correlations
    find what is done with it. What deletes, gives access or is about secrets is worth a question also then. What was
    denied stays below an alert as well, but is as new as before: whoever may call it later is found then.
    """

    row_types = (Totals, Term, Totals, Term)
    keys_have_term = True

    def __init__(self, declaration: Declaration) -> None:
        super().__init__(declaration)
        # With a measure, it is about the calls that have it: whom an agent pays, and not whom it reads about.
        self.needs |= BITS.get(declaration.value or "", 0)
        # A place that was only read, or written a draft to, is as new as before when something is sent there.
        self._is_of_places = declaration.term == "dest.domain"

    def make_places(self) -> tuple[Place, ...]:
        """Return the places of the totals and of the term, of the agent and of its peers."""
        term = self.declaration.term or ""
        return (self.own(), self.own(term), self.peers(), self.peers(term))

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return the bits of a new term."""
        it, (own, term, peers, peer_term) = self.declaration, rows
        if self._is_of_places and not may_send(activity.tool, activity.size_bytes):
            return Scored(rows, noted=_ASKS)
        if is_known(term, activity.time_ms, it.history_ms):
            return Scored(rows)
        own, peers = own or Totals(), peers or Totals()
        seen_count = own.support(it.min_support)
        is_full = term is None and own.distinct >= it.count_max
        # The minimum is of the agent's own history: it says nothing about an agent that has just begun.
        is_settled = activity.time_ms - own.since_ms >= it.settle_ms
        if seen_count < it.min_support or not is_settled or is_full:
            return Scored(rows)
        bits, seen = new_bits(own.once, seen_count), peer_term or Term()
        knowers = len(set(seen.knowers) - {digest_of(activity.agent)})
        if it.peer and not knowers:
            bits += new_bits(peers.once, peers.support(it.min_support))
        words = {"bits": bits, "peers": knowers, "seen": seen_count}
        if not it.alerts or bits < it.threshold:
            return Scored(rows, bits, words)
        below = min(bits, SHARED_SHARE * it.threshold)
        if own.is_new(activity.epoch):
            bits = below
            # Where nothing is learned, no call counts, and the version would be new forever.
            rows = (own.less_new(activity.epoch), *rows[1:])
        is_alone = peers.total <= own.total and peers.since_ms <= own.since_ms
        if it.peer and is_alone and not is_grave(activity.tool):
            # Nobody else could know it.
            bits = below
        if activity.outcome in REFUSED:
            # It did not happen. One slip says little, and correlations find who tries several doors.
            return Scored(rows, below, words)
        if not it.peer:
            return Scored(rows, bits, words)
        agent = digest_of(activity.agent)
        others = {*seen.surprised_by} - {agent}
        version = {digest_of(activity.epoch)} if activity.epoch else set()
        if len(others) >= SHARED_BY or (others and version & {*seen.versions}):
            bits = below
        by, versions = (tuple(sorted(each))[:KNOWERS_MAX] for each in (others | {agent}, version | {*seen.versions}))
        return Scored((*rows[:3], replace(seen, surprised_by=by, versions=versions)), bits, words)

    def learn(self, rows: Rows, activity: Activity, noted: Any) -> Rows:
        """Return the rows with one more observation of the term."""
        it, (own, term, peers, peer_term) = self.declaration, rows
        if noted is _ASKS:
            own, peers = (
                replace(each, asked=each.asked + 1) if each else Totals(since_ms=activity.time_ms, asked=1)
                for each in (own, peers)
            )
            return (own, term, peers, peer_term)
        if it.alerts:
            own = (own or Totals(since_ms=activity.time_ms)).in_version(activity.epoch)
        own, term = counted(own, term, activity, it.history_ms, it.count_max)
        peers, peer_term = counted(peers, peer_term, activity, it.history_ms, it.count_max * KNOWERS_MAX)
        if peer_term is not None:
            agent = digest_of(activity.agent)
            if len(peer_term.knowers) < KNOWERS_MAX and agent not in peer_term.knowers:
                knowers = tuple(sorted((*peer_term.knowers, agent)))
                peer_term = replace(peer_term, knowers=knowers)
        return (own, term, peers, peer_term)


class NovelCusum(Keyed):
    """A sweep: one new term after the other, where known ones are usual. Of secrets, also one now and then, over days.

    Until somebody has been watched for `settle_ms`, with whatever tool, nobody knows which are: a job that comes once a
    week is new for a week. What is new by nature, such as branches that are tested some times and never again, is no
    more surprising than the share of new ones on earlier days. (Good and Turing's estimate does not see that: it asks
    how many were seen once.)
    """

    row_types = (Run, Totals, Term, Since)
    keys_have_term = True

    def make_places(self) -> tuple[Place, ...]:
        """Return the places of the run, of the totals, of the term, and of since when somebody is watched."""
        who = without_tool(self.declaration.key)
        return (
            self.own(),
            self.own(part="all"),
            self.own(self.declaration.term or ""),
            Place(who, f"{self.declaration.name}.since"),
        )

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return the evidence of a sweep (a one-sided CUSUM, Page 1954, that fades).

        It notes whether the term is new, and None if it isn't known yet what is usual.
        """
        it, (run, totals, term, since) = self.declaration, rows
        run, totals = run or Run(), totals or Totals()
        # Rows of earlier versions only say since when the tool is.
        since = since or Since(totals.since_ms or activity.time_ms)
        now_ms, at_ms, left = activity.time_ms, run.at_ms, run.total
        is_secret = is_of_secrets(activity.tool)
        if now_ms > at_ms:
            longer = SECRETS_LONGER if is_secret else 1
            left, at_ms = left * decay(now_ms - at_ms, it.half_life_ms * longer), now_ms
        bits = 0.0
        # Whoever hardly reads secrets has no support for what is usual. On the first day with them, all are new.
        is_used = now_ms - (totals.since_ms or now_ms) >= DAY_MS if is_secret else totals.total >= it.min_support
        is_settled = is_used and now_ms - since.at_ms >= it.settle_ms
        is_new = not is_known(term, now_ms, it.history_ms)
        if not is_new:
            total = left - KNOWN_BITS if left > KNOWN_BITS else 0.0
        elif not is_settled or (term is None and totals.distinct >= it.count_max):
            total = left
        else:
            bits = run.bits(totals)
            if run.least and not is_secret:
                # New secrets add something at least as it is, unless they are changed in turn.
                bits = max(bits, run.least + it.allowance)
            step = bits - it.allowance
            if is_secret and not works_one_by_one(BREADTH, activity):
                bits = step = max(step, min(SECRET_BITS, -log2(_secrets_new(run, totals, now_ms))))
            total = max(0.0, left + step)
        # What is a sweep already need not become a longer one: the next new thing would be blamed for it.
        most = SWEEP_SHARE_MAX * it.threshold
        total = total if total < most else most
        is_told = is_secret and total >= it.threshold
        run = Run(
            SECRETS_LEFT * it.threshold if is_told else total,
            at_ms,
            run.seen,
            run.fresh,
            run.day,
            run.seen_today,
            run.fresh_today,
            run.least,
        )
        # What is known adds nothing, even while a run has not faded yet.
        kept = (run, rows[1], term, since)
        noted = is_new if is_settled and rows[1] is not None else None
        return Scored(kept, total, {"bits": bits, "sum": total}, noted) if bits else Scored(kept, noted=noted)

    def learn(self, rows: Rows, activity: Activity, noted: Any) -> Rows:
        """Return the rows with one more observation of the term."""
        it, (run, totals, term, since) = self.declaration, rows
        if noted is not None:
            before, run = run, run.after(activity.time_ms, is_new=noted)
            is_tethered = activity.time_ms - totals.since_ms >= it.settle_ms + SETTLED_DAYS * DAY_MS
            if run.day > before.day and is_tethered:
                run = run.tethered(run.bits(totals) - it.allowance, run.day - before.day)
        totals, term = counted(totals, term, activity, it.history_ms, it.count_max)
        return (run, totals, term, since)
