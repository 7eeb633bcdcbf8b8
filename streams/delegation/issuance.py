"""Make grants: a root by a token service, a hop by the holder of the parent's key."""

from __future__ import annotations

from typing import Any

import msgspec

from streams.delegation.digest import body_of, grant_digest, grant_message
from streams.delegation.errors import GrantError
from streams.delegation.keys import GrantKey
from streams.model.delegation import DelegationOp, GrantBody
from streams.model.reasons import Reason
from streams.model.types import Actor

replace = msgspec.structs.replace


def sign_root(body: GrantBody, key: GrantKey) -> GrantBody:
    """Return the root grant with its issuer's proof, which replaces any other.

    Args:
        body: a grant with depth 0, its own uid as `root_uid`, and no parent.
        key: `root_grant_key(...)`, or an `Ed25519Key` that the gates have as a trust anchor of the issuer.

    Raises:
        GrantError: the grant is not a root.
    """
    body = body_of(body)
    if body.depth or body.root_uid != body.uid or body.parent_uid is not None or body.parent_digest is not None:
        raise GrantError(
            Reason.DELEGATION_CHAIN_BROKEN,
            f"`{body.uid}` is not a root: it must have depth 0, itself as root, and no parent",
        )
    return _signed(body, key)


def sign_hop(body: GrantBody, parent: GrantBody, key: GrantKey) -> GrantBody:
    """Return a grant that delegates (a part of) `parent`, bound to it and signed by its holder.

    Fields that bind it (`parent_uid`, `root_uid`, `parent_digest`, `depth`) are filled in. This does not check that it
    is narrower: `narrow` makes it so, and every gate checks it.

    Args:
        body: the grant, as made by `narrow`.
        parent: the complete parent, its proof included.
        key: the `Ed25519Key` of the parent's `cnf_jkt`; of a parent without one, `hop_grant_key` of its session.

    Raises:
        GrantError: the parent has no proof.
    """
    parent = body_of(parent)
    if parent.proof is None:
        raise GrantError(Reason.DELEGATION_SIGNATURE_INVALID, f"the parent `{parent.uid}` has no proof")
    bound = replace(
        body_of(body),
        parent_uid=parent.uid,
        root_uid=parent.root_uid,
        parent_digest=grant_digest(parent),
        depth=parent.depth + 1,
    )
    return _signed(bound, key)


def narrow(
    parent: GrantBody, *, uid: str, act: Actor, session_id: str, iat: int, exp: int | None = None, **changes: Any
) -> GrantBody:
    """Return a child of `parent` that conveys the same, except for what `changes` narrow. It is not signed yet.

    Args:
        uid: its id, never used before.
        act: the actor that receives it.
        session_id: the session it is for.
        iat: the present instant, ms; an instant before the parent's counts as the parent's.
        exp: when it expires, ms; by default with the parent.
        changes: any other fields of the grant.
    """
    fields: dict[str, Any] = {
        "op": DelegationOp.GRANT,
        "uid": uid,
        "parent_uid": parent.uid,
        "depth": parent.depth + 1,
        "issuer_uid": parent.act.sub,
        "delegator": parent.act,
        "act": act,
        "session_id": session_id,
        "iat": max(iat, parent.iat),
        "nbf": None,
        "exp": parent.exp if exp is None else exp,
        "cnf_jkt": None,
        "proof": None,
    }
    return replace(body_of(parent), parent_digest=grant_digest(parent), **(fields | changes))


def _signed(body: GrantBody, key: GrantKey) -> GrantBody:
    return replace(body, proof=key.prove(grant_message(body)))
