"""What an executor does with calls that have begun, or wait for their turn, when what they stand on is taken back."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from streams.model.audit import AuditEvent
from streams.model.reasons import Refusal
from streams.model.revocation import RevocationKind
from streams.model.revocation_targets import session_target
from streams.model.session import SessionEvent, SessionEventType
from streams.model.verdict import Verdict
from streams.sdk import (
    CancellableFunctionTool,
    Cancellation,
    DevTokenService,
    Ending,
    Executor,
    LoopSettings,
    RevocationWatch,
    SingleUseStore,
    ToolCancelledError,
    ToolOutcome,
    VerdictLoop,
)
from streams.sdk.connection.transport import Transport
from streams.sdk.executor.seal_checks import UNPROVEN
from streams.sdk.mcp.tools import McpServerProcess, McpTool
from streams.sdk.tools import BoundedRunner, FunctionTool, ToolRunner
from tests.unit.sdk.hands import CONFIRM_MS, REPORT_KEY, TENANT, TOOL, WAIT_S, key_of, make_verdict, write, written
from tests.unit.sdk.raw_mcp_server import command_of
from tests.waiting import until

KILLED = session_target(TENANT, "s-1")


class Calls:
    """A tool whose calls last until they are let go, or told to end."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.free = threading.Event()
        self.args: list[Mapping[str, object]] = []

    def stubborn(self, args: Mapping[str, object]) -> object:
        self.args.append(args)
        self.begun.release()
        assert self.free.wait(WAIT_S)
        return "done"

    def obedient(self, args: Mapping[str, object], cancellation: Cancellation) -> object:
        self.args.append(args)
        self.begun.release()
        if cancellation.wait(60_000):
            raise ToolCancelledError
        return "done"


def executor_with(
    transport: Transport, store: SingleUseStore, revocations: RevocationWatch, tool: ToolRunner
) -> Executor:
    return Executor(
        transport,
        ["mail"],
        {"mail/send": tool},
        store,
        report_keys=REPORT_KEY,
        seal_keys=UNPROVEN,
        revocations=revocations,
    )


class Asked:
    """`execute` in a thread of its own."""

    def __init__(self, executor: Executor, verdict: Verdict) -> None:
        self.outcome: ToolOutcome | None = None

        def run() -> None:
            self.outcome = executor.execute(verdict, key_of(verdict))

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def wait(self) -> ToolOutcome:
        self._thread.join(WAIT_S)
        assert self.outcome is not None
        return self.outcome


class TestRunningCalls:
    def test_a_call_that_can_be_told_so_ends_early(
        self,
        transport: Transport,
        tokens: DevTokenService,
        store: SingleUseStore,
        revocations: RevocationWatch,
    ) -> None:
        calls = Calls()
        executor = executor_with(
            transport, store, revocations, CancellableFunctionTool(calls.obedient, TOOL.definition_digest)
        )
        asked = Asked(executor, make_verdict())
        assert calls.begun.acquire(timeout=WAIT_S)
        tokens.revoke(RevocationKind.SESSION, KILLED, "stop")
        outcome = asked.wait()
        assert (outcome.ending, outcome.refusal) == (Ending.TOOL_ERROR, None)
        assert "not undone" in outcome.text
        [event] = written(transport, SessionEvent)
        # What it may have read by then counts as read.
        assert (event.type, event.is_error) == (SessionEventType.TOOL_RESULT, True)

    def test_calls_of_others_run_on(
        self,
        transport: Transport,
        tokens: DevTokenService,
        store: SingleUseStore,
        revocations: RevocationWatch,
    ) -> None:
        calls = Calls()
        executor = executor_with(
            transport, store, revocations, CancellableFunctionTool(calls.obedient, TOOL.definition_digest)
        )
        mine, other = Asked(executor, make_verdict()), Asked(executor, make_verdict(session_id="s-2"))
        assert calls.begun.acquire(timeout=WAIT_S)
        assert calls.begun.acquire(timeout=WAIT_S)
        tokens.revoke(RevocationKind.SESSION, KILLED, "stop")
        assert mine.wait().ending is Ending.TOOL_ERROR
        assert other.outcome is None
        tokens.revoke(RevocationKind.AGENT, f"{TENANT}|assistant", "stop")
        assert other.wait().ending is Ending.TOOL_ERROR

    def test_one_that_can_not_be_told_runs_to_its_end(
        self,
        transport: Transport,
        tokens: DevTokenService,
        store: SingleUseStore,
        revocations: RevocationWatch,
    ) -> None:
        calls = Calls()
        executor = executor_with(transport, store, revocations, FunctionTool(calls.stubborn, TOOL.definition_digest))
        asked = Asked(executor, make_verdict())
        assert calls.begun.acquire(timeout=WAIT_S)
        tokens.revoke(RevocationKind.SESSION, KILLED, "stop")
        assert revocations.confirm(CONFIRM_MS)
        calls.free.set()
        assert asked.wait().ending is Ending.DONE

    def test_a_sub_session_s_call_ends_with_its_parent(
        self,
        transport: Transport,
        tokens: DevTokenService,
        store: SingleUseStore,
        revocations: RevocationWatch,
    ) -> None:
        calls = Calls()
        executor = executor_with(
            transport, store, revocations, CancellableFunctionTool(calls.obedient, TOOL.definition_digest)
        )
        child = make_verdict(session_id="s-child", ancestor_session_ids=("s-0", "s-1"))
        asked = Asked(executor, child)
        assert calls.begun.acquire(timeout=WAIT_S)
        tokens.revoke(RevocationKind.SESSION, KILLED, "stop")
        assert asked.wait().ending is Ending.TOOL_ERROR
        again = executor.execute(make_verdict(session_id="s-child", ancestor_session_ids=("s-1",)), key_of(child))
        assert again.refusal is Refusal.REVOKED

    def test_a_call_ends_with_the_agent_that_gave_on_what_it_stands_on(
        self,
        transport: Transport,
        tokens: DevTokenService,
        store: SingleUseStore,
        revocations: RevocationWatch,
    ) -> None:
        calls = Calls()
        executor = executor_with(
            transport, store, revocations, CancellableFunctionTool(calls.obedient, TOOL.definition_digest)
        )
        child = make_verdict(session_id="s-child", ancestor_actors=("planner",))
        asked = Asked(executor, child)
        assert calls.begun.acquire(timeout=WAIT_S)
        tokens.revoke(RevocationKind.AGENT, f"{TENANT}|planner", "stop")
        assert asked.wait().ending is Ending.TOOL_ERROR
        again = executor.execute(make_verdict(session_id="s-child", ancestor_actors=("planner",)), key_of(child))
        assert (again.refusal, "revoked_agent" in again.text) == (Refusal.REVOKED, True)


class TestWaitingCalls:
    def test_they_end_at_once_behind_one_that_still_runs(
        self,
        transport: Transport,
        tokens: DevTokenService,
        store: SingleUseStore,
        revocations: RevocationWatch,
    ) -> None:
        """One worker: one call runs, the next of its session waits behind it, and those of another for the worker."""
        calls = Calls()
        executor = executor_with(transport, store, revocations, FunctionTool(calls.stubborn, TOOL.definition_digest))
        stop = threading.Event()
        settings = LoopSettings(concurrency=1)
        loop = VerdictLoop(executor, transport, group="executor-mail", instance="e-1", settings=settings)
        thread = threading.Thread(target=loop.run, args=(stop,), daemon=True)
        thread.start()
        running = put(transport, make_verdict())
        assert calls.begun.acquire(timeout=WAIT_S)
        behind = [put(transport, make_verdict()) for _ in range(3)]
        elsewhere = [put(transport, make_verdict(session_id="s-2")) for _ in range(2)]
        until(lambda: len(loop.waiting()) == 5, "all wait")
        tokens.revoke(RevocationKind.SUBJECT, f"{TENANT}|alice", "stop")
        stopped = {verdict.verdict_id for verdict in [*behind, *elsewhere]}
        until(lambda: refused(transport) == stopped, "those that wait are refused while the first still runs")
        assert not calls.free.is_set()
        calls.free.set()
        until(lambda: len(ends(transport)) == 6, "the first ends, too")
        stop.set()
        thread.join(WAIT_S)
        assert len(calls.args) == 1
        assert ends(transport)[running.verdict_id] is SessionEventType.TOOL_RESULT
        assert all(ends(transport)[each] is SessionEventType.TOOL_NOT_RUN for each in stopped)

    def test_those_of_others_keep_their_turn(
        self,
        transport: Transport,
        tokens: DevTokenService,
        store: SingleUseStore,
        revocations: RevocationWatch,
    ) -> None:
        calls = Calls()
        executor = executor_with(transport, store, revocations, FunctionTool(calls.stubborn, TOOL.definition_digest))
        stop = threading.Event()
        settings = LoopSettings(concurrency=1)
        loop = VerdictLoop(executor, transport, group="executor-mail", instance="e-1", settings=settings)
        thread = threading.Thread(target=loop.run, args=(stop,), daemon=True)
        thread.start()
        put(transport, make_verdict(session_id="s-2"))
        assert calls.begun.acquire(timeout=WAIT_S)
        waiting = [put(transport, make_verdict(session_id=name)) for name in ("s-1", "s-2", "s-1", "s-2", "s-3")]
        until(lambda: len(loop.waiting()) == 5, "all wait")
        tokens.revoke(RevocationKind.SESSION, KILLED, "stop")
        until(lambda: len(refused(transport)) == 2, "those of the session are refused")
        calls.free.set()
        until(lambda: len(ends(transport)) == 6, "all have ended")
        stop.set()
        thread.join(WAIT_S)
        assert refused(transport) == {verdict.verdict_id for verdict in waiting if verdict.session_id == "s-1"}
        assert len(calls.args) == 4

    @pytest.mark.parametrize(("tenant_uid", "session_id"), [(TENANT, "s-9"), (f"{TENANT}|x", "s-1")])
    def test_one_under_the_key_of_another_session_is_neither_used_up_nor_ends_the_loop(
        self,
        transport: Transport,
        tokens: DevTokenService,
        store: SingleUseStore,
        revocations: RevocationWatch,
        tenant_uid: str,
        session_id: str,
    ) -> None:
        forged = make_verdict(session_id=session_id)
        header = msgspec.structs.replace(forged.header, tenant_uid=tenant_uid)
        forged = msgspec.structs.replace(forged, header=header)
        calls = Calls()
        executor = executor_with(transport, store, revocations, FunctionTool(calls.stubborn, TOOL.definition_digest))
        stop = threading.Event()
        settings = LoopSettings(concurrency=1)
        loop = VerdictLoop(executor, transport, group="executor-mail", instance="e-1", settings=settings)
        thread = threading.Thread(target=loop.run, args=(stop,), daemon=True)
        thread.start()
        put(transport, make_verdict())
        assert calls.begun.acquire(timeout=WAIT_S)
        write(transport, forged, key_of(make_verdict(session_id="s-2")))
        stopped = put(transport, make_verdict(session_id="s-3"))
        until(lambda: len(loop.waiting()) == 2, "both wait")
        tokens.revoke(RevocationKind.TOOL, "mail/send", "stop")
        until(lambda: refused(transport) == {stopped.verdict_id}, "the other one is refused")
        calls.free.set()
        until(lambda: not loop.waiting(), "the forged one has had its turn")
        assert thread.is_alive()
        stop.set()
        thread.join(WAIT_S)
        assert forged.verdict_id not in ends(transport)
        assert len(calls.args) == 1


class TestLatency:
    def test_how_soon_a_stop_was_in_force_is_told(
        self, transport: Transport, tokens: DevTokenService, caplog: pytest.LogCaptureFixture
    ) -> None:
        tokens.revoke(RevocationKind.SESSION, KILLED, "before the start")
        caplog.set_level("INFO", "streams.sdk.executor.revocations")
        with RevocationWatch(transport) as watch:
            assert watch.stops() == []
            tokens.revoke(RevocationKind.AGENT, "acme|assistant", "now")
            until(lambda: len(watch.stops()) == 1, "it is in force")
            tokens.release(RevocationKind.AGENT, "acme|assistant", "later")
            assert watch.confirm(CONFIRM_MS)
            (stop,) = watch.stops()
        assert (stop.kind, stop.target, stop.offset) == (RevocationKind.AGENT, "acme|assistant", 1)
        assert 0 <= stop.latency_ms < CONFIRM_MS
        told_here = [record for record in caplog.records if record.name == "streams.sdk.executor.revocations"]
        (told,) = [record for record in told_here if record.levelname == "INFO"]
        assert told.fields == {
            "event": "stop_in_force",
            "count": 1,
            "kind": "AGENT",
            "target": "acme|assistant",
            "offset": 1,
            "latency_ms": stop.latency_ms,
        }

    def test_a_listener_that_fails_does_not_end_the_following(
        self, transport: Transport, tokens: DevTokenService, revocations: RevocationWatch
    ) -> None:
        heard = threading.Event()

        def fail() -> None:
            raise RuntimeError("a bug")

        revocations.listen(fail)
        revocations.listen(heard.set)
        tokens.revoke(RevocationKind.ALL, "", "stop")
        assert heard.wait(WAIT_S)
        heard.clear()
        revocations.unlisten(heard.set)
        tokens.revoke(RevocationKind.ALL, "", "stop")
        assert revocations.confirm(CONFIRM_MS)
        assert not heard.is_set()


def test_a_call_to_an_mcp_server_ends_early(tmp_path: Path) -> None:
    cancellation = Cancellation()
    with McpServerProcess("raw", sys.executable, command_of(tmp_path)) as server:
        timer = threading.Timer(0.3, cancellation.set)
        timer.start()
        with pytest.raises(ToolCancelledError):
            BoundedRunner().run(McpTool(server, "slow"), {}, 20_000, cancellation)


def test_a_cancellation_calls_back_once_also_when_it_is_set_already() -> None:
    cancellation, heard = Cancellation(), []
    cancellation.when_set(lambda: heard.append("before"))
    cancellation.set()
    cancellation.set()
    cancellation.when_set(lambda: heard.append("after"))
    assert heard == ["before", "after"]


def put(transport: Transport, verdict: Verdict) -> Verdict:
    write(transport, verdict, key_of(verdict))
    return verdict


def ends(transport: Transport) -> dict[str | None, SessionEventType]:
    return {event.verdict_id: event.type for event in written(transport, SessionEvent)}


def refused(transport: Transport) -> set[str | None]:
    return {event.verdict_id for event in written(transport, AuditEvent) if event.reason == Refusal.REVOKED}


def test_what_is_stopped_between_its_check_and_its_beginning_does_not_begin(
    transport: Transport, tokens: DevTokenService, tmp_path: Path, revocations: RevocationWatch
) -> None:
    calls: list[Mapping[str, object]] = []

    class Slow(SingleUseStore):
        """Its disk is so slow that everything is stopped before the use of a verdict is on it."""

        def claim(self, *args: object, **named: object) -> bool:
            tokens.revoke(RevocationKind.SESSION, KILLED, "stop")
            assert revocations.confirm(CONFIRM_MS)
            return super().claim(*args, **named)

    with Slow(tmp_path / "slow", "e-1") as store:
        store.begin(0)
        executor = executor_with(transport, store, revocations, FunctionTool(calls.append, TOOL.definition_digest))
        verdict = make_verdict()
        outcome = executor.execute(verdict, key_of(verdict))
    assert (outcome.ending, outcome.refusal) == (None, Refusal.REVOKED)
    assert not calls
    assert ends(transport) == {verdict.verdict_id: SessionEventType.TOOL_NOT_RUN}
