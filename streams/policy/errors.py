"""The error family of the rules: what is wrong in a bundle, and what went wrong in an evaluation."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

FINDINGS_MAX = 1_000
"""A bundle's report stops here: past it, one more finding tells nobody anything."""

MESSAGE_CHARS_MAX = 600
NAME_CHARS_MAX = 100


class Severity(StrEnum):
    """How bad a finding is: an error refuses the bundle, the others are advice."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Location(NamedTuple):
    """A place in a file of a bundle; line and column count from 1."""

    path: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or doubtful, in a bundle.

    `code` is stable and meant for machines; `message` says what was found and what was expected; `hint` says what
    to do, where that is known; `example` are facts, by path and as JSON, for which it is so.
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
    """Anything that goes wrong in the rules."""


class BundleError(PolicyError):
    """A bundle was refused as a whole; `findings` holds every reason, in order of place."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings: tuple[Finding, ...] = tuple(findings)
        count = len(self.findings)
        head = f"bundle refused for {count} error{'s' if count != 1 else ''}"
        super().__init__("\n".join([head, *(f"  {finding}" for finding in self.findings)]))


class EvaluationError(PolicyError):
    """An expression has no value for these facts: a missing field, an overflow, no matching overload."""


class Findings:
    """Collects what is wrong, so that a bundle is refused with all of its errors at once."""

    def __init__(self) -> None:
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
        """Add advice that does not refuse the bundle."""
        self.add(Finding(Severity.WARNING, code, location, message, rule_id, hint))

    def add(self, finding: Finding) -> None:
        """Add one finding. The same at the same place, and all beyond `FINDINGS_MAX`, are dropped."""
        finding = replace(
            finding,
            location=finding.location._replace(path=printable(finding.location.path)),
            message=printable(finding.message),
            rule_id=printable(finding.rule_id[:NAME_CHARS_MAX]) if finding.rule_id is not None else None,
            hint=printable(finding.hint) if finding.hint is not None else None,
            example=tuple((printable(path), printable(value)) for path, value in finding.example),
        )
        key = (finding.code, finding.location, finding.message)
        if len(self._found) < FINDINGS_MAX and key not in self._seen:
            self._seen.add(key)
            self._found.append(finding)

    @property
    def has_errors(self) -> bool:
        """Whether the bundle must be refused."""
        return any(finding.severity is Severity.ERROR for finding in self._found)

    def errors(self) -> tuple[Finding, ...]:
        """The errors, by place."""
        return tuple(finding for finding in self.sorted() if finding.severity is Severity.ERROR)

    def sorted(self) -> tuple[Finding, ...]:
        """All findings by place, then by code."""
        return tuple(sorted(self._found, key=lambda finding: (finding.location, finding.code, finding.message)))


def printable(text: str) -> str:
    """A text from a bundle as it may be shown: of bounded length, and with what is not seen written out."""
    cut = text if len(text) <= MESSAGE_CHARS_MAX else text[:MESSAGE_CHARS_MAX] + "..."
    return cut if cut.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """A hint naming the known name that `name` most resembles, or None."""
    close = difflib.get_close_matches(name[:NAME_CHARS_MAX], list(known), n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else None
