"""How widely: different objects, other people's data, children of a delegation, a session in two places."""

from __future__ import annotations

from typing import Any

import msgspec

from streams.behaviour.activity import BATCH_FROM, DAY_MS, HOUR_MS, Activity, digest_of
from streams.behaviour.acts import only_writes
from streams.behaviour.breadth import excused_of, with_batch
from streams.behaviour.declarations import Declaration
from streams.behaviour.detectors.peaks import NOT_KNOWN, Compared, Sketch, both_learned, compared, learned, usual_limit
from streams.behaviour.estimators import Peak, count_of, counted_up
from streams.behaviour.pages import DELEGATOR, Place, without_tool
from streams.behaviour.presence import BITS, DELEGATED, INSTANCE, OWNER, ROOT
from streams.behaviour.signals import Keyed, Rows, Scored

PLACES_MAX = 8
ADDING_MAX = 8
"""Sessions of which is known how much they have added to a window."""
GIVEN_FROM = 2
"""How many sessions under one grant say first something of whoever has delegated: most grants have one."""
BLAMED_FROM = 3
"""How many values a session has to add to a window before it is to blame for it, if others have filled it."""
QUIET_DAYS = 7
QUIET_FACTOR = 1.5
"""Days of work after which a tool that the agent hardly ever uses is known to be one, and how much more than elsewhere
a count has to be then. That nothing was done with it on these days says how much of it is usual."""
APART_FROM = 8
APART_SHARE = 0.75
APART_FACTOR = 0.5
"""How many sessions there have to be for each thing that is written to, but for the first ones, for each to have one of
its own, and what things count for then: as many people ask for the same after a recall."""
STORM_COLD_FACTOR = 1.5
"""As for other counts, where nothing is known: nobody shares the work of one grant among dozens."""
GIVERS_NOT_KNOWN = "agents that are not known"
"""Stands in sentences for the agent that has given the work, where several agents are above a session."""
GIVEN_FACTOR = 5.0
"""How many times as many sessions as on usual days an agent may delegate to, within a dozen or so."""
COLD_WINDOW_MS = HOUR_MS
"""The longest window that is compared where no days are known: very many objects at once are worth a look wherever they
are, and so many in a quarter of a day are a day's work."""
DEPTH_FREE = 2
DEPTH_WEIGHT = 2


class Window(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The different values of the running window.

    A window that has reached the threshold is `spoiled`: nothing learns from it, and `added` says how many values
    sessions have added since, sorted by digest. `by` are the sessions that have added to what is written to, but for
    the first values. `batch` is about how many values a session has read that does nothing else and has read nothing
    by others, and `whose` is that session: others are not to blame. Of a delegation, `batch` is 1 once a session has
    come that not one known agent has given (`DelegVelocity`), and `whose` is 0.
    """

    index: int = -1
    seen: Sketch = Sketch()
    spoiled: bool = False
    added: tuple[tuple[int, int], ...] = ()
    by: Sketch = Sketch()
    batch: int = 0
    whose: int = 0


class Worked(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """On how many days an agent has worked, whatever tool it used, and the newest of them."""

    days: int = 0
    day: int = -1


class FanOut(Keyed):
    """More different terms in a window than is usual for this agent and tool.

    What is done in many hours may be anything where no days are known: then only short windows say something. Days on
    which the agent worked without the tool are known, too: a rare act has no days of its own to be compared with.
    """

    row_types: tuple[type, ...] = (Window, Peak, Peak, Worked)

    def __init__(self, declaration: Declaration) -> None:
        super().__init__(declaration)
        self.needs |= BITS.get(declaration.term or "", 0)

    def make_places(self) -> tuple[Place, ...]:
        """Return the places of the window, of the peaks of the agent and of its peers, and of its days of work."""
        it = self.declaration
        whose = without_tool(it.key)
        return (self.own(), self.own(part="peak"), self.peers(), Place(whose, f"{it.name}.days", is_required=False))

    def _counted(self, window: Window | None, activity: Activity, term: str) -> Window:
        index, digest = activity.time_ms // self.declaration.window_ms, digest_of(term)
        if window is None or index > window.index:
            return Window(index, Sketch((digest,)))
        seen, added, by, batch = window.seen.with_digest(digest), window.added, window.by, window.batch
        whose = window.whose
        if seen is not window.seen:
            if window.spoiled:
                added = counted_up(added, digest_of(activity.session), ADDING_MAX)
            if self._term is not None and seen.digests[APART_FROM:] and only_writes(activity.tool):
                by = by.with_digest(digest_of(activity.session))
            if activity.is_batch and activity.is_trusted:
                # The calls before it was a batch, too: half of them, if it takes turns.
                earlier = BATCH_FROM if activity.previous_tool == activity.tool else BATCH_FROM // 2
                batch, whose = with_batch(batch, whose, activity, earlier, reads_only=True)
        return Window(window.index, seen, window.spoiled, added, by, batch, whose)

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return how many different terms there were, beside what is usual."""
        window = self._counted(rows[0], activity, (self._term(activity) if self._term else None) or "")
        if rows[0] is not None and window.seen is rows[0].seen:
            # Whoever comes back to what was seen adds nothing, and is not to blame for what others did in the window.
            return Scored((window, *rows[1:]), noted=window.seen.count())
        is_to_blame = not window.spoiled or count_of(window.added, digest_of(activity.session)) >= BLAMED_FROM
        of_others = excused_of(window.batch, window.whose, activity) if window.batch else 0
        return self._beside_peaks(window, rows, activity, -of_others, is_to_blame=is_to_blame)

    def _beside_peaks(
        self, window: Window, rows: Rows, activity: Activity, more: int, *, is_to_blame: bool = True
    ) -> Scored:
        """Return what is said of the values of a window, and of what counts like `more` of them.

        A call that is not to blame for them is faint: it does not alert, and what follows from it is not lost.
        """
        seen_count = window.seen.count()
        count = seen_count + more
        if count < self.faint:
            return Scored((window, *rows[1:]), noted=seen_count)
        if window.by.digests and window.by.count() >= APART_SHARE * (seen_count - APART_FROM):
            count *= APART_FACTOR
        found = self._compared(count, rows, activity)
        if found.score >= self.declaration.threshold:
            window = Window(window.index, window.seen, True, window.added, window.by, window.batch, window.whose)
        kept = (window, *rows[1:])
        if found.score < self.faint:
            return Scored(kept, noted=seen_count)
        score = found.score if is_to_blame else min(found.score, self.faint)
        return Scored(kept, score, {"count": count, "usual": found.usual}, seen_count)

    def _compared(self, count: float, rows: Rows, activity: Activity) -> Compared:
        """Return a count beside the peaks, or else beside nothing on days of work without the tool."""
        del activity
        it = self.declaration
        found = compared(count, it, rows[1:3])
        if found.usual is not NOT_KNOWN:
            return found
        worked: Worked | None = rows[3]
        if worked is not None and worked.days >= QUIET_DAYS:
            limit = QUIET_FACTOR * it.threshold
            if rows[1] is not None and rows[1].past.weight >= 1.0:
                limit = max(limit, usual_limit(rows[1], it.deviations))
            return Compared(count * it.threshold / limit, 0.0)
        return found if it.window_ms <= COLD_WINDOW_MS else Compared(0.0, NOT_KNOWN)

    def learn(self, rows: Rows, activity: Activity, noted: Any) -> Rows:
        """Return the rows with the peaks of the day."""
        window, own, peer, worked = rows
        day = activity.time_ms // DAY_MS
        if worked is None or day > worked.day:
            worked = Worked(1 if worked is None else worked.days + 1, day)
        if window.spoiled:
            return (window, own, peer, worked)
        own, peer = both_learned(own, peer, noted, activity.time_ms, self.declaration)
        return (window, own, peer, worked)


class DelegVelocity(FanOut):
    """A delegation storm: many sessions under one root in a short time, or a deep chain.

    How many of them are usual depends on who delegates: one agent plans the work of others, and most have never given
    work to any. So a storm is compared with the peaks of the agent that has given the work, if one has. Where several
    agents have handed it on, it is compared with the peaks of the agent that it has reached, and of its peers. Nobody
    else moves the peaks of the agent that has given the work: it doesn't learn from a window to which its workers have
    added sessions of their own.
    """

    row_types: tuple[type, ...] = (Window, Peak, Peak, Peak)
    needs = ROOT | DELEGATED

    def make_places(self) -> tuple[Place, ...]:
        """Return the places of the root's window, and of the peaks of who delegates, of the agent and of its peers."""
        gives = Place((DELEGATOR,), f"{self.declaration.name}~given", is_required=False)
        return (self.own(), gives, self.peers("agent.id", part="own"), self.peers())

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return the children of the root in the window, and what the depth of the chain adds."""
        window = self._counted(rows[0], activity, activity.session)
        beyond = activity.depth - DEPTH_FREE
        found = self._beside_peaks(window, rows, activity, DEPTH_WEIGHT * beyond if beyond > 0 else 0)
        if not found.words:
            return found
        words = {**found.words, "by": activity.delegator or GIVERS_NOT_KNOWN}
        return Scored(found.rows, found.score, words, found.noted)

    def _counted(self, window: Window | None, activity: Activity, term: str) -> Window:
        """Return the window after a session; `batch` is what is said at `Window`, and not the base's."""
        after = super()._counted(window, activity, term)
        was_handed_on = window is not None and window.index == after.index and window.batch > 0
        is_handed_on = was_handed_on or not activity.delegator
        return Window(after.index, after.seen, after.spoiled, after.added, after.by, int(is_handed_on))

    def _compared(self, count: float, rows: Rows, activity: Activity) -> Compared:
        """Return a count beside the peaks.

        An agent may give `GIVEN_FACTOR` times as much as on usual days, up to what is allowed where nobody knows who
        has given it: on some days there is simply more to do. As much is allowed where no days of it are known: each
        grant is on one of several partitions, so an agent that plans work daily is new to each of them.
        """
        it, (_, given, own, peers) = self.declaration, rows
        if not activity.delegator:
            return compared(count, it, (own, peers), STORM_COLD_FACTOR)
        found = compared(count, it, (given,), 1.0)
        if isinstance(found.usual, float):
            factor = min(STORM_COLD_FACTOR, GIVEN_FACTOR * found.usual / it.threshold)
            return Compared(min(found.score, count / max(factor, 1.0)), found.usual)
        return compared(count, it, (), STORM_COLD_FACTOR)

    def learn(self, rows: Rows, activity: Activity, noted: Any) -> Rows:
        """Return the rows with the peaks of the day."""
        window, given, own, peers = rows
        if window.spoiled:
            return rows
        if activity.delegator and not window.batch and (given is not None or noted >= GIVEN_FROM):
            given = learned(given, noted, activity.time_ms, self.declaration)
        return (window, given, *both_learned(own, peers, noted, activity.time_ms, self.declaration))


class Owners(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Whose data a session is about: the first owner, and the others."""

    first: int = 0
    others: Sketch = Sketch()
    spoiled: bool = False


class CrossOwner(Keyed):
    """A session that goes from one person's data to those of others."""

    row_types = (Owners, Peak)
    needs = OWNER

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return how many foreign owners there were, beside what is usual."""
        owners, owner = rows[0] or Owners(), digest_of(activity.owner or "")
        if not owners.first:
            owners = Owners(owner)
        elif owner != owners.first:
            owners = Owners(owners.first, owners.others.with_digest(owner), owners.spoiled)
        count = owners.others.count()
        if count < self.faint:
            return Scored((owners, rows[1]), noted=count)
        found = compared(count, self.declaration, rows[1:])
        if found.score >= self.declaration.threshold:
            owners = Owners(owners.first, owners.others, True)
        kept = (owners, rows[1])
        if found.score < self.faint:
            return Scored(kept, noted=count)
        return Scored(kept, found.score, {"count": count, "usual": found.usual}, count)

    def learn(self, rows: Rows, activity: Activity, noted: Any) -> Rows:
        """Return the rows with the peak of the day."""
        owners, peer = rows
        if owners.spoiled:
            return rows
        return (owners, learned(peer, noted, activity.time_ms, self.declaration))


class Places(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The last instances that a session has run in, each with the time of its last event; and returns so far."""

    visited: tuple[tuple[int, int], ...] = ()
    returns: int = 0


def visited(places: Places, instance: str, now_ms: int, window_ms: int) -> tuple[Places, bool]:
    """Return the places of a session after an event in an instance, and whether the session has come back to it."""
    digest = digest_of(instance)
    if len(places.visited) == 1 and places.visited[0][0] == digest:
        # It has not moved, as hardly any session does.
        at_ms = places.visited[0][1]
        return places if now_ms <= at_ms else Places(((digest, now_ms),), places.returns), False
    recent = tuple(place for place in places.visited if now_ms - place[1] <= window_ms)
    is_return = bool(recent) and recent[-1][0] != digest and any(place[0] == digest for place in recent)
    kept = tuple(place for place in recent if place[0] != digest)[-PLACES_MAX + 1 :]
    at_ms = max([now_ms, *(place[1] for place in recent)])
    return Places((*kept, (digest, at_ms)), places.returns + is_return), is_return


class TwoPlaces(Keyed):
    """A session that comes back to an instance after another one has used it: A, B, A within the window."""

    row_types = (Places,)
    needs = INSTANCE

    def make_places(self) -> tuple[Place, ...]:
        """Return where the places of the session are kept."""
        return (self.own(),)

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return how often the session came back."""
        places, is_return = visited(
            rows[0] or Places(), activity.instance, activity.time_ms, self.declaration.window_ms
        )
        # Nothing is learned: two places are never usual.
        return Scored((places,), float(places.returns), {"count": places.returns}) if is_return else Scored((places,))
