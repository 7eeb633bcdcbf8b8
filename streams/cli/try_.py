"""`stoplog try`: run the whole engine over a history file."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.findings import many, refusal_recorded
from streams.cli.main import FAILED
from streams.cli.option_groups import takes_groups
from streams.cli.options import HistoryKeyOption, Output
from streams.cli.rows import Row, heading, letter_row, line_of, row_of
from streams.cli.screen import FAIL, FAINT, OK, Screen
from streams.cli.text import printable
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.verdict import FINAL_OUTCOMES, Verdict
from streams.operations.root_key import load_root_key
from streams.operations.trial import DEVELOPMENT_ROOT_KEY, Tried, TryReport, run_history
from streams.wiring.settings import load_settings
from streams.wiring.trials import plan_trial

try_app = typer.Typer(add_completion=False)

_REPEATED = frozenset({AuditEventType.VERDICT, AuditEventType.DEAD_LETTER})


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
    root_key: HistoryKeyOption = None,
    output: Output,
) -> None:
    """Run the whole engine over a history, in the history's own time, and print the records that it writes.

    It needs no broker and no settings, and does not wait. The same history always gives the same output. After the last
    record an hour of its time passes, so that pending calls are decided. Bad lines are reported with their numbers and
    skipped; the exit status is then 1.

    An intent without a proof gets one, made with a fixed development key that everybody knows. It also gets the
    definition digest of its tool from the catalog.
    """
    screen = output.screen()
    report = TryReport()
    key = DEVELOPMENT_ROOT_KEY if root_key is None else load_root_key(root_key)
    plan = plan_trial(load_settings(), history, key, catalog=catalog, rules=rules)
    counts: Counter[str] = Counter()
    with ExitStack() as closing:
        # Also if it ends early: a bad line can be the reason why there is nothing to run.
        closing.callback(_tell_faults, report)
        closing.enter_context(refusal_recorded(screen))
        file = None if out is None else closing.enter_context(out.open("w", encoding="utf-8", newline="\n"))
        screen.rich(heading(screen.width_chars))
        for tried in run_history(plan, report):
            line = tried.history_line()
            if file is not None and line is not None:
                file.write(f"{line}\n")
            elif line is not None:
                screen.line(line)
            if not _repeats(tried):
                screen.rich(line_of(_row(tried), tried.received.timestamp_ms, screen.width_chars))
            if isinstance(tried.record, Verdict):
                counts[tried.record.outcome.value] += tried.record.outcome in FINAL_OUTCOMES
    _summarise(screen, report, counts)
    if report.faults:
        raise typer.Exit(FAILED)


def _tell_faults(report: TryReport) -> None:
    for fault in report.faults:
        typer.echo(f"{typer.style('error:', fg='red', bold=True)} {printable(str(fault))}", err=True)


def _repeats(tried: Tried) -> bool:
    """Return whether the record repeats the one before: an audit record follows every verdict and dead letter."""
    record = tried.record
    return isinstance(record, AuditEvent) and record.event_type in _REPEATED


def _row(tried: Tried) -> Row:
    if tried.letter is not None:
        return letter_row(tried.letter, tried.received.key)
    return row_of(tried.record) if tried.record is not None else Row("", FAINT, "", "", "")


def _summarise(screen: Screen, report: TryReport, counts: Counter[str]) -> None:
    screen.say()
    verdicts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()) if count) or "none"
    screen.say(f"{report.inputs_count} records processed; rules: {report.rules}; final verdicts: {verdicts}", OK)
    if report.outputs_left_out_count:
        screen.say(f"skipped {report.outputs_left_out_count} records of kinds that the engine itself writes", FAINT)
    if report.faults:
        screen.say(f"skipped {many(len(report.faults), 'bad line')}", FAIL)
