"""The part of `stoplog rules` that looks at rules before anybody enforces them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from streams.cli.findings import counted, many, tell_findings
from streams.cli.main import FAILED
from streams.cli.option_groups import takes_groups
from streams.cli.options import Connection, Output
from streams.cli.screen import FAIL, FAINT, OK, STRONG, WARN, Screen
from streams.cli.text import printable
from streams.operations.rules.tools import tools_of_file, tools_of_log
from streams.policy import (
    BundleError,
    CaseReport,
    CaseResult,
    Facts,
    MutationReport,
    RuleCoverage,
    Severity,
    ToolTypes,
    case_facts,
    check_bundle,
    load_bundle,
    mutate_cases,
    run_case_files,
    solver_is_installed,
)
from streams.wiring.operators import open_operator

DirArgument = Annotated[Path, typer.Argument(metavar="DIR", help="Where `bundle.yaml` is.")]
CatalogOption = Annotated[
    Path | None,
    typer.Option("--catalog", metavar="FILE", help="Take the tools from there: a history, or JSON of listed tools."),
]

_NOT_PROVEN = (
    "whether rules can never count, add nothing or stop nothing was looked at by the form of their conditions only"
)


@takes_groups
def check(
    *,
    directory: DirArgument,
    catalog: CatalogOption = None,
    live: Annotated[bool, typer.Option("--live", help="Take the tools from the catalog on the log.")] = False,
    prove: Annotated[
        bool, typer.Option("--prove/--no-prove", help="Ask z3 what holds for every intent there can be.")
    ] = True,
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings fail, too.")] = False,
    connection: Connection,
    output: Output,
) -> None:
    """Say what is wrong and what is doubtful in rules; exit status 1 if a gate would refuse them.

    With a catalog, conditions are typed by the tools' input schemas, and patterns that match no tool are told. Rules
    that can never count, add nothing or stop nothing are found by the solver z3 where it is installed: what it can't
    tell is called unknown, and never safe.
    """
    screen = output.screen()
    tools = tools_of_file(catalog) if catalog is not None else None
    if live:
        with open_operator(connection.settings()) as operator:
            tools = {**(tools or {}), **tools_of_log(operator)}
    source = load_bundle(directory)
    asked = prove and solver_is_installed()
    report = check_bundle(source, tools, prove=asked, examples=_examples(directory, tools) if asked else ())
    tell_findings(screen, report.findings, directory, source.files)
    severities = [finding.severity for finding in report.findings]
    failed = not report.ok or (strict and Severity.WARNING in severities)
    screen.record(
        {
            "kind": "summary",
            "accepted": report.ok,
            **{f"{severity}s": severities.count(severity) for severity in Severity},
            "tools": None if tools is None else len(tools),
            "proven": report.is_proven,
        }
    )
    if report.ok and not report.is_proven:
        why = "" if solver_is_installed() else "z3 is not installed, so "
        advice = "" if solver_is_installed() else "; run `pip install 'stoplog[lint]'`"
        screen.say(f"{why}{_NOT_PROVEN}{advice}", WARN)
    found = counted(report.findings)
    verdict = "accepted" if report.ok else "refused: a gate keeps what it has"
    screen.say(f"{verdict}{': ' if report.ok else '; '}{found or 'nothing to say'}", FAIL if failed else OK)
    if failed:
        raise typer.Exit(FAILED)


def _examples(directory: Path, tools: Mapping[str, ToolTypes] | None) -> tuple[Facts, ...]:
    """What the cases show need not be proven."""
    try:
        return case_facts(directory, tools)
    except BundleError:
        return ()


@takes_groups
def run_tests(
    *,
    directory: DirArgument,
    mutate: Annotated[
        bool, typer.Option("--mutate", help="Also change every rule in each place, and see whether a case notices.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show every rule, also those that lack nothing.")
    ] = False,
    output: Output,
) -> None:
    """Run the cases of every `*.tests.yaml`; exit status 1 if one fails, or if a rule lacks cases.

    Every rule needs a case in which it fires, one in which it does not, and one in which a field that it reads is
    missing. Comparisons and tests that are never true, or never false, are told. With --mutate, a change that no case
    notices fails, too.
    """
    screen = output.screen()
    source = load_bundle(directory)
    try:
        report = run_case_files(directory)
    except BundleError as error:
        tell_findings(screen, error.findings, directory, source.files)
        screen.record(_summary(CaseReport((), error.findings), None))
        screen.say(f"nothing was run: the rules are refused; {counted(error.findings)}", FAIL)
        raise typer.Exit(FAILED) from None
    for result in report.results:
        screen.record({"kind": "case", **_case_fields(result)})
        if not result.passed:
            _tell_case(screen, result, directory)
    tell_findings(screen, report.findings, directory, source.files)
    for counts in report.rules:
        screen.record({"kind": "rule", **_rule_fields(counts)})
    lacking = [counts for counts in report.rules if verbose or _lacks(counts)] if report.is_complete else []
    if lacking:
        columns = ("rule", "fires", "does not", "misses a field", "conditions seen")
        screen.table(columns, map(_rule_row, lacking))
    changes = mutate_cases(directory) if mutate and report.passed else None
    if changes is not None:
        _tell_changes(screen, changes, directory)
    screen.record(_summary(report, changes))
    screen.say(_said(report), OK if report.passed else FAIL)
    if mutate and changes is None:
        screen.say("nothing was changed: the cases must pass and cover first", WARN)
    if not _is_sound(report, changes):
        raise typer.Exit(FAILED)


def _is_sound(report: CaseReport, changes: MutationReport | None) -> bool:
    return report.passed and (changes is None or changes.passed)


def _outcomes(report: CaseReport) -> tuple[int, int]:
    """How many outcomes of conditions were seen, and of how many."""
    return sum(counts.seen for counts in report.rules), 2 * sum(counts.tests for counts in report.rules)


def _summary(report: CaseReport, changes: MutationReport | None) -> dict[str, object]:
    seen, outcomes = _outcomes(report)
    return {
        "kind": "summary",
        "passed": _is_sound(report, changes),
        "cases": len(report.results),
        "failed": len(report.failures),
        "rules": len(report.rules),
        "condition_outcomes": outcomes,
        "condition_outcomes_seen": seen,
        "changes": None if changes is None else changes.tried,
        "changes_unnoticed": None if changes is None else len(changes.survivors),
    }


def _said(report: CaseReport) -> str:
    """In a line what became of the cases."""
    cases, failed = many(len(report.results), "case"), len(report.failures)
    seen, outcomes = _outcomes(report)
    became = f"{cases}, {failed:,} failed" if failed else f"{cases} passed"
    if not report.is_complete:
        became = f"{became}, {'and' if failed else 'but'}" if report.results else "nothing was run:"
        return f"{became} the case files are wrong; {counted(report.findings)}"
    if failed:
        return became
    if not report.passed:
        return f"{became}, but not every rule is covered"
    covered = f"{many(len(report.rules), 'rule')}, {seen:,} of {outcomes:,} outcomes of their conditions seen"
    return f"{became}, and every rule is covered ({covered})"


def _tell_case(screen: Screen, result: CaseResult, root: Path) -> None:
    at = result.case.location
    where = printable(f"{root / at.path}:{at.line}:{at.column}: ")
    screen.rich(Text.assemble((where, STRONG), ("failed: ", FAIL), printable(f"case `{result.case.name}`")))
    for problem in result.problems:
        screen.rich(Text.assemble(("       = ", FAINT), printable(problem)))


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


def _rule_fields(counts: RuleCoverage) -> dict[str, object]:
    return {
        "rule": counts.rule_id,
        "fires": counts.fires,
        "does_not_fire": counts.silent,
        "misses_a_field": counts.missing,
        "condition_outcomes": 2 * counts.tests,
        "condition_outcomes_seen": counts.seen,
    }


def _lacks(counts: RuleCoverage) -> bool:
    return counts.seen < 2 * counts.tests


def _rule_row(counts: RuleCoverage) -> list[str | Text]:
    numbers = (counts.fires, counts.silent, counts.missing)
    return [
        Text(counts.rule_id, STRONG),
        *(Text(str(number), style="" if number else FAIL) for number in numbers),
        Text(f"{counts.seen} of {2 * counts.tests}", style=WARN if _lacks(counts) else ""),
    ]


def _tell_changes(screen: Screen, changes: MutationReport, root: Path) -> None:
    for mutant in changes.survivors:
        at = mutant.location
        screen.record(
            {
                "kind": "change",
                "rule": mutant.rule_id,
                "file": at.path,
                "line": at.line,
                "column": at.column,
                "before": mutant.before,
                "after": mutant.after,
            }
        )
        where = printable(f"{root / at.path}:{at.line}:{at.column}: ")
        screen.rich(
            Text.assemble(
                (where, STRONG),
                ("unnoticed: ", FAIL),
                printable(f"rule `{mutant.rule_id}`: `{mutant.before}` may as well be `{mutant.after}`"),
            )
        )
    if changes.survivors:
        screen.say(f"{many(changes.tried, 'change')} tried, {len(changes.survivors):,} noticed by no case", FAIL)
    else:
        screen.say(f"{many(changes.tried, 'change')} tried, each noticed by a case", OK)
