"""Renders the reference of all commands, from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import typer

from streams.cli.main import COMMANDS, STATUSES, app
from streams.cli.options import LOG_PANEL

_INTRODUCTION = """\
# Commands

`stoplog COMMAND --help` shows the same on a terminal.

| exit status | meaning |
| --- | --- |
{statuses}

These options stand before the command:

{first}

Commands that print tables, or that read or write the log, also take the options of this table. It is not repeated for
each of them.

"""
_PIPE = r"\|"
"""How a cell of a table has a pipe."""
_HEAD = ("| option | value | meaning |", "| --- | --- | --- |")


def commands_page() -> str:
    """Return the page in Markdown."""
    found = [*_commands(typer.main.get_command(app))]
    shared = dict.fromkeys(row for _, command, context in found for row in _rows(command, context, shared=True))
    top = typer.main.get_command(app)
    first = "\n".join([*_HEAD, *_rows(top, top.make_context("stoplog", [], resilient_parsing=True), shared=False)])
    statuses = "\n".join(f"| {status} | {meaning} |" for status, meaning in STATUSES.items())
    parts = [_INTRODUCTION.format(first=first, statuses=statuses) + "\n".join([*_HEAD, *shared])]
    for panel, inside in groupby(found, key=lambda each: COMMANDS[each[0][0]][0]):
        parts += [f"## {panel}", *(_command_text(*each) for each in inside)]
    return "\n\n".join(parts) + "\n"


def _commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Yield the words, the command and the context of each command that can be run, in the order of the help."""
    for name in group.commands:
        outer = group.make_context("stoplog", [name], resilient_parsing=True)
        _, command, _ = group.resolve_command(outer, [name])
        context = command.make_context(name, [], parent=outer, resilient_parsing=True)
        is_group = hasattr(command, "commands")
        if not is_group or command.invoke_without_command:
            yield (*words, name), command, context
        if is_group:
            yield from _commands(command, (*words, name))


def _command_text(words: tuple[str, ...], command: Any, context: Any) -> str:
    arguments = [_argument(param) for param in command.get_params(context) if param.param_type_name == "argument"]
    usage = " ".join(["stoplog", *words, *arguments])
    rows = [*_rows(command, context, shared=False)]
    paragraphs = [" ".join(each.split()) for each in (command.help or "").split("\n\n")]
    return "\n\n".join([f"### `{usage}`", *paragraphs, *(["\n".join([*_HEAD, *rows])] if rows else [])])


def _argument(param: Any) -> str:
    name = param.display_name_raw + ("..." if param.nargs != 1 else "")
    return name if param.required else f"[{name}]"


def _rows(command: Any, context: Any, *, shared: bool) -> Iterator[str]:
    """Yield the rows of the options that most commands have, or of all the others."""
    for param in command.get_params(context):
        is_shared = param.rich_help_panel == LOG_PANEL or "--json" in param.opts
        if is_shared is not shared or "--help" in param.opts:
            continue
        if param.param_type_name == "argument":
            names, value = f"`{_argument(param)}`", ""
        else:
            names = ", ".join(f"`{each}`" for each in (*param.opts, *param.secondary_opts))
            value = (param.display_type_rich(context) or "").strip("<>")
        cells = (names, f"`{value}`" if value else "", _meaning(param))
        yield f"| {' | '.join(cell.replace('|', _PIPE) for cell in cells)} |".replace("  ", " ")


def _meaning(param: Any) -> str:
    meaning = " ".join((param.help or "").split())
    is_stated = param.show_default and not isinstance(param.default, bool) and param.default not in (None, (), [])
    default = f" By default `{param.default}`." if is_stated else ""
    panel = "" if param.rich_help_panel in (None, LOG_PANEL) else f"*{param.rich_help_panel}*: "
    return f"{panel}{meaning}{default}{' Required.' if param.required else ''}"
