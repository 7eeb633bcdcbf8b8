"""`stoplog incident`: make a recorded session into a regression test."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.apps import make_app
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import Connection, HistoryKeyOption, Output

app = make_app("Make a recorded session into a regression test.")


@app.callback()
def _group() -> None:
    """Keep `export` a subcommand although it is the only one."""


@app.command()
@takes_groups
def export(
    *,
    session: Annotated[
        str, typer.Argument(metavar="SESSION", help="A session (`s-1` or `tenant|s-1`), or any id that belongs to it.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder of the files.")] = Path("incidents"),
    root_key: HistoryKeyOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Write a session as a history file, and what is expected of it: together they are a regression test.

    `stoplog try HISTORY --expect FILE` runs it without the log, the settings and the root key. The history holds the
    session's arguments in plain text. Change the expectations to what should have happened: the test fails until the
    rules are right.

    No root key is needed as long as verdicts that allow a call of the user can be read. Otherwise, give `--root-key`,
    or rules about where values come from may decide otherwise in the history.
    """
    from streams.cli.commands.incident_run import run_incident  # noqa: PLC0415 - so that the help answers at once

    run_incident(connection, output, session=session, out=out, root_key=root_key)
