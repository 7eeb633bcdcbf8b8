"""Reads incoming tokens: their issuer, what they convey, and whether they are valid.

Every token is checked with the one issuer of the settings that has its `iss`. A missing claim conveys nothing; an
invalid claim ends the request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from streams.identity.jose import Unverified, compact_json, instant_claim, take_apart, text_claim, verified
from streams.identity.jwks import IssuerKeys
from streams.identity.single_use import Once
from streams.identity.user_names import may_be_of_another
from streams.model.delegation import AuthorizationDetail
from streams.model.token_reasons import TokenReason
from streams.model.types import Actor, SubProfile
from streams.sdk.entropy import system_monotonic_ms
from streams.services.sts.authorization_details import parse_details
from streams.services.sts.errors import plain, refuse, token_errors_refused
from streams.services.sts.settings import SPIFFE, SourceSection

SUBJECT = "subject_token"
ACTOR = "actor_token"
_MS_PER_S = 1_000
_SCOPES_MAX = 256
_ACT_BYTES_MAX = 2_048


class TokenType(StrEnum):
    """Token types of RFC 8693 3, and of the drafts of transaction tokens and identity assertions."""

    ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a type's name
    ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105 - likewise
    JWT = "urn:ietf:params:oauth:token-type:jwt"
    TRANSACTION = "urn:ietf:params:oauth:token-type:txn_token"
    ID_JAG = "urn:ietf:params:oauth:token-type:id-jag"


_TYPS: Mapping[TokenType, frozenset[str | None]] = {
    TokenType.ACCESS_TOKEN: frozenset({"at+jwt"}),
    TokenType.ID_TOKEN: frozenset({None, "jwt"}),
    TokenType.JWT: frozenset({None, "jwt"}),
    TokenType.TRANSACTION: frozenset({"txntoken+jwt"}),
    TokenType.ID_JAG: frozenset({"oauth-id-jag+jwt"}),
}
_SVID_TYPS = frozenset({None, "jwt", "jose"})
_GIVES: Mapping[TokenType, str] = {
    TokenType.ACCESS_TOKEN: "user",
    TokenType.ID_TOKEN: "user",
    TokenType.JWT: "user",
    TokenType.TRANSACTION: "transaction",
    TokenType.ID_JAG: "id_jag",
}


class Subject(NamedTuple):
    """What a subject token of another issuer conveys. `scopes` and `details` are None if it has no such claim.

    Attributes:
        source: the name of its issuer in the settings.
        user: the user, as the issuer names them; `sub` is their name here.
        may_act: who may act, if it says so: `sub`, and `iss` if it has one.
        client_id: the client that it was issued to, if it says so (ID-JAG).
        token: its name in the audit record.
        seen_ms: when the user signed in, if it says so.
        jkt: the key whose possession the presenter must prove, if it is bound to one.
        act: the earlier actors, if it was exchanged before (RFC 8693 4.1).
    """

    source: str
    tenant_uid: str
    sub: str
    user: Actor
    exp_ms: int
    scopes: tuple[str, ...] | None
    details: tuple[AuthorizationDetail, ...] | None
    may_act: tuple[str, str | None] | None
    client_id: str | None
    txn: str | None
    purpose: str | None
    once: Once | None
    token: str
    seen_ms: int | None
    jkt: str | None
    act: dict[str, object] | None


class Agent(NamedTuple):
    """The agent of an actor token. `jkt` is the key whose possession it must prove, if the token is bound to one."""

    actor: Actor
    once: Once | None
    jkt: str | None


class _Source(NamedTuple):
    name: str
    section: SourceSection
    keys: IssuerKeys


class Sources:
    """The issuers of the settings. Thread-safe."""

    def __init__(
        self,
        sections: Mapping[str, tuple[SourceSection, IssuerKeys]],
        *,
        tenant_uid: str,
        skew_ms: int,
        now_ms: Callable[[], int],
    ) -> None:
        """Args:
        sections: the sources by name.
        tenant_uid: the tenant of sources that have none.
        """
        self._by_issuer = {s.issuer: _Source(name, s, keys) for name, (s, keys) in sections.items()}
        self._tenant_uid = tenant_uid
        self._skew_ms = skew_ms
        self._now_ms = now_ms

    def load(self, timeout_s: float) -> None:
        """Fetch the keys of all issuers at once, and wait for at most `timeout_s`."""
        asked = [source.keys.ask() for source in self._by_issuer.values()]
        ends_ms = system_monotonic_ms() + timeout_s * _MS_PER_S
        for answered in asked:
            if answered is not None:
                answered.wait(max(0.0, (ends_ms - system_monotonic_ms()) / _MS_PER_S))

    def named(self, issuer: str) -> str | None:
        """Return the name of a source in the settings, by its issuer; None if it has been removed."""
        found = self._by_issuer.get(issuer)
        return None if found is None else found.name

    @token_errors_refused()
    def subject(self, token: str, kind: TokenType) -> Subject:
        """Check a subject token, and return what it conveys. May block while keys are fetched.

        Raises:
            RefusedError: the token is invalid.
        """
        parts = take_apart(token, SUBJECT)
        check_typ(parts, _TYPS[kind], SUBJECT)
        source = self._source(parts, _GIVES[kind], SUBJECT)
        claims = self._checked(parts, source, SUBJECT)
        section = source.section
        if kind in (TokenType.ID_TOKEN, TokenType.JWT):
            _check_party(claims, section)
        user = text_claim(claims, "sub", SUBJECT)
        self._check_prefix(section, user)
        once = kind is TokenType.ID_JAG if section.one_time is None else section.one_time
        exp_ms = instant_claim(claims, "exp", SUBJECT) or 0
        needs_scope = kind in (TokenType.TRANSACTION, TokenType.ID_JAG)
        return Subject(
            source=source.name,
            tenant_uid=section.tenant or self._tenant_uid,
            sub=f"{section.subject_prefix}{user}",
            user=Actor(iss=section.issuer, sub=user, sub_profile=SubProfile.USER),
            exp_ms=exp_ms,
            scopes=_scopes(claims, () if needs_scope else None),
            details=parse_details(claims["authorization_details"]) if "authorization_details" in claims else None,
            may_act=_may_act(claims),
            client_id=text_claim(claims, "client_id", SUBJECT) if kind is TokenType.ID_JAG else None,
            txn=text_claim(claims, "txn", SUBJECT) if kind is TokenType.TRANSACTION else None,
            purpose=text_claim(claims, "purp", SUBJECT) if "purp" in claims else None,
            once=self._once(parts, claims, exp_ms) if once else None,
            token=f"{kind.name.lower()} of source {source.name}, jti {plain(str(claims.get('jti'))[:80])}",
            seen_ms=_seen(claims) if _GIVES[kind] == "user" else None,
            jkt=_bound_to(claims, SUBJECT),
            act=_acted(claims),
        )

    @token_errors_refused()
    def agent(self, token: str, kind: TokenType) -> Agent:
        """Check an actor token, and return its agent. May block while keys are fetched.

        Raises:
            RefusedError: the token is invalid.
        """
        if kind is not TokenType.JWT:
            raise refuse(TokenReason.TOKEN_TYPE_WRONG, f"{ACTOR} must be of type {TokenType.JWT.value}")
        parts = take_apart(token, ACTOR)
        source = self._source(parts, "agent", ACTOR)
        section = source.section
        check_typ(parts, _SVID_TYPS if section.is_spiffe else _TYPS[kind], ACTOR)
        claims = self._checked(parts, source, ACTOR)
        sub = text_claim(claims, "sub", ACTOR)
        if section.is_spiffe and trust_domain(sub) != section.issuer:
            raise refuse(
                TokenReason.ISSUER_UNKNOWN, f"{ACTOR} is signed by another trust domain than that of its subject"
            )
        once = "jti" in claims if section.one_time is None else section.one_time
        exp_ms = instant_claim(claims, "exp", ACTOR) or 0
        profile = SubProfile.WORKLOAD if section.is_spiffe else SubProfile.AI_AGENT
        return Agent(
            Actor(iss=section.issuer, sub=sub, sub_profile=profile),
            self._once(parts, claims, exp_ms) if once else None,
            _bound_to(claims, ACTOR),
        )

    def _source(self, parts: Unverified, gives: str, what: str) -> _Source:
        """Return the issuer that the token claims. The signature is checked later."""
        issuer = parts.claims.get("iss")
        found = self._by_issuer.get(issuer) if isinstance(issuer, str) else None
        if found is None and gives == "agent":
            found = self._by_issuer.get(trust_domain(parts.claims.get("sub")) or "")
            found = found if found is not None and found.section.is_spiffe else None
        if found is None or gives not in found.section.gives:
            raise refuse(TokenReason.ISSUER_UNKNOWN, f"the issuer of {what} is not configured for this kind of token")
        return found

    def _checked(self, parts: Unverified, source: _Source, what: str) -> dict[str, Any]:
        section = source.section
        claims = verified(parts, source.keys.find, section.algorithms, what)
        if "events" in claims:
            # Security event tokens (RFC 8417) and logout tokens, which otherwise can look like ID tokens.
            raise refuse(TokenReason.TOKEN_TYPE_WRONG, f"{what} is a security event or logout token (events)")
        check_audience(claims, section.audience, what)
        check_times(claims, self._now_ms(), self._skew_ms, section.life_max_ms, what)
        return claims

    def _once(self, parts: Unverified, claims: Mapping[str, Any], exp_ms: int) -> Once:
        """Identify a token by its `jti`, or by its signed part. Not by its signature: a token can have several."""
        jti = claims.get("jti")
        signed = parts.token.rpartition(".")[0]
        name = f"jti {claims.get('iss', '')} {jti}" if isinstance(jti, str) else f"token {signed}"
        return Once(hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest(), exp_ms + 2 * self._skew_ms)

    def _check_prefix(self, section: SourceSection, user: str) -> None:
        """Check that the user's name can't be that of another issuer's user."""
        own = section.subject_prefix
        prefixes = (source.section.subject_prefix for source in self._by_issuer.values())
        if may_be_of_another(f"{own}{user}", own, prefixes):
            text = f"the user of {SUBJECT} has a name that begins with the prefix of another source"
            raise refuse(TokenReason.CLAIM_MISSING, text)


def trust_domain(sub: object) -> str | None:
    """Return `spiffe://` and the trust domain of a SPIFFE id; None if the text is not a SPIFFE id."""
    if not isinstance(sub, str) or not sub.startswith(SPIFFE):
        return None
    name, slash, path = sub.removeprefix(SPIFFE).partition("/")
    return f"{SPIFFE}{name}" if name and slash and path else None


def check_typ(parts: Unverified, allowed: frozenset[str | None], what: str) -> None:
    """Check the `typ` of the header, so that a token of one kind can't be used as another.

    Raises:
        RefusedError: the `typ` is not allowed.
    """
    typ = parts.header.get("typ")
    stated = typ.lower().removeprefix("application/") if isinstance(typ, str) else typ
    if not isinstance(stated, str | None) or stated not in allowed:
        wanted = ", ".join(sorted(name or "none" for name in allowed))
        raise refuse(TokenReason.TOKEN_TYPE_WRONG, f"{what} has a typ other than {wanted}")


def check_audience(claims: Mapping[str, Any], allowed: list[str], what: str) -> None:
    """Check the audience.

    Raises:
        RefusedError: the token is for another audience.
    """
    audience = claims.get("aud")
    listed = [audience] if isinstance(audience, str) else audience
    if not isinstance(listed, list) or not any(name in allowed for name in listed if isinstance(name, str)):
        raise refuse(TokenReason.AUDIENCE_WRONG, f"{what} is for another audience (aud)")


def _check_party(claims: Mapping[str, Any], section: SourceSection) -> None:
    """Check to which client an ID token was issued (OpenID Connect Core 3.1.3.7)."""
    audience, party = claims.get("aud"), claims.get("azp")
    if party is None and not (isinstance(audience, list) and len(audience) > 1):
        return
    if party not in (*section.audience, *section.authorized_parties):
        raise refuse(TokenReason.CLIENT_MISMATCH, f"{SUBJECT} was issued to a client that is not configured (azp)")


def check_times(claims: Mapping[str, Any], now_ms: int, skew_ms: int, life_max_ms: int, what: str) -> None:
    """Check `exp`, `iat` and `nbf` against the clock.

    Raises:
        RefusedError: `exp` is missing, or the token is not valid now.
    """
    exp_ms = instant_claim(dict(claims), "exp", what)
    iat_ms = instant_claim(dict(claims), "iat", what)
    nbf_ms = instant_claim(dict(claims), "nbf", what)
    if exp_ms is None:
        raise refuse(TokenReason.CLAIM_MISSING, f"{what} has no claim exp")
    if exp_ms <= now_ms:
        raise refuse(TokenReason.TOKEN_EXPIRED, f"{what} expired {now_ms - exp_ms} ms ago")
    if iat_ms is not None and iat_ms > now_ms + skew_ms:
        raise refuse(TokenReason.TOKEN_FROM_FUTURE, f"{what} was issued {iat_ms - now_ms} ms in the future")
    if nbf_ms is not None and nbf_ms > now_ms + skew_ms:
        raise refuse(TokenReason.TOKEN_NOT_YET_VALID, f"{what} becomes valid in {nbf_ms - now_ms} ms")
    if exp_ms - (now_ms if iat_ms is None else iat_ms) > life_max_ms:
        raise refuse(TokenReason.TOKEN_LIVES_TOO_LONG, f"{what} lives longer than {life_max_ms} ms")


def _scopes(claims: Mapping[str, Any], otherwise: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Return the scopes (RFC 8693 4.2). Some issuers write `scp`, and some an array. Only scopes in both count."""
    stated = [_names(claims[name]) for name in ("scope", "scp") if claims.get(name) is not None]
    if not stated:
        return otherwise
    return tuple(name for name in stated[0] if all(name in other for other in stated))


def _names(value: object) -> tuple[str, ...]:
    names = value.split(" ") if isinstance(value, str) else value
    if not isinstance(names, list) or len(names) > _SCOPES_MAX or not all(isinstance(name, str) for name in names):
        raise refuse(TokenReason.CLAIM_MISSING, f"{SUBJECT} has an invalid claim scope")
    return tuple(dict.fromkeys(name for name in names if name))


def _bound_to(claims: Mapping[str, Any], what: str) -> str | None:
    """Return the key of `cnf` (RFC 7800, RFC 9449): a token that is bound to a key is invalid without it."""
    bound = claims.get("cnf")
    if bound is None:
        return None
    if not isinstance(bound, dict) or bound.keys() != {"jkt"} or not isinstance(bound["jkt"], str):
        raise refuse(
            TokenReason.PROOF_MISSING, f"{what} is bound to its presenter in a way that is not supported (cnf)"
        )
    return str(bound["jkt"])


def _acted(claims: Mapping[str, Any]) -> dict[str, object] | None:
    chain = claims.get("act")
    if chain is None:
        return None
    if not isinstance(chain, dict) or len(compact_json(chain)) > _ACT_BYTES_MAX:
        raise refuse(TokenReason.CLAIM_MISSING, f"{SUBJECT} has a claim act that is invalid or too large")
    return chain


def _seen(claims: Mapping[str, Any]) -> int | None:
    """Return when the user signed in. The time of issue can be much later, so it is used only without `auth_time`."""
    signed_in_ms = instant_claim(dict(claims), "auth_time", SUBJECT)
    return instant_claim(dict(claims), "iat", SUBJECT) if signed_in_ms is None else signed_in_ms


def _may_act(claims: Mapping[str, Any]) -> tuple[str, str | None] | None:
    """Return the claim `may_act` (RFC 8693 4.4)."""
    value = claims.get("may_act")
    if value is None:
        return None
    if not isinstance(value, dict):
        raise refuse(TokenReason.CLAIM_MISSING, f"{SUBJECT} has an invalid claim may_act")
    issuer = value.get("iss")
    if issuer is not None and not isinstance(issuer, str):
        raise refuse(TokenReason.CLAIM_MISSING, f"{SUBJECT} has an invalid claim may_act")
    return text_claim(value, "sub", f"may_act of {SUBJECT}"), issuer
