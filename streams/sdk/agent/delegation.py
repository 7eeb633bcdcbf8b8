"""Delegate a grant: give another agent's session a part of one's own grant.

Importing this loads the library of signatures, which an agent that delegates nothing does not need.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from streams.delegation.attenuation import parts_of
from streams.delegation.digest import lineage_of, travelling
from streams.delegation.errors import GrantError
from streams.delegation.issuance import narrow, sign_hop
from streams.delegation.keys import GrantKey, hop_grant_key
from streams.delegation.subsumption import Steps
from streams.delegation.tools import compile_tool, is_narrower
from streams.delegation.verification import check_hop
from streams.model.delegation import (
    ArgumentConstraint,
    AuthorizationDetail,
    Budget,
    ConstraintType,
    Delegation,
    GrantBody,
    ToolGrant,
)
from streams.model.ids import sub_session_id
from streams.model.types import Actor, Header
from streams.sdk.agent.credential import SessionCredential
from streams.sdk.errors import DelegationError


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """The part of a grant that is delegated. None stands for everything the parent has.

    Attributes:
        scopes: a subset of the parent's.
        tools: tools, with bounds on their arguments (`bound`) that are no wider than the parent's.
        audience: servers, a subset of the parent's.
        ttl_ms: how long the grant lives, never longer than its parent.
        max_depth: the greatest depth of further delegations; with the new grant's own depth, there are none.
        may_act: the only actors it may be delegated to further.
        budget: how much may be spent under the grant.
        purpose: what it is for, as a text for people.
        cnf_jkt: thumbprint of the receiver's Ed25519 key (`Ed25519Key.jkt`), which its intents must be signed with.
    """

    scopes: tuple[str, ...] | None = None
    tools: tuple[ToolGrant, ...] | None = None
    audience: tuple[str, ...] | None = None
    ttl_ms: int | None = None
    max_depth: int | None = None
    may_act: tuple[str, ...] | None = None
    budget: Budget | None = None
    purpose: str | None = None
    cnf_jkt: str | None = None


EVERYTHING = Share()


def bound(argument: str, kind: ConstraintType, value: object) -> ArgumentConstraint:
    """Return a bound on an argument: `bound("/to", ConstraintType.WILDCARD, "*@example.com")`.

    Args:
        argument: JSON pointer.
        kind: the type of the bound.
        value: the type's parameter, a JSON value.
    """
    return ArgumentConstraint(argument=argument, type=kind, value_json=json.dumps(value))


def tool(name: str, *bounds: ArgumentConstraint) -> ToolGrant:
    """Return a tool with bounds on its arguments; without bounds, any arguments are allowed.

    Raises:
        DelegationError: the name is not of the form `server/name`.
    """
    server_id, slash, own_name = name.partition("/")
    if not (server_id and slash and own_name):
        raise DelegationError(f"`{name}` is not a tool; write `server/name`")
    return ToolGrant(server_id=server_id, name=own_name, constraints=bounds)


def hand_on(
    credential: SessionCredential,
    act: Actor,
    share: Share,
    *,
    uid: str,
    header: Header,
    session_id: str | None = None,
) -> Delegation:
    """Return a signed grant for another agent's session, as a part of the credential's grant.

    Args:
        act: the agent that receives it.
        share: the part that it conveys.
        uid: the new grant's id.
        header: the record's header; its time is the present instant.
        session_id: the receiver's session; by default the one that follows from this session and `uid`. Token services
            accept no other.

    Raises:
        DelegationError: the grant can't be delegated like this.
    """
    parent = credential.grant
    if parent is None:
        raise DelegationError(f"session `{credential.session_id}` has no grant to delegate")
    if parent.exp <= header.time:
        raise DelegationError(f"grant `{parent.uid}` has expired {header.time - parent.exp} ms ago")
    if share.ttl_ms is not None and share.ttl_ms <= 0:
        raise DelegationError(f"a grant can't live {share.ttl_ms} ms")
    key = _key(credential, parent)
    session_id = session_id or sub_session_id(parent.tenant_uid, credential.session_id, uid)
    try:
        body = _child(parent, act, share, uid=uid, session_id=session_id, now_ms=header.time)
        child = sign_hop(body, parent, key)
        check_hop(lineage_of(parent)[-1], child)
    except GrantError as error:
        raise DelegationError(
            f"grant `{parent.uid}` can't be delegated like this: {error.reason.value}: {error}"
        ) from error
    return travelling((*lineage_of(parent), child), header)


def _child(parent: GrantBody, act: Actor, share: Share, *, uid: str, session_id: str, now_ms: int) -> GrantBody:
    wanted = {
        "scopes": share.scopes,
        "audience": share.audience,
        "max_depth": share.max_depth,
        "may_act": share.may_act,
        "budget": share.budget,
        "purpose": share.purpose,
        "cnf_jkt": share.cnf_jkt,
        "authorization_details": None if share.tools is None else _details(parent, share.tools),
    }
    changes = {name: value for name, value in wanted.items() if value is not None}
    exp = parent.exp if share.ttl_ms is None else min(parent.exp, now_ms + share.ttl_ms)
    return narrow(parent, uid=uid, act=act, session_id=session_id, iat=now_ms, exp=exp, **changes)


def _details(parent: GrantBody, tools: Sequence[ToolGrant]) -> tuple[AuthorizationDetail, ...]:
    """Return the parent's details with these tools in place of its own: each in the first detail that has it."""
    placed: dict[int, list[ToolGrant]] = {}
    details = parts_of(parent).details
    for wanted in tools:
        compiled = compile_tool(wanted)
        found = (
            index
            for index, (_, own) in enumerate(details)
            if any(is_narrower(compiled, other, Steps()) for other in own)
        )
        index = next(found, None)
        if index is None:
            raise DelegationError(f"grant `{parent.uid}` does not allow `{wanted.server_id}/{wanted.name}` like this")
        placed.setdefault(index, []).append(wanted)
    own_details = parent.authorization_details
    return tuple(
        AuthorizationDetail(
            type=own_details[index].type,
            locations=own_details[index].locations,
            actions=own_details[index].actions,
            datatypes=own_details[index].datatypes,
            identifier=own_details[index].identifier,
            privileges=own_details[index].privileges,
            tools=tuple(chosen),
        )
        for index, chosen in sorted(placed.items())
    )


def _key(credential: SessionCredential, parent: GrantBody) -> GrantKey:
    own = credential.signing_key
    if parent.cnf_jkt is not None:
        if own is None or own.jkt != parent.cnf_jkt:
            raise DelegationError(f"grant `{parent.uid}` is bound to key `{parent.cnf_jkt}`, which is missing")
        return own
    return hop_grant_key(credential.secret)
