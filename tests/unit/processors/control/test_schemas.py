"""Input schemas: what fits, and what would take too long to find out."""

from __future__ import annotations

import json

import pytest

from streams.model.canonical import CanonicalError, canonical_args
from streams.processors.control.schema_measure import SUBSCHEMAS_MAX
from streams.processors.control.schemas import PATTERN_BYTES_MAX, PATTERNS_MAX, ArgsSchema

NODE = {
    "$defs": {
        "Leaf": {"type": "object", "properties": {"op": {"const": "leaf"}}, "required": ["op"]},
        "And": {
            "type": "object",
            "properties": {"op": {"const": "and"}, "left": {"$ref": "#/$defs/Node"}, "right": {"$ref": "#/$defs/Node"}},
            "required": ["op", "left", "right"],
        },
        "Or": {
            "type": "object",
            "properties": {"op": {"const": "or"}, "left": {"$ref": "#/$defs/Node"}, "right": {"$ref": "#/$defs/Node"}},
            "required": ["op", "left", "right"],
        },
        "Node": {"anyOf": [{"$ref": "#/$defs/And"}, {"$ref": "#/$defs/Or"}, {"$ref": "#/$defs/Leaf"}]},
    },
    "type": "object",
    "properties": {"node": {"$ref": "#/$defs/Node"}},
    "required": ["node"],
}
LEAF = {"op": "leaf"}


def schema(value: object) -> ArgsSchema:
    return ArgsSchema(json.dumps(value))


def nested(levels: int, innermost: object = LEAF) -> object:
    return innermost if levels == 0 else {"op": "and", "left": LEAF, "right": nested(levels - 1, innermost)}


def test_the_fault_names_the_place() -> None:
    plain = schema({"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]})
    assert plain.fault({"to": "a"}) is None
    assert plain.fault({"to": 7}) == 'at `/to`: it is not of type "string"'
    assert '"to" is a required property' in (plain.fault({}) or "")


def test_an_ordinary_recursive_schema_is_used() -> None:
    recursive = schema(NODE)
    assert recursive.fault({"node": nested(8)}) is None
    assert recursive.fault({"node": nested(8, {"op": "nand"})}) == "they fit no branch of the schema"


def test_arguments_nested_deeply_under_a_branching_recursive_schema_are_refused_at_once() -> None:
    assert "nested deeper than" in (schema(NODE).fault({"node": nested(40)}) or "")


def test_a_recursive_schema_without_branches_takes_any_depth() -> None:
    chain = schema({"type": "object", "properties": {"next": {"$ref": "#"}}, "additionalProperties": False})
    value: object = {}
    for _ in range(60):
        value = {"next": value}
    assert isinstance(value, dict)
    assert chain.fault(value) is None


def test_references_that_multiply_are_refused() -> None:
    links = 24
    definitions = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(links)}
    definitions[f"d{links}"] = {"type": "object"}
    with pytest.raises(ValueError, match=f"over {SUBSCHEMAS_MAX} parts"):
        schema({"type": "object", "allOf": [{"$ref": "#/$defs/d0"}], "$defs": definitions})


def doubled(links: int, reference: str, **root: object) -> dict[str, object]:
    """A chain of definitions, each of which refers twice to the next one."""
    keyword, target = reference.split()
    definitions: dict[str, object] = {
        f"d{n}": {
            "$anchor": f"d{n}",
            "$dynamicAnchor": f"y{n}",
            "allOf": [{keyword: target.format(n + 1)}] * 2,
        }
        for n in range(links)
    }
    definitions[f"d{links}"] = {"$anchor": f"d{links}", "$dynamicAnchor": f"y{links}", "type": "object"}
    return {"type": "object", "allOf": [{"$ref": "#/$defs/d0"}], "$defs": definitions, **root}


@pytest.mark.parametrize(
    ("reference", "root"),
    [
        ("$ref #d{}", {}),
        ("$dynamicRef #y{}", {}),
        ("$ref #/%24defs/d{}", {}),
        ("$ref #/$defs/%64{}", {}),
        ("$ref json-schema:///#/$defs/d{}", {}),
        ("$ref https://schemas.example/s#/$defs/d{}", {"$id": "https://schemas.example/s"}),
        ("$ref s#/$defs/d{}", {"$id": "https://schemas.example/s"}),
        ("$ref https://json-schema.org/s#/$defs/d{}", {"$id": "https://json-schema.org/s"}),
    ],
)
def test_references_of_all_forms_that_multiply_are_refused(reference: str, root: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"parts|refers to|`\$id`"):
        schema(doubled(24, reference, **root))


def test_references_that_start_at_an_inner_id_are_refused() -> None:
    inner: dict[str, object] = doubled(24, "$ref #/$defs/d{}")
    harmless: dict[str, object] = {f"d{n}": {} for n in range(25)}
    whole = {"$defs": {**harmless, "inner": {**inner, "$id": "inner"}}, "allOf": [{"$ref": "inner"}]}
    with pytest.raises(ValueError, match="remove the `\\$id`"):
        schema({"type": "object", **whole})


@pytest.mark.parametrize("reference", ["#name", "#/$defs/n%61me", "https://schemas.example/s#/$defs/name"])
def test_references_of_other_forms_are_followed(reference: str) -> None:
    definitions = {"name": {"$anchor": "name", "type": "string"}}
    whole = {"$id": "https://schemas.example/s", "$defs": definitions, "properties": {"a": {"$ref": reference}}}
    made = schema({"type": "object", **whole})
    assert made.fault({"a": "x"}) is None
    assert made.fault({"a": 7}) == "they fit no branch of the schema"


def texts(patterns: list[str]) -> dict[str, object]:
    return {f"p{number}": {"type": "string", "pattern": pattern} for number, pattern in enumerate(patterns)}


def test_a_schema_has_so_many_patterns_and_no_more() -> None:
    many = [f"^{number}$" for number in range(PATTERNS_MAX)]
    assert schema({"type": "object", "properties": texts(many * 2)}).fault({"p0": "0", "p101": "1"}) is None
    for more in ({"properties": texts([*many, "x"])}, {"properties": texts(many), "patternProperties": {"^x": {}}}):
        with pytest.raises(ValueError, match=f"more than {PATTERNS_MAX} patterns"):
            schema({"type": "object", **more})


@pytest.mark.parametrize("pattern", ["[ab]{1,900}[ab]{1,900}c", "(a|b){5000}", "(" * 50 + "a" + ")?{9}" * 50])
def test_patterns_that_cost_too_much_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        schema({"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}})
    assert PATTERN_BYTES_MAX <= 1_000_000


@pytest.mark.parametrize(
    "pattern", [r"^[^\n]{1,200}$", r"^.{1,255}$", "^[^<>]{1,500}$", r"^#[^\n]{1,300}$", r"^[^/]{0,255}[a-z0-9]$"]
)
def test_ordinary_patterns_are_used_although_they_are_large(pattern: str) -> None:
    made = schema({"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}, "b": {}}})
    assert made.fault({"a": "#a", "b": "x" * 250_000}) is None
    assert "does not match" in (made.fault({"a": "\n/<"}) or "")


@pytest.mark.parametrize(
    "pattern", [r"^.{1,400}.{1,400}$", r"^(.{1,200}|a)$", r".{1,200}", r"^.{1,200}|a$", r"^[ab]{1,900}[ab]{1,900}c$"]
)
def test_large_patterns_with_several_ways_to_match_are_refused(pattern: str) -> None:
    beside = {"a": {"pattern": r"^[^\n]{1,200}$"}, "b": {"pattern": pattern}}
    for properties in (beside, {"b": beside["b"]}):
        with pytest.raises(ValueError, match=r"."):
            schema({"type": "object", "properties": properties})


SLOW = [f"[01]*1[01]{{{1_000 - number}}}2|^" for number in range(20)]
"""Each takes a second on 250,000 characters."""


@pytest.mark.parametrize(
    "properties",
    [
        {"properties": {"a": {"allOf": [{"pattern": pattern} for pattern in SLOW]}}},
        {"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"allOf": [{"pattern": p} for p in SLOW]}}},
        {"additionalProperties": {"anyOf": [{"pattern": pattern} for pattern in SLOW]}},
        {"propertyNames": {"allOf": [{"pattern": pattern} for pattern in SLOW]}},
        {"patternProperties": {pattern: {} for pattern in SLOW}},
    ],
)
def test_texts_that_are_too_long_for_the_patterns_are_refused_unread(properties: dict[str, object]) -> None:
    made = schema({"type": "object", **properties})
    validated: list[object] = []

    class Counted:
        def is_valid(self, args: object) -> bool:
            validated.append(args)
            return True

    made._validator = Counted()
    for args in ({"a": "01" * 125_000}, {"a": ["01" * 125_000]}, {"01" * 125_000: "a"}):
        if "properties" in properties and "a" not in args:
            continue
        assert "too long for the schema's patterns" in (made.fault(args, len(json.dumps(args))) or "")
        assert "too long for the schema's patterns" in (made.fault(args) or "")
    assert made.fault({"a": "01" * 1_000}) is None
    assert len(validated) == 1


def test_a_pattern_in_an_example_is_no_pattern() -> None:
    example = {"examples": [{"pattern": "(?=a)"}], "properties": {"a": {"pattern": "^a$"}}}
    assert schema({"type": "object", **example}).fault({"a": "a"}) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"a":' * 10_000 + "1" + "}" * 10_000,
        "true",
        "[]",
        "{",
        '{"type": 7}',
        '{"$ref": "https://evil.example/schema.json"}',
        '{"type": "object", "type": "string"}',
    ],
)
def test_what_is_no_schema(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        ArgsSchema(text)


ROWS = 50_000


def awkward(**schema_of_items: object) -> ArgsSchema:
    return schema({"type": "object", "properties": {"rows": {"type": "array", "items": schema_of_items}}})


@pytest.mark.parametrize(
    ("awkward_schema", "row"),
    [
        (awkward(enum=[{"row": number} for number in range(10_000)]), {"row": 9_999}),
        (awkward(enum=[[number] for number in range(10_000)]), [9_999]),
        (awkward(allOf=[{"not": {"const": number}} for number in range(5_000)]), ""),
        (awkward(anyOf=[{"type": "array", "contains": {"const": number}} for number in range(5_000)]), ""),
        (schema({**NODE, "properties": {"rows": {"type": "array", "items": {"$ref": "#/$defs/Node"}}}}), nested(7)),
    ],
)
def test_arguments_that_would_take_long_to_check_are_refused_unread(awkward_schema: ArgsSchema, row: object) -> None:
    validated: list[object] = []

    class Counted:
        def is_valid(self, args: object) -> bool:
            validated.append(args)
            return True

    awkward_schema._validator = Counted()
    rows = {"rows": [row] * ROWS}
    assert "too many values" in (awkward_schema.fault(rows, len(json.dumps(rows))) or "")
    assert "too many values" in (awkward_schema.fault(rows) or "")
    assert validated == []
    few = {"rows": [row] * 5}
    assert awkward_schema.fault(few, len(json.dumps(few))) is None
    assert validated == [few]


def test_one_fault_is_worded_and_no_more() -> None:
    worded: list[object] = []
    plain = awkward(type="string", enum=[str(number) for number in range(100)])
    validator = plain._validator

    class Watched:
        def is_valid(self, args: object) -> bool:
            return bool(validator.is_valid(args))

        def validate(self, args: object) -> None:
            worded.append(args)
            validator.validate(args)

        def iter_errors(self, args: object) -> object:
            raise AssertionError("it words every fault before it yields the first")

    plain._validator = Watched()
    assert plain.fault({"rows": [7.5] * 1_000}) == 'at `/rows/0`: it is not of type "string"'
    assert len(worded) == 1


@pytest.mark.parametrize(
    "plain",
    [
        awkward(type="string", enum=[str(number) for number in range(10_000)]),
        awkward(type="object", properties={f"p{number}": {"type": "string"} for number in range(2_000)}),
        awkward(anyOf=[{"type": "string"}, {"type": "integer"}, {"type": "null"}]),
    ],
)
def test_arguments_of_any_size_are_checked_against_a_schema_without_many_alternatives(plain: ArgsSchema) -> None:
    assert plain.fault({"rows": [7.5] * ROWS}) not in (None, "")
    assert "too many" not in (plain.fault({"rows": [7.5] * ROWS}) or "")


ZONES = [f"Area/City{number}" for number in range(600)]
CANARY = "c4n4ry"


@pytest.mark.parametrize(
    ("of", "value"),
    [
        ({"type": "object"}, CANARY),
        ({"type": "integer"}, CANARY),
        ({"enum": ZONES}, CANARY),
        ({"const": 1}, CANARY),
        ({"pattern": "^x$"}, CANARY),
        ({"maxLength": 2}, CANARY),
        ({"not": {}}, CANARY),
        ({"oneOf": [{"type": "string"}, {"minLength": 1}]}, CANARY),
        ({"anyOf": [{"type": "integer"}, {"const": 1}]}, CANARY),
        ({"additionalProperties": False}, {CANARY: 1}),
        ({"unevaluatedProperties": False}, {CANARY: 1}),
        ({"propertyNames": {"maxLength": 2}}, {CANARY: 1}),
        ({"propertyNames": {"const": "x"}}, {CANARY: 1}),
        ({"patternProperties": {"^c": {"type": "integer"}}}, {CANARY: CANARY}),
        ({"additionalProperties": {"type": "integer"}}, {CANARY: CANARY}),
        ({"maxProperties": 0}, {CANARY: CANARY}),
        ({"required": ["x"]}, {CANARY: CANARY}),
        ({"dependentRequired": {CANARY[:2]: ["x"]}}, {CANARY[:2]: CANARY}),
        ({"items": {"type": "integer"}}, [CANARY]),
        ({"contains": {"type": "integer"}}, [CANARY]),
        ({"uniqueItems": True}, [CANARY, CANARY]),
        ({"maxItems": 0}, [CANARY]),
        ({"prefixItems": [{"type": "integer"}]}, [CANARY]),
        ({"items": False}, [CANARY]),
    ],
)
def test_a_fault_quotes_nothing_of_the_arguments(of: dict[str, object], value: object) -> None:
    fault = schema({"type": "object", "properties": {"a": of}}).fault({"a": value})
    assert fault is not None
    assert CANARY not in fault
    assert len(fault) <= 200


@pytest.mark.parametrize(
    "text",
    [
        '{"c4n4ry"}',
        '{"c4n4ry": c4n4ry}',
        '{"c4n4ry": 1, "c4n4ry": 2}',
        '{"a": "\\c4n4ry"}',
        '{"a": 12345678901234567890}',
        '{"a": 1234567890e400}',
        '{"a": "c4n4ry\\ud800"}',
        '{"a": "c4n4ry\ud800"}',
        '"c4n4ry"',
        '{"c4n4ry": NaN}',
    ],
)
def test_what_has_no_canonical_form_is_not_quoted(text: str) -> None:
    with pytest.raises(CanonicalError) as raised:
        canonical_args(text)
    assert CANARY not in str(raised.value)
    assert "1234567890" not in str(raised.value)
