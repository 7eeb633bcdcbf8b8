"""Compiles rules so that their evaluations can be looked at, for tests of the rules.

The gate runs the rules as it always does, and gives them the facts that it would give them anyway; the id of the intent
is added, to tell whose evaluation it is.
"""

from __future__ import annotations

from typing import NamedTuple

from streams.policy import BundleSource, CompiledRuleset, Facts, PolicyResult, compile_bundle
from streams.policy.runtime.memory_updates import ToolPlan
from streams.policy.runtime.ruleset import Tool

_INTENT = frozenset({"intent"})


class Evaluation(NamedTuple):
    """One evaluation of the rules."""

    ruleset: CompiledRuleset
    facts: Facts
    result: PolicyResult

    @property
    def intent_id(self) -> str:
        """Return the id of the intent that was judged."""
        return str(self.facts["intent"]["id"])


class Observer:
    """Compiles rulesets, each bundle once, and collects their evaluations."""

    def __init__(self) -> None:
        self._found: list[Evaluation] = []
        self._compiled: dict[bytes, CompiledRuleset] = {}
        found = self._found

        class Observed(CompiledRuleset):
            """A ruleset whose evaluations are collected."""

            def plan(self, tool: Tool) -> ToolPlan:
                plan = super().plan(tool)
                return plan if plan.needs >= _INTENT else plan.needing(_INTENT)

            def evaluate(self, facts: Facts, *, planned: bool = False) -> PolicyResult:
                result = super().evaluate(facts, planned=planned)
                if "intent" in facts:
                    found.append(Evaluation(self, facts, result))
                return result

        self._kind = Observed

    def compile(self, source: BundleSource) -> CompiledRuleset:
        """Compile a bundle, as `compile_bundle` does."""
        if source.digest not in self._compiled:
            self._compiled[source.digest] = compile_bundle(source, kind=self._kind)
        return self._compiled[source.digest]

    @property
    def reads(self) -> frozenset[str]:
        """Return the facts that the rules read which were compiled so far."""
        return frozenset[str]().union(*(each.reads for each in self._compiled.values()))

    def take(self) -> tuple[Evaluation, ...]:
        """Return the evaluations since the last call."""
        taken = tuple(self._found)
        self._found.clear()
        return taken
