"""The effects of a provider's events: which session or user is stopped, and which session's risk has risen.

A subject names a session, with the provider's own id, or a user. Events that could only permit more (a lower risk, a
new credential) have no effect: an event never permits anything.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from streams.identity.jose import is_plain, plain_text
from streams.identity.user_names import may_be_of_another
from streams.model.revocation import RevocationKind
from streams.model.revocation_targets import principal_target, session_target
from streams.services.ssf.errors import RefusedSetError, SetError
from streams.services.ssf.security_events import SecurityEvents

CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
SESSION_REVOKED = f"{CAEP}session-revoked"
CREDENTIAL_CHANGE = f"{CAEP}credential-change"
RISK_LEVEL_CHANGE = f"{CAEP}risk-level-change"
EVENT_TYPES = (SESSION_REVOKED, CREDENTIAL_CHANGE, RISK_LEVEL_CHANGE)
"""The events with an effect. Others, and `verification` of SSF, are accepted without one."""

NAME_CHARS_MAX = 1_024
REASON_CHARS_MAX = 500
_LEVELS = ("LOW", "MEDIUM", "HIGH")
_HARMLESS_CHANGES = frozenset({"create"})
_log = logging.getLogger(__name__)
_USER_FORMATS = {"iss_sub": "sub", "opaque": "id", "email": "email", "account": "uri"}


class Stop(NamedTuple):
    """A stop: of a user for a while, or of a session for good."""

    kind: RevocationKind
    target: str
    tenant_uid: str
    reason: str


class Risk(NamedTuple):
    """A change of a session's risk."""

    tenant_uid: str
    session_id: str
    level: str
    event_type: str


def acts_of(read: SecurityEvents, default_tenant: str) -> list[Stop | Risk]:
    """Return the effects of a token's events.

    An event whose subject can't be used is left out if another one has an effect: providers do not send a token again
    that was refused, so its stops would be lost.

    Raises:
        RefusedSetError: the subject of an event with an effect is missing, or of an unknown form.
    """
    acts: list[Stop | Risk] = []
    refusals: list[RefusedSetError] = []
    for event_type, event in read.events.items():
        if event_type not in EVENT_TYPES:
            continue
        if event_type == CREDENTIAL_CHANGE and _is_harmless(event.get("change_type")):
            continue
        try:
            named = _Subject.of(event.get("subject") or read.subject, read, default_tenant)
        except RefusedSetError as error:
            refusals.append(error)
            continue
        is_risk = event_type == RISK_LEVEL_CHANGE
        acts += _risks(named, event) if is_risk else named.stops(_reason(event_type, event))
    if refusals and not acts:
        raise refusals[0]
    for refusal in refusals:
        _log.warning("one of several events of `%s` has no effect: %s", read.transmitter.name, refusal)
    return acts


def _risks(named: _Subject, event: Mapping[str, Any]) -> Iterator[Stop | Risk]:
    level = event.get("current_level")
    if level not in _LEVELS:
        # An unknown level counts as the worst.
        level = "CRITICAL"
    if named.session_id is not None:
        yield Risk(named.tenant_uid, named.session_id, level, RISK_LEVEL_CHANGE)
    # Only gates know the sessions of a user, so a high risk stops the user.
    if named.sub is not None and level in ("HIGH", "CRITICAL"):
        yield named.stop_of_user(f"risk {level}")


class _Subject(NamedTuple):
    """The subject of an event, with the names that are used here."""

    tenant_uid: str
    session_id: str | None
    sub: str | None

    @classmethod
    def of(cls, subject: object, read: SecurityEvents, default_tenant: str) -> _Subject:
        """Read a subject identifier of RFC 9493, or a complex one of SSF."""
        section = read.transmitter.section
        tenant = section.tenant or default_tenant
        if not isinstance(subject, dict):
            raise RefusedSetError(SetError.INVALID_REQUEST, "an event has no subject")
        parts = subject if subject.get("format") in (None, "complex") and _is_complex(subject) else {"user": subject}
        user = _identifier(parts.get("user"), section.issuer)
        session_id = _identifier(parts.get("session"), known=user is None)
        if session_id is None and user is None:
            raise RefusedSetError(SetError.INVALID_REQUEST, "an event names neither a session nor a user")
        sub = None if user is None else f"{section.subject_prefix}{user}"
        if sub is not None and may_be_of_another(sub, section.subject_prefix, read.prefixes):
            raise RefusedSetError(
                SetError.INVALID_REQUEST,
                "an event's user has a name that begins with the prefix of another transmitter",
            )
        return cls(tenant, session_id, sub)

    def stops(self, reason: str) -> Iterator[Stop]:
        """Yield stops of the named session and of the named user. Both, because the provider's id of a session is
        hardly ever the id of the user's sessions here."""
        if self.session_id is not None:
            target = session_target(self.tenant_uid, self.session_id)
            yield Stop(RevocationKind.SESSION, target, self.tenant_uid, reason)
        if self.sub is not None:
            yield self.stop_of_user(reason)

    def stop_of_user(self, reason: str) -> Stop:
        """Return a stop of the user."""
        target = principal_target(self.tenant_uid, self.sub or "")
        return Stop(RevocationKind.SUBJECT, target, self.tenant_uid, reason)


def _is_harmless(change: object) -> bool:
    return isinstance(change, str) and change in _HARMLESS_CHANGES


def _is_complex(subject: Mapping[str, Any]) -> bool:
    return isinstance(subject.get("session"), dict) or isinstance(subject.get("user"), dict)


def _identifier(subject: object, issuer: str | None = None, *, known: bool = True) -> str | None:
    """Return the name in a simple subject identifier; None if there is none.

    Args:
        issuer: the issuer whose users are accepted.
        known: whether the identifier must have a known format, and a name that can be used.
    """
    if not isinstance(subject, dict):
        return None
    field = _USER_FORMATS.get(str(subject.get("format")))
    name = None if field is None else subject.get(field)
    if not isinstance(name, str) or not name or len(name) > NAME_CHARS_MAX or not is_plain(name):
        if not known:
            return None
        # The token service opens no session for such a name.
        raise RefusedSetError(SetError.INVALID_REQUEST, "the subject of an event has an unknown format")
    if issuer is not None and subject.get("format") == "iss_sub" and subject.get("iss") != issuer:
        raise RefusedSetError(SetError.INVALID_REQUEST, "an event is about a user of another issuer")
    return name


def _reason(event_type: str, event: Mapping[str, Any]) -> str:
    told = event.get("reason_admin")
    text = next((value for value in told.values() if isinstance(value, str)), "") if isinstance(told, dict) else ""
    name = event_type.rpartition("/")[2]
    return f"{name}: {plain_text(text)}"[:REASON_CHARS_MAX] if text else name
