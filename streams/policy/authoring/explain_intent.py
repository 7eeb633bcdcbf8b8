"""One intent before every rule: which applied, what came of it, and the value of every part of its condition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any

from streams.policy.authoring.rule_outcome import ExactRule, RuleOutcome
from streams.policy.cel.exact import compile_exact
from streams.policy.cel.folds import FoldKind, classify
from streams.policy.cel.substitute import substitute
from streams.policy.cel.tree import DYN, Call, Comprehension, Const, Expr, Ident, Select, StaticType, children
from streams.policy.cel.unparse import unparse
from streams.policy.errors import EvaluationError
from streams.policy.language.bundle import Rule
from streams.policy.language.compile import CheckedRule, list_constants
from streams.policy.language.schema import Facts
from streams.policy.results import Mode, PolicyResult
from streams.policy.runtime.explain import REDACTED, as_json, reads_sensitive
from streams.policy.runtime.ruleset import CompiledRuleset


class Connective(StrEnum):
    """How the value of an expression follows from those of its parts."""

    AND = "and"
    OR = "or"
    NOT = "not"
    ALL = "all"
    EXISTS = "exists"
    ELEMENT = "element"
    """An element of a list, and what a fold asks of it."""
    OTHER = ""


@dataclass(frozen=True, slots=True)
class ExplainedPart:
    """A sub-expression: its text, its value as JSON text, `[redacted]`, or why it has none, and its own parts."""

    text: str
    value: str
    parts: tuple[ExplainedPart, ...] = ()
    connective: Connective = Connective.OTHER

    @property
    def result(self) -> str:
        """What a part of a condition says itself: of an element, what is asked of it."""
        return self.parts[0].value if self.connective is Connective.ELEMENT and self.parts else self.value

    def decisive_parts(self) -> tuple[ExplainedPart, ...]:
        """The parts that the value is due to: of a conjunction that is false, those that are."""
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


@dataclass(frozen=True, slots=True)
class RuleExplanation:
    """One rule before the intent. `whole` is its condition with all parts of it; None where it was not asked."""

    rule_id: str
    effect: str
    mode: Mode
    reason: str
    place: str
    outcome: RuleOutcome
    error: str | None = None
    whole: ExplainedPart | None = None


@dataclass(frozen=True, slots=True)
class IntentExplanation:
    """The whole: `result` is what the gate would have been told."""

    bundle: str
    version: str
    digest: str
    result: PolicyResult
    rules: tuple[RuleExplanation, ...]


PARTS_MAX = 300
"""Parts of one condition that are shown."""

ELEMENTS_MAX = 5
"""Elements of a fold that are shown."""

ELEMENTS_ASKED_MAX = 1_000
"""Elements among which those are looked for that decide."""

Bound = tuple[tuple[str, Expr], ...]
"""Variables and what they stand for, the innermost first."""

_INT = StaticType("int")
_JOINS = {"_&&_": Connective.AND, "_||_": Connective.OR, "!_": Connective.NOT}
_ASKED = frozenset({RuleOutcome.TRUE, RuleOutcome.FALSE, RuleOutcome.ERROR})


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
    outcome, error, whole = RuleOutcome.OFF, None, None
    if checked is not None:
        asked = ExactRule(checked, constants)
        outcome, error = asked.outcome(facts)
        if outcome in _ASKED:
            whole = _Explainer(facts, constants, reveal).part(asked.tree(facts))
    return RuleExplanation(rule.id, rule.effect, rule.mode, rule.reason, str(rule.location), outcome, error, whole)


class _Explainer:
    """Takes an expression apart, with the value of each part.

    A variable of a fold is shown by its name; what it stands for is put in its place to be evaluated.
    """

    def __init__(self, facts: Facts, constants: Mapping[str, Any], reveal: bool) -> None:
        self._facts = facts
        self._constants = constants
        self._reveal = reveal
        self._left = PARTS_MAX

    def part(self, node: Expr, bound: Bound = ()) -> ExplainedPart:
        """The expression and, as long as there is room, all that it is built of."""
        self._left -= 1
        if isinstance(node, Comprehension):
            connective, inner = self._fold(node, bound)
        else:
            connective = _JOINS.get(node.function, Connective.OTHER) if isinstance(node, Call) else Connective.OTHER
            inner = self._each(_shown_parts(node, bound), bound)
        return ExplainedPart(unparse(node), self._value(node, bound), inner, connective)

    def _each(self, nodes: Iterable[Expr], bound: Bound) -> tuple[ExplainedPart, ...]:
        return tuple(self.part(node, bound) for node in nodes if self._left > 0)

    def _value(self, node: Expr, bound: Bound) -> str:
        whole = _with_bound(node, bound)
        if not self._reveal and node.type.kind != "bool" and reads_sensitive(whole):
            return REDACTED
        try:
            return as_json(compile_exact(whole, self._constants)(self._facts))
        except EvaluationError as error:
            return f"no value: {error}"

    def _fold(self, node: Comprehension, bound: Bound) -> tuple[Connective, tuple[ExplainedPart, ...]]:
        """What a fold goes through, and what it asks of the first elements."""
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
        # Of a long list, the elements that decide.
        decides = {Connective.ALL: "false", Connective.EXISTS: "true"}.get(connective)
        chosen = [scope for scope in scopes if decides and self._value(body, scope) == decides] or scopes
        asked = tuple(self._element(node.iter_var, body, scope) for scope in chosen[:ELEMENTS_MAX])
        # With elements the list itself would say the same again.
        return connective, asked or self._each((node.iter_range,), bound)

    def _element(self, name: str, body: Expr, scope: Bound) -> ExplainedPart:
        variable = Ident(scope[0][1].type, -1, name)
        return ExplainedPart(name, self._value(variable, scope), self._each((body,), scope), Connective.ELEMENT)

    def _elements(self, node: Comprehension, bound: Bound) -> Iterator[Expr]:
        """Expressions of the first elements that a fold goes through."""
        source = _with_bound(node.iter_range, bound)
        try:
            elements = compile_exact(source, self._constants)(self._facts)
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
        # What a variable stands for is shown where it is bound.
        yield from (
            child
            for child in children(node)
            if not isinstance(child, Const) and not (isinstance(child, Ident) and child.name in names)
        )


def _is_field(node: Expr) -> bool:
    """Whether it is a chain of fields, of which the last alone is worth a line."""
    while isinstance(node, Select):
        node = node.operand
    return isinstance(node, Ident)
