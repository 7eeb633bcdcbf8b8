"""Differential fuzzing of the rule evaluators: random expressions and facts, three evaluators, one answer.

    python -m simulation.fuzz.cel --cases 100000 --seed 7

Compared are the checker library's own evaluator, the exact evaluator and the generated code. Facts lose fields and
get values of wrong types at random, so that errors and their absorption are compared, too.
"""

from __future__ import annotations

import argparse
import json
import math
import random  # noqa: TID251 - a fuzzer is made of chance; its seed is an argument
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from simulation.fuzz.expressions import AGENTS, ExpressionMaker, FactsMaker
from streams.policy.cel.exact import compile_exact
from streams.policy.cel.tree import free_names
from streams.policy.errors import EvaluationError
from streams.policy.language.check import (
    CheckedExpression,
    CheckError,
    checker_for,
    reference_evaluator,
    structs_by_type_name,
)
from streams.policy.language.fact_types import Kind
from streams.policy.language.schema import FACT_NAMES
from streams.policy.language.tool_types import UNTYPED, ToolTypes
from streams.policy.runtime.evaluate import Conditions

FACTS_PER_EXPRESSION = 10
TOGETHER = 7
DIFFERENCES_MAX = 20
# The library loses a bound value after an `exists` or `all` was cut short, so there it can't be a reference:
# `[1].exists(x, true) && (cel.bind(b, true, b) || false)` is an error to it.
LIBRARY_CONFUSED_BY = ("cel.bind(", (".exists(", ".all("))
LISTS: dict[str, tuple[str, ...]] = {"lists.demo.agents": AGENTS}
ARGS_SCHEMA = {
    "type": "object",
    "required": ["amount", "to"],
    "properties": {
        "amount": {"type": "integer"},
        "to": {"type": "string"},
        "price": {"type": "number"},
        "urgent": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "any": {},
    },
}


class Difference(NamedTuple):
    """Two evaluators that disagree."""

    text: str
    facts: Mapping[str, Any]
    between: str
    first: str
    second: str


def answer(evaluate: Callable[[Mapping[str, Any]], Any], facts: Mapping[str, Any]) -> tuple[str, Any]:
    """Return the value, or that there is none."""
    try:
        return "value", evaluate(facts)
    except EvaluationError as error:
        return "error", str(error)


def alike(first: tuple[str, Any], second: tuple[str, Any]) -> bool:
    """Return whether two answers are the same; of errors only that both are."""
    if first[0] != second[0]:
        return False
    return first[0] == "error" or _same(first[1], second[1])


def _same(one: Any, two: Any) -> bool:
    if isinstance(one, float) and isinstance(two, float):
        return one == two or (math.isnan(one) and math.isnan(two))
    if isinstance(one, list | tuple) and isinstance(two, list | tuple):
        return len(one) == len(two) and all(map(_same, one, two))
    return type(one) is type(two) and bool(one == two)


def compare(
    text: str, checked: CheckedExpression, many: list[dict[str, Any]], types: ToolTypes
) -> Iterator[Difference]:
    """Evaluate one expression on several facts in all three ways.

    Args:
        text: for reports.
        checked: the expression.
        many: facts.
        types: of the arguments, as it was checked.
    """
    names = tuple(sorted(name for name in set(free_names(checked.tree)) if name in FACT_NAMES or name in LISTS))
    reference = reference_evaluator(text, names)
    bind, folds = LIBRARY_CONFUSED_BY
    confused = bind in text and any(fold in text for fold in folds)
    exact = compile_exact(checked.tree, LISTS)
    fast = (
        Conditions([checked.tree], LISTS, structs_by_type_name(types.args))
        if checked.tree.type.kind == "bool"
        else None
    )
    for facts in many:
        variables = {name: facts[name] for name in names if name in facts}
        variables |= {name: list(LISTS[name]) for name in names if name in LISTS}
        ours = answer(exact, facts)
        if not confused and not alike(theirs := answer(reference, variables), ours):
            yield Difference(text, facts, "library, exact", str(theirs), str(ours))
        if fast is not None:
            verdicts = fast.run(facts)
            quick: tuple[str, Any] = ("error", "") if verdicts.failed else ("value", bool(verdicts.true))
            # A condition whose value is not a bool counts as failed. Only facts of wrong types can cause that.
            wanted = ours if isinstance(ours[1], bool) else ("error", "")
            if not alike(wanted, quick):
                yield Difference(text, facts, "exact, generated", str(ours), str(quick))


def compare_together(
    several: Sequence[tuple[str, CheckedExpression]], many: Sequence[dict[str, Any]], types: ToolTypes
) -> Iterator[Difference]:
    """Generate one function of several conditions and compare it with the exact evaluator, condition by condition."""
    trees = [checked.tree for _, checked in several]
    together = Conditions(trees, LISTS, structs_by_type_name(types.args))
    if not all(together.sources):
        yield Difference(several[-1][0], {}, "compiler", "code", "none")
    exact = [compile_exact(tree, LISTS) for tree in trees]
    for facts in many:
        verdicts = together.run(facts)
        for index, ((text, _), program) in enumerate(zip(several, exact, strict=True)):
            kind, value = answer(program, facts)
            wanted = value if kind == "value" and isinstance(value, bool) else None
            found = None if index in dict(verdicts.failed) else index in verdicts.true
            if found is not wanted:
                yield Difference(text, facts, "exact, generated with others", str(wanted), str(found))


def fuzz(seed: int, cases: int) -> tuple[int, list[Difference]]:
    """Compare about `cases` pairs of expression and facts.

    Returns:
        How many were compared, and the differences, at most `DIFFERENCES_MAX`.
    """
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    expressions, facts_maker = ExpressionMaker(chance), FactsMaker(chance)
    typings = (UNTYPED, ToolTypes.from_json_schema(ARGS_SCHEMA))
    kinds = dict.fromkeys(LISTS, Kind.STRING)
    done = 0
    found: list[Difference] = []
    recent: dict[ToolTypes, list[tuple[str, CheckedExpression]]] = {types: [] for types in typings}
    while done < cases and len(found) < DIFFERENCES_MAX:
        types = chance.choice(typings)
        text = expressions.make(
            chance.choice(("bool", "bool", "bool", "int", "string", "list")), chance.randrange(2, 6)
        )
        many = [facts_maker.make() for _ in range(FACTS_PER_EXPRESSION)]
        try:
            checker = checker_for(types.args, kinds)
            checked = checker.check(text)
            found += list(compare(text, checked, many, types))
        except CheckError:
            continue
        done += len(many)
        if checked.tree.type.kind == "bool":
            recent[types].append((text, checked))
        if len(recent[types]) >= TOGETHER:
            searches = [(text, checker.check(text)) for text in expressions.searches()]
            # Twice the same, so that folds are shared.
            found += list(compare_together([*recent[types], recent[types][0], *searches], many, types))
            recent[types].clear()
    return done, found[:DIFFERENCES_MAX]


def main() -> int:
    """Run from the command line; the exit status is 1 when evaluators disagree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    done, found = fuzz(options.seed, options.cases)
    for difference in found:
        sys.stdout.write(f"{difference.between}: {difference.text}\n  {difference.first}\n  {difference.second}\n")
        sys.stdout.write(f"  {json.dumps(difference.facts)}\n")
    sys.stdout.write(f"{done} cases, {len(found)} differences, seed {options.seed}\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
