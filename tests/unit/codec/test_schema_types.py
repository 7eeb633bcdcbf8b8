"""Schemas as they are parsed: a registry may hold anything."""

from __future__ import annotations

import json

import pytest

from streams.codec.schema_types import (
    DEPTH_MAX,
    ArrayShape,
    EnumShape,
    FieldShape,
    FixedShape,
    MapShape,
    Primitive,
    RecordShape,
    SchemaError,
    UnionShape,
    least_bytes,
    parse_record,
)


def record(*fields: object, name: str = "R", **more: object) -> str:
    return json.dumps({"type": "record", "name": name, "fields": list(fields), **more})


def field(kind: object, **more: object) -> dict[str, object]:
    return {"name": "f", "type": kind, **more}


def structural_key(kind: object, **more: object) -> object:
    return parse_record(record(field(kind, **more))).fields[0].shape


def test_types() -> None:
    assert structural_key("string") == Primitive("string")
    assert structural_key({"type": "string", "logicalType": "uuid"}) == Primitive("string", "uuid")
    assert structural_key({"type": "long", "logicalType": "timestamp-millis"}) == Primitive("long", "timestamp-millis")
    assert structural_key({"type": "array", "items": "int"}) == ArrayShape(Primitive("int"))
    assert structural_key({"type": "map", "values": "bytes"}) == MapShape(Primitive("bytes"))
    assert structural_key(["null", "double"]) == UnionShape((Primitive("null"), Primitive("double")))
    assert structural_key({"type": "fixed", "name": "F", "size": 3}) == FixedShape("F", 3)
    assert structural_key({"type": "enum", "name": "E", "symbols": ["A", "B"], "default": "B"}) == EnumShape(
        "E", ("A", "B"), "B"
    )
    assert structural_key({"type": {"type": {"type": "boolean"}}}) == Primitive("boolean")


def test_names_are_resolved_in_their_namespace() -> None:
    fixed = {"type": "fixed", "name": "F", "size": 1}
    text = record(
        {"name": "a", "type": fixed},
        {"name": "b", "type": "F"},
        {"name": "c", "type": "x.y.F"},
        {"name": "d", "type": {"type": "record", "name": "z.Q", "fields": [{"name": "e", "type": {**fixed}}]}},
        namespace="x.y",
    )
    parsed = parse_record(text)
    assert parsed.name == "x.y.R"
    assert [inner.shape for inner in parsed.fields[:3]] == [FixedShape("x.y.F", 1)] * 3
    assert parsed.fields[3].shape == RecordShape("z.Q", (FieldShape("e", FixedShape("z.F", 1), None),))


def test_the_least_size_of_a_value() -> None:
    parts = ["null", "float", "double", "string", {"type": "fixed", "name": "F", "size": 16}, ["null", "int"]]
    parsed = parse_record(record(*({"name": f"f{index}", "type": kind} for index, kind in enumerate(parts))))
    assert least_bytes(parsed) == 0 + 4 + 8 + 1 + 16 + 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('"string"', "must be a record"),
        (b"\xff\xfe", "not JSON"),
        (record(field("Unknown")), "type `Unknown` is unknown"),
        (record(field("R")), "holds itself"),
        (record(field(None)), "a type is"),
        (record(field({"type": None})), "has no type"),
        (record(field([])), "a union has branches"),
        (record(field([["null"], "int"])), "none of which is a union"),
        (record(field(["int", "int"])), "no two branches of one kind"),
        (record(field({"type": "fixed", "name": "F", "size": 0})), "size above 0"),
        (record(field({"type": "fixed", "name": "F", "size": True})), "size above 0"),
        (record(field({"type": "enum", "name": "E", "symbols": []})), "has symbols"),
        (record(field({"type": "enum", "name": "E", "symbols": ["A", "A"]})), "each once"),
        (record(field({"type": "enum", "name": "E", "symbols": ["A'); import os"]})), "are names"),
        (record(field({"type": "enum", "name": "E", "symbols": ["A"], "default": "B"})), "not one of its symbols"),
        (record(field({"type": "array", "items": "null"})), "take no bytes"),
        (record(field({"type": "array", "items": {"type": "record", "name": "Q", "fields": []}})), "take no bytes"),
        (record(field("int"), field("int")), "is there twice"),
        (record({"name": "a b", "type": "int"}), "not a field name"),
        (record({"type": "int"}), "not a field name"),
        (record("int"), "a field is an object"),
        (json.dumps({"type": "record", "name": "R"}), "list of fields"),
        (record(name="1R"), "not the name of a type"),
        (record(field({"type": "record", "name": "R", "fields": []})), "defined twice"),
        (record(field("int", default="1")), "default is not a value"),
        (record(field("int", default=2**31)), "default is not a value"),
        (record(field("long", default=True)), "default is not a value"),
        (record(field(["null", "int"], default=1)), "default is not a value"),
        (record(field({"type": "array", "items": "int"}, default=["x"])), "default is not a value"),
    ],
)
def test_what_is_no_schema_of_ours(text: str | bytes, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        parse_record(text)


def test_nesting_is_bounded() -> None:
    kind: object = "int"
    for _ in range(DEPTH_MAX + 1):
        kind = {"type": "array", "items": kind}
    with pytest.raises(SchemaError, match="nested deeper"):
        parse_record(record(field(kind)))


def test_names_that_multiply_are_bounded() -> None:
    """Each record holds the one before ten times: 15 names, 10^15 fields."""
    kind: object = {"type": "record", "name": "N0", "fields": [field("int")]}
    for depth in range(1, 15):
        repeats = [{"name": f"g{index}", "type": f"N{depth - 1}"} for index in range(9)]
        kind = {"type": "record", "name": f"N{depth}", "fields": [field(kind), *repeats]}
    with pytest.raises(SchemaError, match="nodes"):
        parse_record(record(field(kind)))
