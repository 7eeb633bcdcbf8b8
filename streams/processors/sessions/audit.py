"""Make the audit records of a session: its end, and a change of what it runs on."""

from __future__ import annotations

from streams.model.proof import derived_uuid
from streams.model.reasons import REASON_TEXTS, SESSION_CHANGE_TEXTS, Reason, SessionChange
from streams.model.types import Actor
from streams.ports.processor import Output
from streams.ports.wire import Encoder
from streams.processors.audit import audit_output, session_event
from streams.processors.session_row import SessionRow


def ended_record(
    encoder: Encoder, session_key: bytes, row: SessionRow, reason: Reason, now_ms: int, event_id: str | None = None
) -> Output:
    """Return the record of a session's end.

    Args:
        event_id: the session event that has ended the session; None if its time was over.
    """
    ids = _ids(session_key)
    event = session_event(
        derived_uuid("session ended", *ids),
        *ids,
        now_ms,
        sub=row.identity.sub,
        act=Actor(iss=row.identity.act_iss, sub=row.identity.act_sub),
        delegation_path=row.grant.delegation_uids,
        reason=reason.value,
        text=REASON_TEXTS[reason],
        parent_event_id=event_id,
    )
    return audit_output(encoder, session_key, event)


def changed_record(
    encoder: Encoder, session_key: bytes, row: SessionRow, names: tuple[str, ...], intent_id: str, now_ms: int
) -> Output:
    """Return the record that a session's calls come from something else than the session was opened with.

    Args:
        names: what has changed.
        intent_id: the intent that shows it.
    """
    ids, change = _ids(session_key), SessionChange.FINGERPRINT_CHANGED
    event = session_event(
        derived_uuid("session changed", *ids, *names),
        *ids,
        now_ms,
        sub=row.identity.sub,
        act=Actor(iss=row.identity.act_iss, sub=row.identity.act_sub),
        delegation_path=row.grant.delegation_uids,
        reason=change.value,
        text=f"{SESSION_CHANGE_TEXTS[change]}: {', '.join(names)}",
        parent_event_id=intent_id,
    )
    return audit_output(encoder, session_key, event)


def _ids(session_key: bytes) -> tuple[str, str]:
    tenant_uid, _, session_id = session_key.decode().partition("|")
    return tenant_uid, session_id
