"""What the service writes: a session and its grant in one transaction, with the record of it; and what it refused.

A crash in between leaves both or neither. Where it is not known whether a transaction was committed, the client gets no
token, so nobody can use what may have been opened.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import NamedTuple

from streams.delegation.digest import travelling
from streams.http.limits import RateLimit
from streams.model.audit import AuditEvent, AuditEventType, AuditPhase, RetentionClass
from streams.model.delegation import GrantBody
from streams.model.keys import revocation_key, session_key_of
from streams.model.proof import proven_event, session_writer_key
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.revocation_set import session_target
from streams.model.session import SessionEvent, SessionEventType
from streams.model.token_reasons import TokenReason
from streams.model.topics import AUDIT_REPORTED, DELEGATION, REVOCATION, SESSION
from streams.model.types import Actor, Header
from streams.ports import AbortableTransactionError, LogError, Outgoing, Producer, RetriableLogError
from streams.sdk.entropy import Entropy
from streams.sdk.single_records import outgoing
from streams.sdk.transport import Transport
from streams.services.sts.errors import RefusedError

ATTEMPTS_MAX = 3
TRANSACTION_SESSIONS_MAX = 64
ALONE_FAILED_MAX = 2
REFUSALS_PER_MINUTE = 600
"""Refusals on record of whoever has not shown who they are; the next record says how many were left out."""

NOBODY = Actor(iss="", sub="(unknown)")
_log = logging.getLogger(__name__)


class Opening(NamedTuple):
    """A session that is to be opened: `lineage` is its grant after all its ancestors."""

    lineage: tuple[GrantBody, ...]
    attended: bool
    parent_session_id: str | None
    source: str
    traceparent: str | None


class Refusal(NamedTuple):
    """A request that was refused: as far as it is known, of whom."""

    reason: TokenReason
    text: str
    tenant_uid: str
    sub: str | None = None
    act: Actor | None = None


class _Work:
    """Records that a thread waits for. Done, and with what fault, under the ledger's lock."""

    __slots__ = ("done", "fault", "records")

    def __init__(self, records: Sequence[Outgoing]) -> None:
        self.records = records
        self.done = False
        self.fault: LogError | None = None


class Ledger:
    """The service's hand on the log. Thread-safe: one transaction at a time, which sessions share."""

    def __init__(self, transport: Transport, root_key: bytes, *, issuer: str, name: str, entropy: Entropy) -> None:
        """Nothing is opened yet.

        Args:
            issuer: who writes.
            name: the transactional id: two services with the same one fence each other.
        """
        self._transport = transport
        self._writer_key = session_writer_key(root_key)
        self._issuer = issuer
        self._name = name
        self._entropy = entropy
        self._lock = threading.Lock()
        self._queue_lock = threading.Lock()
        self._queue: list[_Work] = []
        self._producer: Producer | None = None
        self._may_be_kept = False
        self._refusals = RateLimit(REFUSALS_PER_MINUTE, entropy.monotonic_ms, keys_max=1)
        self._left_out = 0

    def check_topics(self) -> None:
        """Check that the topics that this writes exist.

        Raises:
            LogError: one does not exist, or the log did not answer.
        """
        for topic in (SESSION, DELEGATION, REVOCATION, AUDIT_REPORTED):
            self._transport.partitions(topic.name)

    def open_session(self, opening: Opening) -> None:
        """Write the session, its grant, and the record of both; all are on the log when this returns, or none is.

        Raises:
            RefusedError: they are not known to be there.
        """
        self._commit(self._opened(opening))

    def refused(self, refusal: Refusal) -> None:
        """Put a refusal on record. What can't be written is logged: a refusal needs no record to hold."""
        note = ""
        if refusal.act is None:
            with self._queue_lock:
                if self._refusals.take(""):
                    self._left_out += 1
                    return
                if self._left_out:
                    note = f" ({self._left_out} more before it are not on record)"
                    self._left_out = 0
        header = self._header(refusal.tenant_uid, None)
        event = AuditEvent(
            header=header,
            event_type=AuditEventType.REFUSAL,
            phase=AuditPhase.PRE_EXECUTION,
            session_id="",
            sub=refusal.sub,
            act=refusal.act or NOBODY,
            reason=refusal.reason.value,
            reason_text=f"{refusal.text}{note}",
            retention_class=RetentionClass.STANDARD,
        )
        try:
            # Nobody waits for it: whoever asks in vain must not be able to hold others up.
            key = session_key_of(refusal.tenant_uid, "")
            self._transport.publisher().publish(outgoing(self._transport, AUDIT_REPORTED, key, event, header))
        except LogError as error:
            _log.warning("a refusal (%s) is not on record: %s", refusal.reason.value, error)

    def end_session(self, grant: GrantBody, sequence: int) -> None:
        """Write that a session was revoked, for gates and executors, and the record of it.

        Raises:
            RefusedError: it is not known to be there.
        """
        key = session_key_of(grant.tenant_uid, grant.session_id or "")
        event = SessionEvent(
            header=self._header(grant.tenant_uid, None),
            session_id=grant.session_id or "",
            sequence=sequence,
            type=SessionEventType.SESSION_REVOKED,
            sub=grant.sub,
            act=grant.act,
        )
        audit = self._audit(grant, (grant.uid,), TokenReason.TOKEN_REVOKED, "its agent gave it back")
        event = proven_event(self._writer_key, event)
        target = session_target(grant.tenant_uid, event.session_id)
        header = self._header(grant.tenant_uid, None)
        revocation = Revocation(
            header=header,
            kind=RevocationKind.SESSION,
            id=target,
            state=RevocationState.REVOKED,
            effective_at=header.time,
            until=grant.exp,
            reason="its agent gave it back",
            initiating_entity=self._issuer,
        )
        revoked = revocation_key(RevocationKind.SESSION, target)
        try:
            records = [
                outgoing(self._transport, SESSION, key, event, event.header),
                outgoing(self._transport, REVOCATION, revoked, revocation, header),
                outgoing(self._transport, AUDIT_REPORTED, key, audit, audit.header),
            ]
        except LogError as error:
            raise _unavailable(error) from None
        self._commit(records)

    def close(self) -> None:
        """Release what was opened."""
        with self._lock:
            self._drop()

    def _opened(self, opening: Opening) -> list[Outgoing]:
        grant, lineage = opening.lineage[-1], opening.lineage
        session_id = grant.session_id or ""
        key = session_key_of(grant.tenant_uid, session_id)
        event = SessionEvent(
            header=self._header(grant.tenant_uid, opening.traceparent),
            session_id=session_id,
            sequence=0,
            type=SessionEventType.SESSION_ESTABLISHED,
            sub=grant.sub,
            act=grant.act,
            purpose=grant.purpose,
            scopes=grant.scopes,
            expires=grant.exp,
            attended=opening.attended,
            delegation_uid=grant.uid,
            parent_session_id=opening.parent_session_id,
        )
        event = proven_event(self._writer_key, event)
        delegation = travelling(lineage, self._header(grant.tenant_uid, opening.traceparent))
        path = tuple(body.uid for body in lineage)
        audit = self._audit(grant, path, TokenReason.TOKEN_ISSUED, opening.source)
        try:
            return [
                outgoing(self._transport, DELEGATION, key, delegation, delegation.header),
                outgoing(self._transport, SESSION, key, event, event.header),
                outgoing(self._transport, AUDIT_REPORTED, key, audit, audit.header),
            ]
        except LogError as error:
            raise _unavailable(error) from None

    def _audit(self, grant: GrantBody, path: tuple[str, ...], reason: TokenReason, text: str) -> AuditEvent:
        return AuditEvent(
            header=self._header(grant.tenant_uid, None),
            event_type=AuditEventType.SESSION,
            phase=AuditPhase.CONCURRENT,
            session_id=grant.session_id or "",
            sub=grant.sub,
            act=grant.act,
            delegation_path=path,
            reason=reason.value,
            reason_text=text,
            retention_class=RetentionClass.STANDARD,
        )

    def _commit(self, records: Sequence[Outgoing]) -> None:
        """Commit records together. Whoever comes while a transaction is under way shares the next one: on a cluster one
        takes some ms, whatever is in it.

        Raises:
            RefusedError: they are not known to be committed.
        """
        own = _Work(records)
        with self._queue_lock:
            self._queue.append(own)
        with self._lock:
            while not own.done:
                with self._queue_lock:
                    batch = self._queue[:TRANSACTION_SESSIONS_MAX]
                    del self._queue[:TRANSACTION_SESSIONS_MAX]
                self._finish(batch)
        if own.fault is not None:
            raise _unavailable(own.fault)

    def _finish(self, batch: Sequence[_Work]) -> None:
        """Commit what several wait for. Afterwards each of them is done, whatever has happened."""
        fault: LogError | None = LogError("it has failed for a reason that the service has logged")
        try:
            fault = self._committed(batch)
        except Exception:
            _log.exception("a transaction of %d requests has failed", len(batch))
            self._drop()
        finally:
            for work in batch:
                work.done, work.fault = True, fault
        if fault is not None and len(batch) > 1 and not self._may_be_kept:
            self._finish_each(batch)

    def _finish_each(self, batch: Sequence[_Work]) -> None:
        """One record that can't be written must not fail the requests that it came together with. Where two fail it is
        the log that does, and the others need not wait for it."""
        failed = 0
        for work in batch:
            if failed < ALONE_FAILED_MAX:
                self._finish([work])
                failed += work.fault is not None

    def _committed(self, batch: Sequence[_Work]) -> LogError | None:
        """One transaction; tried again only where nothing of it can have been kept. None: it is committed."""
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                self._transact([record for work in batch for record in work.records])
                return None
            except (RetriableLogError, AbortableTransactionError) as error:
                if not self._aborted() or attempt == ATTEMPTS_MAX:
                    return error
            except LogError as error:
                self._drop()
                return error
        return None

    def _transact(self, records: Sequence[Outgoing]) -> None:
        self._may_be_kept = False
        if self._producer is None:
            producer = self._transport.producer(self._name)
            try:
                producer.init_transactions()
            except LogError:
                producer.close()
                raise
            self._producer = producer
        self._producer.begin()
        for record in records:
            self._producer.send(record)
        self._may_be_kept = True
        self._producer.commit()

    def _aborted(self) -> bool:
        """Whether the open transaction is gone for certain."""
        try:
            if self._producer is not None:
                self._producer.abort()
        except LogError:
            self._drop()
            return False
        self._may_be_kept = False
        return True

    def _drop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            producer.close()
        except Exception as error:
            # It is of no more use, whatever it says: the next one takes its place.
            _log.warning("closing the producer: %s", error)

    def _header(self, tenant_uid: str, traceparent: str | None) -> Header:
        now_ms = self._transport.now_ms()
        return Header(
            id=self._entropy.uuid(now_ms),
            source=self._issuer,
            time=now_ms,
            tenant_uid=tenant_uid,
            traceparent=traceparent,
        )


def _unavailable(error: LogError) -> RefusedError:
    _log.warning("a session could not be opened: %s", error)
    text = "the session is not known to be on the log; ask again with a new token"
    return RefusedError(TokenReason.LOG_UNAVAILABLE, text, retry_after_ms=1_000)
