"""Make the request that asks a person to approve a call."""

from __future__ import annotations

from streams.model.approval import ApprovalRequest
from streams.model.ids import approval_task_id
from streams.model.proof import derived_uuid
from streams.model.topics import APPROVAL_REQUEST
from streams.model.verdict import Verdict
from streams.ports.processor import Output
from streams.ports.wire import Encoder
from streams.processors.gate.case import Case
from streams.processors.gate.decision import Decision
from streams.processors.headers import reply_header


def approval_request_output(encoder: Encoder, case: Case, decision: Decision, verdict: Verdict, due_ms: int) -> Output:
    """Return the request, with everything that a person needs to see in order to decide.

    Args:
        case: the intent that needs approval.
        decision: what was decided about it.
        verdict: the record of that.
        due_ms: until when a person can decide.
    """
    asked, policy = case.asked, decision.policy
    intent, approval = asked.intent, None if policy is None else policy.approval
    request = ApprovalRequest(
        header=reply_header(derived_uuid("approval request", verdict.verdict_id), intent, asked.now_ms),
        task_id=approval_task_id(
            intent.header.tenant_uid, verdict.session_id, verdict.intent_id, asked.progress.asked_count
        ),
        verdict_id=verdict.verdict_id,
        intent_id=verdict.intent_id,
        session_id=verdict.session_id,
        sub=verdict.sub,
        act=verdict.act,
        tool=verdict.tool,
        args_json=verdict.args_json,
        args_digest=verdict.args_digest,
        reason_text=decision.text,
        provenance=tuple(f"{i.event_id}: {i.origin.value.lower()}" for i in verdict.influences),
        reversible=case.tool is not None and case.tool.entry.reversible,
        history=tuple(f"{tool}: {count} allowed" for tool, count in sorted(case.session.counters.calls.items())),
        matched_rules=tuple(f"{hit.rule_id}: {hit.reason}" for hit in verdict.rules),
        eligible_approvers=() if approval is None else (approval.group,),
        quorum=1 if approval is None else approval.quorum,
        expires_at=due_ms,
    )
    value = encoder.encode(APPROVAL_REQUEST.name, request)
    return Output(APPROVAL_REQUEST, asked.session_key, value, request.header)
