"""Versions according to Semantic Versioning 2.0.0: `semver(text)`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from streams.policy.cel.ops import no_overload
from streams.policy.cel.values import INT_MAX, ExtensionValue, TypeValue
from streams.policy.errors import EvaluationError

TEXT_CHARS_MAX = 256

_NUMBER = r"(0|[1-9][0-9]*)"
_PRE = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_SEMVER = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_PRE}(?:\.{_PRE})*))?(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?\Z"
)


@dataclass(frozen=True, slots=True)
class Semver(ExtensionValue):
    """A version without its build metadata, which no comparison uses."""

    TYPE: ClassVar[TypeValue] = TypeValue("rules.Semver")

    major: int
    minor: int
    patch: int
    pre: tuple[str, ...]

    def text(self) -> str:
        """Return the version without build metadata."""
        pre = f"-{'.'.join(self.pre)}" if self.pre else ""
        return f"{self.major}.{self.minor}.{self.patch}{pre}"

    def rank(self) -> tuple[Any, ...]:
        """Return a key for the order of versions: a pre-release is before its version, and numbers are before texts."""
        pre = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in self.pre)
        return (self.major, self.minor, self.patch, not self.pre, pre)


def to_semver(value: Any) -> Semver:
    """Implement `semver(text)`."""
    if value.__class__ is Semver:
        return value
    if value.__class__ is not str:
        raise no_overload("semver", value)
    found = _SEMVER.match(value) if len(value) <= TEXT_CHARS_MAX else None
    if found is None:
        raise EvaluationError("text is not a semantic version such as 1.4.0")
    numbers = [int(found[index]) for index in (1, 2, 3)]
    if max(numbers) > INT_MAX:
        raise EvaluationError("version has a number beyond 64 bits")
    return Semver(numbers[0], numbers[1], numbers[2], tuple(found[4].split(".")) if found[4] else ())


def is_semver(value: Any) -> bool:
    """Implement `isSemver(text)`."""
    if value.__class__ is not str:
        raise no_overload("isSemver", value)
    try:
        to_semver(value)
    except EvaluationError:
        return False
    return True


def compare(name: str, one: Any, two: Any) -> int:
    """Return -1, 0 or 1. The second version may be a text."""
    if one.__class__ is not Semver or two.__class__ not in (Semver, str):
        raise no_overload(name, one, two)
    left, right = one.rank(), to_semver(two).rank()
    return (left > right) - (left < right)


def _part(name: str, value: Any) -> int:
    if value.__class__ is not Semver:
        raise no_overload(name, value)
    return int(getattr(value, name))


VERSION_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "semver": to_semver,
    "isSemver": is_semver,
    "major": lambda value: _part("major", value),
    "minor": lambda value: _part("minor", value),
    "patch": lambda value: _part("patch", value),
    "compareTo": lambda one, two: compare("compareTo", one, two),
    "isLessThan": lambda one, two: compare("isLessThan", one, two) < 0,
    "isGreaterThan": lambda one, two: compare("isGreaterThan", one, two) > 0,
}
