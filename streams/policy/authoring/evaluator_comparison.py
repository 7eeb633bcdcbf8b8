"""Compares generated code with the exact evaluator on the test cases of a bundle.

Gates run generated code. The tests of stoplog compare it with the exact evaluator for the language as a whole; this
module does so for the rules of one bundle, before they are published.
"""

from __future__ import annotations

from streams.policy.authoring.rule_outcome import ExactRule, RuleOutcome
from streams.policy.errors import Findings
from streams.policy.language.compile import list_constants
from streams.policy.language.fact_types import Facts
from streams.policy.results import PolicyResult
from streams.policy.runtime.ruleset import CompiledRuleset, is_tool_fact, tool_version_of


class EvaluatorComparison:
    """Compares the results of generated code and of the exact evaluator, case by case.

    Args:
        ruleset: the compiled rules.
        findings: receives the differences.
    """

    def __init__(self, ruleset: CompiledRuleset, findings: Findings) -> None:
        self._ruleset = ruleset
        self._findings = findings
        constants = list_constants(ruleset.bundle)
        self._exact_rules = {rule.rule.id: ExactRule(rule, constants) for rule in ruleset.rules}

    def add(self, name: str, facts: Facts, result: PolicyResult) -> None:
        """Compare one case.

        Args:
            name: the name of the case.
            facts: the facts of the case.
            result: the result of generated code.
        """
        tool = facts.get("tool")
        if not is_tool_fact(tool):
            return
        true = {match.rule_id for match in result.rules}
        failed = {failure.rule_id for failure in result.errors}
        with_typed_args = self._ruleset.with_typed_args(facts)
        for rule in self._ruleset.applicable(*tool_version_of(tool)):
            rule_id = rule.rule.id
            outcome, _ = self._exact_rules[rule_id].outcome(with_typed_args)
            if (outcome is RuleOutcome.TRUE, outcome is RuleOutcome.ERROR) != (rule_id in true, rule_id in failed):
                text = f"case `{name}`: generated code disagrees with the exact evaluator, which gives `{outcome}`"
                hint = "this is a bug in stoplog: report it, and don't publish the rule"
                self._findings.error("evaluators_differ", rule.rule.location, text, rule_id=rule_id, hint=hint)
