"""Pushes signed events about revocations to receivers (RFC 8935), at least once and in the order of the log.

The log itself is the queue, as `streams.services.sending` has it. A new receiver gets only what happens from then on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from typing import Any, ClassVar

import httpx2

from streams.identity.keyring import KeyRing
from streams.metrics import declared
from streams.metrics.registry import Metrics
from streams.model.errors import RecordError
from streams.model.proof import derived_uuid
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.topics import REVOCATION
from streams.ports import LogError, Reader, Received, TopicPartition
from streams.processors.headers import SOURCE as GATE
from streams.sdk.connection.transport import Transport
from streams.services.posting import cause_of
from streams.services.sending import Backoff, Sender
from streams.services.ssf.consequences import CAEP
from streams.services.ssf.errors import SsfError
from streams.services.ssf.settings import ReceiverSection
from streams.services.ssf.store import SsfStore

ANSWER_BYTES_MAX = 65_536
STOPPED = "urn:stoplog:secevent:event-type:stopped"
RELEASED = "urn:stoplog:secevent:event-type:released"
_MS_PER_S = 1_000
_PLACE = TopicPartition(REVOCATION.name, 0)
_PRINCIPALS = frozenset({RevocationKind.SESSION, RevocationKind.SUBJECT})
_log = logging.getLogger(__name__)


class Push(Sender):
    """Pushes events to one receiver, in a thread of its own.

    Attributes:
        position: the next offset of the revocation topic to be sent to the receiver.
    """

    doing: ClassVar[str] = "pushing events to"
    faults = (LogError, SsfError)

    def __init__(
        self,
        name: str,
        section: ReceiverSection,
        *,
        issuer: str,
        bearer: str | None,
        keys: KeyRing,
        store: SsfStore,
        transport: Transport,
        backoff: Backoff,
        metrics: Metrics,
    ) -> None:
        """Prepare, without starting the thread."""
        super().__init__(name, f"stoplog-ssf-{name}", transport, backoff)
        self.position = 0
        self._metrics = metrics
        self._section = section
        self._issuer = issuer
        self._bearer = bearer
        self._keys = keys
        self._store = store

    def start(self) -> None:
        """Start the thread at the receiver's position; a new receiver starts at the end of the topic.

        Raises:
            SsfError, LogError: the position can't be found out.
        """
        if self._store.told(self._name) is None:
            with closing(self._transport.reader()) as reader:
                self._store.note_told(self._name, reader.end_offsets([_PLACE])[_PLACE])
        self.position = self._store.told(self._name) or 0
        super().start()

    def _positions(self) -> Mapping[TopicPartition, int]:
        self.position = self._store.told(self._name) or 0
        return {_PLACE: self.position}

    def _sent(self, received: Received) -> bool:
        token = self._token(received)
        return token is None or self._push(token, received.offset)

    def _note(self, received: Received) -> None:
        self._store.note_told(self._name, received.offset + 1)
        self.position = received.offset + 1

    def _looked(self, reader: Reader) -> None:
        # Past what stands on the topic without a record, such as the ends of transactions.
        self.position = reader.position(_PLACE)

    def _push(self, token: str, offset: int) -> bool:
        """Push until the event is accepted, or rejected for good. Return False if the thread is stopped before."""
        while not self._stop.is_set():
            fault = self._attempt(token)
            result = "accepted" if fault is None else "rejected" if fault == _NEVER else "failed"
            self._metrics.add(declared.EVENTS_PUSHED, self._name, result)
            if fault is None:
                self._backoff.reset()
                return True
            if fault == _NEVER:
                _log.error("`%s` rejects the event of revocation %d: it is skipped", self._name, offset)
                return True
            pause_ms = self._backoff.take_ms()
            _log.warning(
                "revocation %d could not be pushed to `%s`, retrying in %d ms: %s", offset, self._name, pause_ms, fault
            )
            self._pause(pause_ms)
        return False

    def _attempt(self, token: str) -> str | None:
        """Push once. Return why the event was not accepted; None if it was."""
        headers = {"content-type": "application/secevent+jwt", "accept": "application/json"}
        if self._bearer is not None:
            headers["authorization"] = f"Bearer {self._bearer}"
        try:
            answer = self._poster.post(self._section.url, token.encode(), headers, ANSWER_BYTES_MAX)
        except httpx2.HTTPError as error:
            return cause_of(error)
        if answer.status == httpx2.codes.ACCEPTED:
            return None
        if answer.status == httpx2.codes.BAD_REQUEST and b'"invalid_request"' in answer.body:
            # RFC 8935 2.4: the receiver can't read the event, and never will.
            return _NEVER
        return f"it answered {answer.status}: {answer.body[:200].decode('utf-8', 'replace')}"

    def _token(self, received: Received) -> str | None:
        """Return the signed event of a record; None if the receiver does not get it."""
        try:
            if received.value is None:
                return None
            record = self._transport.codec.decode(REVOCATION.name, received.value, received.headers)
        except RecordError as error:
            _log.warning("revocation %d can't be read, so no event is sent: %s", received.offset, error)
            return None
        if not isinstance(record, Revocation) or record.set_jti is not None:
            # A revocation that came from an event is known outside already; sending it could cause a loop.
            return None
        if not concerns(record, self._section.tenants):
            return None
        releasers = self._transport.releasers
        if record.state is RevocationState.RELEASED and releasers.are_asked:
            try:
                releasers.releaser_of(record, received.timestamp_ms)
            except RecordError as error:
                _log.warning("release %d does not count, so no event is sent: %s", received.offset, error)
                return None
        claims = event_claims(
            record, issuer=self._issuer, audience=self._section.audience, now_ms=received.timestamp_ms
        )
        return self._keys.sign(claims, "secevent+jwt")


_NEVER = "it is rejected for good"

# The ids of events are derived from this text, and receivers remember them: it must not change.
_JTI_NAMESPACE = "told\x20of"
_OF_A_TENANT = frozenset({RevocationKind.TENANT, RevocationKind.SESSION, RevocationKind.AGENT, RevocationKind.SUBJECT})


def concerns(record: Revocation, tenants: Collection[str] | None) -> bool:
    """Return whether a receiver for some tenants (None: for all) gets this record.

    Records without a tenant are sent to all receivers: tools, grants, and kinds that this version does not know.
    """
    return tenants is None or record.kind not in _OF_A_TENANT or record.id.partition("|")[0] in tenants


def event_claims(record: Revocation, *, issuer: str, audience: str, now_ms: int) -> dict[str, Any]:
    """Return the claims of a record's event (RFC 8417): our own event, and that of CAEP if there is one.

    The same record always has the same `jti` for the same audience.
    """
    event: dict[str, Any] = {
        "event_timestamp": now_ms // _MS_PER_S,
        "initiating_entity": "policy" if record.initiating_entity == GATE else "admin",
        "reason_admin": {"en": record.reason},
    }
    is_stop = record.state is RevocationState.REVOKED
    own = {**event, "kind": record.kind.value.lower(), "id": record.id}
    if record.until is not None:
        own["until"] = record.until // _MS_PER_S
    events = {STOPPED if is_stop else RELEASED: own}
    if is_stop and record.kind in _PRINCIPALS:
        events[f"{CAEP}session-revoked"] = event
    return {
        "iss": issuer,
        "aud": audience,
        "iat": now_ms // _MS_PER_S,
        "jti": derived_uuid(_JTI_NAMESPACE, record.header.id, audience),
        "sub_id": _subject(record),
        "events": events,
    }


def _subject(record: Revocation) -> Mapping[str, Any]:
    tenant, separator, name = record.id.partition("|")
    opaque: Callable[[str], dict[str, str]] = lambda value: {"format": "opaque", "id": value}  # noqa: E731 - a word
    if not separator:
        return opaque(f"{record.kind.value.lower()}:{record.id}")
    part = {RevocationKind.SESSION: "session", RevocationKind.SUBJECT: "user"}.get(record.kind, "application")
    return {"format": "complex", part: opaque(name), "tenant": opaque(tenant)}
