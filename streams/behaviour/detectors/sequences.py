"""In which order: the same call again and again, one tool without end, an order that peers never take."""

from __future__ import annotations

from math import log, log2, log10
from typing import Any

import msgspec
from msgspec.structs import replace

from streams.behaviour.activity import DAY_MS, Activity, digest_of, digest_once
from streams.behaviour.declarations import Declaration
from streams.behaviour.detectors.peaks import (
    SHARED_BY,
    SHARED_SHARE,
    SKETCH_MAX,
    Sketch,
    compared,
    learned,
    usual_limit,
)
from streams.behaviour.epochs import changed_parts
from streams.behaviour.estimators import Mean, Peak, count_of, counted_up, decay, updated_mean
from streams.behaviour.pages import BEFORE_TOOL, PREVIOUS_TOOL, Place
from streams.behaviour.presence import CALL, EPOCH
from streams.behaviour.signals import Keyed, Rows, Scored

RING_MAX = 32
LOOP_COLD_FACTOR = 2.5
"""As for other counts, where nothing is known, but within what the ring of last calls can show."""
ODD_COLD_FACTOR = 2.0
ODD_DAYS_MIN = 5.0
PEAK_DAYS_MIN = 3.0
CYCLE_MAX = 4
WAITING_SHARE = 0.5
"""What repeats count for whose pauses grow: whoever waits, or tries again politely, asks ever less often."""
KEPT_MAX = int(RING_MAX / WAITING_SHARE)
"""How many calls are kept. Repeats that count for less are counted among all of them: among the last `RING_MAX` alone,
whoever lets the pauses grow a little forever would never reach a limit above their share of it."""
WAITING_MIN = 6
WAITING_FACTOR = 1.5
"""How often something must have been called, and how many times as long as the first third of its pauses the last
third must be, for them to grow."""
ONWARD_SHARE = 0.5
"""What the calls of a stretch count for of which none is like one before it: whoever reads a list page by page gets
somewhere, and whoever is stuck comes back to what it had."""
ONWARD_MAX = SKETCH_MAX + 1
"""How many calls of a stretch may count for less. The calls up to here are remembered, so nobody knows whether a later
one is like another later one."""
STAY_MAX = 0.995
CONTEXT_TOOLS_MAX = 32
SURPRISE_BITS_MAX = 12.0
STEP_BITS_MAX = 4.0
"""What one call adds at most above what is usual: one step that nobody has taken before does not alert."""


class Lately(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Digests of the last calls of a session, and when each was made (in seconds)."""

    calls: tuple[int, ...] = ()
    spoiled: bool = False
    times: tuple[int, ...] = ()

    def after(self, call: int, now_ms: int, window_ms: int, calls_max: int) -> Lately:
        """Return it with one more call, and without those that are too many, or older than the window."""
        now_s, first = now_ms // 1_000, max(0, len(self.calls) + 1 - calls_max)
        # Rows of earlier versions have no times.
        times = self.times if len(self.times) == len(self.calls) else (now_s,) * len(self.calls)
        while first < len(times) and now_s - times[first] > window_ms // 1_000:
            first += 1
        return Lately((*self.calls[first:], call), self.spoiled, (*times[first:], now_s))


class Loop(Keyed):
    """The same call, or the same few calls in turn, again and again, within a window.

    Whoever waits for something asks again and again as well, with pauses that grow. What costs is how often in a while.
    """

    row_types = (Lately, Peak)
    needs = CALL

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return how often the call, or a cycle that ends with it, has occurred."""
        before = rows[0] or Lately()
        ring = before.after(digest_once(activity.call), activity.time_ms, self.declaration.window_ms, KEPT_MAX)
        count = repeats(ring.calls[-RING_MAX:])
        if count < self.faint:
            return Scored((ring, rows[1]), noted=count)
        counted = float(count)
        if is_waiting(ring):
            # What is excused counts for less in what is learned as well, and never for more than what is not excused.
            count = repeats(ring.calls)
            counted = min(counted, count * WAITING_SHARE)
        found = compared(counted, self.declaration, rows[1:], LOOP_COLD_FACTOR)
        if found.score >= self.declaration.threshold:
            ring = Lately(ring.calls, True, ring.times)
        kept = (ring, rows[1])
        if found.score < self.faint:
            return Scored(kept, noted=counted)
        return Scored(kept, found.score, {"count": count, "usual": found.usual}, counted)

    def learn(self, rows: Rows, activity: Activity, noted: Any) -> Rows:
        """Return the rows with the peak of the day."""
        ring, peak = rows
        if ring.spoiled:
            return rows
        return (ring, learned(peak, float(noted), activity.time_ms, self.declaration))


def repeats(calls: tuple[int, ...]) -> int:
    """Return how often the last call is among the calls, or the cycle that they end with if that is more."""
    last = calls[-1]
    best = calls.count(last)
    if best == 1:
        # As of most calls. A cycle that ends with it would have it twice.
        return 1
    for length in range(2, CYCLE_MAX + 1):
        if len(calls) < 2 * length or calls[-1 - length] != last:
            continue
        cycle, end, count = calls[-length:], len(calls) - length, 1
        while end >= length and calls[end - length : end] == cycle:
            count, end = count + 1, end - length
        best = max(best, count)
    return best


def is_waiting(lately: Lately) -> bool:
    """Return whether the pauses between the last calls that are equal to the last one grow."""
    calls, times = lately.calls[-RING_MAX:], lately.times[-RING_MAX:]
    at = [time for call, time in zip(calls, times, strict=True) if call == calls[-1]]
    if len(at) < WAITING_MIN:
        return False
    third = (len(at) - 1) // 3
    return at[-1] - at[-1 - third] >= WAITING_FACTOR * max(at[third] - at[0], 1)


class Stretch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How long a session has been calling one tool."""

    tool: int = 0
    count: int = 0


class Onward(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How long a session has been calling one tool, and the calls of the stretch but for the first.

    Once that a call has come again (`is_back`), nobody asks for the calls any more. No more are kept than a sketch
    holds exactly, and calls beyond them count in full.
    """

    tool: int = 0
    count: int = 0
    seen: Sketch = Sketch()
    is_back: bool = False

    @property
    def length(self) -> float:
        """How many calls it counts for."""
        return self.count if self.is_back else self.count - (1.0 - ONWARD_SHARE) * min(self.count, ONWARD_MAX)

    def after(self, tool: int, call: str) -> Onward:
        """Return it with one more call; `call` is empty if it has no digest."""
        if tool != self.tool:
            return Onward(tool, 1)
        kept = len(self.seen.digests)
        # Rows of earlier versions have no calls, so nobody knows whether one of them has come again.
        if self.is_back or not call or kept < min(self.count - 1, SKETCH_MAX):
            return Onward(tool, self.count + 1, is_back=True)
        digest = digest_once(call)
        if digest in self.seen.digests:
            return Onward(tool, self.count + 1, is_back=True)
        return Onward(tool, self.count + 1, self.seen if kept == SKETCH_MAX else self.seen.with_digest(digest))


class Stays(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How often peers call a tool, how often they begin to, and the longest stretches of each day."""

    calls: int = 0
    starts: int = 0
    peak: Peak = Peak()


class LoopRun(Keyed):
    """One tool without end, where peers go on to another one. Paging is a long stretch that peers know.

    In a stretch that goes on, each call being another one, the first `ONWARD_MAX` calls count for less.
    """

    row_types = (Onward, Stays)

    def make_places(self) -> tuple[Place, ...]:
        """Return the places of the stretch, and of the peers' stretches of this tool."""
        return (self.own(), self.peers("tool.name"))

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return -log10 of the probability of a stretch of this length, 0 within the usual stretches of a day."""
        it, stays, tool = self.declaration, rows[1] or Stays(), digest_of(activity.tool)
        stretch = (rows[0] or Onward()).after(tool, activity.call)
        kept = (stretch, stays)
        if stays.calls < it.min_support or stretch.count == 1:
            return Scored(kept)
        stay = min(1.0 - (stays.starts + 1.0) / (stays.calls + 2.0), STAY_MAX)
        score = -(stretch.length - 1.0) * log10(max(stay, 1e-3))
        if stays.peak.past.weight >= PEAK_DAYS_MIN:
            # A stretch must also be longer than the longest ones of usual days, which are longer than chance explains.
            score = min(score, it.threshold * stretch.length / usual_limit(stays.peak, it.deviations))
        return Scored(kept, score, {"count": stretch.count, "stay": stay}) if score >= self.faint else Scored(kept)

    def learn(self, rows: Rows, activity: Activity, noted: Any) -> Rows:
        """Return the rows with one more call of the tool."""
        del noted
        stretch, stays = rows
        peak = learned(stays.peak, float(stretch.count), activity.time_ms, self.declaration)
        return (stretch, Stays(stays.calls + 1, stays.starts + (stretch.count == 1), peak))


class Context(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Which tools followed: digests and counts, sorted by digest."""

    follow: tuple[tuple[int, int], ...] = ()
    total: int = 0


def after(context: Context | None, tool: int) -> Context:
    """Return a context with one more call of `tool`; the rarest tool makes room for a new one."""
    if context is None:
        return Context(((tool, 1),), 1)
    follow = counted_up(context.follow, tool, CONTEXT_TOOLS_MAX)
    is_full = len(follow) == CONTEXT_TOOLS_MAX
    return Context(follow, sum(count for _, count in follow) if is_full else context.total + 1)


class Oddness(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Evidence that a session takes an odd order, and when it was last added to."""

    total: float = 0.0
    at_ms: int = 0


def surprise_bits(contexts: tuple[Context | None, ...], tool: int) -> float:
    """Return the bits of a call after its contexts, the longest first (PPM with escape C, Moffat 1990)."""
    bits = 0.0
    for context in contexts:
        if context is None or not context.total:
            continue
        count, kinds = count_of(context.follow, tool), len(context.follow)
        room = context.total + kinds
        if count:
            return bits + log2(room / count)
        bits += log2(room / kinds)
    return bits + log2(CONTEXT_TOOLS_MAX)


class SeqSurprise(Keyed):
    """An order of calls that peers do not take, beside the oddest sessions of usual days.

    Some kinds of work take the same steps in the same order, and others hardly ever. So the evidence about a session
    must also lie above that about the oddest session of usual days, of any agent of the type.
    """

    row_types = (Oddness, Context, Context, Context, Mean, Peak)

    def __init__(self, declaration: Declaration) -> None:
        super().__init__(declaration)
        # Support is of calls; the oddest sessions are of days.
        self._beside_days = replace(declaration, min_support=ODD_DAYS_MIN)

    def make_places(self) -> tuple[Place, ...]:
        """Return the places of the session's evidence, and of contexts, surprise and oddest sessions of the peers."""
        return (
            self.own(),
            self.peers(BEFORE_TOOL, PREVIOUS_TOOL),
            self.peers(PREVIOUS_TOOL),
            self.peers(),
            self.peers(part="usual"),
            self.peers(part="peak"),
        )

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return the accumulated surprise of the session above what is usual."""
        it, usual = self.declaration, rows[4] or Mean()
        odd = rows[0] or Oddness()
        left = odd.total * decay(activity.time_ms - odd.at_ms, it.half_life_ms)
        bits = min(surprise_bits(rows[1:4], digest_of(activity.tool)), SURPRISE_BITS_MAX)
        total = left
        if usual.weight >= it.min_support:
            total = max(0.0, left + min(bits - usual.mean - usual.var**0.5 - it.allowance, STEP_BITS_MAX))
        kept = (Oddness(total, max(odd.at_ms, activity.time_ms)), *rows[1:])
        found = compared(total, self._beside_days, rows[5:], ODD_COLD_FACTOR)
        if found.score < self.faint:
            return Scored(kept, noted=(bits, total))
        words = {"bits": bits, "sum": total, "usual": found.usual}
        return Scored(kept, found.score, words, (bits, total))

    def learn(self, rows: Rows, activity: Activity, noted: Any) -> Rows:
        """Return the rows with one more call after its contexts."""
        (bits, total), it, tool = noted, self.declaration, digest_of(activity.tool)
        odd, third, second, first, usual, peak = rows
        usual = usual or Mean()
        if usual.weight >= it.min_support:
            peak = learned(peak, total, activity.time_ms, it)
        usual = updated_mean(usual, bits, activity.time_ms, it.history_ms, 1.0)
        return (odd, after(third, tool), after(second, tool), after(first, tool), usual, peak)


class Told(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A tool of which was reported that a new version calls it more often: its digest, its share then, and when."""

    tool: int
    share: float
    at_ms: int


class Kept(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How often each tool was called in an epoch: digests and counts, sorted by digest; and whether it was reported.

    `told` is what was reported of later epochs beside this one, sorted by time. Nothing reads `evidence` any more. It
    keeps its place for the rows of earlier versions.
    """

    epoch: str = ""
    counts: tuple[tuple[int, int], ...] = ()
    total: int = 0
    evidence: float = 0.0
    is_reported: bool = False
    told: tuple[Told, ...] = ()

    def share(self, tool: int, kinds: int) -> float:
        """Return the share of a tool (the estimator of Krichevsky and Trofimov)."""
        return (count_of(self.counts, tool) + 0.5) / (self.total + 0.5 * kinds)

    def after(self, tool: int, count_max: int) -> Kept:
        """Return it with one more call; a tool beyond `count_max` counts in the total alone."""
        counts = self.counts
        if len(counts) < count_max or count_of(counts, tool):
            counts = counted_up(counts, tool, count_max)
        return Kept(self.epoch, counts, self.total + 1, is_reported=self.is_reported, told=self.told)

    def told_share(self, tool: int, now_ms: int) -> float:
        """Return the largest share of a tool in a later version that people have lately heard of; 0 if in none."""
        return max((it.share for it in self.told if it.tool == tool and now_ms - it.at_ms < TOLD_MS), default=0.0)

    def telling(self, tool: int, share: float, now_ms: int) -> Kept:
        """Return it after a report of a tool in a later version."""
        told = (*self.told, Told(tool, share, now_ms))[-TOLD_MAX:]
        return Kept(self.epoch, self.counts, self.total, is_reported=self.is_reported, told=told)


class Shift(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Which agent has begun to call which tool far more often, when, and in which version (digests)."""

    agent: int
    tool: int
    at_ms: int
    epoch: int


class Shifts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What new versions of agents of one type have lately begun to call far more often, sorted by time."""

    found: tuple[Shift, ...] = ()

    def has_like(self, shift: Shift) -> bool:
        """Return whether others have lately done the same: one in the same version, or several in any."""
        lately = [it for it in self.found if it.tool == shift.tool and shift.at_ms - it.at_ms < SHARED_MS]
        others = {it.agent: it.epoch for it in lately if it.agent != shift.agent}
        return shift.epoch in others.values() or len(others) >= SHARED_BY

    def after(self, shift: Shift) -> Shifts:
        """Return it with one more."""
        return Shifts((*self.found, shift)[-SHIFTS_MAX:])


PROBATION_CALLS = 600
CALLS_MIN = 6
"""How often a new version must have called a tool: what a session or two did is an errand, and no other behaviour."""
SHIFTS_MAX = 16
SHARED_MS = 7 * DAY_MS
"""Within which time new versions of several agents are one release."""
TOLD_MS = 30 * DAY_MS
TOLD_MAX = 8
TOLERATED_FACTOR = 1.8
TOLERATED_SHARE = 0.01
"""How much more often a new version may call a tool, as a factor of its odds and beside it: each release changes a
little of everything."""
BROUGHT_SHARE = 0.1
"""The share that a tool may have which no call of the version before was of: it came with the new one."""


def tolerated(before: float, *, is_brought: bool = False) -> float:
    """Return the largest share of a tool in a new version that nobody has to hear of.

    Args:
        before: its share before.
        is_brought: whether it came with the new version.
    """
    if is_brought:
        return max(before, BROUGHT_SHARE)
    if before >= 1.0:
        return 1.0
    odds = TOLERATED_FACTOR * before / (1.0 - before)
    return odds / (1.0 + odds) + TOLERATED_SHARE


def excess(now: float, most: float) -> float:
    """Return how far a share lies above the most that is tolerated: the divergence of the two, in nats; 0 below it."""
    if now <= most:
        return 0.0
    rest = (1.0 - now) * log((1.0 - now) / (1.0 - most)) if now < 1.0 else 0.0
    return now * log(now / most) + rest


class EpochDrift(Keyed):
    """A new version of an agent that calls a tool far more often than the version before.

    **Idea.** The score is a likelihood ratio (Wilks 1938) of the tool's share in the new version and of the largest
    share that would still be tolerated. It grows with the number of calls only if the change is a large one. What is
    compared with is the newest version before it that has made enough calls, whether it has passed its probation or
    not: releases follow each other, and small changes add up. A version that does what was reported of the one before
    it is not reported again: releases go on from where the last one was. And one version of many agents of a type is
    one release, which is reported once; of versions that differ and do alike, the first two are.

    **Rejected.** A ratio of the two distributions as a whole: it grows with any change, and each release is one.
    """

    row_types = (Kept, Kept, Kept, Shifts)
    needs = EPOCH

    def make_places(self) -> tuple[Place, ...]:
        """Return the places of the mature epoch, of the activity's, of the newest that is not mature, and of peers."""
        peers = self.peers() if self.declaration.peer else self.own(part="peers")
        return (self.own(), self.own("agent.epoch"), self.own(part="newest"), peers)

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return the likelihood ratio of the tool's share in the epoch and of the largest that is tolerated."""
        it, mature = self.declaration, self._mature(rows, activity)
        epoch = rows[1] or Kept(activity.epoch)
        kept = (mature, epoch, rows[2], rows[3])
        is_comparable = mature.epoch not in ("", activity.epoch) and mature.total >= it.min_support
        if not is_comparable or epoch.is_reported or epoch.total >= PROBATION_CALLS:
            return Scored(kept)
        if activity.tool == activity.previous_tool:
            # Calls in a row are one choice of a tool: a page of a list says nothing about another behaviour.
            return Scored(kept)
        tool, total = digest_of(activity.tool), epoch.total + 1
        count = count_of(epoch.counts, tool) + 1
        if count < CALLS_MIN:
            return Scored(kept)
        before, now = mature.share(tool, len(mature.counts) + 1), count / total
        known = max(before, mature.told_share(tool, activity.time_ms)) if mature.told else before
        is_brought = not count_of(mature.counts, tool) and known == before
        evidence = total * excess(now, tolerated(known, is_brought=is_brought))
        if evidence < self.faint:
            # Nobody reads the words of what is too faint for a signal.
            return Scored(kept, evidence)
        if evidence >= it.threshold:
            # An epoch is reported once. What people then do about it is up to them.
            now_ms, shifts = activity.time_ms, rows[3] or Shifts()
            shift = Shift(digest_of(activity.agent), tool, now_ms, digest_of(activity.epoch))
            is_shared = bool(it.peer) and shifts.has_like(shift)
            epoch = Kept(epoch.epoch, epoch.counts, epoch.total, is_reported=not is_shared)
            # What was reported is nothing to compare the next version with, beyond what was told.
            newest = rows[2] if is_shared else None
            kept = (mature.telling(tool, now, now_ms), epoch, newest, shifts.after(shift))
            evidence = SHARED_SHARE * it.threshold if is_shared else evidence
        change = changed_parts(mature.epoch, epoch.epoch)
        words = {"sum": evidence, "times": now / before, "before": mature.epoch, "change": change}
        return Scored(kept, evidence, words)

    def _mature(self, rows: Rows, activity: Activity) -> Kept:
        """Return what an epoch is compared with: a new one with the newest before it that has made enough calls."""
        mature: Kept = rows[0] or Kept()
        newest: Kept | None = rows[2]
        is_new = rows[1] is None and activity.epoch != mature.epoch
        if is_new and newest is not None and not newest.is_reported and newest.total >= self.declaration.min_support:
            return Kept(newest.epoch, newest.counts, newest.total, told=mature.told)
        return mature

    def learn(self, rows: Rows, activity: Activity, noted: Any) -> Rows:
        """Return the rows with one more call; an epoch that has passed its probation becomes the mature one."""
        del noted
        it, (mature, epoch, newest, shifts), tool = self.declaration, rows, digest_of(activity.tool)
        if activity.tool == activity.previous_tool:
            return rows
        if mature.epoch in ("", activity.epoch):
            mature = Kept(activity.epoch, mature.counts, mature.total, told=mature.told)
            return (mature.after(tool, it.count_max), epoch, newest, shifts)
        epoch = epoch.after(tool, it.count_max)
        if epoch.total >= PROBATION_CALLS and not epoch.is_reported:
            return (epoch, epoch, None, shifts)
        return (mature, epoch, epoch, shifts)
