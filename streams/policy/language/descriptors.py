"""The schema of facts as protobuf descriptors, the only form in which the checker accepts records with named fields.

No message of these types is ever created: they exist for the checker only, and facts stay plain dicts.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, struct_pb2

from streams.policy.language.extension_declarations import EXTENSION_STRUCTS
from streams.policy.language.fact_types import FactType, Field, Kind, ListOf, MapOf, Struct
from streams.policy.language.schema import ENTITIES, FACTS, HISTORY

PACKAGE = "stoplog.rules"

_Proto = descriptor_pb2.FieldDescriptorProto
_KINDS = {
    Kind.BOOL: _Proto.TYPE_BOOL,
    Kind.INT: _Proto.TYPE_INT64,
    Kind.DOUBLE: _Proto.TYPE_DOUBLE,
    Kind.STRING: _Proto.TYPE_STRING,
}
_DYN = ".google.protobuf.Value"
_DYN_LIST = ".google.protobuf.ListValue"
_DYN_MAP = ".google.protobuf.Struct"


def message_name(struct: Struct) -> str:
    """Return the full name of a record's message type."""
    return f"{PACKAGE}.{struct.name}"


def make_pool(args: FactType, history: Struct = HISTORY, entities: Struct = ENTITIES) -> Any:
    """Return a descriptor pool with the records of the schema, of `history` and `entities`, and of `args` if it is a
    record."""
    file = descriptor_pb2.FileDescriptorProto(name="stoplog/rules.proto", package=PACKAGE, syntax="proto3")
    file.dependency.append(struct_pb2.DESCRIPTOR.name)
    done: set[str] = set()
    _declare(history, file, done)
    _declare(entities, file, done)
    for field in FACTS:
        _declare(field.type, file, done)
    _declare(args, file, done)
    for struct in EXTENSION_STRUCTS:
        _declare(struct, file, done)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(struct_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return pool


def _declare(fact_type: FactType, file: Any, done: set[str]) -> None:
    if isinstance(fact_type, ListOf):
        _declare(fact_type.element, file, done)
    elif isinstance(fact_type, MapOf):
        _declare(fact_type.value, file, done)
    elif isinstance(fact_type, Struct) and fact_type.name not in done:
        done.add(fact_type.name)
        message = file.message_type.add(name=fact_type.name)
        # Protobuf derives the same JSON name from `a_b` and `aB` and rejects the conflict, unless this option is set.
        message.options.deprecated_legacy_json_field_conflicts = True
        for number, field in enumerate(fact_type.fields, start=1):
            _declare(field.type, file, done)
            _add_field(message, number, field)


def _add_field(message: Any, number: int, field: Field) -> None:
    added = message.field.add(name=field.name, number=number, label=_Proto.LABEL_OPTIONAL)
    inner = field.type
    if isinstance(inner, MapOf):
        if inner.value is Kind.DYN or not isinstance(inner.value, Kind | Struct):
            added.type, added.type_name = _Proto.TYPE_MESSAGE, _DYN_MAP
            return
        entry = message.nested_type.add(name=f"F{number}Entry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, type=_Proto.TYPE_STRING, label=_Proto.LABEL_OPTIONAL)
        _set_type(entry.field.add(name="value", number=2, label=_Proto.LABEL_OPTIONAL), inner.value)
        # Protobuf requires the name of a map's entry to be the field's name in CamelCase.
        entry.name = "".join(part.capitalize() for part in field.name.split("_")) + "Entry"
        added.label, added.type = _Proto.LABEL_REPEATED, _Proto.TYPE_MESSAGE
        added.type_name = f".{PACKAGE}.{message.name}.{entry.name}"
    elif isinstance(inner, ListOf):
        added.label = _Proto.LABEL_REPEATED
        _set_type(added, inner.element)
    else:
        _set_type(added, inner)


def _set_type(field: Any, fact_type: FactType) -> None:
    if isinstance(fact_type, Kind) and fact_type in _KINDS:
        field.type = _KINDS[fact_type]
        return
    field.type = _Proto.TYPE_MESSAGE
    if isinstance(fact_type, Struct):
        field.type_name = f".{message_name(fact_type)}"
    elif isinstance(fact_type, ListOf):
        field.type_name = _DYN_LIST
    else:
        field.type_name = _DYN_MAP if isinstance(fact_type, MapOf) else _DYN
