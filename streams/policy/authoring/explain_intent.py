"""Explains the result for one intent: the outcome of every rule, and the value of every part of its condition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import islice
from typing import Any

import msgspec

from streams.policy.authoring.rule_outcome import ExactRule, RuleOutcome
from streams.policy.cel.exact import PartsCompiler
from streams.policy.cel.folds import FoldKind, classify
from streams.policy.cel.substitute import substitute
from streams.policy.cel.tree import DYN, Call, Comprehension, Const, Expr, Ident, Select, StaticType, children
from streams.policy.cel.unparse import Unparser
from streams.policy.errors import EvaluationError
from streams.policy.language.bundle import Rule
from streams.policy.language.compile import CheckedRule, list_constants
from streams.policy.language.fact_types import Facts
from streams.policy.results import Mode, PolicyResult
from streams.policy.runtime.explain import REDACTED, as_json, reads_sensitive
from streams.policy.runtime.ruleset import CompiledRuleset


class Connective(StrEnum):
    """How the value of an expression follows from the values of its parts."""

    AND = "and"
    OR = "or"
    NOT = "not"
    ALL = "all"
    EXISTS = "exists"
    ELEMENT = "element"
    """An element of a list; its part is the predicate for this element."""
    OTHER = ""


class ExplainedPart(msgspec.Struct, frozen=True):
    """A sub-expression and its value.

    Attributes:
        text: the CEL text.
        value: the value as JSON text, `[redacted]`, or the reason why there is none.
        parts: its own sub-expressions.
        connective: how `value` follows from the values of the parts.
    """

    text: str
    value: str
    parts: tuple[ExplainedPart, ...] = ()
    connective: Connective = Connective.OTHER

    @property
    def result(self) -> str:
        """Return the value that counts in the enclosing expression: for an element, the value of the predicate."""
        return self.parts[0].value if self.connective is Connective.ELEMENT and self.parts else self.value

    def decisive_parts(self) -> tuple[ExplainedPart, ...]:
        """Return the parts that determine the value, for example the false parts of a false conjunction."""
        if self.connective in (Connective.AND, Connective.ALL):
            return self._decisive("true", "false")
        if self.connective in (Connective.OR, Connective.EXISTS):
            return self._decisive("false", "true")
        return self.parts

    def _decisive(self, neutral: str, absorbing: str) -> tuple[ExplainedPart, ...]:
        if self.value == neutral:
            return self.parts
        kept = [absorbing] if self.value == absorbing else None
        found = tuple(
            part for part in self.parts if (part.result in kept if kept is not None else part.result != neutral)
        )
        return found or self.parts


class RuleExplanation(msgspec.Struct, frozen=True):
    """The explanation of one rule; `whole` is its condition with all parts, or None if it was not evaluated."""

    rule_id: str
    effect: str
    mode: Mode
    reason: str
    place: str
    outcome: RuleOutcome
    error: str | None = None
    whole: ExplainedPart | None = None


class IntentExplanation(msgspec.Struct, frozen=True):
    """The explanation of one intent; `result` is the result that the gate gets."""

    bundle: str
    version: str
    digest: str
    result: PolicyResult
    rules: tuple[RuleExplanation, ...]


PARTS_MAX = 300
"""How many parts of one condition are shown."""

ELEMENTS_MAX = 5
"""How many elements of a list are shown."""

ELEMENTS_ASKED_MAX = 1_000
"""How many elements of a list are searched for the decisive ones."""

Bound = tuple[tuple[str, Expr], ...]
"""Variables of folds and the expressions that they stand for, innermost first."""

_INT = StaticType("int")
_JOINS = {"_&&_": Connective.AND, "_||_": Connective.OR, "!_": Connective.NOT}
_ASKED = frozenset({RuleOutcome.TRUE, RuleOutcome.FALSE, RuleOutcome.ERROR})


def explain_intent(ruleset: CompiledRuleset, facts: Facts, *, reveal: bool = False) -> IntentExplanation:
    """Evaluate every rule of a bundle for one intent and explain the results.

    Args:
        ruleset: the compiled bundle: all rules, or at least those that apply to the tool.
        facts: the facts of the intent, as for `evaluate`.
        reveal: also show the values of sensitive fields.
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
    outcome, error, whole = RuleOutcome.OFF if rule.mode is Mode.OFF else RuleOutcome.NOT_FOR_TOOL, None, None
    if checked is not None:
        compiler = PartsCompiler(constants)
        asked = ExactRule(checked, constants, compiler)
        outcome, error = asked.outcome(facts)
        if outcome in _ASKED:
            whole = _Explainer(facts, compiler, reveal).part(asked.tree(facts))
    return RuleExplanation(rule.id, rule.effect, rule.mode, rule.reason, str(rule.location), outcome, error, whole)


class _Explainer:
    """Splits an expression into its parts and evaluates each of them.

    The text of a part shows a variable of a fold by its name. For evaluation the variable is replaced by the expression
    that it stands for.
    """

    def __init__(self, facts: Facts, compiler: PartsCompiler, reveal: bool) -> None:
        self._facts = facts
        self._programs = compiler
        self._reveal = reveal
        self._left = PARTS_MAX
        self._unparser = Unparser()

    def part(self, node: Expr, bound: Bound = ()) -> ExplainedPart:
        """Return the expression with its parts, up to `PARTS_MAX` in total."""
        self._left -= 1
        if isinstance(node, Comprehension):
            connective, inner = self._fold(node, bound)
        else:
            connective = _JOINS.get(node.function, Connective.OTHER) if isinstance(node, Call) else Connective.OTHER
            inner = self._each(_shown_parts(node, bound), bound)
        return ExplainedPart(self._unparser.text(node), self._value(node, bound), inner, connective)

    def _each(self, nodes: Iterable[Expr], bound: Bound) -> tuple[ExplainedPart, ...]:
        return tuple(self.part(node, bound) for node in nodes if self._left > 0)

    def _value(self, node: Expr, bound: Bound) -> str:
        whole = _with_bound(node, bound)
        if not self._reveal and node.type.kind != "bool" and reads_sensitive(whole):
            return REDACTED
        try:
            return as_json(self._programs.compile(whole)(self._facts))
        except EvaluationError as error:
            return f"no value: {error}"

    def _fold(self, node: Comprehension, bound: Bound) -> tuple[Connective, tuple[ExplainedPart, ...]]:
        """Return the connective of a fold and its parts: the list, or the predicate for its first elements."""
        fold = classify(node)
        if fold.kind is FoldKind.BIND:
            value = self._each((node.accu_init,), bound)
            return Connective.OTHER, (
                *value,
                *self._each((fold.body,), ((node.accu_var, _with_bound(node.accu_init, bound)), *bound)),
            )
        connective = {FoldKind.ALL: Connective.ALL, FoldKind.EXISTS: Connective.EXISTS}.get(fold.kind, Connective.OTHER)
        body = fold.test or fold.body
        scopes = (
            []
            if fold.kind is FoldKind.OTHER or node.iter_var2
            else [((node.iter_var, element), *bound) for element in self._elements(node, bound)]
        )
        # Show the decisive elements of a long list.
        decides = {Connective.ALL: "false", Connective.EXISTS: "true"}.get(connective)
        chosen = [scope for scope in scopes if decides and self._value(body, scope) == decides] or scopes
        asked = tuple(self._element(node.iter_var, body, scope) for scope in chosen[:ELEMENTS_MAX])
        # If elements are shown, the list itself would repeat them.
        return connective, asked or self._each((node.iter_range,), bound)

    def _element(self, name: str, body: Expr, scope: Bound) -> ExplainedPart:
        variable = Ident(scope[0][1].type, -1, name)
        return ExplainedPart(name, self._value(variable, scope), self._each((body,), scope), Connective.ELEMENT)

    def _elements(self, node: Comprehension, bound: Bound) -> Iterator[Expr]:
        """Yield expressions for the first elements that a fold iterates over."""
        source = _with_bound(node.iter_range, bound)
        try:
            elements = self._programs.compile(source)(self._facts)
        except EvaluationError:
            return
        for index, key in enumerate(islice(elements, ELEMENTS_ASKED_MAX)):
            if isinstance(elements, Mapping):
                yield Const(DYN, -1, key)
            else:
                kind = (source.type.params or (DYN,))[0]
                yield Call(kind, -1, "_[_]", False, (source, Const(_INT, -1, index)), ())


def _with_bound(node: Expr, bound: Bound) -> Expr:
    for name, value in bound:
        node = substitute(node, name, value)
    return node


def _shown_parts(node: Expr, bound: Bound) -> Iterator[Expr]:
    if isinstance(node, Select):
        if not _is_field(node):
            yield node.operand
    elif not isinstance(node, Ident):
        names = {name for name, _ in bound}
        # The expression that a variable stands for is shown where the variable is bound.
        yield from (
            child
            for child in children(node)
            if not isinstance(child, Const) and not (isinstance(child, Ident) and child.name in names)
        )


def _is_field(node: Expr) -> bool:
    """Return whether it is a chain of fields, which is shown in one line."""
    while isinstance(node, Select):
        node = node.operand
    return isinstance(node, Ident)
