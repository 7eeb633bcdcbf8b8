"""What waits when something is taken back, through the driven gate."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from simulation.records import ROOT_KEY, SessionMaker, revocation
from streams.model import revocation_set
from streams.model.reasons import Reason
from streams.model.revocation import RevocationKind, RevocationState
from streams.model.topics import DELEGATION, REVOCATION
from streams.model.types import Model
from streams.model.verdict import Outcome
from streams.ports import Outgoing
from streams.processors.gate import revoked_pending
from streams.processors.settings import GateSettings
from tests.kit import MAIL_SEND, MINUTE_MS, GateBench, wire

replace = msgspec.structs.replace
MODEL = Model(ai_provider="lab", name="m")
STOPS = [
    (RevocationKind.SESSION, "acme|s-1", Reason.SESSION_REVOKED),
    (RevocationKind.AGENT, "acme|assistant", Reason.REVOKED_AGENT),
    (RevocationKind.SUBJECT, "acme|alice", Reason.REVOKED_SUBJECT),
    (RevocationKind.TOOL, "mail/send", Reason.REVOKED_TOOL),
    (RevocationKind.TOOL, "mail/*", Reason.REVOKED_TOOL),
    (RevocationKind.MODEL, "lab/m", Reason.REVOKED_MODEL),
    (RevocationKind.TENANT, "acme", Reason.REVOKED_TENANT),
    (RevocationKind.ALL, "*", Reason.REVOKED_ALL),
]


def stop(bench: GateBench, kind: RevocationKind, target: str, **fields: object) -> None:
    bench.driver.pipe(REVOCATION.name, *revocation(kind, target, time_ms=bench.now_ms, **fields))


@pytest.mark.parametrize(("kind", "target", "reason"), STOPS)
class TestEverythingThatWaitsEndsAtOnce:
    def test_what_waits_for_a_person(self, kind: RevocationKind, target: str, reason: Reason) -> None:
        self.check(GateBench(), {"ask": "one"}, kind, target, reason)

    def test_what_waits_for_a_cancel_window(self, kind: RevocationKind, target: str, reason: Reason) -> None:
        self.check(GateBench(), {"later": True}, kind, target, reason)

    def test_what_waits_for_its_session(self, kind: RevocationKind, target: str, reason: Reason) -> None:
        self.check(GateBench(with_session=False), {"to": "bob@example.com"}, kind, target, reason)

    def check(
        self, bench: GateBench, args: dict[str, object], kind: RevocationKind, target: str, reason: Reason
    ) -> None:
        intent = bench.propose(MAIL_SEND, args, model=MODEL)
        bench.verdicts()
        stop(bench, kind, target)
        end = bench.verdict()
        assert (end.intent_id, end.outcome, end.reason) == (intent.intent_id, Outcome.DENY, reason)
        bench.wait(60 * MINUTE_MS)
        assert not bench.verdicts()


def test_what_is_not_named_goes_on_waiting() -> None:
    bench = GateBench()
    other = SessionMaker("s-2", sub="bob", act="helper")
    bench.establish(other)
    bench.propose(MAIL_SEND, {"ask": "one"}, session=other)
    bench.verdicts()
    for kind, target in [
        (RevocationKind.SESSION, "acme|s-1"),
        (RevocationKind.AGENT, "acme|assistant"),
        (RevocationKind.SUBJECT, "acme|alice"),
        (RevocationKind.TENANT, "other"),
        (RevocationKind.TOOL, "files/*"),
    ]:
        stop(bench, kind, target)
    assert not bench.verdicts()


def test_a_release_brings_nothing_back() -> None:
    bench = GateBench()
    bench.propose(MAIL_SEND, {"ask": "one"})
    bench.verdicts()
    stop(bench, RevocationKind.ALL, "*")
    assert [end.reason for end in bench.verdicts()] == [Reason.REVOKED_ALL]
    stop(bench, RevocationKind.ALL, "*", state=RevocationState.RELEASED)
    bench.wait(MINUTE_MS)
    assert not bench.verdicts()


def test_an_intent_without_a_session_does_not_wait_while_it_is_stopped() -> None:
    bench = GateBench(with_session=False)
    stop(bench, RevocationKind.AGENT, "acme|assistant")
    assert bench.judge().reason == Reason.REVOKED_AGENT


def test_more_than_one_step_takes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revoked_pending, "ROWS_PER_STEP_MAX", 3)
    bench = GateBench(partitions=2)
    for number in range(10):
        session = SessionMaker(f"s-{number}-many")
        bench.establish(session)
        for _ in range(number % 3):
            bench.propose(MAIL_SEND, {"ask": "one"}, session=session)
    waiting = len(bench.verdicts())
    stop(bench, RevocationKind.TENANT, "acme")
    ends = bench.verdicts()
    assert len(ends) == waiting == 9
    assert {end.reason for end in ends} == {Reason.REVOKED_TENANT}


def test_whoever_takes_over_goes_on() -> None:
    """The record comes while no gate runs: the one that starts then ends what waits, before anything else."""
    bench = GateBench(settings=GateSettings(root_key=ROOT_KEY))
    bench.propose(MAIL_SEND, {"ask": "one"})
    bench.verdicts()
    key, record = revocation(RevocationKind.AGENT, "acme|assistant", time_ms=bench.now_ms)
    value = wire().encode(REVOCATION.name, record)
    bench.driver.log.append(Outgoing(REVOCATION.name, 0, key, value), timestamp_ms=bench.now_ms)
    bench.restart()
    assert [end.reason for end in bench.verdicts()] == [Reason.REVOKED_AGENT]


def test_a_gate_logs_how_soon_a_stop_is_in_force(caplog: pytest.LogCaptureFixture) -> None:
    bench = GateBench()
    caplog.set_level("INFO", "streams.processors.control.state")
    stop(bench, RevocationKind.ALL, "*")
    (told,) = [record for record in caplog.records if hasattr(record, "fields")]
    assert told.fields == {"event": "stop_in_force", "count": 1, "offset": 0, "latency_ms": 0}
    caplog.clear()
    bench.restart()
    assert not [record for record in caplog.records if hasattr(record, "fields")]


class TestStopsOfSingleSessions:
    """They are many, so they cost no look at what waits elsewhere, while nothing waits that descends from another."""

    def looked_at(self, bench: GateBench, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
        seen: list[bytes] = []
        end = revoked_pending._end_if_revoked

        def note(judge: Any, value: bytes, *others: Any) -> Any:
            seen.append(value)
            return end(judge, value, *others)

        monkeypatch.setattr(revoked_pending, "_end_if_revoked", note)
        return seen

    def test_others_are_left_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        bench = GateBench()
        for number in range(5):
            session = SessionMaker(f"s-other-{number}")
            bench.establish(session)
            bench.propose(MAIL_SEND, {"ask": "one"}, session=session)
        bench.propose(MAIL_SEND, {"ask": "one"})
        bench.verdicts()
        stop(bench, RevocationKind.AGENT, "acme|nobody")
        seen = self.looked_at(bench, monkeypatch)
        stop(bench, RevocationKind.SESSION, "acme|s-unknown")
        assert not seen
        stop(bench, RevocationKind.SESSION, "acme|s-1")
        assert [end.reason for end in bench.verdicts()] == [Reason.SESSION_REVOKED]
        assert len(seen) == 1
        stop(bench, RevocationKind.TOOL, "mail/*")
        assert len(bench.verdicts()) == 5

    def test_but_for_those_that_descend_from_another(self, monkeypatch: pytest.MonkeyPatch) -> None:
        bench = GateBench()
        mother, child = SessionMaker("s-mother"), SessionMaker("s-child")
        bench.establish(child, delegation_uid="g-1", parent_session_id="s-mother")
        grant = mother.handed_on(mother.grant("g-0", bench.now_ms), "g-1", bench.now_ms, child)
        bench.driver.pipe(DELEGATION.name, child.key, grant)
        first = bench.propose(MAIL_SEND, {"ask": "one"}, session=child)
        bench.verdicts()
        stop(bench, RevocationKind.SESSION, "acme|s-mother")
        (end,) = bench.verdicts()
        assert (end.intent_id, end.reason) == (first.intent_id, Reason.SESSION_PARENT_ENDED)
        # Nothing of it waits any more.
        bench.propose(MAIL_SEND, {"ask": "one"})
        seen = self.looked_at(bench, monkeypatch)
        stop(bench, RevocationKind.SESSION, "acme|s-unknown")
        assert not seen

    def test_also_when_more_come_together_than_are_remembered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(revocation_set, "CHANGES_KEPT_MAX", 2)
        bench = GateBench()
        bench.propose(MAIL_SEND, {"ask": "one"})
        bench.verdicts()
        for number in range(6):
            key, record = revocation(RevocationKind.SESSION, f"acme|s-{number}", time_ms=bench.now_ms)
            value = wire().encode(REVOCATION.name, record)
            bench.driver.log.append(Outgoing(REVOCATION.name, 0, key, value), timestamp_ms=bench.now_ms)
        bench.driver.settle()
        assert [end.reason for end in bench.verdicts()] == [Reason.SESSION_REVOKED]
