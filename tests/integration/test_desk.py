"""The desk on a real broker: what gates raise reaches people, also through crashes and receivers that fail.

The desk, gates and commands are real processes, and receivers fail in turns.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from simulation.broker.kafka import KafkaBroker
from streams.codec.cloudevents import event_headers
from streams.model.alert import Alert
from streams.model.keys import partition_for
from streams.model.topics import ALERT
from streams.operations.signing_keys import make_key_file
from streams.ports import Outgoing
from tests.integration.deployment import PARTITIONS, WAIT_S, Deployment, Verdicts, environment_of, until
from tests.unit.desk.alerts import alert
from tests.unit.services.desk.conftest import WHSEC
from tests.unit.services.desk.receivers import Web, web

pytestmark = pytest.mark.broker

KILLS = 6
ALERTS = 400
IMPATIENT_MS = 2_000
"""How long answers are waited for that never come."""

ESCALATED_MS = 30_000
"""Somebody acknowledges an alert with a command within this. A command takes a second where it has the machine."""

MAINTENANCE_S = 30
"""A desk is started, and reads its first alerts, within this."""

ROUTE = '[[desk.routes]]\nname = "all"\nsinks = ["hook"]\n'


@pytest.fixture
def deployment(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Deployment]:
    with closing(Deployment(tmp_path, kafka_bootstrap)) as made:
        made.prepare()
        yield made


@pytest.fixture
def receiver() -> Iterator[Web]:
    with web() as made:
        yield made


class DeskProcess:
    """`stoplog desk` in a process of its own."""

    def __init__(self, deployment: Deployment, settings: str) -> None:
        self.folder = deployment.folder
        (self.folder / "desk.toml").write_text(settings)
        self.environment = environment_of({**deployment.settings_given, "state_dir": str(self.folder / "state-desk")})
        with (self.folder / "desk.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streams.cli", "--settings", "desk.toml", "desk", "--json"],
                cwd=self.folder,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, (self.folder / "desk.log").read_text()
        serving = json.loads(line)
        assert serving["event"] == "serving"
        self.url = f"http://127.0.0.1:{serving['port']}"

    def get(self, path: str) -> httpx2.Response:
        return httpx2.get(f"{self.url}{path}", trust_env=False, timeout=WAIT_S)

    def stop(self) -> None:
        """SIGTERM, after which it ends in order."""
        self.process.terminate()
        assert self.process.wait(WAIT_S) == 0, (self.folder / "desk.log").read_text()
        self.close()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextmanager
def desk_of(deployment: Deployment, settings: str) -> Iterator[DeskProcess]:
    with closing(DeskProcess(deployment, settings)) as started:
        yield started
        started.stop()


def settings_of(deployment: Deployment, receiver: Web, more: str = ROUTE, **changes: object) -> str:
    secret = deployment.folder / "whsec"
    secret.touch(mode=0o600)
    secret.write_text(WHSEC)
    # An answer that is given up although it comes would make the receiver get its message twice.
    given = {"listen": '":0"', "retry_first_ms": 50, "retry_max_ms": 200, "timeout_ms": 20_000, **changes}
    section = "\n".join(f"{name} = {value}" for name, value in given.items())
    sink = f'[desk.webhooks.hook]\nurl = "{receiver.url}"\nsecret_file = "{secret}"\n'
    return f"[desk]\n{section}\n{sink}{more}"


def outgoing(deployment: Deployment, one: Alert) -> Outgoing:
    key = one.dedup_key.encode()
    value = deployment.codec.encode(ALERT.name, one)
    return Outgoing(ALERT.name, partition_for(key, PARTITIONS), key, value, event_headers(ALERT, one.header))


def told(receiver: Web) -> list[dict[str, Any]]:
    return [json.loads(post.body)["data"] for post in list(receiver.posts)]


def test_through_crashes_and_faults_each_alert_is_delivered_and_none_that_was_aborted(
    deployment: Deployment, receiver: Web
) -> None:
    """Alerts come in transactions, as gates write them, while the desk is killed and its receiver fails."""
    # After each fault, some messages are taken: of every kind of fault, after 2 to 12 messages.
    faults: list[int | str] = [500, "closed", 429]
    receiver.script = [
        step for turn in range(ALERTS) for step in (faults[turn % 3], *(200 for _ in range(2 + turn * 7 % 11)))
    ]
    settings = settings_of(deployment, receiver)
    desk = DeskProcess(deployment, settings)
    with closing(deployment.log.producer(f"{deployment.settings.group}-alerts")) as producer:
        producer.init_transactions()
        for start in range(0, ALERTS, 20):
            for word in ("aborted", "kept"):
                producer.begin()
                for number in range(start, start + 20):
                    name = f"{word}-{number}"
                    producer.send(outgoing(deployment, alert(number, analytic_uid=name, finding_uid=name)))
                if word == "kept":
                    producer.commit()
                else:
                    producer.abort()
            if start % (ALERTS // KILLS) < 20:
                time.sleep(start % 140 / 140)
                desk.close()
                desk = DeskProcess(deployment, settings)
    with closing(desk):
        wanted = {f"kept-{number}" for number in range(ALERTS)}
        until(lambda: time.sleep(0.2) or {each["analytic"] for each in told(receiver)} >= wanted, 120)
        desk.stop()
    counts = Counter(each["analytic"] for each in told(receiver))
    assert set(counts) == wanted
    # A message whose receipt a crash has lost comes again, with the same id.
    assert sum(counts.values()) - ALERTS <= KILLS + 1
    assert len({each["id"] for each in told(receiver)}) == ALERTS
    assert receiver.attempts > ALERTS, "it has failed, too"


def test_a_gate_decides_while_no_sink_works_and_people_are_told_afterwards(
    deployment: Deployment, receiver: Web
) -> None:
    receiver.script = ["timeout"] * 10_000
    gate = deployment.gate("gate-1")
    gate.wait_serving(PARTITIONS)
    with desk_of(deployment, settings_of(deployment, receiver, timeout_ms=IMPATIENT_MS)) as desk:
        sessions = deployment.open_sessions(8)
        intents = [deployment.pay(session, number) for number, session in enumerate(sessions)]
        deployment.flush()
        with closing(Verdicts(deployment)) as verdicts:
            outcomes = Counter(each.outcome.value for each in verdicts.wait_for(intents))
        assert outcomes == {"ALLOW": 6, "DENY": 2}
        # Both denials are of one rule: one matter.
        until(lambda: time.sleep(0.2) or desk.get("/deliveries").json()["sinks"][0]["open_count"] == 1)
        assert receiver.posts == []
        # It is ready once a poll has found nothing more to read: the one that took the alert may be the last so far.
        until(lambda: time.sleep(0.2) or desk.get("/health/ready").status_code == 200)
        waits = 'stoplog_desk_waiting_messages{sink="hook"} 1.0'
        until(lambda: time.sleep(0.2) or waits in desk.get("/metrics").text)
        receiver.script.clear()
        until(lambda: time.sleep(0.1) or len(receiver.posts) == 1)
    (message,) = told(receiver)
    assert (message["kind"], message["analytic"], message["tenant"]) == ("new", "PAY-002", "acme")
    assert message["ocsf"]["class_uid"] == 2004
    assert gate.stop() == 0


def test_what_a_person_acknowledges_with_the_command_is_not_escalated(deployment: Deployment, receiver: Web) -> None:
    key_file = deployment.folder / "ben.pem"
    key = make_key_file(key_file)
    lead = deployment.folder / "lead.jsonl"
    more = (
        f'[[desk.routes]]\nname = "all"\nsinks = ["hook"]\nescalate_after_ms = {ESCALATED_MS}\nescalate_to = ["lead"]\n'
        f'[desk.files.lead]\npath = "{lead}"\n[alerts.handlers]\nben = "{key.public}"\n'
    )
    with desk_of(deployment, settings_of(deployment, receiver, more)) as desk:
        for number in (1, 2):
            deployment.publish(outgoing(deployment, alert(number, analytic_uid=f"rule-{number}")))
        deployment.flush()
        until(lambda: time.sleep(0.1) or len(receiver.posts) == 2)
        command = [sys.executable, "-m", "streams.cli", "--settings", "desk.toml", "alerts", "ack", "finding-1"]
        acknowledged = subprocess.run(
            [*command, "--key", str(key_file), "--why", "on it", "--as", "ben"],
            cwd=desk.folder,
            env=desk.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert acknowledged.returncode == 0, acknowledged.stderr
        until(lambda: time.sleep(0.1) or lead.exists())
    escalated = [json.loads(line) for line in lead.read_text().splitlines()]
    assert [(each["kind"], each["analytic"]) for each in escalated] == [("escalation", "rule-2")]
    last = told(receiver)[-1]
    assert (last["kind"], last["analytic"], last["why"]) == ("acknowledged", "rule-1", "acknowledged: on it")


def test_alerts_of_maintenance_are_summed_up_at_its_end(deployment: Deployment, receiver: Web) -> None:
    ends = datetime.fromtimestamp(time.time() + MAINTENANCE_S, UTC)  # noqa: TID251 - a window is about the machine's clock
    more = (
        f'{ROUTE}[[desk.maintenance]]\nname = "night"\nstarts = 2026-01-01T00:00:00Z\nends = {ends.isoformat()}\n'
        'below = "critical"\nagents = ["agent-*"]\n'
    )
    with desk_of(deployment, settings_of(deployment, receiver, more)):
        for number in range(5):
            deployment.publish(outgoing(deployment, alert(number, analytic_uid=f"rule-{number}")))
        deployment.publish(outgoing(deployment, alert(9, analytic_uid="severe", severity_id=5)))
        deployment.flush()
        until(lambda: time.sleep(0.1) or len(receiver.posts) == 2)
    severe, summary = told(receiver)
    assert (severe["kind"], severe["analytic"]) == ("new", "severe")
    assert (summary["kind"], summary["route"], summary["findings_count"]) == ("summary", "night", 5)
    assert len(summary["incidents"]) == 5


def test_a_broker_that_is_gone_delays_no_delivery_and_loses_no_alert(tmp_path: Path, receiver: Web) -> None:
    """What is in the file is delivered without the log, and the log is read on when it is back."""
    with KafkaBroker.start(tmp_path / "kafka") as broker, closing(Deployment(tmp_path, broker.bootstrap)) as deployment:
        deployment.prepare()
        receiver.script = [500] * 10_000
        with desk_of(deployment, settings_of(deployment, receiver)) as desk:
            deployment.publish(outgoing(deployment, alert(1, analytic_uid="before")))
            deployment.flush()
            until(lambda: time.sleep(0.2) or desk.get("/deliveries").json()["sinks"][0]["open_count"] == 1)
            broker.kill()
            receiver.script.clear()
            until(lambda: time.sleep(0.2) or len(receiver.posts) == 1)
            broker.restart()
            deployment.publish(outgoing(deployment, alert(2, analytic_uid="after")))
            deployment.flush()
            until(lambda: time.sleep(0.2) or len(receiver.posts) == 2)
    assert [each["analytic"] for each in told(receiver)] == ["before", "after"]
