"""Ask for a second sign where an agent only reads much, or writes much of one kind.

**Idea.** To read many things, with a tool that the agent uses every day, is how audits, reviews and refactorings look.
An analyst asks what else there was: something untrusted in the session, a place, a tool or an hour that is new, data
of somebody else, a new version. Without any of it, breadth needs twice as much.

Batches of writes are work that somebody has asked for as well: replies to a mailing, a move of files, a run of bonuses.
They bring nothing out, and what they pay or send is judged for itself: amounts, places, bytes. So what writes to many
things, or about many people, needs a second sign unless it is very much. So does what is read in turn with writes or
deletions of the same server: whoever changes or moves things one by one works on them, and whoever sweeps does not.
Other secrets that are read, deletions, and what gives access need no second sign. What is read for the first time, one
thing after the other (`novel_cusum`), does: an audit reads what nobody reads otherwise, for a stranger. How many things
are read is counted for itself, and so is what is then sent (`gathered`).

An hour that is busy with one tool that only reads is somebody who waits, or turns pages. It needs a second sign, too,
or to be twice as busy. So does one that is busy with deletions, which are counted for themselves.

Whoever looks at each thing before he deletes it does so on request. How many things are deleted then needs a second
sign as well, or twice as many. And work at an hour at which nobody works is a deadline, an incident or a colleague's
shift as often as an attack: that much is read for that hour, or data of several people, is what they lack.

One letter about what the session has looked at before is an answer, and now and then an answer is long. It needs a
second sign as well, or twice as many deviations. To have read much is one. To have read untrusted data does not
count: what is answered is by strangers. Short letters are a mailing, which has no session that it answers to. They need
a second sign up to one and a half times as many deviations, but not if the session has read untrusted data. That
the hour is busy is one: a flood is not a mailing.

A session that from its first call on has used one tool or two, for a dozen calls or more, and has read nothing by
others, does what somebody has given it: nothing that it has read can have turned it to that. It needs a second sign up
to four times as much of what is read, up to three times as busy an hour, and up to eight times of both where it reads
and writes in turn, and nothing goes anywhere. What it then sends is judged with all that was read before (`gathered`).
Secrets, deletions and the data of several people are judged as in every session.

**Rejected.** To count what has a common parent (a folder, a repository) as one thing: whoever copies one folder of
contracts would have read one thing.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import NamedTuple

from streams.behaviour.activity import HOUR_MS, Activity, digest_of
from streams.behaviour.acts import changes, destroys, is_of_secrets, may_hold_secrets, only_reads, only_writes
from streams.behaviour.declarations import Declaration
from streams.behaviour.detectors.risk import RiskRow
from streams.behaviour.signals import Signal

BREADTH = "fan_out"
OF_PEOPLE = "cross_owner"
SWEEP = "novel_cusum"
BUSY = "rate_nb"
HOURS = "off_hours"
LOOP = "loop"
STRETCH = "loop_run"
VOLUME = "egress"
VOLUMES = frozenset({VOLUME, "new_contact"})
"""Kinds that, with a measure, are about how much leaves."""
ALONE_FACTOR = 2.0
WRITES_FACTOR = 8.0
SWEEPS_FACTOR = 5.0
DELETIONS_FACTOR = 2.0
BATCH_FACTOR = 4.0
BUSY_FACTOR = 3.0
LETTERS_FACTOR = 1.5
HOURS_FACTOR = 1.25
"""How many times its threshold something has to be where it is the only sign: what only reads, what writes, new things
that are read one after the other, what is deleted after a look at it, what a session reads that does nothing else, the
hour that it makes busy, what short letters bring away, and an hour at which nobody works."""
LETTER_BYTES = 1_000.0
"""How large a short letter is at most. It is usual of whoever sends anything: a day on which an account was paid, and
nobody was written to, says nothing about letters."""
BATCH_SHARE = 0.75
"""What a batch adds to risk at most, as a share of the threshold: how many things and how many people it is about are
the same batch. Its second sign is at least as strong: half, as for others, is an hour at which one day in seven has
work."""

SAME_SHARE = 0.6
"""The same of a session that does nothing else: how many things it is about, how long it is and that the hour is busy
are the same batch."""


class Needed(NamedTuple):
    """The second sign that something needs.

    Attributes:
        kinds: the kinds of detectors that can give it.
        least: from which share of its threshold on something is one.
        factor: how much less it counts for correlations than other work; more than 1 of a batch of writes.
        most: what it adds to risk at most, as a share of its threshold.
    """

    kinds: frozenset[str]
    least: float = 0.5
    factor: float = 1.0
    most: float = inf


SIGNS = Needed(frozenset({"new_terms", "new_contact", OF_PEOPLE, "epoch_drift", "off_hours", "two_places"}))
"""One that is about something else than how much there is."""
SIGNS_OF_PAGES = Needed(SIGNS.kinds - {"new_terms"})
"""The same of one tool that reads on and on. That nobody has called it before is why the whole list is read."""
SIGNS_OF_SWEEPS = Needed(SIGNS.kinds - {"new_terms", "new_contact"} | {"odd_contact"})
"""The same of new things that are read. Those who ask for them are often new as well, as auditors are."""
SIGNS_OF_BATCHES = Needed(SIGNS.kinds, 0.35, most=SAME_SHARE)
"""The same of a session that has done nothing else from its first call on, and has read nothing by others. What is then
sent is another thing. Whoever has ordered it does so at his usual hours: those between two days of work are a sign."""
SIGNS_OF_BUSY_BATCHES = Needed(SIGNS_OF_PAGES.kinds, most=SAME_SHARE)
"""The same of an hour that such a session makes busy."""
SIGNS_OF_WRITES = Needed(frozenset({"off_hours", "two_places"}), BATCH_SHARE, WRITES_FACTOR, BATCH_SHARE)
"""The same of what writes: among many customers some are new, they are many people, a tool for what is done once in a
quarter is new each time, and so is it to the version."""
SIGNS_OF_DELETIONS = Needed(SIGNS_OF_WRITES.kinds | {"odd_contact"}, BATCH_SHARE, DELETIONS_FACTOR, BATCH_SHARE)
SIGNS_OF_ANSWERS = Needed(SIGNS.kinds - {"new_contact"} | {BREADTH})
"""The same of a long answer. That it brings much to whoever has asked is what needs a sign."""
SIGNS_OF_LETTERS = Needed(
    frozenset({"off_hours", "two_places", OF_PEOPLE, "epoch_drift", BUSY}), BATCH_SHARE, LETTERS_FACTOR, BATCH_SHARE
)
"""The same of short letters. To how many they go, and to whom for the first time, is the mailing."""
SIGNS_OF_HOURS = Needed(frozenset({BREADTH, OF_PEOPLE, SWEEP, "odd_contact", "epoch_drift", "two_places"}), least=0.35)
"""The same of an hour, which is unusual itself: what a stranger looks for. That the hour is busy does not count."""


def signs_needed(it: Declaration, share: float, activity: Activity) -> Needed | None:
    """Return which second sign there has to be; None if a finding says more than that there is much.

    Args:
        it: the detector.
        share: how strong it is, as a share of the threshold.
        activity: what it is about.
    """
    kind = it.kind
    if kind in VOLUMES:
        return None if it.value is None else _signs_of_volume(kind, share, activity)
    if kind == HOURS:
        return SIGNS_OF_HOURS if share < HOURS_FACTOR else None
    if not activity.is_trusted:
        return None
    if kind == SWEEP:
        is_weak = share < SWEEPS_FACTOR and only_reads(activity.tool)
        return SIGNS_OF_SWEEPS if is_weak and not may_hold_secrets(activity.tool, activity.object or "") else None
    if kind == BUSY:
        return _signs_of_busy(it, share, activity)
    if kind in (STRETCH, LOOP):
        return _signs_of_loops(it, share, activity)
    return _signs_of_breadth(kind, share, activity) if kind in (BREADTH, OF_PEOPLE) else None


def _signs_of_breadth(kind: str, share: float, activity: Activity) -> Needed | None:
    """Return which second sign there has to be of many things, or of many people."""
    if share < WRITES_FACTOR and (only_writes(activity.tool) or works_one_by_one(kind, activity)):
        return SIGNS_OF_WRITES
    if kind == OF_PEOPLE:
        return None
    if share < DELETIONS_FACTOR and _looks_before_it_deletes(activity):
        return SIGNS_OF_DELETIONS
    is_reading = only_reads(activity.tool) and not is_of_secrets(activity.tool)
    if is_reading and activity.is_batch and activity.destination is None:
        return SIGNS_OF_BATCHES if share < (WRITES_FACTOR if _fills(activity) else BATCH_FACTOR) else None
    return SIGNS if is_reading and share < ALONE_FACTOR else None


def _excuses_others(activity: Activity, *, reads_only: bool = False) -> bool:
    """Return whether a call of a batch is one that other sessions of the agent need not answer for.

    Args:
        activity: the call.
        reads_only: whether only reads are. What is written to has to be counted for itself anyway.
    """
    is_counted = only_reads(activity.tool) or (
        not reads_only and only_writes(activity.tool) and activity.object is not None
    )
    return is_counted and not is_of_secrets(activity.tool)


def with_batch(
    batch: int, whose: int, activity: Activity, earlier: int, *, reads_only: bool = False
) -> tuple[int, int]:
    """Return how much of a window is of its batch, and which session that is, after a call of a batch.

    It is the first one of the window, because more than one would hide whoever works beside them.

    Args:
        batch: how much was of it so far.
        whose: the digest of its session; 0 if there is none yet.
        activity: the call.
        earlier: how many of the calls that the batch has made before count as well.
        reads_only: whether only what it reads counts. What is written to has to be counted for itself anyway.
    """
    if not _excuses_others(activity, reads_only=reads_only):
        return batch, whose
    session = digest_of(activity.session)
    if not whose:
        return 1 + earlier, session
    return batch + (whose == session), whose


def excused_of(batch: int, whose: int, activity: Activity) -> int:
    """Return how much of a window a session need not answer for, because it is of the batch of another session."""
    return 0 if activity.is_batch or digest_of(activity.session) == whose else batch


def _signs_of_busy(it: Declaration, share: float, activity: Activity) -> Needed | None:
    """Return which second sign there has to be of a busy hour. What a batch writes to has to be counted for itself."""
    if activity.is_batch and it.window_ms >= HOUR_MS and _excuses_others(activity):
        return SIGNS_OF_BUSY_BATCHES if share < (WRITES_FACTOR if _fills(activity) else BUSY_FACTOR) else None
    if _goes_on_reading(activity):
        return SIGNS_OF_PAGES if share < ALONE_FACTOR else None
    is_reading = works_one_by_one(BUSY, activity) or _tidies_up(activity)
    return SIGNS if is_reading and share < ALONE_FACTOR else None


def _signs_of_loops(it: Declaration, share: float, activity: Activity) -> Needed | None:
    """Return which second sign there has to be of calls that come again.

    A long stretch needs none, but it is the same batch for risk. What is written to again and again may be a table.
    """
    if it.kind == STRETCH:
        return SIGNS_OF_BATCHES if activity.is_batch and share < 1.0 else None
    is_filled = it.term is not None and _fills(activity)
    return SIGNS_OF_BATCHES if is_filled and share < WRITES_FACTOR else None


def _signs_of_volume(kind: str, share: float, activity: Activity) -> Needed | None:
    """Return which second sign there has to be of much that leaves; None if there is none to be asked for."""
    if activity.is_answer:
        return SIGNS_OF_ANSWERS if share < ALONE_FACTOR else None
    is_letter = kind == VOLUME and activity.size_bytes <= LETTER_BYTES and only_writes(activity.tool)
    return SIGNS_OF_LETTERS if is_letter and activity.is_trusted and share < LETTERS_FACTOR else None


def _goes_on_reading(activity: Activity) -> bool:
    """Return whether the last three calls of the session read with one tool, as those of somebody who waits do."""
    tool = activity.tool
    return activity.previous_tool == activity.before_tool == tool and only_reads(tool)


def _fills(activity: Activity) -> bool:
    """Return whether a session that does nothing else reads and writes in turn, as who copies or loads data does."""
    tool, before = activity.tool, activity.previous_tool
    if not activity.is_batch or activity.destination is not None or activity.before_tool != tool:
        return False
    return (only_reads(tool) and only_writes(before)) or (only_writes(tool) and only_reads(before))


def _tidies_up(activity: Activity) -> bool:
    """Return whether the session deletes where its last calls were: how many things, is counted for itself."""
    servers = {tool.partition(".")[0] for tool in (activity.tool, activity.previous_tool, activity.before_tool)}
    return destroys(activity.tool) and len(servers) == 1


def works_one_by_one(kind: str, activity: Activity) -> bool:
    """Return whether the last three calls of the session read and acted in turn, with two tools of one server.

    Where it deletes, that is so of what is read before each deletion, and of the people whom both are about. How many
    things are deleted is another question, and where the things are secrets, all of it is judged as ever.
    """
    tool, before = activity.tool, activity.previous_tool
    if not _takes_turns(activity):
        return False
    reading, acting = (tool, before) if only_reads(tool) else (before, tool)
    if not only_reads(reading):
        return False
    deletes = destroys(acting) and not is_of_secrets(reading)
    return changes(acting) or (deletes and (tool == reading or kind == OF_PEOPLE))


def _looks_before_it_deletes(activity: Activity) -> bool:
    """Return whether the session deletes, and has read something before this deletion and after the one before it."""
    tool = activity.tool
    is_in_turn = destroys(tool) and _takes_turns(activity) and only_reads(activity.previous_tool)
    return is_in_turn and not is_of_secrets(tool)


def _takes_turns(activity: Activity) -> bool:
    """Return whether the last three calls of the session took turns between two tools of one server."""
    tool, before = activity.tool, activity.previous_tool
    return activity.before_tool == tool and before.partition(".")[0] == tool.partition(".")[0]


def has_sign(
    signals: Iterable[Signal],
    rows: Iterable[tuple[RiskRow | None, int]],
    now_ms: int,
    signs: frozenset[str],
    least: float,
) -> bool:
    """Return whether there is a second sign.

    Args:
        signals: what detectors say about the activity.
        rows: the evidence about the agent and about the session, each with its half-life.
        now_ms: event time.
        signs: the names of the detectors that give a second sign.
        least: from which share of its threshold on something is one.
    """
    if any(each.share >= least and each.name in signs for each in signals):
        return True
    return any(
        each.name in signs and each.left(now_ms, half_life_ms) >= least
        for row, half_life_ms in rows
        if row is not None
        for each in row.evidence
    )
