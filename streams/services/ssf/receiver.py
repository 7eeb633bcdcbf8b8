"""Processes events: each once. An event is remembered as soon as its effect is on the log."""

from __future__ import annotations

import logging
import threading
from typing import NamedTuple

from streams.model.keys import revocation_key, session_key_of
from streams.model.proof import derived_uuid, proven_event, session_writer_key
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.revocation_set import FOR_GOOD
from streams.model.session import SessionEvent, SessionEventType
from streams.model.topics import REVOCATION, SESSION
from streams.model.types import Header
from streams.ports import LogError, Outgoing
from streams.sdk.connection.single_records import outgoing, publish
from streams.sdk.connection.transport import Transport
from streams.sdk.entropy import Entropy
from streams.sdk.errors import PublishError
from streams.sdk.executor.revocations import RevocationWatch
from streams.services.ssf.consequences import Risk, Stop, acts_of
from streams.services.ssf.errors import UnavailableError
from streams.services.ssf.security_events import SecurityEvents, SetReader
from streams.services.ssf.store import SsfStore

SOURCE_PREFIX = "ssf:"
CONFIRM_MS_MAX = 5_000
_log = logging.getLogger(__name__)


class Lives(NamedTuple):
    """How long a user stays stopped, and how long processed events are remembered; ms."""

    user_stop_ms: int
    set_age_max_ms: int


class Receiver:
    """Processes events. Thread-safe: one at a time."""

    def __init__(
        self,
        reader: SetReader,
        store: SsfStore,
        transport: Transport,
        revocations: RevocationWatch,
        root_key: bytes,
        *,
        tenant_uid: str,
        lives: Lives,
        entropy: Entropy,
    ) -> None:
        """Args:
        revocations: the revocations in force; it follows the topic.
        tenant_uid: the tenant of transmitters for which the settings state none.
        """
        self._reader = reader
        self._store = store
        self._transport = transport
        self._revocations = revocations
        self._writer_key = session_writer_key(root_key)
        self._tenant_uid = tenant_uid
        self._lives = lives
        self._entropy = entropy
        self._lock = threading.Lock()

    def take(self, token: str, authorization: str | None) -> bool:
        """Process a token's events; their effects are on the log when this returns. Return whether it was new. Blocks.

        Raises:
            RefusedSetError: the token is invalid.
            UnavailableError: it is not certain that the token was processed.
        """
        read = self._reader.read(token, authorization)
        issuer = read.transmitter.section.issuer
        with self._lock:
            if self._store.has_seen(issuer, read.jti):
                return False
            acts = acts_of(read, self._tenant_uid)
            self._catch_up(acts)
            try:
                publish(self._transport, [record for act in acts if (record := self._record(act, read))])
            except (LogError, PublishError) as error:
                raise UnavailableError(f"the event could not be processed: {error}") from None
            # Stops come before the memory: if that is full, a stop is repeated when its sender retries, but never lost.
            horizon_ms = self._transport.now_ms() - self._lives.set_age_max_ms
            self._store.note_seen(issuer, read.jti, read.made_ms, horizon_ms=horizon_ms)
        for act in acts:
            _log.info("processed an event of `%s`: %s", read.transmitter.name, act)
        return True

    def _catch_up(self, acts: list[Stop | Risk]) -> None:
        """Wait until all revocations are known: a temporary stop must not replace a longer one."""
        has_stops = any(isinstance(act, Stop) for act in acts)
        if has_stops and not self._revocations.confirm(CONFIRM_MS_MAX):
            raise UnavailableError(f"the revocations in force could not be read within {CONFIRM_MS_MAX} ms")

    def _record(self, act: Stop | Risk, read: SecurityEvents) -> Outgoing | None:
        return self._stop(act, read) if isinstance(act, Stop) else self._risk(act, read)

    def _stop(self, act: Stop, read: SecurityEvents) -> Outgoing | None:
        now_ms = self._transport.now_ms()
        # A session is stopped for good; a user can sign in again and open new sessions.
        until_ms = None if act.kind is RevocationKind.SESSION else now_ms + self._lives.user_stop_ms
        known_ms = self._revocations.stopped_until(act.kind, act.target)
        if known_ms is not None and known_ms >= (FOR_GOOD if until_ms is None else until_ms):
            # INVARIANT: an event never permits anything. The newest record of a key applies, so it must not end a
            # longer stop.
            return None
        header = self._header(act.tenant_uid, f"{act.kind.value} {act.target}", read, now_ms)
        record = Revocation(
            header=header,
            kind=act.kind,
            id=act.target,
            state=RevocationState.REVOKED,
            effective_at=now_ms,
            until=until_ms,
            reason=act.reason,
            initiating_entity=f"{SOURCE_PREFIX}{read.transmitter.name}",
            set_jti=read.jti,
        )
        return outgoing(self._transport, REVOCATION, revocation_key(act.kind, act.target), record, header)

    def _risk(self, act: Risk, read: SecurityEvents) -> Outgoing:
        header = self._header(act.tenant_uid, f"risk {act.session_id}", read, self._transport.now_ms())
        event = SessionEvent(
            header=header,
            session_id=act.session_id,
            sequence=0,
            type=SessionEventType.RISK_LEVEL_CHANGE,
            risk_level=act.level,
            set_jti=read.jti,
            set_event_type=act.event_type,
        )
        key = session_key_of(act.tenant_uid, act.session_id)
        return outgoing(self._transport, SESSION, key, proven_event(self._writer_key, event), header)

    def _header(self, tenant_uid: str, what: str, read: SecurityEvents, now_ms: int) -> Header:
        section = read.transmitter.section
        record_id = derived_uuid("security event", section.issuer, read.jti, what)
        return Header(
            id=record_id, source=f"{SOURCE_PREFIX}{read.transmitter.name}", time=now_ms, tenant_uid=tenant_uid
        )
