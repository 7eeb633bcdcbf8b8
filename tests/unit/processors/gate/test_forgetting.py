"""How long the gate remembers, and that nothing is left in the end."""

from __future__ import annotations

import msgspec
import pytest

from simulation.records import SessionMaker
from streams.model.reasons import DeadLetterReason, Reason
from streams.model.session import SessionEventType
from streams.model.topics import DELEGATION, INTENT, SESSION, VERDICT
from streams.model.verdict import Outcome
from streams.processors.sessions import retention
from tests.kit import GATE_SETTINGS, HOUR_MS, MAIL_SEND, MINUTE_MS, WEB_FETCH, GateBench
from tests.unit.processors.gate_hand import DAY_MS, session_row

replace = msgspec.structs.replace


class TestForgetting:
    def test_a_verdict_is_remembered_for_a_day_and_its_intent_is_too_old_afterwards(self) -> None:
        bench = GateBench(with_session=False)
        bench.establish(bench.session, expires_ms=bench.now_ms + 3 * DAY_MS)
        intent = bench.propose()
        bench.wait(5 * MINUTE_MS - 1)
        bench.send(intent)
        first, again = bench.driver.read_raw(VERDICT.name)
        assert first.value == again.value
        bench.wait(DAY_MS - 5 * MINUTE_MS)
        bench.send(intent)
        assert bench.dead_letters(INTENT.name) == [DeadLetterReason.VERDICT_GIVEN_BEFORE]
        bench.wait(DAY_MS)
        bench.send(intent)
        assert bench.dead_letters(INTENT.name) == [DeadLetterReason.INTENT_TOO_OLD]
        assert bench.driver.read_raw(VERDICT.name) == []

    def test_an_intent_from_the_future_is_not_judged_again_when_its_time_has_come(self) -> None:
        bench = GateBench(with_session=False)
        bench.establish(bench.session, expires_ms=bench.now_ms + 9 * DAY_MS)
        intent = bench.propose(time_ms=bench.now_ms + 20 * HOUR_MS)
        assert bench.verdict().reason == Reason.INTENT_FROM_FUTURE
        for _ in range(20):
            bench.wait(5 * HOUR_MS)
            bench.send(intent)
        assert bench.verdicts() == []
        reasons = bench.dead_letters(INTENT.name)
        assert reasons[:8] == [DeadLetterReason.VERDICT_GIVEN_BEFORE] * 8
        assert set(reasons) == {DeadLetterReason.VERDICT_GIVEN_BEFORE, DeadLetterReason.INTENT_TOO_OLD}
        assert len(reasons) == 20

    def test_nothing_is_left_of_a_session_in_the_end(self) -> None:
        bench = GateBench()
        for _ in range(5):
            bench.judge()
        bench.judge(MAIL_SEND, {"ask": "one"})
        bench.judge(WEB_FETCH, {})
        bench.wait(3 * DAY_MS)
        assert [key for key in bench.driver.disk.rows(0) if b"acme|s-1" in key] == []

    @pytest.mark.parametrize("kind", [SessionEventType.SESSION_ENDED, SessionEventType.SESSION_REVOKED])
    def test_a_session_that_is_over_is_remembered_until_it_would_have_expired(self, kind: SessionEventType) -> None:
        bench = GateBench(with_session=False)
        opened = bench.session.established(bench.now_ms, expires_ms=bench.now_ms + 5 * DAY_MS)
        bench.driver.pipe(SESSION.name, bench.session.key, opened)
        bench.driver.pipe(SESSION.name, bench.session.key, bench.session.event(kind, bench.now_ms))
        bench.wait(4 * DAY_MS)
        bench.driver.pipe(SESSION.name, bench.session.key, opened)
        assert bench.dead_letters(SESSION.name) == [DeadLetterReason.SEQUENCE_REPLAYED]
        assert bench.judge().outcome is Outcome.DENY

    def test_a_session_that_was_over_before_it_began_does_not_begin(self) -> None:
        bench = GateBench(with_session=False)
        ended = bench.session.event(SessionEventType.SESSION_ENDED, bench.now_ms)
        bench.driver.pipe(SESSION.name, bench.session.key, ended)
        bench.wait(23 * HOUR_MS)
        bench.establish(bench.session)
        assert bench.dead_letters(SESSION.name) == [DeadLetterReason.SEQUENCE_REPLAYED]
        assert bench.judge().reason == Reason.SESSION_ENDED

    def test_a_grant_without_a_session_does_not_stay(self) -> None:
        bench = GateBench()
        lonely = SessionMaker("s-lonely")
        bench.driver.pipe(DELEGATION.name, lonely.key, lonely.grant("g-1", bench.now_ms))
        assert session_row(bench, lonely) is not None
        bench.wait(DAY_MS)
        assert session_row(bench, lonely) is None

    def test_a_long_session_is_tidied_up_a_part_at_a_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retention, "ROWS_PER_VISIT_MAX", 3)
        bench = GateBench()
        for _ in range(10):
            bench.judge()
        bench.wait(3 * DAY_MS)
        assert [key for key in bench.driver.disk.rows(0) if b"acme|s-1" in key] == []

    def test_a_session_that_lives_is_kept(self) -> None:
        long_lived = replace(
            GATE_SETTINGS,
            session_age_max_ms=10 * DAY_MS,
            unattended_age_max_ms=10 * DAY_MS,
            session_idle_ms=DAY_MS,
        )
        bench = GateBench(settings=long_lived, with_session=False)
        bench.establish(bench.session, expires_ms=bench.now_ms + 9 * DAY_MS)
        for _ in range(16):
            bench.wait(12 * HOUR_MS)
            assert bench.judge().outcome is Outcome.ALLOW
        verdicts = [key for key in bench.driver.disk.rows(0) if key.startswith(b"v")]
        assert len(verdicts) <= 4
