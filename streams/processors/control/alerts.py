"""Make the alert about rules or catalog entries that are rejected, removed, or older than those in force before."""

from __future__ import annotations

import json
from collections.abc import Sequence

from streams.model.alert import (
    ACTION_DENIED,
    CONFIDENCE_HIGH,
    DESC_CHARS_MAX,
    DISPOSITION_BLOCKED,
    SEVERITY_CRITICAL,
    SEVERITY_MEDIUM,
    STATUS_NEW,
    Alert,
    Attack,
)
from streams.model.audit import AuditEvent
from streams.model.proof import derived_uuid
from streams.model.topics import ALERT
from streams.ports.processor import Output
from streams.ports.wire import Encoder
from streams.processors.headers import gate_header

_TAMPERING = Attack(technique_uid="AML.T0081", technique_name="Modify AI Agent Configuration")
_TAMPERING_TYPES = ("ASI03", "ASI04")


def control_alert(
    encoder: Encoder,
    audit: AuditEvent,
    time_ms: int,
    *,
    title: str,
    about: Sequence[str],
    look_at: str,
    is_mistake: bool,
    mistake_types: tuple[str, ...] = (),
) -> Output:
    """Return the alert that goes with an audit record.

    Args:
        encoder: what encodes the alert.
        audit: the audit record.
        time_ms: broker time of what the alert is about.
        title: the alert's title.
        about: what identifies the finding when it recurs, besides the reason.
        look_at: the command that shows what is in force.
        is_mistake: whether it looks like a mistake rather than like an attack.
        mistake_types: the ASI ids of a mistake.
    """
    reason = audit.reason or ""
    alert_id = derived_uuid("alert", audit.header.id)
    alert = Alert(
        header=gate_header(alert_id, audit.header.tenant_uid, time_ms),
        finding_uid=alert_id,
        severity_id=SEVERITY_MEDIUM if is_mistake else SEVERITY_CRITICAL,
        confidence_id=CONFIDENCE_HIGH,
        status_id=STATUS_NEW,
        title=title,
        desc=(audit.reason_text or "")[:DESC_CHARS_MAX],
        analytic_uid=reason,
        analytic_version="1",
        attacks=() if is_mistake else (_TAMPERING,),
        types=mistake_types if is_mistake else _TAMPERING_TYPES,
        action_id=ACTION_DENIED,
        disposition_id=DISPOSITION_BLOCKED,
        act=audit.act,
        first_seen_time=time_ms,
        last_seen_time=time_ms,
        related_event_ids=(audit.header.id,),
        dedup_key=json.dumps([reason, *about]),
        suggested_response=(look_at, "stoplog tail deadletters"),
    )
    return Output(ALERT, alert.dedup_key.encode(), encoder.encode(ALERT.name, alert), alert.header)
