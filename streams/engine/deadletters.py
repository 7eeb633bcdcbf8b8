"""Records that can't be processed: they go to the dead-letter topic of their own, and on the record."""

from __future__ import annotations

from streams.engine.wire import Wire
from streams.model.audit import AuditEvent, AuditEventType, AuditPhase, RetentionClass
from streams.model.errors import RecordError
from streams.model.proof import derived_uuid
from streams.model.reasons import DeadLetterReason
from streams.model.topics import AUDIT
from streams.model.types import Actor, Header
from streams.ports import Outgoing, Received
from streams.processors.gate.verdicts import SOURCE

_TEXT_CHARS_MAX = 500
_KEY_CHARS_MAX = 512
_NOBODY = Actor(iss="", sub="(unknown)")


def dead_letter_outputs(wire: Wire, record: Received, error: RecordError, audit_partition: int) -> list[Outgoing]:
    """The dead letter, and the audit record that says where it lies and why."""
    fault = (str(error.reason), str(error)[:_TEXT_CHARS_MAX])
    place = f"{record.topic}/{record.partition}/{record.offset}"
    audit = _audit(wire, record.key, place, record.timestamp_ms, fault, audit_partition)
    return [wire.dead_letter(record, *fault), audit]


def timer_failure_output(wire: Wire, partition: int, due_ms: int, payload: bytes, error: Exception) -> Outgoing:
    """The audit record of a timer that could not be processed: a timer has no dead-letter topic to go to."""
    key = payload[1:].rpartition(b"\x00")[0]
    place = f"timer/{partition}/{due_ms}/{payload.hex()[:_KEY_CHARS_MAX]}"
    text = f"{type(error).__name__}: {error}"[:_TEXT_CHARS_MAX]
    return _audit(wire, key, place, due_ms, (DeadLetterReason.PROCESSING_FAILED.value, text), partition)


def _audit(wire: Wire, key: bytes | None, place: str, time_ms: int, fault: tuple[str, str], partition: int) -> Outgoing:
    key_text = (key or b"").decode("utf-8", "replace")[:_KEY_CHARS_MAX]
    tenant_uid, _, session_id = key_text.partition("|")
    reason, text = fault
    audit = AuditEvent(
        header=Header(id=derived_uuid("dead letter", place), source=SOURCE, time=time_ms, tenant_uid=tenant_uid),
        event_type=AuditEventType.DEAD_LETTER,
        phase=AuditPhase.PRE_EXECUTION,
        session_id=session_id,
        act=_NOBODY,
        inputs=(place,),
        reason=reason,
        reason_text=text,
        retention_class=RetentionClass.STANDARD,
    )
    value = wire.encode(AUDIT.name, audit)
    return Outgoing(AUDIT.name, partition, key, value, wire.headers(AUDIT, audit.header))
