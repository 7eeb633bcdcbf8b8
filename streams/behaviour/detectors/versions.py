"""New versions of agents: which tools they call far more often than the last two versions did."""

from __future__ import annotations

from math import log
from typing import Any

import msgspec

from streams.behaviour.activity import DAY_MS, Activity, digest_of
from streams.behaviour.acts import is_of_secrets
from streams.behaviour.detectors.peaks import SHARED_BY, SHARED_SHARE
from streams.behaviour.epochs import changed_parts
from streams.behaviour.estimators import count_of, counted_up
from streams.behaviour.pages import Place
from streams.behaviour.presence import EPOCH
from streams.behaviour.signals import Keyed, Rows, Scored

replace = msgspec.structs.replace

PROBATION_CALLS = 600
CALLS_MIN = 6
"""How often a new version must have called a tool: what a session or two did is an errand, and no other behaviour."""
ERRAND_FACTOR = 3.0
ERRAND_SHARE = 0.4
"""How many times its threshold evidence has to be if one session alone has given it, and the share of the threshold
that is left of it otherwise. A change of all keys, and what people have asked to be deleted, is twice as much."""
EARLY_SHARE = 0.5
EARLY_FACTOR = 2.0
"""From which share of the calls that a version has to have made on others are compared with it, and how much more
evidence there has to be then."""
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
"""The share that a new version may have of a tool that neither of the last two versions called."""
MISSED_CALLS = 4.0
"""How often a version should have called a tool by now that it has not called: then it has another one instead."""
MOVED_SHARE = 0.75
"""How much of what a tool has gained another one of the same name must have lost for it to have taken its place."""
HARDLY_FACTOR = 3.0
"""How much more often a version has to call a tool for the one before to have hardly called it."""


class Told(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A tool of which was reported that a new version calls it more often: its digest, its share then, and when."""

    tool: int
    share: float
    at_ms: int


class Kept(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How often each tool was called in an epoch: digests and counts, sorted by digest; and whether it was reported.

    `told` is what was reported of later epochs beside this one, sorted by time. `former` are the shares of the tools in
    the epoch before, of an epoch that others are compared with. `errand` is the last session that did so much
    alone. `names` has, beside each tool, a digest of its name without the server. Nothing reads `evidence` any more. It
    keeps its place for the rows of earlier versions.
    """

    epoch: str = ""
    counts: tuple[tuple[int, int], ...] = ()
    total: int = 0
    evidence: float = 0.0
    is_reported: bool = False
    told: tuple[Told, ...] = ()
    former: tuple[tuple[int, float], ...] = ()
    errand: int = 0
    names: tuple[tuple[int, int], ...] = ()

    def share(self, tool: int, kinds: int) -> float:
        """Return the share of a tool (the estimator of Krichevsky and Trofimov)."""
        return (count_of(self.counts, tool) + 0.5) / (self.total + 0.5 * kinds)

    def former_share(self, tool: int) -> float:
        """Return the share of a tool in the version before; 0 if it had none."""
        return next((share for it, share in self.former if it == tool), 0.0)

    def with_former(self, before: Kept) -> Kept:
        """Return it with the shares of the version before it."""
        former = tuple((tool, count / before.total) for tool, count in before.counts)
        return replace(self, former=former)

    def replaced_share(self, later: Kept, successor: int) -> float:
        """Return the largest share of a tool that a later version has ceased to call; 0 if `successor` replaces none.

        Several cease when a server gets another name. Then each has a successor that is called no more often than
        is tolerated. The successor of one alone was not in use before: who ceases to do one thing and does more of
        another has changed.
        """
        per_call = later.total / max(self.total, 1)
        gone = [
            count / self.total
            for tool, count in self.counts
            if count * per_call >= MISSED_CALLS and not count_of(later.counts, tool)
        ]
        if len(gone) < 2:
            return sum(gone) if count_of(self.counts, successor) < CALLS_MIN else 0.0
        new = [count / later.total for tool, count in later.counts if self.hardly_called(tool, count / later.total)]
        new.sort(reverse=True)
        gone.sort(reverse=True)
        is_like = all(now <= tolerated(was) for now, was in zip(new, gone, strict=False))
        return gone[0] if is_like and len(new) >= len(gone) else 0.0

    def hardly_called(self, tool: int, share: float) -> bool:
        """Return whether a tool that has a share in a later version had hardly any here."""
        return count_of(self.counts, tool) * HARDLY_FACTOR < share * self.total

    def part(self, tool: int) -> float:
        """Return the share of its calls that a tool had, as they were counted."""
        return count_of(self.counts, tool) / self.total

    def namesake(self, later: Kept, tool: int, name: int) -> tuple[float, float]:
        """Return the shares, here and in a later version, of the tool of a name in whose place another one has come.

        Both are 0 if none has lost most of what that has gained.

        Args:
            later: the later version.
            tool: the one that has come (digest).
            name: its name without the server (digest).
        """
        gained = later.part(tool) - self.part(tool)
        shares = [(self.part(it), later.part(it)) for it, its in self.names if its == name and it != tool]
        was, left = max(shares, key=lambda each: each[0] - each[1], default=(0.0, 0.0))
        return (was, left) if was - left >= MOVED_SHARE * gained > 0.0 else (0.0, 0.0)

    def moves_other(self, later: Kept, name: int) -> bool:
        """Return whether a tool of another name than `name` comes in place of its namesake in a later version."""
        return any(
            its != name and later.part(it) > tolerated(self.part(it)) and self.namesake(later, it, its)[0]
            for it, its in later.names
        )

    def after(self, activity: Activity, count_max: int) -> Kept:
        """Return it with one more call; a tool beyond `count_max` counts in the total alone."""
        it, counts, tool = self, self.counts, digest_of(activity.tool)
        if len(counts) < count_max or count_of(counts, tool):
            counts = counted_up(counts, tool, count_max)
        names = it.names if len(counts) == len(it.counts) else (*it.names, (tool, name_of(activity.tool)))
        return Kept(it.epoch, counts, it.total + 1, 0.0, it.is_reported, it.told, it.former, it.errand, names)

    def told_share(self, tool: int, now_ms: int) -> float:
        """Return the largest share of a tool in a later version that people have lately heard of; 0 if in none."""
        return max((it.share for it in self.told if it.tool == tool and now_ms - it.at_ms < TOLD_MS), default=0.0)

    def telling(self, tool: int, share: float, now_ms: int) -> Kept:
        """Return it after a report of a tool in a later version."""
        told = (*self.told, Told(tool, share, now_ms))[-TOLD_MAX:]
        return replace(self, told=told)


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


def name_of(tool: str) -> int:
    """Return a digest of the name of a tool (`server.name`) without its server."""
    return digest_of(tool.rpartition(".")[2])


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
    """A new version of an agent that calls a tool far more often than the two versions before it.

    **Idea.** The score is a likelihood ratio (Wilks 1938) of the tool's share in the new version and of the largest
    share that would still be tolerated. It grows with the number of calls only if the change is a large one. What is
    compared with is the newest version before it that has made enough calls, whether it has passed its probation or
    not: releases follow each other, and small changes add up. A version that does what was reported of the one before
    it is not reported again: releases go on from where the last one was. Nor is a version that goes back to what the
    last but one did: the one between may have been withdrawn. And one version of many agents of a type is
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
        is_comparable = mature.epoch not in ("", activity.epoch) and mature.total >= EARLY_SHARE * it.min_support
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
        known = max(before, mature.former_share(tool))
        if mature.told:
            known = max(known, mature.told_share(tool, activity.time_ms))
        # Of what was hardly called before, nobody knows how often is usual.
        is_brought = count_of(mature.counts, tool) < CALLS_MIN and known == before
        weight = total if mature.total >= it.min_support else total / EARLY_FACTOR
        evidence = weight * excess(now, tolerated(known, is_brought=is_brought))
        # Secrets are in no other tool's place.
        may_replace = evidence >= self.faint and not is_of_secrets(activity.tool)
        if may_replace and (is_brought or mature.hardly_called(tool, now)):
            # A tool that takes the place of another one is as usual as that was, also if it has begun to before.
            succeeded = mature.replaced_share(epoch, tool)
            if succeeded > known:
                most = max(tolerated(succeeded), tolerated(known, is_brought=is_brought))
                evidence = weight * excess(now, most)
        if may_replace and evidence >= self.faint:
            # A server that gets another name still has the same tools, and an agent may call both for a while. Who
            # turns from one server to another for one thing has changed.
            name = name_of(activity.tool)
            was, left = mature.namesake(epoch, tool, name)
            if was and mature.moves_other(epoch, name):
                evidence = min(evidence, weight * excess(now + left, tolerated(min(was + known, 1.0))))
        if evidence < self.faint:
            # Nobody reads the words of what is too faint for a signal.
            return Scored(kept, evidence)
        session = digest_of(activity.session)
        if it.threshold <= evidence < ERRAND_FACTOR * it.threshold and epoch.errand in (0, session):
            # What one session did may be an errand, such as a change of all keys.
            kept, evidence = (mature, replace(epoch, errand=session), *rows[2:]), ERRAND_SHARE * it.threshold
        elif evidence >= it.threshold:
            # An epoch is reported once. What people then do about it is up to them.
            now_ms, shifts = activity.time_ms, rows[3] or Shifts()
            shift = Shift(digest_of(activity.agent), tool, now_ms, digest_of(activity.epoch))
            is_shared = bool(it.peer) and shifts.has_like(shift)
            epoch = Kept(epoch.epoch, epoch.counts, epoch.total, is_reported=not is_shared, names=epoch.names)
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
            return replace(newest, told=mature.told).with_former(mature)
        return mature

    def learn(self, rows: Rows, activity: Activity, noted: Any) -> Rows:
        """Return the rows with one more call; an epoch that has passed its probation becomes the mature one."""
        del noted
        it, (mature, epoch, newest, shifts) = self.declaration, rows
        if activity.tool == activity.previous_tool:
            return rows
        if mature.epoch in ("", activity.epoch):
            mature = mature if mature.epoch else Kept(activity.epoch)
            return (mature.after(activity, it.count_max), epoch, newest, shifts)
        epoch = epoch.after(activity, it.count_max)
        if epoch.total >= PROBATION_CALLS and not epoch.is_reported:
            return (epoch.with_former(mature), epoch, None, shifts)
        return (mature, epoch, epoch, shifts)
