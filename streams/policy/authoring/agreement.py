"""Generated code held against the exact evaluator, on the cases of a bundle.

Gates go by generated code. That it says what the exact evaluator says is tested for the language as a whole; here it is
for the rules of one bundle, before they are published.
"""

from __future__ import annotations

from streams.policy.authoring.outcome import AskedRule, Outcome
from streams.policy.errors import Findings
from streams.policy.language.compile import list_constants
from streams.policy.language.schema import Facts
from streams.policy.results import PolicyResult
from streams.policy.runtime.ruleset import CompiledRuleset, is_tool, key_of


class Agreement:
    """What generated code and the exact evaluator say of the same cases.

    Args:
        ruleset: the rules.
        findings: receives what they differ about.
    """

    def __init__(self, ruleset: CompiledRuleset, findings: Findings) -> None:
        self._ruleset = ruleset
        self._findings = findings
        constants = list_constants(ruleset.bundle)
        self._asked = {rule.rule.id: AskedRule(rule, constants) for rule in ruleset.rules}

    def add(self, name: str, facts: Facts, result: PolicyResult) -> None:
        """Look at one case.

        Args:
            name: of the case.
            facts: of the case.
            result: how it was judged by generated code.
        """
        tool = facts.get("tool")
        if not is_tool(tool):
            return
        true = {match.rule_id for match in result.rules}
        failed = {failure.rule_id for failure in result.errors}
        fitted = self._ruleset.fitted(facts)
        for rule in self._ruleset.applicable(*key_of(tool)):
            rule_id = rule.rule.id
            outcome, _ = self._asked[rule_id].outcome(fitted)
            if (outcome is Outcome.TRUE, outcome is Outcome.ERROR) != (rule_id in true, rule_id in failed):
                text = f"case `{name}`: generated code does not say what the exact evaluator does, `{outcome}`"
                hint = "this is an error of stoplog, report it; don't publish the rule"
                self._findings.error("evaluators_differ", rule.rule.location, text, rule_id=rule_id, hint=hint)
