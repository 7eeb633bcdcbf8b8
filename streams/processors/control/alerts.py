"""Make the alert about rules or catalog entries that are rejected, removed, or older than those in force before."""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec

from streams.model.alert import Alert
from streams.model.analytics import ANALYTICS, REJECTED, made_alert
from streams.model.audit import AuditEvent
from streams.model.proof import derived_uuid
from streams.processors.headers import gate_header


def control_alert(audit: AuditEvent, time_ms: int, *, title: str, about: Sequence[str], look_at: str) -> Alert:
    """Return the alert that goes with an audit record.

    Args:
        audit: the audit record.
        time_ms: broker time of what the alert is about.
        title: the alert's title.
        about: what identifies the finding when it recurs, besides the reason.
        look_at: the command that shows what is in force.
    """
    reason = audit.reason or ""
    alert = made_alert(
        reason,
        gate_header(derived_uuid("alert", audit.header.id), audit.header.tenant_uid, time_ms),
        title=title,
        desc=audit.reason_text or "",
        dedup_key=json.dumps([reason, *about]),
        response=(look_at, "stoplog tail deadletters --no-follow"),
        analytic=ANALYTICS.get(reason, REJECTED),
        related=(audit.header.id,),
    )
    return msgspec.structs.replace(alert, act=audit.act)
