"""`docs/how-to/run-on-kafka.md`, and the page about production after it, followed step by step with the credentials
that they name and nothing more.

The page is the script: each command runs as it stands there. `STEPS` says what must come of each. A command on the page
that is not in `STEPS`, or the other way round, fails.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from simulation.broker.cluster import KafkaCluster
from simulation.broker.kafka import free_port
from streams.model.verdict import Outcome
from streams.operations.doctor.log_checks import FAULTS_SHOWN_MAX
from streams.sdk import Agent, Executor, Toolset, connect
from tests.integration.attacks import ATTACKS, Attack, Field, as_table
from tests.integration.deployment import ROOT
from tests.integration.page import Command, Fragment, Properties, blocks, parts, text_of, write
from tests.integration.page_follower import ADMINISTRATOR, Reader, Running
from tests.waiting import until_open

pytestmark = pytest.mark.broker

PAGE = text_of("run-on-kafka.md") + text_of("prepare-kafka-for-production.md")
SDK_PAGE = text_of("embed-the-sdk.md")
THREAD_S_MAX = 30
ASKED_MAX, SHOWN_S_MAX = 5, 15.0
# A gate may see every topic but those of token services alone and of watches.
UNSEEN_BY_GATES = (
    "topic `agent.token.used.v1`",
    "topic `agent.behaviour.v1`",
    "topic `stoplog.keying.changelog`",
    "topic `stoplog.watch.changelog`",
    "topic `agent.content.order.v1`",
    "topic `agent.alert.status.v1`",
    "topic `agent.alert.v1.dlq`",
    "topic `agent.behaviour.v1.dlq`",
    "topic `agent.alert.status.v1.dlq`",
)
MAIL_TOOLS: list[dict[str, Any]] = [
    {
        "name": "send",
        "description": "Sends a mail.",
        "inputSchema": {
            "type": "object",
            "properties": {"to": {"type": "string"}, "subject": {"type": "string"}, "body": {"type": "string"}},
            "required": ["to", "subject", "body"],
        },
    }
]
RULES = {
    "bundle.yaml": (
        'apiVersion: rules/v1\nbundle: default\nversion: "1"\nmode: enforce\nowners: [operations]\npacks: [mail]\n'
    ),
    "mail/mail.rules.yaml": """apiVersion: rules/v1
pack: mail
rules:
  - id: MAIL-001
    effect: permit
    match: {tools: [mail.send]}
    when: "args.to == 'ann@example.com'"
    reason: mail to Ann is permitted
""",
    "mail/mail.tests.yaml": """tests: mail.rules.yaml
base: ../fixtures/mail.json
cases:
  - {name: to Ann, set: {args.to: ann@example.com}, expect: {verdict: allow, rules: [MAIL-001]}}
  - {name: to others, set: {args.to: x@evil.test}, expect: {verdict: deny, reason: no_permit, rules: []}}
  - {name: to nobody, unset: [args.to], expect: {verdict: deny, reason: no_permit, errors: [MAIL-001]}}
""",
}


class Step(NamedTuple):
    """A command of the page, who runs it by the page's word, and a pattern of what it prints.

    Attributes:
        goes_on: whether it runs until it is stopped.
    """

    command: str
    user: str | None
    prints: str
    goes_on: bool = False


CONFIGS = "kafka-configs --bootstrap-server broker-1:9093,broker-2:9093 --command-config admin.properties --alter"
STEPS = (
    Step('pip install "stoplog[gate]"', None, ""),
    Step(
        f"{CONFIGS} --entity-type users --entity-name gate-1 --add-config 'SCRAM-SHA-512=[password=...]'",
        "admin",
        "Completed updating config for user gate-1",
    ),
    Step('export STOPLOG_KAFKA=\'{"sasl.username": "soc", "sasl.password": "..."}\'', None, ""),
    Step("stoplog keys new", None, r"root\.key"),
    Step("stoplog topics apply", "admin", "allow `User:gate-1` to write topic `agent.verdict.v1`"),
    Step("stoplog topics check", "admin", ""),
    Step("stoplog keys publisher new --out ann.key", None, "ed25519:"),
    Step("stoplog keys reviewer new --out bob.key", None, "ed25519:"),
    Step("stoplog rules check rules/ && stoplog rules test rules/", None, '"passed":true,"cases":3'),
    Step("stoplog rules publish rules/ --key ann.key", "publishers", '"serial":1'),
    Step("stoplog catalog import mail --url https://mcp.example.com/mcp", "reviewers", '"finding":"new"'),
    Step("stoplog catalog review", "reviewers", "MAIL-001"),
    Step("stoplog catalog approve mail/send@ID --key bob.key", "reviewers", "APPROVED"),
    Step("stoplog keys server new mail --out mail.key", None, "ed25519:"),
    Step("stoplog catalog report-keys mail --add ed25519:...", "reviewers", "mail/@reports@"),
    Step("stoplog catalog approve mail/@reports@ID --key bob.key", "reviewers", "APPROVED"),
    Step("stoplog keys seal new --out seal.key", None, "ed25519:"),
    Step("stoplog keys seal list seal-keys.json --add gates=ed25519:...", None, '"serial":1'),
    Step("stoplog doctor", "gate-1", '"check":"catalog","status":"ok"'),
    Step("stoplog gate", "gate-1", "serving", goes_on=True),
    Step("stoplog tail verdicts", "auditors", "", goes_on=True),
    Step("stoplog tail ocsf --json | your-siem-forwarder", "soc", "", goes_on=True),
    Step(
        f"{CONFIGS} --entity-type users --entity-name agents "
        "--add-config producer_byte_rate=524288,request_percentage=100",
        "admin",
        "Completed updating config for user agents",
    ),
)


class Followed(NamedTuple):
    """The page, followed to its end."""

    reader: Reader
    printed: dict[str, str]
    running: dict[str, Running]
    failed: list[str]


def test_every_command_of_the_page_is_a_step() -> None:
    found = [part for part in parts(PAGE) if isinstance(part, Command)]
    assert [(each.text, each.user) for each in found] == [(step.command, step.user) for step in STEPS]


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    folder = tmp_path_factory.mktemp("page")
    todo = list(parts(PAGE))
    brokers = {
        name: value
        for part in todo
        if isinstance(part, Properties) and not part.is_of_client
        for name, value in part.lines.items()
    }
    with ExitStack() as stack:
        cluster = stack.enter_context(
            KafkaCluster.start(tmp_path_factory.mktemp("kafka"), users={}, properties=brokers, nodes=1)
        )
        reader = stack.enter_context(Reader(folder, cluster, stack.enter_context(mail_server(folder))))
        for path, text in RULES.items():
            write(folder / "rules" / path, text)
        write(folder / "rules" / "fixtures" / "mail.json", (ROOT / "rules/fixtures/mail.json").read_text())
        reader.create_users([*users_of_the_page(), ADMINISTRATOR, "stranger"])
        reader.grant_administrator(PAGE)
        yield follow(reader, todo)


def users_of_the_page() -> list[str]:
    """The users in the settings of the page, but the one whom the page itself creates."""
    settings: dict[str, Any] = next(
        parsed
        for part in parts(PAGE)
        if isinstance(part, Fragment) and "topics" in (parsed := tomllib.loads(part.text))
    )
    principals = {each for names in settings["topics"]["principals"].values() for each in names}
    return sorted(each.removeprefix("User:") for each in principals - {"User:gate-1"})


@contextmanager
def mail_server(folder: Path) -> Iterator[str]:
    """An MCP server over HTTP; gives its URL."""
    port = free_port()
    write(folder / "tools.json", json.dumps(MAIL_TOOLS))
    running = subprocess.Popen([*mail_command(folder), str(port)], cwd=ROOT)
    try:
        until_open(port)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        running.terminate()
        running.wait(THREAD_S_MAX)


def mail_command(folder: Path) -> list[str]:
    """The command that runs the server, over stdio unless a port follows."""
    return [sys.executable, str(ROOT / "tests/unit/sdk/mcp_servers.py"), str(folder)]


def follow(reader: Reader, todo: list[Any]) -> Followed:
    """Do everything on the page, in order, and note what fails."""
    followed = Followed(reader, {}, {}, [])
    steps = {step.command: step for step in STEPS}
    for part in todo:
        if isinstance(part, Fragment):
            reader.add_settings(part)
        elif isinstance(part, Properties) and part.is_of_client:
            reader.save(part)
        elif isinstance(part, Command) and part.text in steps:
            _take(followed, part, steps[part.text])
    return followed


def _take(followed: Followed, command: Command, step: Step) -> None:
    if step.goes_on:
        started = followed.running[step.command] = followed.reader.start(command)
        if step.prints:
            started.wait_for(step.prints)
        return
    done = followed.reader.run(command)
    followed.printed[step.command] = done.stdout
    if done.returncode != 0 or not re.search(step.prints, done.stdout):
        followed.failed.append(f"{command}: status {done.returncode}, {done.stdout}{done.stderr}")


def test_every_step_works(followed: Followed) -> None:
    assert "\n".join(followed.failed) == ""


def snippet(followed: Followed, beginning: str) -> str:
    """A block of the page about the SDK, with what is particular to this place."""
    (found,) = [block for block in blocks(SDK_PAGE) if beginning in block]
    command = mail_command(followed.reader.folder)
    found = found.replace('"mail-server", ["--folder", "/srv/mail"]', f"{command[0]!r}, {command[1:]!r}")
    return followed.reader.fill_in(found)


def ask_until_shown(tail: Running, asking: str, agents: dict[str, Any]) -> None:
    """Propose a call as the page does, until the verdict is shown.

    A tail shows what is written after it has begun to follow. On a busy machine that takes longer than a first call.
    """
    for _ in range(ASKED_MAX):
        exec(asking, agents)  # noqa: S102 - the page's own code
        assert agents["answer"].outcome is Outcome.ALLOW
        if tail.has_within(agents["answer"].intent_id, SHOWN_S_MAX):
            return
    pytest.fail(f"none of {ASKED_MAX} verdicts is shown: {tail.lines} {tail.errors()}")


def test_the_sdk_page_works_with_what_this_page_has_made(followed: Followed) -> None:
    """An executor that follows the topic, an agent that proposes; then a host that does both, for one verdict."""
    asking = snippet(followed, "DevTokenService(")
    head, _, _ = asking.partition("with (\n")
    agents: dict[str, Any] = {"mail_tools": MAIL_TOOLS}
    executors: dict[str, Any] = {"stop": threading.Event()}
    exec(head, executors)  # noqa: S102 - the page's own code
    with ThreadPoolExecutor(1) as threads:
        loop = threads.submit(exec, snippet(followed, "VerdictLoop("), executors)
        try:
            ask_until_shown(followed.running["stoplog tail verdicts"], asking, agents)
        finally:
            executors["stop"].set()
        loop.result(THREAD_S_MAX)
    bootstrap, kafka = followed.reader.cluster.bootstrap, agents["kafka"]
    with (
        connect(bootstrap, extra=kafka("agents")) as transport,
        connect(bootstrap, extra=kafka("mail")) as executors["transport"],
    ):
        toolset = Toolset.from_listings({"mail": MAIL_TOOLS})
        executors["agent"] = Agent(transport, agents["credential"], toolset=toolset)
        with Executor(
            executors["transport"],
            ["mail"],
            executors["tools"],
            executors["store"],
            report_keys=executors["key"],
            seal_keys=executors["seals"],
        ) as executors["executor"]:
            exec(snippet(followed, "VerdictReader("), executors)  # noqa: S102 - the page's own code
    assert executors["answer"].outcome is Outcome.ALLOW


def test_the_alerts_go_on(followed: Followed) -> None:
    tail = followed.running["stoplog tail ocsf --json | your-siem-forwarder"]
    assert tail.is_alive()
    assert "rror" not in tail.errors()


@pytest.mark.parametrize("user", ["agents", "mail", "gate-2", "sts", "publishers", "reviewers", "soc"])
def test_check_compares_what_a_user_may_see_and_says_who_sees_the_rest(followed: Followed, user: str) -> None:
    done = followed.reader.run(Command("stoplog topics check --no-json", user))
    assert done.returncode == 0, done.stdout + done.stderr
    unseen = ", ".join((*UNSEEN_BY_GATES, "the access entries")) if user == "gate-2" else "topic `"
    assert f"not checked, as this client may not see them: {unseen}" in done.stdout
    assert "the access entries" in done.stdout
    assert "an administrator can check them" in done.stdout
    assert "create topic" not in done.stdout


def test_only_an_administrator_applies_and_others_are_told_so(followed: Followed) -> None:
    done = followed.reader.run(Command("stoplog topics apply", "gate-2"))
    assert done.returncode == 1
    assert "with the credentials of an administrator" in done.stderr
    assert "describe and alter the cluster" in " ".join(done.stderr.split())


def test_doctor_names_what_a_gate_may_not_see_without_failing(followed: Followed) -> None:
    found = [json.loads(line) for line in followed.printed["stoplog doctor"].splitlines()]
    assert {each["check"] for each in found if each["status"] == "fail"} == set()
    (topics,) = [each for each in found if each["check"] == "topics"]
    assert topics["status"] == "ok"
    shown = "; ".join(UNSEEN_BY_GATES[:FAULTS_SHOWN_MAX])
    assert f"may not see them: {shown}; and {len(UNSEEN_BY_GATES) + 1 - FAULTS_SHOWN_MAX} more" in topics["text"]
    assert "an administrator can check them" in topics["advice"]


def test_a_reviewer_sees_rules_and_grants(followed: Followed) -> None:
    for line in followed.printed["stoplog catalog review"].splitlines():
        permits = json.loads(line).get("permits")
        if permits is not None:
            assert (permits["rules_note"], permits["holders_note"]) == ("", "")


def test_advice_names_the_role_that_is_missing(followed: Followed) -> None:
    done = followed.reader.run(Command("stoplog rules publish rules/ --key ann.key", "agents"))
    assert done.returncode == 1
    assert "this client may not see topic `agent.ruleset.v1`" in done.stderr
    assert "rule-publishing" in done.stderr
    assert "does not exist" not in done.stderr


def test_every_attack_is_refused_as_the_table_says(followed: Followed) -> None:
    field = Field(followed.reader)
    said = [(each, _said(each, field)) for each in ATTACKS]
    wrong = [f"{each.who}: {each.what}: {sorted(got)}" for each, got in said if got != {each.refusal}]
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


def _said(attack: Attack, field: Field) -> set[str]:
    try:
        return attack.attempt(field, attack.who)
    except Exception as error:
        return {repr(error)}


def test_the_page_about_trust_has_the_table() -> None:
    assert as_table() in (ROOT / "docs/explanation/trust.md").read_text("utf-8")
