"""Allocates variables for the values that several conditions share, so that each is computed at most once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from streams.policy.cel.step_bounds import max_range_length
from streams.policy.cel.strings import compile_any_pattern
from streams.policy.cel.tree import Expr
from streams.policy.runtime.code_symbols import Symbols
from streams.policy.runtime.common_subexpressions import common_folds, common_ranges, pattern_families


class PatternFamily(NamedTuple):
    """Patterns that are searched for in the same text.

    Attributes:
        local: the variable which tells whether any of the patterns is found.
        search: the constant function that searches for all of them at once.
        patterns: the patterns.
    """

    local: str
    search: str
    patterns: frozenset[str]


@dataclass(slots=True)
class SharedValues:
    """The variables of shared values, by the structural key of the expression.

    Attributes:
        folds: folds that occur in several conditions.
        ranges: computed lists that different folds iterate over.
        families: texts in which several patterns are searched for. Most texts contain none of the patterns, which one
            search for all of them shows.
        max_range_length: the longest list for which the steps of every condition are within their bound.
    """

    folds: dict[Any, str] = field(default_factory=dict)
    ranges: dict[Any, str] = field(default_factory=dict)
    families: dict[Any, PatternFamily] = field(default_factory=dict)
    max_range_length: int = 0

    @classmethod
    def of(cls, conditions: Sequence[Expr], symbols: Symbols) -> SharedValues:
        """Find the values that conditions share and allocate their variables."""
        shared = cls(max_range_length=min(map(max_range_length, conditions), default=0))
        for key in common_folds(conditions):
            shared.folds[key] = symbols.local()
        for key in common_ranges(conditions):
            shared.ranges[key] = symbols.local()
        for key, patterns in pattern_families(conditions).items():
            any_of_them = compile_any_pattern(patterns)
            if any_of_them is not None:
                search = symbols.constant(any_of_them.search)
                shared.families[key] = PatternFamily(symbols.local(), search, frozenset(patterns))
        return shared

    @property
    def locals(self) -> tuple[str, ...]:
        """Return all variables."""
        return (*self.folds.values(), *self.ranges.values(), *(family.local for family in self.families.values()))
