"""What people do with alerts: they acknowledge one, resolve it, or close it as a false positive.

A status is a record of its own, because an alert is on the log for good, and its writer is a gate or a watch. The
newest one of a finding counts, if it is signed by somebody who may handle alerts (`streams.audit.alert_handlers`).
Whoever can write the topic can write a signed one again, so one that has come before is not newer
(`with_status`). The order is that of the log: clocks of people may be wrong.

Work can be announced, too: then somebody says beforehand what alerts would be about (`Announced`), with a record of the
same kind. So who counts, how it is signed and how it reaches the watch is the same.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

import msgspec

from streams.model.plurals import many
from streams.model.proof import derived_uuid
from streams.model.types import Header, Millis, Proof, Record

REASON_CHARS_MAX = 1_000
STATUS_AGE_MAX_MS = 900_000
"""How far the time of a status may be from the broker's when it is written."""
STATUSES_MAX = 64
"""How many statuses of a finding are told from those that come again. Only what counts takes room."""
ANNOUNCED_ANALYTIC = "behaviour/announced"
"""Begins the `dedup_key` of an announcement, where that of an alert begins with its analytic."""
ANNOUNCED_MS_MAX = 7 * 86_400_000
"""How long announced work may take."""
AHEAD_MS_MAX = 30 * 86_400_000
"""How long beforehand it may be announced."""
ANNOUNCED_CALLS_MAX = 100_000
ANNOUNCED_NAMES_MAX = 16
"""How many tools, and how many destinations, an announcement may name."""
ANNOUNCED_OPEN_MAX = 16
"""How many announcements about one agent may be open at a time."""
ANYWHERE = "*"
"""As a destination: any, such as those of a mailing."""
_AGENT_DIGITS = 12
"""How many digits at the end of an announcement's id are of its agent: the last group of a UUID."""
_DOMAIN = "stoplog alert status v1"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encode = msgspec.msgpack.Encoder().encode


class AlertState(StrEnum):
    """What somebody has done with an alert. A reader that does not know a state takes the alert for an open one.

    ANNOUNCED is about work, of which there is no alert. RESOLVED withdraws it.
    """

    UNKNOWN = "UNKNOWN"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    RESOLVED = "RESOLVED"
    FALSE_POSITIVE = "FALSE_POSITIVE"
    ANNOUNCED = "ANNOUNCED"


CLOSED = frozenset({AlertState.RESOLVED, AlertState.FALSE_POSITIVE})
"""The states after which nobody has to look at the alert any more."""


class OcsfStatus(NamedTuple):
    """A state in the terms of a Detection Finding of OCSF 1.8: `status_id`, `status` and `status_detail`."""

    status_id: int
    status: str
    detail: str


OCSF_STATUS: dict[AlertState, OcsfStatus] = {
    AlertState.UNKNOWN: OcsfStatus(1, "New", ""),
    AlertState.ACKNOWLEDGED: OcsfStatus(2, "In Progress", "acknowledged"),
    AlertState.RESOLVED: OcsfStatus(4, "Resolved", "resolved"),
    AlertState.FALSE_POSITIVE: OcsfStatus(4, "Resolved", "false positive"),
}


class Announced(Record, frozen=True, kw_only=True):
    """Work of one agent that somebody has announced.

    Attributes:
        agent: the agent.
        tools: the tools, as `server.name`.
        destinations: where each call goes, or `ANYWHERE`; none if they have no destination.
        from_time, until_time: when, in ms. It ends before `until_time`.
        calls_max: how many calls.
        amount_max: how much each of them may move, and each moves something; None if they move nothing.
    """

    agent: str
    tools: tuple[str, ...]
    destinations: tuple[str, ...] = ()
    from_time: Millis
    until_time: Millis
    calls_max: int
    amount_max: float | None = None


class AlertStatus(Record, frozen=True, kw_only=True):
    """A change of what people have done with an alert.

    Attributes:
        header: `time` is when it was changed, `tenant_uid` is that of the alert.
        finding_uid: the alert's finding.
        dedup_key: the alert's, which names its incident.
        session_id: the alert's session, if it has one.
        by_user: who has changed it, in their own words; the signature proves more.
        proof: the signature.
        title, severity_id: the alert's, for tools that get only the change; empty and 0 before stoplog wrote them.
        announced: of an announcement, what is announced, also where it is withdrawn; then `finding_uid` is its id.
    """

    header: Header
    finding_uid: str
    status: AlertState = AlertState.UNKNOWN
    dedup_key: str
    session_id: str | None = None
    by_user: str
    reason: str
    proof: Proof | None = None
    title: str = ""
    severity_id: int = 0
    announced: Announced | None = None


def announced_text(it: Announced) -> str:
    """Return what is announced, in words."""
    places = f" to {', '.join(it.destinations)}" if it.destinations else ""
    calls = ("" if it.calls_max == 1 else "up to ") + many(it.calls_max, "call")
    amounts = "" if it.amount_max is None else f", each of at most {it.amount_max:,.14g}"
    return f"{it.agent}: {calls} of {', '.join(it.tools)}{places}{amounts}"


def span_text(it: Announced) -> str:
    """Return from when until when something is announced, in words, to the second."""
    begins, ends = (
        (_EPOCH + timedelta(milliseconds=each)).strftime("%Y-%m-%dT%H:%M:%SZ") for each in (it.from_time, it.until_time)
    )
    return f"{begins} to {ends}"


def announcement_key(tenant_uid: str, agent: str) -> str:
    """Return the `dedup_key` of the announcements about an agent, in the form of incidents of an agent."""
    return json.dumps([ANNOUNCED_ANALYTIC, tenant_uid, agent, ""])


def announcement_uid(made_id: str, tenant_uid: str, agent: str) -> str:
    """Return the id of an announcement. Its end is of the agent, so that nothing about another agent can have this id.

    Args:
        made_id: the id in the header of the announcement, or the id of an announcement, which stays as it is.
        tenant_uid: the tenant of the agent.
        agent: the agent.
    """
    return made_id[:-_AGENT_DIGITS] + derived_uuid("announced agent", tenant_uid, agent)[-_AGENT_DIGITS:]


def alert_status_key(tenant_uid: str, finding_uid: str) -> bytes:
    """Return `tenant|finding`, the record key of a status."""
    return f"{tenant_uid}|{finding_uid}".encode()


def with_status(known: tuple[str, ...], status_id: str) -> tuple[str, ...] | None:
    """Return the ids of the statuses of a finding with a further one; None if it has come before, and so says nothing.

    Whoever reads statuses asks here, so that what is written again counts for none of them.

    Args:
        known: the ids of the finding's statuses that count, the newest last.
        status_id: the id in the header of a status that counts. The signature covers it.
    """
    return None if status_id in known else (*known, status_id)[-STATUSES_MAX:]


def alert_status_message(status: AlertStatus, deployment: str) -> bytes:
    """Return the bytes that the signature of a status covers: everything but trace context and the signature itself.

    Args:
        deployment: the name of the deployment (the setting `alerts.deployment`).
    """
    header = status.header
    said = (status.finding_uid, status.status.value, status.dedup_key, status.session_id, status.by_user, status.reason)
    # Left out where they are not known, so that what was signed before they were written keeps its signature.
    shown = (status.title, status.severity_id) if status.title or status.severity_id else ()
    announced = (msgspec.structs.astuple(status.announced),) if status.announced is not None else ()
    return _encode((_DOMAIN, deployment, header.tenant_uid, header.id, header.time, *said, *shown, *announced))


def incident_parts(dedup_key: str) -> tuple[str, ...]:
    """Return the parts of an incident's key; empty if it is not of the form that stoplog writes."""
    try:
        parts = json.loads(dedup_key)
    except (ValueError, RecursionError):
        return ()
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        return ()
    return tuple(parts)
