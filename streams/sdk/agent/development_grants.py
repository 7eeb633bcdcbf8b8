"""The grants of the development token service. Importing this loads the library of signatures."""

from __future__ import annotations

from collections.abc import Sequence

from streams.delegation.anchors import HMAC, TrustAnchors
from streams.delegation.digest import travelling
from streams.delegation.errors import GrantError
from streams.delegation.issuance import sign_root
from streams.delegation.keys import root_grant_key
from streams.delegation.verification import Standard, verify
from streams.model.delegation import AuthorizationDetail, Delegation, DelegationOp, GrantBody, ToolGrant
from streams.model.types import Actor, Header, SubProfile
from streams.sdk.errors import TokenServiceError

TOOLS_DETAIL = "tools"


def root_grant(
    root_key: bytes,
    *,
    issuer: str,
    header: Header,
    session_id: str,
    sub: str,
    act: Actor,
    scopes: tuple[str, ...],
    tools: Sequence[ToolGrant],
    max_depth: int,
    purpose: str | None,
    expires_ms: int,
) -> Delegation:
    """Return the grant that a session is opened with: these tools, for one user and one agent."""
    uid = f"g-{header.id}"
    body = GrantBody(
        op=DelegationOp.GRANT,
        tenant_uid=header.tenant_uid,
        uid=uid,
        root_uid=uid,
        depth=0,
        max_depth=max_depth,
        issuer_uid=issuer,
        sub=sub,
        delegator=Actor(iss=issuer, sub=sub, sub_profile=SubProfile.USER),
        act=act,
        audience=tuple(sorted({tool.server_id for tool in tools})),
        session_id=session_id,
        scopes=scopes,
        authorization_details=(AuthorizationDetail(type=TOOLS_DETAIL, tools=tuple(tools)),),
        purpose=purpose,
        iat=header.time,
        exp=expires_ms,
    )
    return travelling((sign_root(body, root_grant_key(root_key, header.tenant_uid, issuer)),), header)


def check_handed_on(grant: Delegation, root_key: bytes, *, issuer: str, tenant_uid: str, now_ms: int) -> GrantBody:
    """Verify a delegated grant with its whole chain, and return its parent.

    Raises:
        TokenServiceError: the grant does not hold, or was not delegated.
    """
    standard = Standard(anchors=TrustAnchors.of({issuer: HMAC}), root_key=root_key)
    try:
        lineage = verify(grant, tenant_uid, grant.session_id or "", standard, now_ms)
    except GrantError as error:
        raise TokenServiceError(f"grant `{grant.uid[:80]}` does not hold: {error.reason.value}: {error}") from error
    if len(lineage) == 1:
        raise TokenServiceError(f"grant `{grant.uid}` was not delegated: its issuer opens its session")
    return lineage[-2]
