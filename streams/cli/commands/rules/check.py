"""`stoplog rules check`: report errors and doubtful places in rules, and errors in the files beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import Connection, Output

DirArgument = Annotated[Path, typer.Argument(metavar="DIR", help="The folder with `bundle.yaml`.")]
CatalogOption = Annotated[
    Path | None,
    typer.Option(
        "--catalog", metavar="FILE", help="Read the tools from this file: a history, or JSON of listed tools."
    ),
]


@takes_groups
def check(
    *,
    directory: DirArgument,
    catalog: CatalogOption = None,
    live: Annotated[bool, typer.Option("--live", help="Read the tools from the catalog on the log.")] = False,
    prove: Annotated[
        bool, typer.Option("--prove/--no-prove", help="Use the solver z3 to find rules without effect.")
    ] = True,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on warnings, too.")] = False,
    connection: Connection,
    output: Output,
) -> None:
    """Report errors and doubtful places in rules, and errors in the files beside them.

    The exit status is 1 if a gate would reject the rules (with `--json`, `accepted` says that alone), or if there are
    errors in `*.detectors.yaml`, `*.histories.yaml`, `*.tests.yaml`, `*.scenarios.yaml` or `*.attacks.yaml`. These
    files are not run: that is what `rules test` does. A folder may have detectors alone.

    With a catalog, arguments have the types of the tools' input schemas, and patterns that match no tool are reported.
    Rules without effect are found with the solver z3, if it is installed. Where z3 finds no answer, the result is
    reported as unknown. z3 is asked 5,000 questions at most, and its work on all of them is limited; if that is not
    enough, the rules of which not everything is proven are counted and named.
    """
    from streams.cli.commands.rules.checking import run_check  # noqa: PLC0415 - so that the help answers at once

    settings = connection.settings() if live else None
    run_check(directory, catalog, settings, output.screen(), prove=prove, strict=strict)
