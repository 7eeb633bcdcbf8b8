"""What an import proposes about the tools of a server, and how long it takes for a large catalog."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from streams.cli.main import run
from tests.unit.cli.conftest import Stoplog
from tests.unit.cli.terminal import written_to_terminal

TEXT = {"type": "string"}
SEND = {
    "name": "send_mail",
    "inputSchema": {"type": "object", "properties": {"to": TEXT, "body": TEXT, "urgent": {"type": "boolean"}}},
}
FEW, MANY = 250, 1_000


@pytest.fixture(autouse=True)
def log(stoplog: Stoplog) -> None:
    assert stoplog("topics", "apply").status == 0


def imported(stoplog: Stoplog, home: Path, facts: dict[str, Any] | None) -> dict[str, Any]:
    """The facts that a review of the tool shows after an import with these facts."""
    (home / "tools.json").write_text(json.dumps([SEND]))
    (home / "facts.json").write_text(json.dumps({} if facts is None else {"send_mail": facts}))
    assert stoplog("catalog", "import", "mail", "--file", "tools.json", "--facts", "facts.json").status == 0
    (reviewed,) = stoplog("catalog", "review", "mail/send_mail").records
    assert reviewed["state"] == "PROPOSED"
    shown: dict[str, Any] = reviewed["facts"]
    return shown


@pytest.mark.parametrize(
    ("facts", "sinks"),
    [
        (None, ["/body", "/to"]),
        ({"destructive": False, "reversible": True}, ["/body", "/to"]),
        ({"read_only": True}, ["/body", "/to"]),
        ({"read_only": True, "open_world": False}, []),
        ({"destructive": False, "sink_args": ["/to"]}, ["/to"]),
        ({"destructive": False, "sink_args": []}, []),
    ],
)
def test_facts_that_leave_sinks_out_state_none_only_if_they_say_so(
    stoplog: Stoplog, home: Path, facts: dict[str, Any] | None, sinks: list[str]
) -> None:
    shown = imported(stoplog, home, facts)
    assert sorted(shown["sink_args"]) == sinks
    assert shown["destructive"] is (True if facts is None else facts.get("destructive", True))


def test_who_approves_what_is_approved_already_is_told_what_this_replaces(
    stoplog: Stoplog, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOPLOG_CATALOG__ALLOW_UNSIGNED", "true")
    imported(stoplog, home, None)

    def approve(*options: str) -> str:
        (listed,) = stoplog("catalog", "list").records
        done = stoplog("catalog", "approve", listed["reference"], *options, "--no-json")
        assert done.status == 0, done.err
        return done.out

    assert "already" not in approve("--as", "ann", "--expires", "2090-01-02")
    again = approve("--as", "ben")
    assert (
        "mail/send_mail was approved already: version 2 by ann, until 2090-01-02T00:00:00.000Z; this replaces" in again
    )


def test_who_blocks_a_tool_is_told_how_to_undo_it(
    stoplog: Stoplog, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOPLOG_CATALOG__ALLOW_UNSIGNED", "true")
    imported(stoplog, home, None)
    (listed,) = stoplog("catalog", "list").records
    assert stoplog("catalog", "approve", listed["reference"], "--as", "ann", "--expires", "2090-01-02").status == 0
    said = stoplog("catalog", "block", "mail/send_mail", "--why", "odd mails", "--as", "ann", "--no-json").out
    assert "2090" not in said, "a block does not end with the approval before it"
    undo = said.splitlines()[-1].removeprefix("to undo").strip()
    assert undo.startswith("stoplog catalog approve mail/send_mail@")
    assert stoplog(*undo.split()[1:]).status == 0
    assert "approved, in force" in stoplog("catalog", "list", "--no-json").out


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("mail/send_mail", "the id is missing; `stoplog catalog review mail/send_mail` shows the whole name"),
        ("mail/send_mail@12ab", "an id has 40 characters, not 4; `stoplog catalog review mail/send_mail` shows"),
        ("mail/@reports", "the id is missing; `stoplog catalog review mail/@reports` shows the whole name"),
        ("mail", "write `SERVER/TOOL@ID`, as shown by `stoplog catalog list --proposed`"),
    ],
)
def test_what_the_name_of_an_entry_lacks_is_named(stoplog: Stoplog, reference: str, told: str) -> None:
    result = stoplog("catalog", "approve", reference)
    assert result.status == 2
    assert f"`{reference}` is not the name of an entry" in result.err
    assert told in result.err


def test_a_list_has_a_line_for_each_tool_and_the_ids_that_a_decision_needs(
    stoplog: Stoplog, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no tool is in the catalog" in stoplog("catalog", "list", "--no-json").out
    imported(stoplog, home, None)
    (reference,) = [each["reference"] for each in stoplog("catalog", "list").records]
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")

    def show() -> None:
        assert run(("catalog", "list", "--no-json")) == 0

    written = written_to_terminal(monkeypatch, show).decode()
    lines = re.sub(r"\x1b\[[0-9;]*m", "", written).splitlines()
    assert lines[0].split()[:3] == ["tool", "version", "state"]
    assert lines[1].split()[:4] == ["mail/send_mail", "1", "proposed,", "open"]
    assert lines[-1].strip() == reference
    assert max(map(len, lines)) <= 80


def listing(count: int) -> list[dict[str, Any]]:
    text = "Do something to a customer, and return it. " * 5
    return [
        {
            "name": f"{verb}_customer_{number}",
            "description": text,
            "inputSchema": {"type": "object", "properties": {"id": TEXT, "note": TEXT | {"description": text}}},
        }
        for number in range(count // 2)
        for verb in ("create", "delete")
    ]


def test_each_tool_costs_the_same_however_many_there_are(stoplog: Stoplog, home: Path) -> None:
    def spent_s(server: str, count: int) -> float:
        (home / "tools.json").write_text(json.dumps(listing(count)))
        began_s = time.thread_time()
        assert len(stoplog("catalog", "import", server, "--file", "tools.json").records) == count
        return time.thread_time() - began_s

    spent_s("first", 2)
    few_s, many_s = spent_s("few", FEW), spent_s("many", MANY)
    # Of the processor, because others share the machine. Names on two servers make alerts, hence the room.
    assert many_s < 8 * few_s, (few_s, many_s)


@pytest.mark.parametrize("name", ["my notes", "notes.eu", "notes/eu", "notes*", "[notes]"])
def test_a_server_whose_name_no_rule_could_write_is_refused(stoplog: Stoplog, home: Path, name: str) -> None:
    (home / "tools.json").write_text(json.dumps([SEND]))
    refused = stoplog("catalog", "import", name, "--file", "tools.json")
    assert refused.status == 2
    advice = "a name has 1 to 200 characters, without `.`, `/`, `\\`, `*`, `?`, spaces and brackets"
    assert f"`{name}` can't be the name of a server: {advice}" in refused.err
    assert stoplog("catalog", "review").records == []
