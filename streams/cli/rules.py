"""`stoplog rules`: check, test and publish a directory of rules."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from streams.cli.main import FAILED
from streams.cli.options import JsonOption
from streams.cli.rules_publish import promote, publish, rollback, sign, status
from streams.cli.screen import FAIL, FAINT, OK, WARN, Screen
from streams.policy import CaseResult, Finding, Severity, check_bundle, load_bundle, run_case_files

app = typer.Typer(add_completion=False, help="Check, test and publish rules.", rich_markup_mode="rich")

DirArgument = Annotated[Path, typer.Argument(metavar="DIR", help="Where `bundle.yaml` is.")]
_STYLES = {Severity.ERROR: FAIL, Severity.WARNING: WARN, Severity.NOTE: FAINT}


@app.command()
def check(directory: DirArgument, as_json: JsonOption = None) -> None:
    """Say what is wrong and what is doubtful in rules; exit status 1 if a gate would refuse them."""
    screen = Screen(as_json)
    report = check_bundle(load_bundle(directory))
    _tell_findings(screen, report.findings)
    if not report.ok:
        screen.say("refused: a gate keeps what it has", FAIL)
        raise typer.Exit(FAILED)
    screen.say(f"accepted: {directory}", OK)


@app.command("test")
def run_cases(directory: DirArgument, as_json: JsonOption = None) -> None:
    """Run the cases of every `*.tests.yaml`; exit status 1 if one fails, or if a rule lacks cases."""
    screen = Screen(as_json)
    report = run_case_files(directory)
    for result in report.results:
        screen.record(_case_fields(result))
        if not result.passed:
            screen.say(f"{result.case.location}: `{result.case.name}` failed", FAIL)
            for problem in result.problems:
                screen.say(f"  {problem}")
    _tell_findings(screen, report.findings)
    failed = len(report.failures)
    count = f"{len(report.results)} case{'' if len(report.results) == 1 else 's'}"
    if report.passed:
        screen.say(f"{count} passed, and every rule is covered", OK)
        return
    screen.say(f"{count}, {failed} failed" if failed else f"{count} passed, but not every rule is covered", FAIL)
    raise typer.Exit(FAILED)


for _command in (publish, sign, promote, rollback, status):
    app.command()(_command)


def _tell_findings(screen: Screen, findings: Iterable[Finding]) -> None:
    for finding in findings:
        screen.record(
            {
                "severity": finding.severity.value,
                "code": finding.code,
                "file": finding.location.path,
                "line": finding.location.line,
                "column": finding.location.column,
                "rule": finding.rule_id,
                "message": finding.message,
                "hint": finding.hint,
            }
        )
        screen.rich(Text(str(finding), style=_STYLES[finding.severity]))


def _case_fields(result: CaseResult) -> dict[str, object]:
    case = result.case
    return {
        "case": case.name,
        "file": case.location.path,
        "line": case.location.line,
        "passed": result.passed,
        "verdict": result.result.effect.value,
        "problems": list(result.problems),
    }
