"""Judgements made into records: the verdict, its audit record, an alert, a request for approval."""

from __future__ import annotations

import json
from functools import lru_cache
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
from streams.model.approval import ApprovalDecision, ApprovalRequest
from streams.model.audit import AuditEvent, AuditEventType, AuditPhase, RetentionClass
from streams.model.canonical import sha256
from streams.model.ids import approval_task_id, audit_id_of, verdict_id_of
from streams.model.labels import Integrity
from streams.model.proof import derived_uuid, make_hmac, session_secret
from streams.model.reasons import Reason
from streams.model.topics import ALERT, APPROVAL_REQUEST, AUDIT, VERDICT
from streams.model.types import Header, Recurring, ToolRef
from streams.model.verdict import (
    Influence,
    Obligation,
    Origin,
    Outcome,
    RuleEffect,
    RuleFault,
    RuleHit,
    RuleMode,
    Verdict,
    VerdictMode,
)
from streams.policy.results import PolicyResult
from streams.ports.processor import Output
from streams.ports.wire import Encoder
from streams.processors.control.state import ControlState
from streams.processors.gate.case import Case, Judgement
from streams.processors.gate.settings import GateSettings

SOURCE = "stoplog/gate"
COMMITS_CACHED_MAX = 16_384
TRACE_CHARS_MAX = 512
"""Of a `tracestate` that is passed on, after W3C; a longer one, which every output would carry twice, is left out."""


_FORGED_GRANT: tuple[str, tuple[str, ...], tuple[Attack, ...]] = ("grant forged or altered", ("ASI03", "ASI07"), ())
_WIDENED_GRANT: tuple[str, tuple[str, ...], tuple[Attack, ...]] = ("grant wider than its parent", ("ASI03",), ())

# OCSF and ATLAS terms for the denials that a SOC wants to see at once.
_ALARMING: dict[Reason, tuple[str, tuple[str, ...], tuple[Attack, ...]]] = {
    Reason.PROOF_INVALID: ("intent forged or altered", ("ASI03", "ASI07"), ()),
    Reason.ACTOR_MISMATCH: ("intent in somebody else's session", ("ASI03",), ()),
    Reason.SUBJECT_MISMATCH: ("intent for somebody else's subject", ("ASI03",), ()),
    Reason.TOOL_DEFINITION_CHANGED: (
        "tool definition changed after its approval",
        ("ASI04",),
        (RUG_PULL,),
    ),
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
    Reason.QUARANTINED_BY_RULE: ("session quarantined", (), ()),
    Reason.RULE_DENIED: ("tool call denied by a rule", (), ()),
}


RENDERED_RESULTS_MAX = 1_024
"""Answers of rules that are kept in the form that verdicts have them in."""


class VerdictWriter:
    """Turns judgements into wire records. `encoder` is the only way to bytes."""

    def __init__(self, settings: GateSettings, encoder: Encoder) -> None:
        self._settings = settings
        self._encoder = encoder
        self._told: dict[int, _RenderedResult] = {}

    def write(self, case: Case, judgement: Judgement, control: ControlState) -> tuple[Verdict, list[Output]]:
        """The verdict, and the outputs: the verdict first, then its audit record, then an alert where one is due."""
        rendered = _NOTHING_RENDERED if judgement.policy is None else self._rendered_of(judgement.policy)
        verdict = self._verdict(case, judgement, rendered, control)
        value = self._encoder.encode(VERDICT.name, verdict)
        audit = self._audit(case, judgement, rendered, verdict, value)
        outputs = [
            Output(VERDICT, case.session_key, value, verdict.header),
            Output(AUDIT, case.session_key, self._encoder.encode(AUDIT.name, audit), audit.header),
        ]
        if judgement.reason in _ALARMING:
            outputs.append(self._alert(case, judgement, verdict, audit))
        return verdict, outputs

    def approval_request(self, case: Case, verdict: Verdict, judgement: Judgement, due_ms: int) -> Output:
        """What a person is asked, with what they need to see for it."""
        policy = judgement.policy
        approval = None if policy is None else policy.approval
        request = ApprovalRequest(
            header=_header(case, derived_uuid("approval request", verdict.verdict_id)),
            task_id=approval_task_id(
                case.intent.header.tenant_uid, verdict.session_id, verdict.intent_id, case.asked_count
            ),
            verdict_id=verdict.verdict_id,
            intent_id=verdict.intent_id,
            session_id=verdict.session_id,
            sub=verdict.sub,
            act=verdict.act,
            tool=verdict.tool,
            args_json=verdict.args_json,
            args_digest=verdict.args_digest,
            reason_text=judgement.text,
            provenance=tuple(f"{i.event_id}: {i.origin.value.lower()}" for i in verdict.influences),
            reversible=case.tool is not None and case.tool.entry.reversible,
            history=tuple(f"{tool}: {count} allowed" for tool, count in sorted(case.session.calls.items())),
            matched_rules=tuple(f"{hit.rule_id}: {hit.reason}" for hit in verdict.rules),
            eligible_approvers=() if approval is None else (approval.group,),
            quorum=1 if approval is None else approval.quorum,
            expires_at=due_ms,
        )
        value = self._encoder.encode(APPROVAL_REQUEST.name, request)
        return Output(APPROVAL_REQUEST, case.session_key, value, request.header)

    def decision_record(self, case: Case, decision: ApprovalDecision, counted: bool) -> Output:
        """The audit record of a person's part in a decision."""
        intent = case.intent
        audit = AuditEvent(
            header=_header(case, derived_uuid("approval audit", decision.header.id)),
            event_type=AuditEventType.APPROVAL,
            phase=AuditPhase.PRE_EXECUTION,
            session_id=intent.session_id,
            intent_id=intent.intent_id,
            parent_event_id=decision.header.id,
            sub=intent.sub,
            act=decision.approver,
            tool=intent.tool,
            reason=decision.status.value.lower(),
            reason_text=f"{decision.approver.sub} decided{'' if counted else '; more approvals are needed'}",
            retention_class=RetentionClass.STANDARD,
        )
        return Output(AUDIT, case.session_key, self._encoder.encode(AUDIT.name, audit), audit.header)

    def _verdict(self, case: Case, judgement: Judgement, rendered: _RenderedResult, control: ControlState) -> Verdict:
        intent, tool, policy = case.intent, case.tool, judgement.policy
        rules = control.rules.in_force(case.session_key)
        verdict_id = verdict_id_of(intent.header.tenant_uid, intent.session_id, intent.intent_id, judgement.outcome)
        return Verdict(
            header=_header(case, verdict_id),
            verdict_id=verdict_id,
            intent_id=intent.intent_id,
            session_id=intent.session_id,
            outcome=judgement.outcome,
            reason=judgement.reason.value,
            reason_text=judgement.text,
            rules=rendered.hits,
            errors=() if policy is None else tuple(RuleFault(rule_id=e.rule_id, text=e.text) for e in policy.errors),
            obligations=rendered.obligations if judgement.outcome is Outcome.ALLOW else (),
            sub=intent.sub,
            act=intent.act,
            delegation_path=case.session.delegation_uids,
            ancestor_session_ids=case.session.ancestor_session_ids,
            ancestor_actors=case.session.ancestor_actors,
            model=intent.model,
            tool=_judged_tool(case),
            # Of what was not proven to be the session's, nothing is kept but its digest.
            args_json=case.args_json if case.proven else "",
            args_digest=intent.args_digest,
            label=case.label(),
            influences=_influences(case),
            ruleset_digest=None if rules is None or rules.ruleset is None else rules.digest,
            ruleset_offset=-1 if rules is None else rules.offset,
            session_sequence=case.session.sequence,
            revocation_offset=control.revocations.next_offset,
            approval_id=intent.approval_id,
            compensating_tool=None if tool is None else tool.entry.compensating_tool,
            evaluated_at=case.now_ms,
            expires_at=self._expires_ms(case),
            audience=intent.tool.server_id,
            reply_to=intent.reply_to,
            mode=VerdictMode.ENFORCE,
        )

    def _rendered_of(self, policy: PolicyResult) -> _RenderedResult:
        """What a verdict says of an answer. One that has come a second time is taken to come again and again."""
        rendered = self._told.get(id(policy))
        if rendered is None or rendered.policy is not policy:
            if len(self._told) >= RENDERED_RESULTS_MAX:
                self._told.clear()
            rendered = self._told[id(policy)] = _RenderedResult(
                policy, _hits(policy), _obligations(policy), policy.tags
            )
        elif rendered.hits.__class__ is tuple:
            rendered = self._told[id(policy)] = rendered.recurring()
        return rendered

    def _expires_ms(self, case: Case) -> int:
        expires_ms = case.now_ms + self._settings.verdict_ttl_ms
        if case.session.expires_ms:
            expires_ms = min(expires_ms, case.session.expires_ms)
        if case.authority is not None:
            expires_ms = min(expires_ms, case.authority.row.exp_ms)
        if case.intent.deadline is not None:
            expires_ms = min(expires_ms, case.intent.deadline)
        return expires_ms

    def _audit(
        self, case: Case, judgement: Judgement, rendered: _RenderedResult, verdict: Verdict, verdict_value: bytes
    ) -> AuditEvent:
        intent = case.intent
        secret = case.secret or session_secret(self._settings.root_key, intent.header.tenant_uid, intent.session_id)
        return AuditEvent(
            header=_header(case, audit_id_of(verdict.verdict_id)),
            event_type=AuditEventType.VERDICT,
            phase=AuditPhase.PRE_EXECUTION,
            outcome=judgement.outcome,
            session_id=intent.session_id,
            intent_id=intent.intent_id,
            verdict_id=verdict.verdict_id,
            sub=intent.sub,
            act=intent.act,
            delegation_path=case.session.delegation_uids,
            model=intent.model,
            user_request_commit=_commit(secret, intent.user_request_digest),
            system_prompt_commit=_commit(secret, intent.system_prompt_digest),
            toolset_digest=intent.toolset_digest,
            inputs=tuple(source.event_id for source in case.session.sources),
            tool=verdict.tool,
            args_commit=make_hmac(secret, intent.args_digest),
            verdict_digest=sha256(verdict_value),
            label=verdict.label,
            ruleset_digest=verdict.ruleset_digest,
            reason=verdict.reason,
            reason_text=verdict.reason_text,
            rules=verdict.rules,
            tags=rendered.tags,
            retention_class=RetentionClass.STANDARD,
        )

    def _alert(self, case: Case, judgement: Judgement, verdict: Verdict, audit: AuditEvent) -> Output:
        title, types, attacks = _ALARMING[judgement.reason]
        analytic = _deciding_rule(verdict)
        intent, policy = case.intent, judgement.policy
        tool = clipped(f"{intent.tool.server_id}/{intent.tool.name}")
        agent, subject = clipped(intent.act.sub), clipped(intent.sub)
        tenant = intent.header.tenant_uid
        dedup_key = json.dumps([judgement.reason.value, tenant, intent.session_id, tool])
        alert_id = derived_uuid("alert", verdict.verdict_id)
        alert = Alert(
            header=_header(case, alert_id),
            finding_uid=alert_id,
            severity_id=SEVERITY_MEDIUM if judgement.reason is Reason.RULE_DENIED else SEVERITY_HIGH,
            confidence_id=CONFIDENCE_HIGH,
            status_id=STATUS_NEW,
            title=f"{title}: {tool}",
            desc=f"{judgement.text} (agent {agent}, subject {subject}, session {intent.session_id})",
            analytic_uid=judgement.reason.value if analytic is None else analytic.rule_id,
            analytic_version="1" if analytic is None else analytic.rule_version,
            attacks=attacks,
            types=types if policy is None else tuple(tag for tag in policy.tags if tag.startswith("ASI")),
            action_id=ACTION_DENIED,
            disposition_id=DISPOSITION_BLOCKED,
            session_id=intent.session_id,
            sub=intent.sub,
            act=intent.act,
            first_seen_time=case.now_ms,
            last_seen_time=case.now_ms,
            related_event_ids=(audit.header.id, verdict.verdict_id),
            dedup_key=dedup_key,
            # For a shell, to which the key's separator is a pipe.
            suggested_response=(f"stoplog tail audit --session {quote(case.session_key.decode())}",),
        )
        return Output(ALERT, dedup_key.encode(), self._encoder.encode(ALERT.name, alert), alert.header)


def _deciding_rule(verdict: Verdict) -> RuleHit | None:
    """The first enforced rule that asked for the verdict's outcome."""
    wanted = verdict.outcome.value
    return next((hit for hit in verdict.rules if hit.effect.value == wanted and hit.mode is RuleMode.ENFORCE), None)


def _header(case: Case, record_id: str) -> Header:
    header = case.intent.header
    return Header(
        id=record_id,
        source=SOURCE,
        time=case.now_ms,
        tenant_uid=header.tenant_uid,
        traceparent=passed_on(header.traceparent),
        tracestate=passed_on(header.tracestate),
    )


def passed_on(trace: str | None) -> str | None:
    """An agent's trace context, if it is no longer than one can be."""
    return trace if trace is not None and len(trace) <= TRACE_CHARS_MAX else None


def _judged_tool(case: Case) -> ToolRef:
    """The tool as cataloged, so that the executor can hold its live definition against the one that was approved."""
    wanted = case.intent.tool
    if case.tool is None:
        return wanted
    entry = case.tool.entry
    return ToolRef(
        server_id=entry.server_id,
        name=entry.name,
        definition_digest=entry.definition_digest,
        catalog_version=entry.catalog_version,
    )


class _RenderedResult(NamedTuple):
    """What a verdict says of an answer of the rules; most answers come again and again."""

    policy: PolicyResult | None
    hits: tuple[RuleHit, ...]
    obligations: tuple[Obligation, ...]
    tags: tuple[str, ...]

    def recurring(self) -> _RenderedResult:
        """The same, of which the codec keeps the form."""
        return _RenderedResult(self.policy, Recurring(self.hits), Recurring(self.obligations), Recurring(self.tags))


_NOTHING_RENDERED = _RenderedResult(None, (), (), ())


def _hits(policy: PolicyResult) -> tuple[RuleHit, ...]:
    return tuple(
        RuleHit(
            rule_id=rule.rule_id,
            rule_version=rule.rule_version,
            effect=RuleEffect[rule.effect.name],
            mode=RuleMode[rule.mode.name],
            reason=rule.reason,
        )
        for rule in policy.rules
    )


def _obligations(policy: PolicyResult) -> tuple[Obligation, ...]:
    return tuple(
        Obligation(id=item.id, type=item.type, properties_json=json.dumps(dict(item.properties), sort_keys=True))
        for item in policy.obligations
    )


def _influences(case: Case) -> tuple[Influence, ...]:
    """What the session has read, and may have read, that could have led to this call."""
    session = case.session
    read = [(source.event_id, source.label) for source in session.sources]
    read += [(pending.intent_id, pending.label) for pending in session.pending_reads]
    return tuple(
        Influence(
            event_id=event_id,
            origin=Origin.TRUSTED if label.integrity is Integrity.TRUSTED else Origin.UNTRUSTED,
        )
        for event_id, label in read
    )


def _commit(secret: bytes, digest: bytes | None) -> bytes | None:
    return None if digest is None else _kept_hmac(secret, digest)


# The prompts of a session stay the same over many of its intents.
_kept_hmac = lru_cache(maxsize=COMMITS_CACHED_MAX)(make_hmac)
