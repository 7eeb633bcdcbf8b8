"""Finds common subexpressions of the conditions of a tool, which are computed once for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from streams.policy.cel.strings import is_free_pattern
from streams.policy.cel.structural_hash import outermost_folds, structural_key
from streams.policy.cel.tree import Call, Comprehension, Const, Expr, children


def common_folds(conditions: Sequence[Expr]) -> list[Any]:
    """Return the structural keys of folds that occur more than once."""
    counts: dict[Any, int] = {}
    for condition in conditions:
        for node in outermost_folds(condition):
            key = structural_key(node)
            counts[key] = counts.get(key, 0) + 1
    return [key for key, count in counts.items() if count > 1]


def common_ranges(conditions: Sequence[Expr]) -> list[Any]:
    """Return the structural keys of computed lists that several different folds iterate over."""
    folds: dict[Any, set[Any]] = {}
    for condition in conditions:
        for node in outermost_folds(condition):
            if isinstance(node.iter_range, Call) and node.iter_range.type.kind == "list":
                folds.setdefault(structural_key(node.iter_range), set()).add(structural_key(node))
    return [key for key, different in folds.items() if len(different) > 1]


def pattern_families(conditions: Sequence[Expr]) -> dict[Any, list[str]]:
    """Return the patterns that are searched for in the same text, by the structural key of that text."""
    found: dict[Any, list[str]] = {}
    for condition in conditions:
        for text, pattern in _searches(condition):
            patterns = found.setdefault(structural_key(text), [])
            if pattern not in patterns and is_free_pattern(pattern):
                patterns.append(pattern)
    return {key: patterns for key, patterns in found.items() if len(patterns) > 1}


def _searches(node: Expr) -> Iterator[tuple[Expr, str]]:
    """Yield texts and the patterns that are searched for in them, outside of folds."""
    if isinstance(node, Comprehension):
        return
    if isinstance(node, Call) and node.function == "matches" and len(node.args) == 2:
        text, pattern = node.args
        if isinstance(pattern, Const) and pattern.value.__class__ is str:
            yield text, pattern.value
    for child in children(node):
        yield from _searches(child)
