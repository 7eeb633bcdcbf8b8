"""The output of the demonstration: a live table for a person, JSON lines for a program."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

ROWS_SHOWN_MAX = 40
ARGUMENT_CHARS_MAX = 40
USER = "user"
"""Names the user as the one who asked for a call, if the agent has not read the request somewhere."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One proposed call and its outcome."""

    session: str
    user: str
    tool: str
    argument: str
    asked_by: str
    outcome: str
    reason: str
    text: str
    result: str

    @property
    def stopped(self) -> bool:
        """Return whether it did not run."""
        return self.result not in {"done", "tool_error"}


@dataclass(frozen=True, kw_only=True)
class Check:
    """A result that the demonstration must have."""

    name: str
    ok: bool
    detail: str


class View(Protocol):
    """Shows the demonstration."""

    def note(self, text: str) -> None: ...

    def session(self, session: str, text: str) -> None: ...

    def step(self, step: Step) -> None: ...

    def summary(self, checks: Sequence[Check], commands: Sequence[tuple[str, str]]) -> None: ...

    def close(self) -> None: ...


def open_view(stream: IO[str], *, as_json: bool | None = None) -> View:
    """Return a live table if `stream` is a terminal, or else, or if asked for, JSON lines."""
    console = Console(file=stream)
    if as_json or (as_json is None and not console.is_terminal):
        return JsonView(stream)
    return TableView(console)


class JsonView:
    """Writes one JSON object per line."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def note(self, text: str) -> None:
        """Show a remark for people."""
        self._write({"event": "note", "text": text})

    def session(self, session: str, text: str) -> None:
        """Show that a session starts."""
        self._write({"event": "session", "session": session, "text": text})

    def step(self, step: Step) -> None:
        """Show that a call was decided, and run if it was allowed."""
        self._write(
            {
                "event": "call",
                "session": step.session,
                "user": step.user,
                "tool": step.tool,
                "argument": step.argument,
                "asked_by": step.asked_by,
                "outcome": step.outcome,
                "reason": step.reason,
                "text": step.text,
                "result": step.result,
            }
        )

    def summary(self, checks: Sequence[Check], commands: Sequence[tuple[str, str]]) -> None:
        """Show the result."""
        for check in checks:
            self._write({"event": "check", "name": check.name, "ok": check.ok, "detail": check.detail})
        ok = all(check.ok for check in checks)
        self._write({"event": "summary", "ok": ok, "next": [command for command, _ in commands]})

    def close(self) -> None:
        """Do nothing."""

    def _write(self, value: dict[str, object]) -> None:
        self._stream.write(json.dumps(value, ensure_ascii=False) + "\n")
        self._stream.flush()


class TableView:
    """A table that grows while the agent works, with remarks below it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rows: list[tuple[Text, ...]] = []
        self._remarks: list[Text] = []
        self._live: Live | None = None

    def note(self, text: str) -> None:
        """Show a line below the table."""
        line = Text(text, style="dim")
        if self._live is None:
            self._console.print(line)
        else:
            self._remarks.append(line)
            self._live.update(self._shown(), refresh=True)

    def session(self, session: str, text: str) -> None:
        """Start a new table with a heading."""
        self._settle()
        self._console.print()
        self._console.print(Text.assemble((session, "bold"), "  ", text))
        self._live = Live(self._shown(), console=self._console, refresh_per_second=8)
        self._live.start()

    def step(self, step: Step) -> None:
        """Show a row, with the full reason if the call was stopped."""
        call = f"{step.tool} {_shortened(step.argument)}"
        self._rows.append(
            (
                Text(call),
                Text(step.asked_by, style="" if step.asked_by == USER else "yellow"),
                Text(step.outcome, style="green" if step.outcome == "ALLOW" else "bold red"),
                Text(step.reason),
                Text(step.result, style="red" if step.stopped else "green"),
            )
        )
        if step.stopped:
            self._remarks.append(Text(f"stopped: {call}: {step.text}", style="red"))
        if self._live is not None:
            self._live.update(self._shown(), refresh=True)

    def summary(self, checks: Sequence[Check], commands: Sequence[tuple[str, str]]) -> None:
        """Show the result, and what to type next."""
        self._settle()
        self._console.print()
        for check in checks:
            mark = Text("ok  ", style="green") if check.ok else Text("FAIL", style="bold red")
            self._console.print(Text.assemble(mark, " ", check.name, ("  " + check.detail, "dim")))
        self._console.print()
        for command, meaning in commands:
            self._console.print(Text.assemble("  ", (command, "bold cyan"), "  ", (meaning, "dim")))

    def close(self) -> None:
        """End the live table."""
        self._settle()

    def _settle(self) -> None:
        """Leave the table as it is; later rows start a new one."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._rows.clear()
        self._remarks.clear()

    def _shown(self) -> Group:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for heading in ("call", "asked by", "verdict", "reason", "result"):
            table.add_column(heading, overflow="fold")
        for row in self._rows[-ROWS_SHOWN_MAX:]:
            table.add_row(*row)
        return Group(table, *self._remarks)


def _shortened(text: str) -> str:
    return text if len(text) <= ARGUMENT_CHARS_MAX else text[: ARGUMENT_CHARS_MAX - 1] + "…"
