"""Fill in what a person leaves out of a grant in a history: fields that follow from its chain, and the proofs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from streams.delegation.digest import grant_digest, grant_message, lineage_of, travelling
from streams.delegation.errors import GrantError
from streams.delegation.keys import hop_grant_key, root_grant_key
from streams.model.delegation import Delegation, GrantBody
from streams.model.proof import session_secret

MAX_DEPTH = 4
_MADE = ("session_id", "parent_uid", "parent_digest", "proof")
_FOLLOWING = ("root_uid", "sub", "max_depth", "iat", "exp")


def fill_grant(value: dict[str, object], tenant_uid: str, session_id: str, time_ms: int) -> None:
    """Fill in the grant, and the ancestors in its `chain`."""
    chain = value.get("chain")
    ancestors = [dict(body) for body in chain if isinstance(body, dict)] if isinstance(chain, list) else []
    if isinstance(chain, list) and len(ancestors) == len(chain) and chain:
        value["chain"] = ancestors
    value.setdefault("session_id", session_id)
    bodies: list[dict[str, Any]] = [*ancestors, value]
    for depth, body in enumerate(bodies):
        body.setdefault("tenant_uid", tenant_uid)
        body.setdefault("depth", depth)
        body.setdefault("op", "GRANT")
        if depth:
            _follow(bodies[depth - 1], body)
            continue
        body.setdefault("max_depth", MAX_DEPTH)
        body.setdefault("iat", time_ms)
        if "uid" in body:
            body.setdefault("root_uid", body["uid"])
        if "sub" in body and "issuer_uid" in body:
            body.setdefault("delegator", {"iss": body["issuer_uid"], "sub": body["sub"], "sub_profile": "USER"})


def state_grant(value: dict[str, Any]) -> None:
    """Add to a grant's JSON, and to its ancestors', explicit values for empty fields that would otherwise be filled
    in."""
    for body in (*value.get("chain", ()), value):
        for name in _MADE:
            body.setdefault(name, None)


def prove_grant(record: Delegation, given: dict[str, object], root_key: bytes) -> Delegation:
    """Return the grant with the proofs that it does not mention: within one trust domain they follow from the root key.

    Args:
        given: the record's JSON as it is in the file.
    """
    chain = given.get("chain")
    stated: list[dict[str, Any]] = [*chain, given] if isinstance(chain, list) else [given]
    lineage: list[GrantBody] = []
    try:
        for body, said in zip(lineage_of(record), stated, strict=True):
            parent = lineage[-1] if lineage else None
            lineage.append(_completed(body, parent, said.keys(), root_key))
    except GrantError:
        # It has no canonical form, so nobody could have signed it, and the gate refuses it.
        return record
    return travelling(tuple(lineage), record.header)


def _follow(parent: dict[str, Any], body: dict[str, Any]) -> None:
    for name in _FOLLOWING:
        if name in parent:
            body.setdefault(name, parent[name])
    if "uid" in parent:
        body.setdefault("parent_uid", parent["uid"])
    giver = parent.get("act")
    if isinstance(giver, dict) and "sub" in giver:
        body.setdefault("issuer_uid", giver["sub"])
        body.setdefault("delegator", giver)


def _completed(body: GrantBody, parent: GrantBody | None, said: Collection[str], root_key: bytes) -> GrantBody:
    if parent is not None and "parent_digest" not in said:
        body = msgspec.structs.replace(body, parent_digest=grant_digest(parent))
    if "proof" in said:
        return body
    if parent is None:
        key = root_grant_key(root_key, body.tenant_uid, body.issuer_uid)
    else:
        key = hop_grant_key(session_secret(root_key, parent.tenant_uid, parent.session_id or ""))
    return msgspec.structs.replace(body, proof=key.prove(grant_message(body)))
