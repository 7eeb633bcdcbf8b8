"""Evaluates the conditions of one tool's rules: with generated code, and with the exact evaluator if that gives up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from streams.policy.cel.exact import Program, compile_exact
from streams.policy.cel.tree import Expr
from streams.policy.errors import EvaluationError
from streams.policy.language.fact_types import Facts, Struct

if TYPE_CHECKING:
    from streams.policy.runtime.codegen import Generated, GeneratedFunction

EXACT_RUNS_MAX = 16
"""How often conditions are evaluated before generating their code has paid off."""


class ConditionResults(NamedTuple):
    """The indexes of the conditions that are true, and of those that have no value, with the reason."""

    true: list[int]
    failed: list[tuple[int, str]]


class GeneratedPart(NamedTuple):
    first: int
    size: int
    generated: Generated


class Conditions:
    """Conditions that are evaluated together.

    Args:
        trees: checked trees of type bool.
        constants: the named lists, by full name.
        structs: the records of the schema, by the checker's name of their type.
    """

    def __init__(
        self, trees: Sequence[Expr], constants: Mapping[str, Sequence[Any]], structs: Mapping[str, Struct]
    ) -> None:
        self._trees = tuple(trees)
        self._constants = constants
        self._exact: dict[int, Program] = {}
        self._quick: GeneratedFunction | None = None
        self._parts: tuple[GeneratedPart, ...] = ()
        self._prepare(structs)

    def _prepare(self, structs: Mapping[str, Struct]) -> None:
        """Generate the code."""
        from streams.policy.runtime.codegen import (  # noqa: PLC0415 - a command that judges few calls generates none
            RULES_PER_FUNCTION_MAX,
            generate,
        )

        self._parts = tuple(
            GeneratedPart(first, len(part), generate(part, self._constants, structs))
            for first in range(0, len(self._trees), RULES_PER_FUNCTION_MAX)
            for part in (self._trees[first : first + RULES_PER_FUNCTION_MAX],)
        )
        if len(self._parts) == 1 and not self._parts[0].generated.refused:
            self._quick = self._parts[0].generated.run

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the generated code, for people."""
        return tuple(part.generated.source for part in self._parts)

    def true_of(self, facts: Facts) -> list[int] | None:
        """Return the indexes of the conditions that are true, or None if generated code can't evaluate all of them.

        This is the fast path for nearly all intents; if it returns None, use `run`.
        """
        if self._quick is None:
            return None
        found = self._quick(facts)
        return None if found is None or found[1] else found[0]

    def run(self, facts: Facts) -> ConditionResults:
        """Evaluate all conditions. Never raises."""
        true: list[int] = []
        failed: list[tuple[int, str]] = []
        for first, size, generated in self._parts:
            found = generated.run(facts)
            if found is None:
                left: Sequence[int] = range(first, first + size)
            else:
                true += [first + index for index in found[0]] if first else found[0]
                left = [first + index for index in (*found[1], *generated.refused)]
            for index in left:
                self._decide(index, facts, true, failed)
        true.sort()
        return ConditionResults(true, failed)

    def _decide(self, index: int, facts: Facts, true: list[int], failed: list[tuple[int, str]]) -> None:
        exact = self._exact.get(index)
        if exact is None:
            exact = self._exact[index] = compile_exact(self._trees[index], self._constants)
        try:
            value = exact(facts)
        except EvaluationError as error:
            failed.append((index, str(error)))
            return
        if value is True:
            true.append(index)
        elif value is not False:
            failed.append((index, "condition is not a bool"))


class SeldomEvaluated(Conditions):
    """Conditions that are likely to be evaluated a few times only: no code is generated before `EXACT_RUNS_MAX` runs.

    The exact evaluator has the same results. It takes longer for each evaluation, but is ready at once.
    """

    def _prepare(self, structs: Mapping[str, Struct]) -> None:
        self._structs = structs
        self._runs_left = EXACT_RUNS_MAX

    def run(self, facts: Facts) -> ConditionResults:
        """See `Conditions`."""
        if self._runs_left == 0:
            return super().run(facts)
        self._runs_left -= 1
        if self._runs_left == 0:
            super()._prepare(self._structs)
        true: list[int] = []
        failed: list[tuple[int, str]] = []
        for index in range(len(self._trees)):
            self._decide(index, facts, true, failed)
        return ConditionResults(true, failed)
