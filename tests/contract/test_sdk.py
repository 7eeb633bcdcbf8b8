"""The SDK on every log: the same agents and executors, whichever carries their records."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from streams.embedded import EmbeddedLog
from streams.kafka.log import KafkaLog
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.canonical import sha256
from streams.model.keys import session_key_of
from streams.model.reasons import Refusal
from streams.model.revocation import RevocationKind
from streams.model.revocation_targets import session_target
from streams.model.session import SessionEvent, SessionEventType
from streams.model.topics import TOPICS, VERDICT, Spread, outcome_topic
from streams.model.types import Header, ToolRef
from streams.model.verdict import Outcome, Verdict
from streams.ports import Admin, LogError, TopicSpec
from streams.ports.open_log import EMBEDDED_LOG_FILE
from streams.sdk import (
    Agent,
    AsyncAgent,
    DevTokenService,
    Ending,
    Executor,
    RevocationWatch,
    SingleUseStore,
    ToolOutcome,
    Transport,
    VerdictLoop,
    VerdictReader,
    connect,
)
from streams.sdk.connection.single_records import outgoing, publish
from streams.sdk.executor.seal_checks import UNPROVEN
from tests.contract.log_under_test import WallClock
from tests.unit.sdk.hands import (
    ACTOR,
    ISSUER,
    REPORT_KEY,
    ROOT_KEY,
    GateHand,
    begun_store,
    key_of,
    make_verdict,
    verdict_on,
    write,
    written,
)
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
PARTITIONS = 3
WAIT_S = 60.0
_names = itertools.count(1)


def unique(name: str) -> str:
    """A name that no other test has, on a broker that may outlive the run."""
    return f"{name}-{os.getpid()}-{time.monotonic_ns()}-{next(_names)}"


# Several deployments share the broker of all tests.
PREFIX = f"{unique('sdk')}."


def make_topics(admin: Admin) -> None:
    """Make the declared topics that are not there yet."""
    there = admin.describe([topic.name for topic in TOPICS], ())
    missing = [
        TopicSpec(topic.name, 1 if topic.spread is Spread.BROADCAST else PARTITIONS, topic.config())
        for topic in TOPICS
        if topic.name not in there
    ]
    if missing:
        admin.create(missing, replication=1)
    admin.close()


class Place(NamedTuple):
    """A log, and what a child process needs to open the same one."""

    log: EmbeddedLog | KafkaLog
    kind: str
    where: str


@pytest.fixture(scope="module", params=["embedded", pytest.param("kafka", marks=pytest.mark.broker)])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    if request.param == "kafka":
        bootstrap = request.getfixturevalue("kafka_bootstrap")
        made = Place(KafkaLog(bootstrap, topic_prefix=PREFIX), "kafka", f"{bootstrap} {PREFIX}")
    else:
        folder = tmp_path_factory.mktemp("sdk")
        made = Place(EmbeddedLog(folder / EMBEDDED_LOG_FILE, clock=WallClock()), "embedded", str(folder))
    with made.log:
        make_topics(made.log.admin())
        yield made


@pytest.fixture(scope="module")
def transport(place: Place) -> Iterator[Transport]:
    if place.kind == "kafka":
        bootstrap, prefix = place.where.split(" ")
        opened = connect(bootstrap, topic_prefix=prefix)
    else:
        opened = connect(Path(place.where))
    with opened:
        yield opened


@pytest.fixture
def tenant() -> str:
    return unique("tenant")


@pytest.fixture
def tokens(place: Place, transport: Transport, tenant: str) -> DevTokenService:
    admin = place.log.admin()
    topic = outcome_topic(tenant)
    admin.create([TopicSpec(topic.name, PARTITIONS, topic.config())], replication=1)
    admin.close()
    return DevTokenService(transport, ROOT_KEY, issuer=ISSUER, tenant_uid=tenant)


def a_verdict(tenant: str, session_id: str = "s-1") -> Verdict:
    fresh = make_verdict(session_id=session_id)
    header = Header(id=fresh.verdict_id, source="gate", time=fresh.evaluated_at, tenant_uid=tenant)
    return make_verdict(session_id=session_id, header=header)


def put(transport: Transport, verdict: Verdict) -> Verdict:
    write(transport, verdict, session_key_of(verdict.header.tenant_uid, verdict.session_id))
    return verdict


def test_partition_counts_are_the_logs_and_a_missing_topic_is_told(transport: Transport) -> None:
    assert transport.partitions("agent.revocation.v1") == 1
    assert transport.partitions("agent.intent.v1") == transport.partitions("agent.verdict.v1") > 1
    with pytest.raises(LogError, match="topics apply"):
        transport.partitions(unique("no-such-topic"))


def test_a_call_goes_from_proposal_to_report(
    transport: Transport, tokens: DevTokenService, tenant: str, tmp_path: Path
) -> None:
    credential = tokens.open_session("alice", ACTOR, ("mail:send",))
    calls: list[Mapping[str, object]] = []
    with (
        GateHand(transport, lambda intent: [verdict_on(intent)], tenant),
        SingleUseStore(tmp_path / "used", "e-1") as store,
        Executor(
            transport, ["mail"], {"mail/send": calls.append}, store, report_keys=REPORT_KEY, seal_keys=UNPROVEN
        ) as executor,
        Agent(transport, credential) as agent,
        VerdictReader(transport, agent.key) as verdicts,
    ):
        for turn in range(3):
            outcome = agent.propose("mail/send", {"turn": turn})
            assert outcome.outcome is Outcome.ALLOW
            verdict = verdicts.read(outcome.verdict_id)
            assert executor.execute(verdict, agent.key).ending is Ending.DONE
            assert executor.execute(verdict, agent.key).refusal is Refusal.ALREADY_USED
    assert calls == [{"turn": turn} for turn in range(3)]
    events = written(transport, SessionEvent, tenant)
    assert [event.type for event in events] == [SessionEventType.SESSION_ESTABLISHED] + [
        SessionEventType.TOOL_RESULT
    ] * 3
    assert len([a for a in written(transport, AuditEvent, tenant) if a.event_type is AuditEventType.OUTCOME]) == 3


def test_agents_wait_side_by_side(transport: Transport, tokens: DevTokenService, tenant: str) -> None:
    async def scenario() -> list[str]:
        agents = [
            await AsyncAgent.open(transport, tokens.open_session(f"user-{number}", ACTOR, ())) for number in range(4)
        ]
        verdicts = await asyncio.gather(
            *(agent.propose("mail/send", {"a": a, "n": n}) for a, agent in enumerate(agents) for n in range(10))
        )
        for agent in agents:
            await agent.aclose()
        return [verdict.intent_id for verdict in verdicts]

    with GateHand(transport, lambda intent: [verdict_on(intent)], tenant):
        assert len(set(asyncio.run(scenario()))) == 40


@pytest.mark.timed
def test_a_session_that_is_taken_back_stops_an_older_verdict_within_a_second(
    transport: Transport, tokens: DevTokenService, tenant: str, tmp_path: Path
) -> None:
    with (
        SingleUseStore(tmp_path / "used", "e-1") as store,
        RevocationWatch(transport) as revocations,
        Executor(
            transport,
            ["mail"],
            {"mail/send": lambda args: "ran"},
            store,
            report_keys=REPORT_KEY,
            seal_keys=UNPROVEN,
            revocations=revocations,
        ) as executor,
    ):
        verdict = a_verdict(tenant)
        tokens.revoke(RevocationKind.SESSION, session_target(tenant, "s-1"), "stolen")
        begun_s = time.monotonic()
        assert revocations.confirm(10_000)
        assert time.monotonic() - begun_s < 2
        assert executor.execute(verdict, session_key_of(tenant, "s-1")).refusal is Refusal.REVOKED
        other = a_verdict(tenant, "s-2")
        assert executor.execute(other, session_key_of(tenant, "s-2")).ran


def test_an_executor_that_reads_the_topic_runs_each_call_once_across_restarts(
    transport: Transport, tenant: str, tmp_path: Path
) -> None:
    calls: list[Mapping[str, object]] = []
    outcomes: list[tuple[Verdict, ToolOutcome]] = []
    group = unique("executor")
    verdicts: list[Verdict] = []

    def run_until_done() -> None:
        stop = threading.Event()
        errors: list[Exception] = []
        with begun_store(tmp_path) as store:
            executor = Executor(
                transport, [tenant], {f"{tenant}/send": calls.append}, store, report_keys=REPORT_KEY, seal_keys=UNPROVEN
            )
            loop = VerdictLoop(
                executor,
                transport,
                group=group,
                instance="e-1",
                on_outcome=lambda verdict, outcome: outcomes.append((verdict, outcome)),
            )

            def run() -> None:
                try:
                    loop.run(stop)
                except Exception as error:
                    errors.append(error)

            thread = threading.Thread(target=run, daemon=True)
            thread.start()
            until(lambda: len(outcomes) == len(verdicts) or bool(errors), "all have run", WAIT_S)
            stop.set()
            thread.join(WAIT_S)
            executor.close()
        assert errors == []

    for _ in range(2):
        for number in range(10):
            verdict = a_verdict(tenant, f"s-{number}")
            own = make_verdict(
                session_id=verdict.session_id,
                header=verdict.header,
                verdict_id=verdict.verdict_id,
                tool=ToolRef(server_id=tenant, name="send"),
                audience=tenant,
            )
            verdicts += [put(transport, own)]
            put(transport, own)
        run_until_done()
    assert len(calls) == 20
    results = written(transport, SessionEvent, tenant)
    assert sorted(str(event.verdict_id) for event in results) == sorted(verdict.verdict_id for verdict in verdicts)
    assert {event.sequence for event in results} == {0, 1}


CHILD_HEAD = """
import sys, threading, time
from pathlib import Path
from streams.sdk import UNPROVEN, Executor, LoopSettings, ReportKey, SingleUseStore, VerdictLoop, connect
kind, where, folder, server, group = sys.argv[1:]
if kind == "kafka":
    bootstrap, _, prefix = where.partition(" ")
    transport = connect(bootstrap, topic_prefix=prefix)
else:
    transport = connect(Path(where))
"""

CHILD = (
    CHILD_HEAD
    + """
def send(args):
    with (Path(folder) / "runs").open("a") as file:
        file.write(str(args["n"]) + "\\n")
    sys.stdout.write("running\\n")
    sys.stdout.flush()
    time.sleep(60)

store = SingleUseStore(Path(folder) / "used", "e-1")
key = ReportKey.derived(bytes(range(32)), "mail")
executor = Executor(transport, [server], {server + "/send": send}, store, report_keys=key, seal_keys=UNPROVEN)
settings = LoopSettings(concurrency=1, offsets_every_ms=20)
VerdictLoop(executor, transport, group=group, instance="e-1", settings=settings).run(threading.Event())
"""
)

BUSY_CHILD = (
    CHILD_HEAD
    + """
import os
runs = os.open(Path(folder) / "runs", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

def send(args):
    os.write(runs, f"{args['n']}\\n".encode())

store = SingleUseStore(Path(folder) / "used", "e-1")
key = ReportKey.derived(bytes(range(32)), "mail")
executor = Executor(transport, [server], {server + "/send": send}, store, report_keys=key, seal_keys=UNPROVEN)
VerdictLoop(executor, transport, group=group, instance="e-1").run(threading.Event())
"""
)


def test_after_kill_9_what_ran_does_not_run_again_and_what_waited_still_runs(
    place: Place, transport: Transport, tenant: str, tmp_path: Path
) -> None:
    group = unique("executor")
    verdicts = []
    begun_store(tmp_path).close()
    for number in range(3):
        args_json = f'{{"n":{number}}}'
        fresh = a_verdict(tenant)
        verdicts.append(
            put(
                transport,
                msgspec.structs.replace(
                    fresh,
                    tool=ToolRef(server_id=tenant, name="send"),
                    audience=tenant,
                    args_json=args_json,
                    args_digest=sha256(args_json.encode()),
                    expires_at=fresh.evaluated_at + 300_000,
                ),
            )
        )
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, place.kind, place.where, str(tmp_path), tenant, group],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"running\n"
    time.sleep(0.5)
    os.kill(child.pid, signal.SIGKILL)
    child.wait(10)
    child.stdout.close()
    assert (tmp_path / "runs").read_text() == "0\n"

    calls: list[Mapping[str, object]] = []
    stop = threading.Event()
    with (
        SingleUseStore(tmp_path / "used", "e-1") as store,
        Executor(
            transport, [tenant], {f"{tenant}/send": calls.append}, store, report_keys=REPORT_KEY, seal_keys=UNPROVEN
        ) as executor,
    ):
        loop = VerdictLoop(executor, transport, group=group, instance="e-1")
        thread = threading.Thread(target=loop.run, args=(stop,), daemon=True)
        thread.start()
        until(lambda: len(calls) == 2, "what had waited has run", WAIT_S)
        stop.set()
        thread.join(WAIT_S)
    assert calls == [{"n": 1}, {"n": 2}]
    outcomes = {event.verdict_id: event.reason for event in written(transport, AuditEvent, tenant)}
    assert [outcomes[verdict.verdict_id] for verdict in verdicts] == ["outcome_unknown", "done", "done"]


BUSY_CALLS = 600
BUSY_SESSIONS = 40
KILLED_AT = (40, 170, 330)
CONCURRENCY = 8


def test_kill_9_in_the_middle_of_batches_neither_loses_nor_doubles_a_call(
    place: Place, transport: Transport, tenant: str, tmp_path: Path
) -> None:
    """Calls of many sessions, among verdicts of another server, in an executor that is killed again and again."""
    group = unique("executor")
    begun_store(tmp_path).close()
    verdicts, records = [], []
    for number in range(BUSY_CALLS):
        for server_id in (tenant, "another"):
            args_json = f'{{"n":{number}}}'
            fresh = a_verdict(tenant, f"s-{number % BUSY_SESSIONS}")
            verdict = msgspec.structs.replace(
                fresh,
                tool=ToolRef(server_id=server_id, name="send"),
                audience=server_id,
                args_json=args_json,
                args_digest=sha256(args_json.encode()),
                expires_at=fresh.evaluated_at + 300_000,
            )
            verdicts += [verdict] if server_id == tenant else []
            records.append(outgoing(transport, VERDICT, key_of(verdict), verdict, verdict.header))
    publish(transport, records)
    runs = tmp_path / "runs"

    def ran() -> list[int]:
        return [int(line) for line in runs.read_text().splitlines()] if runs.exists() else []

    for count in KILLED_AT:
        child = subprocess.Popen(
            [sys.executable, "-c", BUSY_CHILD, place.kind, place.where, str(tmp_path), tenant, group], cwd=ROOT
        )
        until(lambda: len(ran()) >= count, f"{count} have run", WAIT_S)  # noqa: B023 - called in this turn only
        os.kill(child.pid, signal.SIGKILL)
        child.wait(10)

    lock = threading.Lock()
    last_runs: list[int] = []

    def send(args: Mapping[str, object]) -> None:
        assert isinstance(args["n"], int)
        with lock:
            last_runs.append(args["n"])

    def reasons() -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for event in written(transport, AuditEvent, tenant):
            found.setdefault(str(event.verdict_id), set()).add(event.reason)
        return found

    stop = threading.Event()
    with (
        SingleUseStore(tmp_path / "used", "e-1") as store,
        Executor(
            transport, [tenant], {f"{tenant}/send": send}, store, report_keys=REPORT_KEY, seal_keys=UNPROVEN
        ) as executor,
    ):
        loop = VerdictLoop(executor, transport, group=group, instance="e-1")
        thread = threading.Thread(target=loop.run, args=(stop,), daemon=True)
        thread.start()
        until(lambda: len(reasons()) == BUSY_CALLS, "all are reported", WAIT_S)
        stop.set()
        thread.join(WAIT_S)
        assert store.left_over(now_ms=0, abandoned_after_ms=0) == ([], [])
    all_runs = [*ran(), *last_runs]
    assert len(set(all_runs)) == len(all_runs), "no call has run twice"
    outcomes = reasons()
    unknown = {n for n, verdict in enumerate(verdicts) if outcomes[verdict.verdict_id] == {"outcome_unknown"}}
    done = {n for n, verdict in enumerate(verdicts) if outcomes[verdict.verdict_id] == {"done"}}
    assert unknown | done == set(range(BUSY_CALLS)), "each has one outcome"
    assert done <= set(all_runs)
    # What was claimed in the moment of a kill is never run again.
    assert len(set(range(BUSY_CALLS)) - set(all_runs)) <= CONCURRENCY * len(KILLED_AT)
    by_session = {
        number % BUSY_SESSIONS: [n for n in all_runs if n % BUSY_SESSIONS == number] for number in range(BUSY_SESSIONS)
    }
    assert all(order == sorted(order) for order in by_session.values()), "a session's calls keep their order"
