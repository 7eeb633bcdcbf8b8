"""Make the records of a publication of rules: its audit record, and an alert if one is due."""

from __future__ import annotations

from streams.model.audit import AuditEvent
from streams.model.control import RulesChange
from streams.model.proof import derived_uuid
from streams.model.reasons import CONTROL_TEXTS, ControlReason, DeadLetterReason
from streams.ports.processor import Output
from streams.ports.wire import Encoder
from streams.processors.audit import audit_output, control_event
from streams.processors.control.alerts import control_alert
from streams.processors.control.publications import RulesEvent


def change_outputs(encoder: Encoder, event: RulesEvent, place: str, time_ms: int) -> list[Output]:
    """Return the audit record of an event, and an alert if rules were rejected or are behind.

    Args:
        encoder: what encodes the records.
        event: the effect of the publication.
        place: topic, partition and offset of the publication, or whatever else identifies the event.
        time_ms: broker time of the publication.
    """
    audit = _audit(event, place, time_ms)
    outputs = [audit_output(encoder, event.name.encode(), audit)]
    if event.error is not None or event.reason is ControlReason.RULES_TOPIC_BEHIND:
        outputs.append(_alert(encoder, event.name, audit, time_ms))
    return outputs


def _audit(event: RulesEvent, place: str, time_ms: int) -> AuditEvent:
    bundle = event.bundle
    reason = event.error.reason if event.error is not None else event.reason
    return control_event(
        derived_uuid("rules change", event.name, place, str(time_ms)),
        "" if bundle is None else bundle.header.tenant_uid,
        time_ms,
        claimed_by="" if bundle is None else bundle.published_by,
        place=place,
        reason=None if reason is None else str(reason),
        text=_text(event),
        ruleset_digest=None if bundle is None else bundle.digest,
        rules_change=None
        if bundle is None
        else RulesChange(
            name=bundle.name,
            version=bundle.version,
            serial=bundle.serial,
            action=bundle.action,
            canary_bp=bundle.canary_bp,
            published_by=bundle.published_by,
            signed_by=event.signers,
        ),
    )


def _text(event: RulesEvent) -> str:
    if event.error is not None:
        return str(event.error)
    text = "" if event.reason is None else CONTROL_TEXTS[event.reason]
    bundle = event.bundle
    if bundle is None:
        return f"{text}: {event.detail}"
    share = f", for {bundle.canary_bp / 100:g}% of sessions" if bundle.canary_bp else ""
    signed = f", signed by {', '.join(event.signers)}" if event.signers else ", not signed"
    return f"{text}: version {bundle.version}, serial {bundle.serial}{share}{signed}"


def _alert(encoder: Encoder, name: str, audit: AuditEvent, time_ms: int) -> Output:
    behind = audit.reason == ControlReason.RULES_TOPIC_BEHIND
    return control_alert(
        encoder,
        audit,
        time_ms,
        title=f"rules are not the latest: bundle {name}" if behind else f"rules rejected: bundle {name}",
        about=("rules", name, *(() if audit.ruleset_digest is None else (audit.inputs[0],))),
        look_at="stoplog rules status",
        is_mistake=audit.reason == DeadLetterReason.BUNDLE_INVALID,
    )
