"""Compile functions that write a record in Avro's binary form.

The idea: the schema is fixed, so the steps that write a record are known in advance. They are written as straight-line
Python source, one line per field or part of it, and compiled once per topic. Each line appends the bytes of its field
to a list, and the list is joined at the end. Constants, such as the index of a union's branch, are merged with the
bytes that follow.

Rejected: a general library that walks the schema for each record. fastavro takes about seven times as long
(docs/adr/0010-own-avro-functions.md).

Nothing from a schema but checked names and numbers becomes source (`streams.codec.source`).
"""

from __future__ import annotations

import struct

from streams.codec.encoding_cache import Forms
from streams.codec.scalars import check_instant, check_items, check_uuid
from streams.codec.schema_types import (
    ArrayShape,
    EnumShape,
    FixedShape,
    Primitive,
    RecordShape,
    SchemaError,
    Shape,
    nullable,
    short_name,
)
from streams.codec.source import Compiled, Source
from streams.codec.varints import LongCache, write_long
from streams.model.types import Recurring

_NULL_BRANCH = write_long(0)
_VALUE_BRANCH = write_long(1)
_END = write_long(0)


def wrong_size(size: int, found: int) -> None:
    """Raise an error for a fixed value of the wrong size."""
    raise ValueError(f"has {found} bytes, not {size}")


_LONGS = LongCache()
_BRANCHED_LONGS = LongCache(_VALUE_BRANCH)


def compile_encoder(shape: RecordShape, prefix: bytes) -> Compiled:
    """Return a function `(record) -> bytes` that writes records of `shape`, `prefix` first.

    It raises ValueError (UnicodeEncodeError is one), TypeError, AttributeError, KeyError or MalformedError for a record
    with a field that does not have the type of its class.

    Raises:
        SchemaError: the schema uses a type that records cannot have.
    """
    return encoder_source(shape, prefix).compile()


def encoder_source(shape: RecordShape, prefix: bytes) -> Source:
    """Return the source of the function that `compile_encoder` makes."""
    source = Source("r", short_name(shape.name))
    source.bind("longs", _LONGS)
    source.bind("branched", _BRANCHED_LONGS)
    source.bind("pack_double", struct.Struct("<d").pack)
    for known in (check_uuid, check_instant, check_items, wrong_size, Recurring):
        source.bind(known.__name__, known)
    source.bind("prefix", prefix)
    source.line("out = [prefix]")
    source.line("a = out.append")
    _write_fields(source, "r", shape)
    source.line("return b''.join(out)")
    return source


def _write(source: Source, expression: str, shape: Shape, branch: bytes = b"") -> None:
    """Write lines that append the encoded form of `expression`, after the index of its union's branch."""
    match shape:
        case Primitive(kind="string" | "bytes"):
            _write_sized(source, expression, shape, branch)
        case Primitive(kind="long", logical="timestamp-millis"):
            variable = _assigned(source, expression)
            source.line(f"check_instant({variable})")
            source.line(f"a({_longs(branch)}[{variable}])")
        case Primitive(kind="long"):
            source.line(f"a({_longs(branch)}[{expression}])")
        case Primitive(kind="boolean"):
            source.line(f"a({branch + bytes([1])!r} if {expression} else {branch + bytes([0])!r})")
        case Primitive(kind="double"):
            _write_branch(source, branch)
            source.line(f"a(pack_double({expression}))")
        case FixedShape(size=size):
            variable = _assigned(source, expression)
            source.line(f"if len({variable}) != {size}: wrong_size({size}, len({variable}))")
            _write_branch(source, branch)
            source.line(f"a({variable})")
        case EnumShape(symbols=symbols):
            forms = {symbol: branch + write_long(index) for index, symbol in enumerate(symbols)}
            source.line(f"a({source.bind_fresh(forms)}[{expression}._value_])")
        case ArrayShape(items=items):
            _write_branch(source, branch)
            _write_array(source, _assigned(source, expression), items)
        case RecordShape():
            _write_branch(source, branch)
            _write_fields(source, _assigned(source, expression), shape)
        case _:
            inner = nullable(shape)
            if inner is None or branch:
                raise SchemaError(f"{source.path}: cannot be written; our records have no form for this type")
            variable = _assigned(source, expression)
            with source.block(f"if {variable} is None:"):
                source.line(f"a({_NULL_BRANCH!r})")
            with source.block("else:"):
                _write(source, variable, inner, _VALUE_BRANCH)


def _write_fields(source: Source, record: str, shape: RecordShape) -> None:
    for field in shape.fields:
        with source.at(field.name):
            _write(source, f"{record}.{field.name}", field.shape)


def _write_sized(source: Source, expression: str, shape: Primitive, branch: bytes) -> None:
    variable = _assigned(source, expression if shape.kind == "bytes" else f"{expression}.encode()")
    if shape.logical == "uuid":
        source.line(f"check_uuid({variable})")
    source.line(f"a({_longs(branch)}[len({variable})])")
    source.line(f"a({variable})")


def _write_array(source: Source, variable: str, items: Shape) -> None:
    with source.block(f"if {variable}:"):
        _write_some(source, variable, items)
    source.line(f"a({_END!r})")


def _write_some(source: Source, variable: str, items: Shape) -> None:
    """Write lines for a list that isn't empty; a list that many records share is encoded once."""
    forms, form, start = source.bind_fresh(Forms()), source.fresh(), source.fresh()
    source.line(f"{form} = {forms}.find({variable}) if {variable}.__class__ is Recurring else None")
    with source.block(f"if {form} is not None:"):
        source.line(f"a({form})")
    with source.block("else:"):
        source.line(f"{start} = len(out)")
        _write_items(source, variable, items)
        with source.block(f"if {variable}.__class__ is Recurring:"):
            source.line(f"{forms}.keep({variable}, b''.join(out[{start}:]))")


def _write_items(source: Source, variable: str, items: Shape) -> None:
    source.line(f"check_items(len({variable}))")
    source.line(f"a(longs[len({variable})])")
    item = source.fresh()
    with source.block(f"for {item} in {variable}:"):
        _write(source, item, items)


def _assigned(source: Source, expression: str) -> str:
    """Return a variable with the value of `expression`."""
    if expression.isidentifier():
        return expression
    variable = source.fresh()
    source.line(f"{variable} = {expression}")
    return variable


def _write_branch(source: Source, branch: bytes) -> None:
    if branch:
        source.line(f"a({branch!r})")


def _longs(branch: bytes) -> str:
    return "branched" if branch else "longs"
