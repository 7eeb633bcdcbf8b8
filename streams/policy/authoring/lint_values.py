"""Texts that a rule compares a fact with, and that the fact never is."""

from __future__ import annotations

from collections.abc import Iterator

from streams.policy.cel.tree import Call, Const, Expr, MakeList, Select, walk
from streams.policy.errors import Findings, nearest
from streams.policy.language.check import structs_by_type_name
from streams.policy.language.macros import ExpandedText
from streams.policy.language.schema import Field
from streams.policy.language.tool_types import UNTYPED

_STRUCTS = structs_by_type_name(UNTYPED.args)


def report_unknown_values(tree: Expr, expanded: ExpandedText, rule_id: str | None, findings: Findings) -> None:
    """Warn of comparisons that are always false, or always true, since the text is none of the field's.

    Args:
        tree: the checked condition.
        expanded: its text.
        rule_id: whose it is; None of a memory's.
        findings: receives the warnings.
    """
    for node in walk(tree):
        for field, constant in _compared(node):
            if isinstance(constant.value, str) and constant.value not in field.values:
                message = f"`{field.name}` is never `{constant.value}`, it is one of {', '.join(field.values)}"
                at, hint = expanded.at(max(constant.offset, 0)), nearest(constant.value, field.values)
                findings.warning("unknown_value", at, message, rule_id=rule_id, hint=hint)


def _compared(node: Expr) -> Iterator[tuple[Field, Const]]:
    """Fields whose values are known, with the constants that they are compared with or looked for in."""
    if not isinstance(node, Call) or node.function not in ("_==_", "_!=_", "@in"):
        return
    left, right = node.args
    for one, other in ((left, right), (right, left)):
        field = _field_of(one)
        if field is not None and field.values:
            yield from ((field, constant) for constant in _constants(other))


def _field_of(node: Expr) -> Field | None:
    """The schema's field that an expression reads."""
    if not isinstance(node, Select) or node.test:
        return None
    struct = _STRUCTS.get(node.operand.type.kind.removeprefix("struct:"))
    return None if struct is None else struct.field(node.field)


def _constants(node: Expr) -> Iterator[Const]:
    """A constant, or those of a list that is written in the rule."""
    for item in node.items if isinstance(node, MakeList) else (node,):
        if isinstance(item, Const):
            yield item
