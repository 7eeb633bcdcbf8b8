"""What tests of the gate do and look at: decisions of people, events and rows of sessions."""

from __future__ import annotations

from typing import Any

from simulation.records import SessionMaker
from streams.model.approval import ApprovalRequest, ApprovalStatus
from streams.model.intent import Intent
from streams.model.session import REPORTS, SessionEventType
from streams.model.topics import APPROVAL_DECISION, APPROVAL_REQUEST, REPORT, SESSION
from streams.model.verdict import Verdict
from streams.processors.rows import session_row_key
from streams.processors.session_row import SessionRow, decode_session
from tests.kit import HOUR_MS, GateBench

DAY_MS = 24 * HOUR_MS
TO_OUTSIDE = {"to": "bob@outside.example"}


def decide(
    bench: GateBench,
    intent: Intent,
    approver: str,
    *groups: str,
    status: ApprovalStatus = ApprovalStatus.APPROVED,
    **fields: Any,
) -> None:
    made = bench.session.decision(intent, approver, bench.now_ms, groups=groups, status=status, **fields)
    bench.driver.pipe(APPROVAL_DECISION.name, bench.session.key, made)


def happen(bench: GateBench, kind: SessionEventType, ahead_ms: int = 0, **fields: Any) -> None:
    """An event of the bench's session, its clock ahead."""
    made = bench.session.event(kind, bench.now_ms + ahead_ms, **fields)
    bench.driver.pipe(REPORT.name if kind in REPORTS else SESSION.name, bench.session.key, made)


def requests(bench: GateBench) -> list[ApprovalRequest]:
    records = (read.record for read in bench.driver.read(APPROVAL_REQUEST.name))
    return [record for record in records if isinstance(record, ApprovalRequest)]


def outcomes(verdicts: list[Verdict]) -> list[tuple[str, str]]:
    return [(verdict.outcome.value, verdict.reason) for verdict in verdicts]


def session_row(bench: GateBench, session: SessionMaker | None = None) -> SessionRow | None:
    row = bench.driver.disk.rows(0).get(session_row_key((session or bench.session).key))
    return None if row is None else decode_session(row)
