"""Mutation testing: measures whether the test cases of a bundle detect small changes of its rules.

A mutant is a rule with one change, for example a negated comparison or `||` instead of `&&`. A mutant that no case
detects survives, and shows which case is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from msgspec.structs import replace

from streams.policy.authoring.case_file import Case, CaseResult, compare, read_cases, rules_by_pack, run_cases
from streams.policy.authoring.rule_outcome import ExactRule, RuleOutcome, tool_of
from streams.policy.cel.tree import Call, Comprehension, Const, Expr, Select
from streams.policy.cel.unparse import unparse
from streams.policy.errors import BundleError, Findings, Location
from streams.policy.language.bundle import load_bundle
from streams.policy.language.compile import CheckedRule, list_constants
from streams.policy.language.tool_types import ToolTypes
from streams.policy.results import PolicyResult
from streams.policy.runtime.combine import combine, progress_of
from streams.policy.runtime.ruleset import CompiledRuleset, compile_bundle, is_tool_fact, tool_version_of

MUTANTS_PER_RULE_MAX = 50

_SWAPS = {
    "_<_": "_<=_",
    "_<=_": "_<_",
    "_>_": "_>=_",
    "_>=_": "_>_",
    "_==_": "_!=_",
    "_!=_": "_==_",
    "_&&_": "_||_",
    "_||_": "_&&_",
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of a rule: the expression `before` is replaced by `after`."""

    rule_id: str
    location: Location
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class MutationReport:
    """The number of mutants that were tried, and the mutants that no case detected."""

    tried: int
    survivors: tuple[Mutant, ...]

    @property
    def passed(self) -> bool:
        """Return whether every mutant was detected."""
        return not self.survivors


def mutate_cases(
    directory: Path, tools: Mapping[str, ToolTypes] | None = None, pack: str | None = None
) -> MutationReport:
    """Make all mutants of the rules in a directory and test whether the cases detect them. Blocking.

    A mutant is detected if a case that passes, of any pack, would fail with it. Cases that already fail detect nothing.

    Args:
        directory: the directory that contains `bundle.yaml`.
        tools: see `compile_bundle`.
        pack: the pack whose rules are changed; None: all. The cases of all packs are run.

    Raises:
        BundleError: the bundle or its case files have errors.
        BundleReadError: the files can't be read.
    """
    ruleset = compile_bundle(load_bundle(directory), tools)
    findings = Findings()
    cases = read_cases(Path(directory), ruleset, findings)
    if findings.has_errors:
        raise BundleError(findings.errors())
    cases_by_rule = _passing_cases(ruleset, cases)
    constants = list_constants(ruleset.bundle)
    tried, survivors = 0, []
    for rule in ruleset.rules:
        if pack not in (None, rule.rule.pack):
            continue
        exact_rule = ExactRule(rule, constants)
        own = [case for case in cases_by_rule.get(rule.rule.id, ()) if case.is_applicable(exact_rule)]
        for mutant, changed in _mutants(rule):
            tried += 1
            exact_rule = ExactRule(changed, constants)
            if not _is_detected(exact_rule, own):
                survivors.append(mutant)
    return MutationReport(tried, tuple(survivors))


def _is_detected(changed: ExactRule, cases: list[_PassingCase]) -> bool:
    """Return whether a case detects a changed rule, and move that case to the front.

    A case that detects one mutant of a rule often detects the next ones, too.
    """
    for index, case in enumerate(cases):
        if case.detects(changed):
            cases.insert(0, cases.pop(index))
            return True
    return False


class _PassingCase:
    """A case that passes, with the outcome of every rule.

    To test a mutant, only the condition of the changed rule is evaluated: the outcomes of the others are known.
    """

    def __init__(self, ruleset: CompiledRuleset, passed: CaseResult, own: frozenset[str]) -> None:
        self.case = passed.case
        self._ruleset = ruleset
        self._own = own
        self._facts = ruleset.with_typed_args(passed.case.facts)
        self._true = frozenset(match.rule_id for match in passed.result.rules)
        self._failed = {failure.rule_id: failure.text for failure in passed.result.errors}
        self._known: dict[tuple[str, RuleOutcome], bool] = {}

    def is_applicable(self, rule: ExactRule) -> bool:
        """Return whether a rule applies to the call. Mutants change only conditions, so it is the same for them."""
        return rule.outcome(self._facts)[0] in (RuleOutcome.TRUE, RuleOutcome.FALSE, RuleOutcome.ERROR)

    def detects(self, changed: ExactRule) -> bool:
        """Return whether the case would fail with a changed rule that applies to the call."""
        rule_id = changed.rule.rule.id
        outcome, _ = changed.value(self._facts)
        # Most changes make no difference to most cases. What is judged as before passes as before.
        if outcome is self._unchanged(rule_id):
            return False
        key = (rule_id, outcome)
        if key not in self._known:
            self._known[key] = self._fails(*key)
        return self._known[key]

    def _unchanged(self, rule_id: str) -> RuleOutcome:
        """Return the outcome of a rule that applies to the call, as it is without a change."""
        if rule_id in self._failed:
            return RuleOutcome.ERROR
        return RuleOutcome.TRUE if rule_id in self._true else RuleOutcome.FALSE

    def _fails(self, rule_id: str, outcome: RuleOutcome) -> bool:
        """Return whether the case would fail if a rule had this outcome. Cases don't compare the texts of errors."""
        true = self._true - {rule_id} | ({rule_id} if outcome is RuleOutcome.TRUE else set())
        failed = {other: why for other, why in self._failed.items() if other != rule_id}
        if outcome is RuleOutcome.ERROR:
            failed[rule_id] = ""
        return not compare(self.case, self._judge(true, failed), self._own).passed

    def _judge(self, true: frozenset[str], failed: Mapping[str, str]) -> PolicyResult:
        rules = [checked.rule for checked in self._ruleset.rules]
        facts = self.case.facts
        result = combine(
            [rule for rule in rules if rule.id in true],
            [(rule, failed[rule.id]) for rule in rules if rule.id in failed],
            progress_of(facts),
            ".".join(tool_of(facts)[:2]),
        )
        return self._ruleset.with_memory_errors(result, facts)


def _passing_cases(ruleset: CompiledRuleset, cases: tuple[Case, ...]) -> dict[str, list[_PassingCase]]:
    """Return the passing cases for the tools of each rule, by rule id.

    The cases of the rule's pack come first, because they detect most mutants.
    """
    packs, own = {rule.rule.id: rule.rule.pack for rule in ruleset.rules}, rules_by_pack(ruleset)
    found: dict[str, list[_PassingCase]] = {}
    for result in run_cases(ruleset, cases):
        tool = result.case.facts.get("tool")
        if result.passed and is_tool_fact(tool):
            case = _PassingCase(ruleset, result, own.get(result.case.pack, frozenset()))
            for rule in ruleset.applicable(*tool_version_of(tool)):
                found.setdefault(rule.rule.id, []).append(case)
    for rule_id, cases_by_rule in found.items():
        cases_by_rule.sort(key=lambda case: case.case.pack != packs[rule_id])
    return found


def _mutants(rule: CheckedRule) -> Iterator[tuple[Mutant, CheckedRule]]:
    """Yield each mutant of a rule. The change is the same in all variants of the condition."""
    forms = [rule.checked, *rule.variants.values()]
    changes = zip(*(_changes(form.tree) for form in forms), strict=True)
    for (before, after, tree), *others in islice(changes, MUTANTS_PER_RULE_MAX):
        at = rule.expanded.at(max(before.offset, 0))
        variants = {
            tool: replace(form, tree=changed)
            for (tool, form), (_, _, changed) in zip(rule.variants.items(), others, strict=True)
        }
        mutant = Mutant(rule.rule.id, at, unparse(before), unparse(after))
        checked = replace(rule.checked, tree=tree)
        yield mutant, replace(rule, checked=checked, variants=variants)


def _changes(node: Expr) -> Iterator[tuple[Expr, Expr, Expr]]:
    """Yield each change of a tree: the expression, its replacement, and the whole changed tree."""
    for after in _alternatives(node):
        yield node, after, after
    for index, child in enumerate(_mutable_parts(node)):
        for before, after, changed in _changes(child):
            yield before, after, _with_child(node, index, changed)


def _alternatives(node: Expr) -> Iterator[Expr]:
    if not isinstance(node, Call):
        return
    if node.function in _SWAPS:
        yield replace(node, function=_SWAPS[node.function])
    if node.function == "!_":
        yield node.args[0]
    if node.function == "@in":
        yield replace(node, function="!_", args=(node,))
    if node.function in ("_<_", "_<=_", "_>_", "_>=_"):
        last = node.args[-1]
        if isinstance(last, Const) and type(last.value) is int:
            yield replace(node, args=(node.args[0], replace(last, value=last.value + 1)))


def _mutable_parts(node: Expr) -> tuple[Expr, ...]:
    """Return the parts of a node that can be changed; for a fold these are its list and its predicate."""
    if isinstance(node, Call):
        return node.args
    if isinstance(node, Select):
        return (node.operand,)
    if isinstance(node, Comprehension):
        step = node.step
        return (node.iter_range, *(step.args[1:2] if isinstance(step, Call) and len(step.args) == 2 else ()))
    return ()


def _with_child(node: Expr, index: int, child: Expr) -> Expr:
    if isinstance(node, Call):
        args = list(node.args)
        args[index] = child
        return replace(node, args=tuple(args))
    if isinstance(node, Select):
        return replace(node, operand=child)
    if isinstance(node, Comprehension) and index == 0:
        return replace(node, iter_range=child)
    if isinstance(node, Comprehension) and isinstance(node.step, Call):
        return replace(node, step=replace(node.step, args=(node.step.args[0], child)))
    return node
