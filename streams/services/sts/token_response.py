"""The claims of a token, and the response that it is sent in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from streams.model.base64url import base64url
from streams.model.delegation import GrantBody
from streams.services.sts.authorization_details import details_json
from streams.services.sts.sources import TokenType

_MS_PER_S = 1_000
_encode = msgspec.json.Encoder().encode


def token_claims(grant: GrantBody, act: Mapping[str, object], token_id: str, issuer: str) -> dict[str, Any]:
    """Return the claims (RFC 9068), with `act` (RFC 8693), `cnf` (RFC 7800, RFC 9449) and `authorization_details`
    (RFC 9396).

    `cnf` names the key of the session: by its thumbprint if the agent has proven possession of it, else by the
    session's id, for the key that is derived from it.
    """
    claims = {
        "iss": issuer,
        "sub": grant.sub,
        "aud": [issuer, *grant.audience],
        "client_id": grant.act.sub,
        "iat": grant.iat // _MS_PER_S,
        "exp": grant.exp // _MS_PER_S,
        "jti": token_id,
        "sid": grant.session_id,
        "act": act,
        "cnf": {"kid": grant.session_id} if grant.cnf_jkt is None else {"jkt": grant.cnf_jkt},
        "scope": " ".join(grant.scopes),
        "authorization_details": details_json(grant.authorization_details),
        "tenant_uid": grant.tenant_uid,
        "delegation_uid": grant.uid,
        "purpose": grant.purpose,
        "txn": grant.txn,
    }
    return {name: value for name, value in claims.items() if value not in (None, "", [])}


def answer_members(
    lineage: tuple[GrantBody, ...], token: str, secret: bytes | None, atom_key: bytes, now_ms: int
) -> dict[str, Any]:
    """Return the response of RFC 8693 2.2.1, with what an agent needs besides: its session, its grant, the key under
    which it digests values of what the user says, and the session's key if the agent has none of its own.

    Args:
        lineage: the session's grant after all its ancestors.
        secret: the session's key; None if the agent has its own.
        atom_key: the user's key of `streams.provenance.extraction.digests`.
    """
    grant = lineage[-1]
    members: dict[str, Any] = {
        "access_token": token,
        "issued_token_type": TokenType.ACCESS_TOKEN.value,
        "token_type": "DPoP" if secret is None else "Bearer",
        "expires_in": max(0, grant.exp - now_ms) // _MS_PER_S,
        "scope": " ".join(grant.scopes),
        "authorization_details": details_json(grant.authorization_details),
        "tenant_uid": grant.tenant_uid,
        "session_id": grant.session_id,
        "sub": grant.sub,
        "act": {"iss": grant.act.iss, "sub": grant.act.sub, "sub_profile": grant.act.sub_profile.value},
        "expires_at_ms": grant.exp,
        "purpose": grant.purpose,
        "delegation_uid": grant.uid,
        "lineage": [base64url(_encode(body)) for body in lineage],
        "atom_key": base64url(atom_key),
    }
    if secret is not None:
        members["session_key"] = base64url(secret)
    return {name: value for name, value in members.items() if value not in (None, "")}
