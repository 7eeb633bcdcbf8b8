"""Builds the audit records of input that could not be processed: dead letters, and timers that failed."""

from __future__ import annotations

from typing import NamedTuple

from streams.model.audit import AuditEvent, AuditEventType, AuditPhase, RetentionClass
from streams.model.errors import RecordError
from streams.model.proof import derived_uuid
from streams.model.reasons import DeadLetterReason
from streams.model.topics import Topic
from streams.model.types import Actor, Header
from streams.ports import Received
from streams.ports.processor import Output
from streams.ports.wire import Encoder

_TEXT_CHARS_MAX = 500
_KEY_CHARS_MAX = 512
_KEY_BYTES_MAX = 16_384
"""Of the record's key, which is the audit record's, too. The dead letter keeps as much."""
_NOBODY = Actor(iss="", sub="(unknown)")


class Reporter(NamedTuple):
    """Who puts a failure on record: the encoder of its records, the topic of its audit records, and its name."""

    encoder: Encoder
    topic: Topic
    source: str


def dead_letter_record(reporter: Reporter, record: Received, error: RecordError) -> Output:
    """Return the audit record that says where a dead letter came from, and why.

    Args:
        reporter: who puts it on record.
        record: what became a dead letter.
        error: why.
    """
    place = f"{record.topic}/{record.partition}/{record.offset}"
    fault = (str(error.reason), str(error)[:_TEXT_CHARS_MAX])
    return _audit(reporter, record.key, place, record.timestamp_ms, fault)


def timer_failure_record(reporter: Reporter, partition: int, due_ms: int, payload: bytes, error: Exception) -> Output:
    """Return the audit record of a timer that could not be processed.

    Args:
        reporter: who puts it on record.
        partition: whose timer it was.
        due_ms: when it was due.
        payload: what it was set with: a byte that names its kind, a key, NUL, and what else there is.
        error: what it failed with.
    """
    key = payload[1:].rpartition(b"\x00")[0]
    place = f"timer/{partition}/{due_ms}/{payload.hex()[:_KEY_CHARS_MAX]}"
    text = f"{type(error).__name__}: {error}"[:_TEXT_CHARS_MAX]
    return _audit(reporter, key, place, due_ms, (DeadLetterReason.PROCESSING_FAILED.value, text))


def _audit(reporter: Reporter, key: bytes | None, place: str, time_ms: int, fault: tuple[str, str]) -> Output:
    key_text = (key or b"").decode("utf-8", "replace")[:_KEY_CHARS_MAX]
    tenant_uid, _, session_id = key_text.partition("|")
    reason, text = fault
    header = Header(id=derived_uuid("dead letter", place), source=reporter.source, time=time_ms, tenant_uid=tenant_uid)
    audit = AuditEvent(
        header=header,
        event_type=AuditEventType.DEAD_LETTER,
        phase=AuditPhase.PRE_EXECUTION,
        session_id=session_id,
        act=_NOBODY,
        inputs=(place,),
        reason=reason,
        reason_text=text,
        retention_class=RetentionClass.STANDARD,
    )
    value = reporter.encoder.encode(reporter.topic.name, audit)
    kept_key = None if key is None else key[:_KEY_BYTES_MAX]
    return Output(reporter.topic, kept_key, value, audit.header)
