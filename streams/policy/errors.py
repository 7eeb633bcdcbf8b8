"""The errors of the rules: findings about a bundle, and failures of an evaluation."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from streams.model.plurals import many

FINDINGS_MAX = 1_000
"""The largest number of findings in one report; more would help nobody."""

MESSAGE_CHARS_MAX = 600
NAME_CHARS_MAX = 100


class Severity(StrEnum):
    """How serious a finding is. An error rejects the bundle; warnings and notes are advice."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Location(NamedTuple):
    """A position in a file of a bundle; line and column are counted from 1."""

    path: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One error or doubt about a bundle.

    Attributes:
        code: identifies the kind of finding for programs; it never changes.
        message: what was found and what was expected.
        hint: what to do about it, if that is known.
        example: facts for which the finding is true: pairs of path and value as JSON text.
    """

    severity: Severity
    code: str
    location: Location
    message: str
    rule_id: str | None = None
    hint: str | None = None
    example: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        rule = f"rule `{self.rule_id}`: " if self.rule_id is not None else ""
        hint = f" ({self.hint})" if self.hint else ""
        facts = ", ".join(f"{path} = {value}" for path, value in self.example)
        message = f"{self.message}; for example {facts}" if facts else self.message
        return f"{self.location}: {self.severity}: {rule}{message}{hint} [{self.code}]"


class PolicyError(Exception):
    """The base class of all errors of the rules."""


class BundleError(PolicyError):
    """A bundle, or `what` is said, is rejected as a whole; `findings` holds every reason, ordered by location."""

    def __init__(self, findings: Iterable[Finding], what: str = "bundle") -> None:
        self.findings: tuple[Finding, ...] = tuple(findings)
        head = f"{what} rejected: {many(len(self.findings), 'error')}"
        super().__init__("\n".join([head, *(f"  {finding}" for finding in self.findings)]))


class EvaluationError(PolicyError):
    """An expression has no value for these facts, for example because of a missing field or an overflow."""


class Findings:
    """Collects findings, so that a bundle is rejected with all of its errors at once.

    Attributes:
        left_out_count: how many findings there were beyond `FINDINGS_MAX`.
    """

    def __init__(self) -> None:
        self.left_out_count = 0
        self._found: list[Finding] = []
        self._seen: set[tuple[str, Location, str]] = set()

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._found)

    def error(
        self, code: str, location: Location, message: str, *, rule_id: str | None = None, hint: str | None = None
    ) -> None:
        """Add an error."""
        self.add(Finding(Severity.ERROR, code, location, message, rule_id, hint))

    def warning(
        self, code: str, location: Location, message: str, *, rule_id: str | None = None, hint: str | None = None
    ) -> None:
        """Add a warning, which does not reject the bundle."""
        self.add(Finding(Severity.WARNING, code, location, message, rule_id, hint))

    def add(self, finding: Finding) -> None:
        """Add one finding. Repetitions at one location, and findings beyond `FINDINGS_MAX`, are dropped."""
        finding = replace(
            finding,
            location=finding.location._replace(path=printable(finding.location.path)),
            message=printable(finding.message),
            rule_id=printable(finding.rule_id[:NAME_CHARS_MAX]) if finding.rule_id is not None else None,
            hint=printable(finding.hint) if finding.hint is not None else None,
            example=tuple((printable(path), printable(value)) for path, value in finding.example),
        )
        key = (finding.code, finding.location, finding.message)
        if key in self._seen:
            return
        if len(self._found) >= FINDINGS_MAX:
            self.left_out_count += 1
            return
        self._seen.add(key)
        self._found.append(finding)

    @property
    def has_errors(self) -> bool:
        """Return whether the bundle must be rejected."""
        return any(finding.severity is Severity.ERROR for finding in self._found)

    def errors(self) -> tuple[Finding, ...]:
        """Return the errors, ordered by location."""
        return tuple(finding for finding in self.sorted() if finding.severity is Severity.ERROR)

    def sorted(self) -> tuple[Finding, ...]:
        """Return all findings, ordered by location, then by code."""
        return tuple(sorted(self._found, key=lambda finding: (finding.location, finding.code, finding.message)))


def printable(text: str) -> str:
    """Return a text from a bundle in a form that is safe to show: short, and with invisible characters escaped."""
    cut = text if len(text) <= MESSAGE_CHARS_MAX else text[:MESSAGE_CHARS_MAX] + "..."
    return cut if cut.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return a hint with the known name that is most similar to `name`, or None if none is similar."""
    close = difflib.get_close_matches(name[:NAME_CHARS_MAX], list(known), n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else None
