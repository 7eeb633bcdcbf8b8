"""Audit records of the processors are built in one place."""

from __future__ import annotations

import ast
from pathlib import Path

import streams.processors
from streams.model.audit import AuditEventType, AuditPhase, RetentionClass
from streams.model.reasons import Reason
from streams.model.verdict import Outcome
from tests.kit import ADMIN_WIPE, MAIL_SEND, GateBench

BUILDER = "audit.py"


def test_nothing_but_the_builder_makes_audit_records() -> None:
    root = Path(streams.processors.__path__[0])
    makers = set()
    for path in root.rglob("*.py"):
        calls = [node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        names = {func.id if isinstance(func, ast.Name) else getattr(func, "attr", "") for func in calls}
        makers |= {str(path.relative_to(root))} if "AuditEvent" in names else set()
    assert makers == {BUILDER}


def test_a_record_says_what_its_verdict_says_and_commits_to_the_rest() -> None:
    bench = GateBench()
    bench.audits()
    intent = bench.propose(MAIL_SEND, {"to": "bob@example.com"})
    verdict, (record,) = bench.verdict(), bench.audits(AuditEventType.VERDICT)
    assert (record.verdict_id, record.intent_id) == (verdict.verdict_id, intent.intent_id)
    assert (record.outcome, record.reason, record.reason_text) == (Outcome.ALLOW, verdict.reason, verdict.reason_text)
    assert (record.rules, record.label, record.tool) == (verdict.rules, verdict.label, verdict.tool)
    assert (record.phase, record.retention_class) == (AuditPhase.PRE_EXECUTION, RetentionClass.STANDARD)
    assert record.args_commit not in (None, intent.args_digest)
    assert (record.header.time, record.header.tenant_uid) == (verdict.evaluated_at, intent.header.tenant_uid)


def test_a_denial_is_on_record_like_an_allowed_call() -> None:
    bench = GateBench()
    bench.audits()
    bench.propose(ADMIN_WIPE, {})
    (record,) = bench.audits(AuditEventType.VERDICT)
    assert (record.outcome, record.reason) == (Outcome.DENY, Reason.NO_PERMIT.value)
