"""The output of commands: tables and colours for a person, JSON lines for a program."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import typer

from streams.cli.terminal.styled import Text
from streams.cli.terminal.tables import column_widths, fits_whole, stacked, without_empty_columns
from streams.cli.terminal.text import ascii_json, harmless_json, printable
from streams.codec.json_lines import json_line

if TYPE_CHECKING:
    # Loaded where something is shown to a person.
    from rich.console import Console
    from rich.tree import Tree

PLAIN_WIDTH_CHARS = 160
"""The width of tables where standard output is not a terminal and has no width."""

WHOLE_WIDTH_CHARS = 4_096
"""The longest line of a table whose rows stay in one piece."""

_STEPS_PER_UPDATE = 50

OK, WARN, FAIL, FAINT, STRONG = "green", "yellow", "bold red", "dim", "bold"


@contextmanager
def proof_progress() -> Iterator[Callable[[int, int], None] | None]:
    """Show a bar on standard error while something long goes on, if that is a terminal; it disappears at the end.

    Yields:
        What is to be told how many steps are done, and of how many; None where nobody looks.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - for a person
    from rich.progress import (  # noqa: PLC0415 - few commands take that long
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading rules", total=None)

        def told(done: int, total: int) -> None:
            if done % _STEPS_PER_UPDATE == 0 or done == total:
                bar.update(task, completed=done, total=total, description="proving")

        yield told


class Screen:
    """The standard output of one command.

    Attributes:
        as_json: whether a program reads it: then only `record` and `line` write; otherwise only the other methods.
    """

    def __init__(self, as_json: bool | None = None) -> None:
        """Args:
        as_json: what the options say. None: JSON unless standard output is a terminal.
        """
        self.as_json = not sys.stdout.isatty() if as_json is None else as_json

    @cached_property
    def console(self) -> Console:
        """Return what writes for a person."""
        return _console(None if sys.stdout.isatty() else PLAIN_WIDTH_CHARS)

    @property
    def width_chars(self) -> int:
        """Return how many characters fit in a line that a person reads."""
        return PLAIN_WIDTH_CHARS if self.as_json else self.console.width

    def record(self, fields: Mapping[str, Any]) -> None:
        """Write a JSON line."""
        if self.as_json:
            self.line(json_line(fields))

    def line(self, text: str) -> None:
        """Write a line that is JSON already."""
        if self.as_json:
            shown = ascii_json(text) if sys.stdout.isatty() else harmless_json(text)
            sys.stdout.buffer.write(shown.encode() + b"\n")
            sys.stdout.buffer.flush()

    def say(self, text: str = "", style: str = "", *, lines: bool = False) -> None:
        """Write a line for a person.

        Args:
            text: the line.
            style: its style.
            lines: whether to keep line ends in it. Only text of our own may have them: with a line end in a name, a
                tool's server could write whole lines as if they were this command's.
        """
        if not self.as_json:
            self.rich(Text(printable(text, lines=lines), style))

    def confirm(self, question: str, *, yes: bool, otherwise: str) -> None:
        """Ask a person to confirm what can't be undone. Every command that asks does it here.

        Args:
            question: what to ask.
            yes: whether `--yes` has answered it already.
            otherwise: what to say if the answer is no.

        Raises:
            BadParameter: a program reads the output, so nobody is asked: that must not pass for a yes.
            Abort: the answer is no.
        """
        if yes:
            return
        if self.as_json:
            raise typer.BadParameter("nobody is asked where JSON is written (`--json`, or a pipe): give `--yes`")
        if not typer.confirm(question, err=True):
            self.say(otherwise, WARN)
            raise typer.Abort

    def prose(self, text: str | Text, style: str = "") -> None:
        """Write sentences for a person, wrapped between words on a terminal: not for what is to be copied."""
        if not self.as_json:
            told = text if isinstance(text, Text) else Text(printable(text), style)
            self.console.print(told.rich(), soft_wrap=not sys.stdout.isatty())

    def quote(self, text: str) -> None:
        """Write the text of somebody else for a person: each of its lines is marked."""
        for line in text.split("\n"):
            self.say(f"  | {line}")

    def rich(self, text: Text) -> None:
        """Write a styled line for a person, never wrapped."""
        if not self.as_json:
            self.console.print(text.rich(), soft_wrap=True)

    def tree(self, tree: Tree) -> None:
        """Write a tree for a person."""
        if not self.as_json:
            self.console.print(tree)

    def table(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[str | Text]],
        *,
        whole: bool = False,
    ) -> None:
        """Write a table for a person. Where the terminal is too narrow for it, each cell has a line of its own.

        Args:
            whole: write each row as one line, also where that is longer than the terminal is wide.
        """
        if self.as_json:
            return
        from rich.table import Table  # noqa: PLC0415 - for a person

        lines = [[(cell if isinstance(cell, Text) else Text(printable(cell))).rich() for cell in row] for row in rows]
        console = _console(WHOLE_WIDTH_CHARS) if whole else self.console
        if not fits_whole(columns, lines, console.width):
            columns, lines = without_empty_columns(columns, lines)
        widths = column_widths(columns, lines, console.width)
        if widths is None:
            for text in stacked(columns, lines):
                console.print(text, soft_wrap=True)
            return
        table = Table(box=None, pad_edge=False, header_style=STRONG, show_header=any(columns))
        for name, width in zip(columns, widths, strict=True):
            table.add_column(name, overflow="fold", width=width)
        for line in lines:
            table.add_row(*line)
        console.print(table)


def _console(width_chars: int | None) -> Console:
    from rich.console import Console  # noqa: PLC0415 - for a person

    return Console(highlight=False, markup=False, emoji=False, width=width_chars)
