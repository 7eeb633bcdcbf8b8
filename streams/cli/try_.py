"""`stoplog try`: run the whole engine over a history file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, TextIO

import typer

from streams.cli.findings import counted, many, refusal_recorded
from streams.cli.main import FAILED
from streams.cli.option_groups import takes_groups
from streams.cli.options import HistoryKeyOption, Output
from streams.cli.rows import Row, heading, letter_row, line_of, row_of
from streams.cli.scenarios import tell_differences
from streams.cli.screen import FAIL, FAINT, OK, Screen
from streams.cli.text import printable
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.budget import BudgetGrant, BudgetRequest
from streams.model.verdict import FINAL_OUTCOMES, Verdict
from streams.operations.root_key import load_root_key
from streams.operations.scenarios.expectations import (
    ComparedLine,
    HistoryComparison,
    expectation_of,
    expectations_text,
)
from streams.operations.scenarios.observation import Observer
from streams.operations.trial import DEVELOPMENT_ROOT_KEY, Tried, TryReport, read_lines, run_steps
from streams.policy.authoring.scenario import ExpectedLine
from streams.policy.authoring.scenario_expectations import read_expectations
from streams.policy.errors import Findings
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
    expect: Annotated[
        Path | None,
        typer.Option("--expect", metavar="FILE", help="Compare the outcome of each line with what this file expects."),
    ] = None,
    write_expect: Annotated[
        Path | None,
        typer.Option("--write-expect", metavar="FILE", help="Write a file that expects the outcome of each line."),
    ] = None,
    root_key: HistoryKeyOption = None,
    output: Output,
) -> None:
    """Run the whole engine over a history, in the history's own time, and print the records that it writes.

    It needs no broker and no settings, and does not wait. The same history always gives the same output. After the last
    record an hour of its time passes, so that pending calls are decided. Bad lines are reported with their numbers and
    skipped; the exit status is then 1. It is also 1 if a line has another result than the file of --expect says; see
    docs/reference/scenarios.md.

    An intent without a proof gets one, made with a fixed development key that everybody knows. It also gets the
    definition digest of its tool from the catalog.
    """
    screen = output.screen()
    report = TryReport()
    key = DEVELOPMENT_ROOT_KEY if root_key is None else load_root_key(root_key)
    plan = plan_trial(load_settings(), history, key, catalog=catalog, rules=rules)
    expected = None if expect is None else _read_expected(screen, expect)
    comparison = HistoryComparison(observer := Observer(), expected or ())
    counts: Counter[str] = Counter()
    compared: list[ComparedLine] = []
    items: list[str] = []
    with ExitStack() as closing:
        # Also if it ends early: a bad line can be the reason why there is nothing to run.
        closing.callback(_tell_faults, report)
        closing.enter_context(refusal_recorded(screen))
        file = None if out is None else closing.enter_context(out.open("w", encoding="utf-8", newline="\n"))
        screen.rich(heading(screen.width_chars))
        for step in run_steps(read_lines(plan, report), plan, report, observer.compile):
            for tried in step.written:
                _tell(screen, tried, file)
                if isinstance(tried.record, Verdict):
                    counts[tried.record.outcome.value] += tried.record.outcome in FINAL_OUTCOMES
            happened = comparison.happened(step)
            compared.append(comparison.compared(step, happened))
            items += [item] if (item := expectation_of(step, happened)) is not None else []
    _summarise(screen, report, counts)
    if write_expect is not None:
        write_expect.write_text(expectations_text(history.name, items), "utf-8")
    if expected is not None and _differs(screen, [*compared, *comparison.missed()], history):
        raise typer.Exit(FAILED)
    if report.faults:
        raise typer.Exit(FAILED)


def _read_expected(screen: Screen, path: Path) -> tuple[ExpectedLine, ...]:
    """Read a file of expectations; end the command if it has errors."""
    findings = Findings()
    expected = read_expectations(path, findings)
    if findings.has_errors:
        for finding in findings.sorted():
            typer.echo(printable(str(finding)), err=True)
        screen.say(f"nothing was run: `{path}` has errors ({counted(findings)})", FAIL)
        raise typer.Exit(FAILED)
    return expected


def _differs(screen: Screen, compared: Sequence[ComparedLine], history: Path) -> bool:
    """Write how lines differ from what was expected, and return whether any does."""
    differing = [line for line in compared if line.differences]
    tell_differences(differing, history)
    if differing:
        screen.say(f"{many(len(differing), 'line')} with another result than expected", FAIL)
    else:
        screen.say("every line has the expected result", OK)
    return bool(differing)


def _tell(screen: Screen, tried: Tried, file: TextIO | None) -> None:
    line = tried.history_line()
    if file is not None and line is not None:
        file.write(f"{line}\n")
    elif line is not None:
        screen.line(line)
    if not _says_nothing(tried):
        screen.rich(line_of(_row(tried), tried.received.timestamp_ms, screen.width_chars))


def _tell_faults(report: TryReport) -> None:
    for fault in report.faults:
        typer.echo(f"{typer.style('error:', fg='red', bold=True)} {printable(str(fault))}", err=True)


def _says_nothing(tried: Tried) -> bool:
    """Return whether a line for the record would tell a person nothing.

    An audit record follows every verdict and dead letter, and gates lease shares of budgets from the allocator.
    """
    record = tried.record
    if isinstance(record, BudgetRequest | BudgetGrant):
        return True
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
