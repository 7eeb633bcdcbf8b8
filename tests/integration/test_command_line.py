"""An operator's day at the command line, with a real gate in a process of its own, on both logs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.model.types import Actor, SubProfile
from streams.operations.signing_keys import make_key_file
from streams.sdk.agent.agent import Agent
from streams.sdk.agent.credential import SessionCredential
from streams.sdk.agent.development_tokens import DevTokenService
from streams.sdk.agent.toolset import Toolset
from streams.sdk.connection.transport import Transport
from streams.sdk.keys.root_key import load_root_key
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.settings_loading import load_settings
from tests.commands import run_command
from tests.waiting import until

ROOT = Path(__file__).parents[2]
RULES = ROOT / "tests" / "golden" / "try" / "rules"
RELEASER_KEY = "releaser.key"
SECONDS_MAX = 60.0
VERDICT_MS = 30_000
HELPER = Actor(iss="https://issuer.example", sub="helper", sub_profile=SubProfile.AI_AGENT)
SCOPES = ("git:read", "git:write", "mail:send")

TEXT = {"type": "string"}
TOOLS: dict[str, list[dict[str, Any]]] = {
    "git": [
        {
            "name": "git_show",
            "inputSchema": {"type": "object", "properties": {"revision": TEXT}, "required": ["revision"]},
        },
        {
            "name": "git_commit",
            "inputSchema": {"type": "object", "properties": {"message": TEXT}, "required": ["message"]},
        },
    ],
    "mail": [
        {
            "name": "send",
            "inputSchema": {"type": "object", "properties": {"to": TEXT, "body": TEXT}, "required": ["to", "body"]},
        }
    ],
}
FACTS: dict[str, dict[str, Any]] = {
    "git": {
        "git_show": {
            "read_only": True,
            "destructive": False,
            "open_world": False,
            "reversible": True,
            "output_label": {"integrity": "UNTRUSTED", "confidentiality": "PRIVATE"},
        },
        "git_commit": {"destructive": False, "open_world": False, "reversible": True},
    },
    "mail": {"send": {"destructive": False, "output_label": {"integrity": "TRUSTED", "confidentiality": "PUBLIC"}}},
}


class CommandLine:
    """`stoplog` as child processes in one folder."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = {**environment, "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}

    def run(self, *args: str, status: int = 0) -> list[dict[str, Any]]:
        """Run a command that must end with this status; gives what it wrote."""
        ran = run_command(args, self.folder, self.environment, SECONDS_MAX)
        assert ran.status == status, (args, ran)
        assert "Traceback" not in ran.err
        return ran.records

    def spawn(self, *args: str) -> subprocess.Popen[str]:
        """Start a command that goes on."""
        return subprocess.Popen(
            [sys.executable, "-m", "streams.cli", *args],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.broker)])
def stoplog(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Settings in the environment: of the children, and of what the test itself opens."""
    own = f"t{os.getpid()}-{time.monotonic_ns()}"
    settings = {"STOPLOG_GROUP": own, "STOPLOG_TENANT": "acme", "STOPLOG_TOPICS__PARTITIONS": "3"}
    if request.param == "kafka":
        settings |= {
            "STOPLOG_LOG": "kafka",
            "STOPLOG_BOOTSTRAP": request.getfixturevalue("kafka_bootstrap"),
            "STOPLOG_TOPICS__PREFIX": f"{own}.",
        }
    releaser = make_key_file(tmp_path / RELEASER_KEY)
    settings["STOPLOG_RELEASE__RELEASERS"] = json.dumps({"ann": str(releaser.public)})
    for name in list(os.environ):
        if name.startswith("STOPLOG_"):
            monkeypatch.delenv(name)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return CommandLine(tmp_path, settings)


class World:
    """What agents and the token service have: a connection, and the root key."""

    def __init__(self) -> None:
        settings = load_settings()
        self.log = open_log(settings)
        self.transport = Transport(self.log, build_codec(settings), SystemClock())
        self.tokens = DevTokenService(
            self.transport, load_root_key(settings.key_path), issuer=HELPER.iss, tenant_uid=settings.tenant
        )
        self.toolset = Toolset.from_listings(TOOLS)

    def session(self, sub: str) -> SessionCredential:
        return self.tokens.open_session(sub, HELPER, SCOPES)

    def propose(
        self, credential: SessionCredential, tool: str, args: dict[str, object], *, wait_final: bool = True
    ) -> tuple[str, str]:
        with Agent(self.transport, credential, toolset=self.toolset) as agent:
            verdict = agent.propose(tool, args, wait_final=wait_final, timeout_ms=VERDICT_MS)
        return verdict.outcome.value, verdict.reason

    def close(self) -> None:
        self.transport.close()
        self.log.close()


@pytest.fixture
def world(stoplog: CommandLine) -> Iterator[World]:
    """A deployment as an operator sets it up, without a gate yet."""
    stoplog.run("topics", "check", status=1)
    applied = stoplog.run("topics", "apply")
    checked = stoplog.run("topics", "check")
    on_kafka = stoplog.environment.get("STOPLOG_LOG") == "kafka"
    for records in (applied, checked):
        warnings = [record for record in records if "warning" in record]
        assert ["`topics.replication` is 1" in each["warning"] for each in warnings] == [True] * on_kafka
    stoplog.run("keys", "new")
    stoplog.run("keys", "new", status=1)
    catalog = [
        {"server_id": server, "tools": tools, "facts": FACTS[server], "reviewed_by": "bea", "proposed_by": "ann"}
        for server, tools in TOOLS.items()
    ]
    (stoplog.folder / "tools.json").write_text(json.dumps(catalog))
    # Nobody is named who may approve tools or publish rules, so nobody may.
    stoplog.run("catalog", "publish", "tools.json", status=1)
    (reviewer,) = stoplog.run("keys", "reviewer", "new", "--out", "bea.key")
    stoplog.run("keys", "seal", "new", "--out", "seal.key")
    settings = f'[seal]\nkey_file = "{stoplog.folder / "seal.key"}"\n'
    settings += f'[catalog.reviewers]\nbea = "{reviewer["public_key"]}"\n'
    (stoplog.folder / "stoplog.toml").write_text(settings)
    reviewed = ("catalog", "publish", "tools.json", "--key", "bea.key")
    published = stoplog.run(*reviewed)
    assert [(each["tool"], each["state"], each["published"]) for each in published] == [
        ("git/git_show", "APPROVED", True),
        ("git/git_commit", "APPROVED", True),
        ("mail/send", "APPROVED", True),
    ]
    assert not any(each["published"] for each in stoplog.run(*reviewed))
    stoplog.run("rules", "publish", str(RULES), status=1)
    (key,) = stoplog.run("keys", "publisher", "new", "--out", "ann.key")
    settings += f'[rules.publishers]\nann = "{key["public_key"]}"\n'
    (stoplog.folder / "stoplog.toml").write_text(settings)
    publish = ("rules", "publish", str(RULES), "--key", "ann.key")
    (bundle,) = stoplog.run(*publish)
    assert (bundle["serial"], bundle["published"]) == (1, True)
    (again,) = stoplog.run(*publish)
    assert (again["serial"], again["published"]) == (1, False)
    opened = World()
    yield opened
    opened.close()


def serving(gate: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait until the gate says what it serves."""
    assert gate.stdout is not None
    line = gate.stdout.readline()
    assert line, gate.stderr.read() if gate.stderr else ""
    event: dict[str, Any] = json.loads(line)
    return event


def end(gate: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str, str]:
    gate.send_signal(number)
    out, err = gate.communicate(timeout=SECONDS_MAX)
    return gate.returncode, out, err


def test_an_operators_day(stoplog: CommandLine, world: World) -> None:
    gate = stoplog.spawn("gate")
    try:
        event = serving(gate)
        assert (event["event"], event["instance"], event["partitions"]) == ("serving", "gate-1", [0, 1, 2])
        findings = {finding["check"]: finding for finding in stoplog.run("doctor")}
        assert {finding["status"] for finding in findings.values()} == {"ok"}
        assert findings["running gate"]["text"].startswith("gate `gate-1` runs on this machine")

        alice = world.session("alice")
        assert world.propose(alice, "git/git_show", {"revision": "HEAD"}) == ("ALLOW", "permitted")
        assert world.propose(alice, "mail/send", {"to": "x@evil.example", "body": "b"}) == ("DENY", "rule_denied")
        decide(stoplog, world, alice)
        take_back_and_give_back(stoplog, world, alice)
        look(stoplog, alice)
        status, out, err = end(gate, signal.SIGTERM)
        assert status == 0
        assert json.loads(out) == {"event": "stopped", "instance": "gate-1"}
        assert all(json.loads(line)["level"] == "info" for line in err.splitlines())
    finally:
        gate.kill()
        gate.communicate()


def decide(stoplog: CommandLine, world: World, alice: SessionCredential) -> None:
    """A call that is held, decided about by a person."""
    commit = {"message": "tidy"}
    assert world.propose(alice, "git/git_commit", commit, wait_final=False) == (
        "REQUIRE_APPROVAL",
        "approval_required",
    )
    (request,) = [r for r in stoplog.run("tail", "approvals", "--no-follow") if r["record"] == "approval_request"]
    task = request["value"]["task_id"]
    (listed,) = stoplog.run("approvals", "list")
    assert (listed["task_id"], listed["waiting"]) == (task, [request["value"]["intent_id"]])
    (shown,) = stoplog.run("approvals", "show", task[:13])
    assert shown["calls"][0]["args_json"] == request["value"]["args_json"]
    own = ("--as", "mallory", "--group", "maintainers", "--yes")
    stoplog.run("approvals", "approve", task, "--as", "alice", "--group", "maintainers", "--yes", status=1)
    stoplog.run("approvals", "approve", task, "--as", "mallory", "--yes", status=1)
    stoplog.run("approvals", "approve", "no-such-task", "--yes", status=1)
    (decision,) = stoplog.run("approvals", "approve", task[:23], *own)
    assert (decision["status"], decision["by"]) == ("APPROVED", "mallory")
    until(lambda: outcomes(stoplog, request["value"]["intent_id"]) == ["REQUIRE_APPROVAL", "ALLOW"])
    assert world.propose(alice, "git/git_commit", {"message": "b"}, wait_final=False)[0] == "REQUIRE_APPROVAL"
    second = [r["value"] for r in stoplog.run("tail", "approvals", "--no-follow") if r["record"] == "approval_request"]
    (other,) = [value for value in second if value["task_id"] != task]
    stoplog.run("approvals", "deny", other["task_id"], *own, "--comment", "no")
    until(lambda: outcomes(stoplog, other["intent_id"]) == ["REQUIRE_APPROVAL", "DENY"])
    stoplog.run("approvals", "deny", other["task_id"], *own, status=1)
    assert stoplog.run("approvals", "list") == []
    grant_further_calls(stoplog, world, alice, own)


def grant_further_calls(stoplog: CommandLine, world: World, alice: SessionCredential, own: tuple[str, ...]) -> None:
    """A person approves further calls of the session, too, and revokes that."""
    assert world.propose(alice, "git/git_commit", {"message": "fix: a"}, wait_final=False)[0] == "REQUIRE_APPROVAL"
    (listed,) = stoplog.run("approvals", "list")
    bounds = ("--for", "session", "--match", "message=fix: *", "--times", "2", "--within", "30m")
    stoplog.run("approvals", "approve", listed["task_id"], *own, *bounds)
    until(lambda: outcomes(stoplog, listed["intent_id"]) == ["REQUIRE_APPROVAL", "ALLOW"])
    assert world.propose(alice, "git/git_commit", {"message": "fix: b"}) == ("ALLOW", "permitted")
    assert world.propose(alice, "git/git_commit", {"message": "c"}, wait_final=False)[0] == "REQUIRE_APPROVAL"
    (granted,) = stoplog.run("approvals", "grants")
    assert (granted["used"], granted["state"], granted["by"]) == (1, "in force", "mallory")
    stoplog.run("approvals", "revoke", granted["uid"][:13], "--why", "enough")
    assert stoplog.run("approvals", "grants") == []
    until(
        lambda: world.propose(alice, "git/git_commit", {"message": "fix: d"}, wait_final=False)[0] == "REQUIRE_APPROVAL"
    )
    for question in stoplog.run("approvals", "list"):
        stoplog.run("approvals", "deny", question["task_id"], *own)


def take_back_and_give_back(stoplog: CommandLine, world: World, alice: SessionCredential) -> None:
    """The kill switch, by kind."""
    show: dict[str, object] = {"revision": "HEAD"}
    for option, reason in (
        (("--session", alice.session_id), "session_revoked"),
        (("--agent", "helper"), "revoked_agent"),
        (("--user", "acme|alice"), "revoked_subject"),
        (("--tool", "git/git_show"), "revoked_tool"),
        (("--tenant", "acme"), "revoked_tenant"),
        (("--all",), "revoked_all"),
    ):
        (written,) = stoplog.run("kill", *option, "--why", "a test")
        assert written["state"] == "REVOKED"
        until(lambda wanted=reason: world.propose(alice, "git/git_show", show) == ("DENY", wanted))
        if option == ("--all",):
            findings = {finding["check"]: finding for finding in stoplog.run("doctor")}
            assert findings["revocations"]["status"] == "warn"
        stoplog.run("release", *option, "--key", RELEASER_KEY, "--why", "the test is over")
        until(lambda: world.propose(alice, "git/git_show", show) == ("ALLOW", "permitted"))


def look(stoplog: CommandLine, alice: SessionCredential) -> None:
    """What has been written can be read, filtered, and tried again."""
    verdicts = stoplog.run("tail", "verdicts", "--no-follow")
    assert verdicts == sorted(verdicts, key=lambda verdict: int(verdict["time_ms"]))
    assert {verdict["key"] for verdict in verdicts} == {f"acme|{alice.session_id}"}
    assert stoplog.run("tail", "verdicts", "--no-follow", "--session", alice.session_id) == verdicts
    assert stoplog.run("tail", "verdicts", "--no-follow", "--session", f"acme|{alice.session_id}") == verdicts
    assert stoplog.run("tail", "verdicts", "--no-follow", "--tenant", "other") == []
    assert stoplog.run("tail", "verdicts", "--from-beginning", "--max", "2") == verdicts[:2]
    alerts = stoplog.run("tail", "alerts", "--no-follow", "--tenant", "acme")
    assert {alert["record"] for alert in alerts} == {"alert"}
    assert len(stoplog.run("tail", "revocations", "--no-follow")) >= 6


def test_a_gate_that_is_killed_is_replaced_and_its_verdicts_stand(stoplog: CommandLine, world: World) -> None:
    first = stoplog.spawn("gate")
    serving(first)
    alice = world.session("alice")
    with Agent(world.transport, alice, toolset=world.toolset) as agent:
        intent = agent.prepare("git/git_show", {"revision": "HEAD"})
        before = agent.resend(intent, timeout_ms=VERDICT_MS)
        end(first, signal.SIGKILL)
        second = stoplog.spawn("gate")
        try:
            assert serving(second)["partitions"] == [0, 1, 2]
            assert agent.resend(intent, timeout_ms=VERDICT_MS) == before
            assert end(second, signal.SIGINT)[0] == 0
        finally:
            second.kill()
            second.communicate()


def test_a_tail_in_another_process_sees_verdicts_as_they_come(stoplog: CommandLine, world: World) -> None:
    gate, tail = stoplog.spawn("gate"), stoplog.spawn("tail", "verdicts", "--max", "2")
    try:
        serving(gate)
        until(lambda: world.propose(world.session("bob"), "git/git_show", {"revision": "a"})[0] == "ALLOW")
        deadline_s = time.monotonic() + SECONDS_MAX
        # It begins with what comes after it: so something must come until it has had enough.
        while tail.poll() is None and time.monotonic() < deadline_s:
            world.propose(world.session("bob"), "git/git_show", {"revision": "b"})
        out, err = tail.communicate(timeout=SECONDS_MAX)
        assert (tail.returncode, err) == (0, "")
        assert [json.loads(line)["record"] for line in out.splitlines()] == ["verdict", "verdict"]
    finally:
        for process in (gate, tail):
            process.kill()
            process.communicate()


def test_a_gate_refuses_topics_that_are_not_as_they_must_be(stoplog: CommandLine) -> None:
    stoplog.run("topics", "apply")
    stoplog.run("keys", "new")
    settings = load_settings()
    with open_log(settings) as log:
        admin = log.admin()
        admin.alter_config("agent.intent.v1", {"message.timestamp.type": "CreateTime"})
        admin.close()
    gate = stoplog.spawn("gate")
    out, err = gate.communicate(timeout=SECONDS_MAX)
    assert (gate.returncode, out) == (1, "")
    assert "refusing to start" in err
    assert "`message.timestamp.type` = `CreateTime`; it must be `LogAppendTime`" in err
    findings = {finding["check"]: finding for finding in stoplog.run("doctor", status=1)}
    assert findings["topics"]["status"] == "fail"
    assert findings["topics"]["advice"] == "run `stoplog topics apply`"
    stoplog.run("topics", "apply")
    stoplog.run("topics", "check")


def outcomes(stoplog: CommandLine, intent_id: str) -> list[str]:
    return [
        verdict["value"]["outcome"]
        for verdict in stoplog.run("tail", "verdicts", "--no-follow")
        if verdict["value"]["intent_id"] == intent_id
    ]


@pytest.mark.parametrize("where", ["embedded", pytest.param("kafka", marks=pytest.mark.broker)])
def test_the_demonstration(request: pytest.FixtureRequest, tmp_path: Path, where: str) -> None:
    stoplog = CommandLine(tmp_path, {})
    options = ["--kafka", request.getfixturevalue("kafka_bootstrap")] if where == "kafka" else ["--keep", "kept"]
    events = stoplog.run("demo", *options)
    checks = [event for event in events if event["event"] == "check"]
    assert len(checks) >= 5
    assert all(check["ok"] for check in checks)
    assert events[-1]["event"] == "summary"
    if where == "embedded":
        # What was kept can be read, and is not written over. `test_demo_screen` types what it says to type next.
        verdicts = stoplog.run("tail", "verdicts", "--no-follow", "--state-dir", "kept/state")
        assert {verdict["value"]["outcome"] for verdict in verdicts} == {"ALLOW", "DENY"}
        stoplog.run("demo", *options, status=1)
        assert list((tmp_path / "kept" / "work" / "mail").iterdir())
