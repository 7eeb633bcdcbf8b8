"""Compile functions that read a record from Avro's binary form, for any compatible schema of its writer.

They are stricter than most Avro libraries. Negative indexes and lengths, integers that are too long, bytes after the
record, endless arrays and malformed texts are rejected.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TypeVar

from msgspec import inspect

from streams.codec.compatibility import match_branch, unreadable
from streams.codec.scalars import (
    ARRAY_ITEMS_MAX,
    INSTANT_MS_MAX,
    INSTANT_MS_MIN,
    UUID_BYTES,
    check_instant,
    check_uuid,
)
from streams.codec.schema_types import (
    ArrayShape,
    EnumShape,
    FixedShape,
    MapShape,
    Primitive,
    RecordShape,
    SchemaError,
    Shape,
    UnionShape,
    short_name,
)
from streams.codec.source import Compiled, Source
from streams.codec.varints import MalformedError, TruncatedError, read_length, read_long, skip_long
from streams.model.types import Record

_ONE_BYTE_INDEXES_MAX = 64
_SMALL = tuple([(byte >> 1) ^ -(byte & 1) if byte < 128 else None for byte in range(256)])
"""The integer that a byte stands for; None if more bytes follow."""
_TO_END = tuple([0 if byte & 129 else 1 + (byte >> 1) for byte in range(256)])
"""How far the end of a value lies behind the byte with its length; 0 if that takes more bytes or is below zero."""
_T = TypeVar("_T")


def compile_decoder(reader: RecordShape, writer: RecordShape, record: type[Record]) -> Compiled:
    """Return a function `(data, at) -> record` that reads data written with `writer`, from `at` to the end.

    It raises TruncatedError, IndexError or struct.error if the data ends too early or too late, and MalformedError,
    KeyError or UnicodeDecodeError if it is not a record.

    Args:
        reader: today's schema; `record` is its class.
        writer: the schema of the data.
        record: the class of the result.

    Raises:
        SchemaError: `reader` cannot read what `writer` writes.
    """
    return decoder_source(reader, writer, record).compile()


def decoder_source(reader: RecordShape, writer: RecordShape, record: type[Record]) -> Source:
    """Return the source of the function that `compile_decoder` makes."""
    source = _source(reader, writer)
    made = _Decoder(source).value(writer, reader, inspect.type_info(record))
    with source.block("if p != len(b):"):
        source.line("raise TruncatedError('bytes are missing, or left over')")
    source.line(f"return {made}")
    return source


def compile_field_reader(
    reader: RecordShape, writer: RecordShape, record: type[Record], paths: tuple[str, ...]
) -> Compiled:
    """Return a function `(data, at) -> fields` that reads single fields, and nothing behind the last of them.

    It raises what the function of `compile_decoder` raises. What lies between the fields is skipped with the same care.

    Args:
        paths: the fields, as `outcome` or `tool.server_id`, in the order of the writer's schema.

    Raises:
        SchemaError: `reader` cannot read what `writer` writes, or a field is not there, or not in this order.
    """
    source = _source(reader, writer)
    made = _Decoder(source).fields(writer, reader, inspect.type_info(record), paths)
    if len(made) != len(paths):
        raise SchemaError(f"the fields {', '.join(paths)} are not written, or not in this order")
    source.line("if p > len(b): raise TruncatedError('bytes are missing')")
    source.line(f"return ({', '.join(made)},)")
    return source.compile()


def _source(reader: RecordShape, writer: RecordShape) -> Source:
    """Return the beginning of a function that reads what `writer` writes."""
    findings = unreadable(reader, writer)
    if findings:
        raise SchemaError(f"records of this schema cannot be read with today's: {findings[0]}")
    source = Source("b, p", short_name(reader.name))
    for function in (read_long, read_length, skip_long, check_uuid, check_instant, MalformedError, TruncatedError):
        source.bind(function.__name__, function)
    source.bind("booleans", {0: False, 1: True})
    # To look a byte up takes fewer steps than to take it apart, and every field has one.
    source.bind("small", _SMALL)
    source.bind("to_end", _TO_END)
    source.bind("unpack_double", struct.Struct("<d").unpack_from)
    source.bind("unpack_float", struct.Struct("<f").unpack_from)
    return source


class _Decoder:
    """Writes the lines. In them, `b` is the data, `p` the position, and `q` the end of the present value."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def value(self, writer: Shape, reader: Shape, kind: inspect.Type) -> str:
        """Write lines that read a value; return the variable that holds it."""
        if isinstance(writer, UnionShape):
            return self._union(writer, lambda branch: self.value(branch, reader, kind))
        if isinstance(reader, UnionShape):
            branch = match_branch(reader.branches, writer)
            if branch is None:
                raise SchemaError(f"{self._source.path}: no branch takes what is written")
            return self.value(writer, branch, _without_none(kind))
        match writer, reader:
            case Primitive(), Primitive():
                return self._primitive(writer, reader)
            case FixedShape(size=size), _:
                return self._assign(f"b[p:p + {size}]", f"p += {size}")
            case EnumShape(), EnumShape():
                return self._enum(writer, reader, kind)
            case ArrayShape(), ArrayShape() if isinstance(kind, inspect.VarTupleType):
                items = kind.item_type
                return self._array(lambda: self.value(writer.items, reader.items, items))
            case RecordShape(), RecordShape() if isinstance(kind, inspect.StructType):
                return self._record(writer, reader, kind)
        raise SchemaError(f"{self._source.path}: has no form in our records")

    def _primitive(self, writer: Primitive, reader: Primitive) -> str:
        source = self._source
        match writer.kind, reader.kind:
            case "null", _:
                return "None"
            case (("string" | "bytes"), _):
                return self._sized(reader)
            case (("int" | "long"), ("int" | "long")):
                return self._long(reader)
            case (("int" | "long"), _):
                return self._assign(f"float({self._long(writer)})")
            case "boolean", _:
                return self._assign("booleans[b[p]]", "p += 1")
            case "double", _:
                return self._assign("unpack_double(b, p)[0]", "p += 8")
            case "float", _:
                return self._assign("unpack_float(b, p)[0]", "p += 4")
        raise SchemaError(f"{source.path}: `{writer.kind}` is not a type of Avro")

    def _sized(self, reader: Primitive) -> str:
        source = self._source
        if reader.logical == "uuid":
            source.line(f"if b[p] != {2 * UUID_BYTES}: raise MalformedError('is not a uuid')")
            source.line(f"q = p + {1 + UUID_BYTES}")
            text = self._assign("b[p + 1:q]")
            source.line(f"check_uuid({text})")
            return self._assign(f"{text}.decode()", "p = q")
        source.line("n = to_end[b[p]]")
        source.line("if n: q = p + n; p += 1")
        source.line("else: n, p = read_length(b, p); q = p + n")
        return self._assign("b[p:q]" if reader.kind == "bytes" else "b[p:q].decode()", "p = q")

    def _long(self, reader: Primitive) -> str:
        source = self._source
        variable = source.fresh()
        self._integer(variable)
        if reader.logical == "timestamp-millis":
            source.line(f"if not {INSTANT_MS_MIN} <= {variable} <= {INSTANT_MS_MAX}: check_instant({variable})")
        return variable

    def _enum(self, writer: EnumShape, reader: EnumShape, kind: inspect.Type) -> str:
        """Read an enum; a symbol that the reader doesn't know becomes its default, the fail-closed one."""
        if not isinstance(kind, inspect.EnumType):
            raise SchemaError(f"{self._source.path}: has no enum in our records")
        members = {
            index: kind.cls(symbol if symbol in reader.symbols else reader.default)
            for index, symbol in self._indexes(writer.symbols).items()
        }
        return self._assign(f"{self._source.bind_fresh(members)}[b[p]]", "p += 1")

    def _union(self, writer: UnionShape, read: Callable[[Shape], str]) -> str:
        source, variable = self._source, self._source.fresh()
        source.line("n = b[p]; p += 1")
        for index, branch in self._indexes(writer.branches).items():
            with source.block(f"{'if' if index == 0 else 'elif'} n == {index}:"):
                source.line(f"{variable} = {read(branch)}")
        source.line("else: raise MalformedError('is of a branch that its union does not have')")
        return variable

    def _array(self, read: Callable[[], str]) -> str:
        source, variable, count, end = self._source, *(self._source.fresh() for _ in range(3))
        source.line(f"if b[p] == 0: {variable} = (); p += 1")
        with source.block("else:"):
            source.line(f"{variable} = []")
            with source.block("while True:"):
                self._integer(count)
                source.line(f"if {count} == 0: break")
                self._block_end(count, end)
                source.line(
                    f"if {count} > {ARRAY_ITEMS_MAX} - len({variable}): raise MalformedError('array is too long')"
                )
                with source.block(f"for _ in range({count}):"):
                    source.line(f"{variable}.append({read()})")
                source.line(f"if {end} != -1 and p != {end}: raise MalformedError('size of an array block is wrong')")
            source.line(f"{variable} = tuple({variable})")
        return variable

    def _block_end(self, count: str, end: str) -> None:
        """Read the size of an array block in bytes, which follows a negative count."""
        source = self._source
        source.line(f"{end} = -1")
        with source.block(f"if {count} < 0:"):
            source.line(f"{count} = -{count}")
            source.line("n, p = read_length(b, p)")
            source.line(f"{end} = p + n")

    def _record(self, writer: RecordShape, reader: RecordShape, kind: inspect.StructType) -> str:
        """Read a record: fields that aren't written get their defaults from the class.

        Fields that the reader does not know are skipped, and those that its class does not have.
        """
        wanted = {field.name: field.shape for field in reader.fields}
        types = {field.name: field.type for field in kind.fields}
        arguments = []
        for field in writer.fields:
            with self._source.at(field.name):
                if field.name in wanted and field.name in types:
                    made = self.value(field.shape, wanted[field.name], types[field.name])
                    arguments.append(f"{field.name}={made}")
                else:
                    self._skip(field.shape)
        construct = self._source.bind(f"make_{kind.cls.__name__}", kind.cls)
        return self._assign(f"{construct}({', '.join(arguments)})")

    def fields(
        self, writer: Shape, reader: Shape, kind: inspect.Type, paths: tuple[str, ...], *, to_end: bool = False
    ) -> list[str]:
        """Write lines that read the fields at `paths`; return their variables, of those that were found in order.

        Args:
            to_end: go on to the end of the record, because more is read behind it.
        """
        if not (
            isinstance(writer, RecordShape) and isinstance(reader, RecordShape) and isinstance(kind, inspect.StructType)
        ):
            raise SchemaError(f"{self._source.path}: is not a record")
        shapes = {field.name: field.shape for field in reader.fields}
        types = {field.name: field.type for field in kind.fields}
        made: list[str] = []
        for field in writer.fields:
            left = paths[len(made) :]
            if not left and not to_end:
                break
            within = [rest for name, _, rest in (path.partition(".") for path in left) if name == field.name]
            with self._source.at(field.name):
                if not within or field.name not in shapes or left[0].partition(".")[0] != field.name:
                    self._skip(field.shape)
                elif within[0]:
                    more = to_end or len(within) < len(left)
                    made += self.fields(field.shape, shapes[field.name], types[field.name], tuple(within), to_end=more)
                else:
                    made.append(self.value(field.shape, shapes[field.name], types[field.name]))
        return made

    def _skip(self, writer: Shape) -> str:
        """Write lines that skip a value, with the same care; return an expression, for where one is needed."""
        match writer:
            case Primitive(kind="null"):
                pass
            case Primitive(kind="string" | "bytes"):
                self._source.line("n = to_end[b[p]]")
                self._source.line("if n: q = p = p + n")
                self._source.line("else: n, p = read_length(b, p); q = p = p + n")
            case Primitive():
                self._skip_number(writer)
            case FixedShape(size=size):
                self._source.line(f"q = p = p + {size}")
            case EnumShape(symbols=symbols):
                self._assign(f"{self._source.bind_fresh(self._indexes(symbols))}[b[p]]", "p += 1")
            case UnionShape():
                self._skip_union(writer)
            case ArrayShape(items=items):
                self._skip_zero(lambda: self._array(lambda: self._skip(items)))
            case MapShape(values=values):
                self._array(lambda: self._skip_entry(values))
            case RecordShape(fields=fields):
                for field in fields:
                    with self._source.at(field.name):
                        self._skip(field.shape)
        return "None"

    def _skip_number(self, writer: Primitive) -> None:
        if writer.kind in ("int", "long"):
            self._source.line("if b[p] < 128: p += 1")
            self._source.line("else: p = skip_long(b, p)")
        else:
            unchecked = Primitive(writer.kind)
            self._primitive(unchecked, unchecked)

    def _skip_union(self, writer: UnionShape) -> None:
        if writer.branches[0] == Primitive("null"):
            # In most of what is skipped, there is nothing.
            self._skip_zero(lambda: self._union(writer, self._skip))
        else:
            self._union(writer, self._skip)

    def _skip_zero(self, write_rest: Callable[[], object]) -> None:
        """Write lines that skip a byte if it is 0; `write_rest` writes those for everything else."""
        self._source.line("if not b[p]: p += 1")
        with self._source.block("else:"):
            write_rest()

    def _skip_entry(self, values: Shape) -> str:
        self._skip(Primitive("string"))
        return self._skip(values)

    def _indexes(self, things: tuple[_T, ...]) -> dict[int, _T]:
        if len(things) > _ONE_BYTE_INDEXES_MAX:
            raise SchemaError(f"{self._source.path}: more than {_ONE_BYTE_INDEXES_MAX} symbols or branches")
        return {2 * index: thing for index, thing in enumerate(things)}

    def _integer(self, variable: str) -> None:
        """Write lines that read an integer into a variable."""
        self._source.line(f"{variable} = small[b[p]]")
        self._source.line(f"if {variable} is None: {variable}, p = read_long(b, p)")
        self._source.line("else: p += 1")

    def _assign(self, expression: str, after: str = "") -> str:
        variable = self._source.fresh()
        self._source.line(f"{variable} = {expression}")
        if after:
            self._source.line(after)
        return variable


def _without_none(kind: inspect.Type) -> inspect.Type:
    if isinstance(kind, inspect.UnionType):
        rest = [member for member in kind.types if not isinstance(member, inspect.NoneType)]
        if len(rest) == 1:
            return rest[0]
    return kind
