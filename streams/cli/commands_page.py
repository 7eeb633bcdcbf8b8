"""Renders the reference of all commands, from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import typer

from streams.cli.apps import LOG_PANEL
from streams.cli.examples import EXAMPLES
from streams.cli.main import COMMANDS, STATUSES, app

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

{shared}

Commands that ask you to confirm what can't be undone (`approvals approve`, `approvals deny`, `contain --propose`,
`audit erase`) need `--yes` wherever they write JSON: nobody is asked there, and that does not pass for a yes.

With `--json`, and where standard output is not a terminal, each line is a JSON object. `tail`, `try`, `approvals list`
and `approvals show` print [records](topics.md) in their [JSON form](history-files.md). What other commands print has
the records' names for what records have:

{fields}
"""

_FIELDS = {
    "record": "what the line is, where a command prints lines of several kinds: `finding`, `summary`",
    "tenant_uid": "the tenant",
    "session_id": "the session, without its tenant",
    "sub": "the user for whom the agent acts",
    "act": 'the agent, as in records: `{"iss": ..., "sub": ...}`. Where only its name is known: `agent`',
    "tool": "the tool, written `SERVER/TOOL`; only records have it in two parts",
    "intent_id": "the intent",
    "verdict_id": "its verdict",
    "task_id": "the question to people",
    "finding_uid": "the alert; `analytic_uid` is the rule or detector that it comes from",
    "delegation_uid": "the grant; `delegation_path` has the grants that it comes from, the first one first",
    "rule_id": "the rule",
    "ruleset_digest": "the digest of published rules",
    "catalog_version": "the version of a catalog entry",
    "outcome": "the outcome of a call",
    "reason": "the [code](reasons.md) of a decision, or what a person gave as `--why`; `reason_text` is it in words",
    "by": "who did it, in their own words; `signed_by` is whose signatures count",
    "..._ms": "milliseconds: a duration, or an instant since 1970-01-01T00:00:00Z. Records have the instant without "
    "`_ms`: `evaluated_at`, `effective_at`",
}
"""The fields of several commands, each with one name and one meaning."""
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
    fields = "\n".join(
        ["| field | meaning |", "| --- | --- |", *(f"| `{name}` | {text} |" for name, text in _FIELDS.items())]
    )
    options = "\n".join([*_HEAD, *shared])
    parts = [_INTRODUCTION.format(first=first, statuses=statuses, shared=options, fields=fields)]
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
    examples = "\n".join(f"    {line}" for line in EXAMPLES[" ".join(words)])
    return "\n\n".join([f"### `{usage}`", *paragraphs, examples, *(["\n".join([*_HEAD, *rows])] if rows else [])])


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
