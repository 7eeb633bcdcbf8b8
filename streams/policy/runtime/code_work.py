"""Bounds the work of folds in generated code, whose plain operators do not count.

The idea: a fold's body may compare and search freely what the fold visits, since all elements together are no larger
than the list. An operator that reads something else in each step, such as another argument, multiplies: lists for which
that can matter are left to the exact evaluator, which counts each operator. So generated code counts nothing in loops.
"""

from __future__ import annotations

from typing import NamedTuple

from streams.policy.cel.folds import Fold, FoldKind, classify
from streams.policy.cel.tree import Call, Comprehension, Const, Expr, Ident, MakeList, MakeMap, Select, walk
from streams.policy.cel.work import SMALL_MAX
from streams.policy.language.schema import FACT_NAMES

_SEARCHES = frozenset(("contains", "matches", "split"))
"""Plain operators that run over their first operand."""

_COMPARISONS = frozenset(("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "startsWith", "endsWith"))
"""Plain operators that run over the shorter of their operands."""

_OWNED_CALLS = frozenset(("texts", "split", "_[_]", "_?_:_"))
_SCALARS = frozenset(("int", "uint", "double", "bool", "null_type", "timestamp", "duration"))


class LoopBound(NamedTuple):
    """Bounds the loop of a fold.

    Attributes:
        longest: the longest list that generated code may visit.
        nodes_count: the size of what is evaluated for each element.
        is_linear: whether the loop's work is proportional to the list.
    """

    longest: int
    nodes_count: int
    is_linear: bool


def bound_of(node: Comprehension, fold: Fold, longest: int) -> LoopBound:
    """Return the bound of a fold's loop.

    Args:
        node: the fold.
        fold: its classification.
        longest: the bound that follows from the steps of the whole condition.
    """
    parts = [part for part in (fold.body, fold.test) if part is not None]
    variables = {node.iter_var, node.iter_var2}
    is_linear = _is_owned(node.iter_range) and not any(
        _multiplies(each, variables) for part in parts for each in walk(part)
    )
    nodes_count = sum(1 for part in parts for _ in walk(part))
    return LoopBound(longest if is_linear else min(longest, SMALL_MAX), nodes_count, is_linear)


def _is_owned(source: Expr) -> bool:
    """Return whether the elements of a list are parts of the facts: none of them can occur many times over."""
    if isinstance(source, Const):
        return True
    if isinstance(source, Ident):
        return source.name.removeprefix(".") in FACT_NAMES or "." in source.name
    if isinstance(source, Select):
        return _is_owned(source.operand)
    if isinstance(source, Call):
        return source.function in _OWNED_CALLS and all(_is_owned(arg) for arg in source.args)
    if isinstance(source, Comprehension):
        fold = classify(source)
        keeps = fold.kind is FoldKind.LIST and isinstance(fold.body, Ident) and fold.body.name == source.iter_var
        return keeps and _is_owned(source.iter_range)
    return False


def _multiplies(node: Expr, variables: set[str]) -> bool:
    """Return whether a plain operator may read something large that is not the element."""
    if not isinstance(node, Call):
        return isinstance(node, MakeMap)
    if node.function in _SEARCHES:
        return not _is_small(node.args[0], variables)
    if node.function in _COMPARISONS:
        return not any(_is_small(arg, variables) for arg in node.args)
    return node.function == "@in" and not _is_looked_up(node.args[1], variables)


def _is_small(node: Expr, variables: set[str]) -> bool:
    """Return whether a value is a constant, a number, the element of a fold or a part of the element."""
    if isinstance(node, Const) or node.type.kind in _SCALARS:
        return True
    while isinstance(node, Select) or (isinstance(node, Call) and node.function == "_[_]"):
        node = node.operand if isinstance(node, Select) else node.args[0]
    return isinstance(node, Ident) and node.name in variables


def _is_looked_up(container: Expr, variables: set[str]) -> bool:
    """Return whether a search in a list takes no time that grows with facts, except for the element of the fold."""
    if isinstance(container, MakeList):
        return len(container.items) <= SMALL_MAX
    is_named = isinstance(container, Ident) and container.name not in FACT_NAMES
    return is_named or container.type.kind == "map" or _is_small(container, variables)
