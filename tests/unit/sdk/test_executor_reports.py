"""What an executor reports of its calls, and what it does while nothing can be reported."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
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
from streams.model.session import SessionEvent, SessionEventType
from streams.model.topics import AUDIT_REPORTED, REPORT, TOPICS, Topic
from streams.model.types import ToolRef
from streams.model.verdict import Outcome
from streams.ports import FatalLogError, Outgoing, Publisher, TopicSpec
from streams.sdk import (
    Ending,
    Executor,
    ExecutorError,
    ReportError,
    RevocationWatch,
    SingleUseStore,
    ToolOutcome,
)
from streams.sdk.connection.transport import Transport
from streams.sdk.executor.seal_checks import UNPROVEN
from streams.wiring.clock import SystemClock
from tests.unit.sdk.executor_hand import Calls, executor_with, run
from tests.unit.sdk.hands import (
    REPORT_KEY,
    TOOL,
    TransportOf,
    begun_store,
    make_verdict,
    raw_records,
    watching,
    written,
)

ROOT = Path(__file__).resolve().parents[3]


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
    transport: Transport, transport_of: TransportOf, store: SingleUseStore, revocations: RevocationWatch
) -> None:
    calls: Calls = []
    breakable = transport_of(BreakableTransport)
    executor = executor_with(breakable, store, revocations, calls.append)
    executor.start()
    breakable.broken = True
    first, second = make_verdict(), make_verdict()
    with pytest.raises(ReportError, match="1 call ran"):
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
    transport_of: TransportOf, store: SingleUseStore, revocations: RevocationWatch
) -> None:
    breakable = transport_of(BreakableTransport)
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
from streams.sdk.connection.transport import Transport
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
