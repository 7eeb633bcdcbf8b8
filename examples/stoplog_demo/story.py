"""The demonstration for a person: a story that fits on a screen of 100 columns and 40 lines.

A chapter is written when its session is over; until then a line that is overwritten shows what is going on. The calls
that a user had asked for, and that ran, are one line of a chapter. What a file asked for, and what was stopped, has
lines of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.status import Status
from rich.text import Text

from stoplog_demo.steps import USER, Step, Summary
from streams.cli.terminal.text import printable, short

WIDTH_MAX = 100
ARGUMENT_CHARS_MAX = 60

INTRODUCTION = "A scripted agent works with real MCP servers for git and mail, and stoplog decides about each call."

_INDENT = 2
_VERDICT_CHARS = 7


class StoryView:
    """Writes a chapter for each session, and the end of the story."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._width = min(console.width, WIDTH_MAX)
        self._heading: tuple[str, str] | None = None
        self._parts: list[Step | str] = []
        self._status: Status | None = None
        self._print(Text(INTRODUCTION), 0)
        if console.is_terminal:
            self._status = console.status(Text("starting", style="dim"))
            self._status.start()

    def note(self, text: str) -> None:
        """Show what happens besides the calls; it stays on the screen if it happens in a session."""
        self._now(text)
        if self._heading is not None:
            self._parts.append(text)

    def session(self, session: str, title: str, request: str) -> None:
        """Begin a chapter."""
        self.end_session()
        self._heading = (f"{session}: {title}", request)
        self._now(title)

    def step(self, step: Step) -> None:
        """Add a call to the chapter."""
        self._parts.append(step)
        self._now(_call(step))

    def end_session(self) -> None:
        """Write the chapter."""
        if self._heading is None:
            return
        (title, request), self._heading = self._heading, None
        parts, self._parts = self._parts, []
        steps = [part for part in parts if isinstance(part, Step)]
        ordinary = [number for number, part in enumerate(parts) if isinstance(part, Step) and _is_ordinary(part)]
        self._blank()
        self._print(Text(printable(title), style="bold"), 0)
        if any(step.asked_by != USER for step in steps):
            self._print(Text(printable(request)))
        told: set[str] = set()
        for number, part in enumerate(parts):
            if isinstance(part, str):
                self._print(Text(printable(part)))
                continue
            if part.asked_by != USER and part.asked_by not in told:
                told.add(part.asked_by)
                self._print(_instruction(part))
            if not _is_ordinary(part):
                self._print(_row(part), verdict=part.outcome)
            elif number == ordinary[-1]:
                self._print(_summarised([step for step in steps if _is_ordinary(step)]), verdict=part.outcome)

    def summary(self, summary: Summary) -> None:
        """Write the end of the story, and what to type next."""
        self.end_session()
        self._stop()
        self._blank()
        mails = _counted(mail.to for mail in summary.mails)
        self._print(Text(f"{summary.folder_text}: {mails}." if mails else f"{summary.folder_text}."), 0)
        for check in summary.checks:
            if not check.ok:
                self._print(Text.assemble(("FAILED ", "bold red"), printable(f"{check.name}: {check.detail}")), 0)
        self._print(Text(summary.closing, style="bold green" if summary.ok else "bold red"), 0)
        self._blank()
        width = max((len(meaning) for _, meaning in summary.commands), default=0)
        for command, meaning in summary.commands:
            # Unbroken, so that it can be copied.
            line = Text.assemble((f"{meaning:<{width}}  ", "dim"), (command, "bold cyan"))
            self._console.print(line, soft_wrap=True, highlight=False)

    def close(self) -> None:
        """Write what there is of a chapter, and stop."""
        self.end_session()
        self._stop()

    def _print(self, text: Text, indent: int = _INDENT, verdict: str = "") -> None:
        """Write a paragraph; with a verdict, which stands before it in a column of its own."""
        chars = _VERDICT_CHARS if verdict else 0
        label = Text(f"{verdict:<{chars}}", style="bold green" if verdict == "ALLOW" else "bold red")
        for line in text.wrap(self._console, self._width - indent - chars):
            line.rstrip()
            self._console.print(Text.assemble(" " * indent, label, line), highlight=False)
            label = Text(" " * chars)

    def _blank(self) -> None:
        self._console.print()

    def _now(self, text: str) -> None:
        if self._status is not None:
            self._status.update(Text(short(text, self._width - _INDENT), style="dim"))

    def _stop(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


def _is_ordinary(step: Step) -> bool:
    return step.asked_by == USER and step.result == "done"


def _instruction(step: Step) -> Text:
    return Text.assemble(
        printable(step.asked_by), " told the agent: ", (f'"{printable(step.words)}"', "yellow"), ". It obeyed:"
    )


def _summarised(steps: Sequence[Step]) -> Text:
    if len(steps) == 1:
        return Text(f"1 call that the user asked for, and it ran: {_call(steps[0])}")
    calls = _counted(step.tool for step in steps)
    return Text(f"{len(steps)} calls that the user asked for, and all ran: {calls}")


def _row(step: Step) -> Text:
    after = {"done": "", "tool_error": ", but the tool failed"}.get(step.result, "")
    call = Text.assemble((_call(step), "bold"), after)
    if step.result == "refused":
        call = Text.assemble(call, ", then ", ("refused by the executor", "bold red"))
    return Text.assemble(call, f": {printable(step.text)}")


def _call(step: Step) -> str:
    return f"{step.tool} {short(step.argument.removeprefix('HEAD:'), ARGUMENT_CHARS_MAX)}".strip()


def _counted(names: Iterable[str]) -> str:
    """Return each name once, with how often it occurs."""
    found = Counter(printable(name) for name in names)
    return ", ".join(name if count == 1 else f"{name} ({count})" for name, count in found.items())
