"""Finds out who answers. A name in the body of an answer is never believed.

An answer is identified either by a token of a configured issuer, which names the person and the person's groups, or by
a signature with the secret of one person, whose name and groups the operator has set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from streams.identity.errors import TokenError, TokenFault
from streams.identity.jose import instant_claim, take_apart, text_claim, verified
from streams.identity.jwks import IssuerKeys
from streams.identity.user_names import may_be_of_another
from streams.model.types import Actor, SubProfile
from streams.services.approvals.errors import AnswerError
from streams.services.approvals.settings import GROUPS_MAX, ApprovalsSection, PeopleSection
from streams.services.approvals.signing import SIGNATURE, check_headers, is_signed, read_secret
from streams.services.issuer_keys import issuer_keys

ISSUER = "stoplog-approvals"
"""The issuer of people who are identified by a secret."""

WHAT = "the token"
_BEARER = "bearer "
_AMR_MAX = 16


class Person(NamedTuple):
    """Who answers.

    Attributes:
        actor: the person.
        groups: the groups that the person is in.
        message_id: the id of the signed message; empty for an answer with a token.
        acr: how the person was authenticated.
        amr: by which methods.
        tenants: the tenants whose questions the person may answer; None: all.
    """

    actor: Actor
    groups: tuple[str, ...]
    message_id: str = ""
    acr: str | None = None
    amr: tuple[str, ...] = ()
    tenants: frozenset[str] | None = None

    def may_answer(self, tenant_uid: str) -> bool:
        """Return whether the person may answer questions of a tenant."""
        return self.tenants is None or tenant_uid in self.tenants


class _Signer(NamedTuple):
    person: Person
    secret: bytes


class _Issuer(NamedTuple):
    section: PeopleSection
    keys: IssuerKeys


class People:
    """Those who may answer. Thread-safe."""

    def __init__(
        self, section: ApprovalsSection, *, now_ms: Callable[[], int], monotonic_ms: Callable[[], int]
    ) -> None:
        """Read the secrets.

        Raises:
            ApprovalServiceError: a secret can't be read.
        """
        self._now_ms = now_ms
        self._skew_ms = section.skew_ms
        self._signers = [
            _Signer(
                Person(
                    Actor(iss=ISSUER, sub=each.sub, sub_profile=SubProfile.USER),
                    tuple(each.groups),
                    tenants=_tenants(each.tenants),
                ),
                read_secret(each.secret_file),
            )
            for each in section.signers.values()
        ]
        self._issuers = {
            each.issuer: _Issuer(each, issuer_keys(each, section, monotonic_ms)) for each in section.people.values()
        }
        self._prefixes = frozenset(each.subject_prefix for each in section.people.values())

    def identify(self, headers: Mapping[str, str], body: bytes) -> Person:
        """Return who has sent an answer; may wait for an issuer's keys.

        Args:
            headers: those of the request, with names in lower case.
            body: its body.

        Raises:
            AnswerError: nobody is identified, or not a person.
        """
        authorization = headers.get("authorization")
        if authorization is not None:
            if not authorization.lower().startswith(_BEARER):
                raise AnswerError(401, "the header `authorization` has no bearer token")
            try:
                return self._of_token(authorization[len(_BEARER) :].strip())
            except TokenError as error:
                if error.fault is TokenFault.KEYS_UNAVAILABLE:
                    raise AnswerError(503, str(error)) from None
                raise AnswerError(401, str(error)) from None
        if SIGNATURE not in headers:
            raise AnswerError(401, "the answer is neither signed nor has a token")
        message_id = check_headers(headers, self._now_ms(), self._skew_ms)
        found = [signer.person for signer in self._signers if is_signed(signer.secret, headers, body)]
        if len(found) != 1:
            raise AnswerError(401, "the answer is not signed with the secret of a person who may answer")
        return found[0]._replace(message_id=message_id)

    def _of_token(self, token: str) -> Person:
        unverified = take_apart(token, WHAT)
        stated = unverified.claims.get("iss")
        issuer = self._issuers.get(stated) if isinstance(stated, str) else None
        if issuer is None:
            raise AnswerError(401, "the issuer of the token is not configured")
        section = issuer.section
        claims = verified(unverified, issuer.keys.find, section.algorithms, WHAT)
        self._check_claims(claims, section)
        sub = section.subject_prefix + text_claim(claims, section.subject_claim, WHAT)
        if may_be_of_another(sub, section.subject_prefix, self._prefixes):
            raise AnswerError(401, "the name in the token could be that of another issuer's user")
        acr = claims.get("acr")
        return Person(
            Actor(iss=section.issuer, sub=sub, sub_profile=SubProfile.USER),
            _texts(claims.get(section.groups_claim), GROUPS_MAX),
            acr=acr if isinstance(acr, str) else None,
            amr=_texts(claims.get("amr"), _AMR_MAX),
            tenants=_tenants(section.tenants),
        )

    def _check_claims(self, claims: dict[str, Any], section: PeopleSection) -> None:
        audience = claims.get("aud")
        given = audience if isinstance(audience, list) else [audience]
        if not any(each in section.audience for each in given if isinstance(each, str)):
            raise AnswerError(401, "the token is for another audience")
        now_ms = self._now_ms()
        expires_ms, begins_ms = instant_claim(claims, "exp", WHAT), instant_claim(claims, "nbf", WHAT)
        if expires_ms is None or expires_ms <= now_ms:
            raise AnswerError(401, "the token has expired, or does not say when")
        if begins_ms is not None and begins_ms > now_ms + self._skew_ms:
            raise AnswerError(401, "the token is not valid yet")
        # INVARIANT: no agent answers in the name of a person: such a token names who acts (RFC 8693).
        if claims.get("act") is not None or claims.get("sub_profile", "user") != "user":
            raise AnswerError(403, "the token was given to software that acts for somebody: a person must answer")


def _tenants(stated: list[str] | None) -> frozenset[str] | None:
    return None if stated is None else frozenset(stated)


def _texts(value: object, count_max: int) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else []
    return tuple(each for each in listed if isinstance(each, str) and each)[:count_max]
