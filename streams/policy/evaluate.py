"""Conditions as callables: from a checked expression to a value for some facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from streams.policy.check import Checked, reference_evaluator
from streams.policy.schema import FACT_NAMES
from streams.policy.tree import free_names

Evaluator = Callable[[Mapping[str, Any]], Any]


def evaluator(checked: Checked, constants: Mapping[str, Any]) -> Evaluator:
    """A function from facts to the value of an expression.

    Args:
        checked: the expression.
        constants: values of the named lists, by full name.

    Returns:
        The function. It raises EvaluationError where the expression has no value for the facts it is given.
    """
    names = tuple(sorted(name for name in set(free_names(checked.tree)) if name in FACT_NAMES or name in constants))
    run = reference_evaluator(checked.text, names)

    def evaluate(facts: Mapping[str, Any]) -> Any:
        variables = {}
        for name in names:
            if name in constants:
                variables[name] = list(constants[name])
            elif name in facts:
                variables[name] = facts[name]
        return run(variables)

    return evaluate
