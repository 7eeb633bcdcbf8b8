"""Bounds the number of steps of an expression's folds, which the exact evaluator counts: one for each element."""

from __future__ import annotations

from typing import NamedTuple

from streams.policy.cel.exact import STEPS_MAX
from streams.policy.cel.folds import FoldKind, classify
from streams.policy.cel.tree import Comprehension, Const, Expr, children


class StepBound(NamedTuple):
    """An upper bound of steps: so many for each element of the longest list, plus a constant."""

    per_element: int
    constant: int


def max_range_length(condition: Expr) -> int:
    """Return the maximum length of lists for which the steps of a condition are within `STEPS_MAX`."""
    steps = step_bound(condition)
    return (STEPS_MAX - steps.constant) // max(steps.per_element, 1)


def step_bound(node: Expr) -> StepBound:
    """Return the bound for an expression in which folds over lists that are not constant are not nested."""
    if not isinstance(node, Comprehension) or classify(node).kind is FoldKind.BIND:
        return _sum(children(node))
    inside = _sum((node.accu_init, node.condition, node.step, node.result))
    source = step_bound(node.iter_range)
    if isinstance(node.iter_range, Const):
        count = len(node.iter_range.value)
        return StepBound(
            source.per_element + count * inside.per_element, source.constant + count * (1 + inside.constant)
        )
    return StepBound(source.per_element + 1 + inside.constant + inside.per_element, source.constant)


def _sum(parts: tuple[Expr, ...]) -> StepBound:
    found = [step_bound(part) for part in parts]
    return StepBound(sum(each.per_element for each in found), sum(each.constant for each in found))
