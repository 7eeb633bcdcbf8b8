"""Whether the cases of a bundle would notice a slip of the pen: one comparison turned around, one `&&` made `||`.

Each rule is changed in one place at a time. A change that no case notices survives, and says which case is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from streams.policy.bundle import load_bundle
from streams.policy.casefile import Case, read_cases
from streams.policy.cel.exact import compile_exact
from streams.policy.cel.tree import Call, Comprehension, Const, Expr, Select
from streams.policy.cel.unparse import unparse
from streams.policy.compile import CheckedRule, list_constants
from streams.policy.errors import BundleError, EvaluationError, Findings, Location
from streams.policy.ruleset import CompiledRuleset, compile_bundle
from streams.policy.tooltypes import ToolTypes

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
    """A rule with one change: `before` became `after`."""

    rule_id: str
    location: Location
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class MutationReport:
    """How many changes were tried, and those that no case noticed."""

    tried: int
    survivors: tuple[Mutant, ...]

    @property
    def passed(self) -> bool:
        """Whether every change was noticed."""
        return not self.survivors


def mutate_cases(directory: Path, tools: Mapping[str, ToolTypes] | None = None) -> MutationReport:
    """Change each rule of a directory in each place and look whether its cases notice. Blocking.

    Args:
        directory: where `bundle.yaml` is.
        tools: see `compile_bundle`.

    Raises:
        BundleError: the bundle or its cases are wrong.
        BundleReadError: the files can't be read.
    """
    ruleset = compile_bundle(load_bundle(directory), tools)
    findings = Findings()
    cases = read_cases(Path(directory), ruleset, findings)
    if findings.has_errors:
        raise BundleError(findings.errors())
    constants = list_constants(ruleset.bundle)
    tried, survivors = 0, []
    for rule in ruleset.rules:
        own = _applicable(ruleset, rule, cases)
        was = [_outcome(rule.checked.tree, case, constants) for case in own]
        for mutant, tree in _mutants(rule):
            tried += 1
            if [_outcome(tree, case, constants) for case in own] == was:
                survivors.append(mutant)
    return MutationReport(tried, tuple(survivors))


def _applicable(ruleset: CompiledRuleset, rule: CheckedRule, cases: tuple[Case, ...]) -> list[Case]:
    """The cases that look at a rule: of its pack and its tools, and saying which rules match."""
    found = []
    for case in cases:
        tool: Any = case.facts.get("tool", {})
        key = (tool.get("server_id", ""), tool.get("name", ""), tool.get("version", ""))
        looks = case.pack == rule.rule.pack and case.expect.rules is not None
        if looks and any(other.rule.id == rule.rule.id for other in ruleset.applicable(*key)):
            found.append(case)
    return found


def _outcome(tree: Expr, case: Case, constants: Mapping[str, Any]) -> str:
    try:
        return str(compile_exact(tree, constants)(case.facts))
    except EvaluationError:
        return "error"


def _mutants(rule: CheckedRule) -> Iterator[tuple[Mutant, Expr]]:
    for count, (before, after, tree) in enumerate(_changed(rule.checked.tree)):
        if count >= MUTANTS_PER_RULE_MAX:
            return
        at = rule.expanded.at(max(before.offset, 0))
        yield Mutant(rule.rule.id, at, unparse(before), unparse(after)), tree


def _changed(node: Expr) -> Iterator[tuple[Expr, Expr, Expr]]:
    """Each change of a tree: what was changed, into what, and the whole tree with it."""
    for after in _alternatives(node):
        yield node, after, after
    for index, child in enumerate(_written(node)):
        for before, after, changed in _changed(child):
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


def _written(node: Expr) -> tuple[Expr, ...]:
    """The parts of a node in which something may be changed: of a fold, the predicate within its step."""
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
