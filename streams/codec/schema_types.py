"""Avro schemas as typed values: the codec is compiled from them, and compatibility is checked on them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import msgspec

from streams.model.errors import StoplogError

NODES_MAX = 5_000
"""How many nodes a schema may have with its names resolved: it may come from a registry, and names can multiply."""

DEPTH_MAX = 32

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_INT_BOUNDS = {"int": 2**31, "long": 2**63}


class SchemaError(StoplogError):
    """A schema that cannot be used; the message says where, and why."""


class Primitive(msgspec.Struct, frozen=True):
    """A type without parts; `logical` is the name of its logical type, or empty."""

    kind: str
    logical: str = ""


class EnumShape(msgspec.Struct, frozen=True):
    """An enum; a reader takes an unknown symbol for `default`."""

    name: str
    symbols: tuple[str, ...]
    default: str | None


class FixedShape(msgspec.Struct, frozen=True):
    """A fixed number of bytes."""

    name: str
    size: int


class ArrayShape(msgspec.Struct, frozen=True):
    """An array of any number of items."""

    items: Shape


class MapShape(msgspec.Struct, frozen=True):
    """A map from text to values; can be skipped by a reader, but is never written."""

    values: Shape


class UnionShape(msgspec.Struct, frozen=True):
    """One of several types."""

    branches: tuple[Shape, ...]


class FieldShape(msgspec.Struct, frozen=True):
    """A field of a record; `default` is the JSON text of its default, None if the field is required."""

    name: str
    shape: Shape
    default: str | None


class RecordShape(msgspec.Struct, frozen=True):
    """A record."""

    name: str
    fields: tuple[FieldShape, ...]


Shape = Primitive | EnumShape | FixedShape | ArrayShape | MapShape | UnionShape | RecordShape


def parse_record(text: str | bytes) -> RecordShape:
    """Parse the JSON of a record's schema.

    Raises:
        SchemaError: it is not JSON or not a record, or breaks a rule of Avro or a limit of this module.
    """
    try:
        raw = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise SchemaError(f"schema is not JSON: {error}") from None
    shape = _Parser().parse(raw, namespace="", at="schema", depth=0)
    if not isinstance(shape, RecordShape):
        raise SchemaError("schema must be a record")
    return shape


def short_name(name: str) -> str:
    """Return the name without its namespace; schema resolution compares these names."""
    return name.rpartition(".")[2]


def nullable(shape: Shape) -> Shape | None:
    """Return X of `[null, X]`, or None for any other shape."""
    if not isinstance(shape, UnionShape) or len(shape.branches) != 2:
        return None
    first, second = shape.branches
    return second if first == Primitive("null") else None


class _Parser:
    """Resolves names as it parses, so a record that contains itself has an unknown name: records cannot do that."""

    def __init__(self) -> None:
        self._named: dict[str, Shape] = {}
        self._sizes: dict[str, int] = {}
        self._nodes = 0

    def parse(self, raw: object, namespace: str, at: str, depth: int) -> Shape:
        self._count(1, at)
        if depth > DEPTH_MAX:
            raise SchemaError(f"{at}: nested deeper than {DEPTH_MAX} levels")
        if isinstance(raw, str):
            return self._by_name(raw, namespace, at)
        if isinstance(raw, list):
            return self._union(raw, namespace, at, depth)
        if not isinstance(raw, dict):
            raise SchemaError(f"{at}: a type is a name, a list or an object")
        kind = raw.get("type")
        if isinstance(kind, (dict, list)):
            return self.parse(kind, namespace, at, depth + 1)
        match kind:
            case "record" | "enum" | "fixed":
                return self._named_type(raw, namespace, at, depth)
            case "array":
                items = self.parse(raw.get("items"), namespace, f"{at}[]", depth + 1)
                if least_bytes(items) == 0:
                    raise SchemaError(f"{at}: items take no bytes, so that a short value could hold any number of them")
                return ArrayShape(items)
            case "map":
                return MapShape(self.parse(raw.get("values"), namespace, f"{at}{{}}", depth + 1))
        if isinstance(kind, str) and kind in PRIMITIVES:
            logical = raw.get("logicalType", "")
            return Primitive(kind, logical if isinstance(logical, str) else "")
        return self._by_name(kind, namespace, at)

    def _by_name(self, name: object, namespace: str, at: str) -> Shape:
        if not isinstance(name, str):
            raise SchemaError(f"{at}: has no type")
        if name in PRIMITIVES:
            return Primitive(name)
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        if full not in self._sizes:
            raise SchemaError(f"{at}: type `{name}` is unknown here (a record that holds itself is not supported)")
        self._count(self._sizes[full], at)
        return self._named[full]

    def _union(self, raw: list[object], namespace: str, at: str, depth: int) -> Shape:
        branches = tuple(self.parse(branch, namespace, f"{at}|{index}", depth + 1) for index, branch in enumerate(raw))
        if not branches or any(isinstance(branch, UnionShape) for branch in branches):
            raise SchemaError(f"{at}: a union has branches, none of which is a union")
        kinds = [_kind(branch) for branch in branches]
        if len(set(kinds)) != len(kinds):
            raise SchemaError(f"{at}: a union has no two branches of one kind")
        return UnionShape(branches)

    def _named_type(self, raw: Mapping[str, object], namespace: str, at: str, depth: int) -> Shape:
        full, space = _full_name(raw, namespace, at)
        if full in self._sizes or short_name(full) in PRIMITIVES:
            raise SchemaError(f"{at}: name `{full}` is defined twice")
        before = self._nodes
        shape: Shape
        match raw["type"]:
            case "record":
                shape = RecordShape(full, self._fields(raw.get("fields"), space, at, depth))
            case "enum":
                shape = _enum(raw, full, at)
            case _:
                size = raw.get("size")
                if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                    raise SchemaError(f"{at}: a fixed has a size above 0")
                shape = FixedShape(full, size)
        if full in self._sizes:
            raise SchemaError(f"{at}: name `{full}` is defined twice")
        self._named[full] = shape
        self._sizes[full] = self._nodes - before
        return shape

    def _fields(self, raw: object, namespace: str, at: str, depth: int) -> tuple[FieldShape, ...]:
        if not isinstance(raw, list):
            raise SchemaError(f"{at}: a record has a list of fields")
        fields: dict[str, FieldShape] = {}
        for item in raw:
            if not isinstance(item, dict):
                raise SchemaError(f"{at}: a field is an object")
            name = item.get("name")
            if not isinstance(name, str) or _NAME.fullmatch(name) is None or "." in name:
                raise SchemaError(f"{at}: `{name}` is not a field name")
            if name in fields:
                raise SchemaError(f"{at}: field `{name}` is there twice")
            shape = self.parse(item.get("type"), namespace, f"{at}.{name}", depth + 1)
            default = None
            if "default" in item:
                if not default_fits(shape, item["default"]):
                    raise SchemaError(f"{at}.{name}: the default is not a value of the field's type")
                default = msgspec.json.encode(item["default"]).decode()
            fields[name] = FieldShape(name, shape, default)
        return tuple(fields.values())

    def _count(self, nodes: int, at: str) -> None:
        self._nodes += nodes
        if self._nodes > NODES_MAX:
            raise SchemaError(f"{at}: schema has more than {NODES_MAX} nodes")


def default_fits(shape: Shape, value: object) -> bool:
    """Return whether a JSON value can be the default of a field of this shape (of a union: of its first branch)."""
    match shape:
        case Primitive(kind=kind):
            return _primitive_fits(kind, value)
        case EnumShape(symbols=symbols):
            return value in symbols
        case FixedShape(size=size):
            return isinstance(value, str) and len(value) == size and all(ord(char) < 256 for char in value)
        case ArrayShape(items=items):
            return isinstance(value, list) and all(default_fits(items, item) for item in value)
        case MapShape(values=values):
            return isinstance(value, dict) and all(default_fits(values, item) for item in value.values())
        case UnionShape(branches=branches):
            return default_fits(branches[0], value)
        case RecordShape(fields=fields):
            return isinstance(value, dict) and all(
                default_fits(field.shape, value[field.name]) if field.name in value else field.default is not None
                for field in fields
            )


def least_bytes(shape: Shape) -> int:
    """Return the least number of bytes that a value of this shape takes on the wire."""
    match shape:
        case Primitive(kind=kind):
            return {"null": 0, "float": 4, "double": 8}.get(kind, 1)
        case FixedShape(size=size):
            return size
        case RecordShape(fields=fields):
            return sum(least_bytes(field.shape) for field in fields)
        case _:
            return 1


def _primitive_fits(kind: str, value: object) -> bool:
    match kind:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "int" | "long":
            bound = _INT_BOUNDS[kind]
            return isinstance(value, int) and not isinstance(value, bool) and -bound <= value < bound
        case "float" | "double":
            return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        case "bytes":
            return isinstance(value, str) and all(ord(char) < 256 for char in value)
        case _:
            return isinstance(value, str)


def _full_name(raw: Mapping[str, object], namespace: str, at: str) -> tuple[str, str]:
    name = raw.get("name")
    space = raw.get("namespace", namespace)
    if not isinstance(name, str) or not isinstance(space, str) or _NAME.fullmatch(name) is None:
        raise SchemaError(f"{at}: `{name}` is not the name of a type")
    if "." in name:
        return name, name.rpartition(".")[0]
    return (f"{space}.{name}" if space else name), space


def _enum(raw: Mapping[str, object], full: str, at: str) -> EnumShape:
    symbols, default = raw.get("symbols"), raw.get("default")
    if not isinstance(symbols, list) or not symbols:
        raise SchemaError(f"{at}: an enum has symbols")
    names = tuple(symbol for symbol in symbols if isinstance(symbol, str) and _NAME.fullmatch(symbol) is not None)
    if len(names) != len(symbols) or len(set(names)) != len(names):
        raise SchemaError(f"{at}: symbols of enum `{full}` are names, each once")
    if default is not None and default not in names:
        raise SchemaError(f"{at}: the default of enum `{full}` is not one of its symbols")
    return EnumShape(full, names, default if isinstance(default, str) else None)


def _kind(shape: Shape) -> str:
    match shape:
        case Primitive(kind=kind):
            return kind
        case RecordShape(name=name) | EnumShape(name=name) | FixedShape(name=name):
            return name
        case ArrayShape():
            return "array"
        case _:
            return "map"
