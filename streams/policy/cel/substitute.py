"""Substitution of variables in trees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from streams.policy.cel.tree import Call, Comprehension, Expr, Ident, MakeList, MakeMap, Select


def substitute(node: Expr, name: str, value: Expr) -> Expr:
    """Return the tree in which a variable is replaced by an expression.

    Args:
        node: the tree.
        name: the variable.
        value: the expression; it must not read variables that are bound in the tree.
    """
    if isinstance(node, Ident):
        return value if node.name == name else node
    if not isinstance(node, Comprehension):
        return map_children(node, lambda part: substitute(part, name, value))
    changed = replace(
        node,
        iter_range=substitute(node.iter_range, name, value),
        accu_init=substitute(node.accu_init, name, value),
    )
    if name != node.accu_var:
        changed = replace(changed, result=substitute(node.result, name, value))
    if name not in (node.accu_var, node.iter_var, node.iter_var2):
        condition, step = (substitute(part, name, value) for part in (node.condition, node.step))
        changed = replace(changed, condition=condition, step=step)
    return changed


def map_children(node: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """Return the node with a function applied to each child; a fold is returned unchanged."""
    if isinstance(node, Select):
        return replace(node, operand=change(node.operand))
    if isinstance(node, Call):
        return replace(node, args=tuple(change(arg) for arg in node.args))
    if isinstance(node, MakeList):
        return replace(node, items=tuple(change(item) for item in node.items))
    if isinstance(node, MakeMap):
        return replace(node, entries=tuple((change(key), change(value)) for key, value in node.entries))
    return node
