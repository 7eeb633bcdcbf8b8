"""Structural keys of expressions, which are equal for equal expressions at different positions."""

from __future__ import annotations

from typing import Any

from streams.policy.cel.tree import Call, Comprehension, Const, Expr, Ident, Select, children, walk


def outermost_folds(node: Expr) -> list[Comprehension]:
    """Return the folds of a tree that are not inside another fold."""
    if isinstance(node, Comprehension):
        return [node]
    return [fold for child in children(node) for fold in outermost_folds(child)]


def start_offset(node: Expr) -> int:
    """Return the offset at which the text of an expression begins. The offset of a call is that of its operator."""
    return min((part.offset for part in walk(node) if part.offset >= 0), default=0)


def structural_key(node: Expr) -> Any:
    """Return a hashable key of a tree that does not depend on offsets: equal expressions have equal keys."""
    if isinstance(node, Const):
        return ("const", type(node.value).__name__, repr(node.value))
    if isinstance(node, Ident):
        return ("ident", node.name)
    parts = tuple(structural_key(child) for child in children(node))
    if isinstance(node, Select):
        return ("select", node.field, node.test, parts)
    if isinstance(node, Call):
        return ("call", node.function, parts)
    if isinstance(node, Comprehension):
        return ("fold", node.iter_var, node.iter_var2, node.accu_var, parts)
    return (type(node).__name__, parts)
