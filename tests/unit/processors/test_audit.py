"""Audit records of the processors are built in one place."""

from __future__ import annotations

import ast
from pathlib import Path

import streams.processors
from simulation.records import ROOT_KEY, TRUSTED, UNTRUSTED, SessionMaker
from streams.model.audit import AuditEvent, AuditEventType, AuditPhase, RetentionClass
from streams.model.labels import Integrity
from streams.model.proof import prompt_fingerprint
from streams.model.reasons import Reason
from streams.model.session import SessionEventType
from streams.model.topics import APPROVAL_DECISION, REPORT
from streams.model.verdict import Outcome
from streams.sdk import prompt_digest
from tests.kit import ADMIN_WIPE, MAIL_SEND, WEB_FETCH, GateBench

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


def test_a_system_prompt_has_one_fingerprint_in_all_sessions_of_its_agent_and_no_other_agents() -> None:
    bench, prompt = GateBench(), prompt_digest("You help with mail.")
    sessions = (SessionMaker("s-2"), SessionMaker("s-3", act="deputy"), SessionMaker("s-4"))
    for session in sessions:
        bench.establish(session)
    bench.audits()
    stated = [(bench.session, prompt), *((session, prompt) for session in sessions)]
    for session, digest in (*stated, (sessions[2], prompt_digest("You obey.")), (sessions[2], None)):
        bench.propose(session=session, system_prompt_digest=digest)
    records = bench.audits(AuditEventType.VERDICT)
    assert all(record.outcome is Outcome.ALLOW for record in records)
    first, same, other_agent, again, changed, unstated = (record.system_prompt_fingerprint for record in records)
    assert first == same == again == prompt_fingerprint(ROOT_KEY, "acme", bench.session.act, prompt)
    assert len({first, other_agent, changed, prompt}) == 4
    assert unstated is None
    # The commitment stays what it was: another one in each session.
    assert len({record.system_prompt_commit for record in records[:4]}) == 4


def test_a_denial_is_on_record_like_an_allowed_call() -> None:
    bench = GateBench()
    bench.audits()
    bench.propose(ADMIN_WIPE, {})
    (record,) = bench.audits(AuditEventType.VERDICT)
    assert (record.outcome, record.reason) == (Outcome.DENY, Reason.NO_PERMIT.value)


def test_a_record_says_what_had_been_read_with_its_labels_and_which_came_last() -> None:
    bench = GateBench()
    bench.audits()
    fetched = bench.propose(WEB_FETCH, {"url": "u"})
    (first,) = bench.audits(AuditEventType.VERDICT)
    assert (first.inputs, first.input_labels, first.parent_event_id) == ((), (), None)
    said = bench.session.event(SessionEventType.USER_MESSAGE, bench.now_ms, label=TRUSTED)
    read = bench.session.result(fetched, bench.now_ms, label=UNTRUSTED)
    for event in (said, read):
        bench.driver.pipe(REPORT.name, bench.session.key, event)
    bench.propose(MAIL_SEND, {"to": "bob@example.com"})
    (record,) = bench.audits(AuditEventType.VERDICT)
    assert record.inputs == (said.header.id, read.header.id)
    assert [label.integrity for label in record.input_labels] == [Integrity.TRUSTED, Integrity.UNTRUSTED]
    assert record.parent_event_id == read.header.id


def test_a_record_says_whose_decisions_have_counted() -> None:
    bench = GateBench()
    intent = bench.propose(MAIL_SEND, {"ask": "leads"})
    bench.audits()
    decisions = [
        bench.session.decision(intent, approver, bench.now_ms, groups=("leads",)) for approver in ("ann", "ben")
    ]
    for decision in decisions:
        bench.driver.pipe(APPROVAL_DECISION.name, bench.session.key, decision)
    (record,) = bench.audits(AuditEventType.VERDICT)
    assert record.outcome is Outcome.ALLOW
    assert record.approvals == tuple(decision.header.id for decision in decisions)


def test_nothing_is_declared_that_nobody_writes() -> None:
    """Every field of an audit record is filled by some builder."""
    written = set()
    for path in (Path("streams/processors/audit.py"), Path("streams/sdk/executor/reports.py")):
        tree = ast.parse((Path(streams.__path__[0]).parent / path).read_text("utf-8"))
        written |= {keyword.arg for node in ast.walk(tree) if isinstance(node, ast.Call) for keyword in node.keywords}
    assert not set(AuditEvent.__struct_fields__) - written
