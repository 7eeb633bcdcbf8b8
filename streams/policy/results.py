"""The result of an evaluation. All of it is immutable and holds no reference to the ruleset."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec


class Effect(StrEnum):
    """The outcome for a call, named as in the verdict."""

    ALLOW = "ALLOW"
    DENY = "DENY"
    QUARANTINE = "QUARANTINE"
    REQUIRE_APPROVAL = "REQUIRE_APPROVAL"
    DEFER = "DEFER"


class RuleEffect(StrEnum):
    """The effect of a rule on a call that it matches."""

    PERMIT = "permit"
    DENY = "deny"
    REQUIRE_APPROVAL = "require_approval"
    DEFER = "defer"
    QUARANTINE = "quarantine"


class Mode(StrEnum):
    """How a rule is applied: a shadow rule is evaluated and recorded, but does not change the outcome."""

    ENFORCE = "enforce"
    SHADOW = "shadow"
    OFF = "off"


class Reason(StrEnum):
    """Why the outcome is what it is, as a stable code that programs can act on."""

    PERMITTED = "permitted"
    NO_PERMIT = "no_permit"
    RULE_DENIED = "rule_denied"
    RULE_ERROR = "rule_error"
    BUDGET_KEY_INVALID = "budget_key_invalid"
    QUARANTINED_BY_RULE = "quarantined_by_rule"
    APPROVAL_REQUIRED = "approval_required"
    DEFERRED_BY_RULE = "deferred_by_rule"


class RuleMatch(msgspec.Struct, frozen=True):
    """A rule that applies to the call and whose condition is true."""

    rule_id: str
    rule_version: str
    effect: RuleEffect
    mode: Mode
    reason: str


class RuleFailure(msgspec.Struct, frozen=True):
    """A rule that applies to the call and whose condition has no value; `text` says why."""

    rule_id: str
    text: str
    mode: Mode = Mode.ENFORCE


class Obligation(msgspec.Struct, frozen=True):
    """A duty of the executor that runs the call; `properties` is plain JSON."""

    id: str
    type: str
    properties: Mapping[str, Any]


GRANT_SCOPES = ("none", "task", "session")
"""For which further calls people may approve what a rule asks about, the narrowest scope first."""


class ApprovalSettings(msgspec.Struct, frozen=True):
    """The group that must approve, how many of its members, for how long, and what an approval is bound to.

    `grants` is the widest scope in which people may approve further calls, one of `GRANT_SCOPES`. In a result, `rules`
    are the rules that ask this group, as `id@version`.
    """

    group: str
    quorum: int
    ttl_ms: int
    bind: tuple[str, ...]
    rules: tuple[str, ...] = ()
    grants: str = "session"


class Explanation(msgspec.Struct, frozen=True):
    """The value of an expression that a rule names under `explain`; `value` is JSON text, or says why it has none."""

    rule_id: str
    name: str
    value: str


class ShadowOutcome(msgspec.Struct, frozen=True):
    """The outcome if shadow rules were enforced; `changed` tells whether it differs from the real outcome."""

    effect: Effect
    reason: Reason
    changed: bool


class PolicyResult(msgspec.Struct, frozen=True):
    """The result of the rules for one intent.

    `rules` and `errors` contain enforced and shadow rules, which `mode` distinguishes, ordered by rule id.
    `tags` are those of all enforced rules that matched, `decided_tags` those of the one that determines the outcome.
    `obligations`, `approval` and `defer_ms` come from enforced rules, and are set only if the outcome uses them.
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
    decided_tags: tuple[str, ...] = ()
