"""Explains the result for one intent: the outcome of every rule, and the value of every part of its condition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import copy_context
from enum import StrEnum
from functools import cached_property, partial
from itertools import islice
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from streams.policy.authoring.rule_outcome import ExactRule, RuleOutcome
from streams.policy.cel.exact import DeferredError, PartsCompiler
from streams.policy.cel.folds import FoldKind, classify
from streams.policy.cel.ops import index as index_of
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


class RuleExplanation(msgspec.Struct, frozen=True, dict=True):
    """The explanation of one rule.

    Attributes:
        explain: makes `whole`; None if the condition was not evaluated.
        named: the expressions that the rule names under `explain`, with their values; only of a rule that matches.
    """

    rule_id: str
    effect: str
    mode: Mode
    reason: str
    place: str
    outcome: RuleOutcome
    error: str | None = None
    explain: Callable[[], ExplainedPart] | None = None
    named: tuple[tuple[str, str], ...] = ()

    @cached_property
    def whole(self) -> ExplainedPart | None:
        """Return the condition with all parts, or None if it was not evaluated.

        They are made when they are first read: a person sees those of one or two rules.
        """
        return None if self.explain is None else self.explain()


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


class Variable(NamedTuple):
    """A variable of a fold.

    Attributes:
        name: its name.
        source: an expression that it stands for. For the elements of a list it is the first: what one of them may
            show, all may show.
        value: its value, or the error that reading it raises.
    """

    name: str
    source: Expr
    value: Any


Scope = tuple[Variable, ...]
"""The variables of folds that an expression is within, innermost first."""

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
    rules = sorted((rule for pack in ruleset.bundle.packs for rule in pack.rules), key=lambda rule: rule.id)
    result = ruleset.evaluate(facts)
    explained = (_explain(rule, asked.get(rule.id), facts, constants, reveal=reveal) for rule in rules)
    return IntentExplanation(
        ruleset.name,
        ruleset.version,
        ruleset.digest.hex(),
        result,
        tuple(replace(each, named=_named(each.rule_id, result)) for each in explained),
    )


def _named(rule_id: str, result: PolicyResult) -> tuple[tuple[str, str], ...]:
    return tuple((each.name, each.value) for each in result.explanations if each.rule_id == rule_id)


def _explain(
    rule: Rule, checked: CheckedRule | None, facts: Facts, constants: Mapping[str, Any], *, reveal: bool
) -> RuleExplanation:
    outcome, error, explain = RuleOutcome.OFF if rule.mode is Mode.OFF else RuleOutcome.NOT_FOR_TOOL, None, None
    if checked is not None:
        compiler = PartsCompiler(constants)
        asked = ExactRule(checked, constants, compiler)
        outcome, error = asked.outcome(facts)
        if outcome in _ASKED:
            # With what is known now: whoever asks may have answered for a function (`held_secrets.ANSWER`).
            part = _Explainer(facts, compiler, reveal).part
            explain = partial(copy_context().run, part, asked.tree(facts))
    return RuleExplanation(rule.id, rule.effect, rule.mode, rule.reason, str(rule.location), outcome, error, explain)


class _Explainer:
    """Splits an expression into its parts and evaluates each of them.

    A part of a fold is compiled once, and evaluated for each element with the fold's variables bound to it. Whether it
    may show its value depends on what the variables stand for, so there they are replaced by their sources.
    """

    def __init__(self, facts: Facts, compiler: PartsCompiler, reveal: bool) -> None:
        self._facts = facts
        self._programs = compiler
        self._reveal = reveal
        self._left = PARTS_MAX
        self._unparser = Unparser()
        # By the identities of a node and of the sources of its variables, all of which the value keeps alive.
        self._replaced: dict[tuple[int, ...], tuple[Expr, Scope, Expr]] = {}
        self._elements_of: dict[tuple[int, bool], tuple[Expr, Expr]] = {}
        self._secret: dict[int, tuple[Expr, bool]] = {}

    def part(self, node: Expr, scope: Scope = ()) -> ExplainedPart:
        """Return the expression with its parts, up to `PARTS_MAX` in total."""
        self._left -= 1
        if isinstance(node, Comprehension):
            connective, inner = self._fold(node, scope)
        else:
            connective = _JOINS.get(node.function, Connective.OTHER) if isinstance(node, Call) else Connective.OTHER
            inner = self._each(_shown_parts(node, scope), scope)
        return ExplainedPart(self._unparser.text(node), self._shown(node, scope), inner, connective)

    def _each(self, nodes: Iterable[Expr], scope: Scope) -> tuple[ExplainedPart, ...]:
        return tuple(self.part(node, scope) for node in nodes if self._left > 0)

    def _shown(self, node: Expr, scope: Scope) -> str:
        if not self._reveal and node.type.kind != "bool" and self._is_secret(node, scope):
            return REDACTED
        value = self._value(node, scope)
        return f"no value: {value.error}" if isinstance(value, DeferredError) else as_json(value)

    def _value(self, node: Expr, scope: Scope) -> Any:
        """Return the value of an expression, or why it has none."""
        # A variable hides those of the folds further out that have the same name.
        bound = {variable.name: variable.value for variable in reversed(scope)}
        try:
            return self._programs.compile(node)(self._facts, bound)
        except EvaluationError as error:
            return DeferredError(error)

    def _is_secret(self, node: Expr, scope: Scope) -> bool:
        whole = self._with_sources(node, scope)
        found = self._secret.get(id(whole))
        if found is None:
            found = self._secret[id(whole)] = whole, reads_sensitive(whole)
        return found[1]

    def _with_sources(self, node: Expr, scope: Scope) -> Expr:
        """Return an expression in which variables of folds are replaced by their sources."""
        if not scope:
            return node
        key = (id(node), *(id(variable.source) for variable in scope))
        found = self._replaced.get(key)
        if found is None:
            whole = node
            for variable in scope:
                whole = substitute(whole, variable.name, variable.source)
            found = self._replaced[key] = node, scope, whole
        return found[2]

    def _fold(self, node: Comprehension, scope: Scope) -> tuple[Connective, tuple[ExplainedPart, ...]]:
        """Return the connective of a fold and its parts: the list, or the predicate for its first elements."""
        fold = classify(node)
        if fold.kind is FoldKind.BIND:
            value = self._each((node.accu_init,), scope)
            variable = Variable(
                node.accu_var, self._with_sources(node.accu_init, scope), self._value(node.accu_init, scope)
            )
            return Connective.OTHER, (*value, *self._each((fold.body,), (variable, *scope)))
        connective = {FoldKind.ALL: Connective.ALL, FoldKind.EXISTS: Connective.EXISTS}.get(fold.kind, Connective.OTHER)
        body = fold.test or fold.body
        scopes = (
            []
            if fold.kind is FoldKind.OTHER or node.iter_var2
            else [(variable, *scope) for variable in self._elements(node, scope)]
        )
        # Show the decisive elements of a long list.
        decides = {Connective.ALL: "false", Connective.EXISTS: "true"}.get(connective)
        chosen = [each for each in scopes if decides and self._shown(body, each) == decides] or scopes
        asked = tuple(self._element(node.iter_var, body, each) for each in chosen[:ELEMENTS_MAX])
        # If elements are shown, the list itself would repeat them.
        return connective, asked or self._each((node.iter_range,), scope)

    def _element(self, name: str, body: Expr, scope: Scope) -> ExplainedPart:
        shown = self._shown(Ident(scope[0].source.type, -1, name), scope)
        return ExplainedPart(name, shown, self._each((body,), scope), Connective.ELEMENT)

    def _elements(self, node: Comprehension, scope: Scope) -> Iterator[Variable]:
        """Yield the variable of a fold for each of the first elements that it iterates over."""
        elements = self._value(node.iter_range, scope)
        if isinstance(elements, DeferredError):
            return
        is_map = isinstance(elements, Mapping)
        source = self._source_of_elements(self._with_sources(node.iter_range, scope), is_map=is_map)
        for index, key in enumerate(islice(elements, ELEMENTS_ASKED_MAX)):
            yield Variable(node.iter_var, source, key if is_map else _element_at(elements, index))

    def _source_of_elements(self, iter_range: Expr, *, is_map: bool) -> Expr:
        """Return an expression for an element of a list, or for a key of a map. It is the same object each time."""
        found = self._elements_of.get((id(iter_range), is_map))
        if found is None:
            kind = (iter_range.type.params or (DYN,))[0]
            first = Const(_INT, -1, 0)
            made = Const(DYN, -1, None) if is_map else Call(kind, -1, "_[_]", False, (iter_range, first), ())
            found = self._elements_of[id(iter_range), is_map] = iter_range, made
        return found[1]


def _element_at(elements: Any, index: int) -> Any:
    """Return an element of a list, or why there is none."""
    try:
        return index_of(elements, index)
    except EvaluationError as error:
        return DeferredError(error)


def _shown_parts(node: Expr, scope: Scope) -> Iterator[Expr]:
    if isinstance(node, Select):
        if not _is_field(node):
            yield node.operand
    elif not isinstance(node, Ident):
        names = {variable.name for variable in scope}
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
