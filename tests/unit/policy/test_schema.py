"""The declared facts, and the types of tools' arguments."""

import json
from pathlib import Path
from typing import Any

import pytest

from streams.policy import FACT_NAMES, FACTS, UNTYPED, ToolTypes, now_facts, schema_digest, schema_violations
from streams.policy.authoring.facts_page import facts_page
from streams.policy.language.fact_types import Kind, ListOf, MapOf, Struct, type_name
from streams.policy.language.schema import walk_fields

FIXTURES = Path(__file__).parents[3] / "rules" / "fixtures"
LOOKUP: dict[str, Any] = json.loads((FIXTURES / "lookup.json").read_text())


def test_every_field_is_documented_and_named_once() -> None:
    paths = [path for path, _ in walk_fields()]
    assert len(paths) == len(set(paths))
    assert all(field.doc for _, field in walk_fields())
    assert {field.name for field in FACTS} == FACT_NAMES


def test_the_digest_is_stable_within_a_process_and_a_sha() -> None:
    assert schema_digest() == schema_digest()
    assert len(bytes.fromhex(schema_digest())) == 32


@pytest.mark.parametrize(
    ("now_ms", "hour", "minute", "weekday"),
    [(0, 0, 0, 4), (1_764_061_200_000, 9, 0, 2), (1_764_028_799_999, 23, 59, 1), (345_600_000, 0, 0, 1)],
)
def test_now_in_parts(now_ms: int, hour: int, minute: int, weekday: int) -> None:
    assert now_facts(now_ms) == {"ms": now_ms, "hour": hour, "minute": minute, "weekday": weekday}
    assert schema_violations({"now": now_facts(now_ms)}, partial=True) == []


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.json")), ids=lambda path: path.stem)
def test_fixtures_fit(path: Path) -> None:
    assert schema_violations(json.loads(path.read_text())) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"nothing": 1}, "`nothing` is not a fact"),
        ({"agent": {"id": 1}}, "`agent.id` must be string, found int"),
        ({"agent": {"id": "a", "nam": "b"}}, "`agent.nam` is not a field of Agent"),
        ({"agent": {}}, "`agent.id` is missing"),
        ({"agent": []}, "`agent` must be a mapping, found list"),
        ({"user": {"id": "a", "scopes": "x"}}, "`user.scopes` must be a list, found str"),
        ({"user": {"id": "a", "scopes": [1]}}, "`user.scopes[0]` must be string, found int"),
        ({"approval": {"granted": 1, "granted_by": {}}}, "`approval.granted` must be bool, found int"),
        ({"approval": {"granted": True, "granted_by": {"g": True}}}, "`approval.granted_by.g` must be int, found bool"),
        ({"tenant": None}, "`tenant` must be string, found NoneType"),
        (
            {"provenance": [{"source": "e", "trust": "trustd"}]},
            "`provenance[0].trust` must be one of trusted, untrusted, found `trustd`",
        ),
        ({"provenance": [{"source": "e", "trust": 1}]}, "`provenance[0].trust` must be string, found int"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], problem: str) -> None:
    assert schema_violations(LOOKUP | change) == [problem]


def test_missing_facts_are_named_unless_partial() -> None:
    partial = {"tenant": "acme"}
    assert schema_violations(partial, partial=True) == []
    assert "`tool` is missing" in schema_violations(partial)


OBJECT = {"type": "object"}


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "string"}, Kind.STRING),
        ({"type": "string", "enum": ["a"]}, Kind.STRING),
        ({"type": "integer"}, Kind.INT),
        ({"type": "number"}, Kind.DOUBLE),
        ({"type": "boolean"}, Kind.BOOL),
        ({"type": "null"}, Kind.DYN),
        ({"type": ["string", "null"]}, Kind.DYN),
        ({}, Kind.DYN),
        (True, Kind.DYN),
        ({"type": "unheard"}, Kind.DYN),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, Kind.DYN),
        ({"$ref": "#/$defs/x"}, Kind.DYN),
        ({"type": "string", "allOf": [{}]}, Kind.DYN),
        ({"type": "array"}, ListOf(Kind.DYN)),
        ({"type": "array", "items": {"type": "string"}}, ListOf(Kind.STRING)),
        ({"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}, ListOf(ListOf(Kind.INT))),
        (OBJECT, MapOf(Kind.DYN)),
        (OBJECT | {"properties": {"a-b": {}}}, MapOf(Kind.DYN)),
        (OBJECT | {"properties": {"in": {}}}, MapOf(Kind.DYN)),
        (OBJECT | {"properties": {f"p{n}": {} for n in range(201)}}, MapOf(Kind.DYN)),
    ],
)
def test_only_what_a_schema_says_clearly_is_typed(schema: object, kind: object) -> None:
    types = ToolTypes.from_json_schema({"type": "object", "properties": {"x": schema}})
    assert isinstance(types.args, Struct)
    assert types.args.fields[0].type == kind
    assert types.args.fields[0].optional


@pytest.mark.parametrize(
    "schema",
    [{}, {"type": "array"}, {"type": "object", "properties": []}, {"type": "object", "properties": {1: {}}},
     {"type": "object", "properties": {}, "required": 7}],
)  # fmt: skip
def test_odd_schemas_are_untyped(schema: dict[str, Any]) -> None:
    assert ToolTypes.from_json_schema(schema) == UNTYPED


def test_required_arguments_are_not_optional() -> None:
    types = ToolTypes.from_json_schema(
        {"type": "object", "required": ["a", 7], "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}
    )
    assert isinstance(types.args, Struct)
    assert {field.name: field.optional for field in types.args.fields} == {"a": False, "b": True}


def test_a_schema_without_end_is_read_to_a_bound() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(100):
        schema = {"type": "object", "properties": {"x": schema}}
    assert isinstance(ToolTypes.from_json_schema(schema).args, Struct)


def test_numbers_are_made_to_fit_without_touching_the_rest() -> None:
    types = ToolTypes.from_json_schema(
        {
            "type": "object",
            "properties": {
                "d": {"type": "number"},
                "i": {"type": "integer"},
                "l": {"type": "array", "items": {"type": "number"}},
                "o": {"type": "object", "properties": {"d": {"type": "number"}}},
            },
        }
    )
    args = {"d": 1, "i": 2.0, "l": [1, 2.5], "o": {"d": 3, "e": 4}, "x": 5, "b": True}
    assert repr(types.coerce(args)) == repr(
        {"d": 1.0, "i": 2, "l": [1.0, 2.5], "o": {"d": 3.0, "e": 4}, "x": 5, "b": True}
    )
    assert args["d"] == 1
    assert type(args["d"]) is int
    same = {"d": 1.5, "i": 2, "l": [], "o": {}}
    assert types.coerce(same) is same
    odd = {"d": True, "i": 2.5, "l": "no", "o": [1]}
    assert types.coerce(odd) is odd
    assert UNTYPED.coerce(odd) is odd


def test_the_page_of_facts_tells_of_every_field() -> None:
    page = facts_page()
    for path, field in walk_fields():
        assert f"| `{path.rpartition('.')[2].removesuffix('[]')}` | {type_name(field.type)} | {field.doc}" in page
