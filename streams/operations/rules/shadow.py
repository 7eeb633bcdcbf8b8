"""Counts what rules in shadow would have done to the calls on the log, each rule by itself.

It takes from the recorded verdicts which rules matched, so it needs no root key, and every fact is as the gate had it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from streams.model.bundle_files import files_of
from streams.model.control import RulesetBundle
from streams.model.reasons import Reason
from streams.model.topics import RULESET, VERDICT
from streams.model.types import tool_text
from streams.model.verdict import Outcome, RuleEffect, RuleMode, Verdict
from streams.operations.operator import Operator
from streams.operations.replay.run import Stretch
from streams.operations.rules.history import read_history
from streams.policy import bundle_from_files
from streams.policy.errors import Findings
from streams.policy.language.parse import parse_bundle
from streams.policy.results import Mode

CHANGES_MAX = 10_000
"""Calls that are kept; the others are only counted."""

_STRICTEST_FIRST = (Outcome.QUARANTINE, Outcome.DENY, Outcome.REQUIRE_APPROVAL, Outcome.DEFER, Outcome.ALLOW)


class ShadowChange(NamedTuple):
    """A call that a rule would have decided otherwise."""

    rule_id: str
    intent_id: str
    tenant_uid: str
    session_id: str
    time_ms: int
    tool: str
    before: str
    after: str


@dataclass
class ShadowCount:
    """What a rule in shadow would have done.

    Attributes:
        effect: what it asks for.
        matched: how many calls it matched.
        failed: on how many calls its condition could not be evaluated.
        changed: how many calls it would have decided otherwise, by their outcomes before and after.
    """

    effect: RuleEffect
    matched: int = 0
    failed: int = 0
    changed: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass
class ShadowReport:
    """What the rules in shadow would have done.

    Attributes:
        calls_count: how many calls were looked at.
        rules: the rules in shadow, by their ids: those of the rules in force, and those that have matched.
        changes: the calls that would have been decided otherwise, in order of time within each partition.
    """

    calls_count: int = 0
    rules: dict[str, ShadowCount] = field(default_factory=dict)
    changes: list[ShadowChange] = field(default_factory=list)


class _Call(msgspec.Struct):
    """A call, as far as it matters here; `matched` and `failed` have the rules in shadow, with their effects."""

    tool: str
    tenant_uid: str
    session_id: str
    first_ms: int
    reason: str = ""
    outcomes: list[Outcome] = []
    matched: dict[str, RuleEffect] = {}
    failed: dict[str, RuleEffect] = {}


def count_shadow(operator: Operator, name: str, stretch: Stretch) -> ShadowReport:
    """Count what the rules in shadow would have done. Blocking.

    Args:
        name: the bundle whose rules in shadow are listed even if they have matched nothing.
        stretch: which calls to look at, by the instants of their first verdicts.

    Raises:
        TopicReadError, LogError: a topic can't be read.
    """
    report = ShadowReport()
    in_shadow = _published(operator)
    history = read_history(operator, name)
    for standing in (history.stable, history.canary):
        for rule_id, effect in in_shadow.get(standing.bundle.digest, {}).items() if standing else ():
            report.rules.setdefault(rule_id, ShadowCount(effect))
    for (_, intent_id), call in _calls(operator, in_shadow).items():
        if stretch.takes(call.first_ms):
            _count(report, intent_id, call)
    return report


def _published(operator: Operator) -> dict[bytes, Mapping[str, RuleEffect]]:
    """Return the rules in shadow of each publication, by its digest."""
    found: dict[bytes, Mapping[str, RuleEffect]] = {}
    for _, record in operator.find(RULESET):
        if isinstance(record, RulesetBundle) and record.digest not in found:
            found[record.digest] = rules_in_shadow(record)
    return found


def rules_in_shadow(published: RulesetBundle) -> dict[str, RuleEffect]:
    """Return the rules in shadow of a bundle, by their ids; none if its files can't be read."""
    try:
        bundle = parse_bundle(bundle_from_files(files_of(published)), Findings())
    except ValueError:
        return {}
    rules = (rule for pack in (() if bundle is None else bundle.packs) for rule in pack.rules)
    return {rule.id: RuleEffect[rule.effect.name] for rule in rules if rule.mode is Mode.SHADOW}


def _calls(operator: Operator, in_shadow: Mapping[bytes, Mapping[str, RuleEffect]]) -> dict[tuple[bytes, str], _Call]:
    calls: dict[tuple[bytes, str], _Call] = {}
    for received, record in operator.find(VERDICT):
        if not isinstance(record, Verdict):
            continue
        name = (received.key or b"", record.intent_id)
        if name not in calls:
            calls[name] = _Call(
                tool_text(record.tool), record.header.tenant_uid, record.session_id, record.evaluated_at
            )
        call, shadow = calls[name], in_shadow.get(record.ruleset_digest or b"", {})
        call.reason = record.reason
        call.outcomes.append(record.outcome)
        call.matched.update({hit.rule_id: hit.effect for hit in record.rules if hit.mode is RuleMode.SHADOW})
        call.failed.update({each.rule_id: shadow[each.rule_id] for each in record.errors if each.rule_id in shadow})
    return calls


def _count(report: ShadowReport, intent_id: str, call: _Call) -> None:
    report.calls_count += 1
    for rule_id, effect in {**call.failed, **call.matched}.items():
        counted = report.rules.setdefault(rule_id, ShadowCount(effect))
        if rule_id in call.matched:
            counted.matched += 1
            after = _after(call, effect)
        else:
            counted.failed += 1
            # An error in any rule but a permit denies.
            after = None if effect is RuleEffect.PERMIT else _after(call, RuleEffect.DENY)
        if after is None:
            continue
        before = call.outcomes[-1]
        counted.changed[before.value, after.value] += 1
        if len(report.changes) < CHANGES_MAX:
            place = (intent_id, call.tenant_uid, call.session_id, call.first_ms, call.tool)
            report.changes.append(ShadowChange(rule_id, *place, before.value, after.value))


def _after(call: _Call, effect: RuleEffect) -> Outcome | None:
    """Return the outcome with the rule enforced; None if it stays: the call met what is as strict anyway."""
    if effect is RuleEffect.PERMIT:
        return Outcome.ALLOW if call.reason == Reason.NO_PERMIT else None
    wanted = Outcome[effect.name]
    return wanted if _STRICTEST_FIRST.index(wanted) < min(map(_STRICTEST_FIRST.index, call.outcomes)) else None
