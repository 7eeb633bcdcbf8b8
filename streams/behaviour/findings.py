"""What is found, and what of it is reported: not what a false positive is alike, and of an incident once."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from streams.behaviour import growth
from streams.behaviour.activity import DAY_MS, HOUR_MS, Activity, row_key
from streams.behaviour.correlations import Correlation, Matches
from streams.behaviour.declarations import Declaration
from streams.behaviour.detectors.registry import RISK
from streams.behaviour.feedback import Bar, is_below, noted
from streams.behaviour.pages import OpenRows

LATCH_MS = DAY_MS
"""How long an incident is quiet after its alert."""
SESSION_LATCH_MS = DAY_MS
BROAD_LATCH_MS = 6 * HOUR_MS
"""How long after any alert about an agent those that only say "more than usual" are quiet: the incident explains it."""
BROAD = frozenset({"ceiling", "rate_nb", RISK, growth.KIND})
WINDOWED = frozenset({"egress", "fan_out", "rate_nb"})
"""Kinds whose detectors look at the same with windows of different widths: what they find is one incident."""
SEVERITIES = ("low", "medium", "high", "critical")
WORST_SEVERITY = len(SEVERITIES) - 1


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What people should look at.

    Attributes:
        name: the detector or correlation.
        kind: the kind of the detector, or `correlation`.
        explain: why, in a sentence.
        score: the score, and `share` its share of the threshold.
        events: ids of audit records that led to it, the newest last.
        alike: the key of the bar that false positives raise for what is alike; empty if there is none.
    """

    name: str
    kind: str
    title: str
    explain: str
    severity: str
    tags: tuple[str, ...]
    score: float
    share: float
    activity: Activity
    events: tuple[str, ...]
    alike: bytes = b""


class Latch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Until when an incident is quiet, and how bad the worst was that was reported of it (a number of `SEVERITIES`)."""

    until_ms: int = 0
    severity: int = WORST_SEVERITY


def finding_of(
    it: Declaration, score: float, explain: str, activity: Activity, events: tuple[str, ...], alike: bytes = b""
) -> Finding:
    """Return what a declared detector has found.

    Args:
        it: the declaration.
        score: how unusual the activity is, and `explain` why.
        activity: the activity.
        events: the audit records that led to it.
        alike: the key of the bar for what is alike.
    """
    return Finding(
        name=it.name,
        kind=it.kind,
        title=it.title or it.name,
        explain=explain,
        severity=it.severity,
        tags=it.tags,
        score=score,
        share=score / it.threshold,
        activity=activity,
        events=events,
        alike=alike,
    )


def too_much(activity: Activity, events: tuple[str, ...]) -> Finding:
    """Return that an agent brings more new names in a day than are remembered."""
    terms, sessions = growth.TERMS_PER_DAY_MAX, growth.SESSIONS_PER_DAY_MAX
    return Finding(
        name=growth.NAME,
        kind=growth.KIND,
        title="More new names than are remembered",
        explain=(
            f"{activity.agent} brings more than {terms:,} new tools, destinations, objects and versions, "
            f"or {sessions:,} sessions, in a day; further ones are not remembered today"
        ),
        severity="medium",
        tags=("ASI08",),
        score=1.0,
        share=1.0,
        activity=activity,
        events=events,
    )


def correlated(
    it: Correlation, row: Matches, why: Sequence[str], activity: Activity, events: tuple[str, ...], alike: bytes
) -> Finding:
    """Return what a correlation has found.

    Args:
        it: the correlation.
        row: the matches of its group.
        why: what detectors say about the activity.
        activity: the activity.
        events: the audit records that led to it.
        alike: the key of the bar for what is alike.
    """
    count = len({match.event for match in row.found})
    calls = "this call" if count == 1 else f"{count} calls in {_span(it.timespan_ms)}"
    return Finding(
        name=it.name,
        kind="correlation",
        title=it.title,
        explain="; ".join((f"{it.title} ({calls})", *why)),
        severity=it.severity,
        tags=it.tags,
        score=float(count),
        share=1.0,
        activity=activity,
        events=events,
        alike=alike,
    )


def above_bars(rows: OpenRows, activity: Activity, found: list[Finding]) -> tuple[list[Finding], int]:
    """Return the findings that no false positive is alike, and how many others there were."""
    kept = []
    for each in found:
        bar = rows.load(each.alike, Bar) if each.alike else None
        if is_below(bar, each.share, activity.time_ms):
            continue
        kept.append(each)
        after = noted(bar, each.share, activity.time_ms) if each.alike else None
        if after is not None:
            rows.store(each.alike, after)
    return kept, len(found) - len(kept)


def latched(
    rows: OpenRows, activity: Activity, found: Sequence[Finding], latch: str, whose: str
) -> tuple[tuple[Finding, ...], int]:
    """Return the findings whose incident is not known yet, at most one; and how many others there were.

    The worst finding speaks for the activity, and of those the strongest. Incidents are distinguished by `whose` they
    are (an agent's, or those of the root of a delegation) and what they are about, and by session. Both are quiet about
    what is no worse than what was reported of them.
    """
    if not found:
        return (), 0
    best = max(found, key=lambda each: (each.kind not in BROAD, _rank(each), each.share, each.name))
    now_ms, rank = activity.time_ms, _rank(best)
    whom = (activity.tenant, "agent", whose)
    latches = latches_of(latch, (activity.tenant, activity.agent, activity.session), whose, best.name, best.kind)
    broad = (row_key(latch, whom), BROAD_LATCH_MS)
    asked = (*latches, broad) if best.kind in BROAD else tuple(latches)
    known = {key: rows.load(key, Latch) or Latch() for key, _ in (*latches, broad)}
    quiet = [key for key, _ in asked if now_ms < known[key].until_ms]
    if any(key == broad[0] or rank <= known[key].severity for key in quiet):
        return (), len(found)
    for key, span_ms in (*latches, broad):
        before = known[key]
        worst = max(rank, before.severity) if now_ms < before.until_ms else rank
        rows.store(key, Latch(max(before.until_ms, now_ms + span_ms), worst))
    return (best,), len(found) - 1


def latches_of(latch: str, who: tuple[str, str, str], whose: str, name: str, kind: str) -> list[tuple[bytes, int]]:
    """Return the keys of the latches of a finding, each with how long it is quiet, in ms.

    That an agent brings more new names than are remembered is an incident of the agent alone. Sessions and roots are
    among these names: with latches of their own, each new one would be an alert, and rows that nobody counts.

    Args:
        latch: the name of the rows with latches.
        who: the tenant, the agent and the session that the finding is about.
        whose: what tells its incident apart: the agent, or the root of the delegation.
        name: the detector or correlation.
        kind: its kind.
    """
    tenant, agent, session = who
    if kind == growth.KIND:
        return [(row_key(latch, (tenant, growth.KIND, agent)), LATCH_MS)]
    return [
        (row_key(latch, (tenant, "session", session)), SESSION_LATCH_MS),
        (row_key(latch, (tenant, "agent", whose, incident_of(name, kind))), LATCH_MS),
    ]


def incident_of(name: str, kind: str) -> str:
    """Return what tells the incident of a detector or correlation apart from others about the same agent."""
    return kind if kind in WINDOWED else name


def _span(span_ms: int) -> str:
    """Return a span of time for people, in the largest unit of which it is at least two."""
    for unit_ms, unit in ((DAY_MS, "days"), (HOUR_MS, "hours"), (60_000, "minutes")):
        if span_ms >= 2 * unit_ms:
            return f"{span_ms / unit_ms:.3g} {unit}"
    return f"{span_ms // 1_000} seconds"


def _rank(finding: Finding) -> int:
    return SEVERITIES.index(finding.severity)
