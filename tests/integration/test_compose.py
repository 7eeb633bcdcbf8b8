"""What `docker-compose.yml` starts, run on a real broker: calls are allowed and run, and `down` loses nothing."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator

import pytest

from tests.integration.compose import Compose
from tests.integration.deployment import ROOT

pytestmark = pytest.mark.broker

PAGE = ROOT / "docs" / "how-to" / "run-with-compose.md"

ALLOWED = re.compile(r"a mail to a colleague to bob@example.com: ALLOW \(permitted\)")
DENIED = re.compile(r"a mail with a private key to bob@example.com: DENY \(rule_denied\)")


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    """Everything is up."""
    with Compose(tmp_path_factory.mktemp("compose")) as started:
        started.up()
        yield started


def test_every_service_that_lasts_is_started(compose: Compose) -> None:
    assert compose.lasting() == ["gate-1", "gate-2", "token-service", "mail"]


def test_an_allowed_call_runs_and_another_is_denied(compose: Compose) -> None:
    printed = compose.run("agent")
    assert "ann asks assistant: session s-" in printed
    assert ALLOWED.search(printed), printed
    assert DENIED.search(printed), printed
    assert "sent as 000001.eml" in printed
    assert [path.name for path in (compose.folder / "mail").glob("*.eml")] == ["000001.eml"]


def test_the_commands_of_the_page_work(compose: Compose) -> None:
    """The last one is a stop, which the next test finds again."""
    printed = compose.run("agent")
    intents = re.findall(r"stoplog explain (\S+)", printed)
    commands = re.findall(r"^    docker compose exec gate-1 (.*)$", PAGE.read_text(), re.MULTILINE)
    explained, verdicts, stopped = (
        compose.execute("gate-1", *shlex.split(re.sub(r"(explain) \S+", rf"\1 {intents[1]}", command)))
        for command in commands
    )
    assert "MAIL-011" in explained
    assert all(intent in verdicts for intent in intents)
    assert "mail/send" in stopped


def test_topics_rules_and_a_stop_outlive_the_broker(compose: Compose) -> None:
    rules = rules_in_force(compose)
    compose.down()
    compose.up()
    assert rules_in_force(compose) == rules
    assert json.loads(compose.execute("gate-1", "stoplog", "topics", "check").splitlines()[0]).keys() == {
        "warning",
        "advice",
    }
    printed = compose.run("agent")
    assert len(re.findall(r": DENY \(revoked_tool\)", printed)) == 2, printed
    assert "nothing to do: rules and tools are published" in compose.run("setup")


def rules_in_force(compose: Compose) -> list[tuple[str, int]]:
    """The version and serial of what gates enforce."""
    printed = compose.execute("gate-1", "stoplog", "rules", "status")
    found = [json.loads(line) for line in printed.splitlines()]
    standing = [(each["version"], each["serial"]) for each in found if "serial" in each]
    assert standing
    return standing
