"""How alerts look to a person and to a program: a table of them, and one with everything that is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streams.cli.options.shared import Connection
from streams.cli.terminal.screen import FAIL, FAINT, OK, STRONG, WARN, Screen
from streams.cli.terminal.styled import Text
from streams.cli.terminal.text import age_text, printable, short
from streams.cli.views.session import actor_fields
from streams.codec.instants import instant_text
from streams.codec.jsonform import to_json
from streams.model.alert import CONFIDENCE_HIGH, CONFIDENCE_MEDIUM, Alert, Severity, severity_word
from streams.model.alert_status import OCSF_STATUS, AlertState
from streams.model.types import tool_text
from streams.operations.alert_handling import Handled, Incident
from streams.operations.sessions.view import Standing

EVIDENCE_SHOWN_MAX = 16
_CONFIDENCES = {CONFIDENCE_MEDIUM: "medium", CONFIDENCE_HIGH: "high"}
_STATES = {
    AlertState.UNKNOWN: ("new", WARN),
    AlertState.ACKNOWLEDGED: ("acknowledged", STRONG),
    AlertState.RESOLVED: ("resolved", OK),
    AlertState.FALSE_POSITIVE: ("false positive", FAINT),
}
_WHO_CHARS_MAX = 28
_TITLE_CHARS_MAX = 240
_OWN_NAME = "stoplog"
_STOP_OF_A_SESSION = "kill --session "


def state_name(handled: Handled) -> str:
    """Return what was done with an alert, in words."""
    return _STATES[handled.state][0]


def status_text(handled: Handled, now_ms: int) -> str:
    """Return what was done with an alert, when, by whom, and why."""
    status = handled.status
    if status is None:
        return "new: nobody has done anything with it"
    signed = f"signed by {handled.signer}" if handled.signer else "not signed"
    ago = age_text(now_ms - status.header.time)
    return f"{state_name(handled)} {ago} ago by {status.by_user} ({signed}): {status.reason}"


def alert_fields(handled: Handled) -> dict[str, Any]:
    """Return an alert for a program."""
    alert, status = handled.alert, handled.status
    ocsf = OCSF_STATUS[handled.state]
    return {
        "finding_uid": alert.finding_uid,
        "tenant_uid": alert.header.tenant_uid,
        "state": state_name(handled),
        "status_id": ocsf.status_id,
        "status_detail": ocsf.detail,
        "severity": severity_word(alert.severity_id),
        "severity_id": alert.severity_id,
        "confidence_id": alert.confidence_id,
        "analytic_uid": alert.analytic_uid,
        "title": alert.title,
        "desc": alert.desc,
        "session_id": alert.session_id,
        "act": actor_fields(alert.act),
        "sub": alert.sub,
        "intent_id": alert.intent_id,
        "first_seen_ms": alert.first_seen_time,
        "last_seen_ms": alert.last_seen_time,
        "count": alert.count,
        "types": list(alert.types),
        "attacks": list(map(to_json, alert.attacks)),
        "related_event_ids": list(alert.related_event_ids),
        "documents": list(map(to_json, alert.documents)),
        "suggested_response": list(alert.suggested_response),
        "dedup_key": alert.dedup_key,
        "by": None if status is None else status.by_user,
        "signed_by": handled.signer,
        "reason": None if status is None else status.reason,
        "changed_ms": None if status is None else status.header.time,
    }


def status_fields(handled: Handled) -> dict[str, Any]:
    """Return what was done with an alert for a program."""
    fields = alert_fields(handled)
    return {
        name: fields[name] for name in ("finding_uid", "tenant_uid", "state", "by", "signed_by", "reason", "changed_ms")
    }


def list_alerts(screen: Screen, incidents: Sequence[Incident], ids: dict[str, str], now_ms: int) -> None:
    """Write incidents as a table, each in a line; on a narrow terminal, what happened goes on below.

    Args:
        ids: the ids that are shown, by finding.
        now_ms: what ages are counted to.
    """
    for incident in incidents:
        screen.record({**alert_fields(incident.face), **_incident_fields(incident)})
    if screen.as_json or not incidents:
        return
    head = ("severity", "state", "age", "alert", "agent", "what")
    cells: list[list[str | Text]] = []
    for incident in incidents:
        handled, row = incident.face, _row(incident, ids, now_ms)
        style = FAIL if handled.alert.severity_id >= Severity.HIGH and not handled.is_closed else WARN
        style = FAINT if handled.is_closed else style
        cells.append([Text(row[0], style), Text(row[1], _STATES[handled.state][1]), *row[2:]])
    screen.table(head, cells)


def show_alert(screen: Screen, handled: Handled, incident: Incident, now_ms: int) -> None:
    """Write everything that is known of an alert, which belongs to an incident."""
    screen.record({**alert_fields(handled), **_incident_fields(incident)})
    alert = handled.alert
    severity = severity_word(alert.severity_id)
    screen.prose(f"{severity}: {alert.title}", FAIL if alert.severity_id >= Severity.HIGH else WARN)
    screen.prose(alert.desc)
    screen.say()
    screen.table(("", ""), [row for row in _rows(alert, incident, now_ms) if row[1]])
    screen.say()
    screen.say(status_text(handled, now_ms), _STATES[handled.state][1])


def tell_responses(screen: Screen, connection: Connection, alert: Alert, standing: Standing | None) -> None:
    """Write the commands that the alert suggests, each whole, so that it can be copied.

    Args:
        standing: the state of its session, which an alert can't foresee; None if that is not known.
    """
    if not alert.suggested_response:
        return
    screen.say()
    screen.say("suggested response:", FAINT)
    is_needless = standing is not None and not standing.can_be_stopped
    for line in alert.suggested_response:
        own, _, command = line.partition(" ")
        if is_needless and command.startswith(_STOP_OF_A_SESSION):
            continue
        text = connection.command(command) if own == _OWN_NAME else line
        screen.rich(Text(f"  {printable(text)}", STRONG))
    if standing is not None and is_needless:
        screen.say(f"  the session {standing.text()}", FAINT)


def _incident_fields(incident: Incident) -> dict[str, Any]:
    findings = [each.alert.finding_uid for each in incident.alerts]
    return {"incident_count": incident.times, "incident_findings": findings}


def _row(incident: Incident, ids: dict[str, str], now_ms: int) -> tuple[str, ...]:
    handled, alert = incident.face, incident.face.alert
    times = f"{incident.times} times: " if incident.times > 1 else ""
    return (
        severity_word(alert.severity_id),
        state_name(handled),
        age_text(now_ms - alert.last_seen_time, brief=True),
        ids[alert.finding_uid],
        short(_agent(alert), _WHO_CHARS_MAX),
        short(f"{times}{alert.title}", _TITLE_CHARS_MAX),
    )


def _operator(alert: Alert) -> str:
    """Return who of those who operate stoplog did it, such as by an import of tools: they have no issuer."""
    act = alert.act
    return act.sub if act is not None and not act.iss and alert.session_id is None else ""


def _agent(alert: Alert) -> str:
    """Return the agent that an alert is about; empty if somebody who operates stoplog did it."""
    return "" if alert.act is None or _operator(alert) else alert.act.sub


def _documents(alert: Alert) -> str:
    """Return what the session had read, by name. An id in place of a name tells nobody anything."""
    names = list(dict.fromkeys(document.name for document in alert.documents if document.name))
    unnamed = sum(not document.name for document in alert.documents)
    if unnamed:
        more = "more" if names else "untrusted inputs" if unnamed > 1 else "untrusted input"
        names.append(f"{unnamed} {more}, listed by `stoplog session show`")
    return "; ".join(names)


def _rows(alert: Alert, incident: Incident, now_ms: int) -> list[tuple[str, str]]:
    first, last = instant_text(alert.first_seen_time), instant_text(alert.last_seen_time)
    ago = age_text(now_ms - alert.last_seen_time)
    tags = [*alert.types, *(f"{attack.technique_uid} {attack.technique_name}" for attack in alert.attacks)]
    evidence = alert.related_event_ids[-EVIDENCE_SHOWN_MAX:]
    return [
        ("alert", alert.finding_uid),
        ("tenant", alert.header.tenant_uid),
        ("agent", _agent(alert)),
        ("by", _operator(alert)),
        ("for", alert.sub or ""),
        ("session", alert.session_id or ""),
        ("tool", "" if alert.tool is None else tool_text(alert.tool)),
        ("intent", alert.intent_id or ""),
        ("first seen", first),
        ("last seen", f"{last} ({ago} ago)"),
        ("how often", f"{alert.count} times" if alert.count > 1 else "once"),
        ("incident", f"{len(incident.alerts)} alerts" if len(incident.alerts) > 1 else ""),
        ("confidence", _CONFIDENCES.get(alert.confidence_id, "")),
        ("found by", alert.analytic_uid),
        ("tags", "; ".join(tags)),
        ("had read", _documents(alert)),
        *(("" if at else "evidence", each) for at, each in enumerate(evidence)),
    ]
