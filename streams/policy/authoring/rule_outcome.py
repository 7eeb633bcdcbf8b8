"""Evaluates single rules with the exact evaluator, for reports. The gate does not use it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import partial
from typing import Any

from streams.policy.cel.exact import PartsCompiler, Program, compile_exact
from streams.policy.cel.tree import Expr
from streams.policy.errors import EvaluationError
from streams.policy.language.compile import CheckedRule
from streams.policy.language.fact_types import Facts
from streams.policy.language.globs import ToolMatcher, caller_matcher
from streams.policy.results import RuleEffect


class RuleOutcome(StrEnum):
    """The outcome of a rule for an intent."""

    TRUE = "true"
    FALSE = "false"
    ERROR = "error"
    NOT_FOR_TOOL = "not for this tool"
    NOT_FOR_CALLER = "not for this caller"
    OFF = "off"


class ExactRule:
    """A rule, ready for the exact evaluator.

    Args:
        rule: the checked rule.
        constants: the named lists of its bundle, by full name.
        compiler: compiles conditions, by default each on its own.
    """

    def __init__(self, rule: CheckedRule, constants: Mapping[str, Any], compiler: PartsCompiler | None = None) -> None:
        self.rule = rule
        self._compile = partial(compile_exact, constants=constants) if compiler is None else compiler.compile
        self._tools = ToolMatcher(rule.rule.match)
        self._callers = caller_matcher(rule.rule.match)
        self._programs: dict[tuple[str, str] | None, Program] = {}

    def tree(self, facts: Facts) -> Expr:
        """Return the condition as checked for the tool of the intent."""
        return self.rule.variants.get(tool_of(facts)[:2], self.rule.checked).tree

    def outcome(self, facts: Facts) -> tuple[RuleOutcome, str | None]:
        """Return the outcome of the rule, and the reason if its condition has no value. Never raises."""
        if not self._tools.matches(*tool_of(facts)):
            return RuleOutcome.NOT_FOR_TOOL, None
        if not self._is_for_caller(facts):
            return RuleOutcome.NOT_FOR_CALLER, None
        return self.value(facts)

    def value(self, facts: Facts) -> tuple[RuleOutcome, str | None]:
        """Return the outcome of the condition, for an intent that the rule applies to. Never raises."""
        try:
            value = self._program(facts)(facts)
        except EvaluationError as error:
            return RuleOutcome.ERROR, str(error)
        if not isinstance(value, bool):
            return RuleOutcome.ERROR, "condition is not a bool"
        return (RuleOutcome.TRUE if value else RuleOutcome.FALSE), None

    def _program(self, facts: Facts) -> Program:
        tool = tool_of(facts)[:2] if self.rule.variants else None
        key = tool if tool in self.rule.variants else None
        program = self._programs.get(key)
        if program is None:
            program = self._programs[key] = self._compile(self.tree(facts))
        return program

    def _is_for_caller(self, facts: Facts) -> bool:
        """Return whether the rule applies to the caller, as in the gate.

        A caller who is not known may be anyone: a permit does not apply to such a call, all other rules do.
        """
        if self._callers is None:
            return True
        agent, tenant = facts.get("agent"), facts.get("tenant")
        agent_id = agent.get("id") if isinstance(agent, Mapping) else None
        if isinstance(agent_id, str) and isinstance(tenant, str):
            return self._callers.matches(agent_id, tenant)
        return self.rule.rule.effect is not RuleEffect.PERMIT


def tool_of(facts: Facts) -> tuple[str, str, str]:
    """Return server, name and version of an intent's tool; each is empty if the facts don't contain it."""
    tool = facts.get("tool")
    names = [tool.get(key) for key in ("server_id", "name", "version")] if isinstance(tool, Mapping) else [None] * 3
    server_id, name, version = (text if isinstance(text, str) else "" for text in names)
    return server_id, name, version
