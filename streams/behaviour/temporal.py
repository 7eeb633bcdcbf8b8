"""Decide whether rules have matched together or in order, as conditions of temporal correlations say it.

A condition names rules, and joins them with `and`, `or`, `not` and parentheses, as Sigma does in extended temporal
correlations. What it denies must not be in the window at all. What it asks for must be, and for an ordered correlation
there must be matches of these rules in the order of the rules, each by an event of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter

import msgspec

TERMS_MAX = 64
"""Names of rules in a condition."""
DEPTH_MAX = 16
ORDERED_RULES_MAX = 8
"""Rules of an ordered correlation with such a condition: each set of them that is in order is looked at."""
_TOKEN = re.compile(r"\s*(?:([()])|([A-Za-z_][A-Za-z0-9_]*))")
_SHOWN_CHARS = 20
_AND, _OR, _NOT = "and", "or", "not"
_WORDS = frozenset({_AND, _OR, _NOT})

Found = Iterable[tuple[int, int]]
"""Matches in the order of time: the event, and the number of the rule."""


class ConditionError(ValueError):
    """A condition can't be read; says why."""


class Expression(msgspec.Struct, frozen=True):
    """A condition: the number of a rule, or conditions joined by an operator."""

    operator: str = ""
    parts: tuple[Expression, ...] = ()
    rule: int = -1


def names_in(text: str) -> tuple[str, ...]:
    """Return the names of rules in a condition, each once.

    Raises:
        ConditionError: the condition has other signs than those of a condition, or too many names.
    """
    named = [each for each in _tokens(text) if each not in "()" and each.lower() not in _WORDS]
    if len(named) > TERMS_MAX:
        raise ConditionError(f"a condition may name at most {TERMS_MAX} rules")
    return tuple(dict.fromkeys(named))


def parse_condition(text: str, rules: Sequence[str]) -> Expression:
    """Return a condition. `not` binds most, then `and`, then `or`.

    Args:
        text: the condition.
        rules: the names of the rules, in their order.

    Raises:
        ConditionError: it cannot be read, it does not name exactly these rules, or it would hold if nothing matched.
    """
    named = names_in(text)
    for name in named:
        if name not in rules:
            raise ConditionError(f"the condition names `{name}`, which is not one of the `rules`")
    for name in rules:
        if name not in named:
            raise ConditionError(f"the condition does not name `{name}`")
    parser = _Parser(_tokens(text), {name: number for number, name in enumerate(rules)})
    found = parser.whole()
    if is_met(found, 0, 0):
        raise ConditionError("the condition would hold if no rule had matched")
    return found


def _tokens(text: str) -> list[str]:
    found, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            there = text[at : at + _SHOWN_CHARS]
            message = "a condition consists of names of rules, `and`, `or`, `not` and parentheses"
            raise ConditionError(f"{message}; found `{there}`")
        found.append(match[1] or match[2])
        at = match.end()
    return found


class _Parser:
    """Reads tokens from left to right, with one function for each binding strength."""

    def __init__(self, tokens: list[str], numbers: dict[str, int]) -> None:
        self._tokens = tokens
        self._numbers = numbers
        self._at = 0

    def whole(self) -> Expression:
        found = self._any(0)
        if self._at < len(self._tokens):
            raise ConditionError(f"the condition goes on after its end, with `{self._tokens[self._at]}`")
        return found

    def _any(self, depth: int) -> Expression:
        return self._joined(_OR, depth)

    def _joined(self, operator: str, depth: int) -> Expression:
        if depth > DEPTH_MAX:
            raise ConditionError(f"a condition may be at most {DEPTH_MAX} levels deep")
        parts = [self._joined(_AND, depth) if operator == _OR else self._one(depth)]
        while self._takes(operator):
            parts.append(self._joined(_AND, depth) if operator == _OR else self._one(depth))
        return parts[0] if len(parts) == 1 else Expression(operator, tuple(parts))

    def _one(self, depth: int) -> Expression:
        if depth > DEPTH_MAX:
            raise ConditionError(f"a condition may be at most {DEPTH_MAX} levels deep")
        if self._takes(_NOT):
            return Expression(_NOT, (self._one(depth + 1),))
        if self._takes("("):
            found = self._any(depth + 1)
            if not self._takes(")"):
                raise ConditionError("a parenthesis of the condition is not closed")
            return found
        token = self._tokens[self._at] if self._at < len(self._tokens) else "the end"
        if token not in self._numbers:
            raise ConditionError(f"the condition needs the name of a rule, found `{token}`")
        self._at += 1
        return Expression(rule=self._numbers[token])

    def _takes(self, word: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at].lower() == word:
            self._at += 1
            return True
        return False


def is_met(it: Expression, chosen: int, present: int, *, is_denied: bool = False) -> bool:
    """Return whether a condition holds.

    Args:
        it: the condition.
        chosen: the rules that have matched as the correlation asks for, as bits.
        present: all rules that have matched; none of those that are denied may be one of them.
        is_denied: whether the condition stands behind a `not`.
    """
    if it.operator == _NOT:
        return not is_met(it.parts[0], chosen, present, is_denied=not is_denied)
    if it.operator:
        held = (is_met(part, chosen, present, is_denied=is_denied) for part in it.parts)
        return all(held) if it.operator == _AND else any(held)
    return bool((present if is_denied else chosen) >> it.rule & 1)


def holds_together(it: Expression, found: Found) -> bool:
    """Return whether a condition holds for matches in any order."""
    present = _present(found)
    return is_met(it, present, present)


def holds_in_order(it: Expression, found: Sequence[tuple[int, int]]) -> bool:
    """Return whether a condition holds for some of the rules that have matched in the order of the rules."""
    present = _present(found)
    return any(is_met(it, chosen, present) for chosen in _in_order(found))


def longest_in_order(found: Found) -> int:
    """Return how many different rules have matched in the order of the rules, each by an event of its own."""
    longest: dict[int, int] = {}
    for _, of_event in groupby(found, itemgetter(0)):
        # What one event adds does not count for itself.
        longer = {
            rule: 1 + max((count for before, count in longest.items() if before < rule), default=0)
            for rule in {rule for _, rule in of_event}
        }
        for rule, count in longer.items():
            longest[rule] = max(longest.get(rule, 0), count)
    return max(longest.values(), default=0)


def _in_order(found: Found) -> set[int]:
    """Return all sets of rules, as bits, that have matched in their order, each rule by an event of its own."""
    sets = {0}
    for _, of_event in groupby(found, itemgetter(0)):
        added = {chosen | 1 << rule for _, rule in of_event for chosen in sets if chosen < 1 << rule}
        sets |= added
    return sets


def _present(found: Found) -> int:
    present = 0
    for _, rule in found:
        present |= 1 << rule
    return present
