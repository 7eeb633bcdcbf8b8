"""Shows findings about rules: the place, the message, and the line that it is in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from streams.cli.terminal.screen import FAIL, FAINT, STRONG, WARN, Screen
from streams.cli.terminal.styled import Text
from streams.cli.terminal.text import printable
from streams.model.plurals import many
from streams.policy import BundleError, Finding, Severity

_STYLES = {Severity.ERROR: FAIL, Severity.WARNING: WARN, Severity.NOTE: FAINT}
_LINE_CHARS_MAX = 200
_GUTTER_CHARS = 6


def tell_findings(screen: Screen, findings: Iterable[Finding], root: Path, files: Mapping[str, str]) -> None:
    """Write findings, each with its place.

    Args:
        root: the directory of the rules, relative to where the command was run.
        files: the texts of its files, by their paths in that directory. Lines of other files are not quoted.
    """
    lines = {path: text.splitlines() for path, text in files.items()}
    for finding in findings:
        screen.record({"record": "finding", **finding_fields(finding)})
        if not screen.as_json:
            _show(screen, finding, root, lines.get(finding.location.path, []))


@contextmanager
def refusal_recorded(screen: Screen) -> Iterator[None]:
    """Write the findings of a bundle that is rejected within as JSON, and let the error propagate."""
    try:
        yield
    except BundleError as error:
        for finding in error.findings:
            screen.record({"record": "finding", **finding_fields(finding)})
        raise


def finding_fields(finding: Finding) -> dict[str, object]:
    """Return a finding as JSON."""
    return {
        "severity": finding.severity.value,
        "code": finding.code,
        "file": finding.location.path,
        "line": finding.location.line,
        "column": finding.location.column,
        "rule_id": finding.rule_id,
        "message": finding.message,
        "hint": finding.hint,
        "example": dict(finding.example),
    }


def counted(findings: Iterable[Finding]) -> str:
    """Return how many findings there are of each severity, such as `1 error, 2 notes`."""
    counts = Counter(finding.severity for finding in findings)
    return ", ".join(many(counts[severity], severity.value) for severity in Severity if counts[severity])


def _show(screen: Screen, finding: Finding, root: Path, lines: list[str]) -> None:
    at = finding.location
    rule = f"rule `{finding.rule_id}`: " if finding.rule_id is not None else ""
    screen.rich(
        Text.assemble(
            (printable(f"{root / at.path}:{at.line}:{at.column}: "), STRONG),
            (f"{finding.severity}: ", _STYLES[finding.severity]),
            printable(f"{rule}{finding.message} "),
            (f"[{finding.code}]", FAINT),
        )
    )
    if 1 <= at.line <= len(lines) and not _is_rules_own(finding, lines[at.line - 1]):
        _quote(screen, lines[at.line - 1], at.line, at.column, _STYLES[finding.severity])
    if finding.example:
        example = ", ".join(f"{path} = {value}" for path, value in finding.example)
        screen.rich(Text.assemble((" " * _GUTTER_CHARS + " = for example ", FAINT), printable(example)))
    if finding.hint:
        screen.rich(Text.assemble((" " * _GUTTER_CHARS + " = hint: ", FAINT), printable(finding.hint)))


def _is_rules_own(finding: Finding, line: str) -> bool:
    """Return whether the line only has the rule's id, which the finding shows already."""
    return finding.rule_id is not None and line[finding.location.column - 1 :].strip() == f"id: {finding.rule_id}"


def _quote(screen: Screen, line: str, number: int, column: int, style: str) -> None:
    """Write the line with a mark under the place; of a long line only the part around it."""
    start = max(0, min(column - 1 - _LINE_CHARS_MAX // 2, len(line) - _LINE_CHARS_MAX))
    shown = "".join(
        character if character.isprintable() else " " for character in line[start : start + _LINE_CHARS_MAX]
    )
    screen.rich(Text.assemble((f"{number:>{_GUTTER_CHARS}} | ", FAINT), shown))
    screen.rich(Text.assemble((" " * _GUTTER_CHARS + " | ", FAINT), (" " * (column - 1 - start) + "^", style)))
