"""Exactly one final verdict for every intent, whatever else goes wrong at the record that brings it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from simulation.records import SessionMaker, revocation
from streams.engine import task
from streams.engine.state import ROW_BYTES_MAX
from streams.model.audit import AuditEventType
from streams.model.reasons import Reason
from streams.model.revocation import RevocationKind
from streams.model.session import SessionEventType
from streams.model.topics import DELEGATION, REVOCATION, SESSION
from streams.model.verdict import Outcome
from streams.processors.budgets.charges import BudgetCharges
from streams.processors.gate import rules
from streams.processors.gate.conclusion import Concluder
from tests.keeping import PURGE, REFUND, CountingBench
from tests.kit import HOUR_MS, MAIL_SEND, MINUTE_MS, GateBench
from tests.unit.delegation.denials import SETTINGS

LIFE_MS = 5 * MINUTE_MS
SCOPE_CHARS = 60_000
PURPOSE_CHARS = ROW_BYTES_MAX - SCOPE_CHARS
"""Each fits into a record; together they don't fit into a session's row."""


def say_what_is_not_understood(bench: GateBench, session: SessionMaker) -> str:
    """Of a newer writer, or of anybody: it needs no proof."""
    bench.driver.pipe(SESSION.name, session.key, session.event(SessionEventType.UNKNOWN, bench.now_ms))
    return SESSION.name


def say_what_does_not_fit(bench: GateBench, session: SessionMaker) -> str:
    event = session.event(SessionEventType.PURPOSE_SET, bench.now_ms, purpose="x" * PURPOSE_CHARS)
    bench.driver.pipe(SESSION.name, session.key, event)
    return SESSION.name


@pytest.mark.parametrize("say", [say_what_is_not_understood, say_what_does_not_fit])
def test_what_a_record_ends_is_told_although_it_is_set_aside(
    say: Callable[[GateBench, SessionMaker], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate was away: more timers are due than are run before a record, and the record finds its session lapsed."""
    monkeypatch.setattr(task, "TIMERS_PER_STEP_MAX", 4)
    bench = GateBench(with_session=False)
    end_ms = bench.now_ms + LIFE_MS
    for number in range(6):
        other = SessionMaker(f"other-{number}")
        bench.establish(other, expires_ms=end_ms)
        bench.propose(MAIL_SEND, {"ask": "one"}, session=other)
    session = SessionMaker("last")
    bench.establish(session, expires_ms=end_ms + 1, scopes=("x" * SCOPE_CHARS,))
    held = bench.propose(MAIL_SEND, {"ask": "one"}, session=session)
    asked = bench.verdicts()
    bench.audits()
    bench.driver.clock.set_ms(bench.now_ms + HOUR_MS)
    topic = say(bench, session)
    assert len(bench.dead_letters(topic)) == 1
    bench.wait(MINUTE_MS)
    ends = bench.verdicts()
    assert sorted(end.intent_id for end in ends) == sorted(one.intent_id for one in asked)
    (end,) = [one for one in ends if one.session_id == "last"]
    assert (end.intent_id, end.reason) == (held.intent_id, Reason.SESSION_EXPIRED)
    told = [audit for audit in bench.audits() if audit.session_id == "last"]
    assert {audit.event_type for audit in told} >= {AuditEventType.VERDICT, AuditEventType.SESSION}


def test_what_a_refused_grant_finds_over_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "TIMERS_PER_STEP_MAX", 1)
    bench = GateBench(settings=SETTINGS)
    bench.propose(MAIL_SEND, {"ask": "one"}, session=bench.session)
    bench.verdicts()
    bench.driver.clock.set_ms(bench.now_ms + 2 * HOUR_MS)
    forged = bench.session.grant("g-1", bench.now_ms, unproven={"proof": None})
    bench.driver.pipe(DELEGATION.name, bench.session.key, forged)
    bench.wait(MINUTE_MS)
    assert len(bench.verdicts()) == 1


class BrokenError(Exception):
    """Stands for a fault of ours."""


def fail_once_for(intent_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first verdict of an intent from now on can't be written."""
    write = Concluder.write
    left = [intent_id]

    def failing(self: Concluder, case: Any, *args: Any) -> Any:
        if case.asked.intent.intent_id in left:
            left.clear()
            raise BrokenError
        return write(self, case, *args)

    monkeypatch.setattr(Concluder, "write", failing)


class TestOneThatFailsAmongMany:
    """It is left to its timer; the others are not held up by it."""

    def bench(self, monkeypatch: pytest.MonkeyPatch) -> tuple[GateBench, list[str]]:
        bench = GateBench()
        held = [bench.propose(MAIL_SEND, {"ask": "one"}).intent_id for _ in range(3)]
        bench.verdicts()
        fail_once_for(held[1], monkeypatch)
        return bench, held

    def test_when_something_is_stopped(self, monkeypatch: pytest.MonkeyPatch) -> None:
        bench, held = self.bench(monkeypatch)
        stop = revocation(RevocationKind.AGENT, "acme|assistant", time_ms=bench.now_ms)
        bench.driver.pipe(REVOCATION.name, *stop)
        assert {end.intent_id for end in bench.verdicts()} == {held[0], held[2]}
        bench.wait(HOUR_MS)
        assert [(end.intent_id, end.reason) for end in bench.verdicts()] == [(held[1], Reason.APPROVAL_EXPIRED)]

    def test_when_their_session_ends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        bench, held = self.bench(monkeypatch)
        ended = bench.session.event(SessionEventType.SESSION_ENDED, bench.now_ms)
        bench.driver.pipe(SESSION.name, bench.session.key, ended)
        assert [end.intent_id for end in bench.verdicts()] == [held[0], held[2]]
        assert not bench.dead_letters(SESSION.name)
        bench.wait(HOUR_MS)
        assert [end.intent_id for end in bench.verdicts()] == [held[1]]
        assert bench.judge().reason == Reason.SESSION_ENDED

    def test_when_their_session_appears(self, monkeypatch: pytest.MonkeyPatch) -> None:
        bench = GateBench(with_session=False)
        parked = [bench.propose().intent_id for _ in range(3)]
        fail_once_for(parked[1], monkeypatch)
        bench.establish(bench.session)
        assert [one.intent_id for one in bench.verdicts()] == [parked[0], parked[2]]
        bench.wait(MINUTE_MS)
        assert [(one.intent_id, one.reason) for one in bench.verdicts()] == [(parked[1], Reason.PERMITTED)]

    def test_a_row_that_can_not_be_read(self) -> None:
        bench = GateBench()
        for _ in range(3):
            bench.propose(MAIL_SEND, {"ask": "one"})
        bench.verdicts()
        rows = bench.driver.disk.rows(0)
        damaged = sorted(key for key in rows if key.startswith(b"h"))[1]
        offset = bench.driver.disk.changelog_offset(0)
        assert offset is not None
        bench.driver.disk.lose_process()
        bench.driver.disk.open(0).apply({damaged: b"\xc1"}, offset)
        bench.driver.disk.lose_process()
        bench.restart()
        stop = revocation(RevocationKind.AGENT, "acme|assistant", time_ms=bench.now_ms)
        bench.driver.pipe(REVOCATION.name, *stop)
        assert len(bench.verdicts()) == 2


COUNTED = """
history:
  denied: {keep: count, on: denied, match: {tools: [pay.refund]}}
rules:
  - {id: C-1, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}
  - id: C-2
    effect: require_approval
    match: {tools: [pay.refund]}
    when: history.denied < 3
    approval: {group: finance, ttl: 10m}
    reason: finance has to know
"""


def test_what_can_not_be_remembered_is_denied_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = CountingBench(COUNTED)
    held = bench.propose(REFUND, {"amount": 1})
    assert bench.verdict().outcome is Outcome.REQUIRE_APPROVAL

    def failing(*_args: object) -> None:
        raise BrokenError

    monkeypatch.setattr(rules, "build_facts", failing)
    bench.wait(HOUR_MS // 2)
    end = bench.verdict()
    assert (end.intent_id, end.reason) == (held.intent_id, Reason.APPROVAL_EXPIRED)


DENIED_AND_BUDGETED = """
history:
  denied: {keep: count, on: denied, match: {tools: [pay.refund]}}
budgets:
  calls: {per: session, measure: calls, limit: 100, match: {tools: [pay.refund]}}
rules:
  - {id: C-1, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}
  - {id: C-2, effect: deny, match: {tools: [data.purge]}, when: history.denied >= 2, reason: refused too often}
"""


def test_a_denial_counts_whatever_it_is_due_to(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = CountingBench(DENIED_AND_BUDGETED)

    def failing(*_args: object) -> None:
        raise BrokenError

    with monkeypatch.context() as broken:
        broken.setattr(BudgetCharges, "take", failing)
        for _ in range(2):
            bench.propose(REFUND, {"amount": 1})
            assert bench.verdict().reason == Reason.INTERNAL_ERROR
    bench.propose(PURGE, {})
    assert bench.verdict().reason == Reason.RULE_DENIED
