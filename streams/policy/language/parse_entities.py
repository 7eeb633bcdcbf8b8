"""Parses `entities:` of a rule file: the things outside, by an argument, that rules want to know attributes of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from streams.policy.errors import Findings, Location
from streams.policy.language.bundle import Entity, Pack
from streams.policy.language.fact_types import FactType, Field, Kind, ListOf
from streams.policy.language.located_yaml import MappingNode, Node, Scalar
from streams.policy.language.parse_memory import NAME_PATTERN, ReadMatch
from streams.policy.language.schema import ENTITY_FIELDS, RESERVED_WORDS
from streams.policy.language.yaml_mapping import MappingReader

ENTITIES_MAX = 20
FIELDS_MAX = 64
TYPES: Mapping[str, FactType] = MappingProxyType(
    {"string": Kind.STRING, "int": Kind.INT, "bool": Kind.BOOL, "list(string)": ListOf(Kind.STRING)}
)
"""The types that an attribute can be declared with."""


def read_entities(reader: MappingReader, pack: str, findings: Findings, read_match: ReadMatch) -> tuple[Entity, ...]:
    """Return the entities of a rule file and report their errors to `findings`."""
    found = []
    for key, node in reader.entries("entities", ENTITIES_MAX):
        entity = _entity(key, node, pack, findings, read_match)
        if _is_name(reader, f"entity name `{key.text[:80]}`", key) and entity is not None:
            found.append(entity)
    return tuple(found)


def _entity(name: Scalar, node: Node, pack: str, findings: Findings, read_match: ReadMatch) -> Entity | None:
    what = f"entity `{name.text[:80]}`"
    reader = MappingReader(node, what, ("kind", "key!", "match", "fields!"), findings)
    kind = reader.text("kind", NAME_PATTERN, "a name of lower-case letters, digits and `_`") or name.text
    key, match = reader.scalar("key"), read_match(reader, "match", ())
    fields = _fields(reader, what)
    return None if key is None else Entity(name.text, name.location, pack, kind, key, match, fields)


def _fields(reader: MappingReader, what: str) -> tuple[Field, ...]:
    found = []
    if reader.node("fields") is not None and not isinstance(reader.node("fields"), MappingNode):
        reader.error("wrong_kind", reader.at("fields"), "`fields` must be a mapping from names to types")
        return ()
    for key, node in reader.entries("fields", FIELDS_MAX):
        named = f"field `{key.text[:80]}` of {what}"
        text = node.text if isinstance(node, Scalar) else ""
        if text not in TYPES:
            reader.error("wrong_value", node.location, f"the type of {named} must be one of {', '.join(TYPES)}")
        elif key.text in (field.name for field in ENTITY_FIELDS):
            reader.error("wrong_value", key.location, f"{named} has a name that every entity has: remove it")
        elif _is_name(reader, named, key):
            found.append(Field(key.text, TYPES[text], f"attribute `{key.text}`", optional=True))
    return tuple(found)


def report_repeated_entities(packs: Iterable[Pack], findings: Findings) -> None:
    """Report entities with the same name: their names are shared by all packs of the bundle."""
    seen: dict[str, Location] = {}
    for pack in packs:
        for entity in pack.entities:
            first = seen.setdefault(entity.name, entity.location)
            if first != entity.location:
                message = f"entity `{entity.name}` is defined twice, first at {first}"
                findings.error("duplicate_name", entity.location, message, hint="names must be unique in the bundle")


def _is_name(reader: MappingReader, what: str, key: Scalar) -> bool:
    if NAME_PATTERN.match(key.text) and key.text not in RESERVED_WORDS:
        return True
    reader.error("wrong_value", key.location, f"{what} must be lower-case letters, digits and `_`")
    return False
