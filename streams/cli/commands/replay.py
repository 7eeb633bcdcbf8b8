"""`stoplog replay`: make the recorded verdicts again, and report which are the same byte for byte."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.apps import make_app
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import Connection, Output
from streams.cli.options.stretches import StretchOptions

app = make_app()


@app.command()
@takes_groups
def replay(
    *,
    differences_max: Annotated[
        int, typer.Option("--max", metavar="N", min=1, max=10_000, help="Show at most N verdicts that differ.")
    ] = 10,
    stretch: StretchOptions,
    connection: Connection,
    output: Output,
) -> None:
    """Make the recorded verdicts again with the engine, and report which of them are the same byte for byte.

    A replay begins with the first record of the topics, even if only a stretch of time is compared. It needs the
    settings and the root key of the gates. The exit status is 1 if a verdict differs; the first one is shown field by
    field. It is 3 if there is no verdict to compare. Nothing is written to the log.
    """
    from streams.cli.commands.replay_run import run_replay  # noqa: PLC0415 - so that the help answers at once

    run_replay(connection, output, stretch, differences_max=differences_max)
