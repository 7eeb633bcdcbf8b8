"""Rewrites trees without `cel.bind` and without folds over lists of constants, which formulas can't express."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from streams.policy.cel.folds import Fold, FoldKind, classify
from streams.policy.cel.substitute import map_children, substitute
from streams.policy.cel.tree import Call, Comprehension, Const, Expr, Ident, StaticType, walk

NODES_MAX = 3_000
"""A tree that would become larger is not expanded."""

CONSTANTS_MAX = 200
"""A fold over a longer list of constants is not expanded."""

_BOOL = StaticType("bool")


class TooLargeError(Exception):
    """The expanded tree has more than `NODES_MAX` nodes."""


def expand(tree: Expr, constants: Mapping[str, Sequence[Any]]) -> Expr:
    """Return the condition with bound variables replaced by their values, and folds over constants unrolled.

    Raises:
        TooLargeError: the result would be too large.
    """
    return _Expander(constants).expand(tree)


class _Expander:
    def __init__(self, constants: Mapping[str, Sequence[Any]]) -> None:
        self._constants = constants
        self._left = NODES_MAX

    def expand(self, node: Expr) -> Expr:
        self._left -= 1
        if self._left < 0:
            raise TooLargeError
        if not isinstance(node, Comprehension):
            return map_children(node, self.expand)
        fold = classify(node)
        if fold.kind is FoldKind.BIND:
            # As in the evaluator, an error of the value counts only where the variable is read.
            return self.expand(substitute(fold.body, node.accu_var, node.accu_init))
        values = self.elements(node.iter_range)
        if values is None or node.iter_var2 or fold.kind not in (FoldKind.ALL, FoldKind.EXISTS):
            return node
        return self._unrolled(node, fold, values)

    def elements(self, node: Expr) -> Sequence[Any] | None:
        """Return the elements of a list of at most `CONSTANTS_MAX` constants, or None for any other expression."""
        values = constant_elements(node, self._constants)
        return values if values is not None and len(values) <= CONSTANTS_MAX else None

    def _unrolled(self, node: Comprehension, fold: Fold, values: Sequence[Any]) -> Expr:
        is_all = fold.kind is FoldKind.ALL
        whole: Expr = Const(_BOOL, node.offset, is_all)
        for value in reversed(values):
            constant = Const(_type_of(value), -1, value)
            part = self.expand(substitute(fold.body, node.iter_var, constant))
            whole = Call(_BOOL, node.offset, "_&&_" if is_all else "_||_", False, (part, whole), ())
        return whole


def constant_elements(node: Expr, constants: Mapping[str, Sequence[Any]]) -> Sequence[Any] | None:
    """Return the elements of a list of constants, or None for any other expression."""
    if isinstance(node, Const) and isinstance(node.value, list | tuple):
        return node.value
    return constants.get(node.name) if isinstance(node, Ident) else None


def _type_of(value: object) -> StaticType:
    kinds = {str: "string", int: "int", bool: "bool", float: "double"}
    return StaticType(kinds.get(type(value), "dyn"))


def normalize_predicate(body: Expr, variable: str) -> tuple[Expr, bool]:
    """Return a predicate in normal form, with its variable named `#`, and whether it was negated.

    The normal form shows that `all(p, p.trust == "x")` is the negation of `exists(q, q.trust != "x")`.
    """
    flipped = False
    while isinstance(body, Call) and body.function == "!_":
        body, flipped = body.args[0], not flipped
    if isinstance(body, Call) and body.function == "_!=_":
        body, flipped = replace(body, function="_==_"), not flipped
    inner = {part.name for part in walk(body) if isinstance(part, Ident)}
    return (body if "#" in inner else substitute(body, variable, Ident(StaticType("dyn"), -1, "#"))), flipped
