"""Runs the whole engine over a history file for `stoplog try`."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from io import TextIOWrapper
from pathlib import Path
from typing import NamedTuple, TextIO

import typer

from streams.cli.main import FAILED
from streams.cli.terminal.screen import FAIL, FAINT, OK, WARN, Screen
from streams.cli.terminal.text import label, printable
from streams.cli.views.findings import counted, refusal_recorded
from streams.cli.views.rows import MIXED, Row, heading, letter_row, line_of, row_of
from streams.cli.views.scenarios import tell_differences
from streams.model.alert import Alert
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.budget import BudgetGrant, BudgetRequest
from streams.model.plurals import many
from streams.model.verdict import FINAL_OUTCOMES, Verdict
from streams.operations.private_file import open_private, write_private
from streams.operations.scenarios.expectations import (
    ComparedLine,
    HistoryComparison,
    expectation_of,
    expectations_text,
)
from streams.operations.scenarios.observation import Observer
from streams.operations.trial import DEVELOPMENT_ROOT_KEY, TryReport, read_lines, run_steps
from streams.operations.trial_answers import EVERY_RULE, Answers
from streams.operations.trial_engine import Tried
from streams.policy.authoring.scenario import ExpectedLine
from streams.policy.authoring.scenario_expectations import read_expectations
from streams.policy.errors import Findings
from streams.sdk.keys.root_key import load_root_key
from streams.wiring.settings_loading import load_settings
from streams.wiring.trials import plan_trial

FAULTS_SHOWN_MAX = 20
"""The bad lines of a history that are shown one by one: a wrong file has nothing else."""

_REPEATED = frozenset({AuditEventType.VERDICT, AuditEventType.DEAD_LETTER})


class Trial(NamedTuple):
    """What to run, and what to compare and write; `stoplog try --help` says what each file is for."""

    history: Path
    catalog: Path | None
    rules: Path | None
    out: Path | None
    expect: Path | None
    write_expect: Path | None
    approve: tuple[str, ...]
    root_key: Path | None
    watch: bool = False

    @property
    def explaining(self) -> str:
        """The command that explains an intent of the history, up to the intent's id."""
        options = (("--history", self.history), ("--catalog", self.catalog), ("--root-key", self.root_key))
        words = ["stoplog", "rules", "explain", *([] if self.rules is None else [str(self.rules)])]
        words += [word for name, path in options if path is not None for word in (name, str(path))]
        return f"{shlex.join(words)} --intent"


def run_trial(trial: Trial, screen: Screen) -> None:
    """Run a trial, and write its records.

    Raises:
        Exit: a line of the history is bad, or has another result than expected.
        StoplogError: a file can't be used.
    """
    report = TryReport()
    key = DEVELOPMENT_ROOT_KEY if trial.root_key is None else load_root_key(trial.root_key)
    plan = plan_trial(
        load_settings(),
        trial.history,
        key,
        catalog=trial.catalog,
        rules=trial.rules,
        approve=trial.approve,
        watch=trial.watch,
    )
    expected = None if trial.expect is None else _read_expected(screen, trial.expect)
    comparison = HistoryComparison(observer := Observer(), expected or ())
    counts: Counter[str] = Counter()
    compared: list[ComparedLine] = []
    items: list[str] = []
    with ExitStack() as closing:
        # Also if it ends early: a bad line can be the reason why there is nothing to run.
        closing.callback(_tell_faults, report)
        closing.enter_context(refusal_recorded(screen))
        file = None if trial.out is None else closing.enter_context(_opened(trial.out))
        lines = read_lines(plan, report)
        if lines:
            screen.rich(heading(MIXED, screen.width_chars))
        for step in run_steps(lines, plan, report, observer.compile):
            for tried in step.written:
                _tell(screen, tried, file, trial.explaining)
                if isinstance(tried.record, Verdict):
                    counts[tried.record.outcome.value] += tried.record.outcome in FINAL_OUTCOMES
            happened = comparison.happened(step)
            compared.append(comparison.compared(step, happened))
            items += [item] if (item := expectation_of(step, happened)) is not None else []
    _summarise(screen, report, counts, trial.approve)
    if trial.write_expect is not None:
        write_private(trial.write_expect, expectations_text(trial.history.name, items))
    if expected is not None and _differs(screen, [*compared, *comparison.missed()], trial.history):
        raise typer.Exit(FAILED)
    if report.faults:
        raise typer.Exit(FAILED)


def _opened(path: Path) -> TextIOWrapper:
    """Open the file of what is written: verdicts have the arguments of calls."""
    return TextIOWrapper(open_private(path), encoding="utf-8", newline="\n")


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


def _tell(screen: Screen, tried: Tried, file: TextIO | None, explaining: str) -> None:
    line = tried.history_line()
    if file is not None and line is not None:
        file.write(f"{line}\n")
    elif line is not None:
        screen.line(line)
    if not _says_nothing(tried):
        screen.rich(line_of(_row(tried, explaining), tried.received.timestamp_ms, screen.width_chars))


def _tell_faults(report: TryReport) -> None:
    error = label("error", "red")
    for fault in report.faults[:FAULTS_SHOWN_MAX]:
        typer.echo(f"{error} {printable(str(fault))}", err=True)
    if (more := len(report.faults) - FAULTS_SHOWN_MAX) > 0:
        typer.echo(f"{error} {many(more, 'further bad line')}", err=True)


def _says_nothing(tried: Tried) -> bool:
    """Return whether a line for the record would tell a person nothing.

    An audit record follows every verdict and dead letter, and gates lease shares of budgets from the allocator.
    """
    record = tried.record
    if isinstance(record, BudgetRequest | BudgetGrant):
        return True
    return isinstance(record, AuditEvent) and record.event_type in _REPEATED


def _row(tried: Tried, explaining: str) -> Row:
    if tried.letter is not None:
        return letter_row(tried.letter, tried.received.key)
    if tried.record is None:
        return Row("", FAINT, "", "", "")
    row = row_of(tried.record)
    if not isinstance(tried.record, Alert):
        return row
    # The alert's own commands ask the log, which knows nothing of a history.
    intent_id = tried.record.intent_id
    return row._replace(then="" if intent_id is None else f"{explaining} {intent_id}")


def _tell_questions(screen: Screen, answers: Answers, approve: Sequence[str]) -> None:
    """Say how many questions people were asked, by which rules, and how many were answered with yes."""
    if answers.questions_count:
        by_rule = ", ".join(f"{rule} {count}" for rule, count in sorted(answers.questions.items()))
        answered = f"; {answers.answered_count} answered with yes (--approve)" if approve else ""
        screen.say(f"{many(answers.questions_count, 'question')} to people: {by_rule}{answered}", OK)
    for rule in approve:
        if rule != EVERY_RULE and rule not in answers.questions:
            screen.say(f"rule `{rule}` of --approve has asked nothing", WARN)


def _summarise(screen: Screen, report: TryReport, counts: Counter[str], approve: Sequence[str]) -> None:
    screen.say()
    _tell_questions(screen, report.answers, approve)
    verdicts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()) if count) or "none"
    told = f"{many(report.inputs_count, 'record')} processed"
    screen.say(f"{told}; rules: {report.rules}; final verdicts: {verdicts}", OK)
    if report.outputs_left_out_count:
        left_out = many(report.outputs_left_out_count, "record")
        screen.say(f"skipped {left_out} of kinds that the engine itself writes", FAINT)
    if report.faults:
        screen.say(f"skipped {many(len(report.faults), 'bad line')}", FAIL)
