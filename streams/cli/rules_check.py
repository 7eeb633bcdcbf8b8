"""The commands of `stoplog rules` that check and test rules before they are published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from streams.cli.findings import counted, many, tell_findings
from streams.cli.main import FAILED
from streams.cli.option_groups import takes_groups
from streams.cli.options import Connection, Output
from streams.cli.scenarios import scenario_counts, tell_scenario_counts, tell_scenarios
from streams.cli.screen import FAIL, FAINT, OK, STRONG, WARN, Screen, proof_progress
from streams.cli.text import printable
from streams.operations.rules.tools import tools_of_file, tools_of_log
from streams.operations.scenarios.run import ScenarioReport, run_scenarios
from streams.policy import (
    QUESTIONS_MAX,
    AttackReport,
    BundleError,
    CaseReport,
    CaseResult,
    Facts,
    MutationReport,
    RuleCoverage,
    Severity,
    TechniqueResult,
    ToolTypes,
    case_facts,
    check_bundle,
    load_bundle,
    mutate_cases,
    run_case_files,
    solver_is_installed,
)
from streams.wiring.codecs import build_offline_codec
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


@takes_groups
def run_tests(
    *,
    directory: DirArgument,
    mutate: Annotated[
        bool,
        typer.Option("--mutate", help="Also change each part of every rule, and report changes that no case detects."),
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show all rules, not only those with gaps.")] = False,
    output: Output,
) -> None:
    """Run the cases of every `*.tests.yaml`, the scenarios of every `*.scenarios.yaml` and the attacks of every
    `*.attacks.yaml`.

    The exit status is 1 if a case or a step of a scenario fails, if a rule lacks cases, if more than 5 in 100 attacks
    of a technique pass, or if an innocent call has another verdict than expected.

    Scenarios are sequences: they run through the gate that `stoplog try` runs, with memories, budgets, approvals and
    stops.

    Every rule needs a case in which it fires, one in which it does not, and one in which a field that it reads is
    missing. Conditions that are never true, or never false, in any case are reported. With --mutate, a change that no
    case detects is a failure, too.
    """
    screen = output.screen()
    source = load_bundle(directory)
    try:
        scenarios = run_scenarios(directory, build_offline_codec())
        report = run_case_files(directory, observations=scenarios.observations)
    except BundleError as error:
        tell_findings(screen, error.findings, directory, source.files)
        screen.record(_summary(CaseReport((), error.findings), ScenarioReport(), None))
        screen.say(f"no case was run: the rules are invalid ({counted(error.findings)})", FAIL)
        raise typer.Exit(FAILED) from None
    for result in report.results:
        screen.record({"kind": "case", **case_fields(result)})
        if not result.passed:
            tell_case(screen, result, directory)
    tell_scenarios(screen, scenarios, directory)
    tell_findings(screen, (*scenarios.findings, *report.findings), directory, source.files)
    for counts in report.rules:
        screen.record({"kind": "rule", **_rule_fields(counts)})
    lacking = [counts for counts in report.rules if verbose or _lacks(counts)] if report.is_complete else []
    if lacking:
        columns = ("rule", "fires", "does not fire", "misses a field", "outcomes seen")
        screen.table(columns, map(_rule_row, lacking))
    _tell_attacks(screen, report.attacks)
    tell_scenario_counts(screen, scenarios)
    changes = mutate_cases(directory) if mutate and report.passed and scenarios.passed else None
    if changes is not None:
        _tell_changes(screen, changes, directory)
    screen.record(_summary(report, scenarios, changes))
    screen.say(_said(report), OK if report.passed else FAIL)
    if not scenarios.passed and not scenarios.failures:
        screen.say(f"no scenario was run: the scenario files have errors ({counted(scenarios.findings)})", FAIL)
    if mutate and changes is None:
        screen.say("no rule was changed: first, all cases must pass and every rule must be covered", WARN)
    if not _is_sound(report, scenarios, changes):
        raise typer.Exit(FAILED)


def _is_sound(report: CaseReport, scenarios: ScenarioReport, changes: MutationReport | None) -> bool:
    return report.passed and scenarios.passed and (changes is None or changes.passed)


def _outcomes(report: CaseReport) -> tuple[int, int]:
    """Return how many outcomes of conditions were seen, and how many there are."""
    return sum(counts.seen for counts in report.rules), 2 * sum(counts.tests for counts in report.rules)


def _summary(report: CaseReport, scenarios: ScenarioReport, changes: MutationReport | None) -> dict[str, object]:
    seen, outcomes = _outcomes(report)
    return {
        "kind": "summary",
        "passed": _is_sound(report, scenarios, changes),
        "cases": len(report.results),
        "failed": len(report.failures),
        "rules": len(report.rules),
        "condition_outcomes": outcomes,
        "condition_outcomes_seen": seen,
        "attacks": report.attacks.attacks,
        "attacks_caught": report.attacks.caught,
        "innocent_calls": report.attacks.innocent_calls,
        **scenario_counts(scenarios),
        "changes": None if changes is None else changes.tried,
        "changes_unnoticed": None if changes is None else len(changes.survivors),
    }


def _said(report: CaseReport) -> str:
    """Return the results of the cases in one line."""
    cases, failed = many(len(report.results), "case"), len(report.failures)
    seen, outcomes = _outcomes(report)
    ran = f"{cases}, {failed:,} failed" if failed else f"{cases} passed"
    if not report.is_complete:
        ran = f"{ran}, {'and' if failed else 'but'}" if report.results else "no case was run:"
        return f"{ran} the case files have errors ({counted(report.findings)})"
    if failed:
        return ran
    if not report.passed:
        return f"{ran}, but not every rule is covered"
    covered = f"{many(len(report.rules), 'rule')}, {seen:,} of {outcomes:,} outcomes of their conditions seen"
    return f"{ran}, and every rule is covered ({covered})"


def _tell_attacks(screen: Screen, report: AttackReport) -> None:
    for result in report.techniques:
        screen.record({"kind": "technique", **_technique_fields(result)})
    if report.techniques:
        columns = ("pack", "technique", "attacks", "denied", "need approval", "pass", "caught")
        screen.table(columns, map(_technique_row, report.techniques))
        caught = f"{many(report.attacks, 'attack')}, {report.caught:,} caught"
        screen.say(f"{caught}; {many(report.innocent_calls, 'innocent call')}", OK if report.holds else FAIL)


def _technique_fields(result: TechniqueResult) -> dict[str, object]:
    technique = result.technique
    return {
        "pack": technique.pack,
        "technique": technique.name,
        "attacks": len(technique.calls),
        "denied": result.denied,
        "approval_required": result.asked,
        "passed": len(result.passed),
        "caught_percent": round(result.caught_percent, 1),
    }


def _technique_row(result: TechniqueResult) -> list[str | Text]:
    numbers = (len(result.technique.calls), result.denied, result.asked, len(result.passed))
    return [
        result.technique.pack,
        printable(result.technique.name),
        *map(str, numbers),
        Text(f"{result.caught_percent:.0f}%", style=OK if result.holds else FAIL),
    ]


def tell_case(screen: Screen, result: CaseResult, root: Path) -> None:
    """Write a case that failed, and why."""
    at = result.case.location
    where = printable(f"{root / at.path}:{at.line}:{at.column}: ")
    screen.rich(Text.assemble((where, STRONG), ("failed: ", FAIL), printable(f"case `{result.case.name}`")))
    for problem in result.problems:
        screen.rich(Text.assemble(("       = ", FAINT), printable(problem)))


def case_fields(result: CaseResult) -> dict[str, object]:
    """Return the result of a case as JSON."""
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
    return counts.lacking > 0 or counts.seen < 2 * counts.tests


def _rule_row(counts: RuleCoverage) -> list[str | Text]:
    numbers = (counts.fires, counts.silent, counts.missing)
    return [
        Text(counts.rule_id, STRONG),
        *(Text(str(number), style="" if number else FAIL) for number in numbers),
        Text(f"{counts.seen} of {2 * counts.tests}", style=WARN if counts.seen < 2 * counts.tests else ""),
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
                ("undetected: ", FAIL),
                printable(f"rule `{mutant.rule_id}`: no case fails if `{mutant.before}` becomes `{mutant.after}`"),
            )
        )
    if changes.survivors:
        screen.say(f"{many(changes.tried, 'change')} tried, {len(changes.survivors):,} not detected by any case", FAIL)
    else:
        screen.say(f"{many(changes.tried, 'change')} tried, each detected by a case", OK)
