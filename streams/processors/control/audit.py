"""Make the records of a change of rules or tools: its audit record, and an alert if one is due."""

from __future__ import annotations

from streams.model.alert import clipped
from streams.model.audit import AuditEvent
from streams.model.errors import InvariantError
from streams.model.proof import derived_uuid
from streams.model.reasons import CONTROL_TEXTS, ControlReason, DeadLetterReason
from streams.model.types import ToolRef
from streams.ports.processor import BroadcastEvent, Output
from streams.ports.wire import Encoder
from streams.processors.audit import audit_output, control_event
from streams.processors.control.alerts import control_alert
from streams.processors.control.catalog import CatalogEvent
from streams.processors.control.publications import RulesEvent
from streams.processors.control.rules_audit import change_outputs

_ALARMING = frozenset({ControlReason.CATALOG_TOPIC_BEHIND, ControlReason.TOOL_REMOVED})


def event_outputs(encoder: Encoder, event: BroadcastEvent, place: str, time_ms: int) -> list[Output]:
    """Return the audit record of an event, and an alert if something was rejected, was removed, or is behind.

    Args:
        encoder: what encodes the records.
        event: the change.
        place: topic, partition and offset of the change, or whatever else identifies it.
        time_ms: broker time of the change.
    """
    if isinstance(event, RulesEvent):
        return change_outputs(encoder, event, place, time_ms)
    if not isinstance(event, CatalogEvent):
        raise InvariantError(f"`{type(event).__name__}` is not an event of control state")
    audit = _audit(event, place, time_ms)
    key = clipped(event.name).encode()
    outputs = [audit_output(encoder, key, audit)]
    if event.error is not None or event.reason in _ALARMING:
        outputs.append(_alert(encoder, event, audit, time_ms))
    return outputs


def _audit(event: CatalogEvent, place: str, time_ms: int) -> AuditEvent:
    entry = event.entry
    reason = event.error.reason if event.error is not None else event.reason
    return control_event(
        derived_uuid("catalog change", event.name, place, str(time_ms)),
        "" if entry is None else entry.header.tenant_uid,
        time_ms,
        claimed_by="" if entry is None else clipped(entry.reviewed_by or entry.proposed_by or ""),
        place=place,
        reason=None if reason is None else str(reason),
        text=_text(event),
        tool=None
        if entry is None
        else ToolRef(
            server_id=clipped(entry.server_id),
            name=clipped(entry.name),
            definition_digest=entry.definition_digest,
            catalog_version=entry.catalog_version,
        ),
    )


def _text(event: CatalogEvent) -> str:
    if event.error is not None:
        return str(event.error)
    text = "" if event.reason is None else CONTROL_TEXTS[event.reason]
    entry = event.entry
    if entry is None:
        return f"{text}: {event.detail}"
    signed = f"signed by {', '.join(event.signers)}" if event.signers else "not signed"
    note = f", {entry.review_note}" if entry.review_note else ""
    return f"{text}: version {entry.catalog_version}, {signed}{note}"


def _alert(encoder: Encoder, event: CatalogEvent, audit: AuditEvent, time_ms: int) -> Output:
    name = clipped(event.name)
    if event.error is not None:
        title = f"catalog entry rejected: {name}"
    else:
        title = "the catalog is not the latest" if event.entry is None else f"catalog entry removed: {name}"
    return control_alert(
        encoder,
        audit,
        time_ms,
        title=title,
        about=("catalog", name, audit.inputs[0]),
        look_at="stoplog catalog list",
        is_mistake=audit.reason == DeadLetterReason.CATALOG_INVALID,
        mistake_types=("ASI04",),
    )
