"""Reads incoming security event tokens (RFC 8417), and checks that they are valid and from a known transmitter."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from streams.identity.errors import TokenError
from streams.identity.jose import Unverified, instant_claim, take_apart, text_claim, verified
from streams.identity.jwks import IssuerKeys
from streams.services.ssf.errors import RefusedSetError, SetError, as_set_error
from streams.services.ssf.settings import TransmitterSection

WHAT = "the event token"
TYP = "secevent+jwt"
EVENTS_MAX = 16
_AUDIENCES_MAX = 64
_BEARER = "bearer "


class Transmitter(NamedTuple):
    """A sender whose events are accepted; `bearer` is the token that it must send, None if it need not send one."""

    name: str
    section: TransmitterSection
    keys: IssuerKeys
    bearer: str | None


class SecurityEvents(NamedTuple):
    """A valid token, with its events by their URIs.

    Attributes:
        prefixes: those of the names of all transmitters' users.
        subject: the subject of the token (`sub_id`), for events that have none.
    """

    transmitter: Transmitter
    prefixes: frozenset[str]
    jti: str
    made_ms: int
    subject: Mapping[str, Any] | None
    events: Mapping[str, Mapping[str, Any]]


class SetReader:
    """Checks tokens against the configured transmitters. Thread-safe."""

    def __init__(
        self, transmitters: Mapping[str, Transmitter], *, age_max_ms: int, skew_ms: int, now_ms: Callable[[], int]
    ) -> None:
        """Args:
        transmitters: by their `iss`.
        """
        self._transmitters = transmitters
        self._prefixes = frozenset(each.section.subject_prefix for each in transmitters.values())
        self._age_max_ms = age_max_ms
        self._skew_ms = skew_ms
        self._now_ms = now_ms

    def read(self, token: str, authorization: str | None) -> SecurityEvents:
        """Check a token, and return its events; may wait for its issuer's keys.

        Args:
            authorization: the `authorization` header of the request.

        Raises:
            RefusedSetError: the token is invalid.
            UnavailableError: its issuer's keys can't be fetched now.
        """
        try:
            return self._read(token, authorization)
        except TokenError as error:
            raise as_set_error(error) from None

    def _read(self, token: str, authorization: str | None) -> SecurityEvents:
        unverified = take_apart(token, WHAT)
        typ = unverified.header.get("typ")
        if not isinstance(typ, str) or typ.lower().removeprefix("application/") != TYP:
            raise RefusedSetError(SetError.INVALID_REQUEST, f"the event token's typ is not {TYP}")
        transmitter = self._transmitter(unverified)
        _check_bearer(transmitter, authorization)
        claims = verified(unverified, transmitter.keys.find, transmitter.section.algorithms, WHAT)
        _check_audience(claims, transmitter)
        made_ms = self._made_ms(claims)
        return SecurityEvents(
            transmitter=transmitter,
            prefixes=self._prefixes,
            jti=text_claim(claims, "jti", WHAT),
            made_ms=made_ms,
            subject=_subject(claims),
            events=_events(claims),
        )

    def _transmitter(self, unverified: Unverified) -> Transmitter:
        issuer = unverified.claims.get("iss")
        transmitter = self._transmitters.get(issuer) if isinstance(issuer, str) else None
        if transmitter is None:
            raise RefusedSetError(
                SetError.INVALID_ISSUER, "the issuer of the event token is not a configured transmitter"
            )
        return transmitter

    def _made_ms(self, claims: dict[str, Any]) -> int:
        made_ms = instant_claim(claims, "iat", WHAT)
        if made_ms is None:
            raise RefusedSetError(SetError.INVALID_REQUEST, "the event token has no time of issue (iat)")
        now_ms = self._now_ms()
        if made_ms > now_ms + self._skew_ms:
            raise RefusedSetError(SetError.INVALID_REQUEST, "the event token was issued in the future")
        if made_ms <= now_ms - self._age_max_ms:
            # An older token could have been processed before: tokens are only remembered for this time.
            raise RefusedSetError(SetError.INVALID_REQUEST, "the event token was issued too long ago")
        return made_ms


def _check_bearer(transmitter: Transmitter, authorization: str | None) -> None:
    if transmitter.bearer is None:
        return
    stated = authorization or ""
    is_bearer = stated[: len(_BEARER)].lower() == _BEARER
    if not is_bearer or not hmac.compare_digest(stated[len(_BEARER) :].encode(), transmitter.bearer.encode()):
        raise RefusedSetError(
            SetError.AUTHENTICATION_FAILED, "the request does not have the bearer token of its transmitter"
        )


def _check_audience(claims: dict[str, Any], transmitter: Transmitter) -> None:
    stated = claims.get("aud")
    audiences = [stated] if isinstance(stated, str) else stated
    if not isinstance(audiences, list) or len(audiences) > _AUDIENCES_MAX:
        raise RefusedSetError(SetError.INVALID_AUDIENCE, "the event token has no audience (aud)")
    if not any(audience in transmitter.section.audience for audience in audiences):
        raise RefusedSetError(SetError.INVALID_AUDIENCE, "the event token is for another audience")


def _subject(claims: dict[str, Any]) -> Mapping[str, Any] | None:
    subject = claims.get("sub_id")
    return subject if isinstance(subject, dict) else None


def _events(claims: dict[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    events = claims.get("events")
    if not isinstance(events, dict) or not 0 < len(events) <= EVENTS_MAX:
        raise RefusedSetError(SetError.INVALID_REQUEST, f"the event token must have 1 to {EVENTS_MAX} events")
    if not all(isinstance(event, dict) for event in events.values()):
        raise RefusedSetError(SetError.INVALID_REQUEST, "an event of the token is not a JSON object")
    return events
