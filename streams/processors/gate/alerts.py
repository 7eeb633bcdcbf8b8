"""Make the alert about a denial that a security team must see at once."""

from __future__ import annotations

import json
from shlex import quote
from typing import NamedTuple

from streams.model.alert import (
    ACTION_DENIED,
    CONFIDENCE_HIGH,
    DISPOSITION_BLOCKED,
    RUG_PULL,
    SEVERITY_HIGH,
    SEVERITY_MEDIUM,
    STATUS_NEW,
    Alert,
    Attack,
    clipped,
)
from streams.model.proof import derived_uuid
from streams.model.reasons import Reason
from streams.model.topics import ALERT
from streams.model.verdict import RuleHit, RuleMode, Verdict
from streams.ports.processor import Output
from streams.ports.wire import Encoder
from streams.processors.gate.case import Case
from streams.processors.gate.decision import Decision
from streams.processors.headers import reply_header


class Finding(NamedTuple):
    """Describes a denial in the terms of OCSF, OWASP (ASI) and MITRE ATLAS."""

    title: str
    types: tuple[str, ...] = ()
    attacks: tuple[Attack, ...] = ()


_FORGED_GRANT = Finding("grant forged or altered", ("ASI03", "ASI07"))
_WIDENED_GRANT = Finding("grant wider than its parent", ("ASI03",))

FINDINGS: dict[Reason, Finding] = {
    Reason.PROOF_INVALID: Finding("intent forged or altered", ("ASI03", "ASI07")),
    Reason.ACTOR_MISMATCH: Finding("intent in somebody else's session", ("ASI03",)),
    Reason.SUBJECT_MISMATCH: Finding("intent for somebody else's subject", ("ASI03",)),
    Reason.REPLY_TOPIC_FOREIGN: Finding("outcome asked for on another tenant's topic", ("ASI07",)),
    Reason.TOOL_DEFINITION_CHANGED: Finding("tool definition changed after its approval", ("ASI04",), (RUG_PULL,)),
    Reason.DELEGATION_SIGNATURE_INVALID: _FORGED_GRANT,
    Reason.DELEGATION_CHAIN_BROKEN: _FORGED_GRANT,
    Reason.DELEGATION_UNTRUSTED_ROOT: _FORGED_GRANT,
    Reason.DELEGATION_UID_REUSED: _FORGED_GRANT,
    Reason.DELEGATION_SUBJECT_CHANGED: _FORGED_GRANT,
    Reason.DELEGATION_ACTOR_MISMATCH: _FORGED_GRANT,
    Reason.DELEGATION_WIDENED_SCOPES: _WIDENED_GRANT,
    Reason.DELEGATION_WIDENED_AUDIENCE: _WIDENED_GRANT,
    Reason.DELEGATION_WIDENED_TOOLS: _WIDENED_GRANT,
    Reason.DELEGATION_WIDENED_ARGUMENTS: _WIDENED_GRANT,
    Reason.DELEGATION_WIDENED_LIMITS: _WIDENED_GRANT,
    Reason.QUARANTINED_BY_RULE: Finding("session quarantined"),
    Reason.RULE_DENIED: Finding("tool call denied by a rule"),
}
"""The reasons that raise an alert."""


def alert_output(
    encoder: Encoder, finding: Finding, case: Case, decision: Decision, verdict: Verdict, audit_id: str
) -> Output:
    """Return the alert about a verdict.

    Args:
        finding: the entry of `FINDINGS` for the decision's reason.
        case: the intent that was decided.
        decision: what was decided.
        verdict: its record.
        audit_id: the id of the verdict's audit record.
    """
    asked, policy, rule = case.asked, decision.policy, _deciding_rule(verdict)
    intent = asked.intent
    tool = clipped(f"{intent.tool.server_id}/{intent.tool.name}")
    agent, subject = clipped(intent.act.sub), clipped(intent.sub)
    dedup_key = json.dumps([decision.reason.value, intent.header.tenant_uid, intent.session_id, tool])
    alert_id = derived_uuid("alert", verdict.verdict_id)
    alert = Alert(
        header=reply_header(alert_id, intent, asked.now_ms),
        finding_uid=alert_id,
        severity_id=SEVERITY_MEDIUM if decision.reason is Reason.RULE_DENIED else SEVERITY_HIGH,
        confidence_id=CONFIDENCE_HIGH,
        status_id=STATUS_NEW,
        title=f"{finding.title}: {tool}",
        desc=f"{decision.text} (agent {agent}, subject {subject}, session {intent.session_id})",
        analytic_uid=decision.reason.value if rule is None else rule.rule_id,
        analytic_version="1" if rule is None else rule.rule_version,
        attacks=finding.attacks,
        types=finding.types if policy is None else tuple(tag for tag in policy.tags if tag.startswith("ASI")),
        action_id=ACTION_DENIED,
        disposition_id=DISPOSITION_BLOCKED,
        session_id=intent.session_id,
        sub=intent.sub,
        act=intent.act,
        first_seen_time=asked.now_ms,
        last_seen_time=asked.now_ms,
        related_event_ids=(audit_id, verdict.verdict_id),
        dedup_key=dedup_key,
        # Quoted for a shell, which would take the key's separator for a pipe.
        suggested_response=(f"stoplog tail audit --session {quote(asked.session_key.decode())}",),
    )
    return Output(ALERT, dedup_key.encode(), encoder.encode(ALERT.name, alert), alert.header)


def _deciding_rule(verdict: Verdict) -> RuleHit | None:
    """Return the first enforced rule that asks for the verdict's outcome."""
    wanted = verdict.outcome.value
    return next((hit for hit in verdict.rules if hit.effect.value == wanted and hit.mode is RuleMode.ENFORCE), None)
