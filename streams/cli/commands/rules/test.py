"""`stoplog rules test`: run the cases, the scenarios and the attacks of a folder of rules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.commands.rules.check import DirArgument
from streams.cli.main import FAILED
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import Output
from streams.cli.terminal.screen import FAIL, FAINT, OK, STRONG, WARN, Screen
from streams.cli.terminal.styled import Text
from streams.cli.terminal.text import printable
from streams.cli.views.case_results import case_fields, tell_case
from streams.cli.views.findings import counted, tell_findings
from streams.cli.views.histories import history_counts, tell_histories, tell_history_counts
from streams.cli.views.scenarios import scenario_counts, tell_scenario_counts, tell_scenarios
from streams.model.plurals import many
from streams.operations.behaviour.histories import HistoryReport, has_only_detectors, run_histories
from streams.operations.scenarios.run import ScenarioReport, run_scenarios
from streams.policy import (
    AttackReport,
    BundleError,
    CaseReport,
    MutationReport,
    RuleCoverage,
    TechniqueResult,
    load_bundle,
    mutate_cases,
    run_case_files,
)
from streams.policy.errors import nearest
from streams.policy.language.bundle import DETECTORS_SUFFIX, RULES_SUFFIX, load_detector_files
from streams.wiring.codecs import build_offline_codec


@takes_groups
def run_tests(
    *,
    directory: DirArgument,
    pack: Annotated[
        str | None, typer.Option("--pack", metavar="NAME", help="Run only what lies in the folder of this pack.")
    ] = None,
    mutate: Annotated[
        bool,
        typer.Option("--mutate", help="Also change each part of every rule, and report changes that no case detects."),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show all rules, and all histories, not only those with gaps.")
    ] = False,
    output: Output,
) -> None:
    """Run the cases, scenarios and attacks beside the rules, and the histories beside the detectors.

    They are in `*.tests.yaml`, `*.scenarios.yaml`, `*.attacks.yaml` and `*.histories.yaml`. A folder may have rules,
    detectors or both.

    The exit status is 1 if a case or a step of a scenario fails, if a rule lacks cases, if more than 5 in 100 attacks
    of a technique pass, or if an innocent call has another verdict than expected.

    Scenarios are sequences: they run through the gate that `stoplog try` runs, with memories, budgets, approvals and
    stops. Histories are weeks of work in some lines: they run through the watch of `stoplog watch`, and must raise
    exactly the alerts that they name. `--verbose` shows them all, with what the alerts say.

    Every rule needs a case in which it matches, one in which it does not, and one in which a field that it reads is
    missing. Conditions that are never true, or never false, in any case are reported. With `--mutate`, a change that no
    case detects is a failure, too.

    With `--pack`, the rules of all packs decide, as they do in a gate, and only those of the pack must be covered.
    """
    screen = output.screen()
    if pack is not None:
        _check_pack(directory, pack)
    has_rules = not has_only_detectors(directory) and (pack is None or _has_rules(directory / pack))
    files = load_bundle(directory).files if has_rules else load_detector_files(directory)
    try:
        scenarios, report = _run_rules(directory, pack) if has_rules else (ScenarioReport(), CaseReport((), ()))
        histories = run_histories(directory, build_offline_codec(), pack)
    except BundleError as error:
        tell_findings(screen, error.findings, directory, files)
        screen.record(_summary(CaseReport((), error.findings), ScenarioReport(), HistoryReport(), None))
        screen.say(f"no case was run: the rules are invalid ({counted(error.findings)})", FAIL)
        raise typer.Exit(FAILED) from None
    for result in report.results:
        screen.record({"record": "case", **case_fields(result)})
        if not result.passed:
            tell_case(screen, result, directory)
    tell_scenarios(screen, scenarios, directory)
    tell_histories(screen, histories, directory, verbose=verbose)
    findings = (*scenarios.findings, *histories.findings, *report.findings)
    tell_findings(screen, findings, directory, files)
    for counts in report.rules:
        screen.record({"record": "rule", **_rule_fields(counts)})
    lacking = [counts for counts in report.rules if verbose or _lacks(counts)] if report.is_complete else []
    if lacking:
        columns = ("rule", "matches", "does not match", "misses a field", "outcomes seen")
        screen.table(columns, map(_rule_row, lacking))
    _tell_attacks(screen, report.attacks)
    tell_scenario_counts(screen, scenarios)
    tell_history_counts(screen, histories)
    mutate = mutate and has_rules
    changes = mutate_cases(directory, pack=pack) if mutate and report.passed and scenarios.passed else None
    if changes is not None:
        _tell_changes(screen, changes, directory)
    screen.record(_summary(report, scenarios, histories, changes))
    screen.say(*_told(report, histories, has_rules=has_rules))
    if not scenarios.passed and not scenarios.failures:
        screen.say(f"no scenario was run: the scenario files have errors ({counted(scenarios.findings)})", FAIL)
    if not histories.passed and not histories.failures:
        screen.say(f"no history was run: the files of histories have errors ({counted(histories.findings)})", FAIL)
    if mutate and changes is None:
        screen.say("no rule was changed: first, all cases must pass and every rule must be covered", WARN)
    if not _is_sound(report, scenarios, histories, changes):
        raise typer.Exit(FAILED)


def _check_pack(directory: Path, pack: str) -> None:
    """Raise an error with what may be meant if a folder has no pack of this name."""
    suffixes = (RULES_SUFFIX, DETECTORS_SUFFIX)
    known = sorted({path.parent.name for suffix in suffixes for path in directory.glob(f"*/*{suffix}")})
    if known and pack not in known:
        hint = nearest(pack, known) or f"the packs are {', '.join(known)}"
        raise typer.BadParameter(f"`{directory}` has no pack `{pack}`: {hint}", param_hint="--pack")


def _has_rules(folder: Path) -> bool:
    return any(folder.glob(f"*{RULES_SUFFIX}"))


def _run_rules(directory: Path, pack: str | None) -> tuple[ScenarioReport, CaseReport]:
    scenarios = run_scenarios(directory, build_offline_codec(), pack)
    return scenarios, run_case_files(directory, observations=scenarios.observations, pack=pack)


def _is_sound(
    report: CaseReport, scenarios: ScenarioReport, histories: HistoryReport, changes: MutationReport | None
) -> bool:
    return report.passed and scenarios.passed and histories.passed and (changes is None or changes.passed)


def _outcomes(report: CaseReport) -> tuple[int, int]:
    """Return how many outcomes of conditions were seen, and how many there are."""
    return sum(counts.seen for counts in report.rules), 2 * sum(counts.tests for counts in report.rules)


def _summary(
    report: CaseReport, scenarios: ScenarioReport, histories: HistoryReport, changes: MutationReport | None
) -> dict[str, object]:
    seen, outcomes = _outcomes(report)
    return {
        "record": "summary",
        "passed": _is_sound(report, scenarios, histories, changes),
        "cases": len(report.results),
        "failed": len(report.failures),
        "rules": len(report.rules),
        "condition_outcomes": outcomes,
        "condition_outcomes_seen": seen,
        "attacks": report.attacks.attacks,
        "attacks_caught": report.attacks.caught,
        "innocent_calls": report.attacks.innocent_calls,
        **scenario_counts(scenarios),
        **history_counts(histories),
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


def _told(report: CaseReport, histories: HistoryReport, *, has_rules: bool) -> tuple[str, str]:
    """Return what was run of the rules in one line, and its style."""
    if has_rules:
        return _said(report), OK if report.passed else FAIL
    if histories.results:
        return "there are no rules in this folder, only detectors", FAINT
    return "there are no rules in this folder, only detectors, and no history was run", WARN


def _tell_attacks(screen: Screen, report: AttackReport) -> None:
    for result in report.techniques:
        screen.record({"record": "technique", **_technique_fields(result)})
    if report.techniques:
        columns = ("pack", "technique", "attacks", "denied", "need approval", "pass", "caught")
        screen.table(columns, map(_technique_row, report.techniques))
        caught = f"{many(report.attacks, 'attack')}, {report.caught:,} caught"
        screen.say(f"{caught}; {many(report.innocent_calls, 'innocent call')}", OK if report.holds else FAIL)
    unclaimed = report.unclaimed or {}
    for pack, sentences in sorted(unclaimed.items()):
        screen.record({"record": "unclaimed", "pack": pack, "unclaimed": list(sentences)})
    if unclaimed:
        count = sum(map(len, unclaimed.values()))
        screen.say(f"what the packs do not claim to catch: {many(count, 'sentence')}, see them with --json", FAINT)


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


def _rule_fields(counts: RuleCoverage) -> dict[str, object]:
    return {
        "rule_id": counts.rule_id,
        "matches": counts.fires,
        "does_not_match": counts.silent,
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
                "record": "change",
                "rule_id": mutant.rule_id,
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
