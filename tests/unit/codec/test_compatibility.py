"""FULL_TRANSITIVE, our conventions, and reading records of other versions."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from streams.codec.avro import Codec
from streams.codec.compatibility import conventions, full_transitive, unreadable
from streams.codec.lock import check
from streams.codec.schema_class_check import differences
from streams.codec.schema_types import (
    ArrayShape,
    EnumShape,
    FixedShape,
    Primitive,
    RecordShape,
    Shape,
    UnionShape,
    parse_record,
)
from streams.codec.schemas import CommittedSchemas, SchemaVersion, schema_directory
from streams.model.errors import RecordError
from streams.model.reasons import DeadLetterReason
from tests import oracle
from tests.records import ACTOR, HEADER, INTENT, RECORD_TOPICS, RECORD_TYPES

COMMITTED = CommittedSchemas.load()
TOPIC = "agent.intent.v1"
OTHER_ID = 77

FAIL_CLOSED = {
    "AlertState": "UNKNOWN",  # an alert that nobody has looked at
    "ApprovalStatus": "UNKNOWN",  # nothing is approved
    "ArgumentRole": "UNKNOWN",  # exempts no argument from anything
    "GrantScope": "UNKNOWN",  # grants nothing
    "AuditEventType": "UNKNOWN",
    "AuditPhase": "CONCURRENT",  # makes no claim that something had not run yet, or had
    "BehaviourScope": "UNKNOWN",  # a dead letter
    "BudgetAnswer": "REFUSED",
    "BudgetOp": "UNKNOWN",  # gives nothing out
    "BundleAction": "UNKNOWN",  # refused
    "ContentScope": "UNKNOWN",  # a hold of everything
    "Confidentiality": "USER_IDENTITY",  # held the closest
    "ConstraintType": "UNKNOWN",  # an unknown constraint denies
    "DelegationOp": "REVOKE",
    "EntryState": "BLOCKED",
    "Integrity": "UNTRUSTED",
    "OrderKind": "UNKNOWN",  # keeps content, as a hold does
    "Origin": "NOWHERE",  # nobody vouches for it
    "Outcome": "DENY",
    "ProofAlg": "UNKNOWN",  # proves nothing
    "RetentionClass": "LEGAL_HOLD",  # kept the longest
    "RevocationKind": "UNKNOWN",
    "RevocationState": "REVOKED",
    "RuleEffect": "DENY",
    "RuleMode": "SHADOW",  # not claimed to have been enforced
    "ScopeSource": "DERIVED",  # makes questions, and permits nothing
    "SessionEventType": "UNKNOWN",
    "SubProfile": "UNKNOWN",
    "ValueOrigin": "NOWHERE",  # nobody vouches for it
    "VerdictMode": "SHADOW",  # lets nothing run
}


class Versions:
    """A source in which another version than today's has the id `OTHER_ID`."""

    def __init__(self, shape: RecordShape) -> None:
        self._other = SchemaVersion(2, OTHER_ID, bytes(16), shape, "")

    def current(self, topic: str) -> SchemaVersion:
        return COMMITTED.current(topic)

    def by_id(self, topic: str, schema_id: int) -> SchemaVersion:
        return self._other if schema_id == OTHER_ID else COMMITTED.by_id(topic, schema_id)

    def by_guid(self, topic: str, guid: bytes) -> SchemaVersion:
        return COMMITTED.by_guid(topic, guid)


def schema(topic: str = TOPIC) -> dict:
    return json.loads(COMMITTED.current(topic).text)


def field_of(record: dict, name: str) -> dict:
    return next(field for field in record["fields"] if field["name"] == name)


def shape(record: dict) -> RecordShape:
    return parse_record(json.dumps(record))


def simple(kind: object, **more: object) -> RecordShape:
    return shape({"type": "record", "name": "R", "fields": [{"name": "f", "type": kind, **more}]})


def enum_of(*symbols: str, name: str = "E", **more: str) -> dict:
    return {"type": "enum", "name": name, "symbols": list(symbols), **more}


def add_symbol(node: Any) -> Any:
    """The schema with a symbol that no reader of today knows as the last of every enum."""
    if isinstance(node, list):
        return [add_symbol(item) for item in node]
    if not isinstance(node, dict):
        return node
    changed = {key: add_symbol(value) for key, value in node.items()}
    if node.get("type") == "enum":
        changed["symbols"] = [*node["symbols"], "FROM_THE_FUTURE"]
    return changed


class TestTheCommittedSchemas:
    def test_history_lock_and_classes_agree(self) -> None:
        assert check(schema_directory()) == []

    @pytest.mark.parametrize("topic", RECORD_TOPICS)
    def test_all_versions_read_each_other(self, topic: str) -> None:
        assert full_transitive([version.shape for version in COMMITTED.versions(topic)]) == []

    @pytest.mark.parametrize("topic", RECORD_TOPICS)
    def test_class_and_schema_say_the_same(self, topic: str) -> None:
        assert differences(RECORD_TYPES[topic], COMMITTED.current(topic).shape) == []

    def test_ids_are_used_once(self) -> None:
        versions = [version for topic in RECORD_TOPICS for version in COMMITTED.versions(topic)]
        assert len({version.id for version in versions}) == len(versions)
        assert len({version.guid for version in versions}) == len(versions)

    def test_the_schemas_ship_with_the_package(self) -> None:
        pyproject = Path(__file__).parents[3] / "pyproject.toml"
        assert '"schemas" = "streams/_shipped/schemas"' in pyproject.read_text()


class TestFailClosed:
    """What a newer writer says in words that today's reader doesn't know is read as what lets nothing through."""

    def test_every_enum_is_accounted_for(self) -> None:
        first_symbols: dict[str, str] = {}
        for topic in RECORD_TOPICS:
            collect_enums(inspect.type_info(RECORD_TYPES[topic]), first_symbols)
        assert first_symbols == FAIL_CLOSED

    @pytest.mark.parametrize("topic", RECORD_TOPICS)
    def test_unknown_symbols_are_read_as_the_default(self, topic: str) -> None:
        newer = add_symbol(schema(topic))
        shape_of_newer = parse_record(json.dumps(newer))
        assert full_transitive([COMMITTED.current(topic).shape, shape_of_newer]) == []
        value = value_of(newer, future_value(shape_of_newer))
        record = Codec(Versions(shape_of_newer)).decode(topic, value)
        members = list(enums_in(record))
        assert all(member.value == FAIL_CLOSED[type(member).__name__] for member in members)
        expected: dict[str, str] = {}
        collect_enums(inspect.type_info(RECORD_TYPES[topic]), expected)
        assert {type(member).__name__ for member in members} == expected.keys()


class TestReadingOtherVersions:
    def test_a_field_that_is_new_is_passed_over(self) -> None:
        newer = schema()
        extra = [
            {"name": "note", "type": ["null", "string"], "default": None},
            {"name": "weights", "type": {"type": "map", "values": "double"}, "default": {}},
            {"name": "trace", "type": {"type": "array", "items": ["null", "Actor", "int", "float"]}, "default": []},
            {"name": "flag", "type": "boolean", "default": False},
            {"name": "mood", "type": {"type": "enum", "name": "Mood", "symbols": ["A", "B"]}, "default": "A"},
            {"name": "token", "type": {"type": "fixed", "name": "Token", "size": 4}, "default": "0000"},
            {"name": "nothing", "type": "null", "default": None},
        ]
        newer["fields"][8:8] = extra
        values = {
            "note": "hi",
            "weights": {"a": 1.0, "b": 2.0},
            "trace": [None, oracle.plain(ACTOR), 7, 1.5],
            "flag": True,
            "mood": "B",
            "token": b"abcd",
            "nothing": None,
        }
        value = value_of(newer, oracle.plain(INTENT) | values)
        codec = Codec(Versions(shape(newer)))
        assert codec.decode(TOPIC, value) == INTENT
        cut = value[: value.index(b"abcd") + 4]
        with pytest.raises(RecordError) as raised:
            codec.decode(TOPIC, cut)
        assert raised.value.reason == DeadLetterReason.RECORD_TRUNCATED

    def test_a_field_that_was_not_there_yet_has_its_default(self) -> None:
        older = schema()
        older["fields"] = [field for field in older["fields"] if field["name"] not in {"turn", "model", "reply_to"}]
        value = value_of(older, oracle.plain(INTENT))
        record = Codec(Versions(shape(older))).decode(TOPIC, value)
        assert record == msgspec.structs.replace(INTENT, turn=0, model=None, reply_to=None)

    def test_fields_may_be_in_another_order(self) -> None:
        other = schema()
        header, rest = other["fields"][0], other["fields"][1:]
        movable = [field for field in rest if field["name"] in {"sub", "session_id", "turn", "args_json"}]
        other["fields"] = [*movable, header, *(field for field in rest if field not in movable)]
        assert Codec(Versions(shape(other))).decode(TOPIC, value_of(other, oracle.plain(INTENT))) == INTENT

    def test_numbers_and_texts_widen(self) -> None:
        other = schema()
        field_of(other, "turn")["type"] = "int"
        field_of(other, "sub")["type"] = "bytes"
        field_of(other, "session_id")["type"] = ["string", "bytes"]
        value = value_of(other, oracle.plain(INTENT) | {"sub": INTENT.sub.encode()})
        assert Codec(Versions(shape(other))).decode(TOPIC, value) == INTENT
        not_text = value_of(other, oracle.plain(INTENT) | {"sub": b"\xff"})
        with pytest.raises(RecordError, match="not UTF-8"):
            Codec(Versions(shape(other))).decode(TOPIC, not_text)

    @pytest.mark.parametrize("written", ["int", "long", "float", "double"])
    def test_scores_of_any_number_type(self, written: str) -> None:
        topic = "agent.verdict.v1"
        other = schema(topic)
        signal = field_of(other, "signals")["type"]["items"]
        field_of(signal, "score")["type"] = written
        future = future_value(shape(other))
        future["signals"][0]["score"] = 3
        out = value_of(other, future)
        record = Codec(Versions(shape(other))).decode(topic, out)
        assert [(signal.score, type(signal.score)) for signal in record.signals] == [(3.0, float)]

    def test_a_schema_that_cannot_be_read_refuses_its_records(self) -> None:
        other = schema()
        field_of(other, "turn").update(type="string", default="")
        with pytest.raises(RecordError, match=r"Intent\.turn: writes `string`, but the reader wants `long`") as raised:
            Codec(Versions(shape(other))).decode(TOPIC, b"\x00" + OTHER_ID.to_bytes(4, "big") + b"x")
        assert raised.value.reason == DeadLetterReason.SCHEMA_MISMATCH

    def test_a_schema_with_more_symbols_than_ours_ever_have(self) -> None:
        other = schema()
        field_of(field_of(other, "act")["type"], "sub_profile")["type"]["symbols"] += [f"S{n}" for n in range(100)]
        with pytest.raises(RecordError, match="more than 64 symbols"):
            Codec(Versions(shape(other))).decode(TOPIC, b"\x00" + OTHER_ID.to_bytes(4, "big") + b"x")


class TestFindings:
    @pytest.mark.parametrize(
        ("reader", "writer"),
        [
            ("long", "int"),
            ("double", "long"),
            ("bytes", "string"),
            ("string", "bytes"),
            (["null", "long"], "int"),
            (["null", "string"], ["string", "null"]),
            (["null", "double", "long"], "long"),
            ("long", ["int", "long"]),
            ({"type": "array", "items": "double"}, {"type": "array", "items": "int"}),
            ({"type": "map", "values": "double"}, {"type": "map", "values": "int"}),
            (enum_of("A", default="A"), enum_of("A", "B")),
            (enum_of("A", "B"), enum_of("B")),
            ({"type": "fixed", "name": "x.F", "size": 3}, {"type": "fixed", "name": "y.F", "size": 3}),
        ],
    )
    def test_readable(self, reader: object, writer: object) -> None:
        assert unreadable(simple(reader), simple(writer)) == []

    @pytest.mark.parametrize(
        ("reader", "writer", "message"),
        [
            ("int", "long", "R.f: writes `long`, but the reader wants `int`"),
            ("long", "double", "R.f: writes `double`, but the reader wants `long`"),
            ("string", ["null", "string"], "R.f: writes `null`, but the reader wants `string`"),
            (["null", "int"], "string", "R.f: writes `string`, which no branch of the reader's union takes"),
            (
                enum_of("A"),
                enum_of("A", "B"),
                "R.f: symbols ['B'] are unknown to the reader's enum, which has no default",
            ),
            (enum_of("A"), "string", "R.f: writes `string`, but the reader wants enum `E`"),
            (
                {"type": "fixed", "name": "F", "size": 3},
                {"type": "fixed", "name": "F", "size": 4},
                "R.f: writes fixed `F` of 4 bytes, but the reader wants fixed `F` of 3 bytes",
            ),
            (
                {"type": "array", "items": "int"},
                {"type": "array", "items": "string"},
                "R.f[]: writes `string`, but the reader wants `int`",
            ),
            (
                {"type": "array", "items": "int"},
                {"type": "map", "values": "int"},
                "R.f: writes a map, but the reader wants an array",
            ),
            (
                {"type": "map", "values": "int"},
                {"type": "map", "values": "null"},
                "R.f{}: writes `null`, but the reader wants `int`",
            ),
            (
                {"type": "record", "name": "Q", "fields": []},
                {"type": "record", "name": "P", "fields": []},
                "R.f: writes record `P`, but the reader wants record `Q`",
            ),
        ],
    )
    def test_unreadable(self, reader: object, writer: object, message: str) -> None:
        assert [str(finding) for finding in unreadable(simple(reader), simple(writer))] == [message]

    def test_a_missing_field_without_a_default(self) -> None:
        old = shape({"type": "record", "name": "R", "fields": []})
        assert [str(f) for f in unreadable(simple("int"), old)] == [
            "R.f: isn't written, and the reader has no default for it"
        ]
        assert unreadable(simple("int", default=1), old) == []

    def test_every_pair_of_versions_counts_both_ways(self) -> None:
        with_field, without = simple("int"), shape({"type": "record", "name": "R", "fields": []})
        assert [str(finding) for finding in full_transitive([with_field, without, without])] == [
            "version 1 reading version 2: R.f: isn't written, and the reader has no default for it",
            "version 1 reading version 3: R.f: isn't written, and the reader has no default for it",
        ]

    def test_conventions(self) -> None:
        broken = shape(
            {
                "type": "record",
                "name": "R",
                "fields": [
                    {"name": "a", "type": enum_of("YES", "NO", default="NO")},
                    {"name": "b", "type": {"type": "array", "items": {"type": "map", "values": "int"}}},
                    {"name": "c", "type": ["null", "int"]},
                    {"name": "d", "type": ["int", "null"], "default": 1},
                    {"name": "e", "type": ["null", enum_of("NO", name="F")], "default": None},
                ],
            }
        )
        assert [finding.at for finding in conventions(broken)] == ["R.a", "R.b[]", "R.c", "R.d", "R.d", "R.e"]


class TestMirror:
    """A class and a schema that differ are told where."""

    def changed(self, change: Callable[[dict], object]) -> list[str]:
        record = schema()
        change(record)
        return [str(finding) for finding in differences(RECORD_TYPES[TOPIC], shape(record))]

    def test_names(self) -> None:
        assert self.changed(lambda record: field_of(record, "txn").update(name="transaction")) == [
            "Intent.transaction: is only in the schema",
            "Intent.txn: is only in the class",
        ]
        assert self.changed(lambda record: record.update(name="Intention"))[0].endswith("but `Intent` in the class")

    def test_nullability(self) -> None:
        found = self.changed(lambda record: field_of(record, "sub").update(type=["null", "string"], default=None))
        assert found[0] == "Intent.sub: can be null in the schema, but not in the class"
        assert (
            "in the class" in self.changed(lambda record: field_of(record, "txn").update(type="string", default=""))[0]
        )

    def test_types(self) -> None:
        assert len(self.changed(lambda record: field_of(record, "args_json").update(type="bytes"))) == 1
        assert len(self.changed(lambda record: field_of(record, "intent_id").update(type="string"))) == 1
        assert len(self.changed(lambda record: field_of(record, "turn").update(type="int"))) == 1

    def test_symbols_and_defaults(self) -> None:
        def profile(record: dict) -> dict:
            return field_of(field_of(record, "act")["type"], "sub_profile")

        assert "symbols are" in self.changed(lambda record: profile(record)["type"]["symbols"].append("ROBOT"))[0]
        assert self.changed(lambda record: field_of(record, "turn").update(default=1)) == [
            "Intent.turn: default is 1 in the schema, but 0 in the class"
        ]
        assert self.changed(lambda record: field_of(record, "turn").pop("default")) == [
            "Intent.turn: default is None in the schema, but 0 in the class"
        ]


def collect_enums(kind: object, found: dict[str, str]) -> None:
    """The first symbol of every enum in a type."""
    match kind:
        case inspect.StructType(fields=fields):
            for field in fields:
                collect_enums(field.type, found)
        case inspect.UnionType(types=types):
            for member in types:
                collect_enums(member, found)
        case inspect.VarTupleType(item_type=item):
            collect_enums(item, found)
        case inspect.EnumType(cls=cls):
            found[cls.__name__] = next(iter(cls)).value


def enums_in(value: object) -> Iterator[enum.Enum]:
    """All enum members in a record."""
    if isinstance(value, enum.Enum):
        yield value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from enums_in(getattr(value, name))
    elif isinstance(value, tuple):
        for item in value:
            yield from enums_in(item)


def future_value(kind: Shape) -> Any:
    """A value with everything there is set, and every enum at its last symbol."""
    match kind:
        case RecordShape(fields=fields):
            return {field.name: future_value(field.shape) for field in fields}
        case EnumShape(symbols=symbols):
            return symbols[-1]
        case UnionShape(branches=branches):
            return future_value(branches[-1])
        case ArrayShape(items=items):
            return [future_value(items)]
        case FixedShape(size=size):
            return bytes(size)
        case Primitive(kind="string", logical="uuid"):
            return HEADER.id
        case Primitive(kind="string"):
            return "text"
        case Primitive(kind="bytes"):
            return b"bytes"
        case Primitive(kind="boolean"):
            return True
    return 1


def value_of(schema: dict, value: dict) -> bytes:
    """A value under the id `OTHER_ID`, as another library writes it."""
    return b"\x00" + OTHER_ID.to_bytes(4, "big") + oracle.write(schema, value)
