"""The types of a tool's arguments, read from its JSON Schema, and the coercion of arguments to these types.

Only what a JSON Schema declares unambiguously becomes a type. Everything else is dynamic: the checker accepts any use
of it, and the evaluator takes the type from the value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from streams.policy.language.fact_types import FactType, Field, Kind, ListOf, MapOf, Struct
from streams.policy.language.schema import RESERVED_WORDS

DEPTH_MAX = 6
FIELDS_MAX = 200

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z")
_SCALARS = {"string": Kind.STRING, "integer": Kind.INT, "number": Kind.DOUBLE, "boolean": Kind.BOOL}
_AMBIGUOUS_KEYWORDS = (
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "if",
    "$ref",
    "$dynamicRef",
    "patternProperties",
    "dependentSchemas",
)


class ToolTypes(msgspec.Struct, frozen=True):
    """The type of a tool's arguments: a `Struct` of its properties, or a map of dynamic values."""

    args: FactType

    @classmethod
    def from_json_schema(cls, schema: Mapping[str, Any]) -> ToolTypes:
        """Read an input schema. Whatever it does not declare is dynamic. Never raises, whatever the schema contains."""
        read = _read_type(schema, "Args", 0)
        return cls(read if isinstance(read, Struct) else MapOf(Kind.DYN))

    def coerce(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the arguments with numbers converted to the declared types: 5 to 5.0 (double), 5.0 to 5 (int)."""
        fitted = _coerce(self.args, args)
        return fitted if isinstance(fitted, Mapping) else args


UNTYPED = ToolTypes(MapOf(Kind.DYN))
"""The types of a tool whose schema is not known."""


def _read_type(schema: Any, name: str, depth: int) -> FactType:
    if not isinstance(schema, Mapping) or depth > DEPTH_MAX or any(word in schema for word in _AMBIGUOUS_KEYWORDS):
        return Kind.DYN
    kind = schema.get("type")
    if not isinstance(kind, str):
        return Kind.DYN
    if kind in _SCALARS:
        return _SCALARS[kind]
    if kind == "array":
        return ListOf(_read_type(schema.get("items"), f"{name}_item", depth + 1))
    if kind != "object":
        return Kind.DYN
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or not properties or len(properties) > FIELDS_MAX:
        return MapOf(Kind.DYN)
    if not all(isinstance(key, str) and _IDENTIFIER.match(key) and key not in RESERVED_WORDS for key in properties):
        return MapOf(Kind.DYN)
    required = schema.get("required")
    present = frozenset(key for key in required if isinstance(key, str)) if isinstance(required, list) else frozenset()
    fields = tuple(
        Field(key, _read_type(value, f"{name}_{key}", depth + 1), "", optional=key not in present)
        for key, value in properties.items()
    )
    return Struct(name, fields)


def _coerce(wanted: FactType, value: Any) -> Any:
    """Return a value of the wanted type. Values that need no change, which are most, are returned without a copy."""
    if wanted is Kind.DOUBLE and type(value) is int:
        return float(value)
    if wanted is Kind.INT and type(value) is float and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(wanted, ListOf) and isinstance(value, list):
        items = [_coerce(wanted.element, item) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    if isinstance(wanted, Struct) and isinstance(value, Mapping):
        changed = {
            field.name: new
            for field in wanted.fields
            if field.name in value and (new := _coerce(field.type, value[field.name])) is not value[field.name]
        }
        return {**value, **changed} if changed else value
    return value
