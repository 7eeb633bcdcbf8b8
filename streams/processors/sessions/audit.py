"""What becomes of a session, as the audit tells of it: its end, and a change of what it runs on."""

from __future__ import annotations

from streams.model.audit import AuditEvent, AuditEventType, AuditPhase, RetentionClass
from streams.model.proof import derived_uuid
from streams.model.reasons import REASON_TEXTS, SESSION_CHANGE_TEXTS, Reason, SessionChange
from streams.model.topics import AUDIT
from streams.model.types import Actor, Header
from streams.ports.processor import Output
from streams.ports.wire import Encoder
from streams.processors.state import SessionRow

SOURCE = "stoplog/gate"


def ended_record(
    encoder: Encoder, session_key: bytes, row: SessionRow, reason: Reason, now_ms: int, event_id: str | None = None
) -> Output:
    """That a session has ended, and why.

    Args:
        event_id: the session event that has ended it; None where its time was over.
    """
    tenant, _, session_id = session_key.decode().partition("|")
    return _record(
        encoder,
        session_key,
        row,
        record_id=derived_uuid("session ended", tenant, session_id),
        reason=reason.value,
        text=REASON_TEXTS[reason],
        now_ms=now_ms,
        parent_event_id=event_id,
    )


def changed_record(
    encoder: Encoder, session_key: bytes, row: SessionRow, names: tuple[str, ...], intent_id: str, now_ms: int
) -> Output:
    """That a session's calls come from something else than it was opened with: `names` of it, as of this intent."""
    tenant, _, session_id = session_key.decode().partition("|")
    change = SessionChange.FINGERPRINT_CHANGED
    return _record(
        encoder,
        session_key,
        row,
        record_id=derived_uuid("session changed", tenant, session_id, *names),
        reason=change.value,
        text=f"{SESSION_CHANGE_TEXTS[change]}: {', '.join(names)}",
        now_ms=now_ms,
        parent_event_id=intent_id,
    )


def _record(
    encoder: Encoder,
    session_key: bytes,
    row: SessionRow,
    *,
    record_id: str,
    reason: str,
    text: str,
    now_ms: int,
    parent_event_id: str | None,
) -> Output:
    tenant, _, session_id = session_key.decode().partition("|")
    event = AuditEvent(
        header=Header(id=record_id, source=SOURCE, time=now_ms, tenant_uid=tenant),
        event_type=AuditEventType.SESSION,
        phase=AuditPhase.CONCURRENT,
        session_id=session_id,
        parent_event_id=parent_event_id,
        sub=row.sub or None,
        act=Actor(iss=row.act_iss, sub=row.act_sub),
        delegation_path=row.delegation_uids,
        reason=reason,
        reason_text=text,
        retention_class=RetentionClass.STANDARD,
    )
    return Output(AUDIT, session_key, encoder.encode(AUDIT.name, event), event.header)
