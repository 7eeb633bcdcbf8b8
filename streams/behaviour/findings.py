"""What is found, and which of it is reported: nothing that is like a false positive, and each incident once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import NamedTuple

import msgspec

from streams.behaviour import growth, recurrence
from streams.behaviour.activity import DAY_MS, HOUR_MS, Activity, row_key
from streams.behaviour.correlations import Correlation, Matches
from streams.behaviour.declarations import Declaration
from streams.behaviour.detectors.registry import RISK
from streams.behaviour.feedback import Bar, is_below, noted
from streams.behaviour.pages import OpenRows

LATCH_MS = 30 * HOUR_MS
"""How long an incident is quiet after what was last found of it: the same on the next day, about as late, is known."""
ONGOING_MS_MAX = 7 * DAY_MS
"""How long an incident that goes on is quiet after its alert: an open alert is repeated once a week, not every day."""
RHYTHM = "off_hours"
RHYTHM_MS_MAX = 30 * DAY_MS
"""The same of work at unusual hours: a job that runs every night is as new in the second week as in the first, and the
desk escalates an alert that nobody looks at."""
TERM_MS = 30 * DAY_MS
"""How long the same new term of an agent is quiet: what was rolled out is used again and again."""
EXPLAINED_MS = 6 * HOUR_MS
"""For how long a report explains whatever else is found with its incident, and however strong it becomes."""
NEWS_FACTOR = 2.0
"""How many times as strong as what was reported of it an incident is news, once that no longer explains it."""
SESSION_LATCH_MS = DAY_MS
BROAD_LATCH_MS = 6 * HOUR_MS
"""How long after any alert about an agent those that only say "more than usual" are quiet: the incident explains it."""
BROAD = frozenset({"ceiling", "rate_nb", "seq_surprise", RISK, growth.KIND})
ABOUT_TERMS = frozenset({"new_terms", "new_contact", "odd_contact", "returns"})
"""Kinds whose findings are about one term, which is as new to the agent when it comes again."""
OF_NO_TOOL = BROAD | {"two_places", "deleg_velocity"}
"""Kinds whose findings are not about what a tool was used for."""
REASONS = frozenset({"epoch_drift"})
"""Kinds whose findings explain what else is found of a tool, and are explained by none of it."""
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
        strength: how strong it is beside others of its name, as a share of what is reported: that of a correlation is
            that of the strongest signal that was selected, and infinite if no signal was asked for. 0 if it is `share`.
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
    strength: float = 0.0


class RowNames(NamedTuple):
    """The names of the rows with latches, and of those that count what recurs."""

    latch: str
    recurring: str


class Latch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Until when an incident is quiet, how bad the worst was that was reported of it (a number of `SEVERITIES`), when
    something was reported last, and how strong the strongest was (not known of rows of earlier versions)."""

    until_ms: int = 0
    severity: int = WORST_SEVERITY
    reported_ms: int = 0
    share: float = inf


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
    it: Correlation,
    row: Matches,
    why: Sequence[str],
    activity: Activity,
    events: tuple[str, ...],
    alike: bytes,
    *,
    strength: float,
) -> Finding:
    """Return what a correlation has found.

    Args:
        it: the correlation.
        row: the matches of its group.
        why: what detectors say about the activity.
        activity: the activity.
        events: the audit records that led to it.
        alike: the key of the bar for what is alike.
        strength: how strong the selected signals are, as a share of what the rules ask for; infinite if they ask for
            none.
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
        strength=strength,
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
    rows: OpenRows,
    activity: Activity,
    found: Sequence[Finding],
    named: RowNames,
    owners: Mapping[str, str],
    incidents: Mapping[str, str],
    *,
    places: frozenset[str] = frozenset(),
) -> tuple[tuple[Finding, ...], int]:
    """Return the findings whose incident is not known yet, at most one; and how many others there were.

    The worst finding speaks for the activity; of several, the strongest. An incident is distinguished by its owner
    (`owners` has that of each finding's name: an agent, or the root of a delegation), by its name (`incidents` has that
    of each finding's name, where the two differ), and by session; what is about a new place (`places` has the names of
    such findings), by that as well. Incidents, sessions, new places and, for some hours, what an agent does with a tool
    for a destination are quiet about what is no worse than what was reported of them. Some hours after the report, an
    incident that has become much stronger is news in another session, and what it was not about is no longer hidden by
    it, unless that only says "more than usual". What has recurred has to be stronger than before.
    """
    ordered = sorted(found, key=lambda it: (it.kind not in BROAD, _rank(it), it.share, it.name), reverse=True)
    now_ms, latch = activity.time_ms, named.latch
    who = (activity.tenant, activity.agent, activity.session)
    for each in ordered:
        if each is not ordered[0] and each.kind in BROAD:
            # It adds up what is known.
            break
        owner = owners[each.name]
        broad = (row_key(latch, (activity.tenant, "agent", owner)), BROAD_LATCH_MS)
        incident = incidents.get(each.name, each.name)
        about, place = about_key(latch, each), place_key(latch, each) if each.name in places else b""
        latches = [*latches_of(latch, who, (owner, incident), each.kind, each.alike, about, place=place), broad]
        known = {key: rows.load(key, Latch) or Latch() for key, _ in latches}
        asked = [key for key, _ in latches if key != about or each.kind not in REASONS]
        since_ms = _quiet_since(each, asked, known, now_ms)
        if since_ms is None:
            key = recurrence_key(named.recurring, each)
            if _has_recurred(rows, each, key, now_ms):
                # It is known as the agent's way, which explains nothing else.
                continue
            _count(rows, each, key, now_ms)
            _report(rows, each, latches, known, now_ms)
            return (each,), len(found) - 1
        if each is ordered[0]:
            _go_on(rows, latches[-2][0], now_ms, RHYTHM_MS_MAX if each.kind == RHYTHM else ONGOING_MS_MAX)
            if now_ms - since_ms <= EXPLAINED_MS:
                break
    return (), len(found)


def recurrence_key(recurring: str, finding: Finding) -> bytes:
    """Return the key of the row that counts alerts of this name about what the agent does with the tool.

    It is empty if there is none: what has no strength can't become stronger, and would be mute.
    """
    if finding.kind in recurrence.NEVER or finding.strength == inf:
        return b""
    it = finding.activity
    tool = "" if finding.kind in OF_NO_TOOL else it.tool
    return row_key(recurring, (it.tenant, it.agent, finding.name, tool))


def _has_recurred(rows: OpenRows, finding: Finding, key: bytes, now_ms: int) -> bool:
    """Return whether a finding has recurred without becoming stronger. An empty key says that nothing counts it."""
    row = rows.load(key, recurrence.Recurrence) if key else None
    return _strength(finding) < recurrence.needed(row, now_ms)


def _count(rows: OpenRows, finding: Finding, key: bytes, now_ms: int) -> None:
    """Count a finding as reported. Likewise."""
    if key:
        row = rows.load(key, recurrence.Recurrence)
        rows.store(key, recurrence.reported(row, _strength(finding), now_ms))


def _strength(finding: Finding) -> float:
    return finding.strength or finding.share


def _quiet_since(finding: Finding, keys: Sequence[bytes], known: Mapping[bytes, Latch], now_ms: int) -> int | None:
    """Return when that was reported which keeps a finding quiet; None if nothing does.

    The keys are those of the latches of its session, of what it is about, of its term and of its place if it is about
    one, of its incident, and of all that is broad, in this order.
    """
    session, *_, broad = keys if len(keys) > 2 else (b"", *keys)
    asked = keys if finding.kind in BROAD else keys[:-1]
    for key in asked:
        latch = known[key]
        if now_ms >= latch.until_ms:
            continue
        if key != broad and _rank(finding) > latch.severity:
            continue
        is_stronger = finding.share >= NEWS_FACTOR * latch.share
        if key not in (session, broad) and is_stronger and now_ms - latch.reported_ms > EXPLAINED_MS:
            continue
        # Whoever looks at a session sees all of it.
        return now_ms if key == session else latch.reported_ms
    return None


def _report(
    rows: OpenRows,
    finding: Finding,
    latches: Sequence[tuple[bytes, int]],
    known: Mapping[bytes, Latch],
    now_ms: int,
) -> None:
    """Let the latches of a finding that is reported keep quiet what is no worse."""
    for key, span_ms in latches:
        before, severity, share = known[key], _rank(finding), finding.share
        if now_ms < before.until_ms:
            severity = max(severity, before.severity)
            share = share if before.share == inf else max(share, before.share)
        rows.store(key, Latch(max(before.until_ms, now_ms + span_ms), severity, now_ms, share))


def _go_on(rows: OpenRows, key: bytes, now_ms: int, most_ms: int) -> None:
    """Keep an incident quiet for longer, because it goes on, but no longer than `most_ms` after its alert.

    The key is that of its own latch.
    """
    latch = rows.load(key, Latch)
    if latch is None or now_ms >= latch.until_ms:
        # Another latch keeps it quiet: nothing has been reported of this one.
        return
    until_ms = min(now_ms + LATCH_MS, latch.reported_ms + most_ms)
    if until_ms > latch.until_ms:
        rows.store(key, Latch(until_ms, latch.severity, latch.reported_ms, latch.share))


def latches_of(
    latch: str,
    who: tuple[str, str, str],
    incident: tuple[str, str],
    kind: str,
    alike: bytes,
    about: bytes,
    *,
    place: bytes,
) -> list[tuple[bytes, int]]:
    """Return the keys of the latches of a finding, each with how long it is quiet, in ms.

    That an agent brings more new names than are remembered is an incident of the agent alone. Sessions and roots are
    among these names: with latches of their own, each new one would be an alert, and rows that nobody counts.

    Args:
        latch: the name of the rows with latches.
        who: the tenant, the agent and the session that the finding is about.
        incident: whose incident it is (the agent, or the root of the delegation), and what tells it apart from others
            of these.
        kind: the kind of what has found it.
        alike: what tells the same finding apart from others of the incident. The same new term is quiet for 30
            days: it was not learned, so it is as new as on the first day.
        about: the key of the latch of what it is about, see `about_key`.
        place: that of the new place that it is about, see `place_key`; empty if it is about none.
    """
    tenant, agent, session = who
    if kind == growth.KIND:
        return [(row_key(latch, (tenant, growth.KIND, agent)), LATCH_MS)]
    found = [(row_key(latch, (tenant, "session", session)), SESSION_LATCH_MS)]
    if about:
        found.append((about, EXPLAINED_MS))
    if kind in ABOUT_TERMS and alike:
        found.append((row_key(latch, (tenant, "term", alike.hex())), TERM_MS))
    if place:
        found.append((place, TERM_MS))
    return [*found, (row_key(latch, (tenant, "agent", *incident)), LATCH_MS)]


def about_key(latch: str, finding: Finding) -> bytes:
    """Return the key of the latch of what a finding is about: what an agent does with a tool, for a destination.

    Whoever looks into one finding about that sees the others of the same hours, whichever detectors have made them.
    It is empty for findings that are not about a tool.
    """
    if finding.kind in OF_NO_TOOL:
        return b""
    it = finding.activity
    return row_key(latch, (it.tenant, "about", it.agent, it.tool, it.destination or ""))


def place_key(latch: str, finding: Finding) -> bytes:
    """Return the key of the latch of the place that an agent begins to call. It is empty without a place.

    That it does is one story, as long as the place is new: whoever has heard that calls go there out of turn need not
    hear, some days later, that they have become many, unless they are far more.
    """
    it = finding.activity
    return row_key(latch, (it.tenant, "place", it.agent, it.destination)) if it.destination else b""


def _span(span_ms: int) -> str:
    """Return a span of time for people, in the largest unit of which it is at least two."""
    for unit_ms, unit in ((DAY_MS, "days"), (HOUR_MS, "hours"), (60_000, "minutes")):
        if span_ms >= 2 * unit_ms:
            return f"{span_ms / unit_ms:.3g} {unit}"
    return f"{span_ms // 1_000} seconds"


def _rank(finding: Finding) -> int:
    return SEVERITIES.index(finding.severity)
