"""What comes of one rule for one intent, by the exact evaluator: for reports, not for the gate."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from streams.policy.cel.exact import Program, compile_exact
from streams.policy.cel.tree import Expr
from streams.policy.errors import EvaluationError
from streams.policy.language.compile import CheckedRule
from streams.policy.language.globs import ToolMatcher, caller_matcher
from streams.policy.language.schema import Facts
from streams.policy.results import RuleEffect


class RuleOutcome(StrEnum):
    """What came of a rule."""

    TRUE = "true"
    FALSE = "false"
    ERROR = "error"
    NOT_FOR_TOOL = "not for this tool"
    NOT_FOR_CALLER = "not for this caller"
    OFF = "off"


class ExactRule:
    """A rule that can be asked about intents.

    Args:
        rule: the rule.
        constants: the named lists of its bundle, by full name.
    """

    def __init__(self, rule: CheckedRule, constants: Mapping[str, Any]) -> None:
        self.rule = rule
        self._constants = constants
        self._tools = ToolMatcher(rule.rule.match)
        self._callers = caller_matcher(rule.rule.match)
        self._programs: dict[tuple[str, str] | None, Program] = {}

    def tree(self, facts: Facts) -> Expr:
        """The condition as it is checked for the intent's tool."""
        return self.rule.variants.get(tool_of(facts)[:2], self.rule.checked).tree

    def outcome(self, facts: Facts) -> tuple[RuleOutcome, str | None]:
        """What comes of the rule, and why its condition has no value where it has none. Never raises."""
        if not self._tools.matches(*tool_of(facts)):
            return RuleOutcome.NOT_FOR_TOOL, None
        if not self._is_for_caller(facts):
            return RuleOutcome.NOT_FOR_CALLER, None
        return self.value(facts)

    def value(self, facts: Facts) -> tuple[RuleOutcome, str | None]:
        """What comes of the condition alone, for an intent that the rule is for. Never raises."""
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
            program = self._programs[key] = compile_exact(self.tree(facts), self._constants)
        return program

    def _is_for_caller(self, facts: Facts) -> bool:
        """As the gate has it: one who can't be told is anyone, only a permit is not for them."""
        if self._callers is None:
            return True
        agent, tenant = facts.get("agent"), facts.get("tenant")
        agent_id = agent.get("id") if isinstance(agent, Mapping) else None
        if isinstance(agent_id, str) and isinstance(tenant, str):
            return self._callers.matches(agent_id, tenant)
        return self.rule.rule.effect is not RuleEffect.PERMIT


def tool_of(facts: Facts) -> tuple[str, str, str]:
    """Server, name and version of an intent's tool; empty where facts are of an odd shape."""
    tool = facts.get("tool")
    names = [tool.get(key) for key in ("server_id", "name", "version")] if isinstance(tool, Mapping) else [None] * 3
    server_id, name, version = (text if isinstance(text, str) else "" for text in names)
    return server_id, name, version
