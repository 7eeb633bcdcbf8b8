"""`stoplog try`: run the whole engine over a history file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.apps import make_app
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import HistoryKeyOption, Output

try_app = make_app()

ApproveOption = Annotated[
    list[str] | None,
    typer.Option(
        "--approve",
        metavar="RULE",
        help="Answer every question that this rule asks with yes; `all` for every rule. Can be repeated.",
    ),
]


@try_app.command("try")
@takes_groups
def try_history(
    *,
    history: Annotated[
        Path, typer.Argument(metavar="HISTORY", help="A file of records as JSON lines, each with its time.")
    ],
    catalog: Annotated[
        Path | None,
        typer.Option("--catalog", metavar="FILE", help="Catalog entries to publish before the first record."),
    ] = None,
    rules: Annotated[
        Path | None,
        typer.Option(
            "--rules", metavar="DIR", help="The rules. By default those of the history, or the starter rules."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the output records to this file.")
    ] = None,
    expect: Annotated[
        Path | None,
        typer.Option("--expect", metavar="FILE", help="Compare the outcome of each line with what this file expects."),
    ] = None,
    write_expect: Annotated[
        Path | None,
        typer.Option("--write-expect", metavar="FILE", help="Write a file that expects the outcome of each line."),
    ] = None,
    approve: ApproveOption = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Also run the watch, with the detectors beside the rules, and print its alerts."),
    ] = False,
    root_key: HistoryKeyOption = None,
    output: Output,
) -> None:
    """Run the whole engine over a history, in the history's own time, and print the records that it writes.

    It needs no broker and no settings, and does not wait. The same history always gives the same output. After the last
    record an hour of its time passes, so that pending calls are decided. Bad lines are reported with their numbers and
    skipped; the exit status is then 1. It is also 1 if a line has another result than the file of `--expect` says; see
    docs/reference/scenarios.md.

    A decision of a person waits until its question is asked. With `--approve`, questions that the history has no
    decision about are answered with yes, at once and by as many people as the rule asks for.

    With `--watch`, the verdicts go through `stoplog watch`, too. It learns from this history alone, so detectors that
    compare an agent with its past are silent in a short one: test those on histories of behaviour (`rules test`).

    An intent without a proof gets one, made with a fixed development key that everybody knows. It also gets the
    definition digest of its tool from the catalog.
    """
    from streams.cli.commands.try_run import Trial, run_trial  # noqa: PLC0415 - so that the help answers at once

    run_trial(
        Trial(
            history=history,
            catalog=catalog,
            rules=rules,
            out=out,
            expect=expect,
            write_expect=write_expect,
            approve=tuple(approve or ()),
            root_key=root_key,
            watch=watch,
        ),
        output.screen(),
    )
