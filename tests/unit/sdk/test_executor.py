"""The executor on a log: what runs, what is refused, and what is on record afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from streams.audit.report_keys import ServerKeys
from streams.codec.avro import Codec
from streams.embedded.log import EmbeddedLog
from streams.model.audit import AuditEvent, AuditEventType, AuditPhase
from streams.model.canonical import sha256
from streams.model.reasons import Refusal
from streams.model.revocation import RevocationKind
from streams.model.revocation_targets import session_target
from streams.model.session import SessionEvent, SessionEventType
from streams.model.topics import AUDIT_REPORTED, REPORT, TOPICS, VERDICT, Topic
from streams.model.types import ToolRef
from streams.model.verdict import Obligation, Outcome, Verdict
from streams.ports import FatalLogError, Outgoing, Publisher, TopicSpec
from streams.sdk import (
    DevTokenService,
    Ending,
    Executor,
    ExecutorError,
    ExecutorSettings,
    FunctionTool,
    ReportError,
    RevocationWatch,
    SingleUseStore,
    ToolOutcome,
    ToolResult,
)
from streams.sdk.attempts import BEFORE_RECORDS_TEXT
from streams.sdk.entropy import SYSTEM
from streams.sdk.seal_checks import UNPROVEN
from streams.sdk.tools import HANGING_MAX
from streams.sdk.transport import Transport
from streams.sdk.verdict_checks import ObligationError
from streams.wiring.clock import SystemClock
from tests.unit.sdk.hands import (
    CONFIRM_MS,
    REPORT_KEY,
    TENANT,
    TOOL,
    begun_store,
    key_of,
    make_verdict,
    raw_records,
    watching,
    write,
    written,
)
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[3]
NOTIFY = Obligation(id="o-1", type="notify")
Calls = list[Mapping[str, object]]


SHORT_MS = 3_000
"""The life of a verdict that is to expire while it is used, and not before."""


def tool(function: Callable[[Mapping[str, object]], object]) -> FunctionTool:
    return FunctionTool(function, TOOL.definition_digest)


def executor_with(
    transport: Transport,
    store: SingleUseStore,
    revocations: RevocationWatch,
    function: Callable[[Mapping[str, object]], object],
    **settings: object,
) -> Executor:
    return Executor(
        transport,
        ["mail"],
        {"mail/send": tool(function)},
        store,
        report_keys=REPORT_KEY,
        seal_keys=UNPROVEN,
        revocations=revocations,
        settings=ExecutorSettings(**settings),
    )


def run(executor: Executor, verdict: Verdict) -> ToolOutcome:
    return executor.execute(verdict, key_of(verdict))


class SlowlyListed(FunctionTool):
    """A tool whose server takes its time to list its definition."""

    def __init__(self, calls: Calls, until_ms: int) -> None:
        super().__init__(calls.append, TOOL.definition_digest)
        self._until_ms = until_ms

    def definition_digest(self) -> bytes | None:
        until(lambda: SYSTEM.now_ms() >= self._until_ms, "the listing")
        return super().definition_digest()


def test_a_server_that_lists_its_tools_slowly_does_not_stretch_the_life_of_a_verdict(
    transport: Transport, store: SingleUseStore, revocations: RevocationWatch
) -> None:
    calls: Calls = []
    verdict = make_verdict(expires_at=SYSTEM.now_ms() + SHORT_MS)
    slow = SlowlyListed(calls, verdict.expires_at)
    executor = Executor(
        transport,
        ["mail"],
        {"mail/send": slow},
        store,
        report_keys=REPORT_KEY,
        seal_keys=UNPROVEN,
        revocations=revocations,
    )
    outcome = run(executor, verdict)
    assert (outcome.refusal, calls) == (Refusal.VERDICT_EXPIRED, [])
    assert [event.type for event in written(transport, SessionEvent)] == [SessionEventType.TOOL_NOT_RUN]
    assert run(executor, msgspec.structs.replace(verdict, expires_at=SYSTEM.now_ms() + 9_000)).refusal == (
        Refusal.ALREADY_USED
    )


class Notices:
    """A handler of obligations that records the calls that it was told of."""

    def __init__(self, fault: str = "") -> None:
        self.told: list[str] = []
        self.takes_until_ms = 0
        self._fault = fault

    def __call__(self, obligation: Obligation, verdict: Verdict, args: Mapping[str, object]) -> None:
        self.told.append(verdict.verdict_id)
        until(lambda: SYSTEM.now_ms() >= self.takes_until_ms, "the notice")
        if self._fault:
            raise ObligationError(self._fault)


def test_obligations_are_met_once_and_only_for_calls_that_nothing_else_is_against(
    transport: Transport, store: SingleUseStore, revocations: RevocationWatch, tokens: DevTokenService
) -> None:
    calls: Calls = []
    notices = Notices()
    executor = executor_with(transport, store, revocations, calls.append, obligations={"notify": notices})
    verdict = make_verdict(obligations=(NOTIFY,))
    assert run(executor, verdict).ran
    assert run(executor, verdict).refusal is Refusal.ALREADY_USED
    tokens.revoke(RevocationKind.SESSION, session_target(TENANT, "s-1"), "stolen")
    assert revocations.confirm(CONFIRM_MS)
    assert run(executor, make_verdict(obligations=(NOTIFY,))).refusal is Refusal.REVOKED
    assert (notices.told, len(calls)) == ([verdict.verdict_id], 1)


@pytest.mark.parametrize(
    ("fault", "life_ms", "refusal"),
    [("the channel is closed", 60_000, Refusal.UNKNOWN_OBLIGATION), ("", SHORT_MS, Refusal.VERDICT_EXPIRED)],
    ids=["fails", "takes too long"],
)
def test_a_call_whose_obligation_is_not_met_in_time_is_used_up_and_reported_as_not_run(
    transport: Transport,
    store: SingleUseStore,
    revocations: RevocationWatch,
    fault: str,
    life_ms: int,
    refusal: Refusal,
) -> None:
    calls: Calls = []
    notices = Notices(fault)
    executor = executor_with(transport, store, revocations, calls.append, obligations={"notify": notices})
    executor.start()
    verdict = make_verdict(obligations=(NOTIFY,), expires_at=SYSTEM.now_ms() + life_ms)
    notices.takes_until_ms = 0 if fault else verdict.expires_at
    outcome = run(executor, verdict)
    assert (outcome.refusal, calls) == (refusal, [])
    assert fault in outcome.text
    [event] = written(transport, SessionEvent)
    assert event.type is SessionEventType.TOOL_NOT_RUN
    assert fault or event.header.time >= verdict.expires_at, "it has ended after it expired"
    run(executor, verdict)
    assert len(notices.told) == 1


def test_what_it_reports_is_signed_for_the_server_of_the_call(
    transport: Transport, store: SingleUseStore, revocations: RevocationWatch
) -> None:
    with pytest.raises(
        ExecutorError, match=r"no report key of mail: make one with `stoplog keys server new SERVER --out FILE`"
    ):
        Executor(
            transport, ["mail"], {}, store, report_keys={"git": REPORT_KEY}, seal_keys=UNPROVEN, revocations=revocations
        )
    run(executor_with(transport, store, revocations, lambda args: "sent"), make_verdict())
    run(executor_with(transport, store, revocations, lambda args: "sent"), make_verdict(expires_at=1))
    keys = ServerKeys.of([str(REPORT_KEY.public)])
    events = written(transport, SessionEvent)
    assert [event.type for event in events] == [SessionEventType.TOOL_RESULT, SessionEventType.TOOL_NOT_RUN]
    assert [keys.fault(event, "") for event in events] == [None, None]
    assert all(keys.fault(event, "elsewhere") for event in events)
    assert len(raw_records(transport, REPORT)) == 2


def test_an_allowed_call_runs_once_with_the_judged_arguments_and_is_on_record(
    transport: Transport, store: SingleUseStore, revocations: RevocationWatch
) -> None:
    calls: Calls = []

    def send(args: Mapping[str, object]) -> object:
        calls.append(args)
        return "sent as message 7"

    executor = executor_with(transport, store, revocations, send)
    verdict = make_verdict()
    outcome = run(executor, verdict)
    assert outcome == ToolOutcome(
        verdict_id=verdict.verdict_id,
        ending=Ending.DONE,
        refusal=None,
        text="the call has run",
        content="sent as message 7",
    )
    assert outcome.ran
    again = run(executor, verdict)
    assert (again.ending, again.refusal) == (None, Refusal.ALREADY_USED)
    assert calls == [{"to": ["bob@example.com"], "subject": "hi"}]

    [event] = written(transport, SessionEvent)
    assert event.type is SessionEventType.TOOL_RESULT
    assert (event.session_id, event.sequence, event.is_error) == ("s-1", 0, False)
    assert (event.tool, event.intent_id, event.verdict_id) == (TOOL, verdict.intent_id, verdict.verdict_id)
    assert event.content_digest == sha256(b"sent as message 7")
    assert (event.content, event.label, event.atoms) == (None, None, ())
    done, refused = written(transport, AuditEvent)
    assert (done.event_type, done.phase, done.reason) == (AuditEventType.OUTCOME, AuditPhase.POST_EXECUTION, "done")
    assert (done.outcome, done.verdict_id, done.intent_id) == (Outcome.ALLOW, verdict.verdict_id, verdict.intent_id)
    assert (refused.event_type, refused.reason) == (AuditEventType.REFUSAL, "already_used")
    assert b"bob@example.com" not in b"".join(
        received.value or b"" for received in raw_records(transport, AUDIT_REPORTED)
    )


@pytest.mark.parametrize("missing", [REPORT, AUDIT_REPORTED], ids=lambda topic: topic.name)
def test_without_a_topic_for_its_reports_it_does_not_start(
    tmp_path: Path, codec: Codec, store: SingleUseStore, missing: Topic
) -> None:
    """A call would run, and nobody would learn what the session has read with it."""
    with closing(EmbeddedLog(tmp_path / "other.sqlite", clock=SystemClock())) as log:
        with closing(log.admin()) as admin:
            admin.create([TopicSpec(t.name, 1, t.config()) for t in TOPICS if t is not missing], 1)
        with Transport(log, codec, SystemClock()) as transport, watching(transport) as revocations:
            calls: Calls = []
            executor = executor_with(transport, store, revocations, calls.append)
            missed = rf"`{missing.name}` does not exist on the embedded log .*; run `stoplog topics apply`"
            with pytest.raises(ExecutorError, match=missed):
                run(executor, make_verdict())
            assert calls == []


def test_traces_are_passed_on(transport: Transport, store: SingleUseStore, revocations: RevocationWatch) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    verdict = make_verdict()
    verdict = msgspec.structs.replace(
        verdict, header=msgspec.structs.replace(verdict.header, traceparent=trace, tracestate="a=b")
    )
    run(executor_with(transport, store, revocations, lambda args: "ok"), verdict)
    [event] = written(transport, SessionEvent)
    [audit] = written(transport, AuditEvent)
    for header in (event.header, audit.header):
        assert (header.traceparent, header.tracestate) == (trace, "a=b")


@pytest.mark.parametrize(
    ("result", "digest"),
    [
        ("text", sha256(b"text")),
        (b"\xff\x00", sha256(b"\xff\x00")),
        ({"b": 1, "a": [True, None]}, sha256(b'{"a":[true,null],"b":1}')),
        ({"n": 2**63}, sha256(b'{"n":9223372036854775808}')),
        ("\ud800", sha256("\ud800".encode("utf-8", "surrogatepass"))),
        (None, sha256(b"null")),
        (object(), None),
    ],
)
def test_a_result_of_any_kind_is_reported_with_its_digest(
    transport: Transport,
    store: SingleUseStore,
    revocations: RevocationWatch,
    result: object,
    digest: bytes | None,
) -> None:
    outcome = run(executor_with(transport, store, revocations, lambda args: result), make_verdict())
    assert outcome.content is result
    [event] = written(transport, SessionEvent)
    assert event.content_digest == digest


def test_a_tool_that_fails_or_says_that_it_did_is_an_error_and_used_up(
    transport: Transport, store: SingleUseStore, revocations: RevocationWatch
) -> None:
    def fail(args: Mapping[str, object]) -> object:
        raise ValueError("no such mailbox")

    raising, saying = make_verdict(), make_verdict()
    executor = executor_with(transport, store, revocations, fail)
    outcome = run(executor, raising)
    assert (outcome.ending, outcome.text) == (Ending.TOOL_ERROR, "ValueError: no such mailbox")
    assert run(executor, raising).refusal is Refusal.ALREADY_USED
    executor = executor_with(transport, store, revocations, lambda args: ToolResult(content="full", is_error=True))
    assert run(executor, saying).text == "full"
    assert [event.is_error for event in written(transport, SessionEvent)] == [True, True]
    assert [event.sequence for event in written(transport, SessionEvent)] == [0, 1]


def test_a_tool_that_hangs_is_given_up_on_and_reported_as_unknown(
    transport: Transport, store: SingleUseStore, revocations: RevocationWatch
) -> None:
    free = threading.Event()
    executor = executor_with(transport, store, revocations, lambda args: free.wait(30), tool_timeout_ms=50)
    verdict = make_verdict()
    outcome = run(executor, verdict)
    assert (outcome.ending, outcome.content, outcome.ran) == (Ending.TOOL_TIMED_OUT, None, False)
    free.set()
    assert run(executor, verdict).refusal is Refusal.ALREADY_USED
    [audit, _] = written(transport, AuditEvent)
    assert audit.reason == "tool_timed_out"


def test_when_too_many_calls_hang_nothing_more_is_begun_or_used_up(
    transport: Transport, store: SingleUseStore, revocations: RevocationWatch
) -> None:
    free = threading.Event()
    executor = executor_with(transport, store, revocations, lambda args: free.wait(30), tool_timeout_ms=1)
    for _ in range(HANGING_MAX):
        assert run(executor, make_verdict()).ending is Ending.TOOL_TIMED_OUT
    verdict = make_verdict()
    with pytest.raises(ExecutorError, match="hang"):
        run(executor, verdict)
    free.set()
    until(lambda: _runs(executor, verdict), "the hanging calls have ended")


def _runs(executor: Executor, verdict: Verdict) -> bool:
    try:
        return run(executor, verdict).refusal is None
    except ExecutorError:
        return False


def test_a_refusal_is_on_record_with_its_code_and_nothing_is_used_up(
    transport: Transport, store: SingleUseStore, revocations: RevocationWatch
) -> None:
    calls: Calls = []
    executor = executor_with(transport, store, revocations, calls.append)
    verdict = make_verdict()
    tampered = msgspec.structs.replace(verdict, args_json='{"to":["eve@evil.example"]}')
    assert run(executor, tampered).refusal is Refusal.ARGS_DIGEST_MISMATCH
    assert executor.execute(verdict, b"acme|s-2").refusal is Refusal.KEY_MISMATCH
    assert run(executor, verdict).ending is Ending.DONE
    assert len(calls) == 1
    refused, done = written(transport, AuditEvent)
    assert (refused.event_type, refused.reason) == (AuditEventType.REFUSAL, "args_digest_mismatch")
    assert done.event_type is AuditEventType.OUTCOME


def test_what_is_taken_back_does_not_run_even_if_its_verdict_is_older(
    transport: Transport, store: SingleUseStore, revocations: RevocationWatch, tokens: DevTokenService
) -> None:
    calls: Calls = []
    executor = executor_with(transport, store, revocations, calls.append)
    verdict = make_verdict()
    tokens.revoke(RevocationKind.SESSION, session_target(TENANT, "s-1"), "stolen")
    assert revocations.confirm(CONFIRM_MS)
    outcome = run(executor, verdict)
    assert (outcome.refusal, calls) == (Refusal.REVOKED, [])


def test_what_rules_have_allowed_does_not_run_once_they_are_stopped(
    transport: Transport, store: SingleUseStore, revocations: RevocationWatch, tokens: DevTokenService
) -> None:
    calls: Calls = []
    executor = executor_with(transport, store, revocations, calls.append)
    stopped, others = (make_verdict(ruleset_digest=bytes([number]) * 32) for number in (1, 2))
    tokens.revoke(RevocationKind.RULESET, (bytes([1]) * 32).hex(), "permits too much")
    assert revocations.confirm(CONFIRM_MS)
    outcome = run(executor, stopped)
    assert (outcome.refusal, "revoked_ruleset" in outcome.text, calls) == (Refusal.REVOKED, True, [])
    assert run(executor, others).ran


def test_a_record_of_the_topic_is_executed_or_unreadable(
    transport: Transport, store: SingleUseStore, revocations: RevocationWatch
) -> None:
    executor = executor_with(transport, store, revocations, lambda args: "ok")
    verdict = make_verdict()
    write(transport, verdict, key_of(verdict))
    [received] = raw_records(transport, VERDICT)
    for value in (
        None,
        b"",
        b"\x00",
        b"\x00\x00\x00\x00\x01",
        (received.value or b"")[:-1],
        (received.value or b"") + b"x",
    ):
        assert executor.execute_record(received._replace(value=value)).refusal is Refusal.UNREADABLE
    assert executor.execute_record(received._replace(key=None)).refusal is Refusal.KEY_MISMATCH
    assert executor.execute_record(received).ending is Ending.DONE


class BrokenPublisher:
    """A publisher whose connection is lost."""

    def publish(self, record: Outgoing) -> None:
        raise FatalLogError("the connection is lost")

    def flush(self, timeout_ms: int) -> None:
        raise FatalLogError("the connection is lost")

    def close(self) -> None:
        pass


class BreakableTransport(Transport):
    broken = False

    def publisher(self) -> Publisher:
        return BrokenPublisher() if self.broken else super().publisher()


def test_a_result_is_kept_from_the_agent_until_its_report_is_on_the_log(
    transport: Transport, store: SingleUseStore, revocations: RevocationWatch
) -> None:
    calls: Calls = []
    breakable = BreakableTransport(transport._log, transport.codec, transport._clock)
    executor = executor_with(breakable, store, revocations, calls.append)
    executor.start()
    breakable.broken = True
    first, second = make_verdict(), make_verdict()
    with pytest.raises(ReportError, match="1 calls have run"):
        run(executor, first)
    with pytest.raises(ReportError):
        run(executor, second)
    assert len(calls) == 1, "while the log has not been told of one call no other is begun"
    breakable.broken = False
    assert run(executor, second).ending is Ending.DONE
    assert [event.verdict_id for event in written(transport, SessionEvent)] == [first.verdict_id, second.verdict_id]
    assert executor.recover() == 0
    breakable.close()


def test_a_refusal_that_can_not_be_reported_stays_one(
    transport: Transport, store: SingleUseStore, revocations: RevocationWatch
) -> None:
    breakable = BreakableTransport(transport._log, transport.codec, transport._clock)
    executor = executor_with(breakable, store, revocations, lambda args: "ok")
    executor.start()
    breakable.broken = True
    verdict = make_verdict(tool=ToolRef(server_id="git", name="push"), audience="git")
    assert run(executor, verdict).refusal is Refusal.NOT_MINE
    breakable.close()


CHILD = """
import sys, time
from pathlib import Path
import msgspec
from streams.wiring.clock import SystemClock
from streams.sdk.transport import Transport
from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas
from streams.embedded.log import EmbeddedLog
from streams.model.verdict import Verdict
from streams.sdk import UNPROVEN, Executor, ReportKey, SingleUseStore
folder = Path(sys.argv[1])
verdict = msgspec.json.decode((folder / "verdict.json").read_bytes(), type=Verdict)
log = EmbeddedLog(folder / "log.sqlite", clock=SystemClock())
transport = Transport(log, Codec(CommittedSchemas.load()), SystemClock())

def send(args):
    with (folder / "runs").open("a") as file:
        file.write("run\\n")
    sys.stdout.write("running\\n")
    sys.stdout.flush()
    time.sleep(60)

key = ReportKey.derived(bytes(range(32)), "mail")
store = SingleUseStore(folder / "used", "e-1")
executor = Executor(transport, ["mail"], {"mail/send": send}, store, report_keys=key, seal_keys=UNPROVEN)
executor.execute(verdict, b"acme|s-1")
"""


def test_a_call_that_was_cut_off_by_kill_9_never_runs_again_and_is_reported_as_unknown(
    transport: Transport, revocations: RevocationWatch, tmp_path: Path
) -> None:
    verdict = make_verdict()
    begun_store(tmp_path).close()
    (tmp_path / "verdict.json").write_bytes(msgspec.json.encode(verdict))
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT)
    assert child.stdout is not None
    assert child.stdout.readline() == b"running\n"
    os.kill(child.pid, signal.SIGKILL)
    child.wait(10)
    child.stdout.close()

    calls: Calls = []
    with (
        SingleUseStore(tmp_path / "used", "e-1") as store,
        executor_with(transport, store, revocations, calls.append) as executor,
    ):
        assert run(executor, verdict).refusal is Refusal.ALREADY_USED
        assert executor.recover() == 0
    assert calls == []
    assert (tmp_path / "runs").read_text() == "run\n"
    [event] = written(transport, SessionEvent)
    assert (event.verdict_id, event.is_error, event.content_digest) == (verdict.verdict_id, True, None)
    unknown, _ = written(transport, AuditEvent)
    assert (unknown.reason, unknown.event_type) == ("outcome_unknown", AuditEventType.OUTCOME)


def test_what_was_decided_before_the_store_began_is_not_run_and_not_given_back(
    transport: Transport, revocations: RevocationWatch, tmp_path: Path
) -> None:
    """Somebody deletes the store: nobody knows any more what has run."""
    calls: Calls = []
    used, lapsed = make_verdict(), make_verdict()
    lapsed = msgspec.structs.replace(lapsed, evaluated_at=lapsed.evaluated_at - 60_000, expires_at=lapsed.evaluated_at)
    with begun_store(tmp_path) as store, executor_with(transport, store, revocations, calls.append) as executor:
        assert run(executor, used).ran
    for path in tmp_path.glob("used*"):
        path.unlink()
    until(lambda: transport.now_ms() > used.evaluated_at, "the clock goes on")
    with (
        SingleUseStore(tmp_path / "used", "e-1") as store,
        executor_with(transport, store, revocations, calls.append) as executor,
    ):
        again = run(executor, used)
        assert (again.refusal, again.text) == (Refusal.ALREADY_USED, BEFORE_RECORDS_TEXT)
        assert run(executor, lapsed).refusal is Refusal.VERDICT_EXPIRED
        assert run(executor, make_verdict()).ran
    assert len(calls) == 2
    assert SessionEventType.TOOL_NOT_RUN not in {event.type for event in written(transport, SessionEvent)}


def test_a_tool_of_another_server_is_a_mistake(transport: Transport, store: SingleUseStore) -> None:
    with pytest.raises(ExecutorError, match="git/push"):
        Executor(
            transport, ["mail"], {"git/push": lambda args: None}, store, report_keys=REPORT_KEY, seal_keys=UNPROVEN
        )


def test_many_calls_at_once_run_once_each(
    transport: Transport, store: SingleUseStore, revocations: RevocationWatch
) -> None:
    calls: Calls = []
    executor = executor_with(transport, store, revocations, calls.append)
    verdicts = [make_verdict() for _ in range(6)] * 4
    outcomes: list[ToolOutcome] = []
    threads = [
        threading.Thread(target=lambda verdict=verdict: outcomes.append(run(executor, verdict))) for verdict in verdicts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 6
    assert sum(outcome.ran for outcome in outcomes) == 6
    assert sorted(event.sequence for event in written(transport, SessionEvent)) == list(range(6))
