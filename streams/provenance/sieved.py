"""Patterns that are searched for only in the texts that may hold them.

**Idea.** A request is read with more than a hundred patterns, and hardly any of them is in it. Most need letters that
few texts have: one needs "throw" or "chuck" or "toss", and "out" or "away" as well. Which ones is read off the parsed
pattern, and a text that lacks one of them is not searched, which takes a tenth of the time. That is what the filtered
sets of RE2 do (https://github.com/google/re2/blob/main/re2/prefilter.h), whose patterns can't look ahead or behind.

To name those letters by hand beside each pattern was rejected: whoever changes the pattern would make them wrong, and
nobody would see it. Python's parser of patterns is not public, so a pattern of which it says nothing is always searched
for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Generic, NamedTuple, TypeVar

WEIGHT_MIN = 2
"""A part that weighs less is in every text."""
WEIGHT_ENOUGH = 4
"""Of parts that weigh more, fewer are better."""
CHOICES_MAX = 8
"""How many texts in the place of each other are put together with those beside them."""
MORE_PARTS_MAX = 16
"""How many parts a set has at most that is asked for behind another one."""
START_CHARS = 3
SETS_MAX = 3
"""How many sets of parts a text is asked for before it is searched."""

_T = TypeVar("_T")
_Needs = tuple[frozenset[str], ...]
"""Sets of parts; a text in which the pattern matches has one part of each."""
_REPEATS = frozenset({"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"})


class Sieved:
    """One pattern."""

    def __init__(self, pattern: str, flags: int = 0) -> None:
        """Compile the pattern, as `re.compile` does."""
        self.pattern = re.compile(pattern, flags)
        self._folds = bool(self.pattern.flags & re.IGNORECASE)
        self._needs = tuple(sorted(needs_of(self.pattern), key=len))

    def may_be_in(self, text: str) -> bool:
        """Return whether a text has the letters that the pattern needs."""
        folded = _folded(text) if self._folds else text
        return _has_all(folded, self._needs)

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
        self._patterns = list(patterns)
        self._always: list[int] = []
        self._more: list[_Needs] = []
        self._by_part: dict[str, list[int]] = {}
        for place, (pattern, _) in enumerate(self._patterns):
            first, *more = needs_of(pattern) or (frozenset[str](),)
            self._more.append(tuple(more))
            if not first:
                self._always.append(place)
            for part in first:
                self._by_part.setdefault(part, []).append(place)
        self._by_start: dict[str, list[str]] = {}
        for part in self._by_part:
            self._by_start.setdefault(part[:START_CHARS], []).append(part)
        self._short = [start for start in self._by_start if len(start) < START_CHARS]

    def matches(self, text: str) -> Iterator[tuple[re.Match[str], _T]]:
        """Yield the matches of one pattern after the other in a text, with what the pattern stands for."""
        for pattern, meaning in self._patterns_for(text):
            for match in pattern.finditer(text):
                yield match, meaning

    def may_be_in(self, text: str) -> bool:
        """Return whether a text has the letters that one of the patterns needs."""
        return next(self._patterns_for(text), None) is not None

    def _patterns_for(self, text: str) -> Iterator[tuple[re.Pattern[str], _T]]:
        places = set(self._always)
        places.update(*map(self._by_part.__getitem__, filter(text.__contains__, self._parts_for(text))))
        for place in sorted(places):
            if _has_all(text, self._more[place]):
                yield self._patterns[place]

    def _parts_for(self, text: str) -> Iterable[str]:
        """Return the parts that a text may have: of a short one, those that begin with three letters of it in a row."""
        # To take three letters out of a text costs twice as much as to ask for a part.
        if 2 * len(text) > len(self._by_part):
            return self._by_part
        starts = {text[place : place + START_CHARS] for place in range(len(text) - START_CHARS + 1)}
        return chain(self._short, *map(self._by_start.__getitem__, starts & self._by_start.keys()))


def _has_all(text: str, needs: _Needs) -> bool:
    for parts in needs:  # noqa: SIM110 - a generator costs more than most texts
        if not any(map(text.__contains__, parts)):
            return False
    return True


def needs_of(pattern: re.Pattern[str]) -> _Needs:
    """Return sets of parts of which a text has one each if the pattern matches in it, those that say most first.

    Those of a pattern that ignores the case of letters are in a text without it, as `_folded` makes it.
    """
    parse = getattr(getattr(re, "_parser", None), "parse", None)
    if parse is None:
        return ()
    found = _piece(parse(pattern.pattern, pattern.flags))
    chosen: list[frozenset[str]] = []
    for parts in sorted(map(_shortest, (*found.needs, found.begins)), key=_worth, reverse=True):
        if _lightest(parts) < WEIGHT_MIN or (chosen and len(parts) > MORE_PARTS_MAX):
            continue
        if not any(_implies(each, parts) for each in chosen):
            chosen.append(parts)
    if pattern.flags & re.IGNORECASE:
        chosen = [frozenset(map(_folded, parts)) for parts in chosen]
    return tuple(chosen[:SETS_MAX])


def _shortest(parts: frozenset[str]) -> frozenset[str]:
    """Return parts without those that have another one of them in them."""
    return frozenset([part for part in parts if not any(each in part for each in parts - {part})])


def _implies(parts: frozenset[str], others: frozenset[str]) -> bool:
    """Return whether a text that has one of some parts has one of the others as well."""
    return all(any(other in part for other in others) for part in parts)


def _folded(text: str) -> str:
    """Return a text in which letters are equal that `re` takes for equal if it ignores their case.

    To `re`, the Turkish letters with and without a dot are an `i` as well. `str.casefold` tells these apart, but no
    others.
    """
    return text.replace("\u0130", "i").replace("\u0131", "i").casefold()


class _Piece(NamedTuple):
    """What is known of the texts that a piece of a pattern matches.

    Each begins with one of `begins`, and is nothing else if `is_all`. It has a part of each of `needs`.
    """

    begins: frozenset[str]
    is_all: bool = False
    needs: _Needs = ()


_EMPTY = frozenset(("",))


def _piece(sequence: Iterable[tuple[Any, Any]]) -> _Piece:
    """Return what is known of a parsed sequence."""
    runs: list[frozenset[str]] = []
    needs: list[frozenset[str]] = []
    run, goes_on, letters = _EMPTY, True, ""
    for code, argument in sequence:
        piece = _piece_of(str(code), argument)
        needs += piece.needs
        if len(piece.begins) == 1 and piece.is_all:
            letters += "".join(piece.begins)
        else:
            # One part may say more than the many that it makes with what is before and behind it.
            needs.append(frozenset((letters,)))
            letters = ""
        if not goes_on or 1 < len(run) > CHOICES_MAX // len(piece.begins):
            runs.append(run)
            run = _EMPTY
        run = frozenset([before + after for before in run for after in piece.begins])
        goes_on = piece.is_all
    runs.append(run)
    return _Piece(runs[0], goes_on and len(runs) == 1, (*needs, frozenset((letters,)), *runs[1:]))


def _piece_of(code: str, argument: Any) -> _Piece:
    """Return what is known of one element of a parsed pattern."""
    match code, argument:
        case "LITERAL", letter:
            return _Piece(frozenset((chr(letter),)), is_all=True)
        case "IN", members if len(members) <= CHOICES_MAX and all(str(each) == "LITERAL" for each, _ in members):
            return _Piece(frozenset([chr(letter) for _, letter in members]), is_all=True)
        case ("SUBPATTERN", (_, 0, 0, inner)) | ("ATOMIC_GROUP", inner):
            return _piece(inner)
        case "BRANCH", (_, branches):
            return _any_of([_piece(branch) for branch in branches])
        case (("AT" | "ASSERT_NOT"), _):
            return _Piece(_EMPTY, is_all=True)
        case "ASSERT", (_, inner):
            around = _piece(inner)
            return _Piece(_EMPTY, is_all=True, needs=(*around.needs, around.begins))
        case _, (0, 1, inner) if code in _REPEATS:
            return _any_of([_piece(inner), _piece(())])
        case _, (least, most, inner) if code in _REPEATS and least > 0:
            once = _piece(inner)
            return once._replace(is_all=once.is_all and least == most == 1)
    return _Piece(_EMPTY)


def _any_of(pieces: list[_Piece]) -> _Piece:
    """Return what is known of a text that one of some pieces matches."""
    begins = frozenset[str]().union(*(piece.begins for piece in pieces))
    if all(piece.is_all for piece in pieces):
        return _Piece(begins, is_all=True)
    best = [max((piece.begins, *piece.needs), key=_worth) for piece in pieces]
    return _Piece(begins, needs=(frozenset[str]().union(*best),))


def _worth(parts: frozenset[str]) -> tuple[int, int]:
    return min(_lightest(parts), WEIGHT_ENOUGH), -len(parts)


def _lightest(parts: frozenset[str]) -> int:
    """Return the weight of the part that is in most texts. A sign is as rare as two letters."""
    return min(len(part) + (part != "" and not part.isalnum() and not part.isspace()) for part in parts)
