"""The checks that a verdict must pass at an executor before anything runs. Pure: everything is an argument.

`FIELD_CHECKS` states for each field of a verdict how it is used here, so that a field that is added to the record can't
be overlooked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from streams.model.canonical import CanonicalError, canonical_args, sha256
from streams.model.keys import session_key_of
from streams.model.reasons import REFUSAL_TEXTS, Reason, Refusal
from streams.model.revocation_targets import Call
from streams.model.types import tool_text
from streams.model.verdict import Obligation, Outcome, Verdict, VerdictMode
from streams.sdk.tools import ToolRunner

CLOCK_SKEW_MS_MAX = 5_000
"""How far ahead of the executor's clock a verdict may have been made; beyond that, its expiry can't be judged."""

VERDICT_LIFE_MS_MAX = 3_600_000
"""The longest life that a gate can be configured to give a verdict; a verdict with a longer life is not a gate's."""

FIELD_CHECKS: Mapping[str, str] = {
    "header": "tenant: part of the key",
    "verdict_id": "single use",
    "intent_id": "reported",
    "session_id": "part of the key; revocations",
    "outcome": "must be ALLOW",
    "reason": "for people",
    "reason_text": "for people",
    "rules": "for people",
    "errors": "for people",
    "obligations": "all must be met",
    "sub": "revocations",
    "act": "revocations",
    "delegation_path": "revocations",
    "ancestor_session_ids": "revocations",
    "ancestor_actors": "revocations",
    "model": "revocations",
    "tool": "must be here, with this definition",
    "args_json": "what runs",
    "args_digest": "recomputed",
    "label": "for people",
    "influences": "for people",
    "signals": "for people",
    "ruleset_digest": "reported",
    "ruleset_offset": "for people",
    "session_sequence": "for people",
    "revocation_offset": "must have been read here, too",
    "attributes_offset": "for people",
    "baseline_version": "for people",
    "approval_id": "for people",
    "compensating_tool": "for people",
    "evaluated_at": "must not lie ahead, nor before the record of uses",
    "expires_at": "must lie ahead, within the longest life of a verdict",
    "audience": "must be this executor, if set",
    "reply_to": "for the agent",
    "mode": "must be ENFORCE",
    "origins": "for people",
    "atom_key": "digests the atoms of the result",
    "content_type": "says how the result is read for atoms",
    "compensating_args_json": "for people",
    "audit_leaf": "not used: the seal that follows a verdict proves it",
    "proof": "must be absent: the seal that follows a verdict proves it",
}
"""How an executor uses each field of a verdict."""


class ObligationError(Exception):
    """An obligation could not be met, so the call must not run."""


ObligationHandler = Callable[[Obligation, Verdict, Mapping[str, object]], None]
"""Meets an obligation before the call runs, given the verdict and the arguments. Raises ObligationError if it can't."""


class RevocationView(Protocol):
    """What is known about revocations."""

    def is_stale(self) -> bool: ...

    def caught_up(self, offset: int) -> bool: ...

    def reason_against(self, call: Call, now_ms: int) -> Reason | None: ...


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a call is not run: a stable code, and a text for people."""

    refusal: Refusal
    text: str


@dataclass(frozen=True, slots=True)
class Cleared:
    """A call that may run once, as soon as `meet_obligations` has met what the rules demand.

    Attributes:
        tool: the tool.
        args: the arguments that were judged.
        obligations: what the rules demand, each with its handler.
    """

    tool: ToolRunner
    args: Mapping[str, object]
    obligations: Sequence[tuple[Obligation, ObligationHandler]] = ()


@dataclass(frozen=True, kw_only=True)
class Standard:
    """What verdicts are checked with.

    Attributes:
        server_ids: the servers whose calls run here.
        audiences: more names that a verdict may be addressed to, besides the server ids.
        tools: `server/name` to tool.
        obligations: handlers by type.
    """

    server_ids: Collection[str]
    tools: Mapping[str, ToolRunner]
    revocations: RevocationView
    audiences: Collection[str] = ()
    obligations: Mapping[str, ObligationHandler] = field(default_factory=dict)
    clock_skew_ms: int = CLOCK_SKEW_MS_MAX


def check(verdict: Verdict, key: bytes | None, standard: Standard, now_ms: int) -> Cleared | Refused:
    """Return the verdict's call if it may run here and now, or else the first reason against it.

    This does not check whether the verdict was used before: claiming it settles that. Obligations are met after that
    (`meet_obligations`), so that their handlers are called once, and only for a call that nothing else is against. May
    wait until revocations have been read as far as the gate had read them.

    Args:
        key: the key of the verdict's record.
        now_ms: the executor's clock.
    """
    refused = (
        _check_address(verdict, key, standard)
        or _check_proof(verdict)
        or _check_tool(verdict, standard)
        or _check_time(verdict, standard, now_ms)
    )
    if refused is not None:
        return refused
    args = _judged_args(verdict)
    if args is None:
        return _refused(Refusal.ARGS_DIGEST_MISMATCH)
    refused = _check_obligations(verdict, standard) or _check_revocations(verdict, standard, now_ms)
    if refused is not None:
        return refused
    handlers = standard.obligations
    return Cleared(
        standard.tools[tool_text(verdict.tool)], args, [(each, handlers[each.type]) for each in verdict.obligations]
    )


def meet_obligations(verdict: Verdict, cleared: Cleared) -> Refused | None:
    """Call the handlers of a call's obligations, in their order; return why the call must not run, if one fails."""
    for obligation, handler in cleared.obligations:
        try:
            handler(obligation, verdict, cleared.args)
        except Exception as error:
            detail = f"`{obligation.type}` of `{obligation.id}` was not met: {error}"
            return _refused(Refusal.UNKNOWN_OBLIGATION, detail)
    return None


def is_for(verdict: Verdict, standard: Standard) -> bool:
    """Return whether the verdict concerns this executor: an enforced ALLOW of a call on one of its servers."""
    return verdict.outcome is Outcome.ALLOW and verdict.mode is VerdictMode.ENFORCE and _is_mine(verdict, standard)


def _refused(refusal: Refusal, detail: str = "") -> Refused:
    text = REFUSAL_TEXTS[refusal]
    return Refused(refusal, f"{text}: {detail}" if detail else text)


def has_own_key(verdict: Verdict, key: bytes | None) -> bool:
    """Return whether the key of a verdict's record is that of its tenant and session."""
    try:
        return key == session_key_of(verdict.header.tenant_uid, verdict.session_id)
    except ValueError:
        return False


def _check_address(verdict: Verdict, key: bytes | None, standard: Standard) -> Refused | None:
    if not has_own_key(verdict, key):
        return _refused(Refusal.KEY_MISMATCH)
    if verdict.outcome is not Outcome.ALLOW:
        return _refused(Refusal.NOT_ALLOWED, f"{verdict.outcome.value}, {verdict.reason}")
    if verdict.mode is not VerdictMode.ENFORCE:
        return _refused(Refusal.NOT_ENFORCED, verdict.mode.value)
    if not _is_mine(verdict, standard):
        return _refused(Refusal.NOT_MINE, f"server `{verdict.tool.server_id}`, audience `{verdict.audience}`")
    return None


def _is_mine(verdict: Verdict, standard: Standard) -> bool:
    if verdict.tool.server_id not in standard.server_ids:
        return False
    audience = verdict.audience
    return audience is None or audience in standard.server_ids or audience in standard.audiences


def _check_proof(verdict: Verdict) -> Refused | None:
    if verdict.proof is None:
        return None
    # A gate that proves its verdicts expects the proof to be checked; this executor has no key for that.
    return _refused(Refusal.UNREADABLE, "it carries a proof of its audit record, which can't be checked here")


def _check_tool(verdict: Verdict, standard: Standard) -> Refused | None:
    name = tool_text(verdict.tool)
    tool = standard.tools.get(name)
    if tool is None:
        return _refused(Refusal.UNKNOWN_TOOL, f"`{name}`")
    approved = verdict.tool.definition_digest
    if approved is None:
        return None
    try:
        live = tool.definition_digest()
    except Exception as error:
        return _refused(Refusal.DEFINITION_CHANGED, f"the definition of `{name}` can't be read: {error}")
    if live is not None and live != approved:
        detail = f"`{name}` is now {live.hex()[:16]}, approved was {approved.hex()[:16]}"
        return _refused(Refusal.DEFINITION_CHANGED, detail)
    return None


def _check_time(verdict: Verdict, standard: Standard, now_ms: int) -> Refused | None:
    if now_ms >= verdict.expires_at:
        return _refused(Refusal.VERDICT_EXPIRED, f"{now_ms - verdict.expires_at} ms ago")
    life_ms = verdict.expires_at - verdict.evaluated_at
    if life_ms > VERDICT_LIFE_MS_MAX:
        return _refused(Refusal.UNREADABLE, f"it lives for {life_ms} ms, at most {VERDICT_LIFE_MS_MAX} are possible")
    ahead_ms = verdict.evaluated_at - now_ms
    if ahead_ms > standard.clock_skew_ms:
        return _refused(Refusal.VERDICT_EXPIRED, f"it was made {ahead_ms} ms ahead of this clock: set the clock")
    return None


def _judged_args(verdict: Verdict) -> Mapping[str, object] | None:
    """Return the arguments in the verdict, if their digest is the one that was judged."""
    try:
        args, text = canonical_args(verdict.args_json)
    except CanonicalError:
        return None
    return args if sha256(text) == verdict.args_digest else None


def _check_obligations(verdict: Verdict, standard: Standard) -> Refused | None:
    for obligation in verdict.obligations:
        if obligation.type not in standard.obligations:
            return _refused(Refusal.UNKNOWN_OBLIGATION, f"`{obligation.type}` of `{obligation.id}`")
    return None


def _check_revocations(verdict: Verdict, standard: Standard, now_ms: int) -> Refused | None:
    revocations = standard.revocations
    if revocations.is_stale():
        return _refused(Refusal.REVOCATIONS_STALE)
    if not revocations.caught_up(verdict.revocation_offset):
        return _refused(Refusal.REVOCATIONS_STALE, f"the gate had read them up to {verdict.revocation_offset}")
    return refused_if_revoked(verdict, revocations, now_ms)


def refused_if_revoked(verdict: Verdict, revocations: RevocationView, now_ms: int) -> Refused | None:
    """Return whether the call is revoked, as far as is known."""
    reason = revocations.reason_against(stoppable(verdict), now_ms)
    return None if reason is None else _refused(Refusal.REVOKED, reason.value)


def stoppable(verdict: Verdict) -> Call:
    """Return everything that a revocation of the verdict's call can name."""
    return Call(
        tenant_uid=verdict.header.tenant_uid,
        session_id=verdict.session_id,
        sub=verdict.sub,
        act=verdict.act,
        delegation_uids=verdict.delegation_path,
        tool=verdict.tool,
        model=verdict.model,
        ancestor_session_ids=verdict.ancestor_session_ids,
        ancestor_actors=verdict.ancestor_actors,
        ruleset_digest=verdict.ruleset_digest,
    )
