"""Calls that will never run: used up, reported once, so that the gate can give back what they were charged for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from streams.model.audit import AuditEvent, AuditEventType
from streams.model.reasons import Refusal
from streams.model.session import SessionEvent, SessionEventType
from streams.model.types import ToolRef
from streams.model.verdict import Verdict
from streams.sdk import Executor, ReportError, SingleUseStore, ToolOutcome
from streams.sdk.connection.transport import Transport
from streams.sdk.executor.own_reports import OwnReports
from streams.sdk.executor.seal_checks import UNPROVEN
from streams.sdk.tools import FunctionTool
from tests.unit.sdk.hands import LIFE_MS, REPORT_KEY, TOOL, begun_store, key_of, make_verdict, written

OVER_MS = LIFE_MS + 30_000


def executor(transport: Transport, store: SingleUseStore, calls: list[Mapping[str, object]]) -> Executor:
    def send(args: Mapping[str, object]) -> object:
        calls.append(args)
        return "sent"

    return Executor(
        transport,
        ["mail"],
        {"mail/send": FunctionTool(send, TOOL.definition_digest)},
        store,
        report_keys=REPORT_KEY,
        seal_keys=UNPROVEN,
    )


def expired(good: Verdict | None = None) -> Verdict:
    """A verdict whose time is over; of `good`, as it is by a clock that is far ahead."""
    verdict = good or make_verdict()
    return replace(verdict, evaluated_at=verdict.evaluated_at - OVER_MS, expires_at=verdict.expires_at - OVER_MS)


def run(made: Executor, verdict: Verdict) -> ToolOutcome:
    return made.execute(verdict, key_of(verdict))


def test_an_expired_verdict_is_used_up_and_reported_as_not_run(transport: Transport, tmp_path: Path) -> None:
    calls: list[Mapping[str, object]] = []
    with begun_store(tmp_path) as store, executor(transport, store, calls) as made:
        verdict = expired()
        first, again = run(made, verdict), run(made, verdict)
    assert (first.refusal, first.ending, first.ran) == (Refusal.VERDICT_EXPIRED, None, False)
    assert again.refusal is Refusal.VERDICT_EXPIRED
    assert calls == []
    [event] = written(transport, SessionEvent)
    assert (event.type, event.intent_id, event.is_error) == (
        SessionEventType.TOOL_NOT_RUN,
        verdict.intent_id,
        False,
    )
    assert {audit.reason for audit in written(transport, AuditEvent)} == {"verdict_expired"}
    assert {audit.event_type for audit in written(transport, AuditEvent)} == {AuditEventType.REFUSAL}


def test_no_executor_runs_it_afterwards(transport: Transport, tmp_path: Path) -> None:
    """Another one of the same store, by whose clock it might still be good."""
    calls: list[Mapping[str, object]] = []
    good = make_verdict()
    with begun_store(tmp_path) as store, executor(transport, store, calls) as made:
        assert run(made, expired(good)).refusal is Refusal.VERDICT_EXPIRED
    with SingleUseStore(tmp_path / "used", "e-2") as store, executor(transport, store, calls) as made:
        assert run(made, good).refusal is Refusal.ALREADY_USED
    assert calls == []


def test_a_call_that_has_run_is_never_reported_as_not_run(transport: Transport, tmp_path: Path) -> None:
    calls: list[Mapping[str, object]] = []
    with begun_store(tmp_path) as store, executor(transport, store, calls) as made:
        good = make_verdict()
        assert run(made, good).ran
        assert run(made, expired(good)).refusal is Refusal.VERDICT_EXPIRED
    assert [event.type for event in written(transport, SessionEvent)] == [SessionEventType.TOOL_RESULT]


def test_what_may_still_run_elsewhere_is_not_used_up(transport: Transport, tmp_path: Path) -> None:
    calls: list[Mapping[str, object]] = []
    with begun_store(tmp_path) as store:
        made = Executor(transport, ["mail"], {}, store, report_keys=REPORT_KEY, seal_keys=UNPROVEN)
        with made:
            assert run(made, make_verdict()).refusal is Refusal.UNKNOWN_TOOL
        with executor(transport, store, calls) as other:
            assert run(other, make_verdict()).ran
    assert len(calls) == 1


def test_a_report_that_failed_is_made_up_for(
    transport: Transport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Mapping[str, object]] = []
    verdict = expired()
    with begun_store(tmp_path) as store, executor(transport, store, calls) as made:
        with monkeypatch.context() as patch:
            patch.setattr(OwnReports, "report", _failing)
            assert run(made, verdict).refusal is Refusal.VERDICT_EXPIRED
        store.release([verdict.verdict_id])
    assert written(transport, SessionEvent) == []
    with begun_store(tmp_path) as store, executor(transport, store, calls):
        [event] = written(transport, SessionEvent)
    assert event.type is SessionEventType.TOOL_NOT_RUN
    assert isinstance(event.tool, ToolRef)


def _failing(_self: OwnReports, _uses: object) -> None:
    raise ReportError("no log")
