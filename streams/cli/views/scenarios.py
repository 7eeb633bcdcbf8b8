"""Shows the results of scenarios, and how a history differs from what was expected of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from streams.cli.terminal.screen import FAIL, FAINT, OK, STRONG, Screen
from streams.cli.terminal.styled import Text
from streams.cli.terminal.text import label, printable
from streams.model.plurals import many

if TYPE_CHECKING:
    from streams.operations.scenarios.expectations import ComparedLine
    from streams.operations.scenarios.run import ScenarioReport, ScenarioResult

_GUTTER = "       = "


def tell_scenarios(screen: Screen, report: ScenarioReport, root: Path) -> None:
    """Write every scenario as a record; for a person, those that failed, with each step that did."""
    for result in report.results:
        screen.record({"record": "scenario", **_fields(result)})
        for problem in result.problems:
            at = problem.location
            where = printable(f"{root / at.path}:{at.line}:{at.column}: ")
            which = printable(f"scenario `{result.scenario.name}`, {problem.step}")
            screen.rich(Text.assemble((where, STRONG), ("failed: ", FAIL), which))
            for difference in problem.differences:
                screen.rich(Text.assemble((_GUTTER, FAINT), printable(difference)))


def tell_scenario_counts(screen: Screen, report: ScenarioReport) -> None:
    """Write a table of the packs that have scenarios, and how much of their memories and budgets they show."""
    if not report.results:
        return
    packs = sorted({result.scenario.pack for result in report.results})
    screen.table(("pack", "scenarios", "steps", "failed"), [_pack_row(pack, report) for pack in packs])
    failed = len(report.failures)
    ran = f"{many(len(report.results), 'scenario')}, {many(report.steps_count, 'step')}"
    ran = f"{ran}, {failed:,} failed" if failed else f"{ran} passed"
    screen.say(f"{ran}{_tested(report)}", FAIL if failed else OK)


def _tested(report: ScenarioReport) -> str:
    """Return how many of the memories and budgets the scenarios test, if the bundle has any."""
    parts = []
    if report.memories_count:
        parts.append(f"{len(report.memories_read)} of {many(report.memories_count, 'memory', 'memories')} read")
    if report.budgets_count:
        parts.append(f"{len(report.budgets_exhausted)} of {many(report.budgets_count, 'budget')} exhausted")
    return f"; {', '.join(parts)}" if parts else ""


def scenario_counts(report: ScenarioReport) -> dict[str, object]:
    """Return the counts for the summary, as JSON."""
    return {
        "scenarios": len(report.results),
        "scenarios_failed": len(report.failures),
        "steps": report.steps_count,
        "memories": report.memories_count,
        "memories_read": len(report.memories_read),
        "budgets": report.budgets_count,
        "budgets_exhausted": len(report.budgets_exhausted),
    }


def tell_differences(lines: Iterable[ComparedLine], history: Path) -> None:
    """Write the lines of a history that differ from what was expected, to standard error.

    Standard output has the records, as lines of a history.
    """
    failed = label("failed", "red")
    for line in lines:
        at = f"{history}:{line.line_no}" if line.line_no else str(history)
        where = str(line.expected.location) if line.expected is not None else at
        typer.echo(f"{printable(where)}: {failed} {printable(line.told)}", err=True)
        for difference in line.differences:
            typer.echo(f"{_GUTTER}{printable(difference)}", err=True)


def _fields(result: ScenarioResult) -> dict[str, object]:
    scenario = result.scenario
    return {
        "scenario": scenario.name,
        "pack": scenario.pack,
        "file": scenario.location.path,
        "line": scenario.location.line,
        "passed": result.passed,
        "steps": result.steps_count,
        "problems": [
            {
                "step": problem.step,
                "file": problem.location.path,
                "line": problem.location.line,
                "differences": list(problem.differences),
            }
            for problem in result.problems
        ],
    }


def _pack_row(pack: str, report: ScenarioReport) -> list[str | Text]:
    results = [result for result in report.results if result.scenario.pack == pack]
    failed = sum(not result.passed for result in results)
    steps = sum(result.steps_count for result in results)
    return [Text(pack, STRONG), str(len(results)), str(steps), Text(str(failed), style=FAIL if failed else "")]
