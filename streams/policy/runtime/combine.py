"""Combines the rules that match, and those in error, to one outcome. The order of the rules doesn't matter.

The first of these that applies is the outcome: quarantine; deny; deny because of an error in an enforced rule other
than a permit; deny because no permit matches; approval; defer; allow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from streams.policy.language.bundle import Rule
from streams.policy.results import (
    GRANT_SCOPES,
    ApprovalSettings,
    Effect,
    Explanation,
    Mode,
    PolicyResult,
    Reason,
    RuleEffect,
    RuleFailure,
    RuleMatch,
    ShadowOutcome,
)

# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_ENFORCE = Mode.ENFORCE


class Progress(NamedTuple):
    """The progress of exactly this call: its approvals by group, and the time for which it has been deferred."""

    granted_by: Mapping[str, int] = {}
    waited_ms: int = 0


class Decision(NamedTuple):
    """An outcome with its reason, and the rule that determines it, if there is one."""

    effect: Effect
    reason: Reason
    rule: Rule | None


def progress_of(facts: Mapping[str, Any]) -> Progress:
    """Read the facts about approval and deferral. A fact that is missing or malformed counts as no progress."""
    approval, deferral = facts.get("approval"), facts.get("deferral")
    granted_by = approval.get("granted_by") if isinstance(approval, Mapping) and approval.get("granted") is True else {}
    waited_ms = deferral.get("waited_ms") if isinstance(deferral, Mapping) else 0
    return Progress(
        granted_by if isinstance(granted_by, Mapping) else {},
        waited_ms if type(waited_ms) is int else 0,
    )


def decide(matched: Sequence[Rule], failed: Iterable[Rule], progress: Progress) -> Decision:
    """Decide the outcome of rules, all of which are enforced.

    Args:
        matched: the rules whose condition is true, ordered by rule id.
        failed: the rules whose condition has no value, ordered by rule id.
        progress: approvals and waiting time, which satisfy approval and defer rules.
    """
    by_effect: dict[RuleEffect, Rule] = {}
    for rule in matched:
        by_effect.setdefault(rule.effect, rule)
    if RuleEffect.QUARANTINE in by_effect:
        return Decision(Effect.QUARANTINE, Reason.QUARANTINED_BY_RULE, by_effect[RuleEffect.QUARANTINE])
    if RuleEffect.DENY in by_effect:
        return Decision(Effect.DENY, Reason.RULE_DENIED, by_effect[RuleEffect.DENY])
    for rule in failed:
        if rule.effect is not RuleEffect.PERMIT:
            return Decision(Effect.DENY, Reason.RULE_ERROR, rule)
    if RuleEffect.PERMIT not in by_effect:
        return Decision(Effect.DENY, Reason.NO_PERMIT, None)
    for rule in matched:
        if rule.effect is RuleEffect.REQUIRE_APPROVAL and not _approved(rule, progress):
            return Decision(Effect.REQUIRE_APPROVAL, Reason.APPROVAL_REQUIRED, rule)
    for rule in matched:
        if rule.effect is RuleEffect.DEFER and progress.waited_ms < (rule.defer_ms or 0):
            return Decision(Effect.DEFER, Reason.DEFERRED_BY_RULE, rule)
    return Decision(Effect.ALLOW, Reason.PERMITTED, by_effect[RuleEffect.PERMIT])


def _approved(rule: Rule, progress: Progress) -> bool:
    if rule.approval is None:
        return False
    count = progress.granted_by.get(rule.approval.group)
    return type(count) is int and count >= rule.approval.quorum


def combine(
    matched: Sequence[Rule],
    failed: Sequence[tuple[Rule, str]],
    progress: Progress,
    tool_id: str,
    explanations: tuple[Explanation, ...] = (),
) -> PolicyResult:
    """Return the complete result.

    Args:
        matched: the enforced and shadow rules whose condition is true, ordered by rule id.
        failed: the rules whose condition has no value, with the reason, ordered by rule id.
        progress: see `decide`.
        tool_id: `server.name`, for the text of the reason.
        explanations: the values of named expressions of matched rules.
    """
    enforced = [rule for rule in matched if rule.mode is _ENFORCE]
    enforced_failed = [rule for rule, _ in failed if rule.mode is _ENFORCE]
    outcome = decide(enforced, enforced_failed, progress)
    shadow = None
    if len(enforced) != len(matched) or len(enforced_failed) != len(failed):
        would = decide(matched, [rule for rule, _ in failed], progress)
        shadow = ShadowOutcome(would.effect, would.reason, would.effect is not outcome.effect)
    runs = outcome.effect in (Effect.ALLOW, Effect.REQUIRE_APPROVAL, Effect.DEFER)
    return PolicyResult(
        outcome.effect,
        outcome.reason,
        _reason_text(outcome, failed, tool_id),
        tuple(RuleMatch(rule.id, rule.version, rule.effect, rule.mode, rule.reason) for rule in matched),
        tuple(RuleFailure(rule.id, text, rule.mode) for rule, text in failed),
        tuple(item for rule in enforced for item in rule.obligations) if runs else (),
        _approval(enforced, outcome) if outcome.effect is Effect.REQUIRE_APPROVAL else None,
        _defer_ms(enforced) if outcome.effect in (Effect.REQUIRE_APPROVAL, Effect.DEFER) else None,
        shadow,
        tuple(sorted({tag for rule in (*enforced, *enforced_failed) for tag in rule.tags})),
        explanations,
        () if outcome.rule is None else outcome.rule.tags,
    )


def _reason_text(outcome: Decision, failed: Sequence[tuple[Rule, str]], tool_id: str) -> str:
    if outcome.rule is None:
        return f"no rule permits `{tool_id}`"
    if outcome.reason is Reason.RULE_ERROR:
        text = next(text for rule, text in failed if rule is outcome.rule)
        return f"rule `{outcome.rule.id}` can't be evaluated: {text}"
    return outcome.rule.reason


def _approval(enforced: Sequence[Rule], outcome: Decision) -> ApprovalSettings | None:
    """Return the strictest settings of all rules of the first group that has not approved.

    If the rules name several groups, they are asked in turn: after one has approved, all rules are evaluated again, and
    the rules of the next group are not satisfied yet.
    """
    if outcome.rule is None or outcome.rule.approval is None:
        return None
    group = outcome.rule.approval.group
    asking = [rule for rule in enforced if rule.approval is not None and rule.approval.group == group]
    asked = [rule.approval for rule in asking if rule.approval is not None]
    bind = {name: None for settings in asked for name in settings.bind}
    return ApprovalSettings(
        group,
        max(settings.quorum for settings in asked),
        min(settings.ttl_ms for settings in asked),
        tuple(bind),
        tuple(f"{rule.id}@{rule.version}" for rule in asking),
        min((settings.grants for settings in asked), key=GRANT_SCOPES.index),
    )


def _defer_ms(enforced: Sequence[Rule]) -> int | None:
    return max((rule.defer_ms for rule in enforced if rule.defer_ms is not None), default=None)
