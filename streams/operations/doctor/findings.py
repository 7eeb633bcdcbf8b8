"""What an examination finds: one thing a line, with what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    Attributes:
        check: what was looked at.
        text: how it is.
        advice: what to do; empty when all is well, or nothing can be done.
    """

    check: str
    status: Status
    text: str
    advice: str = ""


def fine(check: str, text: str) -> Finding:
    """All is well."""
    return Finding(check, Status.OK, text)


def warned(check: str, text: str, advice: str = "") -> Finding:
    """A gate runs all the same, but somebody should look."""
    return Finding(check, Status.WARN, text, advice)


def failed(check: str, text: str, advice: str = "") -> Finding:
    """A gate does not start, or denies everything."""
    return Finding(check, Status.FAIL, text, advice)
