"""Defines what people are told, before it takes the form of a sink."""

from __future__ import annotations

from enum import StrEnum
from shlex import quote
from typing import NamedTuple

import msgspec

from streams.codec.ocsf import disposition_text, ocsf_json
from streams.desk.rows import Incident, State, StatusChange
from streams.model.proof import derived_uuid

RESPONSES_MAX = 8
"""Commands that the alert suggests."""
SUMMARY_AGENTS_MAX = 3


class Kind(StrEnum):
    """Why people are told something."""

    NEW = "new"
    UPDATE = "update"
    ESCALATION = "escalation"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    SUMMARY = "summary"
    TEST = "test"


_ASKING = frozenset({Kind.NEW, Kind.UPDATE, Kind.ESCALATION})
"""Kinds of messages about what somebody should look after."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Something that people are told.

    Attributes:
        uid: its id, the same for each attempt to send it and for each sink.
        kind: why it is sent.
        incident: the incident; of a summary, the summary itself.
        route: the name of the route; of a summary, of the maintenance window.
        owner: who owns the agents; empty if nobody is known.
        tenant: the tenant; empty for what concerns the deployment.
        severity_id: the severity, as OCSF numbers it.
        title: what has happened, in a line.
        desc: what has happened, in a sentence.
        analytic: the rule, the detector or the reason.
        tags: ids of OWASP and MITRE ATLAS.
        agents: the agents, at most `AGENTS_MAX`.
        has_more_agents: whether there are more.
        count: how often it has occurred.
        findings_count: how many findings that are.
        first_ms, last_ms: when it occurred first and last, by its alerts.
        made_ms: when the message was made.
        finding_uid: the finding to acknowledge; empty for a summary.
        session_id: the session of that finding; empty if it has none.
        responses: commands: the one that acknowledges it, and those that say more, or that stop it.
        by, why: who has acknowledged or closed it, and why.
        lines: of a summary, an incident in each line.
        left_out_count: of a summary, how many more incidents there are.
        disposition: what was done about it, such as `blocked`; empty if that is not known.
        ocsf: the alert as OCSF JSON, of the kinds `new` and `escalation`.
    """

    uid: str
    kind: Kind
    incident: str
    route: str
    tenant: str = ""
    owner: str = ""
    severity_id: int
    title: str
    desc: str
    analytic: str = ""
    tags: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    has_more_agents: bool = False
    count: int = 1
    findings_count: int = 1
    first_ms: int
    last_ms: int
    made_ms: int
    finding_uid: str = ""
    session_id: str = ""
    responses: tuple[str, ...] = ()
    by: str = ""
    why: str = ""
    lines: tuple[str, ...] = ()
    left_out_count: int = 0
    disposition: str = ""
    ocsf: str | None = None


class Delivery(NamedTuple):
    """A message for a sink."""

    sink: str
    message: Message


def message_of(
    incident: Incident, kind: Kind, now_ms: int, change: StatusChange | None = None, *, has_ocsf: bool = True
) -> Message:
    """Return the message about an incident. Its id derives from what has happened, so that it is the same each time.

    Args:
        incident: the incident as it is now.
        kind: why people are told.
        now_ms: the time.
        change: what a person has said, of an acknowledgement or a resolution.
        has_ocsf: whether kinds of messages have the alert as OCSF that usually have it.
    """
    alert = incident.alert
    # What can happen to an incident more than once has something of its own each time.
    of_many: tuple[str, ...] = () if change is None else (str(change.changed_ms), change.word)
    acknowledge = (f"stoplog alerts ack {quote(alert.finding_uid)} --key FILE",) if kind in _ASKING else ()
    if kind is Kind.UPDATE:
        of_many = (str(incident.count), str(incident.severity_id))
    return Message(
        uid=derived_uuid("desk message", incident.uid, kind.value, *of_many),
        kind=kind,
        incident=incident.uid,
        route=incident.route,
        tenant=alert.header.tenant_uid,
        owner=incident.owner,
        severity_id=incident.severity_id,
        title=alert.title,
        desc=alert.desc,
        analytic=alert.analytic_uid,
        tags=incident.tags,
        agents=incident.agents,
        has_more_agents=incident.has_more_agents,
        count=incident.count,
        findings_count=incident.findings_count,
        first_ms=incident.began_ms,
        last_ms=incident.ended_ms,
        made_ms=now_ms,
        finding_uid=alert.finding_uid,
        session_id=alert.session_id or "",
        responses=(*acknowledge, *alert.suggested_response[:RESPONSES_MAX]),
        by="" if change is None else change.by,
        why="" if change is None else f"{change.word}: {change.why}" if change.why else change.word,
        disposition=disposition_text(alert.disposition_id).lower() if alert.disposition_id else "",
        ocsf=ocsf_json(alert) if has_ocsf and kind in (Kind.NEW, Kind.ESCALATION) else None,
    )


def summary_line(incident: Incident) -> str:
    """Return the line of an incident in a summary."""
    named = incident.agents[:SUMMARY_AGENTS_MAX]
    agents = ", ".join(named) + (" and more" if len(incident.agents) > len(named) else "")
    of = f" by {agents}" if agents else ""
    state = "" if incident.state is State.OPEN else f", {incident.state.value}"
    return f"{incident.count} x {incident.alert.analytic_uid}: {incident.alert.title}{of}{state}"
