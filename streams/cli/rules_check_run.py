"""Checks rules for `stoplog rules check`, and reports what is found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from streams.cli.findings import counted, many, tell_findings
from streams.cli.main import FAILED
from streams.cli.screen import FAIL, OK, WARN, Screen, proof_progress
from streams.operations.rules.tools import tools_of_file, tools_of_log
from streams.policy import (
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
from streams.wiring.settings import Settings

_NAMED_MAX = 3
_NOT_PROVEN = "rules without effect were searched for by the form of their conditions only"


def run_check(
    directory: Path, catalog: Path | None, settings: Settings | None, screen: Screen, *, prove: bool, strict: bool
) -> None:
    """Check rules and report what is found.

    Args:
        directory: the directory with `bundle.yaml`.
        catalog: the file to read tools from.
        settings: say where the log is, to read tools from the catalog on it; None if they are not read from there.
        screen: what is written to.
        prove: whether the solver is used.
        strict: whether warnings are failures.

    Raises:
        Exit: gates would reject the rules, or there are warnings and `strict` is given.
        StoplogError: a file or the log can't be read.
    """
    tools = tools_of_file(catalog) if catalog is not None else None
    if settings is not None:
        with open_operator(settings) as operator:
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
    return f"of {many(len(rule_ids), 'rule')} not everything is proven, because the solver's work is limited: {named}"


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
