"""`stoplog rules check`: report errors and doubtful places in rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.findings import counted, many, tell_findings
from streams.cli.main import FAILED
from streams.cli.option_groups import takes_groups
from streams.cli.options import Connection, Output
from streams.cli.screen import FAIL, OK, WARN, proof_progress
from streams.operations.rules.tools import tools_of_file, tools_of_log
from streams.policy import (
    QUESTIONS_MAX,
    BundleError,
    Facts,
    Severity,
    ToolTypes,
    case_facts,
    check_bundle,
    load_bundle,
    solver_is_installed,
)
from streams.wiring.operators import open_operator

DirArgument = Annotated[Path, typer.Argument(metavar="DIR", help="The directory with `bundle.yaml`.")]
CatalogOption = Annotated[
    Path | None,
    typer.Option(
        "--catalog", metavar="FILE", help="Read the tools from this file: a history, or JSON of listed tools."
    ),
]

_NAMED_MAX = 3
_NOT_PROVEN = "rules without effect were searched for by the form of their conditions only"


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
    """Report errors and doubtful places in rules; exit status 1 if a gate would reject them.

    With a catalog, arguments have the types of the tools' input schemas, and patterns that match no tool are reported.
    Rules without effect are found with the solver z3, if it is installed. Where z3 finds no answer, the result is
    reported as unknown. z3 is asked 2,000 questions at most; if that is not enough, the rules are counted and named of
    which not everything is proven.
    """
    screen = output.screen()
    tools = tools_of_file(catalog) if catalog is not None else None
    if live:
        with open_operator(connection.settings()) as operator:
            tools = {**(tools or {}), **tools_of_log(operator)}
    source = load_bundle(directory)
    asked = prove and solver_is_installed()
    with proof_progress() as progress:
        examples = _examples(directory, tools) if asked else ()
        report = check_bundle(source, tools, prove=asked, examples=examples, progress=progress)
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
            "rules_not_proven": len(report.unproven),
            "findings_left_out": report.left_out_count,
        }
    )
    if report.left_out_count:
        screen.say(f"{many(report.left_out_count, 'further finding')} not shown", WARN)
    if report.unproven:
        screen.say(_unproven(sorted(report.unproven)), WARN)
    if report.ok and not report.is_proven:
        why = "" if solver_is_installed() else "z3 is not installed, so "
        advice = "" if solver_is_installed() else "; run `pip install 'stoplog[lint]'`"
        screen.say(f"{why}{_NOT_PROVEN}{advice}", WARN)
    screen.say(_outcome(report.ok, counted(report.findings)), FAIL if failed else OK)
    if failed:
        raise typer.Exit(FAILED)


def _unproven(rule_ids: Sequence[str]) -> str:
    named = ", ".join(rule_ids[:_NAMED_MAX]) + (", ..." if len(rule_ids) > _NAMED_MAX else "")
    return (
        f"of {many(len(rule_ids), 'rule')} not everything is proven, because the solver is asked "
        f"{QUESTIONS_MAX:,} questions at most: {named}"
    )


def _outcome(is_accepted: bool, counts: str) -> str:
    """Return the last line: whether gates accept the rules, and how many findings there are."""
    if is_accepted:
        return f"accepted: {counts}" if counts else "accepted, no findings"
    return f"rejected: {counts}; gates keep the rules that they have"


def _examples(directory: Path, tools: Mapping[str, ToolTypes] | None) -> tuple[Facts, ...]:
    """Return the facts of the test cases: examples that z3 need not look for."""
    try:
        return case_facts(directory, tools)
    except BundleError:
        return ()
