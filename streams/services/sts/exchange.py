"""The token exchange: from a subject token and an agent's token to a session with a narrower grant.

The order of checks: first what needs no keys, then signatures, then what the tokens allow, then single use, and last
the log. For a refused request, only the record of the refusal is written.
"""

from __future__ import annotations

import hmac
from typing import Any, NamedTuple

import msgspec

from streams.http.limits import RateLimit
from streams.identity.dpop import ShownKey, shown_key
from streams.identity.jose import TOKEN_CHARS_MAX, take_apart, text_claim, verified
from streams.identity.keyring import ALGORITHM
from streams.identity.single_use import Once
from streams.model.canonical import sha256
from streams.model.delegation import GrantBody
from streams.model.proof import session_secret
from streams.model.revocation_targets import Call
from streams.model.token_reasons import TokenReason
from streams.model.types import Actor, Model, ToolRef
from streams.provenance.extraction.digests import atom_key
from streams.sdk.agent.token_exchange import exchange_proof
from streams.services.sts.attenuation import Share
from streams.services.sts.errors import RefusedError, refuse, token_errors_refused
from streams.services.sts.grants import GrantMaker, Origin
from streams.services.sts.parts import Parts
from streams.services.sts.request import ExchangeRequest
from streams.services.sts.session_writer import Opening, Refusal
from streams.services.sts.settings import ANY_AGENT, AgentSection
from streams.services.sts.sources import (
    ACTOR,
    SUBJECT,
    Agent,
    Subject,
    TokenType,
    check_audience,
    check_times,
    check_typ,
)
from streams.services.sts.store import Issued
from streams.services.sts.token_response import answer_members, token_claims

_LIFE_MAX_MS = 86_400_000
replace = msgspec.structs.replace
_NO_TOOL = ToolRef(server_id="", name="")
_NO_MODEL = Model(ai_provider="", name="")
"""Gates check revocations of tools and models for each call."""


class Answer(NamedTuple):
    """The response to the client, as JSON."""

    members: dict[str, Any]

    def __repr__(self) -> str:
        """Without the session's key."""
        return f"Answer({self.members.get('session_id')})"


class TokenService:
    """Exchanges tokens. Thread-safe; every call blocks on the log and on keys of issuers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        section = parts.section
        self._profiles = {(a.issuer, a.sub): a for a in section.agents.values()}
        self._names = frozenset(agent.sub for agent in section.agents.values())
        self._per_agent = RateLimit(section.per_agent_per_minute, parts.entropy.monotonic_ms)
        self._per_subject = RateLimit(section.per_subject_per_minute, parts.entropy.monotonic_ms)
        self._grants = GrantMaker(section, parts.root_key, parts.entropy)

    def exchange(self, asked: ExchangeRequest, *, dpop: str | None, url: str, traceparent: str | None = None) -> Answer:
        """Open a session.

        Args:
            dpop: the proof of the agent's own key, if the request has one.
            url: the URL of the request, as clients see it.

        Raises:
            RefusedError: the session is not opened; the refusal has been recorded.
        """
        known = _Known(self._parts.tenant_uid)
        try:
            return self._exchange(asked, dpop, url, traceparent, known)
        except RefusedError as error:
            refusal = Refusal(error.reason, error.description, known.tenant_uid, known.sub, known.act)
            self._parts.ledger.refused(refusal)
            error.is_on_record = True
            raise

    def refused(self, error: RefusedError) -> None:
        """Record the refusal of a request that could not be read."""
        self._parts.ledger.refused(Refusal(error.reason, error.description, self._parts.tenant_uid))
        error.is_on_record = True

    def _exchange(
        self, asked: ExchangeRequest, dpop: str | None, url: str, traceparent: str | None, known: _Known
    ) -> Answer:
        parts = self._parts
        now_ms = parts.now_ms()
        if _signed(asked.subject_token) == _signed(asked.actor_token):
            raise refuse(TokenReason.ACTOR_NOT_ALLOWED, f"one token can't be both {SUBJECT} and {ACTOR}")
        agent = parts.sources.agent(asked.actor_token, asked.actor_type)
        known.act = agent.actor
        # A used token, which somebody else may have, must not use up the agent's rate limit.
        self._check_unused(agent.once)
        _take(self._per_agent, f"{agent.actor.iss} {agent.actor.sub}", "this agent")
        profile = self._profile(agent.actor)
        shown = self._shown(dpop, url)
        if shown is None and profile.bound:
            raise refuse(TokenReason.PROOF_MISSING, "this agent must prove possession of a key of its own (DPoP)")
        jkt = None if shown is None else shown.jkt
        origin = self._origin(asked, agent, jkt)
        known.tenant_uid, known.sub = origin.tenant_uid, origin.sub
        self._check_unused(origin.once)
        # One agent must not use up the rate limit of others.
        by, of = agent.actor, f"{origin.tenant_uid} {origin.sub}"
        _take(self._per_subject, f"{by.iss} {by.sub} {of}", "this agent for this subject")
        if asked.attended:
            self._check_attended(origin, now_ms)
        if profile.sources and origin.source not in profile.sources:
            raise refuse(TokenReason.ACTOR_NOT_ALLOWED, "this agent may not act for users of this source")
        for what, bound_to in ((ACTOR, agent.jkt), (SUBJECT, origin.jkt)):
            _check_bound(what, bound_to, jkt)
        lineage = self._grants.make(asked, origin, replace(agent.actor, jkt=jkt), profile, now_ms)
        self._check_revoked(lineage)
        issued, token = self._issue(lineage, origin)
        self._use_up(agent, origin, shown, lineage[-1])
        # The claim on the tokens waits for the log, for some seconds at worst.
        self._check_revoked(lineage)
        parent_id = None if origin.parent is None else origin.parent.session_id
        source = f"from {origin.token}"
        parts.ledger.open_session(Opening(lineage, asked.attended, parent_id, source, traceparent, asked.opened_with))
        parts.store.add(issued)
        secret = None if shown is not None else session_secret(parts.root_key, issued.tenant_uid, issued.session_id)
        digests_key = atom_key(parts.root_key, issued.tenant_uid, lineage[-1].sub)
        return Answer(answer_members(lineage, token, secret, digests_key, parts.now_ms()))

    def _profile(self, actor: Actor) -> AgentSection:
        found = self._profiles.get((actor.iss, actor.sub))
        if found is None and actor.sub not in self._names:
            found = self._profiles.get((actor.iss, ANY_AGENT))
        if found is None:
            raise refuse(TokenReason.AGENT_UNKNOWN, "no agent with this issuer and name is configured")
        return found

    @token_errors_refused()
    def _origin(self, asked: ExchangeRequest, agent: Agent, jkt: str | None) -> Origin:
        unverified = take_apart(asked.subject_token, SUBJECT)
        if asked.subject_type is TokenType.ACCESS_TOKEN and unverified.claims.get("iss") == self._parts.section.issuer:
            return self._own(asked, jkt)
        if asked.grant is not None or asked.proof is not None:
            raise refuse(
                TokenReason.REQUEST_MALFORMED, "grant and subject_proof can only be used with tokens of this service"
            )
        subject = self._parts.sources.subject(asked.subject_token, asked.subject_type)
        _check_actor(subject, agent.actor, is_listed=agent.actor.sub in self._names)
        return Origin(
            tenant_uid=subject.tenant_uid,
            sub=subject.sub,
            delegator=subject.user,
            share=Share(subject.scopes, None, subject.details, subject.exp_ms),
            source=subject.source,
            parent=None,
            purpose=subject.purpose,
            txn=subject.txn,
            once=subject.once,
            token=subject.token,
            seen_ms=subject.seen_ms,
            jkt=subject.jkt,
            act=subject.act,
        )

    @property
    def issuer(self) -> str:
        """Return the service's own `iss`."""
        return self._parts.section.issuer

    def client(self, token: str, kind: TokenType, *, dpop: str | None, url: str) -> Actor:
        """Return the agent that a client assertion identifies, with its proven key. Use up single-use tokens.

        Raises:
            RefusedError: the assertion is invalid, or the agent is not configured.
        """
        agent = self._parts.sources.agent(token, kind)
        self._check_unused(agent.once)
        _take(self._per_agent, f"{agent.actor.iss} {agent.actor.sub}", "this agent")
        self._profile(agent.actor)
        shown = self._shown(dpop, url)
        jkt = None if shown is None else shown.jkt
        _check_bound("client_assertion", agent.jkt, jkt)
        given = [once for once in (agent.once, None if shown is None else shown.once) if once is not None]
        if given:
            self._use_once(given)
        return replace(agent.actor, jkt=jkt)

    @token_errors_refused()
    def _shown(self, dpop: str | None, url: str) -> ShownKey | None:
        if dpop is None:
            return None
        parts = self._parts
        return shown_key(dpop, method="POST", url=url, now_ms=parts.now_ms(), skew_ms=parts.section.skew_ms)

    def end(self, issued: Issued) -> None:
        """End a session, on the log.

        Raises:
            RefusedError: it is not known whether the end is on the log.
        """
        self._parts.ledger.end_session(issued.grant, self._parts.now_ms())
        self._parts.store.revoke(issued.token_id)

    def is_revoked(self, issued: Issued) -> bool:
        """Return whether the session, or a grant of its chain, has been revoked.

        Raises:
            RefusedError: the revocations in force are not known.
        """
        try:
            self._check_revoked(issued.lineage)
        except RefusedError as error:
            if error.reason is TokenReason.REVOKED:
                return True
            raise
        return False

    @token_errors_refused()
    def own_token(self, token: str, what: str) -> Issued:
        """Return the session of a token of this service.

        Raises:
            RefusedError: it is not a valid token of this service, or its session is over.
        """
        parts = self._parts
        now_ms = parts.now_ms()
        unverified = take_apart(token, what)
        check_typ(unverified, frozenset({"at+jwt"}), what)
        claims = verified(unverified, parts.keys.find, (ALGORITHM,), what)
        if claims.get("iss") != parts.section.issuer:
            raise refuse(TokenReason.ISSUER_UNKNOWN, f"{what} was not issued by this service")
        check_audience(claims, [parts.section.issuer], what)
        check_times(claims, now_ms, parts.section.skew_ms, _LIFE_MAX_MS, what)
        issued = parts.store.find(text_claim(claims, "jti", what))
        if issued is None or issued.revoked or issued.exp_ms <= now_ms:
            raise refuse(TokenReason.SESSION_OVER, f"the session of {what} is over")
        return issued

    def _own(self, asked: ExchangeRequest, jkt: str | None) -> Origin:
        """Return the origin for a session that delegates its grant. The delegating agent must have the session's key:
        it has signed the next hop with it (`grant`, which is checked later), or sends a proof."""
        parts = self._parts
        issued = self.own_token(asked.subject_token, SUBJECT)
        parent = issued.grant
        for body in issued.lineage:
            # An agent that has been removed from the settings can't delegate, nor can those that it delegated to.
            self._profile(body.act)
        once = None if asked.grant is not None else self._check_proof(asked, parent, jkt)
        return Origin(
            tenant_uid=parent.tenant_uid,
            sub=parent.sub,
            delegator=parent.act,
            share=Share(parent.scopes, parent.audience, parent.authorization_details, parent.exp, parent.may_act),
            source=parts.sources.named(issued.lineage[0].delegator.iss),
            parent=issued,
            purpose=parent.purpose,
            txn=parent.txn,
            once=once,
            token=f"session {issued.session_id}",
            seen_ms=None,
            jkt=None,
            act=issued.act,
        )

    def _check_proof(self, asked: ExchangeRequest, parent: GrantBody, jkt: str | None) -> Once:
        if parent.cnf_jkt is not None:
            text = "the session has a key of its own, so its holder must sign the next hop and send it as grant"
            raise refuse(TokenReason.PROOF_MISSING, text)
        if asked.proof is None:
            raise refuse(
                TokenReason.PROOF_MISSING,
                "to delegate a session, prove possession of its key with subject_proof or grant",
            )
        secret = session_secret(self._parts.root_key, parent.tenant_uid, parent.session_id or "")
        if not hmac.compare_digest(exchange_proof(secret, asked.said, jkt), asked.proof):
            raise refuse(TokenReason.PROOF_INVALID, "subject_proof was not made with the key of the session")
        return Once(sha256(b"proof " + asked.proof), parent.exp)

    def _check_attended(self, origin: Origin, now_ms: int) -> None:
        """Check that the user has signed in recently: the agent's word that a person is present is not enough."""
        within_ms = self._parts.section.attended_within_ms
        skew_ms = self._parts.section.skew_ms
        if origin.seen_ms is None or not -skew_ms <= now_ms - origin.seen_ms <= within_ms:
            text = f"{SUBJECT} does not show that its user has signed in within {within_ms} ms"
            raise refuse(TokenReason.NOT_ATTENDED, text)

    def _check_revoked(self, lineage: tuple[GrantBody, ...]) -> None:
        watch, grant = self._parts.revocations, lineage[-1]
        if watch.is_stale():
            raise RefusedError(
                TokenReason.LOG_UNAVAILABLE, "the revocations in force are not known", retry_after_ms=1_000
            )
        now_ms = self._parts.now_ms()
        for body in lineage:
            call = Call(
                tenant_uid=grant.tenant_uid,
                session_id=body.session_id or "",
                sub=grant.sub,
                act=body.act,
                delegation_uids=(body.uid,),
                tool=_NO_TOOL,
                model=_NO_MODEL,
            )
            reason = watch.reason_against(call, now_ms)
            if reason is not None:
                raise refuse(TokenReason.REVOKED, f"the source of the session has been revoked ({reason.value})")

    def _use_up(self, agent: Agent, origin: Origin, shown: ShownKey | None, grant: GrantBody) -> None:
        # Ids are used once, even if the client chose them: what one session gets must not reach another.
        # An expired grant could be made again from its parent, so its ids stay used for as long as the parent is valid.
        until_ms = grant.exp if origin.parent is None else origin.parent.exp_ms
        ids = [f"grant {grant.uid}", f"session {grant.tenant_uid} {grant.session_id}"]
        made = [Once(sha256(name.encode()), until_ms) for name in ids]
        given = (*made, agent.once, origin.once, None if shown is None else shown.once)
        # Before the claim, which would use up the tokens for nothing.
        self._parts.store.check_room(self._parts.now_ms(), grant.tenant_uid)
        self._use_once([once for once in given if once is not None])

    def _check_unused(self, once: Once | None) -> None:
        if once is not None and self._parts.store.is_used(once.name):
            raise _used_before()

    def _use_once(self, onces: list[Once]) -> None:
        names = tuple(once.name for once in onces)
        until_ms = max(once.exp_ms for once in onces)
        if len(set(names)) < len(names) or not self._parts.used.use_once(names, until_ms):
            raise _used_before()

    def _issue(self, lineage: tuple[GrantBody, ...], origin: Origin) -> tuple[Issued, str]:
        """Return the session to remember, and its token, which nobody has yet."""
        parts, grant = self._parts, lineage[-1]
        act: dict[str, object] = {"iss": grant.act.iss, "sub": grant.act.sub}
        if origin.act is not None:
            act["act"] = origin.act
        token_id = f"t-{parts.entropy.uuid(parts.now_ms())}"
        token = parts.keys.sign(token_claims(grant, act, token_id, parts.section.issuer), "at+jwt")
        if len(token) > TOKEN_CHARS_MAX:
            text = f"the token would have {len(token)} characters, more than {TOKEN_CHARS_MAX}: ask for less"
            raise refuse(TokenReason.TOOLS_TOO_WIDE, text)
        return Issued(token_id, grant.session_id or "", grant.tenant_uid, grant.exp, lineage, act), token


class _Known:
    """The parts of a request that are known so far, for the record of its refusal."""

    def __init__(self, tenant_uid: str) -> None:
        self.tenant_uid = tenant_uid
        self.sub: str | None = None
        self.act: Actor | None = None


def _check_bound(what: str, bound_to: str | None, shown: str | None) -> None:
    if bound_to not in (None, shown):
        raise refuse(TokenReason.PROOF_MISSING, f"{what} is bound to a key whose possession was not proven (DPoP)")


def _signed(token: str) -> str:
    return token.rpartition(".")[0]


def _used_before() -> RefusedError:
    return refuse(TokenReason.TOKEN_REPLAYED, "a single-use token or proof was used before")


def _take(limit: RateLimit, key: str, who: str) -> None:
    wait_ms = limit.take(key)
    if wait_ms:
        raise RefusedError(TokenReason.TOO_MANY_REQUESTS, f"too many requests of {who}", retry_after_ms=wait_ms)


def _check_actor(subject: Subject, actor: Actor, *, is_listed: bool) -> None:
    """Check that the subject token lets the agent act.

    Args:
        subject: the subject token.
        actor: the agent.
        is_listed: whether the settings list the agent by its name, which no agent of another issuer has then.
    """
    if subject.may_act is not None:
        name, issuer = subject.may_act
        if issuer is None and not is_listed:
            # A name without an issuer is one of the token's own issuer (RFC 7519 4.1.2).
            issuer = subject.user.iss
        if name != actor.sub or issuer not in (None, actor.iss):
            raise refuse(TokenReason.ACTOR_NOT_ALLOWED, f"{SUBJECT} permits only another actor (may_act)")
    if subject.client_id is not None and subject.client_id != actor.sub:
        raise refuse(TokenReason.CLIENT_MISMATCH, f"{SUBJECT} was issued to another client")
