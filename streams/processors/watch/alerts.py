"""Make the alerts about behaviour, and about gaps of the log that is watched.

They quote no argument but what a declaration's sentence names.
"""

from __future__ import annotations

import json
from shlex import quote

import msgspec

from streams.behaviour.activity import DAY_MS
from streams.behaviour.findings import Finding
from streams.model.alert import CONFIDENCE_HIGH, CONFIDENCE_MEDIUM, Alert, Severity, clipped
from streams.model.analytics import ANALYTICS, AUDIT_GAP, Analytic, made_alert
from streams.model.atlas import techniques_in
from streams.model.audit import Seal
from streams.model.behaviour import BehaviourEvent, BehaviourScope
from streams.model.proof import derived_uuid
from streams.model.types import Header, ToolRef
from streams.processors.watch.features import SOURCE
from streams.processors.watch.new_agents import AGENTS_PER_DAY_MAX, AGENTS_PER_MINUTE_MAX

PREFIX = "behaviour/"
"""What the uid of an analytic begins with; the name of the detector or correlation follows."""
STORM = "deleg_velocity"
"""The kind whose findings are about what an agent has given others to do."""
SURE_SHARE = 1.5
"""From which share of its threshold on a score is worth high confidence."""
TOO_MANY_AGENTS = f"{PREFIX}too_many_agents"

_ADVICE = "See what the session did. If nobody can explain it, stop the session or its agent."
_TOO_MANY = Analytic(
    "many new agents at once",
    "more agents appear than people usually create, or than the watch learns about",
    "Find out who creates them. Agents that were known before are watched as ever.",
    is_blocked=False,
    types=("ASI10",),
)


def finding_alert(finding: Finding, event: BehaviourEvent, now_ms: int) -> Alert:
    """Return the alert about a finding.

    Args:
        finding: what was found.
        event: the decision at which it was found.
        now_ms: stream time.
    """
    tenant_uid, agent = event.header.tenant_uid, clipped(event.act.sub)
    session_key = f"{tenant_uid}|{event.session_id}"
    alert_id = derived_uuid("behaviour alert", event.header.id, finding.name)
    why = quote(f"alert {alert_id}")
    analytic = Analytic(
        finding.title,
        finding.title,
        _ADVICE,
        Severity[finding.severity.upper()],
        CONFIDENCE_HIGH if finding.share >= SURE_SHARE else CONFIDENCE_MEDIUM,
        is_blocked=False,
        types=tuple(tag for tag in finding.tags if tag.startswith("ASI")),
        attacks=techniques_in(finding.tags),
    )
    # What one agent has others do does not end when one of these is stopped.
    giver = finding.activity.delegator if finding.kind == STORM else ""
    uid = f"{PREFIX}{finding.name}"
    alert = made_alert(
        uid,
        Header(id=alert_id, source=SOURCE, time=now_ms, tenant_uid=tenant_uid),
        title=f"{finding.title}: {agent}",
        desc=f"{finding.explain} (session {event.session_id})",
        dedup_key=json.dumps([uid, tenant_uid, event.act.sub, event.session_id, *_root_of(event)]),
        response=(
            f"stoplog session show {quote(session_key)}",
            f"stoplog behaviour show {quote(f'{tenant_uid}|{event.act.sub}')}",
            f"stoplog kill --session {quote(session_key)} --why {why}",
            f"stoplog kill --agent {quote(event.act.sub)} --why {why}",
            *((f"stoplog kill --agent {quote(giver)} --why {why}",) if giver not in ("", event.act.sub) else ()),
        ),
        analytic=analytic,
        related=finding.events,
    )
    return msgspec.structs.replace(
        alert,
        session_id=event.session_id,
        sub=clipped(event.sub),
        act=event.act,
        tool=ToolRef(server_id=clipped(event.tool.server_id), name=clipped(event.tool.name)),
    )


def unrecorded_alert(event: BehaviourEvent, partition: int, now_ms: int) -> Alert:
    """Return the alert about a verdict that has no audit record.

    Args:
        event: what the verdict says.
        partition: where it lies.
        now_ms: stream time.
    """
    text = f"verdict {event.verdict_id} of session {clipped(event.session_id)} has no audit record"
    header = Header(
        id=derived_uuid("unrecorded", event.verdict_id), source=SOURCE, time=now_ms, tenant_uid=event.header.tenant_uid
    )
    return _gap_alert(header, "record", text, partition, event.verdict_id)


def torn_log_alert(seal: Seal, expected: int, partition: int, now_ms: int) -> Alert:
    """Return the alert about a seal that does not go on from the one before it.

    Args:
        seal: the seal.
        expected: how many records the log had after the seal before it.
        partition: whose log it is.
        now_ms: stream time.
    """
    if seal.first > expected:
        what = f"{seal.first - expected} records are missing"
    else:
        what = f"it was set back by {expected - seal.first} records, or replaced"
    text = f"the log of partition {partition} goes on at record {seal.first} where {expected} was expected: {what}"
    header = Header(id=derived_uuid("torn log", seal.header.id), source=SOURCE, time=now_ms, tenant_uid="")
    return _gap_alert(header, "seal", text, partition, seal.header.id)


def _gap_alert(header: Header, kind: str, text: str, partition: int, related: str) -> Alert:
    return made_alert(
        AUDIT_GAP,
        header,
        title=f"{ANALYTICS[AUDIT_GAP].title}: partition {partition}",
        desc=text,
        dedup_key=json.dumps([AUDIT_GAP, kind, partition]),
        response=("stoplog audit verify", "stoplog doctor"),
        related=(related,),
    )


def _root_of(event: BehaviourEvent) -> tuple[str, ...]:
    """Return the grant that a finding about a delegation belongs to. It says where the alert comes from, so that
    what people do with it can be brought there."""
    is_about_root = event.scope is BehaviourScope.DELEGATION and event.root_uid is not None
    return (event.root_uid or "",) if is_about_root else ()


def too_many_agents_alert(event: BehaviourEvent, partition: int, now_ms: int) -> Alert:
    """Return the alert about too many new agents of a tenant: one finding a day, on whichever partitions they are."""
    tenant_uid, day = event.header.tenant_uid, str(now_ms // DAY_MS)
    alert_id = derived_uuid("too many agents", tenant_uid, day, str(partition))
    alert = made_alert(
        TOO_MANY_AGENTS,
        Header(id=alert_id, source=SOURCE, time=now_ms, tenant_uid=tenant_uid),
        title=f"{_TOO_MANY.title}: {tenant_uid}",
        desc=(
            f"more than {AGENTS_PER_MINUTE_MAX} agents have appeared within a minute on partition {partition}, or more "
            f"than {AGENTS_PER_DAY_MAX} today, of which further ones are not watched until tomorrow"
        ),
        dedup_key=json.dumps([TOO_MANY_AGENTS, tenant_uid]),
        response=("stoplog tail audit --no-follow",),
        analytic=_TOO_MANY,
        related=(event.header.id,),
    )
    return msgspec.structs.replace(alert, finding_uid=derived_uuid("too many agents", tenant_uid, day))
