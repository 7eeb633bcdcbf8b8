"""Run all detectors and correlations over activities: score, accumulate risk, decide on alerts, then learn.

**Idea.** One function of rows and an activity. It scores first; only what was allowed and has not alerted is learned
from, and a session that has alerted teaches nothing until its hold ends, so an attacker can't teach what an attack is.
An alert names an incident: an agent and what was found about it. An incident is quiet for `LATCH_MS`, and so is a
session about which anything was reported, but for what is worse: nobody hides an attack behind a lesser finding.

**Rejected.** Risk as the only way to an alert (it finds loops and sweeps later than the detector for them, and its
sentence says less), and a false discovery rate over the stream of signals (LORD++): it runs out of budget in the first
busy hour.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from streams.behaviour import correlations
from streams.behaviour.activity import DAY_MS, HOUR_MS, LEARNABLE, Activity, digest_of, row_key
from streams.behaviour.correlations import Correlation, Matches, Seen
from streams.behaviour.declarations import Declaration
from streams.behaviour.detectors.registry import DETECTORS, RISK
from streams.behaviour.detectors.risk import RiskRow, accumulated, risk_of
from streams.behaviour.feedback import Bar, Reported, alike_correlation_key, alike_key, is_below, noted, raised
from streams.behaviour.signals import FAINT, Detector, Rows, Signal, explained

LATCH_MS = DAY_MS
"""How long an incident is quiet after its alert."""
SESSION_LATCH_MS = DAY_MS
BROAD_LATCH_MS = 6 * HOUR_MS
"""How long after any alert about an agent those that only say "more than usual" are quiet: the incident explains it."""
BROAD = frozenset({"ceiling", "rate_nb", RISK})
SEEN_MAX = 64
"""Events of a session that are remembered, to tell those that arrive twice."""
SEVERITIES = ("low", "medium", "high", "critical")
WORST_SEVERITY = len(SEVERITIES) - 1
EVENTS_MAX = 16
"""Event ids in an alert's evidence."""
ROW_TYPES_MAX = 64
"""Classes of rows whose decoders are kept; there are 25."""

_ROOT = "delegation.root"
_SESSION = "session.id"
SHORT_MS_MAX = 2 * DAY_MS
"""How long something about a session may have to be remembered after its last use."""
SHORT_LIVED = frozenset({b"@tail", b"@latch", b"@tail.root", b"@latch.root"})
"""Names of the watcher's own rows about sessions and incidents. No declaration may have a name with `@`."""

T = TypeVar("T", bound=msgspec.Struct)


class RowView(Protocol):
    """Where rows are kept."""

    def get(self, key: bytes) -> bytes | None:
        """Return a row, or None."""

    def put(self, key: bytes, row: bytes) -> None:
        """Set a row."""


class Declared(NamedTuple):
    """What rule files declare about behaviour."""

    detectors: tuple[Declaration, ...] = ()
    correlations: tuple[Correlation, ...] = ()

    def by_scope(self) -> tuple[Declared, Declared]:
        """Return what is about agents and their sessions, and what is about delegations, which cross agents."""
        of_roots = tuple(each for each in self.detectors if _ROOT in each.key)
        agents = tuple(each for each in self.detectors if _ROOT not in each.key)
        roots = tuple(each for each in self.correlations if _ROOT in each.group_by)
        return (
            Declared(agents, tuple(each for each in self.correlations if each not in roots)),
            Declared(of_roots, roots),
        )


def short_lived_of(declared: Declared) -> frozenset[bytes]:
    """Return the names of rows that nobody needs once their session or delegation has ended."""
    passing = {_SESSION, _ROOT}
    names = {each.name for each in declared.detectors if passing & set(each.key)}
    names |= {
        correlations.row_name(each)
        for each in declared.correlations
        if passing & set(each.group_by) and max(each.timespan_ms, each.latch_ms) <= SHORT_MS_MAX
    }
    return frozenset(name.encode() for name in names)


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


class Observed(NamedTuple):
    """The outcome of an activity.

    Attributes:
        signals: everything above `FAINT` of its threshold.
        findings: what is to be reported.
        quiet_count: findings that were not reported because their incident is known.
        lowered_count: what was no finding because something alike was a false positive.
        has_learned: whether baselines learned from the activity.
        is_repeated: whether the activity was known; then nothing has changed.
    """

    signals: tuple[Signal, ...] = ()
    findings: tuple[Finding, ...] = ()
    quiet_count: int = 0
    lowered_count: int = 0
    has_learned: bool = False
    is_repeated: bool = False


class SessionTail(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The end of a session: its last two tools, digests of its last events, the ids of the newest, and its hold.

    `held_until_ms` is until when nothing is learned from the session, because it has alerted.
    """

    previous_tool: str = ""
    before_tool: str = ""
    seen: tuple[int, ...] = ()
    events: tuple[str, ...] = ()
    held_until_ms: int = 0


class Latch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Until when an incident is quiet, and how bad the worst was that was reported of it (a number of `SEVERITIES`)."""

    until_ms: int = 0
    severity: int = WORST_SEVERITY


_encode = msgspec.msgpack.Encoder().encode


@lru_cache(maxsize=ROW_TYPES_MAX)
def _decoder(row_type: type) -> Callable[[bytes], Any]:
    return msgspec.msgpack.Decoder(row_type).decode


def read_row(view: RowView, key: bytes, row_type: type[T]) -> T | None:
    """Return a row, decoded; None if there is none."""
    found = view.get(key)
    if found is None:
        return None
    row: T = _decoder(row_type)(found)
    return row


def write_row(view: RowView, key: bytes, row: object) -> None:
    """Write a row. Equal rows are equal bytes: fields stand in order, and sets are sorted tuples."""
    view.put(key, _encode(row))


class Watcher:
    """Judges activities by declared detectors and correlations. It holds no state: that is in the rows."""

    def __init__(self, declared: Declared, suffix: str = "", whose: str = "agent.id") -> None:
        """Args:
        declared: the detectors and correlations.
        suffix: ends the names of its own rows, where two watchers share a view.
        whose: the field that tells incidents apart, beside the session. A storm of many agents is one incident of
            its root.
        """
        self._tail, self._latch = f"@tail{suffix}", f"@latch{suffix}"
        self._reported, self._bar = f"@reported{suffix}", f"@bar{suffix}"
        self._whose = whose
        self._detectors: tuple[Detector, ...] = tuple(
            DETECTORS[each.kind](each) for each in declared.detectors if each.kind != RISK
        )
        self._risks = tuple(each for each in declared.detectors if each.kind == RISK)
        self._correlations = declared.correlations
        self._readers = tuple((each, tuple(map(_decoder, each.row_types))) for each in self._detectors)
        self._declarations = {each.declaration.name: each.declaration for each in self._detectors}
        self._with_terms = frozenset(
            each.declaration.name for each in self._detectors if getattr(each, "keys_have_term", False)
        )
        self._scored = {name: f"signal.{name}" for name in self._declarations}

    def observe(self, view: RowView, activity: Activity) -> Observed:
        """Judge one activity, and learn from it if it may be learned from.

        Args:
            view: the rows of the activity's partition; changed.
            activity: what the gate decided.
        """
        tail_key = row_key(self._tail, (activity.tenant, activity.session))
        tail = read_row(view, tail_key, SessionTail) or SessionTail()
        event = digest_of(activity.event_id)
        if event in tail.seen:
            return Observed(is_repeated=True)
        activity = msgspec.structs.replace(activity, previous_tool=tail.previous_tool, before_tool=tail.before_tool)
        events = (*tail.events, activity.event_id)[-EVENTS_MAX:]
        signals, learners = self._score(view, activity)
        found = [
            self._found(each, activity, events)
            for each in signals
            if each.share >= 1.0 and self._declarations[each.name].alerts
        ]
        risks = self._risk(view, activity, signals, events)
        found += risks.findings
        scores = {**{self._scored[each.name]: each.score for each in signals}, **risks.scores}
        found += self._correlate(view, Seen(activity, scores), events, signals)
        found, lowered_count = _above_bars(view, activity, found)
        may_learn = activity.outcome == LEARNABLE and not found and activity.time_ms >= tail.held_until_ms
        for detector, keys, before, rows in learners:
            self._write(view, keys, before, detector.learn(rows, activity) if may_learn else rows)
        whose = correlations.value_text(self._whose, activity)
        reported, quiet_count = _latched(view, activity, found, self._latch, whose)
        write_row(
            view,
            tail_key,
            SessionTail(
                activity.tool,
                tail.previous_tool,
                (*tail.seen, event)[-SEEN_MAX:],
                events,
                max(tail.held_until_ms, activity.time_ms + SESSION_LATCH_MS) if found else tail.held_until_ms,
            ),
        )
        return Observed(signals, reported, quiet_count, lowered_count, may_learn)

    def remember(self, view: RowView, finding: Finding, finding_uid: str) -> None:
        """Remember what an alert is about, in case somebody closes it.

        Args:
            view: the rows of the partition; changed.
            finding: what was found.
            finding_uid: the alert's finding.
        """
        it = finding.activity
        whose = correlations.value_text(self._whose, it)
        row = Reported(it.time_ms, it.agent, it.session, finding.name, finding.alike, finding.share, whose)
        write_row(view, row_key(self._reported, (it.tenant, finding_uid)), row)

    def close(self, view: RowView, tenant: str, finding_uid: str, time_ms: int, *, is_false: bool) -> Closed | None:
        """Let the incident of a closed alert alert again, and raise the bar for what is alike if it was false.

        Args:
            view: the rows of the partition; changed.
            tenant, finding_uid: the alert.
            time_ms: when somebody has closed it.
            is_false: whether it was a false positive.

        Returns:
            What the alert was about, and the bar if it was raised; None if no such alert is remembered.
        """
        reported = read_row(view, row_key(self._reported, (tenant, finding_uid)), Reported)
        if reported is None:
            return None
        for values, span_ms in (
            ((tenant, "session", reported.session), SESSION_LATCH_MS),
            ((tenant, "agent", reported.whose, reported.name), LATCH_MS),
        ):
            key = row_key(self._latch, values)
            latch = read_row(view, key, Latch)
            if latch is not None and latch.until_ms <= reported.time_ms + span_ms:
                write_row(view, key, Latch())
        if not is_false or not reported.alike:
            return Closed(reported)
        bar = raised(read_row(view, reported.alike, Bar), reported, time_ms)
        write_row(view, reported.alike, bar)
        return Closed(reported, bar)

    def _found(self, signal: Signal, activity: Activity, events: tuple[str, ...]) -> Finding:
        it = self._declarations[signal.name]
        alike = alike_key(self._bar, it, activity, tells_terms_apart=signal.name in self._with_terms)
        return _finding(it, signal.score, signal.explain, activity, events, alike)

    def _score(
        self, view: RowView, activity: Activity
    ) -> tuple[tuple[Signal, ...], list[tuple[Detector, tuple[bytes, ...], Rows, Rows]]]:
        """Return the signals of all detectors, and what each needs in order to learn."""
        signals, learners = [], []
        get = view.get
        for detector, decoders in self._readers:
            keys = detector.keys(activity)
            if keys is None:
                continue
            found = []
            for key, decode in zip(keys, decoders, strict=True):
                row = get(key)
                found.append(None if row is None else decode(row))
            rows = tuple(found)
            scored, it = detector.score(rows, activity), detector.declaration
            learners.append((detector, keys, rows, scored.rows))
            if scored.score >= FAINT * it.threshold:
                text = explained(it.explain, activity, scored.words)
                signals.append(Signal(it.name, scored.score, scored.score / it.threshold, text))
        return tuple(signals), learners

    @staticmethod
    def _write(view: RowView, keys: Sequence[bytes], before: Rows, rows: Rows) -> None:
        for key, old, row in zip(keys, before, rows, strict=True):
            if row is not None and row is not old:
                view.put(key, _encode(row))

    def _risk(self, view: RowView, activity: Activity, signals: tuple[Signal, ...], events: tuple[str, ...]) -> _Risks:
        """Add signals to the risk of agent and session; nothing is read while there are none."""
        found, scores = [], {}
        for it in self._risks if signals else ():
            key = row_key(it.name, tuple(correlations.value_text(field, activity) for field in ("tenant", *it.key)))
            row = accumulated(read_row(view, key, RiskRow), signals, activity.time_ms, it.half_life_ms)
            write_row(view, key, row)
            risk = risk_of(row, activity.time_ms, it.half_life_ms, it.allowance)
            scores[f"risk.{it.name}"] = risk.total
            if it.alerts and risk.total >= it.threshold:
                words = {"sum": risk.total, "causes": ", ".join(risk.causes)}
                text = "; ".join([explained(it.explain, activity, words), *(each.explain for each in signals[:3])])
                found.append(_finding(it, risk.total, text, activity, events))
        return _Risks(found, scores)

    def _correlate(
        self, view: RowView, seen: Seen, events: tuple[str, ...], signals: tuple[Signal, ...]
    ) -> list[Finding]:
        found = []
        for each in self._correlations:
            matched = [at for at, rule in enumerate(each.rules) if correlations.selects(rule, seen)]
            key = correlations.group_key(each, seen) if matched else None
            if key is None:
                continue
            row, has_fired = correlations.observed(each, read_row(view, key, Matches), seen, matched)
            write_row(view, key, row)
            if has_fired:
                count = len({match.event for match in row.found})
                calls = "this call" if count == 1 else f"{count} calls in {_span(each.timespan_ms)}"
                # What detectors say about the call explains more than that it was selected.
                selected = {test.field for at in matched for test in each.rules[at].tests}
                why = [signal.explain for signal in signals if self._scored[signal.name] in selected]
                found.append(
                    Finding(
                        name=each.name,
                        kind="correlation",
                        title=each.title,
                        explain="; ".join((f"{each.title} ({calls})", *why)),
                        severity=each.severity,
                        tags=each.tags,
                        score=float(count),
                        share=1.0,
                        activity=seen.activity,
                        events=events,
                        alike=alike_correlation_key(self._bar, each.name, seen.activity),
                    )
                )
        return found


class Closed(NamedTuple):
    """What a closed alert was about, and the bar for what is alike if that was raised."""

    reported: Reported
    bar: Bar | None = None


class _Risks(NamedTuple):
    findings: list[Finding]
    scores: Mapping[str, float]


def _above_bars(view: RowView, activity: Activity, found: list[Finding]) -> tuple[list[Finding], int]:
    """Return the findings that no false positive is alike, and how many others there were."""
    kept = []
    for each in found:
        bar = read_row(view, each.alike, Bar) if each.alike else None
        if is_below(bar, each.share, activity.time_ms):
            continue
        kept.append(each)
        after = noted(bar, each.share, activity.time_ms) if each.alike else None
        if after is not None:
            write_row(view, each.alike, after)
    return kept, len(found) - len(kept)


def _finding(
    it: Declaration, score: float, explain: str, activity: Activity, events: tuple[str, ...], alike: bytes = b""
) -> Finding:
    """Return what a declared detector has found."""
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


def _latched(
    view: RowView, activity: Activity, found: Sequence[Finding], latch: str, whose: str
) -> tuple[tuple[Finding, ...], int]:
    """Return the findings whose incident is not known yet, at most one; and how many others there were.

    The worst finding speaks for the activity, and of those the strongest. Incidents are distinguished by `whose` they
    are (an agent's, or those of the root of a delegation) and name, and by session. A session is quiet about what is no
    worse than what was reported of it.
    """
    if not found:
        return (), 0
    best = max(found, key=lambda each: (each.kind not in BROAD, _rank(each), each.share, each.name))
    now_ms, rank = activity.time_ms, _rank(best)
    whom = (activity.tenant, "agent", whose)
    session = row_key(latch, (activity.tenant, "session", activity.session))
    latches = [(session, SESSION_LATCH_MS), (row_key(latch, (*whom, best.name)), LATCH_MS)]
    broad = (row_key(latch, whom), BROAD_LATCH_MS)
    asked = (*latches, broad) if best.kind in BROAD else tuple(latches)
    known = {key: read_row(view, key, Latch) or Latch() for key, _ in (*latches, broad)}
    quiet = [key for key, _ in asked if now_ms < known[key].until_ms]
    if any(key != session or rank <= known[key].severity for key in quiet):
        return (), len(found)
    for key, span_ms in (*latches, broad):
        before = known[key]
        worst = max(rank, before.severity) if now_ms < before.until_ms else rank
        write_row(view, key, Latch(max(before.until_ms, now_ms + span_ms), worst))
    return (best,), len(found) - 1


def _span(span_ms: int) -> str:
    """Return a span of time for people, in the largest unit of which it is at least two."""
    for unit_ms, unit in ((DAY_MS, "days"), (HOUR_MS, "hours"), (60_000, "minutes")):
        if span_ms >= 2 * unit_ms:
            return f"{span_ms / unit_ms:.3g} {unit}"
    return f"{span_ms // 1_000} seconds"


def _rank(finding: Finding) -> int:
    return SEVERITIES.index(finding.severity)
