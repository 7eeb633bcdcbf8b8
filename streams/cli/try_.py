"""`stoplog try`: run the whole engine over a history file."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.findings import refusal_recorded
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
    history: Annotated[Path, typer.Argument(metavar="HISTORY", help="Records as JSON lines, each with its time.")],
    catalog: Annotated[
        Path | None, typer.Option("--catalog", metavar="FILE", help="Catalog entries, published before the history.")
    ] = None,
    rules: Annotated[
        Path | None,
        typer.Option("--rules", metavar="DIR", help="Rules; by default the history's own, or the starter rules."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write what comes out there.")] = None,
    root_key: HistoryKeyOption = None,
    output: Output,
) -> None:
    """Run the whole engine over a history, in the history's own time, and print what comes out.

    Nothing else is needed: no broker, no settings, no waiting; the same history gives the same output every time. After
    the last record an hour passes, so that what waits comes to its end. A bad line is told with its number, the rest is
    run, and the exit status is 1.

    Intents without a proof are proven with a key that is the same for all histories and known to everybody, and pinned
    to the catalog's definition of their tool.
    """
    screen = output.screen()
    report = TryReport()
    key = DEVELOPMENT_ROOT_KEY if root_key is None else load_root_key(root_key)
    plan = plan_trial(load_settings(), history, key, catalog=catalog, rules=rules)
    counts: Counter[str] = Counter()
    with ExitStack() as closing:
        # Also where it ends early: what is wrong with a line may be why there is nothing to run.
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
            if not _says_the_same(tried):
                screen.rich(line_of(_row(tried), tried.received.timestamp_ms, screen.width_chars))
            if isinstance(tried.record, Verdict):
                counts[tried.record.outcome.value] += tried.record.outcome in FINAL_OUTCOMES
    _summarise(screen, report, counts)
    if report.faults:
        raise typer.Exit(FAILED)


def _tell_faults(report: TryReport) -> None:
    for fault in report.faults:
        typer.echo(f"{typer.style('error:', fg='red', bold=True)} {printable(str(fault))}", err=True)


def _says_the_same(tried: Tried) -> bool:
    """Whether a person has just read it: verdicts and dead letters are followed by their audit records."""
    record = tried.record
    return isinstance(record, AuditEvent) and record.event_type in _REPEATED


def _row(tried: Tried) -> Row:
    if tried.letter is not None:
        return letter_row(tried.letter, tried.received.key)
    return row_of(tried.record) if tried.record is not None else Row("", FAINT, "", "", "")


def _summarise(screen: Screen, report: TryReport, counts: Counter[str]) -> None:
    screen.say()
    verdicts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()) if count) or "none"
    screen.say(f"{report.inputs_count} records put in, rules: {report.rules}; final verdicts: {verdicts}", OK)
    if report.outputs_left_out_count:
        screen.say(f"records left out because an engine writes them: {report.outputs_left_out_count}", FAINT)
    if report.faults:
        screen.say(f"bad lines left out: {len(report.faults)}", FAIL)
