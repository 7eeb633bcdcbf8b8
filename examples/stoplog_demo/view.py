"""The output of the demonstration: its story on one screen for a person, JSON lines for a program."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import IO, Protocol

from rich.console import Console

from stoplog_demo.steps import Step, Summary
from stoplog_demo.story import StoryView


class View(Protocol):
    """Shows the demonstration."""

    def note(self, text: str) -> None: ...

    def session(self, session: str, title: str, request: str) -> None: ...

    def step(self, step: Step) -> None: ...

    def end_session(self) -> None: ...

    def summary(self, summary: Summary) -> None: ...

    def close(self) -> None: ...


def open_view(stream: IO[str], *, as_json: bool | None = None) -> View:
    """Return a view for a person if `stream` is a terminal, or else, or if asked for, one that writes JSON lines."""
    console = Console(file=stream)
    if as_json or (as_json is None and not console.is_terminal):
        return JsonView(stream)
    return StoryView(console)


class JsonView:
    """Writes one JSON object per line."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def note(self, text: str) -> None:
        """Report what happens besides the calls."""
        self._write({"event": "note", "text": text})

    def session(self, session: str, title: str, request: str) -> None:
        """Report that a session starts."""
        self._write({"event": "session", "session": session, "title": title, "text": request})

    def step(self, step: Step) -> None:
        """Report that a call was decided, and run if it was allowed."""
        self._write({"event": "call", **asdict(step)})

    def end_session(self) -> None:
        """Do nothing: the next line says what follows."""

    def summary(self, summary: Summary) -> None:
        """Report the result."""
        for check in summary.checks:
            self._write({"event": "check", "name": check.name, "ok": check.ok, "detail": check.detail})
        for mail in summary.mails:
            self._write({"event": "mail", "to": mail.to, "subject": mail.subject})
        next_commands = [command for command, _ in summary.commands]
        self._write({"event": "summary", "ok": summary.ok, "text": summary.closing, "next": next_commands})

    def close(self) -> None:
        """Do nothing."""

    def _write(self, value: dict[str, object]) -> None:
        self._stream.write(json.dumps(value, ensure_ascii=False) + "\n")
        self._stream.flush()
