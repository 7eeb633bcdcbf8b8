"""`stoplog watch`: watch the behaviour of agents until a signal stops it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.apps import make_app
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import Connection, InstanceOption, Output

RulesOption = Annotated[
    Path | None,
    typer.Option(
        "--rules",
        metavar="DIR",
        help="The folder with files `*.detectors.yaml`. By default the setting `watch.rules`, or the installed ones.",
    ),
]

app = make_app()


@app.command()
@takes_groups
def watch(
    *, connection: Connection, instance: InstanceOption = None, rules: RulesOption = None, output: Output
) -> None:
    """Watch what gates decide for behaviour that is unusual, until SIGINT or SIGTERM.

    It reads verdicts and audit records, learns what is usual for each agent and its peers, publishes baselines and
    raises alerts. It decides nothing: gates run without it.

    The first signal lets it finish its work; a second one ends it at once.
    """
    from streams.cli.commands.watch_run import run_watch  # noqa: PLC0415 - so that the help answers at once

    run_watch(connection.settings(instance=instance), output, rules=rules)
