"""Makes grants: the root of a session, or the hop from one session to the next, never wider than the source."""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from streams.delegation.anchors import TrustAnchors
from streams.delegation.digest import travelling
from streams.delegation.errors import GrantError
from streams.delegation.issuance import narrow, sign_hop, sign_root
from streams.delegation.keys import hop_grant_key, root_grant_key
from streams.delegation.verification import Standard, verify
from streams.identity.single_use import Once
from streams.model.delegation import DelegationOp, GrantBody
from streams.model.ids import sub_session_id
from streams.model.proof import derived_uuid, session_secret
from streams.model.token_reasons import TokenReason
from streams.model.types import Actor, Header
from streams.sdk.entropy import Entropy
from streams.services.sts.attenuation import Share, Terms, as_refusal, check_child, check_profile, terms_of
from streams.services.sts.errors import refuse
from streams.services.sts.request import ExchangeRequest
from streams.services.sts.settings import AgentSection, StsSection
from streams.services.sts.store import Issued

_MS_PER_S = 1_000
_ID = re.compile("[A-Za-z0-9._~-]{8,128}")
replace = msgspec.structs.replace


class Origin(NamedTuple):
    """The source of a session, for all kinds of tokens.

    Attributes:
        source: the name of the user's source in the settings; None if it has been removed.
        parent: the session that delegates the grant, if one does.
        token: the name of the token in the audit record.
        seen_ms: when the user signed in, if the token says so.
        jkt: the key whose possession the presenter must prove, if the token is bound to one.
        act: the earlier actors.
    """

    tenant_uid: str
    sub: str
    delegator: Actor
    share: Share
    source: str | None
    parent: Issued | None
    purpose: str | None
    txn: str | None
    once: Once | None
    token: str
    seen_ms: int | None
    jkt: str | None
    act: dict[str, object] | None


class GrantMaker:
    """Makes and signs grants. Thread-safe."""

    def __init__(self, section: StsSection, root_key: bytes, entropy: Entropy) -> None:
        self._section = section
        self._root_key = root_key
        self._entropy = entropy
        self._standard = Standard(
            anchors=TrustAnchors(hmac_issuers=frozenset({section.issuer})),
            root_key=root_key,
            skew_ms=section.skew_ms,
            depth_max=section.depth_max,
        )

    def make(
        self, asked: ExchangeRequest, origin: Origin, actor: Actor, profile: AgentSection, now_ms: int
    ) -> tuple[GrantBody, ...]:
        """Return the signed grant of the session, after all its ancestors, checked against all limits.

        Args:
            actor: the agent that gets it, with the thumbprint of its proven key, if there is one.
            profile: what the agent may have.

        Raises:
            RefusedError: the grant would be wider, or is not allowed at all.
        """
        section = self._section
        ancestors = () if origin.parent is None else origin.parent.lineage
        depth = len(ancestors)
        reach = min(section.depth_max, ancestors[-1].max_depth if ancestors else section.depth_max)
        if depth > reach:
            raise refuse(
                TokenReason.DEPTH_TOO_GREAT, f"the grant of the subject token can't be delegated beyond depth {reach}"
            )
        terms = terms_of(asked, origin.share, profile, depth=depth, depth_max=reach, now_ms=now_ms)
        if origin.parent is None:
            body = self._root(asked, origin, actor, terms, now_ms)
        elif asked.grant is not None:
            body = self._signed_by_holder(asked.grant, origin.parent, actor, terms)
        else:
            body = self._hop(asked, origin.parent, actor, terms, now_ms)
        check_profile(body, profile, origin.share)
        lineage = (*ancestors, body)
        self._check_as_gates_do(lineage, now_ms)
        return lineage

    def _root(self, asked: ExchangeRequest, origin: Origin, actor: Actor, terms: Terms, now_ms: int) -> GrantBody:
        issuer, uid = self._section.issuer, self._uid("g", now_ms)
        body = GrantBody(
            op=DelegationOp.GRANT,
            tenant_uid=origin.tenant_uid,
            uid=uid,
            root_uid=uid,
            depth=0,
            max_depth=terms.max_depth,
            issuer_uid=issuer,
            sub=origin.sub,
            delegator=origin.delegator,
            act=actor,
            may_act=terms.may_act,
            audience=terms.audience,
            session_id=self._uid("s", now_ms),
            txn=origin.txn,
            scopes=terms.scopes,
            authorization_details=terms.details,
            purpose=_purpose(asked.purpose, origin.purpose),
            iat=now_ms,
            exp=terms.exp_ms,
            cnf_jkt=actor.jkt,
        )
        return sign_root(body, root_grant_key(self._root_key, origin.tenant_uid, issuer))

    def _hop(self, asked: ExchangeRequest, parent: Issued, actor: Actor, terms: Terms, now_ms: int) -> GrantBody:
        uid = self._uid("g", now_ms)
        body = narrow(
            parent.grant,
            uid=uid,
            act=actor,
            session_id=sub_session_id(parent.tenant_uid, parent.session_id, uid),
            iat=now_ms,
            exp=terms.exp_ms,
            scopes=terms.scopes,
            audience=terms.audience,
            authorization_details=terms.details,
            max_depth=terms.max_depth,
            may_act=terms.may_act,
            purpose=_purpose(asked.purpose, parent.grant.purpose),
            cnf_jkt=actor.jkt,
        )
        check_child(parent.grant, body)
        secret = session_secret(self._root_key, parent.tenant_uid, parent.session_id)
        return sign_hop(body, parent.grant, hop_grant_key(secret))

    def _signed_by_holder(self, grant: GrantBody, parent: Issued, actor: Actor, terms: Terms) -> GrantBody:
        """Check a hop that the holder has signed: it must be for the requesting agent, and within its settings."""
        check_child(parent.grant, grant)
        is_for = replace(grant.act, jkt=None) == replace(actor, jkt=None) and grant.act.jkt in (None, actor.jkt)
        if not is_for or grant.cnf_jkt != actor.jkt:
            raise refuse(TokenReason.ACTOR_NOT_ALLOWED, "grant is for another agent or key than those of the request")
        if grant.max_depth > terms.max_depth:
            raise refuse(TokenReason.DEPTH_TOO_GREAT, f"grant may be delegated to depth {terms.max_depth} at most")
        if grant.exp // _MS_PER_S * _MS_PER_S > terms.exp_ms:
            raise refuse(TokenReason.LIFE_TOO_LONG, "grant lives longer than this agent's sessions may")
        if grant.max_depth > grant.depth and not _is_among(grant.may_act, terms.may_act):
            raise refuse(
                TokenReason.LIMITS_TOO_WIDE, "grant may be delegated to agents that this agent may not delegate to"
            )
        # The purpose must not be omitted either: rules may permit more without one.
        if _purpose(grant.purpose, parent.grant.purpose) != grant.purpose:
            raise refuse(TokenReason.LIMITS_TOO_WIDE, "grant omits the purpose of the session")
        if not _ID.fullmatch(grant.uid):
            raise refuse(TokenReason.GRANT_INVALID, "the id of grant must have 8 to 128 letters, digits, or . _ ~ -")
        if grant.session_id != sub_session_id(parent.tenant_uid, parent.session_id, grant.uid):
            text = "session_id of grant is not the one that follows from its uid and its parent's session"
            raise refuse(TokenReason.GRANT_INVALID, text)
        return grant

    def _check_as_gates_do(self, lineage: tuple[GrantBody, ...], now_ms: int) -> None:
        """Check the grant as gates do: a grant that they would reject must not be written."""
        grant = lineage[-1]
        header = Header(id=derived_uuid("grant", grant.uid), source="", time=now_ms, tenant_uid=grant.tenant_uid)
        try:
            verify(travelling(lineage, header), grant.tenant_uid, grant.session_id or "", self._standard, now_ms)
        except GrantError as error:
            raise as_refusal(error) from None

    def _uid(self, kind: str, now_ms: int) -> str:
        return f"{kind}-{self._entropy.uuid(now_ms)}"


def _purpose(asked: str | None, stated: str | None) -> str | None:
    """Return the purpose. The agent can't change one that the source or session states."""
    if asked and stated and asked != stated:
        raise refuse(TokenReason.LIMITS_TOO_WIDE, "the subject token has another purpose than the requested one")
    return stated or asked


def _is_among(given: tuple[str, ...], allowed: tuple[str, ...]) -> bool:
    """Return whether delegation is limited to allowed agents; without names it is not limited."""
    return not allowed or (bool(given) and set(given) <= set(allowed))
