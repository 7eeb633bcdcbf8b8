"""What the demonstration shows, to a person and to a program."""

from __future__ import annotations

import io
import json

from rich.console import Console
from stoplog_demo.view import Check, JsonView, Step, TableView, open_view

ALLOWED = Step(
    session="session 1",
    user="alice",
    tool="git/git_show",
    argument="HEAD:README.md",
    asked_by="user",
    outcome="ALLOW",
    reason="permitted",
    text="a rule permits it",
    result="done",
)
DENIED = Step(
    session="session 1",
    user="alice",
    tool="mail/send",
    argument="eve@evil.example",
    asked_by="notes.md",
    outcome="DENY",
    reason="rule_denied",
    text="a recipient is outside",
    result="not run",
)
CHECKS = (Check(name="it was stopped", ok=True, detail="[red]markup[/red]"), Check(name="it ran", ok=False, detail=""))


def test_a_program_gets_json_lines() -> None:
    stream = io.StringIO()
    view = open_view(stream)
    assert isinstance(view, JsonView)
    view.note("ready")
    view.session("session 1", "alice asks: read")
    view.step(DENIED)
    view.summary(CHECKS, [("stoplog tail audit", "the record")])
    view.close()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["note", "session", "call", "check", "check", "summary"]
    assert lines[2]["reason"] == "rule_denied"
    assert lines[2]["asked_by"] == "notes.md"
    assert lines[-1] == {"event": "summary", "ok": False, "next": ["stoplog tail audit"]}


def test_a_person_gets_a_table_with_the_reasons_below() -> None:
    stream = io.StringIO()
    view = TableView(Console(file=stream, force_terminal=True, width=100, color_system=None))
    view.note("15 tools listed")
    view.session("session 1", "alice asks: read [bold]README[/bold]")
    view.step(ALLOWED)
    view.note("in the middle")
    view.step(DENIED)
    view.summary(CHECKS, [("stoplog tail audit", "the record")])
    view.close()
    text = stream.getvalue()
    assert "alice asks: read [bold]README[/bold]" in text
    for expected in (
        "git/git_show HEAD:README.md",
        "permitted",
        "in the middle",
        "stopped: mail/send eve@evil.example: a recipient is outside",
        "ok   it was stopped  [red]markup[/red]",
        "FAIL it ran",
        "stoplog tail audit",
    ):
        assert expected in text


def test_json_can_be_asked_for_on_a_terminal_and_a_table_elsewhere() -> None:
    assert isinstance(open_view(io.StringIO(), as_json=True), JsonView)
    assert isinstance(open_view(io.StringIO(), as_json=False), TableView)
