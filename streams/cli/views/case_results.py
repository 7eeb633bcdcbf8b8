"""Shows the results of test cases of rules."""

from __future__ import annotations

from pathlib import Path

from streams.cli.terminal.screen import FAIL, FAINT, STRONG, Screen
from streams.cli.terminal.styled import Text
from streams.cli.terminal.text import printable
from streams.policy import CaseResult


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
