"""The findings of a doctor's checks, each with advice."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    Attributes:
        check: what was checked.
        text: what was found.
        advice: what to do; empty if all is well, or nothing can be done.
    """

    check: str
    status: Status
    text: str
    advice: str = ""


def fine(check: str, text: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(check, Status.OK, text)


def warned(check: str, text: str, advice: str = "") -> Finding:
    """Return a finding that needs attention, although a gate can run."""
    return Finding(check, Status.WARN, text, advice)


def failed(check: str, text: str, advice: str = "") -> Finding:
    """Return a finding because of which a gate does not start, or denies everything."""
    return Finding(check, Status.FAIL, text, advice)
