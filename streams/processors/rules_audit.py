"""What is put on record of a publication of rules, and whom it alarms."""

from __future__ import annotations

import json

from streams.model.alert import Alert, Attack
from streams.model.audit import AuditEvent, AuditEventType, AuditPhase, RetentionClass
from streams.model.control import RulesChange
from streams.model.proof import derived_uuid
from streams.model.reasons import CONTROL_TEXTS, ControlReason, DeadLetterReason
from streams.model.topics import ALERT, AUDIT
from streams.model.types import Actor, Header
from streams.processors.effects import Encoder, Output
from streams.processors.publications import RulesEvent
from streams.processors.verdicts import SOURCE

TEXT_CHARS_MAX = 20_000
ALERT_CHARS_MAX = 1_000
_SEVERITY_MEDIUM = 3
_SEVERITY_CRITICAL = 5
_CONFIDENCE_HIGH = 3
_STATUS_NEW = 1
_ACTION_DENIED = 2
_DISPOSITION_BLOCKED = 2
_TAMPERING = Attack(technique_uid="AML.T0081", technique_name="Modify AI Agent Configuration")


def change_outputs(encoder: Encoder, event: RulesEvent, place: str, time_ms: int) -> list[Output]:
    """The records of an event: an audit record; and an alert, where rules were refused or are behind.

    Args:
        place: topic, partition and offset of the publication, or whatever else names the event.
        time_ms: broker time of the publication.
    """
    audit = _audit(event, place, time_ms)
    outputs = [Output(AUDIT, event.name.encode(), encoder.encode(AUDIT.name, audit), audit.header)]
    if event.error is not None or event.reason is ControlReason.RULES_TOPIC_BEHIND:
        alert = _alert(event.name, audit, time_ms)
        outputs.append(Output(ALERT, alert.dedup_key.encode(), encoder.encode(ALERT.name, alert), alert.header))
    return outputs


def _audit(event: RulesEvent, place: str, time_ms: int) -> AuditEvent:
    bundle = event.bundle
    tenant_uid = "" if bundle is None else bundle.header.tenant_uid
    reason = event.error.reason if event.error is not None else event.reason
    return AuditEvent(
        header=Header(
            id=derived_uuid("rules change", event.name, place, str(time_ms)),
            source=SOURCE,
            time=time_ms,
            tenant_uid=tenant_uid,
        ),
        event_type=AuditEventType.CONTROL,
        phase=AuditPhase.PRE_EXECUTION,
        session_id="",
        act=Actor(iss="", sub="" if bundle is None else bundle.published_by),
        inputs=(place,),
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
        reason=None if reason is None else str(reason),
        reason_text=_text(event),
        # Who changed the rules, and when, is asked for long after single calls are forgotten.
        retention_class=RetentionClass.LONG,
    )


def _text(event: RulesEvent) -> str:
    if event.error is not None:
        return str(event.error)[:TEXT_CHARS_MAX]
    text = "" if event.reason is None else CONTROL_TEXTS[event.reason]
    bundle = event.bundle
    if bundle is None:
        return f"{text}: {event.detail}"
    share = f", for {bundle.canary_bp / 100:g}% of sessions" if bundle.canary_bp else ""
    signed = f", signed by {', '.join(event.signers)}" if event.signers else ", not signed"
    return f"{text}: version {bundle.version}, serial {bundle.serial}{share}{signed}"[:TEXT_CHARS_MAX]


def _alert(name: str, audit: AuditEvent, time_ms: int) -> Alert:
    reason = audit.reason or ""
    is_mistake = reason == DeadLetterReason.BUNDLE_INVALID
    alert_id = derived_uuid("alert", audit.header.id)
    behind = reason == ControlReason.RULES_TOPIC_BEHIND
    return Alert(
        header=Header(id=alert_id, source=SOURCE, time=time_ms, tenant_uid=audit.header.tenant_uid),
        finding_uid=alert_id,
        severity_id=_SEVERITY_MEDIUM if is_mistake else _SEVERITY_CRITICAL,
        confidence_id=_CONFIDENCE_HIGH,
        status_id=_STATUS_NEW,
        title=f"rules are not the newest: bundle {name}" if behind else f"rules refused: bundle {name}",
        desc=(audit.reason_text or "")[:ALERT_CHARS_MAX],
        analytic_uid=reason,
        analytic_version="1",
        attacks=() if is_mistake else (_TAMPERING,),
        types=() if is_mistake else ("ASI03", "ASI04"),
        action_id=_ACTION_DENIED,
        disposition_id=_DISPOSITION_BLOCKED,
        act=audit.act,
        first_seen_time=time_ms,
        last_seen_time=time_ms,
        related_event_ids=(audit.header.id,),
        dedup_key=json.dumps([reason, "rules", name, *([] if audit.ruleset_digest is None else [audit.inputs[0]])]),
        suggested_response=("stoplog rules status", "stoplog tail deadletters"),
    )
