"""Recognizes the macro that a fold was written as: `all`, `exists`, `exists_one`, `map`, `filter` or `cel.bind`."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from streams.policy.cel.tree import Call, Comprehension, Const, Expr, Ident, MakeList, free_names


class FoldKind(StrEnum):
    """The macros that are expanded to folds; OTHER is any other fold."""

    ALL = "all"
    EXISTS = "exists"
    EXISTS_ONE = "exists_one"
    LIST = "list"
    BIND = "bind"
    OTHER = "other"


class Fold(NamedTuple):
    """A recognized fold.

    Attributes:
        kind: the macro.
        body: the predicate, the element that is collected, or the expression that uses the bound value.
        test: the predicate that selects the elements of a LIST, or None if all are collected.
    """

    kind: FoldKind
    body: Expr
    test: Expr | None = None


def classify(node: Comprehension) -> Fold:
    """Return the macro that a fold was written as. Every part must be exactly as the macro expands it."""
    other = Fold(FoldKind.OTHER, node.step)
    if isinstance(node.condition, Const):
        return (_bind(node) if node.condition.value is False else _collect(node)) or other
    if not isinstance(node.step, Call) or not isinstance(node.accu_init, Const) or not _is_accu(node, node.result):
        return other
    step = node.step
    if len(step.args) != 2 or not _is_accu(node, step.args[0]) or _uses(node.accu_var, step.args[1]):
        return other
    if step.function == "_&&_" and node.accu_init.value is True and _strict(node, negated=False):
        return Fold(FoldKind.ALL, step.args[1])
    if step.function == "_||_" and node.accu_init.value is False and _strict(node, negated=True):
        return Fold(FoldKind.EXISTS, step.args[1])
    return other


def _is_accu(node: Comprehension, part: Expr) -> bool:
    return isinstance(part, Ident) and part.name == node.accu_var


def _uses(name: str, part: Expr) -> bool:
    """Return whether a part reads the accumulator, which has the same name in nested folds."""
    return name in set(free_names(part))


def _strict(node: Comprehension, *, negated: bool) -> bool:
    condition = node.condition
    if not isinstance(condition, Call) or condition.function != "@not_strictly_false":
        return False
    inner = condition.args[0]
    if negated:
        if not isinstance(inner, Call) or inner.function != "!_":
            return False
        inner = inner.args[0]
    return _is_accu(node, inner)


def _bind(node: Comprehension) -> Fold | None:
    empty = isinstance(node.iter_range, MakeList) and not node.iter_range.items
    return Fold(FoldKind.BIND, node.result) if empty else None


def _collect(node: Comprehension) -> Fold | None:
    step, test = node.step, None
    if isinstance(step, Call) and step.function == "_?_:_" and _is_accu(node, step.args[2]):
        test, step = step.args[0], step.args[1]
    if not isinstance(step, Call) or step.function != "_+_" or not _is_accu(node, step.args[0]):
        return None
    if test is not None and _uses(node.accu_var, test):
        return None
    added = step.args[1]
    if isinstance(added, MakeList) and len(added.items) == 1 and _is_accu(node, node.result):
        if _uses(node.accu_var, added.items[0]):
            return None
        starts_empty = isinstance(node.accu_init, MakeList) and not node.accu_init.items
        return Fold(FoldKind.LIST, added.items[0], test) if starts_empty else None
    counts = isinstance(added, Const) and added.value == 1 and isinstance(node.accu_init, Const)
    asks_for_one = (
        isinstance(node.result, Call)
        and node.result.function == "_==_"
        and _is_accu(node, node.result.args[0])
        and isinstance(node.result.args[1], Const)
        and node.result.args[1].value == 1
    )
    return Fold(FoldKind.EXISTS_ONE, test) if test is not None and counts and asks_for_one else None
