"""`pip install stoplog` brings the SDK and what it needs; every other part comes with its extra."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.installed import ROOT, Installed, build_wheel

# All that runs without the extra `metrics`.
EVERY_MODULE = """
import importlib, pkgutil
import streams.sdk
names = [module.name for module in pkgutil.walk_packages(streams.sdk.__path__, "streams.sdk.")]
assert len(names) > 25
for name in names:
    if name != "streams.sdk.metrics":
        importlib.import_module(name)
"""

A_CALL = """
import sys
from pathlib import Path
from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas
from streams.embedded import EmbeddedLog
from streams.model.topics import TOPICS, Spread, outcome_topic
from streams.model.types import Actor
from streams.ports import TopicSpec
from streams.audit.signatures import SigningKey
from streams.sdk import (
    Agent,
    DevTokenService,
    Executor,
    LoopSettings,
    ReportKey,
    RevocationWatch,
    SealKeys,
    SingleUseStore,
    Transport,
    VerdictLoop,
    connect,
)
from streams.sdk.entropy import SYSTEM

class Clock:
    now_ms = staticmethod(SYSTEM.now_ms)
    monotonic_ms = staticmethod(SYSTEM.monotonic_ms)

connect("localhost:1").close()
with EmbeddedLog(Path("log.sqlite"), clock=Clock()) as log:
    admin = log.admin()
    topics = (*TOPICS, outcome_topic("acme"))
    admin.create([TopicSpec(t.name, 1 if t.spread is Spread.BROADCAST else 2, {}) for t in topics], 1)
    with Transport(log, Codec(CommittedSchemas.load()), SYSTEM) as transport:
        tokens = DevTokenService(transport, bytes(32), issuer="https://issuer.example", tenant_uid="acme")
        actor = Actor(iss="https://issuer.example", sub="assistant")
        credential = tokens.open_session("alice", actor, ("mail:send",))
        with Agent(transport, credential) as agent:
            intent = agent.prepare("mail/send", {"to": "bob"})
        assert intent.proof is not None
        store = SingleUseStore(Path("used"), "e-1")
        key = ReportKey(SigningKey.made())
        tools = {"mail/send": lambda args: None}
        seal_keys = SealKeys.of({"gate": str(SigningKey.made().public)})
        executor = Executor(transport, ["mail"], tools, store, report_keys=key, seal_keys=seal_keys)
        VerdictLoop(executor, transport, group="stoplog-executor", instance="e-1", settings=LoopSettings())
        store.close()
print(intent.tool.name)
"""


@pytest.fixture(scope="module")
def install(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Installed]:
    wheel = build_wheel(tmp_path_factory.mktemp("wheel"))
    made: dict[tuple[str, ...], Installed] = {}

    def installed(*extras: str) -> Installed:
        if extras not in made:
            made[extras] = Installed(tmp_path_factory.mktemp("env"), wheel, extras)
        return made[extras]

    return installed


def test_the_sdk_needs_few_packages(install: Callable[..., Installed]) -> None:
    brought = set(install().dependencies)
    assert {"confluent-kafka", "cryptography", "httpx2", "msgspec", "rfc8785"} <= brought
    assert len(brought) <= 16
    heavy = {"rocksdict", "mcp", "pydantic", "typer", "rich", "starlette", "uvicorn", "cel-expr-python", "sqlglot"}
    assert not brought & heavy


def test_every_module_of_the_sdk_loads_with_the_base_alone(install: Callable[..., Installed]) -> None:
    done = install().run("python", "-c", EVERY_MODULE)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_agent_proposes_and_an_executor_is_made_with_the_base_alone(install: Callable[..., Installed]) -> None:
    done = install().run("python", "-c", A_CALL)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["send"]


def test_servers_of_tools_say_which_extra_they_need(install: Callable[..., Installed]) -> None:
    statement = "from streams.sdk.mcp.tools import McpServerProcess; McpServerProcess('mail', 'server')"
    done = install().run("python", "-c", statement)
    assert done.stderr.endswith("needs `mcp`, which is not installed: run `pip install 'stoplog[mcp]'`\n")


@pytest.mark.parametrize("command", [["stoplog"], ["stoplog", "gate", "--help"], ["python", "-m", "streams.cli"]])
def test_without_its_extra_the_command_line_says_what_to_install(
    install: Callable[..., Installed], command: list[str]
) -> None:
    done = install().run(*command)
    assert done.stderr == "error: the command line is not installed: run `pip install 'stoplog[cli]'`\n"
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize(
    ("command", "package", "extra"),
    [
        ("gate", "rocksdict", "gate"),
        ("sts", "joserfc", "sts"),
        ("ssf", "joserfc", "sts"),
        ("demo", "rocksdict", "demo"),
    ],
)
def test_a_command_without_its_extra_says_what_to_install(
    install: Callable[..., Installed], command: str, package: str, extra: str
) -> None:
    done = install("cli").run("stoplog", command)
    text = (
        f"error: `stoplog {command}` needs `{package}`, which is not installed: run `pip install 'stoplog[{extra}]'`\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", text)


def test_the_command_line_checks_rules_and_runs_histories_without_services(
    install: Callable[..., Installed], tmp_path: Path
) -> None:
    cli = install("cli")
    assert cli.run("stoplog", "--help").returncode == 0
    checked = cli.run("stoplog", "rules", "check", str(ROOT / "rules"), "--no-prove", cwd=tmp_path)
    assert (checked.returncode, checked.stderr) == (0, "")
    golden = ROOT / "tests" / "golden"
    history = next(golden.rglob("*.jsonl"))
    done = cli.run("stoplog", "try", str(history), "--no-json", cwd=tmp_path)
    assert "records processed" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("extra", "commands"), [("gate", ["gate"]), ("sts", ["sts", "ssf"]), ("demo", ["demo", "gate"])]
)
def test_an_extra_is_all_that_its_commands_need(
    install: Callable[..., Installed], extra: str, commands: list[str]
) -> None:
    for command in commands:
        done = install(extra).run("stoplog", command, "--help")
        assert (done.returncode, done.stderr) == (0, "")


def test_all_brings_every_extra(install: Callable[..., Installed]) -> None:
    brought = set(install("all").dependencies)
    for extra in ("mcp", "cli", "gate", "sts", "lint", "demo", "registry", "metrics"):
        assert set(install(extra).dependencies) <= brought
