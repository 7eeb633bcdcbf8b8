"""Runs other rules over recorded history, and lists the verdicts that would change, with the rule that changes them.

**Which verdicts are compared.** Those that the replay under the recorded rules makes again byte for byte. So whatever
changes under the other rules changes because of them.

**What is not known.** What happened after a verdict is as recorded: a call that would be allowed now has no result, and
nobody was asked about a call that would need an approval now.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from streams.history.replay import PartitionReplay
from streams.history.replayed import Replayed, ReplayPlan
from streams.model.control import RulesetBundle
from streams.model.reasons import Reason
from streams.model.types import tool_text
from streams.model.verdict import Outcome, RuleEffect, RuleMode, Verdict
from streams.operations.replay.recorded import RecordedLog
from streams.operations.replay.run import ReplaySetup, Stretch

CHANGES_MAX = 10_000
"""Changed intents that are kept; the others are only counted in their groups."""

_ENDS = {Outcome.ALLOW: RuleEffect.PERMIT, Outcome.DENY: RuleEffect.DENY, Outcome.QUARANTINE: RuleEffect.QUARANTINE}


class Decided(NamedTuple):
    """What an intent was given: the outcomes one after the other, and the reason and the rules of the last."""

    outcomes: tuple[Outcome, ...]
    reason: str
    rules: tuple[tuple[str, RuleEffect, RuleMode], ...]

    @property
    def told(self) -> str:
        """Return the outcomes for a person."""
        return " then ".join(outcome.value for outcome in self.outcomes)


class Group(NamedTuple):
    """Changes that have the same cause.

    Attributes:
        tool: the tool, as `server/name`.
        before, after: the outcomes.
        rule: the rule that makes the difference; the reason of the verdict if none does.
    """

    tool: str
    before: str
    after: str
    rule: str


class Change(NamedTuple):
    """An intent that would be decided otherwise."""

    intent_id: str
    tenant_uid: str
    session_id: str
    time_ms: int
    group: Group


@dataclass
class BacktestReport:
    """The outcome of a backtest.

    Attributes:
        compared_count: how many intents were compared.
        left_out_count: how many were not, because the recorded rules don't lead to their recorded verdicts.
        groups: how many intents change, by their cause.
        changes: the changes, in order of time within each partition.
    """

    compared_count: int = 0
    left_out_count: int = 0
    groups: Counter[Group] = field(default_factory=Counter)
    changes: list[Change] = field(default_factory=list)

    @property
    def changed_count(self) -> int:
        """Return how many intents would be decided otherwise."""
        return self.groups.total()


class _Intent(msgspec.Struct):
    tool: str
    tenant_uid: str
    session_id: str
    first_ms: int
    recorded: list[Verdict] = []
    made: list[Verdict] = []
    is_same: bool = True


def backtest(recorded: RecordedLog, setup: ReplaySetup, bundle: RulesetBundle, stretch: Stretch) -> BacktestReport:
    """Run a bundle over the recorded history of all partitions. Blocking.

    Args:
        recorded: the log.
        setup: the settings of the gates.
        bundle: the rules to try; it needs no signature.
        stretch: which intents to compare, by the instants of their first verdicts.

    Raises:
        TopicReadError, LogError: the log can't be read.
    """
    report = BacktestReport()
    as_it_was, otherwise = setup.plan(recorded), setup.plan(recorded, bundle=bundle)
    for number in range(recorded.partitions):
        intents = _recorded_intents(as_it_was, recorded, number)
        _run(otherwise, recorded, number, intents)
        for (_, intent_id), intent in intents.items():
            if stretch.takes((intent.recorded or intent.made)[0].evaluated_at):
                _compare(report, intent_id, intent)
    return report


def _recorded_intents(plan: ReplayPlan, recorded: RecordedLog, number: int) -> dict[tuple[bytes, str], _Intent]:
    """Replay a partition under the recorded rules. Return its intents with their recorded verdicts."""
    intents: dict[tuple[bytes, str], _Intent] = {}
    for each in PartitionReplay(plan, recorded.recording(number)).run():
        intent = _intent_of(each, intents)
        intent.is_same &= each.is_same
        if each.recorded is not None:
            _add(intent.recorded, each.recorded.verdict)
    return intents


def _run(plan: ReplayPlan, recorded: RecordedLog, number: int, intents: dict[tuple[bytes, str], _Intent]) -> None:
    for each in PartitionReplay(plan, recorded.recording(number)).run():
        if each.made is not None:
            _add(_intent_of(each, intents).made, each.made.verdict)


def _intent_of(each: Replayed, intents: dict[tuple[bytes, str], _Intent]) -> _Intent:
    verdict = each.verdict
    name = (each.key or b"", verdict.intent_id)
    if name not in intents:
        tool = tool_text(verdict.tool)
        intents[name] = _Intent(tool, verdict.header.tenant_uid, verdict.session_id, verdict.evaluated_at)
    return intents[name]


def _add(verdicts: list[Verdict], verdict: Verdict) -> None:
    """Add a verdict that is not the last one given again. What a comparison does not need is dropped."""
    if not verdicts or verdicts[-1].outcome is not verdict.outcome:
        verdicts.append(msgspec.structs.replace(verdict, args_json="", influences=()))


def _compare(report: BacktestReport, intent_id: str, intent: _Intent) -> None:
    if not intent.is_same or not intent.recorded:
        report.left_out_count += 1
        return
    report.compared_count += 1
    before, after = _decided(intent.recorded), _decided(intent.made)
    if Outcome.REQUIRE_APPROVAL not in before.outcomes and after.reason == Reason.APPROVAL_EXPIRED:
        # Nobody was asked, so nobody has decided.
        after = _decided(intent.made[:-1])
    if before.outcomes == after.outcomes:
        return
    group = Group(intent.tool, before.told, after.told or "no verdict", deciding_rule(before, after))
    report.groups[group] += 1
    if len(report.changes) < CHANGES_MAX:
        change = Change(intent_id, intent.tenant_uid, intent.session_id, intent.first_ms, group)
        report.changes.append(change)


def _decided(verdicts: list[Verdict]) -> Decided:
    if not verdicts:
        return Decided((), "", ())
    hits = {(rule.rule_id, rule.effect, rule.mode): None for verdict in verdicts for rule in verdict.rules}
    return Decided(tuple(verdict.outcome for verdict in verdicts), verdicts[-1].reason, tuple(hits))


def deciding_rule(before: Decided, after: Decided) -> str:
    """Return the rule that makes the difference, or the reason of the new verdict if no rule does.

    It is a rule that has come in and asks for the new outcome, or one that is gone and had asked for the old one.
    """
    new, gone = _asking(after, before), _asking(before, after)
    if new:
        return ", ".join(new)
    if gone:
        return f"without {', '.join(gone)}"
    return after.reason or "no verdict"


def _asking(decided: Decided, other: Decided) -> list[str]:
    """Return the enforced rules that ask for one of the outcomes, and did not do so in the other case."""
    wanted = {_ENDS[outcome] if outcome in _ENDS else RuleEffect[outcome.value] for outcome in decided.outcomes}
    strict = wanted - {RuleEffect.PERMIT}
    found = [
        rule
        for rule, effect, mode in decided.rules
        if mode is RuleMode.ENFORCE and (rule, effect, mode) not in other.rules and effect in (strict or wanted)
    ]
    return sorted(dict.fromkeys(found))
