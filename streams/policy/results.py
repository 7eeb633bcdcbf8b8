"""What an evaluation answers. All of it is immutable and free of references to the ruleset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Effect(StrEnum):
    """Outcomes, named as in the verdict."""

    ALLOW = "ALLOW"
    DENY = "DENY"
    QUARANTINE = "QUARANTINE"
    REQUIRE_APPROVAL = "REQUIRE_APPROVAL"
    DEFER = "DEFER"


class RuleEffect(StrEnum):
    """What a rule asks for when it matches."""

    PERMIT = "permit"
    DENY = "deny"
    REQUIRE_APPROVAL = "require_approval"
    DEFER = "defer"
    QUARANTINE = "quarantine"


class Mode(StrEnum):
    """Whether a rule counts: a shadow rule is evaluated and recorded, and changes nothing."""

    ENFORCE = "enforce"
    SHADOW = "shadow"
    OFF = "off"


class Reason(StrEnum):
    """Stable codes that a caller may act on."""

    PERMITTED = "permitted"
    NO_PERMIT = "no_permit"
    RULE_DENIED = "rule_denied"
    RULE_ERROR = "rule_error"
    QUARANTINED_BY_RULE = "quarantined_by_rule"
    APPROVAL_REQUIRED = "approval_required"
    DEFERRED_BY_RULE = "deferred_by_rule"


@dataclass(frozen=True, slots=True)
class RuleMatch:
    """A rule whose condition was true."""

    rule_id: str
    rule_version: str
    effect: RuleEffect
    mode: Mode
    reason: str


@dataclass(frozen=True, slots=True)
class RuleFailure:
    """A rule whose condition had no value, and why."""

    rule_id: str
    text: str
    mode: Mode = Mode.ENFORCE


@dataclass(frozen=True, slots=True)
class Obligation:
    """What whoever runs the call must do; `properties` is plain JSON."""

    id: str
    type: str
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ApprovalSettings:
    """Who must approve, how many of them, for how long, and what the approval is bound to."""

    group: str
    quorum: int
    ttl_ms: int
    bind: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The value of a rule's named sub-expression; `value` is JSON text, or why there is none."""

    rule_id: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class ShadowOutcome:
    """What the outcome would be if the shadow rules counted; `changed` tells whether it differs."""

    effect: Effect
    reason: Reason
    changed: bool


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """The answer of the rules for one intent.

    `rules` and `errors` hold enforced and shadow rules alike, told apart by `mode`, in order of rule id.
    `obligations`, `approval` and `defer_ms` are of enforced rules, and only there where the outcome can use them.
    """

    effect: Effect
    reason: Reason
    reason_text: str
    rules: tuple[RuleMatch, ...] = ()
    errors: tuple[RuleFailure, ...] = ()
    obligations: tuple[Obligation, ...] = ()
    approval: ApprovalSettings | None = None
    defer_ms: int | None = None
    shadow: ShadowOutcome | None = None
    tags: tuple[str, ...] = ()
    explanations: tuple[Explanation, ...] = ()
