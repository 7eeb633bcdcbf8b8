"""Ask for a second sign where an agent only reads much.

**Idea.** To read many things, with a tool that the agent uses every day, is how audits, reviews and refactorings look.
An analyst asks what else there was: something untrusted in the session, a place, a tool or an hour that is new, data
of somebody else, a new version. Without any of it, breadth needs twice as much. What is written or deleted, and secrets
that are read, need no second sign. Nor does what is read for the first time, one thing after the other
(`novel_cusum`): nobody knows the place.

**Rejected.** To count what has a common parent (a folder, a repository) as one thing: whoever copies one folder of
contracts would have read one thing.
"""

from __future__ import annotations

from collections.abc import Iterable

from streams.behaviour.activity import Activity
from streams.behaviour.acts import is_of_secrets, only_reads
from streams.behaviour.detectors.risk import RiskRow
from streams.behaviour.signals import Signal

BREADTH = "fan_out"
ALONE_FACTOR = 2.0
"""How many times the threshold breadth has to be where it is the only sign."""
SIGNS = frozenset({"new_terms", "new_contact", "cross_owner", "epoch_drift", "off_hours", "two_places"})
"""Kinds of detectors that are about something else than how much there is."""
SIGN_SHARE = 0.5
"""From which share of its threshold on something is a second sign."""


def needs_sign(kind: str, share: float, activity: Activity) -> bool:
    """Return whether a finding says no more than that the agent reads many things.

    Args:
        kind: the kind of the detector.
        share: how strong it is, as a share of the threshold.
        activity: what it is about.
    """
    if kind != BREADTH or share >= ALONE_FACTOR or not activity.is_trusted:
        return False
    return only_reads(activity.tool) and not is_of_secrets(activity.tool)


def has_sign(
    signals: Iterable[Signal], rows: Iterable[tuple[RiskRow | None, int]], now_ms: int, signs: frozenset[str]
) -> bool:
    """Return whether there is a second sign.

    Args:
        signals: what detectors say about the activity.
        rows: the evidence about the agent and about the session, each with its half-life.
        now_ms: event time.
        signs: the names of the detectors whose kind is one of `SIGNS`.
    """
    if any(each.share >= SIGN_SHARE and each.name in signs for each in signals):
        return True
    return any(
        each.name in signs and each.left(now_ms, half_life_ms) >= SIGN_SHARE
        for row, half_life_ms in rows
        if row is not None
        for each in row.evidence
    )
