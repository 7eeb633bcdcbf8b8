"""Finds comparisons of a fact with a text that the fact never equals."""

from __future__ import annotations

from collections.abc import Iterator

from streams.policy.cel.tree import Call, Const, Expr, MakeList, Select, walk
from streams.policy.errors import Findings, nearest
from streams.policy.language.check import structs_by_type_name
from streams.policy.language.fact_types import Field
from streams.policy.language.macros import ExpandedText
from streams.policy.language.tool_types import UNTYPED

_STRUCTS = structs_by_type_name(UNTYPED.args)


def report_unknown_values(tree: Expr, expanded: ExpandedText, rule_id: str | None, findings: Findings) -> None:
    """Warn about comparisons with a text that is not one of the field's values.

    Args:
        tree: the checked expression.
        expanded: its text.
        rule_id: the rule that contains it, or None for a memory or budget.
        findings: receives the warnings.
    """
    for node in walk(tree):
        for field, constant in _compared(node):
            if isinstance(constant.value, str) and constant.value not in field.values:
                message = f"`{field.name}` is never `{constant.value}`: its values are {', '.join(field.values)}"
                at, hint = expanded.at(max(constant.offset, 0)), nearest(constant.value, field.values)
                findings.warning("unknown_value", at, message, rule_id=rule_id, hint=hint)


def _compared(node: Expr) -> Iterator[tuple[Field, Const]]:
    """Yield the fields with known values in a comparison or membership test, with the constants on the other side."""
    if not isinstance(node, Call) or node.function not in ("_==_", "_!=_", "@in"):
        return
    left, right = node.args
    for one, other in ((left, right), (right, left)):
        field = _field_of(one)
        if field is not None and field.values:
            yield from ((field, constant) for constant in _constants(other))


def _field_of(node: Expr) -> Field | None:
    """Return the field of the schema that an expression reads, or None."""
    if not isinstance(node, Select) or node.test:
        return None
    struct = _STRUCTS.get(node.operand.type.kind.removeprefix("struct:"))
    return None if struct is None else struct.field(node.field)


def _constants(node: Expr) -> Iterator[Const]:
    """Yield a constant, or the constants of a list literal."""
    for item in node.items if isinstance(node, MakeList) else (node,):
        if isinstance(item, Const):
            yield item
