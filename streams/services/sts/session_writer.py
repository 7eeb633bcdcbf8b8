"""Writes sessions: the session, its grant and the audit record in one transaction; and records of refusals.

After a crash either all of them are on the log or none. If it is not known whether a transaction was committed, the
client gets no token, so nobody can use the session.
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
from streams.model.revocation_targets import session_target
from streams.model.session import SessionEvent, SessionEventType
from streams.model.token_reasons import TokenReason
from streams.model.topics import AUDIT_REPORTED, DELEGATION, REVOCATION, SESSION
from streams.model.types import Actor, Header
from streams.ports import AbortableTransactionError, LogError, Outgoing, Producer, RetriableLogError
from streams.sdk.agent.credential import NOTHING_STATED, OpenedWith
from streams.sdk.connection.single_records import outgoing
from streams.sdk.connection.transport import Transport
from streams.sdk.entropy import Entropy
from streams.services.sts.errors import RefusedError

ATTEMPTS_MAX = 3
TRANSACTION_SESSIONS_MAX = 64
ALONE_FAILED_MAX = 2
REFUSALS_PER_MINUTE = 600
"""How many refusals of unknown clients are recorded; the next record says how many were not."""

NOBODY = Actor(iss="", sub="(unknown)")
_log = logging.getLogger(__name__)


class Opening(NamedTuple):
    """A session to open; `lineage` is its grant after all its ancestors, `opened_with` what its agent states."""

    lineage: tuple[GrantBody, ...]
    attended: bool
    parent_session_id: str | None
    source: str
    traceparent: str | None
    opened_with: OpenedWith = NOTHING_STATED


class Refusal(NamedTuple):
    """A request that was refused, with its client and subject as far as they are known."""

    reason: TokenReason
    text: str
    tenant_uid: str
    sub: str | None = None
    act: Actor | None = None


class _Work:
    """Records that a thread waits for. `done` and `fault` are set under the ledger's lock."""

    __slots__ = ("done", "fault", "records")

    def __init__(self, records: Sequence[Outgoing]) -> None:
        self.records = records
        self.done = False
        self.fault: LogError | None = None


class Ledger:
    """Writes the service's records. Thread-safe: one transaction at a time, which several requests share."""

    def __init__(self, transport: Transport, root_key: bytes, *, issuer: str, name: str, entropy: Entropy) -> None:
        """Prepare, without opening a producer.

        Args:
            issuer: the source of the records.
            name: the transactional id. Two services with the same one fence each other.
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
        """Write the session, its grant, and the audit record; all are on the log when this returns.

        Raises:
            RefusedError: it is not known whether they are on the log.
        """
        self._commit(self._opened(opening))

    def refused(self, refusal: Refusal) -> None:
        """Record a refusal. If that fails, it is only logged: the request stays refused without a record."""
        note = ""
        if refusal.act is None:
            with self._queue_lock:
                if self._refusals.take(""):
                    self._left_out += 1
                    return
                if self._left_out:
                    note = f" ({self._left_out} earlier refusals were not recorded)"
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
            # Nobody waits for this record: refused clients must not be able to delay others.
            key = session_key_of(refusal.tenant_uid, "")
            self._transport.publisher().publish(outgoing(self._transport, AUDIT_REPORTED, key, event, header))
        except LogError as error:
            _log.warning("a refusal (%s) was not recorded: %s", refusal.reason.value, error)

    def end_session(self, grant: GrantBody, sequence: int) -> None:
        """Write the revocation of a session, for gates and executors, and the audit record.

        Raises:
            RefusedError: it is not known whether they are on the log.
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
        audit = self._audit(grant, (grant.uid,), TokenReason.TOKEN_REVOKED, "revoked by its agent")
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
            reason="revoked by its agent",
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
        """Release the producer."""
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
            model=opening.opened_with.model,
            system_prompt_digest=opening.opened_with.system_prompt_digest,
            toolset_digest=opening.opened_with.toolset_digest,
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
        """Commit records together. Requests that arrive during a transaction share the next one, because a transaction
        on a cluster takes some ms, whatever its size.

        Raises:
            RefusedError: it is not known whether they are committed.
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
        """Commit the records of several requests. Afterwards each request is done, with or without a fault."""
        fault: LogError | None = LogError("the transaction has failed; the service has logged the reason")
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
        """Commit each request separately, so that one bad record does not fail the others. After two failures, the log
        itself is taken to have failed, and the others are not tried."""
        failed = 0
        for work in batch:
            if failed < ALONE_FAILED_MAX:
                self._finish([work])
                failed += work.fault is not None

    def _committed(self, batch: Sequence[_Work]) -> LogError | None:
        """Commit one transaction; return None if it is committed. Retry only if nothing of it can be on the log."""
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
        """Abort the open transaction, and return whether it is certainly aborted."""
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
            # It is no longer usable in any case: the next producer replaces it.
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
    text = "it is not known whether the session is on the log; retry with a new token"
    return RefusedError(TokenReason.LOG_UNAVAILABLE, text, retry_after_ms=1_000)
