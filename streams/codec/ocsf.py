"""Alerts as OCSF 1.8: Detection Finding (class 2004) with the profile `security_control`."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from streams.codec.json_lines import json_line
from streams.model.alert import ACTIVITY_CLOSE, ACTIVITY_UPDATE, Alert, ReadDocument, severity_word
from streams.model.alert_status import CLOSED, OCSF_STATUS, AlertStatus
from streams.model.topics import ALERT, ALERT_STATUS, Topic

OCSF_VERSION = "1.8.0"
CATEGORY_UID = 2
CLASS_UID = 2004
PROFILES = ("security_control",)
ATLAS_SITE = "https://atlas.mitre.org/techniques/"

_ACTIVITIES = ("Unknown", "Create", "Update", "Close")
_TYPE_FACTOR = 100
_ANALYTIC_RULE = 1
_FILE_UNKNOWN = 0
_OTHER = "Other"
_CONFIDENCES = ("Unknown", "Low", "Medium", "High")
_STATUSES = ("Unknown", "New", "In Progress", "Suppressed", "Resolved")
_ACTIONS = ("Unknown", "Allowed", "Denied", "Observed", "Modified")
_DISPOSITIONS = {0: "Unknown", 1: "Allowed", 2: "Blocked", 17: "Logged", 23: "Approved"}


def disposition_text(disposition_id: int) -> str:
    """Return what was done about what an alert reports, such as `Blocked`."""
    return _DISPOSITIONS.get(disposition_id, _OTHER)


def detection_finding(alert: Alert) -> dict[str, Any]:
    """Return the alert as an OCSF event.

    The call is evidence of the finding: the tool is `api`, with the intent's id as that of the request. What the
    session had read are further evidences. Data without a field of its own in OCSF (the OWASP ids) goes where
    readers of OCSF look for such data: the tags of `metadata`.
    """
    event = {
        **_classified(alert.activity_id, alert.severity_id),
        "time": alert.last_seen_time,
        "start_time": alert.first_seen_time,
        "end_time": alert.last_seen_time,
        "confidence_id": alert.confidence_id,
        "confidence": _named(_CONFIDENCES, alert.confidence_id),
        "risk_level_id": alert.risk_level_id,
        "status_id": alert.status_id,
        "status": _named(_STATUSES, alert.status_id),
        "action_id": alert.action_id,
        "action": _named(_ACTIONS, alert.action_id),
        "disposition_id": alert.disposition_id,
        "disposition": disposition_text(alert.disposition_id),
        "is_alert": True,
        "count": alert.count,
        "message": alert.title,
        "metadata": _metadata(alert),
        "finding_info": _finding_info(alert),
        "evidences": [_evidence(alert), *[_read(document) for document in alert.documents]],
    }
    if alert.suggested_response:
        event["remediation"] = {"desc": "\n".join(alert.suggested_response)}
    return event


def ocsf_json(alert: Alert) -> str:
    """Return the same event as JSON text."""
    return json_line(detection_finding(alert), sort_keys=True)


def handled_finding(status: AlertStatus) -> dict[str, Any]:
    """Return what somebody has done with an alert as an OCSF event: an update of its finding, or the end of it.

    It has the id of the alert's finding and what changes, not the whole alert: a SIEM joins both by `finding_info.uid`.
    """
    is_closed, done = status.status in CLOSED, OCSF_STATUS[status.status]
    time_ms = status.header.time
    event = {
        **_classified(ACTIVITY_CLOSE if is_closed else ACTIVITY_UPDATE, status.severity_id),
        "time": time_ms,
        "status_id": done.status_id,
        "status": done.status,
        "status_detail": done.detail,
        "comment": f"{status.by_user}: {status.reason}",
        # The alert has been counted when it was raised.
        "is_alert": False,
        "message": f"{done.detail}: {status.title}" if status.title else done.detail,
        "metadata": _origin(status, ALERT_STATUS, f"alert_{done.detail.replace(' ', '_')}"),
        "finding_info": {"uid": status.finding_uid, "title": status.title, "modified_time": time_ms},
    }
    if is_closed:
        event["end_time"] = time_ms
    return event


def ocsf_bytes(record: Alert | AlertStatus) -> bytes:
    """Return an alert, or what somebody has done with one, as UTF-8, as it stands on the topic."""
    if isinstance(record, Alert):
        return ocsf_json(record).encode()
    return json_line(handled_finding(record), sort_keys=True).encode()


def _classified(activity_id: int, severity_id: int) -> dict[str, Any]:
    """Return the class of an event, what has happened to its finding, and how serious that is."""
    activity = _named(_ACTIVITIES, activity_id)
    return {
        "category_uid": CATEGORY_UID,
        "category_name": "Findings",
        "class_uid": CLASS_UID,
        "class_name": "Detection Finding",
        "activity_id": activity_id,
        "activity_name": activity,
        "type_uid": CLASS_UID * _TYPE_FACTOR + activity_id,
        "type_name": f"Detection Finding: {activity}",
        "severity_id": severity_id,
        "severity": severity_word(severity_id, _OTHER).capitalize(),
    }


def _metadata(alert: Alert) -> dict[str, Any]:
    return {
        **_origin(alert, ALERT, _kind(alert)),
        "profiles": list(PROFILES),
        "tags": [{"name": "owasp_agentic", "value": each} for each in alert.types],
    }


def _origin(record: Alert | AlertStatus, topic: Topic, event_code: str) -> dict[str, Any]:
    """Return the metadata that says which record an event is made from."""
    return {
        "event_code": event_code,
        "version": OCSF_VERSION,
        "product": {"name": "stoplog", "vendor_name": "stoplog", "version": _own_version()},
        "uid": record.header.id,
        "tenant_uid": record.header.tenant_uid,
        "log_name": topic.name,
        "correlation_uid": record.dedup_key,
        "original_time": str(record.header.time),
    }


def _kind(alert: Alert) -> str:
    """Return the reason that begins the dedup key, also where the analytic is a rule."""
    try:
        parts = json.loads(alert.dedup_key)
    except (ValueError, RecursionError):
        # A key that somebody else has chosen may be no JSON, or be nested deeper than JSON is read.
        return alert.analytic_uid
    return parts[0] if isinstance(parts, list) and parts and isinstance(parts[0], str) else alert.analytic_uid


def _finding_info(alert: Alert) -> dict[str, Any]:
    return {
        "uid": alert.finding_uid,
        "title": alert.title,
        "desc": alert.desc,
        "types": list(alert.types),
        "created_time": alert.first_seen_time,
        "modified_time": alert.header.time,
        "first_seen_time": alert.first_seen_time,
        "last_seen_time": alert.last_seen_time,
        "analytic": {
            "uid": alert.analytic_uid,
            "name": alert.analytic_uid,
            "version": alert.analytic_version,
            "type_id": _ANALYTIC_RULE,
            "type": "Rule",
        },
        "attacks": [
            {
                "technique": {
                    "uid": attack.technique_uid,
                    "name": attack.technique_name,
                    "src_url": f"{ATLAS_SITE}{attack.technique_uid}",
                }
            }
            for attack in alert.attacks
        ],
        "related_events": [{"uid": uid} for uid in alert.related_event_ids],
    }


def _evidence(alert: Alert) -> dict[str, Any]:
    """Return who acted, and with what. A finding about a definition has no actor, but the source of the finding."""
    evidence: dict[str, Any] = {"data": {"dedup_key": alert.dedup_key}}
    actor: dict[str, Any] = {}
    if alert.act is not None and alert.act.sub:
        actor["app_name"] = alert.act.sub
    if alert.session_id is not None:
        actor["session"] = {"uid": alert.session_id}
    if alert.sub is not None:
        actor["user"] = {"uid": alert.sub, "name": alert.sub}
    if actor:
        evidence["actor"] = actor
    if alert.tool is not None:
        api: dict[str, Any] = {"operation": alert.tool.name, "service": {"name": alert.tool.server_id}}
        if alert.intent_id is not None:
            api["request"] = {"uid": alert.intent_id}
        evidence["api"] = api
    return evidence


def _read(document: ReadDocument) -> dict[str, Any]:
    """Return something that the session had read before. Its name is given only where anybody may see it."""
    evidence: dict[str, Any] = {
        "name": "read before",
        "uid": document.uid,
        "data": {"integrity": document.integrity.value},
    }
    if document.name is not None:
        evidence["file"] = {"name": document.name, "type_id": _FILE_UNKNOWN}
    return evidence


def _named(names: tuple[str, ...], index: int) -> str:
    return names[index] if 0 <= index < len(names) else _OTHER


@lru_cache(maxsize=1)
def _own_version() -> str:
    try:
        return version("stoplog")
    except PackageNotFoundError:
        return "0"
