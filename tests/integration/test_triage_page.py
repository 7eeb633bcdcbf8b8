"""`docs/how-to/triage-an-alert.md`, followed command by command, with nothing but what the screens before have named.

What the demonstration writes on its way is also held against the schema of OCSF: from the topic, as a SIEM reads it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.commands import run_command
from tests.integration.deployment import ROOT
from tests.integration.page import text_of
from tests.ocsf import faults

COMMAND_S_MAX = 120
_COMMAND = re.compile(r"^    ((?:stoplog|export) .+)$", re.MULTILINE)
COMMANDS = (
    "stoplog demo --keep triage",
    "export STOPLOG_SETTINGS=triage/stoplog.toml",
    "stoplog tail alerts --no-follow",
    "stoplog explain INTENT",
    "stoplog rules explain --intent INTENT",
    "stoplog session show SESSION",
    "stoplog kill --session SESSION --why 'alert ALERT'",
    "stoplog audit session SESSION --html story.html",
    "stoplog audit why INTENT",
    "stoplog tail audit --no-follow --session SESSION",
    "stoplog alerts list",
    "stoplog alerts show ALERT",
    "stoplog alerts ack ALERT",
    "stoplog alerts close ALERT --why 'the document is gone'",
    "stoplog tail ocsf --no-follow --json",
)
"""Those of the page, in order."""


class Shell(NamedTuple):
    """Runs commands in a folder, and keeps what they export."""

    folder: Path
    exported: dict[str, str]

    def run(self, command: str) -> list[dict[str, Any]]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("STOPLOG_")}
        path = f"{ROOT}{os.pathsep}{ROOT / 'examples'}"
        words = shlex.split(command)
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            self.exported[name] = value
            return []
        assert words[0] == "stoplog"
        ran = run_command(words[1:], self.folder, {**own, "PYTHONPATH": path, **self.exported}, COMMAND_S_MAX)
        assert ran.status == 0, (command, ran)
        return ran.records


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell after the first two commands: the demonstration has run, and the log is known."""
    made = Shell(tmp_path_factory.mktemp("analyst"), {})
    for command in COMMANDS[:2]:
        made.run(command)
    assert list((made.folder / "triage" / "state").rglob("*.key")) == []
    return made


def denied(alerts: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = [line["value"] for line in alerts if line["value"]["analytic_uid"] == "PROV-020"]
    value: dict[str, Any] = found
    return value


def test_the_commands_are_those_of_the_page() -> None:
    assert tuple(_COMMAND.findall(text_of("triage-an-alert.md"))) == COMMANDS


def test_from_the_alert_to_its_cause(shell: Shell) -> None:
    _, _, tail, explain, conditions, show, kill, story, why, audit, *_ = COMMANDS
    alert = denied(shell.run(tail))
    # Each command is one that the alert names, to the letter.
    named = {
        "INTENT": alert["intent_id"],
        "SESSION": shlex.quote(f"{alert['header']['tenant_uid']}|{alert['session_id']}"),
        "ALERT": alert["finding_uid"],
    }
    explain, conditions, show, kill, story, why, audit = (
        re.sub("INTENT|SESSION|ALERT", lambda found: named[found[0]], each)
        for each in (explain, conditions, show, kill, story, why, audit)
    )
    assert alert["suggested_response"] == [explain, show, kill]
    # Why: in a sentence, and then the part of the alert's rule that was true.
    (told,) = shell.run(explain)
    assert "beside an instruction" in told["story"]
    rules = {each["rule_id"]: each for each in shell.run(conditions) if each["record"] == "rule"}
    assert rules["PROV-020"]["outcome"] == "true"
    assert '"text": "read.untrusted", "value": "true"' in json.dumps(rules["PROV-020"]["condition"])
    # Where it came from: the file, by name.
    assert "docs/vendor-notes.md" in json.dumps(shell.run(show))
    shell.run(story)
    assert "docs/vendor-notes.md" in (shell.folder / "story.html").read_text("utf-8")
    assert "wrote a message" in json.dumps(shell.run(why))
    assert {each["value"]["session_id"] for each in shell.run(audit)} == {alert["session_id"]}
    shell.run(kill)


def test_an_alert_is_acknowledged_and_closed(shell: Shell) -> None:
    finding = denied(shell.run(COMMANDS[2]))["finding_uid"]
    listed, show, ack, close, _ = (each.replace("ALERT", finding) for each in COMMANDS[10:])
    assert {each["state"] for each in shell.run(listed)} == {"new"}
    shell.run(ack)
    (shown,) = shell.run(show)
    assert (shown["state"], shown["analytic_uid"], shown["status_id"]) == ("acknowledged", "PROV-020", 2)
    (closed,) = shell.run(close)
    assert (closed["state"], closed["reason"]) == ("resolved", "the document is gone")
    assert finding not in {each["finding_uid"] for each in shell.run(listed)}


def test_the_screens_behind_it_know_what_the_gate_knew(shell: Shell) -> None:
    """The page's settings trust the same tools as the gate did."""
    alert = denied(shell.run(COMMANDS[2]))
    tool, _ = shell.run("stoplog catalog show mail/send")
    assert (tool["standing"], tool["callable"]) == ("in force", True)
    session, act = shell.run(f"stoplog contain {alert['session_id']}")
    assert (session["calls"], session["reads"], act["tool"]) == (1, 3, "mail/send")


def test_anybody_can_prove_that_the_log_is_whole_and_names_mean_those_of_its_tenant(shell: Shell) -> None:
    alert = denied(shell.run(COMMANDS[2]))
    *_, verified = shell.run("stoplog audit verify --keys triage/seal-keys.json")
    assert verified["verdicts"] > 0
    assert verified["offences"] == 0
    (shown,) = shell.run(f"stoplog session show {alert['session_id']}")
    assert shown["tenant_uid"] == alert["header"]["tenant_uid"]
    (stop,) = shell.run(f"stoplog kill --session {alert['session_id']} --why 'looked at'")
    assert stop["id"] == f"{shown['tenant_uid']}|{shown['session_id']}"


def test_every_alert_is_a_valid_event_on_the_topic(shell: Shell) -> None:
    alerts = [line["value"] for line in shell.run(COMMANDS[2])]
    events = shell.run(COMMANDS[-1])
    assert [faults(event) for event in events] == [[] for _ in events]
    assert [event["metadata"]["uid"] for event in events] == [alert["header"]["id"] for alert in alerts]
    assert {event["metadata"]["event_code"] for event in events} == {
        "rule_denied",
        "delegation_arguments_not_granted",
    }
    # Nothing of the arguments is in it: neither the stranger's address nor the secret.
    assert "evil.example" not in json.dumps(events)
    (event,) = [event for event in events if event["metadata"]["event_code"] == "rule_denied"]
    (alert,) = [alert for alert in alerts if alert["intent_id"] == event["evidences"][0]["api"]["request"]["uid"]]
    assert event["remediation"]["desc"].splitlines() == alert["suggested_response"]
    assert [attack["technique"]["uid"] for attack in event["finding_info"]["attacks"]] == ["AML.T0051.001"]


def test_every_command_that_an_alert_suggests_works(shell: Shell) -> None:
    commands = [command for line in shell.run(COMMANDS[2]) for command in line["value"]["suggested_response"]]
    assert len(commands) >= 6
    for command in commands:
        shell.run(command)
