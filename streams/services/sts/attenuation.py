"""Computes the terms of a session's grant: never wider than what the source conveys and what the agent may have.

A request for more is rejected, not reduced. Where the request states nothing, the session gets what both allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from streams.delegation.attenuation import check_narrower, parts_of
from streams.delegation.errors import GrantError
from streams.delegation.tools import ANYTHING
from streams.delegation.verification import check_hop
from streams.model.delegation import AuthorizationDetail, DelegationOp, GrantBody
from streams.model.reasons import Reason
from streams.model.token_reasons import TokenReason
from streams.model.types import Actor
from streams.services.sts.authorization_details import configured_details
from streams.services.sts.errors import RefusedError, refuse
from streams.services.sts.request import ExchangeRequest
from streams.services.sts.settings import AgentSection

_MS_PER_S = 1_000
replace = msgspec.structs.replace

_REASONS: dict[Reason, TokenReason] = {
    Reason.DELEGATION_WIDENED_SCOPES: TokenReason.SCOPE_TOO_WIDE,
    Reason.DELEGATION_WIDENED_AUDIENCE: TokenReason.TARGET_TOO_WIDE,
    Reason.DELEGATION_WIDENED_TOOLS: TokenReason.TOOLS_TOO_WIDE,
    Reason.DELEGATION_WIDENED_ARGUMENTS: TokenReason.TOOLS_TOO_WIDE,
    Reason.DELEGATION_WIDENED_LIMITS: TokenReason.LIMITS_TOO_WIDE,
    Reason.DELEGATION_TOO_DEEP: TokenReason.DEPTH_TOO_GREAT,
    Reason.DELEGATION_OUTLIVES_PARENT: TokenReason.LIFE_TOO_LONG,
    Reason.DELEGATION_ACTOR_MISMATCH: TokenReason.ACTOR_NOT_ALLOWED,
}


class Share(NamedTuple):
    """What a source conveys. None for everything that it does not limit."""

    scopes: tuple[str, ...] | None
    audience: tuple[str, ...] | None
    details: tuple[AuthorizationDetail, ...] | None
    exp_ms: int
    may_act: tuple[str, ...] = ()


class Terms(NamedTuple):
    """The terms of a session's grant."""

    scopes: tuple[str, ...]
    audience: tuple[str, ...]
    details: tuple[AuthorizationDetail, ...]
    exp_ms: int
    max_depth: int
    may_act: tuple[str, ...]


def as_refusal(error: GrantError) -> RefusedError:
    """Return the refusal that corresponds to an error of a grant."""
    return refuse(_REASONS.get(error.reason, TokenReason.GRANT_INVALID), str(error))


def terms_of(
    asked: ExchangeRequest, share: Share, profile: AgentSection, *, depth: int, depth_max: int, now_ms: int
) -> Terms:
    """Compute the terms of the session.

    Args:
        share: what the source conveys.
        profile: what the agent may have.
        depth, depth_max: the grant's depth, and the greatest depth to which it may be delegated.

    Raises:
        RefusedError: the request asks for more, or it is ambiguous what both allow.
    """
    details = _details(asked.details, share, profile)
    max_depth, may_act = _limits(asked.max_depth, share.may_act, profile, depth, depth_max)
    return Terms(
        scopes=_scopes(asked.scopes, share.scopes, profile.scopes),
        audience=_audience(asked.audience, share.audience, _servers(profile), details),
        details=details,
        exp_ms=_life(asked.life_s, share.exp_ms, profile.ttl_ms, now_ms),
        max_depth=max_depth,
        may_act=may_act,
    )


def check_profile(body: GrantBody, profile: AgentSection, share: Share) -> None:
    """Check that a finished grant is within what its agent may have and its source conveys, as gates check it.

    Raises:
        RefusedError: the grant is wider.
    """
    wide = _bounds(body, tuple(profile.scopes), _servers(profile), configured_details(profile.tools))
    _check(wide, body)
    scopes = body.scopes if share.scopes is None else share.scopes
    audience = body.audience if share.audience is None else share.audience
    details = body.authorization_details if share.details is None else share.details
    _check(_bounds(body, scopes, audience, details), body)
    if body.exp > share.exp_ms:
        raise refuse(TokenReason.LIFE_TOO_LONG, "the session would outlive its source")


def check_child(parent: GrantBody, child: GrantBody) -> None:
    """Check a hop with its parent.

    Raises:
        RefusedError: it is not a hop of this parent, or is wider.
    """
    try:
        check_hop(parent, child)
    except GrantError as error:
        raise as_refusal(error) from None


def _bounds(
    body: GrantBody, scopes: tuple[str, ...], audience: tuple[str, ...], details: tuple[AuthorizationDetail, ...]
) -> GrantBody:
    return replace(body, scopes=scopes, audience=audience, authorization_details=details, may_act=(), budget=None)


def _check(wide: GrantBody, body: GrantBody) -> None:
    try:
        check_narrower(wide, parts_of(wide), body, parts_of(body))
    except GrantError as error:
        raise as_refusal(error) from None


def _scopes(asked: tuple[str, ...] | None, source: tuple[str, ...] | None, allowed: Sequence[str]) -> tuple[str, ...]:
    both = tuple(allowed) if source is None else tuple(name for name in source if name in allowed)
    if asked is None:
        return both
    beyond = [name for name in asked if name not in both]
    if beyond:
        raise refuse(TokenReason.SCOPE_TOO_WIDE, f"scope {beyond[0][:80]} is not available to this agent and subject")
    return asked


def _servers(profile: AgentSection) -> tuple[str, ...]:
    named = [tool.server for tool in profile.tools] if profile.servers is None else profile.servers
    return tuple(dict.fromkeys(named))


def _audience(
    asked: tuple[str, ...] | None,
    source: tuple[str, ...] | None,
    allowed: tuple[str, ...],
    details: tuple[AuthorizationDetail, ...],
) -> tuple[str, ...]:
    both = _common(allowed, allowed if source is None else source)
    if asked is None:
        named = {tool.server_id for detail in details for tool in detail.tools}
        return tuple(sorted(named)) if ANYTHING in both else tuple(name for name in both if name in named)
    beyond = [name for name in asked if name not in both and (ANYTHING not in both)]
    if beyond:
        raise refuse(TokenReason.TARGET_TOO_WIDE, f"server {beyond[0][:80]} is not available to this agent and subject")
    return asked


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    if ANYTHING in one:
        return other
    return one if ANYTHING in other else tuple(name for name in one if name in other)


def _details(
    asked: tuple[AuthorizationDetail, ...] | None, share: Share, profile: AgentSection
) -> tuple[AuthorizationDetail, ...]:
    """Return the details of the request, which `check_profile` checks; else the narrower of both, if one is."""
    allowed = configured_details(profile.tools)
    if asked is not None:
        try:
            parts_of(replace(_BLANK, authorization_details=asked))
        except GrantError as error:
            raise refuse(TokenReason.TOOLS_TOO_WIDE, f"authorization_details: {error}") from None
        return asked
    if share.details is None or share.details == allowed:
        return allowed
    for narrower, wider in ((share.details, allowed), (allowed, share.details)):
        if _is_within(narrower, wider):
            return narrower
    raise refuse(
        TokenReason.TOOLS_TOO_WIDE,
        "the tools of the source and those of the agent differ: state the tools in authorization_details",
    )


def _is_within(narrower: tuple[AuthorizationDetail, ...], wider: tuple[AuthorizationDetail, ...]) -> bool:
    one, other = (_bounds(_BLANK, (), (), details) for details in (narrower, wider))
    try:
        check_narrower(other, parts_of(other), one, parts_of(one))
    except GrantError:
        return False
    return True


_NOBODY = Actor(iss="", sub="")
_BLANK = GrantBody(
    op=DelegationOp.GRANT, tenant_uid="", uid="", root_uid="", depth=0, max_depth=0, issuer_uid="", sub="",
    delegator=_NOBODY, act=_NOBODY, iat=0, exp=0,
)  # fmt: skip


def _life(asked_s: int | None, source_ms: int, ttl_ms: int, now_ms: int) -> int:
    """Return the end of the session, in whole seconds as in tokens."""
    longest_ms = min(source_ms, now_ms + ttl_ms) // _MS_PER_S * _MS_PER_S
    if asked_s is None:
        end_ms = longest_ms
    else:
        end_ms = (now_ms // _MS_PER_S + asked_s) * _MS_PER_S
        if end_ms > longest_ms:
            left_s = max(0, longest_ms - now_ms) // _MS_PER_S
            raise refuse(TokenReason.LIFE_TOO_LONG, f"a session can live for at most {left_s} s")
    if end_ms <= now_ms:
        raise refuse(TokenReason.LIFE_TOO_LONG, "the source has expired, or is about to")
    return end_ms


def _limits(
    asked: int | None, given: tuple[str, ...], profile: AgentSection, depth: int, depth_max: int
) -> tuple[int, tuple[str, ...]]:
    """Return `max_depth`, which counts from the root, and `may_act`. An empty `given` permits delegation to anybody."""
    own = tuple(profile.may_act)
    may_act = tuple(name for name in given if name in own) if given and own else given or own
    reach = min(depth_max, depth + profile.max_depth)
    if given and own and not may_act:
        # No agent is allowed by both, so the grant can't be delegated.
        may_act, reach = given, depth
    if asked is not None and asked > reach:
        raise refuse(TokenReason.DEPTH_TOO_GREAT, f"the grant may be delegated to depth {reach} at most, not {asked}")
    if asked is not None and asked < depth:
        raise refuse(TokenReason.DEPTH_TOO_GREAT, f"the session itself is at depth {depth}")
    return reach if asked is None else asked, may_act
