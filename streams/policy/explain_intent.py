"""One intent before every rule: which applied, what came of it, and the values that its condition turned on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from streams.policy.bundle import Rule
from streams.policy.cel.exact import compile_exact
from streams.policy.cel.tree import Call, Comprehension, Expr
from streams.policy.cel.unparse import unparse
from streams.policy.compile import CheckedRule, list_constants
from streams.policy.errors import EvaluationError
from streams.policy.explain import REDACTED, as_json, reads_sensitive
from streams.policy.outcome import AskedRule, Outcome
from streams.policy.results import Mode, PolicyResult
from streams.policy.ruleset import CompiledRuleset
from streams.policy.schema import Facts

_LOGIC = frozenset(("_&&_", "_||_", "!_", "_?_:_"))
_ASKED = frozenset({Outcome.TRUE, Outcome.FALSE, Outcome.ERROR})


@dataclass(frozen=True, slots=True)
class Part:
    """A sub-expression: its text, and its value as JSON text, `[redacted]`, or why it has none."""

    text: str
    value: str


@dataclass(frozen=True, slots=True)
class RuleExplanation:
    """One rule before the intent. `parts` are what its condition is built of; empty where it was not asked."""

    rule_id: str
    effect: str
    mode: Mode
    reason: str
    place: str
    outcome: Outcome
    error: str | None = None
    condition: str = ""
    parts: tuple[Part, ...] = ()


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
    outcome, error = Outcome.OFF, None
    more: dict[str, Any] = {}
    if checked is not None:
        asked = AskedRule(checked, constants)
        outcome, error = asked.outcome(facts)
        if outcome in _ASKED:
            tree = asked.tree(facts)
            parts = tuple(_part(node, facts, constants, reveal=reveal) for node in _leaves(tree))
            more = {"condition": unparse(tree), "parts": parts}
    return RuleExplanation(rule.id, rule.effect, rule.mode, rule.reason, str(rule.location), outcome, error, **more)


def _leaves(tree: Expr) -> Iterator[Expr]:
    """What a condition is built of: comparisons and tests, and below each comparison its two sides."""
    if isinstance(tree, Call) and tree.function in _LOGIC:
        for arg in tree.args:
            yield from _leaves(arg)
        return
    yield tree
    if isinstance(tree, Call):
        yield from (arg for arg in tree.args if isinstance(arg, Call) or _is_field(arg))
    elif isinstance(tree, Comprehension):
        yield tree.iter_range


def _is_field(node: Expr) -> bool:
    return type(node).__name__ in ("Select", "Ident", "Comprehension")


def _part(node: Expr, facts: Facts, constants: Mapping[str, Any], *, reveal: bool) -> Part:
    text = unparse(node)
    if not reveal and node.type.kind != "bool" and reads_sensitive(node):
        return Part(text, REDACTED)
    try:
        return Part(text, as_json(compile_exact(node, constants)(facts)))
    except EvaluationError as error:
        return Part(text, f"no value: {error}")
