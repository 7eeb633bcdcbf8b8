"""The records that gates write about what a fleet does: a verdict with the call, and its audit record."""

from __future__ import annotations

import json
from hashlib import sha256

from streams.behaviour.activity import Activity
from streams.model.audit import AuditEvent, AuditEventType, AuditPhase
from streams.model.ids import audit_id_of, verdict_id_of
from streams.model.labels import Confidentiality, Integrity, Label
from streams.model.proof import derived_uuid
from streams.model.types import Actor, Header, Model, ToolRef
from streams.model.verdict import Outcome, Verdict, VerdictMode

ARGUMENTS = {
    "mail.send": "to",
    "http.post": "url",
    "web.fetch": "url",
    "secrets.get": "name",
    "files.read": "path",
    "files.write": "path",
    "files.delete": "path",
}
"""The argument that has the destination or the object of a call; others have `id`."""


def verdict_of(activity: Activity) -> Verdict:
    """Return the verdict on a call of a fleet."""
    intent_id = derived_uuid("fleet", activity.event_id)
    outcome = Outcome(activity.outcome)
    server, _, name = activity.tool.partition(".")
    args_json = _args_json(activity)
    model, _, _ = activity.epoch.partition("/")
    return Verdict(
        header=_header(derived_uuid("fleet verdict", intent_id), activity),
        verdict_id=verdict_id_of(activity.tenant, activity.session, intent_id, outcome),
        intent_id=intent_id,
        session_id=activity.session,
        outcome=outcome,
        reason=activity.reason or outcome.value.lower(),
        reason_text="drawn",
        sub=activity.user or "nobody",
        act=_actor(activity),
        ancestor_actors=(activity.delegator,) if activity.delegator else (),
        delegation_path=(activity.root, *(f"{activity.root}-{at}" for at in range(1, activity.depth))),
        model=Model(ai_provider="example", name=model),
        tool=ToolRef(server_id=server, name=name),
        args_json=args_json,
        args_digest=sha256(f"{activity.call}/{args_json}".encode()).digest(),
        label=Label(
            integrity=Integrity.TRUSTED if activity.is_trusted else Integrity.UNTRUSTED,
            confidentiality=Confidentiality.PRIVATE,
        ),
        session_sequence=0,
        revocation_offset=0,
        evaluated_at=activity.time_ms,
        expires_at=activity.time_ms + 30_000,
        mode=VerdictMode.ENFORCE,
    )


def audit_of(activity: Activity) -> AuditEvent:
    """Return the audit record of the verdict on a call of a fleet."""
    verdict = verdict_of(activity)
    return AuditEvent(
        header=_header(audit_id_of(verdict.verdict_id), activity),
        event_type=AuditEventType.VERDICT,
        phase=AuditPhase.PRE_EXECUTION,
        outcome=verdict.outcome,
        session_id=activity.session,
        intent_id=verdict.intent_id,
        verdict_id=verdict.verdict_id,
        sub=verdict.sub,
        act=verdict.act,
        tool=verdict.tool,
        toolset_digest=sha256(activity.epoch.encode()).digest(),
        reason=verdict.reason,
    )


def _header(record_id: str, activity: Activity) -> Header:
    return Header(id=record_id, source="simulation/fleet", time=activity.time_ms, tenant_uid=activity.tenant)


def _actor(activity: Activity) -> Actor:
    return Actor(iss="https://fleet.example", sub=activity.agent, instance_uid=activity.instance or None)


def _args_json(activity: Activity) -> str:
    """Return arguments in which the shipped declarations find the features of the call."""
    args: dict[str, object] = {}
    name = ARGUMENTS.get(activity.tool, "id")
    if activity.destination is not None:
        args[name] = f"https://{activity.destination}/x" if name == "url" else f"somebody@{activity.destination}"
    elif activity.object is not None:
        args[name] = activity.object
    if activity.owner is not None:
        args["owner"] = activity.owner
    if activity.amount is not None:
        args["amount"] = activity.amount
    padding = activity.size_bytes - len(json.dumps({**args, "text": ""}))
    return json.dumps({**args, "text": "." * max(0, padding)})
