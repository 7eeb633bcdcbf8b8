"""`stoplog gate`: run a gate until a signal stops it."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.apps import make_app
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import Connection, InstanceOption, Output

ResetTimeOption = Annotated[
    bool,
    typer.Option(
        "--reset-time",
        help="Set stream times that are far ahead back to now. See `stoplog topics time`; correct all clocks first.",
    ),
]

app = make_app()


@app.command()
@takes_groups
def gate(
    *,
    connection: Connection,
    instance: InstanceOption = None,
    reset_time: ResetTimeOption = False,
    output: Output,
) -> None:
    """Run a gate, which reads intents and writes verdicts, until SIGINT or SIGTERM.

    The first signal lets it finish its work; a second one ends it at once.

    The gate reads rules and tools from topics: see `stoplog rules publish` and `stoplog catalog publish`.
    """
    from streams.cli.commands.gate_run import run_gate  # noqa: PLC0415 - so that the help answers at once

    run_gate(connection.settings(instance=instance), output, resets_time=reset_time)
