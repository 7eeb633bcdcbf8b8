"""Turns audit records into rows of a table, the same columns for every type of event."""

from __future__ import annotations

from typing import Any

from streams.codec.instants import format_instant
from streams.model.audit import AuditEvent
from streams.model.labels import Integrity
from streams.model.types import tool_text
from streams.model.verdict import RuleMode
from streams.ports import Received

COLUMNS: dict[str, str] = {
    "topic": "text",
    "partition": "int",
    "offset": "int",
    "appended_at": "instant",
    "event_id": "text",
    "event_time": "instant",
    "tenant": "text",
    "event_type": "text",
    "phase": "text",
    "session_id": "text",
    "intent_id": "text",
    "verdict_id": "text",
    "parent_event_id": "text",
    "outcome": "text",
    "reason": "text",
    "reason_text": "text",
    "subject": "text",
    "agent": "text",
    "agent_issuer": "text",
    "model": "text",
    "server": "text",
    "tool": "text",
    "rules": "texts",
    "tags": "texts",
    "inputs": "texts",
    "untrusted_inputs": "int",
    "approvals": "texts",
    "delegation_path": "texts",
    "integrity": "text",
    "confidentiality": "text",
    "ruleset_digest": "text",
    "verdict_digest": "text",
    "args_commit": "text",
    "user_request_commit": "text",
    "system_prompt_commit": "text",
    "retention_class": "text",
    "system_prompt_fingerprint": "text",
}
"""The columns, each with its kind: `text`, `texts` (a list), `int`, or `instant` (in UTC, to the ms)."""


def row_of(received: Received, event: AuditEvent) -> dict[str, Any]:
    """Return a record as a row."""
    label, tool = event.label, event.tool
    return {
        "topic": received.topic,
        "partition": received.partition,
        "offset": received.offset,
        "appended_at": received.timestamp_ms,
        "event_id": event.header.id,
        "event_time": event.header.time,
        "tenant": event.header.tenant_uid,
        "event_type": event.event_type.value,
        "phase": event.phase.value,
        "session_id": event.session_id,
        "intent_id": event.intent_id,
        "verdict_id": event.verdict_id,
        "parent_event_id": event.parent_event_id,
        "outcome": None if event.outcome is None else event.outcome.value,
        "reason": event.reason,
        "reason_text": event.reason_text,
        "subject": event.sub,
        "agent": event.act.sub,
        "agent_issuer": event.act.iss,
        "model": None if event.model is None else event.model.name,
        "server": None if tool is None else tool.server_id,
        "tool": None if tool is None else tool_text(tool),
        "rules": [rule.rule_id for rule in event.rules if rule.mode is RuleMode.ENFORCE],
        "tags": list(event.tags),
        "inputs": list(event.inputs),
        "untrusted_inputs": sum(each.integrity is Integrity.UNTRUSTED for each in event.input_labels),
        "approvals": list(event.approvals),
        "delegation_path": list(event.delegation_path),
        "integrity": None if label is None else label.integrity.value,
        "confidentiality": None if label is None else label.confidentiality.value,
        "ruleset_digest": _hex(event.ruleset_digest),
        "verdict_digest": _hex(event.verdict_digest),
        "args_commit": _hex(event.args_commit),
        "user_request_commit": _hex(event.user_request_commit),
        "system_prompt_commit": _hex(event.system_prompt_commit),
        "retention_class": event.retention_class.value,
        "system_prompt_fingerprint": _hex(event.system_prompt_fingerprint),
    }


def day_of(received: Received) -> str:
    """Return the day, in UTC, on which a record was appended."""
    return format_instant(received.timestamp_ms)[:10]


def _hex(digest: bytes | None) -> str | None:
    return None if digest is None else digest.hex()
