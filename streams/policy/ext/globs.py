"""Globs: `glob(pattern)`. RE2 matches them in time linear in the text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

import re2

from streams.policy.cel.ops import no_overload
from streams.policy.cel.values import ExtensionValue, TypeValue
from streams.policy.errors import EvaluationError
from streams.policy.ext.memoize import memoized

PATTERN_CHARS_MAX = 500
ALTERNATIVES_MAX = 50
PATTERNS_KEPT_MAX = 512

_PIECE = re.compile(r"/\*\*/|/\*\*\Z|\A\*\*/|\*\*|\*|\?|\{([^{}]*)\}|[^*?{}\[\]\\]")
_WILD = {
    "/**/": "/(?s:.*/)?",
    "/**": "(?s:/.*)?",
    "**/": "(?s:.*/)?",
    "**": "(?s:.*)",
    "*": "[^/]*",
    "?": "[^/]",
}


@dataclass(frozen=True, slots=True)
class Glob(ExtensionValue):
    """A glob and the regular expression of RE2 that it is compiled to."""

    TYPE: ClassVar[TypeValue] = TypeValue("rules.Glob")

    pattern: str
    compiled: Any = field(compare=False, repr=False)

    def text(self) -> str:
        """Return the pattern."""
        return self.pattern

    def matches(self, text: str) -> bool:
        """Return whether the pattern matches the whole text.

        Raises:
            EvaluationError: the text has no UTF-8 form.
        """
        try:
            return self.compiled.fullmatch(text) is not None
        except UnicodeEncodeError:
            raise EvaluationError("text has no utf-8 form") from None


@memoized(PATTERNS_KEPT_MAX)
def read_glob(pattern: str) -> Glob:
    """Parse a glob: `*` is any text without a slash, `**` any text, `?` one character, `{a,b}` one of the alternatives.

    Raises:
        EvaluationError: the text is not a valid glob.
    """
    if not pattern or len(pattern) > PATTERN_CHARS_MAX:
        raise EvaluationError(f"glob must have 1 to {PATTERN_CHARS_MAX} characters")
    parts, at = [], 0
    while at < len(pattern):
        piece = _PIECE.match(pattern, at)
        if piece is None:
            raise EvaluationError("text is not a glob: use `*`, `**`, `?` and `{a,b}`, and no brackets or `\\`")
        parts.append(_translated(piece))
        at = piece.end()
    try:
        return Glob(pattern, re2.compile("".join(parts)))
    except (re2.error, UnicodeEncodeError):
        raise EvaluationError("text is not a glob") from None


def _translated(piece: re.Match[str]) -> str:
    text = piece[0]
    if text in _WILD:
        return _WILD[text]
    if piece[1] is None:
        return re.escape(text)
    choices = piece[1].split(",")
    if len(choices) > ALTERNATIVES_MAX or any(mark in piece[1] for mark in "*?[]\\"):
        raise EvaluationError("glob has too many alternatives, or alternatives that contain wildcards")
    return f"(?:{'|'.join(map(re.escape, choices))})"


def to_glob(value: Any) -> Glob:
    """Implement `glob(pattern)`."""
    if value.__class__ is Glob:
        return value
    if value.__class__ is not str:
        raise no_overload("glob", value)
    return read_glob(value)
