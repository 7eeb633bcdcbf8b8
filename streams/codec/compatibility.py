"""Check whether records written with one schema can be read with another, and FULL_TRANSITIVE over all versions.

The rules are Avro's rules of schema resolution, but stricter where Avro decides by the single record: every branch that
a writer can choose must be readable. The decoder is compiled for exactly the pairs that pass this check.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from streams.codec.schema_types import (
    ArrayShape,
    EnumShape,
    FixedShape,
    MapShape,
    Primitive,
    RecordShape,
    Shape,
    UnionShape,
    nullable,
    short_name,
)

_PROMOTIONS = {
    "int": frozenset({"int", "long", "float", "double"}),
    "long": frozenset({"long", "float", "double"}),
    "float": frozenset({"float", "double"}),
    "string": frozenset({"string", "bytes"}),
    "bytes": frozenset({"bytes", "string"}),
}


class Finding(msgspec.Struct, frozen=True):
    """A problem in a schema: `at` is the path in the schema, `text` describes the problem."""

    at: str
    text: str

    def __str__(self) -> str:
        return f"{self.at}: {self.text}"


def full_transitive(versions: Sequence[RecordShape]) -> list[Finding]:
    """Find what breaks FULL_TRANSITIVE: every version must be able to read the records of every other.

    Args:
        versions: oldest first.
    """
    findings: list[Finding] = []
    for new in range(1, len(versions)):
        for old in range(new):
            pair = (
                (versions[new], versions[old], f"version {new + 1} reading version {old + 1}"),
                (versions[old], versions[new], f"version {old + 1} reading version {new + 1}"),
            )
            for reader, writer, which in pair:
                findings += [Finding(f"{which}: {found.at}", found.text) for found in unreadable(reader, writer)]
    return findings


def unreadable(reader: RecordShape, writer: RecordShape) -> list[Finding]:
    """Find what keeps `reader` from reading records of `writer`; empty if it can read them."""
    if reader is writer:
        return []
    return _compare(reader, writer, short_name(reader.name))


def match_branch(branches: Sequence[Shape], writer: Shape) -> Shape | None:
    """Return the branch of a reader's union for values of `writer`: one of the same type, else one that they promote
    to."""
    same = [branch for branch in branches if _same_type(branch, writer)]
    fitting = same or [branch for branch in branches if _promotes(branch, writer)]
    return fitting[0] if fitting else None


def conventions(shape: RecordShape) -> list[Finding]:
    """Find what breaks the rules of this project.

    There are no maps, because their order isn't fixed, so they cannot be hashed. Every enum defaults to its first
    symbol, which is its fail-closed one. Unions are only `[null, X]`, with null as the default.
    """
    return _conventions(shape, short_name(shape.name))


def _compare(reader: Shape, writer: Shape, at: str) -> list[Finding]:
    if isinstance(writer, UnionShape):
        return [found for branch in writer.branches for found in _compare(reader, branch, at)]
    if isinstance(reader, UnionShape):
        branch = match_branch(reader.branches, writer)
        if branch is None:
            return [Finding(at, f"writes {_describe(writer)}, which no branch of the reader's union takes")]
        return _compare(branch, writer, at)
    if not _same_type(reader, writer):
        if _promotes(reader, writer):
            return []
        return [Finding(at, f"writes {_describe(writer)}, but the reader wants {_describe(reader)}")]
    match reader, writer:
        case RecordShape(), RecordShape():
            return _compare_fields(reader, writer, at)
        case EnumShape(), EnumShape():
            unknown = [symbol for symbol in writer.symbols if symbol not in reader.symbols]
            if unknown and reader.default is None:
                return [Finding(at, f"symbols {unknown} are unknown to the reader's enum, which has no default")]
        case ArrayShape(), ArrayShape():
            return _compare(reader.items, writer.items, f"{at}[]")
        case MapShape(), MapShape():
            return _compare(reader.values, writer.values, f"{at}{{}}")
    return []


def _compare_fields(reader: RecordShape, writer: RecordShape, at: str) -> list[Finding]:
    written = {field.name: field for field in writer.fields}
    findings: list[Finding] = []
    for field in reader.fields:
        source = written.get(field.name)
        if source is not None:
            findings += _compare(field.shape, source.shape, f"{at}.{field.name}")
        elif field.default is None:
            findings.append(Finding(f"{at}.{field.name}", "isn't written, and the reader has no default for it"))
    return findings


def _same_type(reader: Shape, writer: Shape) -> bool:
    match reader, writer:
        case Primitive(kind=left), Primitive(kind=right):
            return left == right
        case FixedShape(), FixedShape():
            return short_name(reader.name) == short_name(writer.name) and reader.size == writer.size
        case (RecordShape(name=left), RecordShape(name=right)) | (EnumShape(name=left), EnumShape(name=right)):
            return short_name(left) == short_name(right)
        case (ArrayShape(), ArrayShape()) | (MapShape(), MapShape()):
            return True
    return False


def _promotes(reader: Shape, writer: Shape) -> bool:
    if not isinstance(reader, Primitive) or not isinstance(writer, Primitive):
        return False
    return reader.kind in _PROMOTIONS.get(writer.kind, ())


def _describe(shape: Shape) -> str:
    match shape:
        case Primitive(kind=kind):
            return f"`{kind}`"
        case FixedShape(name=name, size=size):
            return f"fixed `{short_name(name)}` of {size} bytes"
        case RecordShape(name=name):
            return f"record `{short_name(name)}`"
        case EnumShape(name=name):
            return f"enum `{short_name(name)}`"
        case ArrayShape():
            return "an array"
        case MapShape():
            return "a map"
        case UnionShape():
            return "a union"


def _conventions(shape: Shape, at: str) -> list[Finding]:
    match shape:
        case EnumShape(symbols=symbols, default=default) if default != symbols[0]:
            return [Finding(at, f"default of the enum must be its first symbol `{symbols[0]}`, its fail-closed one")]
        case MapShape():
            return [Finding(at, "maps have no fixed order: use an array of records")]
        case ArrayShape(items=items):
            return _conventions(items, f"{at}[]")
        case UnionShape():
            inner = nullable(shape)
            if inner is None:
                return [Finding(at, "a union other than `[null, X]` has no form in our records")]
            return _conventions(inner, at)
        case RecordShape(fields=fields):
            findings: list[Finding] = []
            for field in fields:
                path = f"{at}.{field.name}"
                if isinstance(field.shape, UnionShape) and field.default != "null":
                    findings.append(Finding(path, "a field that can be null must have null as its default"))
                findings += _conventions(field.shape, path)
            return findings
    return []
