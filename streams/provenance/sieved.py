"""Patterns that are searched for only in the texts that may hold them.

**Idea.** A request is read with more than a hundred patterns, and hardly any of them is in it. Most need letters that
few texts have: one needs "throw" or "chuck" or "toss". Which ones is read off the parsed pattern, and a text that has
none of them is not searched, which takes a tenth of the time. That is what the filtered sets of RE2 do
(https://github.com/google/re2/blob/main/re2/filtered_re2.h), whose patterns can't look ahead or behind.

To name those letters by hand beside each pattern was rejected: whoever changes the pattern would make them wrong, and
nobody would see it. Python's parser of patterns is not public, so a pattern of which it says nothing is always searched
for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

WEIGHT_MIN = 2
"""A part that weighs less is in every text."""
WEIGHT_ENOUGH = 5
"""Of parts that weigh more, fewer are better."""

_T = TypeVar("_T")
_REPEATS = frozenset({"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"})


class Sieved:
    """One pattern."""

    def __init__(self, pattern: str, flags: int = 0) -> None:
        """Compile the pattern, as `re.compile` does."""
        self.pattern = re.compile(pattern, flags)
        self._folds = bool(self.pattern.flags & re.IGNORECASE)
        self._needed = needed_parts(self.pattern)

    def may_be_in(self, text: str) -> bool:
        """Return whether a text has letters that the pattern needs."""
        if self._needed is None:
            return True
        folded = _folded(text) if self._folds else text
        return any(map(folded.__contains__, self._needed))

    def search(self, text: str) -> re.Match[str] | None:
        """Return the first match in a text."""
        return self.pattern.search(text) if self.may_be_in(text) else None

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """Return the matches in a text, in order."""
        return self.pattern.finditer(text) if self.may_be_in(text) else iter(())


class SievedSet(Generic[_T]):
    """Patterns that heed the case of letters, and what each of them stands for."""

    def __init__(self, patterns: Iterable[tuple[re.Pattern[str], _T]]) -> None:
        """Take the patterns, in the order in which they are searched for."""
        self._patterns = [(needed_parts(pattern), pattern, meaning) for pattern, meaning in patterns]
        self._parts = frozenset[str]().union(*(needed or () for needed, _, _ in self._patterns))

    def matches(self, text: str) -> Iterator[tuple[re.Match[str], _T]]:
        """Yield the matches of one pattern after the other in a text, with what the pattern stands for."""
        held = {part for part in self._parts if part in text}
        for needed, pattern, meaning in self._patterns:
            if needed is None or not needed.isdisjoint(held):
                for match in pattern.finditer(text):
                    yield match, meaning


def needed_parts(pattern: re.Pattern[str]) -> frozenset[str] | None:
    """Return parts of which a text has at least one if the pattern matches in it; None where nothing is known.

    Those of a pattern that ignores the case of letters are in a text without it, as `_folded` makes it.
    """
    parse = getattr(getattr(re, "_parser", None), "parse", None)
    if parse is None:
        return None
    parts = _needed(parse(pattern.pattern, pattern.flags))
    return parts if parts is None or not pattern.flags & re.IGNORECASE else frozenset(map(_folded, parts))


def _folded(text: str) -> str:
    """Return a text in which letters are equal that `re` takes for equal if it ignores their case.

    To `re`, the Turkish letters with and without a dot are an `i` as well. `str.casefold` tells these apart, but no
    others.
    """
    return text.replace("\u0130", "i").replace("\u0131", "i").casefold()


def _needed(sequence: Iterable[tuple[Any, Any]]) -> frozenset[str] | None:
    """Return the best of the sets of parts that a parsed sequence needs one of."""
    sets: list[frozenset[str]] = []
    letters = ""
    for code, argument in (*sequence, ("END", None)):
        if str(code) == "LITERAL":
            letters += chr(argument)
            continue
        sets.append(frozenset((letters,)))
        letters = ""
        if (inner := _needed_by(str(code), argument)) is not None:
            sets.append(inner)
    best = max(sets, key=_worth)
    return best if _lightest(best) >= WEIGHT_MIN else None


def _needed_by(code: str, argument: Any) -> frozenset[str] | None:
    """Return what one element of a parsed pattern needs."""
    match code, argument:
        case "BRANCH", (_, branches):
            needed = [_needed(branch) for branch in branches]
            return None if None in needed else frozenset[str]().union(*filter(None, needed))
        case "SUBPATTERN", (_, 0, 0, inner):
            return _needed(inner)
        case "ASSERT", (_, inner):
            return _needed(inner)
        case "ATOMIC_GROUP", inner:
            return _needed(inner)
        case _, (least, _, inner) if code in _REPEATS and least > 0:
            return _needed(inner)
    return None


def _worth(parts: frozenset[str]) -> tuple[int, int]:
    return min(_lightest(parts), WEIGHT_ENOUGH), -len(parts)


def _lightest(parts: frozenset[str]) -> int:
    """Return the weight of the part that is in most texts. A sign is as rare as two letters."""
    return min(len(part) + (part != "" and not part.isalnum() and not part.isspace()) for part in parts)
