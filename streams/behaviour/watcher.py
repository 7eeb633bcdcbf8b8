"""Run all detectors and correlations over activities: score, accumulate risk, decide on alerts, then learn.

**Idea.** One function of rows and an activity. It scores first; only what was allowed and has not alerted is learned
from, and a session that has alerted teaches nothing until its hold ends, so an attacker can't teach what an attack is.
An alert names an incident: an agent and what was found about it. An incident is quiet for `LATCH_MS` after what was
last found of it, and for `ONGOING_MS_MAX` at most. A session about which anything was reported is quiet for
`SESSION_LATCH_MS`. What is worse is reported at any time: nobody hides an attack behind a lesser finding.

**Rejected.** Risk as the only way to an alert (it finds loops and sweeps later than the detector for them, and its
sentence says less), and a false discovery rate over the stream of signals (LORD++): it runs out of budget in the first
busy hour.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from streams.behaviour import correlations, growth
from streams.behaviour.activity import DAY_MS, LEARNABLE, Activity, digest_of, digest_once, row_key
from streams.behaviour.announced import (
    EXPECTED,
    Expected,
    counted_off,
    with_announcement,
    without_announcement,
)
from streams.behaviour.breadth import BATCH_SHARE, SIGN_SHARE, SIGNS_OF_WRITES, WRITES_FACTOR, has_sign, signs_needed
from streams.behaviour.case import Case, Counted
from streams.behaviour.correlations import Correlation, Matches, Seen
from streams.behaviour.declarations import Declaration
from streams.behaviour.detectors.registry import DETECTORS, RISK
from streams.behaviour.detectors.risk import RiskRow, accumulated, risk_of
from streams.behaviour.feedback import Bar, Reported, alike_correlation_key, alike_key, raised
from streams.behaviour.findings import (
    SESSION_LATCH_MS,
    Finding,
    Latch,
    RowNames,
    about_key,
    above_bars,
    correlated,
    finding_of,
    incident_of,
    latched,
    latches_of,
    recurrence_key,
    too_much,
)
from streams.behaviour.growth import GROWTH, Growth, counts_terms
from streams.behaviour.pages import OpenRows, Place, RememberedRows, RowView
from streams.behaviour.plans import Plans, layout_of
from streams.behaviour.presence import presence_of
from streams.behaviour.recurrence import Recurrence, called_false
from streams.behaviour.signals import Detector, Scored, Signal, explained
from streams.behaviour.straight import Plan, put_back
from streams.model.alert_status import Announced, with_status

replace = msgspec.structs.replace

SEEN_MAX = 64
"""Events of a session that are remembered, to tell those that arrive twice."""
EVENTS_MAX = 16
"""Event ids in an alert's evidence."""
OBJECTS_MAX = 8
"""How many of the things that a session has looked at are remembered: the first ones."""

_ROOT = "delegation.root"
_SESSION = "session.id"
SHORT_MS_MAX = 2 * DAY_MS
"""How long something about a session may have to be remembered after its last use."""
_PASSING = frozenset({_SESSION, _ROOT})
"""Fields whose pages nobody needs once their session or delegation has ended."""
_TAIL = Place((_SESSION,), "@tail")


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


class RaisedRisk(NamedTuple):
    """A risk after an activity that has raised it.

    Attributes:
        key: the fields of whom it is the risk, as declared.
        share: the risk as a share of its threshold.
        half_life_ms: how fast it fades.
    """

    key: tuple[str, ...]
    share: float
    half_life_ms: int


class Observed(NamedTuple):
    """The outcome of an activity.

    Attributes:
        signals: everything above `FAINT` of its threshold.
        findings: what is to be reported.
        quiet_count: findings that were not reported because their incident is known.
        lowered_count: what was no finding because something alike was a false positive.
        has_learned: whether baselines learned from the activity.
        is_full: whether the agent has brought so much today that nothing further is remembered.
        is_repeated: whether the activity was known; then nothing has changed.
        is_announced: whether the activity was announced; then it was not judged.
        risks: the risks that the activity has raised.
    """

    signals: tuple[Signal, ...] = ()
    findings: tuple[Finding, ...] = ()
    quiet_count: int = 0
    lowered_count: int = 0
    has_learned: bool = False
    is_full: bool = False
    is_repeated: bool = False
    risks: tuple[RaisedRisk, ...] = ()
    is_announced: bool = False


_USUAL = Observed(has_learned=True)
"""What is observed of almost all activities."""
_ANNOUNCED = Observed(is_announced=True)


class SessionTail(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The end of a session: its last two tools, digests of its last events, the ids of the newest, and its hold.

    `held_until_ms` is until when nothing is learned from the session, because it has alerted. `objects` are digests of
    what it has looked at first, without sending anything.
    """

    previous_tool: str = ""
    before_tool: str = ""
    seen: tuple[int, ...] = ()
    events: tuple[str, ...] = ()
    held_until_ms: int = 0
    objects: tuple[int, ...] = ()


class Watcher:
    """Judges activities by declared detectors and correlations. It holds no state: that is in the rows.

    Attributes:
        short_lived: names of the rows that nobody needs once their session or delegation has ended.
    """

    def __init__(self, declared: Declared, suffix: str = "", whose: str = "agent.id") -> None:
        """Args:
        declared: the detectors and correlations.
        suffix: ends the names of its rows, where two watchers share a view.
        whose: the field that tells incidents apart, beside the session. What is found of a delegation is an
            incident of its root in any case: a storm of many agents is one.
        """
        self._reported, self._bar = f"@reported{suffix}", f"@bar{suffix}"
        self._names = RowNames(f"@latch{suffix}", f"@recurring{suffix}")
        self._whose = whose
        detectors: list[Detector] = [DETECTORS[each.kind](each) for each in declared.detectors if each.kind != RISK]
        risks = [
            (each, Place(each.key, each.name, is_required=False)) for each in declared.detectors if each.kind == RISK
        ]
        places: list[tuple[Place, type]] = [
            (_TAIL, SessionTail),
            (GROWTH, Growth),
            (EXPECTED, Expected),
            *((place, RiskRow) for _, place in risks),
        ]
        layout = self._layout = layout_of(detectors, places, suffix)
        self._tail, self._expected = layout.slot(_TAIL), layout.slot(EXPECTED)
        self._counted = Counted(layout)
        self._plans = Plans(detectors, layout)
        self._risks = tuple((each, layout.slot(place)) for each, place in risks)
        self._selectors = correlations.Selectors(declared.correlations)
        self._declarations = {each.declaration.name: each.declaration for each in detectors}
        rooted = {each.name for each in declared.detectors if _ROOT in each.key}
        self._of_roots = rooted | {each.name for each in declared.correlations if _ROOT in each.group_by}
        self._incidents = {name: incident_of(name, it.kind) for name, it in self._declarations.items()}
        self._incidents |= {each.name: each.incident or each.name for each in declared.correlations}
        self._with_terms = frozenset(each.declaration.name for each in detectors if each.keys_have_term)
        self._scored = {name: f"signal.{name}" for name in self._declarations}
        self._remembered = RememberedRows()
        names = {self._names.latch, *(shape.name for shape in layout.shapes if _PASSING & {*shape.fields})}
        names |= {correlations.row_name(each) for each in declared.correlations if _is_passing(each)}
        self.short_lived = frozenset(name.encode() for name in names)

    def observe(self, view: RowView, activity: Activity) -> Observed:
        """Judge one activity, and learn from it if it may be learned from.

        Args:
            view: the rows of the activity's partition; changed.
            activity: what the gate decided.
        """
        rows = OpenRows(view, self._remembered)
        observed = self.judge(rows, activity)
        rows.close()
        return observed

    def judge(self, rows: OpenRows, activity: Activity) -> Observed:
        """Judge one of several activities, as `observe` does.

        Args:
            rows: the open rows of the activities' partition; changed. Whoever has opened them closes them.
            activity: what the gate decided.
        """
        tail = self._tail_of(rows, activity)
        event = digest_once(activity.event_id)
        if event in tail.seen:
            return Observed(is_repeated=True)
        presence = presence_of(activity)
        case = self._case(rows, activity, tail, presence)
        # As `case.row` would read it: every decision asks.
        expected: Expected | None = case.pages[self._expected.shape][self._expected.number]
        left = None if expected is None else counted_off(expected, activity)
        if left is not None:
            case.put(self._expected, left)
            # To detectors, it is as if there had been no such call. That it comes again is to be noticed.
            case.put(self._tail, replace(tail, seen=(*tail.seen, event)[-SEEN_MAX:]))
            self._counted.keep(case, self._counted.growth(case))
            return _ANNOUNCED
        # Almost always nothing is found. So detectors learn as soon as they have scored, and score once more if
        # it turns out that nothing may be learned.
        is_taught = activity.outcome == LEARNABLE and activity.time_ms >= tail.held_until_ms
        concerned = self._plans.concerned_by(case.activity, presence)
        scored, changed, before = (concerned.learning if is_taught else concerned.scoring)(case.pages, case.activity)
        signals = tuple([self._signal(each, case) for each in scored]) if scored else ()
        found: list[Finding] = []
        risks, counted = _NO_RISKS, signals
        if signals:
            found += [self._found(each, case) for each in signals if self._alerts(each, signals, case)]
            counted = tuple([self._counted_as(each, case) for each in signals])
            risks = self._risk(case, counted)
            found += risks.findings
        grown = self._counted.growth(case)
        found += self._correlate(case, counted, risks.scores, grown)
        is_full = grown.is_full
        if is_full and self._counted.is_too_much(case, grown):
            found.append(too_much(activity, case.events))
        reported: tuple[Finding, ...] = ()
        quiet_count = lowered_count = 0
        if found:
            found, lowered_count = above_bars(rows, activity, found)
            whose = {each.name: self._whose_is(each.name, activity) for each in found}
            reported, quiet_count = latched(rows, activity, found, self._names, whose, self._incidents)
        may_learn, held_until_ms = is_taught and not found, tail.held_until_ms
        if found:
            held_until_ms = max(held_until_ms, activity.time_ms + SESSION_LATCH_MS)
            if is_taught:
                put_back(case.pages, concerned.plans, before)
                _, changed, _ = concerned.scoring(case.pages, case.activity)
        case.changed |= changed
        seen = (*tail.seen, event)[-SEEN_MAX:]
        objects = tail.objects
        if (
            is_taught
            and activity.object is not None
            and activity.destination is None
            and not objects[OBJECTS_MAX - 1 :]
        ):
            objects = _with_object(objects, activity.object)
        case.put(self._tail, SessionTail(activity.tool, tail.previous_tool, seen, case.events, held_until_ms, objects))
        self._counted.keep(case, grown)
        full = is_full and not grown.terms_left
        if may_learn and not (signals or lowered_count or full):
            return _USUAL
        return Observed(signals, reported, quiet_count, lowered_count, may_learn, full, risks=risks.raised)

    def remember(self, rows: OpenRows, finding: Finding, finding_uid: str) -> None:
        """Remember what an alert is about, in case somebody closes it.

        Args:
            rows: the open rows of the partition; changed.
            finding: what was found.
            finding_uid: the alert's finding.
        """
        it = finding.activity
        whose = self._whose_is(finding.name, it)
        about = about_key(self._names.latch, finding)
        row = Reported(
            it.time_ms, it.agent, it.session, finding.name, finding.alike, finding.share, whose,
            about=about, recurs=recurrence_key(self._names.recurring, finding),
        )  # fmt: skip
        rows.store(row_key(self._reported, (it.tenant, finding_uid)), row)

    def close(
        self, rows: OpenRows, tenant: str, finding_uid: str, status_id: str, time_ms: int, *, is_false: bool
    ) -> Closed | None:
        """Let the incident of a closed alert alert again, and raise the bar for what is alike if it was false.

        Args:
            rows: the open rows of the partition; changed.
            tenant, finding_uid: the alert.
            status_id: the status that closes it. If it comes again, nothing changes.
            time_ms: when somebody has closed it.
            is_false: whether it was a false positive.

        Returns:
            What the alert was about, and the bar if it was raised; None if no such alert is remembered, or the status
            has come before.
        """
        its_key = row_key(self._reported, (tenant, finding_uid))
        reported = rows.load(its_key, Reported)
        said = None if reported is None else with_status(reported.said, status_id)
        if reported is None or said is None:
            return None
        rows.store(its_key, replace(reported, said=said))
        who = (tenant, reported.agent, reported.session)
        kind = self._kind_of(reported.name)
        incident = self._incidents.get(reported.name, reported.name)
        for key, _ in latches_of(
            self._names.latch, who, (reported.whose, incident), kind, reported.alike, reported.about
        ):
            latch = rows.load(key, Latch)
            if latch is not None and latch.reported_ms <= reported.time_ms:
                rows.store(key, Latch())
        self._count_closed(rows, reported.recurs, time_ms, is_false=is_false)
        if not is_false or not reported.alike:
            return Closed(reported)
        bar = raised(rows.load(reported.alike, Bar), reported, time_ms)
        rows.store(reported.alike, bar)
        return Closed(reported, bar)

    def _count_closed(self, rows: OpenRows, key: bytes, time_ms: int, *, is_false: bool) -> None:
        """Count an alert that was closed as false for more; one that was closed as right ends the recurrence."""
        row = rows.load(key, Recurrence) if key else None
        if row is not None:
            rows.store(key, called_false(row, time_ms) if is_false else Recurrence())

    def announce(self, rows: OpenRows, tenant: str, uid: str, announced: Announced, time_ms: int) -> bool:
        """Expect what somebody has announced of an agent. An announcement that comes again changes nothing.

        Args:
            rows: the open rows of the partition; changed.
            tenant: the tenant of the agent.
            uid: the id of the announcement.
            announced: what is announced.
            time_ms: when it is announced.

        Returns:
            Whether there was room for it. Otherwise nothing has changed.
        """
        page, key = self._agent_page(rows, tenant, announced.agent)
        expected = with_announcement(page[self._expected.number], uid, announced, time_ms)
        if expected is None:
            return False
        self._put_expected(rows, page, key, expected)
        return True

    def withdraw(self, rows: OpenRows, tenant: str, uid: str, agent: str, time_ms: int) -> None:
        """Expect nothing more of what was announced with this id. Likewise."""
        page, key = self._agent_page(rows, tenant, agent)
        self._put_expected(rows, page, key, without_announcement(page[self._expected.number], uid, time_ms))

    def _put_expected(self, rows: OpenRows, page: list[Any], key: bytes, expected: Expected | None) -> None:
        page[self._expected.number] = expected
        rows.changed[key] = self._layout.shapes[self._expected.shape].page_type

    def _agent_page(self, rows: OpenRows, tenant: str, agent: str) -> tuple[list[Any], bytes]:
        shape = self._layout.shapes[self._expected.shape]
        # As the shape would make it of an activity.
        key = row_key(shape.name, (tenant, agent))
        page = rows.page(key, shape)
        rows.created.discard(key)
        return page, key

    def _whose_is(self, name: str, activity: Activity) -> str:
        """Return whose incident a finding is: that of a root, or what this watcher tells apart by."""
        return correlations.value_text(_ROOT if name in self._of_roots else self._whose, activity)

    def _kind_of(self, name: str) -> str:
        """Return the kind of what has found something; that of correlations and risk makes no difference to latches."""
        it = self._declarations.get(name)
        if it is None:
            return growth.KIND if name == growth.NAME else "correlation"
        return it.kind

    def _alerts(self, signal: Signal, signals: tuple[Signal, ...], case: Case) -> bool:
        """Return whether a signal is a finding. That much is read or written needs a second sign."""
        it = self._declarations[signal.name]
        if signal.share < 1.0 or not it.alerts:
            return False
        kinds = signs_needed(it, signal.share, case.activity)
        if not kinds:
            return True
        signs = frozenset(name for name, each in self._declarations.items() if each.kind in kinds)
        evidence = [(case.row(slot), risk.half_life_ms) for risk, slot in self._risks]
        least = BATCH_SHARE if kinds is SIGNS_OF_WRITES else SIGN_SHARE
        return has_sign(signals, evidence, case.activity.time_ms, signs, least)

    def _counted_as(self, signal: Signal, case: Case) -> Signal:
        """Return a signal as it counts in risk and in correlations.

        Of a batch of writes, risk has `BATCH_SHARE` at most, and correlations need as much more as an alert does.
        """
        kinds = signs_needed(self._declarations[signal.name], signal.share, case.activity)
        if kinds is not SIGNS_OF_WRITES:
            return signal
        return replace(signal, score=signal.score / WRITES_FACTOR, share=min(signal.share, BATCH_SHARE))

    def _found(self, signal: Signal, case: Case) -> Finding:
        it = self._declarations[signal.name]
        alike = alike_key(self._bar, it, case.activity, tells_terms_apart=signal.name in self._with_terms)
        return finding_of(it, signal.score, signal.explain, case.activity, case.events, alike)

    def _tail_of(self, rows: OpenRows, activity: Activity) -> SessionTail:
        shape = self._layout.shapes[self._tail.shape]
        # As the shape would make it. Every activity has a session, and this is asked of each before all else.
        key = row_key(shape.name, (activity.tenant, activity.session))
        tail: SessionTail | None = rows.page(key, shape)[self._tail.number]
        return tail or SessionTail()

    def _case(self, rows: OpenRows, activity: Activity, tail: SessionTail, presence: int) -> Case:
        is_answer = activity.destination is not None and digest_of(activity.object or "") in tail.objects
        activity = replace(
            activity, previous_tool=tail.previous_tool, before_tool=tail.before_tool, is_answer=is_answer
        )
        keys = self._layout.keys(activity, presence)
        known, opened = rows.rows, rows.opened
        pages = [
            shape.blank if key is None else known.get(key) or opened(key, shape)
            for key, shape in zip(keys, self._layout.shapes, strict=True)
        ]
        return Case(activity, (*tail.events, activity.event_id)[-EVENTS_MAX:], rows, keys, pages)

    def _signal(self, found: tuple[Plan, Scored], case: Case) -> Signal:
        it, scored = found[0].declaration, found[1]
        text = explained(it.explain, case.activity, scored.words)
        return Signal(it.name, scored.score, scored.score / it.threshold, text)

    def _risk(self, case: Case, signals: tuple[Signal, ...]) -> _Risks:
        """Add signals to the risk of agent and session."""
        found, scores, risen, activity = [], {}, [], case.activity
        for it, slot in self._risks:
            row = accumulated(case.row(slot), signals, activity.time_ms, it.half_life_ms)
            case.put(slot, row)
            risk = risk_of(row, activity.time_ms, it.half_life_ms, it.allowance, self._incidents)
            scores[f"risk.{it.name}"] = risk.total
            if risk.total > 0:
                risen.append(RaisedRisk(it.key, risk.total / it.threshold, it.half_life_ms))
            if it.alerts and risk.total >= it.threshold:
                words = {"sum": risk.total, "causes": ", ".join(risk.causes)}
                text = "; ".join([explained(it.explain, activity, words), *(each.explain for each in signals[:3])])
                found.append(finding_of(it, risk.total, text, activity, case.events))
        return _Risks(found, scores, tuple(risen))

    def _correlate(
        self, case: Case, signals: tuple[Signal, ...], risks: Mapping[str, float], grown: Growth
    ) -> list[Finding]:
        found, rows = [], case.rows
        scores = {**{self._scored[each.name]: each.score for each in signals}, **risks} if signals else risks
        seen = Seen(case.activity, scores)
        for each, matched in self._selectors.matched(seen):
            key = correlations.group_key(each, seen)
            if key is None:
                continue
            before = rows.load(key, Matches)
            if before is None:
                if not grown.has_room(each.group_by):
                    continue
                case.matched_count += counts_terms(each.group_by)
            row, has_fired = correlations.observed(each, before, seen, matched)
            rows.store(key, row)
            if has_fired:
                # What detectors say about the call explains more than that it was selected.
                selected = {test.field for at in matched for test in each.rules[at].tests}
                why = [signal.explain for signal in signals if self._scored[signal.name] in selected]
                alike = alike_correlation_key(self._bar, each.name, seen.activity)
                strength = correlations.strength_of(each, matched, seen)
                found.append(correlated(each, row, why, seen.activity, case.events, alike, strength=strength))
        return found


def _with_object(objects: tuple[int, ...], name: str) -> tuple[int, ...]:
    """Return the first things that a session has looked at, after one more call."""
    digest = digest_of(name)
    return objects if digest in objects else (*objects, digest)


def _is_passing(correlation: Correlation) -> bool:
    """Return whether nobody needs the rows of a correlation once their session or delegation has ended."""
    longest_ms = max(correlation.timespan_ms, correlation.latch_ms)
    return bool(_PASSING & {*correlation.group_by}) and longest_ms <= SHORT_MS_MAX


class Closed(NamedTuple):
    """What a closed alert was about, and the bar for what is alike if that was raised."""

    reported: Reported
    bar: Bar | None = None


class _Risks(NamedTuple):
    findings: list[Finding]
    scores: Mapping[str, float]
    raised: tuple[RaisedRisk, ...] = ()


_NO_RISKS = _Risks([], {})
"""Without signals there is no risk to be raised. Nobody changes it."""
