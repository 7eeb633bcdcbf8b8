"""Specializes conditions for one tool, as the catalog describes it (partial evaluation).

The parts of a condition that read only the fact `tool` have the same value for every call of the tool, so they are
computed once, when the tool's code is generated. A rule for tools that write, for example, becomes constant for a tool
that only reads; and facts that only such rules read need not be computed for its calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import is_
from typing import Any, NamedTuple

from msgspec.structs import replace

from streams.policy.cel.simplify import simplify
from streams.policy.cel.substitute import map_children
from streams.policy.cel.tree import Call, Comprehension, Const, Expr, Ident, Select
from streams.policy.language.compile import CheckedRule
from streams.policy.language.fact_types import Kind
from streams.policy.language.globs import caller_matcher
from streams.policy.language.paths import read_paths
from streams.policy.language.schema import FACT_NAMES, READS_BASELINE, TOOL, reads_baseline

_FACT = "tool"
_CLASSES: Mapping[object, type] = {Kind.STRING: str, Kind.BOOL: bool}
_KNOWN_FIELDS = {field.name: _CLASSES[field.type] for field in TOOL.fields if field.type in (Kind.STRING, Kind.BOOL)}

ToolFields = Mapping[str, str | bool]
"""The fields of the fact `tool` whose values are known."""


class Reads(NamedTuple):
    """What conditions read: top-level facts (and `READS_BASELINE`), and memories and entities (None means all)."""

    facts: frozenset[str]
    memories: frozenset[str] | None
    entities: frozenset[str] | None

    def union(self, other: Reads) -> Reads:
        """Return what any of the two reads."""
        memories = None if self.memories is None or other.memories is None else self.memories | other.memories
        entities = None if self.entities is None or other.entities is None else self.entities | other.entities
        return Reads(self.facts | other.facts, memories, entities)


READS_TOOL = Reads(frozenset((_FACT,)), frozenset(), frozenset())
"""The fact `tool`, which is always read."""


def known_tool_fields(tool: Mapping[str, Any]) -> ToolFields:
    """Return the fields of the fact `tool` that are present and have their declared type."""
    return {name: tool[name] for name, kind in _KNOWN_FIELDS.items() if name in tool and tool[name].__class__ is kind}


def specialize(condition: Expr, tool_fields: ToolFields) -> Expr:
    """Return the condition, specialized for a tool with these fields.

    For such a tool, the result is true, false or in error whenever the condition is. It may read fewer other facts.
    """
    return _fold_decided(simplify(_with_known_fields(condition, tool_fields)))


def is_constant_false(condition: Expr) -> bool:
    """Return whether a condition is the constant `false`."""
    return isinstance(condition, Const) and condition.value is False


def reads_of(rule: CheckedRule, condition: Expr) -> Reads:
    """Return what a rule reads.

    Args:
        rule: the rule.
        condition: its condition, specialized for a tool.
    """
    paths = read_paths(condition).union(*(read_paths(part.checked.tree) for part in rule.explain))
    callers = ("agent", "tenant") if caller_matcher(rule.rule.match) is not None else ()
    facts = (frozenset(path[0] for path in paths) & FACT_NAMES).union(callers)
    if reads_baseline(paths):
        facts |= {READS_BASELINE}
    return Reads(facts, _named("history", paths), _named("entities", paths))


def _named(fact: str, paths: Iterable[tuple[str, ...]]) -> frozenset[str] | None:
    """Return the fields of a fact that are read; None if it is read as a whole."""
    named = {path[1:2] for path in paths if path[0] == fact}
    return None if () in named else frozenset(part for way in named for part in way)


def union_of_reads(reads: Iterable[Reads]) -> Reads:
    """Return everything that some rules read; the fact `tool` is always included."""
    found = READS_TOOL
    for each in reads:
        found = found.union(each)
    return found


def _with_known_fields(node: Expr, tool_fields: ToolFields) -> Expr:
    """Return the tree in which reads of known fields are replaced by their values."""
    if isinstance(node, Select) and isinstance(node.operand, Ident) and node.operand.name == _FACT:
        return (
            Const(node.type, node.offset, node.test or tool_fields[node.field]) if node.field in tool_fields else node
        )
    if not isinstance(node, Comprehension):
        return map_children(node, lambda part: _with_known_fields(part, tool_fields))
    # INVARIANT: no variable has the name of a fact; the checker rejects that.
    return replace(
        node,
        iter_range=_with_known_fields(node.iter_range, tool_fields),
        accu_init=_with_known_fields(node.accu_init, tool_fields),
        condition=_with_known_fields(node.condition, tool_fields),
        step=_with_known_fields(node.step, tool_fields),
        result=_with_known_fields(node.result, tool_fields),
    )


def _fold_decided(node: Expr) -> Expr:
    """Return a condition in which logical operators with constant operands are folded.

    The operand that remains may not be a bool. This is correct only because a condition must be a bool: the result is
    an error with or without the operator.
    """
    if not isinstance(node, Call):
        return node
    if node.function == "!_":
        (inner,) = map(_fold_decided, node.args)
        value = _value(inner)
        return _with_args(node, [inner]) if value is None else _constant(node, not value)
    if node.function == "_?_:_":
        test, then, otherwise = map(_fold_decided, node.args)
        value = _value(test)
        if value is None:
            return _with_args(node, [test, then, otherwise])
        return then if value else otherwise
    if node.function in _DECIDING_VALUES:
        return _fold_operands(node, [_fold_decided(arg) for arg in node.args], _DECIDING_VALUES[node.function])
    return node


_DECIDING_VALUES = {"_&&_": False, "_||_": True}
"""The operators that one operand can decide, even if another is in error, and the value that decides."""


def _fold_operands(node: Call, parts: list[Expr], deciding: bool) -> Expr:
    if any(_value(part) is deciding for part in parts):
        return _constant(node, deciding)
    left = [part for part in parts if _value(part) is None]
    if not left:
        return _constant(node, not deciding)
    return left[0] if len(left) == 1 else _with_args(node, left)


def _with_args(node: Call, args: list[Expr]) -> Call:
    """Return the call with these arguments; the call itself, if it has them already."""
    is_same = len(args) == len(node.args) and all(map(is_, args, node.args))
    return node if is_same else replace(node, args=tuple(args))


def _value(node: Expr) -> bool | None:
    value = node.value if isinstance(node, Const) else None
    return value if value is True or value is False else None


def _constant(node: Expr, value: bool) -> Const:
    return Const(node.type, node.offset, value)
