"""One intent before every rule: which applied, what came of it, and the value of every part of its condition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from streams.policy.bundle import Rule
from streams.policy.cel.exact import compile_exact
from streams.policy.cel.folds import FoldKind, classify
from streams.policy.cel.substitute import substitute
from streams.policy.cel.tree import DYN, Call, Comprehension, Const, Expr, Ident, Select, StaticType, children
from streams.policy.cel.unparse import unparse
from streams.policy.compile import CheckedRule, list_constants
from streams.policy.errors import EvaluationError
from streams.policy.explain import REDACTED, as_json, reads_sensitive
from streams.policy.outcome import AskedRule, Outcome
from streams.policy.results import Mode, PolicyResult
from streams.policy.ruleset import CompiledRuleset
from streams.policy.schema import Facts

PARTS_MAX = 300
"""Parts of one condition that are shown."""

ELEMENTS_MAX = 5
"""Elements of a fold that are shown."""

_INT = StaticType("int")
_ASKED = frozenset({Outcome.TRUE, Outcome.FALSE, Outcome.ERROR})


@dataclass(frozen=True, slots=True)
class Part:
    """A sub-expression: its text, its value as JSON text, `[redacted]`, or why it has none, and its own parts."""

    text: str
    value: str
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleExplanation:
    """One rule before the intent. `whole` is its condition with all parts of it; None where it was not asked."""

    rule_id: str
    effect: str
    mode: Mode
    reason: str
    place: str
    outcome: Outcome
    error: str | None = None
    whole: Part | None = None


@dataclass(frozen=True, slots=True)
class IntentExplanation:
    """The whole: `result` is what the gate would have been told."""

    bundle: str
    version: str
    digest: str
    result: PolicyResult
    rules: tuple[RuleExplanation, ...]


def explain_intent(ruleset: CompiledRuleset, facts: Facts, *, reveal: bool = False) -> IntentExplanation:
    """Ask every rule of a bundle about one intent.

    Args:
        ruleset: the compiled bundle.
        facts: the intent's facts, as for `evaluate`.
        reveal: show values of fields that the schema calls sensitive, too.
    """
    constants = list_constants(ruleset.bundle)
    asked = {rule.rule.id: rule for rule in ruleset.rules}
    rules = [rule for pack in ruleset.bundle.packs for rule in pack.rules]
    return IntentExplanation(
        ruleset.name,
        ruleset.version,
        ruleset.digest.hex(),
        ruleset.evaluate(facts),
        tuple(
            _explain(rule, asked.get(rule.id), facts, constants, reveal=reveal)
            for rule in sorted(rules, key=lambda rule: rule.id)
        ),
    )


def _explain(
    rule: Rule, checked: CheckedRule | None, facts: Facts, constants: Mapping[str, Any], *, reveal: bool
) -> RuleExplanation:
    outcome, error, whole = Outcome.OFF, None, None
    if checked is not None:
        asked = AskedRule(checked, constants)
        outcome, error = asked.outcome(facts)
        if outcome in _ASKED:
            whole = _Explainer(facts, constants, reveal).part(asked.tree(facts))
    return RuleExplanation(rule.id, rule.effect, rule.mode, rule.reason, str(rule.location), outcome, error, whole)


class _Explainer:
    """Takes an expression apart, with the value of each part."""

    def __init__(self, facts: Facts, constants: Mapping[str, Any], reveal: bool) -> None:
        self._facts = facts
        self._constants = constants
        self._reveal = reveal
        self._left = PARTS_MAX

    def part(self, node: Expr) -> Part:
        """The expression and, as long as there is room, all that it is built of."""
        self._left -= 1
        inner = tuple(self.part(child) for child in self._inner(node) if self._left > 0)
        return Part(unparse(node), self._value(node), inner)

    def _value(self, node: Expr) -> str:
        if not self._reveal and node.type.kind != "bool" and reads_sensitive(node):
            return REDACTED
        try:
            return as_json(self._evaluated(node))
        except EvaluationError as error:
            return f"no value: {error}"

    def _evaluated(self, node: Expr) -> Any:
        return compile_exact(node, self._constants)(self._facts)

    def _inner(self, node: Expr) -> Iterator[Expr]:
        if isinstance(node, Select):
            if not _is_field(node):
                yield node.operand
        elif isinstance(node, Comprehension):
            yield from self._of_fold(node)
        elif not isinstance(node, Ident):
            yield from (child for child in children(node) if not isinstance(child, Const))

    def _of_fold(self, node: Comprehension) -> Iterator[Expr]:
        """What a fold goes through, and what it asks of the first elements, each in its place."""
        fold = classify(node)
        if fold.kind is FoldKind.BIND:
            yield substitute(fold.body, node.accu_var, node.accu_init)
            return
        yield node.iter_range
        if fold.kind is FoldKind.OTHER or node.iter_var2:
            return
        try:
            elements = self._evaluated(node.iter_range)
        except EvaluationError:
            return
        for index, key in enumerate(islice(elements, ELEMENTS_MAX)):
            element: Expr = Const(node.iter_range.type, -1, key)
            if not isinstance(elements, Mapping):
                kind = (node.iter_range.type.params or (DYN,))[0]
                at = Const(_INT, -1, index)
                element = Call(kind, -1, "_[_]", False, (node.iter_range, at), ())
            yield substitute(fold.test or fold.body, node.iter_var, element)


def _is_field(node: Expr) -> bool:
    """Whether it is a chain of fields, of which the last alone is worth a line."""
    while isinstance(node, Select):
        node = node.operand
    return isinstance(node, Ident)
