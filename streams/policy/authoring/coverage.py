"""Measures which behaviour of each rule the test cases of a bundle cover.

Every rule needs a case in which it matches, one in which it does not match, and one in which a field that it reads is
missing. Every comparison or test in its condition should be true in one case and false in another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from streams.policy.authoring.rule_outcome import tool_of
from streams.policy.cel.exact import Program, compile_exact
from streams.policy.cel.structural_hash import start_offset, structural_key
from streams.policy.cel.tree import Call, Const, Expr, Ident, Select, walk
from streams.policy.cel.unparse import unparse
from streams.policy.cel.values import NO_SUCH_KEY
from streams.policy.errors import EvaluationError, Findings
from streams.policy.language.compile import CheckedRule, list_constants
from streams.policy.language.fact_types import Facts
from streams.policy.language.paths import first_missing, overlaps, read_paths
from streams.policy.language.schema import FACT_NAMES
from streams.policy.results import PolicyResult
from streams.policy.runtime.ruleset import CompiledRuleset

LOGIC = frozenset(("_&&_", "_||_", "!_", "_?_:_"))
"""The operators that combine tests into a condition."""


@dataclass(slots=True)
class RuleCoverage:
    """The number of cases that cover each behaviour of a rule.

    Attributes:
        fires: the rule matches.
        silent: the rule applies to the call and does not match.
        missing: the case removes a field that the rule reads, or expects an error because such a field is missing.
        tests: the number of comparisons and tests in the condition.
        seen: the number of outcomes of these tests, true or false, that occur in some case; at most twice `tests`.
        lacking: the number of behaviours that the rule can show, and no case covers.
    """

    rule_id: str
    fires: int = 0
    silent: int = 0
    missing: int = 0
    tests: int = 0
    seen: int = 0
    lacking: int = 0


@dataclass(slots=True)
class _Test:
    """A comparison or another part of a condition that is true or false; `seen` are the outcomes that occurred."""

    node: Expr
    program: Program
    seen: set[bool] = field(default_factory=set)


class Observation(NamedTuple):
    """An evaluation by a gate in a scenario: its facts, its result, and the rules expected to be in error."""

    facts: Facts
    result: PolicyResult
    errors: frozenset[str] = frozenset()


class Coverage:
    """Collects the coverage of cases.

    Args:
        ruleset: the compiled bundle that the cases test.
        pack: the pack whose rules are looked at; None: all.
    """

    def __init__(self, ruleset: CompiledRuleset, pack: str | None = None) -> None:
        self._ruleset = ruleset
        self._rules: dict[str, CheckedRule] = {
            rule.rule.id: rule for rule in ruleset.rules if pack in (None, rule.rule.pack)
        }
        self._reads = {rule_id: sorted(read_paths(rule.checked.tree)) for rule_id, rule in self._rules.items()}
        constants = list_constants(ruleset.bundle)
        self._tests = {rule_id: _find_tests(rule, constants) for rule_id, rule in self._rules.items()}
        self._counts = {rule_id: RuleCoverage(rule_id, tests=len(tests)) for rule_id, tests in self._tests.items()}

    def add(
        self, facts: Facts, unset: Iterable[tuple[str, ...]], errors: Collection[str], result: PolicyResult
    ) -> None:
        """Count one case.

        Args:
            facts: the facts of the case.
            unset: the paths of the fields that the case removes from its fixture.
            errors: the rules that the case expects to be in error.
            result: the result of the case.
        """
        matched = {match.rule_id for match in result.rules}
        failed = {failure.rule_id: failure.text for failure in result.errors}
        gone = tuple(unset)
        for rule in self._ruleset.applicable(*tool_of(facts)):
            rule_id = rule.rule.id
            if (counts := self._counts.get(rule_id)) is None:
                continue
            counts.fires += rule_id in matched
            counts.silent += rule_id not in matched and rule_id not in failed
            reads = self._reads[rule_id]
            counts.missing += any(overlaps(path, read) for path in gone for read in reads) or (
                rule_id in errors and self._is_missing_field(rule, failed.get(rule_id), facts)
            )
            for test in self._tests[rule_id]:
                _record_outcome(test, facts)

    def _is_missing_field(self, rule: CheckedRule, error: str | None, facts: Facts) -> bool:
        """Return whether the error of a rule is that a field which it reads is missing."""
        if error == NO_SUCH_KEY:
            return _looks_up(rule.checked.tree)
        missing = (first_missing(facts, read) for read in self._reads[rule.rule.id])
        return error in {f"{NO_SUCH_KEY}: {name}" for name in missing if name is not None}

    def report(self, findings: Findings) -> tuple[RuleCoverage, ...]:
        """Return the coverage of each rule, ordered by rule id, and report missing cases to `findings`."""
        for rule_id, rule in self._rules.items():
            counts = self._counts[rule_id]
            counts.seen = sum(len(test.seen) for test in self._tests[rule_id])
            # A rule that reads no facts always has the same result.
            is_constant = not any(read[0] in FACT_NAMES for read in self._reads[rule_id])
            advice = (
                "`unset` such a field in a case (`set` it there first if the fixture lacks it), "
                f"or add a case without it that expects `errors: [{rule_id}]`"
            )
            required = (
                ("the rule matches", counts.fires, None),
                ("the rule does not match", counts.silent or is_constant, None),
                ("a field that the rule reads is missing", counts.missing or is_constant, advice),
            )
            for text, is_covered, hint in required:
                if not is_covered:
                    counts.lacking += 1
                    message = f"no case in which {text}"
                    findings.error("uncovered_rule", rule.rule.location, message, rule_id=rule_id, hint=hint)
            if counts.fires and counts.silent:
                self._report_tests(rule, findings)
        return tuple(self._counts[rule_id] for rule_id in sorted(self._counts))

    def _report_tests(self, rule: CheckedRule, findings: Findings) -> None:
        for test in self._tests[rule.rule.id]:
            for outcome in (True, False):
                if outcome not in test.seen:
                    at = rule.expanded.at(start_offset(test.node))
                    message = f"no case in which `{unparse(test.node)}` is {str(outcome).lower()}"
                    findings.warning("uncovered_condition", at, message, rule_id=rule.rule.id)


def _looks_up(tree: Expr) -> bool:
    """Return whether a condition reads facts with `[...]`; the error of a missing key does not name the key then."""
    return any(isinstance(node, Call) and node.function == "_[_]" and _is_fact(node.args[0]) for node in walk(tree))


def _is_fact(node: Expr) -> bool:
    while isinstance(node, Select):
        node = node.operand
    return isinstance(node, Ident) and node.name in FACT_NAMES


def _record_outcome(test: _Test, facts: Facts) -> None:
    if len(test.seen) == len((True, False)):
        return
    try:
        value = test.program(facts)
    except EvaluationError:
        return
    if isinstance(value, bool):
        test.seen.add(value)


def _find_tests(rule: CheckedRule, constants: Mapping[str, Any]) -> tuple[_Test, ...]:
    found: dict[Any, Expr] = {}
    _collect(rule.checked.tree, found)
    return tuple(_Test(node, compile_exact(node, constants)) for node in found.values())


def _collect(node: Expr, found: dict[Any, Expr]) -> None:
    if isinstance(node, Call) and node.function in LOGIC and node.type.kind == "bool":
        for arg in node.args:
            _collect(arg, found)
    elif not isinstance(node, Const):
        found.setdefault(structural_key(node), node)
