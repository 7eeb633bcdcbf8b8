"""People who answer questions, and what comes of it."""

from __future__ import annotations

from typing import Any

import msgspec

from simulation.records import person, revocation, ruleset
from streams.model.approval import (
    AnsweredCall,
    ApprovalDecision,
    ApprovalGrant,
    ApprovalRequest,
    ApprovalStatus,
    GrantScope,
)
from streams.model.audit import AuditEventType
from streams.model.delegation import ArgumentConstraint, ConstraintType, ToolGrant
from streams.model.intent import Intent
from streams.model.proof import derived_uuid
from streams.model.reasons import DeadLetterReason
from streams.model.revocation import RevocationKind
from streams.model.topics import APPROVAL_DECISION, REVOCATION, RULESET
from streams.model.verdict import Outcome
from tests.kit import BUNDLE_FILES, MAIL_SEND, RULES, GateBench

replace = msgspec.structs.replace
ONE = {"ask": "one"}
NOT_VALID = [DeadLetterReason.APPROVAL_NOT_VALID]


def answer(
    bench: GateBench, request: ApprovalRequest, by: str = "lena", *groups: str, **fields: Any
) -> ApprovalDecision:
    """Answer everything that a request shows; yes unless `fields` say something else."""
    calls = tuple(AnsweredCall(intent_id=c.intent_id, tool=c.tool, args_digest=c.args_digest) for c in request.calls)
    decision = ApprovalDecision(
        header=replace(
            request.header, id=derived_uuid("answer", request.header.id, by, str(bench.now_ms), str(fields))
        ),
        task_id=request.task_id,
        intent_id=request.intent_id,
        session_id=request.session_id,
        status=ApprovalStatus.APPROVED,
        approver=person(by),
        approver_groups=groups or request.eligible_approvers,
        args_digest=request.args_digest,
        calls=calls,
    )
    decision = replace(decision, **fields)
    bench.driver.pipe(APPROVAL_DECISION.name, bench.session.key, decision)
    return decision


def ask(bench: GateBench, *targets: str, **changes: Any) -> list[Intent]:
    return [bench.propose(MAIL_SEND, {**ONE, "to": target}, **changes) for target in targets]


def publish(bench: GateBench, approval: str) -> None:
    """Publish the rules with other settings for the question to one lead."""
    before = "approval: {group: leads, quorum: 1, ttl: 10m}"
    files = {**BUNDLE_FILES, "testing/testing.rules.yaml": RULES.replace(before, approval)}
    bench.driver.pipe(RULESET.name, b"default", replace(ruleset(files), serial=2))


def by_intent(bench: GateBench) -> dict[str, Outcome]:
    return {verdict.intent_id: verdict.outcome for verdict in bench.verdicts()}


def reasons(bench: GateBench) -> list[str | None]:
    return [event.reason for event in bench.audits(AuditEventType.APPROVAL)]


def bound(argument: str, kind: ConstraintType, value_json: str) -> ArgumentConstraint:
    return ArgumentConstraint(argument=argument, type=kind, value_json=value_json)


def mail_grant(
    *bounds: ArgumentConstraint, scope: GrantScope = GrantScope.SESSION, name: str = "send", **fields: Any
) -> ApprovalGrant:
    asked = bound("/ask", ConstraintType.EXACT, '"one"')
    tool = ToolGrant(server_id="mail", name=name, constraints=(asked, *bounds) if bounds else ())
    return ApprovalGrant(scope=scope, tools=(tool,), **fields)


def stop_person(bench: GateBench, name: str) -> None:
    bench.driver.pipe(REVOCATION.name, *revocation(RevocationKind.SUBJECT, f"acme|{name}", time_ms=bench.now_ms))
