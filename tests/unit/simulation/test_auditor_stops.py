"""The simulation's auditor accepts a second end of a session in one case only."""

from __future__ import annotations

import pytest

from simulation.auditor import Evidence
from simulation.auditor_stops import check_stops
from simulation.records import SessionMaker
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.topics import SESSION
from streams.model.types import Actor, Header
from streams.ports import Received

EXPIRES_MS = 20_000
MAKER = SessionMaker("s-1")


def ended(reason: str, time_ms: int) -> AuditEvent:
    return AuditEvent(
        header=Header(id=f"{time_ms}", source="stoplog/gate", time=time_ms, tenant_uid=MAKER.tenant),
        event_type=AuditEventType.SESSION,
        session_id=MAKER.session_id,
        act=Actor(iss="", sub=""),
        reason=reason,
    )


def found(*ends: AuditEvent) -> list[str]:
    opening = MAKER.established(1_000, expires_ms=EXPIRES_MS)
    received = Received(SESSION.name, 0, 0, 1_000, MAKER.key, b"", [])
    return list(check_stops(Evidence(audits=list(ends), decoded={SESSION.name: [(received, opening)]})))


@pytest.mark.parametrize("reason", ["session_ended", "session_idle", "session_expired", "session_revoked"])
def test_a_forgotten_session_may_expire_again(reason: str) -> None:
    assert found(ended(reason, 10_000)) == []
    assert found(ended(reason, 10_000), ended("session_expired", EXPIRES_MS)) == []


@pytest.mark.parametrize(
    ("reason", "time_ms"),
    [("session_expired", EXPIRES_MS - 1), ("session_idle", EXPIRES_MS), ("session_ended", 90_000)],
)
def test_any_other_second_end_says_that_it_was_opened_again(reason: str, time_ms: int) -> None:
    (fault,) = found(ended("session_ended", 10_000), ended(reason, time_ms))
    assert "has ended again" in fault
