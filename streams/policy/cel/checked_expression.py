"""Reads the protobuf form of `cel.expr.CheckedExpr` into a tree.

Field numbers are those of the public `cel/expr/checked.proto` and `syntax.proto`. The input comes from the checker in
this process, but a wrong reading would be dangerous: anything unexpected raises `CheckedExpressionError`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from streams.policy.cel.tree import (
    DYN,
    Call,
    Comprehension,
    Const,
    Expr,
    Ident,
    MakeList,
    MakeMap,
    MakeStruct,
    Select,
    StaticType,
)
from streams.policy.cel.values import Duration, Timestamp, UInt
from streams.policy.errors import PolicyError

DEPTH_MAX = 300

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_VARINT_BYTES_MAX = 10
_SHORT_KEY, _NUMBER_VALUE, _BYTES_VALUE = 1 << 3 | _VARINT, 2 << 3 | _VARINT, 2 << 3 | _BYTES
_FORMS_MAX = 4_096
"""How many types, and references to functions, are kept: those of all rules are a few hundred."""
_PRIMITIVES = ("dyn", "bool", "int", "uint", "double", "string", "bytes")
_WELL_KNOWN = ("dyn", "dyn", "timestamp", "duration")


class CheckedExpressionError(PolicyError):
    """The output of the checker can't be read."""


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for count in range(_VARINT_BYTES_MAX):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value, at
    raise CheckedExpressionError("checked expression ends inside of a number")


def _fields(data: memoryview) -> Iterator[tuple[int, Any]]:
    """Yield field numbers and raw values: ints for varints, memoryviews for everything else."""
    at, end = 0, len(data)
    while at < end:
        # Nearly every tag and length is a single byte. Reading it here saves a call.
        tag, at = (data[at], at + 1) if data[at] < 0x80 else _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value: Any
            value, at = (data[at], at + 1) if at < end and data[at] < 0x80 else _varint(data, at)
        elif kind == _BYTES:
            size, at = (data[at], at + 1) if at < end and data[at] < 0x80 else _varint(data, at)
            if at + size > end:
                raise CheckedExpressionError(f"checked expression is cut short in field {number}")
            value, at = data[at : at + size], at + size
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
            if at + size > end:
                raise CheckedExpressionError(f"checked expression is cut short in field {number}")
            value, at = data[at : at + size], at + size
        else:
            raise CheckedExpressionError(f"checked expression has wire type {kind} in field {number}")
        yield number, value


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _text(data: memoryview) -> str:
    return bytes(data).decode()


def _pair(data: memoryview) -> tuple[int, Any]:
    """Return key and value of a map entry whose key is an integer."""
    size = len(data)
    # Nearly every entry is a key of one byte, and a value whose length, or which itself, is one.
    if size > 3 and data[0] == _SHORT_KEY and data[1] < 0x80 and data[3] < 0x80:
        if data[2] == _BYTES_VALUE and size == 4 + data[3]:
            return data[1], data[4:]
        if data[2] == _NUMBER_VALUE and size == 4:
            return data[1], data[3]
    return _any_pair(data)


def _any_pair(data: memoryview) -> tuple[int, Any]:
    key, value = 0, None
    for number, raw in _fields(data):
        if number == 1:
            key = _signed(raw)
        elif number == 2:
            value = raw
    return key, value


def read_checked_expression(serialized: bytes) -> Expr:
    """Return the tree of a serialized `CheckedExpr` or `ParsedExpr`, which may be packed in an `Any`.

    All types in the tree of a `ParsedExpr` are dynamic.

    Raises:
        CheckedExpressionError: the data is neither of them.
    """
    data = memoryview(serialized)
    parts = list(_fields(data))
    name = _text(parts[0][1]) if parts and parts[0][0] == 1 else ""
    if name.endswith(("/cel.expr.CheckedExpr", "/cel.expr.ParsedExpr")):
        data = next((raw for number, raw in parts if number == 2), memoryview(b""))
    return _Reader(data, parsed=name.endswith("ParsedExpr")).root()


class _Reader:
    def __init__(self, data: memoryview, *, parsed: bool) -> None:
        self._references: dict[int, tuple[str, tuple[str, ...], Any]] = {}
        self._types: dict[int, StaticType] = {}
        self._offsets: dict[int, int] = {}
        self._root: memoryview | None = None
        # The fields of a ParsedExpr have other numbers: expression and source instead of references and types.
        renumbered = {2: 4, 3: 5} if parsed else {}
        for number, raw in ((renumbered.get(number, number), raw) for number, raw in _fields(data)):
            if number == 2:
                key, value = _pair(raw)
                self._references[key] = _reference(bytes(value) if value is not None else b"")
            elif number == 3:
                key, value = _pair(raw)
                self._types[key] = _type_of(bytes(value)) if value is not None else DYN
            elif number == 4:
                self._root = raw
            elif number == 5:
                self._offsets.update(_positions(raw))

    def root(self) -> Expr:
        if self._root is None:
            raise CheckedExpressionError("checked expression has no expression")
        return self._expr(self._root, 0)

    def _expr(self, data: memoryview, depth: int) -> Expr:
        if depth > DEPTH_MAX:
            raise CheckedExpressionError(f"expression is nested deeper than {DEPTH_MAX} levels")
        node_id, kind, body = 0, 0, memoryview(b"")
        for number, raw in _fields(data):
            if number == 2:
                node_id = _signed(raw)
            else:
                kind, body = number, raw
        known = self._types.get(node_id, DYN)
        offset = self._offsets.get(node_id, -1)
        name, overloads, constant = self._references.get(node_id, ("", (), None))
        if kind == 3:
            return Const(known, offset, _constant(body))
        if constant is not None:
            return Const(known, offset, _constant(constant))
        if kind == 4:
            return Ident(known, offset, name or _text(next(raw for number, raw in _fields(body) if number == 1)))
        if kind == 5:
            return self._select(body, known, offset, name, depth)
        if kind == 6:
            return self._call(body, known, offset, (name, overloads), depth)
        if kind == 7:
            items = tuple(self._expr(raw, depth + 1) for number, raw in _fields(body) if number == 1)
            return MakeList(known, offset, items)
        if kind == 8:
            return self._make(body, known, offset, depth)
        if kind == 9:
            return self._comprehension(body, known, offset, depth)
        raise CheckedExpressionError(f"expression of unknown kind {kind}")

    def _select(self, body: memoryview, known: StaticType, offset: int, name: str, depth: int) -> Expr:
        if name:
            return Ident(known, offset, name)
        operand, field, test = memoryview(b""), "", False
        for number, raw in _fields(body):
            if number == 1:
                operand = raw
            elif number == 2:
                field = _text(raw)
            elif number == 3:
                test = bool(raw)
        return Select(known, offset, self._expr(operand, depth + 1), field, test)

    def _call(
        self, body: memoryview, known: StaticType, offset: int, reference: tuple[str, tuple[str, ...]], depth: int
    ) -> Expr:
        function, target, args = "", None, []
        for number, raw in _fields(body):
            if number == 1:
                target = raw
            elif number == 2:
                function = _text(raw)
            elif number == 3:
                args.append(raw)
        operands = args if target is None else [target, *args]
        return Call(
            known,
            offset,
            function,
            target is not None,
            tuple(self._expr(operand, depth + 1) for operand in operands),
            reference[1],
        )

    def _make(self, body: memoryview, known: StaticType, offset: int, depth: int) -> Expr:
        entries: list[tuple[Expr, Expr]] = []
        for number, raw in _fields(body):
            if number == 1 and len(raw):
                return MakeStruct(known, offset, _text(raw))
            if number == 2:
                parts = dict(_fields(raw))
                if 3 not in parts or 4 not in parts:
                    raise CheckedExpressionError("map entry without a key or a value")
                entries.append((self._expr(parts[3], depth + 1), self._expr(parts[4], depth + 1)))
        return MakeMap(known, offset, tuple(entries))

    def _comprehension(self, body: memoryview, known: StaticType, offset: int, depth: int) -> Expr:
        parts = dict(_fields(body))

        def part(number: int) -> Expr:
            return self._expr(parts[number], depth + 1)

        return Comprehension(
            known,
            offset,
            iter_var=_text(parts[1]) if 1 in parts else "",
            iter_var2=_text(parts[8]) if 8 in parts else "",
            iter_range=part(2),
            accu_var=_text(parts[3]),
            accu_init=part(4),
            condition=part(5),
            step=part(6),
            result=part(7),
        )


@lru_cache(maxsize=_FORMS_MAX)
def _type_of(encoded: bytes) -> StaticType:
    """Return a type. Types are kept, because rules have few types and many nodes."""
    return _type(memoryview(encoded))


@lru_cache(maxsize=_FORMS_MAX)
def _reference(encoded: bytes) -> tuple[str, tuple[str, ...], Any]:
    name, overloads, constant = "", [], None
    for number, raw in _fields(memoryview(encoded)):
        if number == 1:
            name = _text(raw)
        elif number == 3:
            overloads.append(_text(raw))
        elif number == 4:
            constant = raw
    return name, tuple(overloads), constant


def _positions(data: memoryview) -> dict[int, int]:
    found = {}
    for number, raw in _fields(data):
        if number == 4:
            key, value = _pair(raw)
            found[key] = value or 0
    return found


def _type(data: memoryview, depth: int = 0) -> StaticType:
    if depth > DEPTH_MAX:
        raise CheckedExpressionError(f"type is nested deeper than {DEPTH_MAX} levels")
    for number, raw in _fields(data):
        if number == 2:
            return StaticType("null")
        if number in (3, 4):
            return StaticType(_PRIMITIVES[raw]) if raw < len(_PRIMITIVES) and number == 3 else DYN
        if number == 5:
            return StaticType(_WELL_KNOWN[raw]) if raw < len(_WELL_KNOWN) else DYN
        if number in (6, 7):
            params = dict(_fields(raw))
            wanted = (1,) if number == 6 else (1, 2)
            inner = tuple(_type(params[index], depth + 1) if index in params else DYN for index in wanted)
            return StaticType("list" if number == 6 else "map", inner)
        if number == 9:
            return StaticType(f"struct:{_text(raw)}")
        if number == 11:
            return StaticType("type")
        if number == 14:
            return StaticType(next((_text(value) for index, value in _fields(raw) if index == 1), "dyn"))
        return DYN
    return DYN


def _constant(data: memoryview) -> Any:
    for number, raw in _fields(data):
        if number == 1:
            return None
        if number == 2:
            return bool(raw)
        if number == 3:
            return _signed(raw)
        if number == 4:
            return UInt(raw)
        if number == 5:
            return struct.unpack("<d", raw)[0]
        if number == 6:
            return _text(raw)
        if number == 7:
            return bytes(raw)
        if number in (8, 9):
            parts = dict(_fields(raw))
            seconds, nanos = _signed(parts.get(1, 0)), _signed(parts.get(2, 0))
            return (Duration if number == 8 else Timestamp)(seconds * 1_000_000_000 + nanos)
    raise CheckedExpressionError("constant without a value")
