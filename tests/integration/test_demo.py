"""The demonstration as a whole: a real gate, real rules, real MCP servers, on both logs."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest
from stoplog_demo.errors import DemoError
from stoplog_demo.host import ISSUER
from stoplog_demo.repository import ATTACKER, SECRET
from stoplog_demo.run import DemoEnvironment, run_demo
from stoplog_demo.view import JsonView

from streams.codec.ocsf import detection_finding
from streams.model.alert import Alert
from streams.model.session import SessionEvent
from streams.model.topics import ALERT, ALERT_OCSF, SESSION, TOPICS, VERDICT, Spread, outcome_topic
from streams.model.verdict import Verdict
from streams.operations.topics.reader import read_to_end
from streams.ports import TopicSpec
from streams.ports.open_log import Log
from streams.sdk import Transport
from streams.services.gate.runner import GateRunner, allocator
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.gates import build_budgets, build_gate
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings
from tests.ocsf import faults

RULES = Path(__file__).resolve().parents[2] / "rules"
ROOT_KEY = bytes(range(32))
SECONDS_MAX = 60.0


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.broker)])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    own = f"demo-{os.getpid()}-{time.monotonic_ns()}"
    where = {"log": "embedded"}
    if request.param == "kafka":
        where = {"log": "kafka", "bootstrap": request.getfixturevalue("kafka_bootstrap")}
    return Settings(
        state_dir=tmp_path / "state",
        group=own,
        instance=own,
        # Of its own: an open transaction of another test's writer would hold back what this gate reads.
        topics={"prefix": f"{own}."},
        gate={"bundle_name": own, "trust_anchors": {ISSUER: "hmac"}, "require_delegation": False},
        rules={"allow_unsigned": True},
        catalog={"allow_unsigned": True},
        **where,
    )


@pytest.fixture
def log(settings: Settings) -> Iterator[Log]:
    opened = open_log(settings)
    admin = opened.admin()
    topics = (*TOPICS, outcome_topic(settings.instance))
    there = admin.describe([topic.name for topic in topics], ())
    missing = [
        TopicSpec(topic.name, 1 if topic.spread is Spread.BROADCAST else 3, topic.config())
        for topic in topics
        if topic.name not in there
    ]
    if missing:
        admin.create(missing, replication=1)
    admin.close()
    yield opened
    opened.close()


@pytest.fixture
def transport(settings: Settings, log: Log) -> Iterator[Transport]:
    with Transport(log, build_codec(settings), SystemClock()) as opened:
        yield opened


def environment(settings: Settings, transport: Transport, tmp_path: Path) -> DemoEnvironment:
    return DemoEnvironment(
        transport=transport,
        root_key=ROOT_KEY,
        workdir=tmp_path / "demo",
        rules_dir=RULES,
        bundle_name=settings.gate.bundle_name,
        tenant_uid=settings.instance,
    )


def test_the_hijacked_agent_is_stopped_and_honest_work_is_not(
    settings: Settings, log: Log, transport: Transport, tmp_path: Path
) -> None:
    codec = build_codec(settings)
    runner = GateRunner(
        lambda: build_gate(settings, log, codec, ROOT_KEY),
        SystemClock(),
        beside=[allocator(lambda: build_budgets(settings, log, codec))],
    )
    runner.start()
    shown = io.StringIO()
    begun_s = time.monotonic()
    try:
        runner.wait_ready(60_000)
        report = run_demo(environment(settings, transport, tmp_path), JsonView(shown))
    finally:
        runner.stop()
    events = [json.loads(line) for line in shown.getvalue().splitlines()]
    check_alerts(settings, log)
    check_nothing_else(settings, log, events)
    assert report.ok, [check for check in report.checks if not check.ok]
    assert time.monotonic() - begun_s < SECONDS_MAX
    # Decoded: in the files, `=` is written otherwise and long lines are wrapped, so the secret is not found in them.
    mails = [message_from_bytes(path.read_bytes(), policy=SMTP) for path in report.mail_folder.glob("*.eml")]
    messages = [f"{mail['To']} {mail.get_content()}" for mail in mails]
    assert len(messages) == 4
    assert not any(ATTACKER in text or SECRET in text for text in messages)
    calls = [event for event in events if event["event"] == "call"]
    assert [(call["argument"], call["reason"]) for call in calls if call["result"] == "not run"] == [
        (ATTACKER, "rule_denied"),
        ("alice@example.com", "session_revoked"),
        ("everyone@elsewhere.example", "delegation_arguments_not_granted"),
        ("team@example.com", "session_parent_ended"),
    ]
    assert [call["reason"] for call in calls if call["result"] == "refused"] == ["revoked", "revoked"]
    assert events[-1]["ok"] is True


def check_alerts(settings: Settings, log: Log) -> None:
    """Each alert of the gate is on both topics, and is valid OCSF as it stands on its own."""
    codec, tenant_uid = build_codec(settings), settings.instance
    written = list(read_to_end(log, (ALERT.name, ALERT_OCSF.name), SystemClock()))
    events = [json.loads(found.value or b"") for found in written if found.topic == ALERT_OCSF.name]
    own = [event for event in events if event["metadata"]["tenant_uid"] == tenant_uid]
    records = [codec.decode(ALERT.name, found.value, found.headers) for found in written if found.topic == ALERT.name]
    alerts = [record for record in records if isinstance(record, Alert) and record.header.tenant_uid == tenant_uid]
    by_code = {event["metadata"]["event_code"]: event for event in own}
    assert len(own) == len(alerts) == 2
    assert all(detection_finding(alert) in own for alert in alerts)
    assert [faults(event) for event in own] == [[], []]
    assert by_code.keys() == {"rule_denied", "delegation_arguments_not_granted"}
    assert [event["evidences"][0]["api"]["operation"] for event in own] == ["send", "send"]
    assert not any(ATTACKER in json.dumps(event) or SECRET in json.dumps(event) for event in own)


def check_nothing_else(settings: Settings, log: Log, events: list[dict[str, Any]]) -> None:
    """The log has the calls that were shown, and none with which the demonstration tried something out."""
    codec = build_codec(settings)
    records = [
        codec.decode(found.topic, found.value, found.headers)
        for found in read_to_end(log, (VERDICT.name, SESSION.name), SystemClock())
    ]
    own = [record for record in records if record.header.tenant_uid == settings.instance]
    judged = {record.intent_id for record in own if isinstance(record, Verdict)}
    assert judged == {event["intent_id"] for event in events if event["event"] == "call"}
    opened = [record for record in own if isinstance(record, SessionEvent) and record.sub is not None]
    assert {record.sub for record in opened} == {"alice@example.com", "bob@example.com"}


def test_without_a_gate_it_says_so(
    settings: Settings, transport: Transport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stoplog_demo.run.GATE_TIMEOUT_MS", 500)
    with pytest.raises(DemoError, match="no gate is ready"):
        run_demo(environment(settings, transport, tmp_path), JsonView(io.StringIO()))


def test_what_is_missing_or_in_the_way_is_said_before_anything_starts(
    transport: Transport, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = environment(settings, transport, tmp_path)
    (wanted.workdir / "mail").mkdir(parents=True)
    with pytest.raises(DemoError, match="earlier demonstration"):
        run_demo(wanted, JsonView(io.StringIO()))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DemoError, match="stoplog\\[demo\\]"):
        run_demo(wanted, JsonView(io.StringIO()))
