"""Reads and writes records field by field, as their schema says, without compiling a function for it.

**Idea.** Functions that are compiled from a schema are several times as fast for each record, and take several
milliseconds to compile. A command that reads twenty records of a topic spends more time on that than on all else. Here,
each node of a schema becomes a closure, which is made in a tenth of the time.

Compiled functions stay the only truth about what is wrong with a value: whenever something here fails, in any way, the
value is read or written again by the compiled one, which fails with the place of the fault, or does what is right. A
property test compares both for any record and any bytes. What is not made here (`None` is returned) is compiled.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from functools import lru_cache
from inspect import get_annotations
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from streams.codec.compatibility import unreadable
from streams.codec.encoder import wrong_size
from streams.codec.scalars import ARRAY_ITEMS_MAX, UUID_BYTES, check_instant, check_items, check_uuid
from streams.codec.schema_types import ArrayShape, EnumShape, FixedShape, Primitive, RecordShape, Shape, UnionShape
from streams.codec.varints import LongCache, MalformedError, TruncatedError, read_length, read_long
from streams.model.types import Record

Reader = Callable[[bytes, int], tuple[Any, int]]
"""From the data and a place in it to the value, and the place behind it."""

Writer = Callable[[Any, Callable[[bytes], None]], None]
"""Passes the parts of a value's form to a function."""

CLASSES_MAX = 512
"""How many classes of records have their annotations kept: all that there are."""
ANNOTATIONS_MAX = 4_096
"""How many annotations are kept as types: those of all fields."""
_ONE_BYTE_INDEXES_MAX = 64
_LONGS = LongCache()
_DOUBLE = struct.Struct("<d")
_BOOLEANS = {0: False, 1: True}


class _NotMadeError(Exception):
    """A form that is left to the compiled functions."""


def interpret_decoder(
    reader: RecordShape, writer: RecordShape, record: type[Record]
) -> Callable[[bytes, int], Record] | None:
    """Return a function that reads what that of `compile_decoder` reads, and fails in any way where that fails.

    Args:
        reader: today's schema; `record` is its class.
        writer: the schema of the data.
        record: the class of the result.

    Returns:
        The function, or None if it is to be compiled.
    """
    if unreadable(reader, writer):
        return None
    try:
        read = _reader(writer, reader, record)
    except _NotMadeError:
        return None

    def decode(data: bytes, at: int) -> Record:
        made, end = read(data, at)
        if end != len(data):
            raise TruncatedError("bytes are missing, or left over")
        result: Record = made
        return result

    return decode


def interpret_encoder(shape: RecordShape, prefix: bytes) -> Callable[[Any], bytes] | None:
    """Return a function that writes what that of `compile_encoder` writes, and fails in any way where that fails.

    Args:
        shape: the schema.
        prefix: what comes before each record.

    Returns:
        The function, or None if it is to be compiled.
    """
    try:
        write = _writer(shape)
    except _NotMadeError:
        return None

    def encode(record: Any) -> bytes:
        out = [prefix]
        write(record, out.append)
        return b"".join(out)

    return encode


def _reader(writer: Shape, reader: Shape, kind: Any) -> Reader:
    """Return what reads a value.

    Args:
        writer: how it is written.
        reader: how today's schema has it.
        kind: the type of the field in the class, as far as it is needed.
    """
    if isinstance(writer, UnionShape):
        branches = {2 * index: _reader(branch, reader, kind) for index, branch in _few(writer.branches)}

        def union(data: bytes, at: int) -> tuple[Any, int]:
            return branches[data[at]](data, at + 1)

        return union
    if isinstance(reader, UnionShape):
        if isinstance(writer, Primitive) and writer.kind == "null":
            return _null
        inner = [branch for branch in reader.branches if branch != Primitive("null")]
        if len(inner) != 1:
            raise _NotMadeError
        return _reader(writer, inner[0], kind)
    match writer, reader:
        case Primitive(kind=one), Primitive(kind=other) if one == other:
            return _read_primitive(reader)
        case FixedShape(size=size), FixedShape():
            return lambda data, at: (data[at : at + size], at + size)
        case EnumShape(), EnumShape():
            return _enum_reader(writer, reader, _without_none(kind))
        case ArrayShape(), ArrayShape():
            return _array_reader(_reader(writer.items, reader.items, _item_type(_without_none(kind))))
        case RecordShape(), RecordShape():
            return _record_reader(writer, reader, _without_none(kind))
    raise _NotMadeError


def _read_primitive(shape: Primitive) -> Reader:
    match shape:
        case Primitive(kind="null"):
            return _null
        case Primitive(kind="string", logical="uuid"):
            return _read_uuid
        case Primitive(kind="string"):
            return _read_text
        case Primitive(kind="bytes"):
            return _read_bytes
        case Primitive(kind="long", logical="timestamp-millis"):
            return _read_instant
        case Primitive(kind="int" | "long"):
            return read_long
        case Primitive(kind="boolean"):
            return lambda data, at: (_BOOLEANS[data[at]], at + 1)
        case Primitive(kind="double"):
            return lambda data, at: (_DOUBLE.unpack_from(data, at)[0], at + 8)
    raise _NotMadeError


def _null(_data: bytes, at: int) -> tuple[None, int]:
    return None, at


def _read_uuid(data: bytes, at: int) -> tuple[str, int]:
    if data[at] != 2 * UUID_BYTES:
        raise MalformedError("is not a uuid")
    end = at + 1 + UUID_BYTES
    text = data[at + 1 : end]
    check_uuid(text)
    return text.decode(), end


def _read_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    size, start = read_length(data, at)
    return data[start : start + size], start + size


def _read_text(data: bytes, at: int) -> tuple[str, int]:
    content, end = _read_bytes(data, at)
    return content.decode(), end


def _read_instant(data: bytes, at: int) -> tuple[int, int]:
    value_ms, end = read_long(data, at)
    check_instant(value_ms)
    return value_ms, end


def _enum_reader(writer: EnumShape, reader: EnumShape, kind: Any) -> Reader:
    known = [(symbol if symbol in reader.symbols else reader.default) for symbol in writer.symbols]
    members = {2 * index: kind(symbol) for index, symbol in _few(tuple(known))}
    return lambda data, at: (members[data[at]], at + 1)


def _array_reader(read: Reader) -> Reader:
    def array(data: bytes, at: int) -> tuple[Any, int]:
        items: list[Any] = []
        while True:
            count, at = read_long(data, at)
            if count == 0:
                return tuple(items), at
            end = None
            if count < 0:
                count = -count
                size, at = read_length(data, at)
                end = at + size
            if count > ARRAY_ITEMS_MAX - len(items):
                raise MalformedError("array is too long")
            for _ in range(count):
                item, at = read(data, at)
                items.append(item)
            if end is not None and at != end:
                raise MalformedError("size of an array block is wrong")

    return array


def _record_reader(writer: RecordShape, reader: RecordShape, kind: Any) -> Reader:
    """Return what reads a record: fields that aren't written get their defaults from the class."""
    wanted = {field.name: field.shape for field in reader.fields}
    annotations = _annotations(kind)
    fields: list[tuple[str, Reader]] = []
    for field in writer.fields:
        if field.name not in wanted or field.name not in annotations:
            raise _NotMadeError  # it is skipped
        shape = wanted[field.name]
        typed = _evaluated(*annotations[field.name]) if _needs_type(shape) else None
        fields.append((field.name, _reader(field.shape, shape, typed)))

    def record(data: bytes, at: int) -> tuple[Any, int]:
        values: dict[str, Any] = {}
        for name, read in fields:
            values[name], at = read(data, at)
        return kind(**values), at

    return record


def _needs_type(shape: Shape) -> bool:
    """Return whether values are of classes of ours, or have parts that are."""
    match shape:
        case UnionShape(branches=branches):
            return any(map(_needs_type, branches))
        case ArrayShape(items=items):
            return _needs_type(items)
    return isinstance(shape, RecordShape | EnumShape)


@lru_cache(maxsize=CLASSES_MAX)
def _annotations(kind: type) -> dict[str, tuple[str, str]]:
    """Return the annotation of each field of a class, as the module and the text that stands there."""
    found: dict[str, tuple[str, str]] = {}
    for base in reversed(kind.__mro__):
        for name, text in get_annotations(base).items():
            if not isinstance(text, str):
                raise _NotMadeError
            found[name] = base.__module__, text
    return found


@lru_cache(maxsize=ANNOTATIONS_MAX)
def _evaluated(module: str, text: str) -> Any:
    """Return the type that an annotation stands for. `typing` would compile the text again for each field."""
    try:
        return eval(text, vars(sys.modules[module]))  # noqa: S307 - an annotation of one of our own classes
    except NameError:
        raise _NotMadeError from None


def _without_none(kind: Any) -> Any:
    """Return X of `X | None`, and of `Annotated[X, ...]`."""
    if get_origin(kind) is Annotated:
        return _without_none(get_args(kind)[0])
    if get_origin(kind) in (UnionType, Union):
        rest = [member for member in get_args(kind) if member is not NoneType]
        if len(rest) != 1:
            raise _NotMadeError
        return _without_none(rest[0])
    return kind


def _item_type(kind: Any) -> Any:
    """Return X of `tuple[X, ...]`, or None where no class is needed."""
    if kind is None:
        return None
    if get_origin(kind) is not tuple or len(get_args(kind)) != 2 or get_args(kind)[1] is not ...:
        raise _NotMadeError
    return get_args(kind)[0]


def _few(things: tuple[Any, ...]) -> list[tuple[int, Any]]:
    if len(things) > _ONE_BYTE_INDEXES_MAX:
        raise _NotMadeError
    return list(enumerate(things))


def _writer(shape: Shape) -> Writer:
    match shape:
        case Primitive():
            return _primitive_writer(shape)
        case FixedShape(size=size):
            return _fixed_writer(size)
        case EnumShape(symbols=symbols):
            forms = {symbol: _LONGS[index] for index, symbol in enumerate(symbols)}
            return lambda value, add: add(forms[value._value_])
        case ArrayShape(items=items):
            return _array_writer(_writer(items))
        case UnionShape(branches=(Primitive(kind="null"), inner)) if not isinstance(inner, UnionShape):
            return _nullable_writer(_writer(inner))
        case RecordShape(fields=fields):
            return _record_writer([(field.name, _writer(field.shape)) for field in fields])
    raise _NotMadeError


def _primitive_writer(shape: Primitive) -> Writer:
    match shape:
        case Primitive(kind="string", logical="uuid"):
            return _write_uuid
        case Primitive(kind="string"):
            return lambda value, add: _write_bytes(value.encode(), add)
        case Primitive(kind="bytes"):
            return _write_bytes
        case Primitive(kind="long", logical="timestamp-millis"):
            return _write_instant
        case Primitive(kind="long"):
            return lambda value, add: add(_LONGS[value])
        case Primitive(kind="boolean"):
            return lambda value, add: add(b"\x01" if value else b"\x00")
        case Primitive(kind="double"):
            return lambda value, add: add(_DOUBLE.pack(value))
    raise _NotMadeError


def _write_bytes(value: bytes, add: Callable[[bytes], None]) -> None:
    add(_LONGS[len(value)])
    add(value)


def _write_uuid(value: str, add: Callable[[bytes], None]) -> None:
    content = value.encode()
    check_uuid(content)
    _write_bytes(content, add)


def _write_instant(value_ms: int, add: Callable[[bytes], None]) -> None:
    check_instant(value_ms)
    add(_LONGS[value_ms])


def _fixed_writer(size: int) -> Writer:
    def fixed(value: bytes, add: Callable[[bytes], None]) -> None:
        if len(value) != size:
            wrong_size(size, len(value))
        add(value)

    return fixed


def _array_writer(write: Writer) -> Writer:
    def array(value: Any, add: Callable[[bytes], None]) -> None:
        if value:
            check_items(len(value))
            add(_LONGS[len(value)])
            for item in value:
                write(item, add)
        add(_LONGS[0])

    return array


def _nullable_writer(write: Writer) -> Writer:
    null, there = _LONGS[0], _LONGS[1]

    def nullable(value: Any, add: Callable[[bytes], None]) -> None:
        if value is None:
            add(null)
        else:
            add(there)
            write(value, add)

    return nullable


def _record_writer(fields: list[tuple[str, Writer]]) -> Writer:
    def record(value: Any, add: Callable[[bytes], None]) -> None:
        for name, write in fields:
            write(getattr(value, name), add)

    return record
