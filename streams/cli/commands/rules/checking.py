"""Checks rules for `stoplog rules check`, and reports what is found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import typer

from streams.cli.main import FAILED
from streams.cli.terminal.screen import FAIL, OK, WARN, Screen, proof_progress
from streams.cli.views.findings import counted, tell_findings
from streams.model.plurals import many
from streams.operations.behaviour.histories import check_behaviour, has_only_detectors
from streams.operations.rules.tools import tools_of_file, tools_of_log
from streams.policy import (
    BundleReadError,
    FilesBeside,
    Finding,
    LintReport,
    Severity,
    ToolTypes,
    check_bundle,
    check_files_beside,
    load_bundle,
    solver_is_installed,
)
from streams.policy.language.bundle import read_text
from streams.wiring.operators import open_operator
from streams.wiring.settings import Settings

_NAMED_MAX = 3
_NOTHING = FilesBeside()
_NOT_PROVEN = "rules without effect were searched for by the form of their conditions only"


def run_check(
    directory: Path, catalog: Path | None, settings: Settings | None, screen: Screen, *, prove: bool, strict: bool
) -> None:
    """Check rules and the files beside them, and report what is found.

    Args:
        directory: the directory with `bundle.yaml`, or with detectors alone.
        catalog: the file to read tools from.
        settings: say where the log is, to read tools from the catalog on it; None if they are not read from there.
        screen: what is written to.
        prove: whether the solver is used.
        strict: whether warnings are failures.

    Raises:
        Exit: there are errors, or there are warnings and `strict` is given.
        StoplogError: a file or the log can't be read.
    """
    tools = tools_of_file(catalog) if catalog is not None else None
    if settings is not None:
        with open_operator(settings) as operator:
            tools = {**(tools or {}), **tools_of_log(operator)}
    # A folder may have detectors alone, as for `rules test`.
    has_rules = not has_only_detectors(directory)
    report, beside, texts = _check_rules(directory, tools, prove=prove) if has_rules else (LintReport(()), _NOTHING, {})
    others = (*beside.findings, *check_behaviour(directory))
    findings = (*report.findings, *others)
    left_out_count = report.left_out_count + beside.left_out_count
    tell_findings(screen, findings, directory, {**_texts_of(directory, others), **texts})
    severities = [finding.severity for finding in findings]
    failed = Severity.ERROR in severities or (strict and Severity.WARNING in severities)
    screen.record(
        {
            "record": "summary",
            "accepted": report.ok,
            **{f"{severity}s": severities.count(severity) for severity in Severity},
            "tools": None if tools is None else len(tools),
            "proven": report.is_proven,
            "rules_not_proven": len(report.unproven),
            "findings_left_out": left_out_count,
        }
    )
    if left_out_count:
        screen.say(f"{many(left_out_count, 'further finding')} not shown", WARN)
    if report.unproven:
        screen.say(_unproven(sorted(report.unproven)), WARN)
    if has_rules and report.ok and not report.is_proven:
        why = "" if solver_is_installed() else "z3 is not installed, so "
        advice = "" if solver_is_installed() else "; run `pip install 'stoplog[lint]'`"
        screen.say(f"{why}{_NOT_PROVEN}{advice}", WARN)
    has_faults = any(finding.severity is Severity.ERROR for finding in others)
    screen.say(_outcome(report.ok, has_faults, counted(findings)), FAIL if failed else OK)
    if failed:
        raise typer.Exit(FAILED)


def _check_rules(
    directory: Path, tools: Mapping[str, ToolTypes] | None, *, prove: bool
) -> tuple[LintReport, FilesBeside, Mapping[str, str]]:
    """Return what is found in the rules, what is found in the files that test them, and the texts of the rules."""
    source = load_bundle(directory)
    beside = check_files_beside(directory, source, tools)
    asked = prove and solver_is_installed()
    with proof_progress() as progress:
        # The facts of the test cases are examples that z3 need not look for.
        report = check_bundle(source, tools, prove=asked, examples=beside.facts, progress=progress)
    return report, beside, source.files


def _texts_of(directory: Path, findings: Iterable[Finding]) -> dict[str, str]:
    """Return the texts of the files that findings are in, by their paths in the folder, without those that can't be
    read."""
    texts = {}
    for path in {finding.location.path for finding in findings}:
        with suppress(BundleReadError):
            texts[path] = read_text(directory / path)
    return texts


def _unproven(rule_ids: Sequence[str]) -> str:
    named = ", ".join(rule_ids[:_NAMED_MAX]) + (", ..." if len(rule_ids) > _NAMED_MAX else "")
    return f"of {many(len(rule_ids), 'rule')} not everything is proven, because the solver's work is limited: {named}"


def _outcome(is_accepted: bool, has_faults: bool, counts: str) -> str:
    """Return the last line: whether gates accept the rules, whether other files have errors, and how many findings
    there are."""
    if not is_accepted:
        return f"rejected: {counts}; gates keep the rules that they have"
    if has_faults:
        return f"errors in files beside the rules: {counts}; `rules test` and the watch reject these files"
    return f"accepted: {counts}" if counts else "accepted, no findings"
