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

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from streams.behaviour import correlations
from streams.behaviour.activity import DAY_MS, LEARNABLE, Activity, digest_once, row_key
from streams.behaviour.announced import EXPECTED, Announcements, Expected, counted_off
from streams.behaviour.breadth import has_sign, signs_needed
from streams.behaviour.case import Case, Counted
from streams.behaviour.chains import Chains
from streams.behaviour.correlations import Correlation, Matches, Seen
from streams.behaviour.declarations import Declaration
from streams.behaviour.detectors.registry import DETECTORS, RISK
from streams.behaviour.detectors.risk import RiskRow
from streams.behaviour.feedback import alike_correlation_key, alike_key
from streams.behaviour.findings import (
    SESSION_LATCH_MS,
    Finding,
    RowNames,
    above_bars,
    correlated,
    finding_of,
    latched,
    too_much,
)
from streams.behaviour.growth import GROWTH, Growth, counts_terms
from streams.behaviour.incidents import ROOT, Incidents
from streams.behaviour.pages import OpenRows, Place, RememberedRows, RowView
from streams.behaviour.plans import Plans, layout_of
from streams.behaviour.presence import presence_of
from streams.behaviour.reports import Reports
from streams.behaviour.risks import NONE_RAISED, RaisedRisk, Risks, risk_places
from streams.behaviour.selectors import Selectors
from streams.behaviour.session_tail import EVENTS_MAX, TAIL, SessionTail, activity_after, seen_after, tail_after
from streams.behaviour.signals import Detector, Scored, Signal
from streams.behaviour.straight import Plan, put_back

replace = msgspec.structs.replace

SHORT_MS_MAX = 2 * DAY_MS
"""How long something about a session may have to be remembered after its last use."""
_PASSING = frozenset({"session.id", ROOT})
"""Fields whose pages nobody needs once their session or delegation has ended."""


class Declared(NamedTuple):
    """What rule files declare about behaviour."""

    detectors: tuple[Declaration, ...] = ()
    correlations: tuple[Correlation, ...] = ()

    def by_scope(self) -> tuple[Declared, Declared]:
        """Return what is about agents and their sessions, and what is about delegations, which cross agents."""
        of_roots = tuple(each for each in self.detectors if ROOT in each.key)
        agents = tuple(each for each in self.detectors if ROOT not in each.key)
        roots = tuple(each for each in self.correlations if ROOT in each.group_by)
        return (
            Declared(agents, tuple(each for each in self.correlations if each not in roots)),
            Declared(of_roots, roots),
        )


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


class Watcher:
    """Judges activities by declared detectors and correlations. It holds no state: that is in the rows.

    Attributes:
        announcements: the calls that somebody has announced.
        reports: the alerts that somebody may close.
        short_lived: names of the rows that nobody needs once their session or delegation has ended.
    """

    def __init__(self, declared: Declared, suffix: str = "", whose: str = "agent.id") -> None:
        """Args:
        declared: the detectors and correlations.
        suffix: ends the names of its rows, where two watchers share a view.
        whose: the field that tells incidents apart, beside the session (`Incidents`).
        """
        self._bar, self._names = f"@bar{suffix}", RowNames(f"@latch{suffix}", f"@recurring{suffix}")
        detectors: list[Detector] = [DETECTORS[each.kind](each) for each in declared.detectors if each.kind != RISK]
        risks = risk_places(declared.detectors)
        places: list[tuple[Place, type]] = [
            (TAIL, SessionTail),
            (GROWTH, Growth),
            (EXPECTED, Expected),
            *((place, RiskRow) for place in risks),
        ]
        layout = self._layout = layout_of(detectors, places, suffix)
        self._tail, self._expected = layout.slot(TAIL), layout.slot(EXPECTED)
        self._counted = Counted(layout)
        self._plans = Plans(detectors, layout)
        self._incidents = Incidents(declared.detectors, declared.correlations, whose)
        self._risks = Risks(risks, layout, self._incidents.by_name)
        self.announcements = Announcements(layout)
        self.reports = Reports(f"@reported{suffix}", self._names, self._incidents)
        self._selectors = Selectors(declared.correlations)
        self._chains = Chains(declared.correlations)
        self._declarations = {each.declaration.name: each.declaration for each in detectors}
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
            case.put(self._tail, replace(tail, seen=seen_after(tail, event)))
            self._counted.keep(case, self._counted.growth(case))
            return _ANNOUNCED
        # Almost always nothing is found. So detectors learn as soon as they have scored, and score once more if
        # it turns out that nothing may be learned.
        is_taught = activity.outcome == LEARNABLE and activity.time_ms >= tail.held_until_ms
        concerned = self._plans.concerned_by(case.activity, presence)
        scored, changed, before = (concerned.learning if is_taught else concerned.scoring)(case.pages, case.activity)
        signals = tuple([self._signal(each, case) for each in scored]) if scored else ()
        found: list[Finding] = []
        risks, counted = NONE_RAISED, signals
        if signals:
            found += [self._found(each, case) for each in signals if self._alerts(each, signals, case)]
            counted = tuple([self._counted_as(each, case) for each in signals])
            risks = self._risks.add(case, counted)
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
            owners = {each.name: self._incidents.owner_of(each.name, activity) for each in found}
            by_name, places = self._incidents.by_name, self._incidents.of_places
            reported, quiet_count = latched(rows, activity, found, self._names, owners, by_name, places=places)
        may_learn, held_until_ms = is_taught and not found, tail.held_until_ms
        if found:
            held_until_ms = max(held_until_ms, activity.time_ms + SESSION_LATCH_MS)
            if is_taught:
                put_back(case.pages, concerned.plans, before)
                _, changed, _ = concerned.scoring(case.pages, case.activity)
        case.changed |= changed
        case.put(self._tail, tail_after(tail, activity, event, case.events, held_until_ms, is_taught=is_taught))
        self._counted.keep(case, grown)
        full = is_full and not grown.terms_left
        if may_learn and not (signals or lowered_count or full):
            return _USUAL
        return Observed(signals, reported, quiet_count, lowered_count, may_learn, full, risks=risks.raised)

    def _alerts(self, signal: Signal, signals: tuple[Signal, ...], case: Case) -> bool:
        """Return whether a signal is a finding. What is only much, or only late, needs a second sign."""
        it = self._declarations[signal.name]
        if signal.share < 1.0 or not it.alerts:
            return False
        needed = signs_needed(it, signal.share, case.activity)
        if needed is None:
            return True
        signs = frozenset(name for name, each in self._declarations.items() if each.kind in needed.kinds)
        return has_sign(signals, self._risks.evidence(case), case.activity.time_ms, signs, needed.least)

    def _counted_as(self, signal: Signal, case: Case) -> Signal:
        """Return a signal as it counts in risk and in correlations.

        Of a batch, risk has a part at most, and of one that writes, correlations need as much more as an alert does.
        """
        needed = signs_needed(self._declarations[signal.name], signal.share, case.activity)
        if needed is None or (signal.share <= needed.most and needed.factor <= 1.0):
            return signal
        return replace(signal, score=signal.score / needed.factor, share=min(signal.share, needed.most))

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
        activity = activity_after(tail, activity)
        keys, pages = self._layout.pages(rows, activity, presence)
        return Case(activity, (*tail.events, activity.event_id)[-EVENTS_MAX:], rows, keys, pages)

    def _signal(self, found: tuple[Plan, Scored], case: Case) -> Signal:
        it, scored = found[0].declaration, found[1]
        return Signal(it.name, scored.score, scored.score / it.threshold, it.explain, case.activity, scored.words)

    def _correlate(
        self, case: Case, signals: tuple[Signal, ...], risks: Mapping[str, float], grown: Growth
    ) -> list[Finding]:
        found: list[Finding] = []
        met: set[str] = set()
        scores = {**{self._scored[each.name]: each.score for each in signals}, **risks} if signals else risks
        seen = Seen(case.activity, scores)
        matched, chains = self._selectors.matched(seen), self._chains
        for each, numbers in chains.in_order(matched, met) if chains.referred else matched:
            groups: Iterable[tuple[bytes | None, Sequence[int]]]
            if each.fields_by_rule:
                groups = correlations.groups_by_rule(each, seen, numbers)
            else:
                groups = ((correlations.group_key(each, seen, each.group_by), numbers),)
            for key, rules in groups:
                before = None if key is None else case.rows.load(key, Matches)
                if key is None or (before is None and not grown.has_room(each.fields)):
                    continue
                if before is None:
                    case.matched_count += counts_terms(each.fields)
                row, has_fired = correlations.observed(each, before, seen, rules)
                case.rows.store(key, row)
                if each.name in chains.referred and correlations.is_met(each, before, row):
                    met.add(each.name)
                if has_fired and each.alerts:
                    found.append(self._correlated(each, row, rules, seen, signals, case))
        return found

    def _correlated(
        self,
        it: Correlation,
        row: Matches,
        rules: Sequence[int],
        seen: Seen,
        signals: tuple[Signal, ...],
        case: Case,
    ) -> Finding:
        # What detectors say about the call explains more than that it was selected.
        selected = {test.field for at in rules for test in it.rules[at].tests}
        why = [signal.explain for signal in signals if self._scored[signal.name] in selected]
        alike = alike_correlation_key(self._bar, it.name, seen.activity)
        strength = correlations.strength_of(it, rules, seen)
        return correlated(it, row, why, seen.activity, case.events, alike, strength=strength)


def _is_passing(correlation: Correlation) -> bool:
    """Return whether nobody needs the rows of a correlation once their session or delegation has ended."""
    longest_ms = max(correlation.timespan_ms, correlation.latch_ms)
    return bool(_PASSING & {*correlation.group_by}) and not correlation.fields_by_rule and longest_ms <= SHORT_MS_MAX
