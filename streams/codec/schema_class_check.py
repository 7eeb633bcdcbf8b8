"""Check that a record class and its schema agree: both are maintained by hand."""

from __future__ import annotations

import msgspec
from msgspec import inspect

from streams.codec.compatibility import Finding
from streams.codec.schema_types import (
    ArrayShape,
    EnumShape,
    FixedShape,
    Primitive,
    RecordShape,
    Shape,
    UnionShape,
    nullable,
    short_name,
)
from streams.model.types import Record

_SHA_BYTES = 32


def differences(record: type[Record], shape: RecordShape) -> list[Finding]:
    """Find where class and schema differ: names (in any order), nullability, types, symbols and defaults."""
    return _differences(inspect.type_info(record), shape, short_name(shape.name))


def _differences(kind: inspect.Type, shape: Shape, at: str) -> list[Finding]:
    inner = nullable(shape)
    if inner is not None:
        members = kind.types if isinstance(kind, inspect.UnionType) else ()
        rest = [member for member in members if not isinstance(member, inspect.NoneType)]
        if len(rest) != 1 or len(members) != 2:
            return [Finding(at, "can be null in the schema, but not in the class")]
        return _differences(rest[0], inner, at)
    match kind, shape:
        case inspect.StructType(), RecordShape():
            return _fields(kind, shape, at)
        case inspect.EnumType(cls=cls), EnumShape(symbols=symbols):
            ours = tuple(member.value for member in cls)
            if ours != symbols:
                return [Finding(at, f"symbols are {list(symbols)} in the schema, but {list(ours)} in the class")]
            return [] if cls.__name__ == short_name(shape.name) else [Finding(at, "the enum's names differ")]
        case inspect.VarTupleType(item_type=item), ArrayShape(items=items):
            return _differences(item, items, f"{at}[]")
    expected = _scalar(kind)
    if expected is None or expected != _bare(shape):
        return [Finding(at, f"is {_bare(shape)} in the schema, but {expected or kind} in the class")]
    return []


def _fields(kind: inspect.StructType, shape: RecordShape, at: str) -> list[Finding]:
    findings = []
    if kind.cls.__name__ != short_name(shape.name):
        findings.append(Finding(at, f"is `{shape.name}` in the schema, but `{kind.cls.__name__}` in the class"))
    ours = {field.name: field for field in kind.fields}
    theirs = {field.name: field for field in shape.fields}
    findings += [
        Finding(f"{at}.{name}", f"is only in the {'class' if name in ours else 'schema'}")
        for name in sorted(ours.keys() ^ theirs.keys())
    ]
    for name in sorted(ours.keys() & theirs.keys()):
        path = f"{at}.{name}"
        findings += _differences(ours[name].type, theirs[name].shape, path)
        if _default(ours[name]) != theirs[name].default:
            text = f"default is {theirs[name].default} in the schema, but {_default(ours[name])} in the class"
            findings.append(Finding(path, text))
    return findings


def _default(field: inspect.Field) -> str | None:
    """Return the default as JSON text; None if the field is required."""
    if field.required:
        return None
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    return msgspec.json.encode(value).decode()


def _scalar(kind: inspect.Type) -> Shape | None:
    """Return the shape of a scalar; `extra` is what the class adds to its Python type."""
    meaning = ""
    if isinstance(kind, inspect.Metadata):
        meaning = (kind.extra or {}).get("kind", "")
        kind = kind.type
    match kind, meaning:
        case inspect.StrType(), "uuid":
            return Primitive("string", "uuid")
        case inspect.StrType(), "":
            return Primitive("string")
        case inspect.IntType(), "instant_ms":
            return Primitive("long", "timestamp-millis")
        case inspect.IntType(), "":
            return Primitive("long")
        case inspect.FloatType(), "":
            return Primitive("double")
        case inspect.BoolType(), "":
            return Primitive("boolean")
        case inspect.BytesType(), "sha256":
            return FixedShape("Sha", _SHA_BYTES)
        case inspect.BytesType(), "":
            return Primitive("bytes")
    return None


def _bare(shape: Shape) -> Shape | str:
    match shape:
        case FixedShape(name=name, size=size):
            return FixedShape(short_name(name), size)
        case Primitive():
            return shape
        case UnionShape():
            return "a union"
    return type(shape).__name__
