"""What a closed alert changes: its incident may alert again, and a false positive raises the bar for what is alike.

**Idea.** The watch remembers of each alert what it was about, and how strong its incident became afterwards. Once a
person has closed it as a false positive, findings that are alike are no findings any more unless they are stronger by
`MARGIN`. Alike is what the same detector finds about the same agent, and about the same tool, destination or version
where the detector tells these apart. The work is then learned from like any other, so the baseline takes over until the
bar expires.

**Bounds.** The bar is at most `LOWERED_SHARE_MAX` times the threshold and stands for `LOWERED_MS`. What a detector
reports still counts for risk, other detectors don't know of the bar, and risk and ceilings have none.

**Rejected.** A higher threshold in the declaration: it would hold for all agents and for good. Learning from what was
held back: a baseline would take it for usual, and an attack that ran at the same time with it (ADR 0077).
"""

from __future__ import annotations

import msgspec

from streams.behaviour.activity import DAY_MS, FIELDS, Activity, row_key
from streams.behaviour.declarations import Declaration
from streams.behaviour.detectors.registry import RISK

LOWERED_MS = 30 * DAY_MS
"""How long the bar stands after the last false positive."""
INCIDENT_MS = DAY_MS
"""How long findings that are alike are one incident, of which the strongest counts: as long as it is quiet."""
LOWERED_SHARE_MAX = 4.0
"""The highest bar, as a share of the threshold: what is far above it alerts whatever was called a false positive."""
MARGIN = 1.25
"""How much stronger than the false positive something has to be."""
NEVER_LOWERED = frozenset({RISK, "ceiling"})
"""Kinds of detectors without a bar: risk is about everything at once, and a ceiling is somebody's decision."""

_WHO = frozenset({"agent.id", "agent.type", "session.id", "delegation.root", "agent.instance", "call.digest"})
"""Fields of keys by which nothing is alike: the agent is named anyway, and the others are new each time."""
_EPOCH_KIND = "epoch_drift"
CORRELATION_FIELDS = ("tool.name", "dest.domain")
"""What has to be equal for two correlations of an agent to be alike: they have no strength to tell them apart by."""


replace = msgspec.structs.replace


class Bar(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The bar for findings that are alike, and how strong the last of them were.

    Attributes:
        share: up to which share of the threshold nothing is found, from `from_ms` until `until_ms`.
        peak: the strongest finding of the incident that began at `peak_from_ms`.
    """

    share: float = 0.0
    from_ms: int = 0
    until_ms: int = 0
    peak: float = 0.0
    peak_from_ms: int = 0


class Reported(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an alert was about.

    Attributes:
        time_ms: when it was found.
        alike: the key of the bar for what is alike; empty if there can be none.
        share: how strong it was, as a share of the threshold.
        whose: what tells its incident apart: the agent, or the root of the delegation.
        said: the ids of the statuses that have closed it.
        about: the key of the latch of what it was about.
        recurs: the key of the row that counts alerts of its kind about the agent and the tool.
        place: the key of the latch of the new place that it was about.
    """

    time_ms: int
    agent: str
    session: str
    name: str
    alike: bytes
    share: float
    whose: str
    said: tuple[str, ...] = ()
    about: bytes = b""
    recurs: bytes = b""
    place: bytes = b""


def alike_key(prefix: str, it: Declaration, activity: Activity, *, tells_terms_apart: bool) -> bytes:
    """Return the key of the bar for what a detector finds; empty if it has none.

    Args:
        prefix: the name of the rows with bars.
        it: the declaration of the detector.
        activity: what it has found something about.
        tells_terms_apart: whether it has a row of each term.
    """
    if it.kind in NEVER_LOWERED:
        return b""
    fields = [field for field in dict.fromkeys((*it.key, *it.peer)) if field not in _WHO]
    if tells_terms_apart and it.term:
        fields.append(it.term)
    if it.kind == _EPOCH_KIND:
        fields.append("agent.epoch")
    return _key(prefix, it.name, activity, fields)


def alike_correlation_key(prefix: str, name: str, activity: Activity) -> bytes:
    """Return the key of the bar for what a correlation finds."""
    return _key(prefix, name, activity, CORRELATION_FIELDS)


def is_below(bar: Bar | None, share: float, time_ms: int) -> bool:
    """Return whether something is at most as strong as what was called a false positive."""
    return bar is not None and bar.from_ms <= time_ms < bar.until_ms and share <= bar.share


def noted(bar: Bar | None, share: float, time_ms: int) -> Bar | None:
    """Return the bar after a finding above it; None if it stays as it is.

    Args:
        bar: the bar before it.
        share: how strong the finding is.
        time_ms: when it was found.
    """
    bar = bar or Bar()
    if not 0 <= time_ms - bar.peak_from_ms < INCIDENT_MS:
        return replace(bar, peak=share, peak_from_ms=time_ms)
    return replace(bar, peak=share) if share > bar.peak else None


def raised(bar: Bar | None, reported: Reported, time_ms: int) -> Bar:
    """Return the bar after a false positive.

    Args:
        bar: the bar before it.
        reported: the alert.
        time_ms: when somebody has called it one.
    """
    bar = bar or Bar()
    is_its_incident = abs(bar.peak_from_ms - reported.time_ms) < INCIDENT_MS
    share = min(MARGIN * max(reported.share, bar.peak if is_its_incident else 0.0), LOWERED_SHARE_MAX)
    if not bar.from_ms <= time_ms < bar.until_ms:
        return replace(bar, share=share, from_ms=time_ms, until_ms=time_ms + LOWERED_MS)
    return replace(bar, share=max(bar.share, share), until_ms=max(bar.until_ms, time_ms + LOWERED_MS))


def _key(prefix: str, name: str, activity: Activity, fields: list[str] | tuple[str, ...]) -> bytes:
    return row_key(
        prefix, (activity.tenant, activity.agent, name, *(FIELDS[field](activity) or "" for field in fields))
    )
