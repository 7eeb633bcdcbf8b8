"""Substitution of variables in trees."""

from __future__ import annotations

from collections.abc import Callable
from operator import is_

from msgspec.structs import replace

from streams.policy.cel.tree import Call, Comprehension, Expr, Ident, MakeList, MakeMap, Select, children


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
    inside = name not in (node.accu_var, node.iter_var, node.iter_var2)
    iter_range, accu_init = substitute(node.iter_range, name, value), substitute(node.accu_init, name, value)
    result = substitute(node.result, name, value) if name != node.accu_var else node.result
    condition = substitute(node.condition, name, value) if inside else node.condition
    step = substitute(node.step, name, value) if inside else node.step
    parts = (iter_range, accu_init, condition, step, result)
    if all(map(is_, parts, children(node))):
        return node
    return replace(node, iter_range=iter_range, accu_init=accu_init, condition=condition, step=step, result=result)


def map_children(node: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """Return the node with a function applied to each child; a fold is returned unchanged.

    If the function changes no child, this is the node itself: trees share what they have in common.
    """
    before = children(node)
    if not before or isinstance(node, Comprehension):
        return node
    after = tuple(map(change, before))
    if all(map(is_, after, before)):
        return node
    if isinstance(node, Select):
        return replace(node, operand=after[0])
    if isinstance(node, Call):
        return replace(node, args=after)
    if isinstance(node, MakeList):
        return replace(node, items=after)
    if isinstance(node, MakeMap):
        return replace(node, entries=tuple(zip(after[::2], after[1::2], strict=True)))
    return node
