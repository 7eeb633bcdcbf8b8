"""Alerts for the tests of the desk."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from streams.codec.ocsf import ocsf_json
from streams.model.alert import ACTIVITY_UPDATE, Alert, Attack
from streams.model.types import Actor, Header, SubProfile, ToolRef

T0 = 1_764_061_200_000


def alert(number: int = 1, **changes: Any) -> Alert:
    """A finding of a loop by an agent of its own."""
    agent = changes.pop("agent", f"agent-{number}")
    tenant = changes.pop("tenant", "acme")
    given: dict[str, Any] = {
        "header": Header(id=str(UUID(int=number)), source="gate-1", time=T0, tenant_uid=tenant),
        "finding_uid": f"finding-{number}",
        "severity_id": 3,
        "title": "tool call repeated",
        "desc": "the same call 10 times in a row",
        "analytic_uid": "loop",
        "analytic_version": "1",
        "types": ("ASI02",),
        "attacks": (Attack(technique_uid="AML.T0034.002", technique_name="Agentic Resource Consumption"),),
        "session_id": f"session-{number}",
        "sub": "ann",
        "act": Actor(iss="https://idp", sub=agent, sub_profile=SubProfile.AI_AGENT),
        "first_seen_time": T0,
        "last_seen_time": T0,
        "dedup_key": f'["loop","{tenant}","session-{number}"]',
        "suggested_response": (f"stoplog kill --session session-{number} --why 'alert finding-{number}'",),
        "tool": ToolRef(server_id="mail", name="send"),
    } | changes
    made = Alert(**given)
    return Alert(**given | {"ocsf_json": ocsf_json(made)})


def again(number: int, count: int, **changes: Any) -> Alert:
    """The second record of a finding, which says how often it has occurred."""
    return alert(number, count=count, activity_id=ACTIVITY_UPDATE, **changes)
