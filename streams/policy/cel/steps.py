"""How many steps the folds of an expression take, as the exact evaluator counts them: one for each element."""

from __future__ import annotations

from typing import NamedTuple

from streams.policy.cel.exact import STEPS_MAX
from streams.policy.cel.folds import FoldKind, classify
from streams.policy.cel.tree import Comprehension, Const, Expr, children


class Steps(NamedTuple):
    """At most so many for each element of the longest list, and so many beside them."""

    for_each: int
    beside: int


def longest_range(condition: Expr) -> int:
    """How many elements a list may have that the condition's folds go through, for its steps to be within bounds."""
    steps = steps_of(condition)
    return (STEPS_MAX - steps.beside) // max(steps.for_each, 1)


def steps_of(node: Expr) -> Steps:
    """Of an expression in which no fold over something computed lies in another one."""
    if not isinstance(node, Comprehension) or classify(node).kind is FoldKind.BIND:
        return _together(children(node))
    inside = _together((node.accu_init, node.condition, node.step, node.result))
    source = steps_of(node.iter_range)
    if isinstance(node.iter_range, Const):
        count = len(node.iter_range.value)
        return Steps(source.for_each + count * inside.for_each, source.beside + count * (1 + inside.beside))
    return Steps(source.for_each + 1 + inside.beside + inside.for_each, source.beside)


def _together(parts: tuple[Expr, ...]) -> Steps:
    found = [steps_of(part) for part in parts]
    return Steps(sum(each.for_each for each in found), sum(each.beside for each in found))
