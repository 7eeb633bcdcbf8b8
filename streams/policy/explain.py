"""Explanations: the values of named sub-expressions of the rules that matched."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from streams.policy.compile import CheckedRule, NamedExpression
from streams.policy.errors import EvaluationError
from streams.policy.evaluate import evaluator
from streams.policy.results import Explanation
from streams.policy.schema import FACTS, Facts, ListOf, Struct, fact
from streams.policy.tree import Expr, Ident, Select, walk

VALUE_CHARS_MAX = 1_000
REDACTED = '"[redacted]"'


def explain_matches(hits: Sequence[CheckedRule], facts: Facts, constants: Mapping[str, Any]) -> tuple[Explanation, ...]:
    """The `explain` values of the rules that matched; an expression without a value says why."""
    return tuple(
        Explanation(rule.rule.id, part.name, _value(part, facts, constants)) for rule in hits for part in rule.explain
    )


def _value(part: NamedExpression, facts: Facts, constants: Mapping[str, Any]) -> str:
    if reads_sensitive(part.checked.tree):
        return REDACTED
    try:
        value = evaluator(part.checked, constants)(facts)
    except EvaluationError as error:
        return f"no value: {error}"
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= VALUE_CHARS_MAX else text[:VALUE_CHARS_MAX] + "..."


def reads_sensitive(tree: Expr) -> bool:
    """Whether an expression touches a field that the schema calls sensitive, or a whole record that has one."""
    roots = {id(node.operand) for node in walk(tree) if isinstance(node, Select)}
    for node in walk(tree):
        if isinstance(node, Ident):
            declared = fact(node.name)
            if declared is None:
                continue
            if declared.sensitive or (id(node) not in roots and _holds_sensitive(declared.type)):
                return True
        elif isinstance(node, Select) and node.field in _SENSITIVE_FIELDS.get(node.operand.type.kind, ()):
            return True
    return False


def _holds_sensitive(fact_type: Any) -> bool:
    inner = fact_type.element if isinstance(fact_type, ListOf) else fact_type
    return isinstance(inner, Struct) and any(field.sensitive or _holds_sensitive(field.type) for field in inner.fields)


def _sensitive_fields() -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    stack: list[Any] = [field.type for field in FACTS]
    while stack:
        top = stack.pop()
        if isinstance(top, ListOf):
            stack.append(top.element)
        elif isinstance(top, Struct):
            names = frozenset(field.name for field in top.fields if field.sensitive)
            found[f"struct:stoplog.rules.{top.name}"] = names
            stack.extend(field.type for field in top.fields)
    return found


_SENSITIVE_FIELDS = _sensitive_fields()
