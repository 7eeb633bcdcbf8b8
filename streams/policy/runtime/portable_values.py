"""Serializes checked rules as plain data: lists and scalars.

Only values of a closed set of classes can be serialized, and reading never executes code. So even a compromised
compiling process can produce nothing but rules. A tree is a sequence of nodes in postfix order, from which a stack
machine builds it, so that deep trees cause no recursion. `pickle` was rejected, because reading it can execute code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from streams.policy import results
from streams.policy.cel.tree import (
    Call,
    Comprehension,
    Const,
    Expr,
    Ident,
    MakeList,
    MakeMap,
    Select,
    StaticType,
    children,
)
from streams.policy.cel.values import Duration, Timestamp, UInt
from streams.policy.errors import Location, PolicyError
from streams.policy.language import bundle, check, check_memory, fact_types, located_yaml, macros, tool_types
from streams.policy.language.compile import CheckedRule, NamedExpression

NODES_MAX = 1_000_000

_CLASSES: tuple[type[msgspec.Struct], ...] = (
    *(bundle.Pattern, bundle.Match, bundle.Rule, bundle.NamedList, bundle.NamedMacro, bundle.Reset, bundle.Memory),
    *(
        bundle.Budget,
        bundle.Pack,
        bundle.Bundle,
        located_yaml.Scalar,
        macros.Segment,
        macros.ExpandedText,
        check.CheckedExpression,
    ),
    *(results.ApprovalSettings, results.Obligation, NamedExpression, CheckedRule),
    *(
        check_memory.MemoryExpression,
        check_memory.CheckedMemory,
        check_memory.CheckedBudget,
        check_memory.CheckedMemories,
    ),
    *(bundle.Since, bundle.Entity, check_memory.CheckedEntity),
    *(tool_types.ToolTypes, fact_types.ListOf, fact_types.MapOf, fact_types.Struct, fact_types.Field),
)
_ENUMS: tuple[type[StrEnum], ...] = (
    *(results.RuleEffect, results.Mode, bundle.Keep, bundle.Occasion, bundle.Per, bundle.MeasureKind, fact_types.Kind),
)
_CLASS_NUMBERS = {each: number for number, each in enumerate(_CLASSES)}
_ENUM_NUMBERS = {each: number for number, each in enumerate(_ENUMS)}
_FIELDS = {each: each.__struct_fields__ for each in _CLASSES}
_PLAIN = frozenset((type(None), bool, int, float, str, bytes))

# The first item of a list is the tag of the value.
_TUPLE, _SET, _LIST, _MAP, _ENUM, _CLASS, _LOCATION, _TREE, _UINT, _TIMESTAMP, _DURATION = range(11)
_CONST, _IDENT, _SELECT, _CALL, _MAKE_LIST, _MAKE_MAP, _COMPREHENSION = range(7)
_COMPREHENSION_PARTS = 5

encode_message = msgspec.msgpack.Encoder().encode
decode_message = msgspec.msgpack.Decoder().decode


class PortableError(PolicyError):
    """Data is not in the portable form of rules, or a value has no portable form."""


def to_data(value: Any) -> Any:
    """Return a value of a ruleset as lists and scalars.

    Raises:
        PortableError: the class of a value has no portable form.
    """
    kind = value.__class__
    if kind in _PLAIN:
        return value
    if kind in _CLASS_NUMBERS:
        return [_CLASS, _CLASS_NUMBERS[kind], *(to_data(getattr(value, name)) for name in _FIELDS[kind])]
    if kind in _ENUM_NUMBERS:
        return [_ENUM, _ENUM_NUMBERS[kind], value.value]
    if kind is Location:
        return [_LOCATION, *value]
    if isinstance(value, Expr):
        return [_TREE, *_tree_to_data(value)]
    if kind is tuple:
        return [_TUPLE, *map(to_data, value)]
    if kind is frozenset:
        return [_SET, *sorted(value)]
    if kind is list:
        return [_LIST, *map(to_data, value)]
    if isinstance(value, Mapping):
        return [_MAP, *([to_data(key), to_data(item)] for key, item in value.items())]
    for number, wrapped in ((_UINT, UInt), (_TIMESTAMP, Timestamp), (_DURATION, Duration)):
        if kind is wrapped:
            return [number, int(value) if wrapped is UInt else value.nanos]
    raise PortableError(f"`{kind.__name__}` has no portable form")


def from_data(data: Any) -> Any:
    """Return the value that `to_data` serialized.

    Raises:
        PortableError: the data does not come from `to_data`.
    """
    try:
        return _from_data(data)
    except (TypeError, ValueError, IndexError, KeyError, AttributeError, RecursionError) as error:
        raise PortableError(f"portable rules can't be read: {error}") from None


def _from_data(data: Any) -> Any:
    if data.__class__ is not list:
        return data
    tag = data[0]
    if tag == _CLASS:
        return _CLASSES[_index(data[1])](*map(_from_data, data[2:]))
    if tag == _TUPLE:
        return tuple(map(_from_data, data[1:]))
    if tag == _TREE:
        return _tree_from_data(data)
    if tag == _ENUM:
        return _ENUMS[_index(data[1])](data[2])
    if tag == _LOCATION:
        return Location(*data[1:])
    if tag == _SET:
        return frozenset(data[1:])
    if tag == _LIST:
        return [_from_data(item) for item in data[1:]]
    if tag == _MAP:
        return {_from_data(key): _from_data(item) for key, item in data[1:]}
    return {_UINT: UInt, _TIMESTAMP: Timestamp, _DURATION: Duration}[tag](data[1])


def _index(number: int) -> int:
    if number < 0:
        raise IndexError(number)
    return number


# Trees


class _Visit(NamedTuple):
    node: Expr
    is_done: bool


def _tree_to_data(root: Expr) -> Sequence[Any]:
    """Return the types in a tree, and its nodes in postfix order."""
    types: dict[StaticType, int] = {}
    nodes: list[Any] = []
    stack = [_Visit(root, is_done=False)]
    while stack:
        node, is_done = stack.pop()
        parts = () if is_done else children(node)
        if parts:
            stack.append(_Visit(node, is_done=True))
            stack.extend(_Visit(part, is_done=False) for part in reversed(parts))
        else:
            number = types.setdefault(node.type, len(types))
            nodes.append(_node_to_data(node, number))
    return [[_type_to_data(each) for each in types], nodes]


def _node_to_data(node: Expr, type_number: int) -> list[Any]:
    head = [type_number, node.offset]
    if isinstance(node, Const):
        return [_CONST, *head, to_data(node.value)]
    if isinstance(node, Ident):
        return [_IDENT, *head, node.name]
    if isinstance(node, Select):
        return [_SELECT, *head, node.field, node.test]
    if isinstance(node, Call):
        return [_CALL, *head, len(node.args), node.function, node.member, node.overloads]
    if isinstance(node, MakeList):
        return [_MAKE_LIST, *head, len(node.items)]
    if isinstance(node, MakeMap):
        return [_MAKE_MAP, *head, len(node.entries)]
    if isinstance(node, Comprehension):
        return [_COMPREHENSION, *head, node.iter_var, node.iter_var2, node.accu_var]
    raise PortableError(f"`{type(node).__name__}` has no portable form")


def _type_to_data(static: StaticType) -> list[Any]:
    return [static.kind, *map(_type_to_data, static.params)]


def _type_from_data(data: list[Any]) -> StaticType:
    return StaticType(data[0], tuple(map(_type_from_data, data[1:])))


def _tree_from_data(data: list[Any]) -> Expr:
    types = [_type_from_data(each) for each in data[1]]
    if len(data[2]) > NODES_MAX:
        raise PortableError(f"an expression has {len(data[2])} nodes: the limit is {NODES_MAX}")
    stack: list[Expr] = []
    for kind, type_number, offset, *rest in data[2]:
        stack.append(_MAKERS[_index(kind)](types[_index(type_number)], offset, rest, stack))
    if len(stack) != 1:
        raise PortableError("an expression has more than one root, or none")
    return stack[0]


def _take(stack: list[Expr], count: int) -> tuple[Expr, ...]:
    if not 0 <= count <= len(stack):
        raise PortableError("an expression lacks parts")
    taken = tuple(stack[len(stack) - count :])
    del stack[len(stack) - count :]
    return taken


_Maker = Callable[[StaticType, int, list[Any], list[Expr]], Expr]


def _make_select(static: StaticType, offset: int, rest: list[Any], stack: list[Expr]) -> Expr:
    (operand,) = _take(stack, 1)
    return Select(static, offset, operand, rest[0], rest[1])


def _make_call(static: StaticType, offset: int, rest: list[Any], stack: list[Expr]) -> Expr:
    count, function, member, overloads = rest
    return Call(static, offset, function, member, _take(stack, count), tuple(overloads))


def _make_map(static: StaticType, offset: int, rest: list[Any], stack: list[Expr]) -> Expr:
    flat = _take(stack, 2 * rest[0])
    return MakeMap(static, offset, tuple(zip(flat[::2], flat[1::2], strict=True)))


def _make_comprehension(static: StaticType, offset: int, rest: list[Any], stack: list[Expr]) -> Expr:
    iter_var, iter_var2, accu_var = rest
    iter_range, accu_init, condition, step, result = _take(stack, _COMPREHENSION_PARTS)
    return Comprehension(
        static,
        offset,
        iter_var=iter_var,
        iter_var2=iter_var2,
        iter_range=iter_range,
        accu_var=accu_var,
        accu_init=accu_init,
        condition=condition,
        step=step,
        result=result,
    )


_MAKERS: tuple[_Maker, ...] = (
    lambda static, offset, rest, _: Const(static, offset, _from_data(rest[0])),
    lambda static, offset, rest, _: Ident(static, offset, rest[0]),
    _make_select,
    _make_call,
    lambda static, offset, rest, stack: MakeList(static, offset, _take(stack, rest[0])),
    _make_map,
    _make_comprehension,
)
"""The functions that make nodes, by the tag of the node."""
