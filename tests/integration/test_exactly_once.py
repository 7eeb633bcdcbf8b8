"""The promise of the whole, on a real broker and with real processes that are killed.

20,000 intents; one of two gates is killed in the middle, a third one comes, the broker is restarted: every intent gets
exactly one final verdict, and every allowed call runs once.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pytest

from simulation.broker.kafka import KafkaBroker
from simulation.records import ROOT_KEY, SessionMaker
from streams.audit.seal_keys import SealKeys
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.intent import Intent
from streams.model.topics import AUDIT, AUDIT_REPORTED, INTENT, Topic
from streams.model.verdict import Outcome
from streams.ports import TopicPartition
from streams.sdk import SingleUseStore
from tests.integration.deployment import (
    PARTITIONS,
    POLL_MS,
    POLL_RECORDS,
    ROOT,
    Deployment,
    Verdicts,
    deployed,
    environment_of,
    is_permitted,
    until,
)
from tests.integration.sealed import seal_faults

pytestmark = pytest.mark.broker

INTENTS = 20_000
SESSIONS = 400
# Every so many intents one is sent again, as agents do that wait too long.
RESENT_EVERY = 50
PER_BATCH = 500
EXECUTORS = 2
FINISH_S = 400.0
LOG_LINES = 20
# Verdicts wait while gates and broker are away; they must not expire for that.
GATE = {"verdict_ttl_ms": 300_000}


class ExecutorProcess:
    """`tests.integration.executor_process`."""

    def __init__(self, deployment: Deployment, number: int) -> None:
        self.instance = f"executor-{number}"
        order = {
            "settings": {**deployment.settings_given, "state_dir": str(deployment.folder / self.instance)},
            "runs": str(deployment.folder / "runs"),
            "single_use": str(deployment.folder / "single-use.sqlite"),
            "group": f"{deployment.settings.group}-executors",
            "instance": self.instance,
        }
        self.log = deployment.folder / f"{self.instance}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.executor_process", json.dumps(order)],
                env=environment_of({}),
                cwd=ROOT,
                stderr=log,
            )

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(60)

    def told(self) -> str:
        """Whether it runs, and the end of what it has logged."""
        lines = self.log.read_text().splitlines()[-LOG_LINES:]
        return "\n".join([f"{self.instance}: status {self.process.poll()}", *lines])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[KafkaBroker]:
    """A broker that is restarted in the middle."""
    with KafkaBroker.start(tmp_path / "broker") as started:
        yield started


class Load:
    """Sends the intents, in order, some of them twice."""

    def __init__(self, deployment: Deployment, sessions: list[SessionMaker]) -> None:
        self._deployment = deployment
        self._sessions = sessions
        self.intents: list[Intent] = []
        self.resent = 0

    def send_until(self, count: int) -> None:
        """Until that many have been sent."""
        while len(self.intents) < count:
            for _ in range(min(PER_BATCH, count - len(self.intents))):
                number = len(self.intents)
                session = self._sessions[number % len(self._sessions)]
                intent = self._deployment.pay(session, number)
                self.intents.append(intent)
                if number % RESENT_EVERY == 0:
                    self._deployment.send(INTENT, session.key, intent)
                    self.resent += 1
        self._deployment.flush()


def test_one_final_verdict_and_one_run_each(
    broker: KafkaBroker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    began_s = time.monotonic()
    with deployed(tmp_path, broker.bootstrap, gate=GATE) as deployment, ExitStack() as running:
        sessions = deployment.open_sessions(SESSIONS)
        first, second = deployment.gate("gate-1"), deployment.gate("gate-2")
        first.wait_serving(PARTITIONS // 2)
        second.wait_serving(PARTITIONS // 2)
        with SingleUseStore(deployment.folder / "single-use.sqlite", "test") as used:
            # Executors take a while to start; what is decided until then is theirs, too.
            used.begin(0)
        executors = [running.enter_context(ExecutorProcess(deployment, number)) for number in range(EXECUTORS)]
        verdicts, load = Verdicts(deployment), Load(deployment, sessions)
        load.send_until(INTENTS * 2 // 5)
        until(lambda: verdicts.poll() > INTENTS // 5)
        first.kill()
        killed_at = verdicts.poll()
        third = deployment.gate("gate-3")
        load.send_until(INTENTS * 3 // 5)
        third.wait_serving(PARTITIONS // 2)
        until(lambda: verdicts.poll() > INTENTS // 2)
        broker.restart()
        restarted_at = verdicts.poll()
        load.send_until(INTENTS)
        until(lambda: verdicts.poll() >= INTENTS, FINISH_S)
        given = verdicts.by_intent.values()
        allowed = {int(json.loads(v.args_json)["number"]) for v in given if v.outcome is Outcome.ALLOW}
        until(
            lambda: sleep_a_little() and len(runs_of(deployment)) >= len(allowed),
            FINISH_S,
            lambda: "\n".join([f"{len(runs_of(deployment))} of {len(allowed)}", *(each.told() for each in executors)]),
        )
        assert [executor.stop() for executor in executors] == [0] * EXECUTORS
        assert [second.stop(), third.stop()] == [0, 0]
        verdicts.poll()
        runs, audits = Counter(runs_of(deployment)), audit_counts(deployment)
        unsealed = list(seal_faults(deployment, SealKeys.derived(ROOT_KEY)))
        counts = {
            "intents": len(load.intents),
            "sent again": load.resent,
            "intents with a final verdict": len(verdicts.final),
            "intents without one": sum(intent.intent_id not in verdicts.final for intent in load.intents),
            "intents with two that differ": sum(len(each) > 1 for each in verdicts.final.values()),
            "verdict records": len(verdicts.records),
            "allowed": len(allowed),
            "allowed calls that ran": len(runs),
            "calls that ran twice": sum(count > 1 for count in runs.values()),
            "calls that ran without leave": len(set(runs) - allowed),
            "audit records of verdicts": audits[AuditEventType.VERDICT],
            "reports of outcomes": audits[AuditEventType.OUTCOME],
            "refusals by executors": audits[AuditEventType.REFUSAL],
            "verdicts when a gate was killed": killed_at,
            "verdicts when the broker was restarted": restarted_at,
            "seconds": round(time.monotonic() - began_s),
        }
        verdicts.close()
    with capsys.disabled():
        sys.stdout.write("\n" + "".join(f"  {name}: {count:,}\n" for name, count in counts.items()))
    assert counts["intents with a final verdict"] == INTENTS
    assert counts["intents without one"] == counts["intents with two that differ"] == 0
    assert allowed == {number for number in range(INTENTS) if is_permitted(number)}
    assert set(runs) == allowed
    assert set(runs.values()) == {1}
    assert counts["audit records of verdicts"] == INTENTS
    assert counts["reports of outcomes"] == len(allowed)
    assert counts["refusals by executors"] == 0
    assert unsealed == []


def runs_of(deployment: Deployment) -> list[int]:
    """The payments that were made, in order."""
    path = deployment.folder / "runs"
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []


def sleep_a_little() -> bool:
    time.sleep(0.2)
    return True


def audit_counts(deployment: Deployment) -> Counter[AuditEventType]:
    """Audit records by type: a gate's as they lie there, an executor's by id (it may have to report twice)."""
    of_gates = [event.event_type for event in audit_events(deployment, AUDIT)]
    reports = {event.header.id: event.event_type for event in audit_events(deployment, AUDIT_REPORTED)}
    return Counter(of_gates) + Counter(reports.values())


def audit_events(deployment: Deployment, topic: Topic) -> list[AuditEvent]:
    """All that lie on one of the audit topics."""
    reader = deployment.log.reader()
    ends = deployment.ends(topic)
    reader.assign({TopicPartition(topic.name, number): 0 for number in range(PARTITIONS)})
    events: list[AuditEvent] = []
    while any(reader.position(place) < end for place, end in ends.items()):
        for record in reader.poll(POLL_RECORDS, POLL_MS):
            event = deployment.codec.decode(topic.name, record.value, record.headers)
            assert isinstance(event, AuditEvent)
            events.append(event)
    reader.close()
    return events
