"""Computes explanations: the values of the named expressions of rules that match."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from streams.policy.cel.convert import to_string
from streams.policy.cel.exact import Program, compile_exact
from streams.policy.cel.strings import format_value
from streams.policy.cel.tree import Call, Comprehension, Expr, Ident, Select, StaticType, walk
from streams.policy.errors import EvaluationError
from streams.policy.language.compile import CheckedRule, NamedExpression
from streams.policy.language.descriptors import message_name
from streams.policy.language.fact_types import Facts, FactType, ListOf, Struct
from streams.policy.language.schema import FACTS, fact
from streams.policy.results import Explanation

VALUE_CHARS_MAX = 1_000
REDACTED = '"[redacted]"'


class Explainer:
    """Computes the `explain` values of rules.

    Args:
        constants: the named lists, by full name.
    """

    def __init__(self, constants: Mapping[str, Sequence[Any]]) -> None:
        self._constants = constants
        self._programs: dict[tuple[str, str], Program | None] = {}

    def explain(self, matched: Sequence[CheckedRule], facts: Facts) -> tuple[Explanation, ...]:
        """Return an explanation for each named expression of matched rules; if it has no value, its text says why."""
        return tuple(
            Explanation(rule.rule.id, part.name, self._value(rule.rule.id, part, facts))
            for rule in matched
            for part in rule.explain
        )

    def _value(self, rule_id: str, part: NamedExpression, facts: Facts) -> str:
        key = (rule_id, part.name)
        if key not in self._programs:
            tree = part.checked.tree
            self._programs[key] = None if reads_sensitive(tree) else compile_exact(tree, self._constants)
        program = self._programs[key]
        if program is None:
            return REDACTED
        try:
            return as_json(program(facts))
        except EvaluationError as error:
            return f"no value: {error}"


def as_json(value: Any) -> str:
    """Return a value as JSON text of bounded length. Values that JSON doesn't have are formatted like `%s` in CEL."""
    if value.__class__ is bool:
        return "true" if value else "false"
    text = _ENCODER.encode(value)
    return text if len(text) <= VALUE_CHARS_MAX else text[:VALUE_CHARS_MAX] + "..."


def _shown(value: Any) -> str:
    try:
        return format_value(value)
    except EvaluationError:
        return to_string(value)


_ENCODER = json.JSONEncoder(default=_shown, ensure_ascii=False)


def reads_sensitive(tree: Expr) -> bool:
    """Return whether an expression reads a sensitive field, or a whole record that contains one."""
    looked_into = {id(part) for node in walk(tree) for part in _partly_read(node)}
    for node in walk(tree):
        if isinstance(node, Ident):
            declared = fact(node.name)
            if declared is not None and declared.sensitive:
                return True
        elif isinstance(node, Select) and node.field in _SENSITIVE_FIELDS.get(node.operand.type.kind, ()):
            return True
        if id(node) not in looked_into and _holds_sensitive(node.type):
            return True
    return False


def _partly_read(node: Expr) -> tuple[Expr, ...]:
    """Return the parts of which an expression uses only a field, the elements or the size, not the whole value."""
    if isinstance(node, Select):
        return (node.operand,)
    if isinstance(node, Comprehension):
        return (node.iter_range,)
    return node.args[:1] if isinstance(node, Call) and node.function in ("_[_]", "size") else ()


def _holds_sensitive(kind: StaticType) -> bool:
    return kind.kind in _SENSITIVE_RECORDS or any(map(_holds_sensitive, kind.params))


def _sensitive_fields() -> Iterator[tuple[str, frozenset[str], bool]]:
    """Yield, for each record of the schema, its name in the checker, its sensitive fields, and whether it has any.

    A record has sensitive fields if a record inside it has some, at any depth.
    """
    stack: list[FactType] = [field.type for field in FACTS]
    while stack:
        top = stack.pop()
        if isinstance(top, ListOf):
            stack.append(top.element)
        elif isinstance(top, Struct):
            names = frozenset(field.name for field in top.fields if field.sensitive)
            yield f"struct:{message_name(top)}", names, _is_sensitive(top)
            stack.extend(field.type for field in top.fields)


def _is_sensitive(kind: FactType) -> bool:
    inner = kind.element if isinstance(kind, ListOf) else kind
    return isinstance(inner, Struct) and any(field.sensitive or _is_sensitive(field.type) for field in inner.fields)


_SENSITIVE_FIELDS = {name: fields for name, fields, _ in _sensitive_fields()}
_SENSITIVE_RECORDS = frozenset(name for name, _, holds in _sensitive_fields() if holds)
