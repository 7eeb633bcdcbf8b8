"""Lets agents revoke (RFC 7009) and introspect (RFC 7662) their own tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streams.model.token_reasons import TokenReason
from streams.model.types import Actor
from streams.services.sts.errors import RefusedError, refuse
from streams.services.sts.exchange import TokenService
from streams.services.sts.request import Form
from streams.services.sts.sources import TokenType
from streams.services.sts.store import Issued
from streams.services.sts.token_response import token_claims

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TOKEN = "token"  # noqa: S105 - its name in errors
_TRANSIENT = frozenset({TokenReason.LOG_UNAVAILABLE, TokenReason.KEYS_UNAVAILABLE, TokenReason.TOO_MANY_REQUESTS})


def revoke(service: TokenService, form: Form, *, dpop: str | None, url: str) -> None:
    """End the session of a token on the log, so that it can't be delegated any more. An invalid token is not an error.

    Args:
        dpop: the proof of the agent's own key, which is needed if the session is bound to it.
        url: the URL of the request, as clients see it.

    Raises:
        RefusedError: the token was issued to another agent.
    """
    actor = _client(service, form, dpop, url)
    issued = _issued(service, form)
    if issued is None:
        return
    if not _is_of(issued, actor):
        raise refuse(TokenReason.CLIENT_MISMATCH, "the token was issued to another agent")
    if issued.grant.cnf_jkt not in (None, actor.jkt):
        raise refuse(TokenReason.PROOF_MISSING, f"{TOKEN} is bound to a key whose possession was not proven (DPoP)")
    service.end(issued)


def show(service: TokenService, form: Form, *, dpop: str | None, url: str) -> Mapping[str, Any]:
    """Return the claims of a token to the agent that it was issued to. For others, the token counts as inactive.

    Args:
        dpop: the proof of the agent's own key, if its token is bound to one.
        url: the URL of the request, as clients see it.

    Raises:
        RefusedError: the client is not a configured agent.
    """
    actor = _client(service, form, dpop, url)
    issued = _issued(service, form)
    if issued is None or not _is_of(issued, actor) or service.is_revoked(issued):
        return {"active": False}
    claims = token_claims(issued.grant, issued.act, issued.token_id, service.issuer)
    return {"active": True, "token_type": "Bearer" if issued.grant.cnf_jkt is None else "DPoP", **claims}


def _client(service: TokenService, form: Form, dpop: str | None, url: str) -> Actor:
    """Return the client (RFC 7523 2.2)."""
    if form.one("client_assertion_type") != ASSERTION_TYPE:
        raise refuse(TokenReason.REQUEST_MALFORMED, f"client_assertion_type must be {ASSERTION_TYPE}")
    return service.client(form.needed("client_assertion"), TokenType.JWT, dpop=dpop, url=url)


def _issued(service: TokenService, form: Form) -> Issued | None:
    try:
        return service.own_token(form.needed(TOKEN), TOKEN)
    except RefusedError as error:
        if error.reason in _TRANSIENT or error.reason is TokenReason.REQUEST_MALFORMED:
            raise
        return None


def _is_of(issued: Issued, actor: Actor) -> bool:
    act = issued.grant.act
    return (act.iss, act.sub) == (actor.iss, actor.sub)
