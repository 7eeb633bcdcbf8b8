"""The types with which facts and the arguments of tools are declared."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

Facts = Mapping[str, Any]
"""The facts of one evaluation: values by the top-level names of `schema.FACTS`."""


class Kind(StrEnum):
    """The scalar types. A `DYN` value gets its type only when it is evaluated."""

    BOOL = "bool"
    INT = "int"
    DOUBLE = "double"
    STRING = "string"
    DYN = "dyn"


class ListOf(msgspec.Struct, frozen=True):
    """A list whose elements have one type."""

    element: FactType


class MapOf(msgspec.Struct, frozen=True):
    """A map from text to values of one type; an expression can use any key."""

    value: FactType


class Struct(msgspec.Struct, frozen=True):
    """A record with named fields; an expression can use no other names."""

    name: str
    fields: tuple[Field, ...]

    def field(self, name: str) -> Field | None:
        """Return the field of that name, or None."""
        return next((field for field in self.fields if field.name == name), None)


FactType = Kind | ListOf | MapOf | Struct


class Field(msgspec.Struct, frozen=True):
    """A named value.

    Attributes:
        doc: its meaning, for the reference pages and for completion.
        optional: the field can be missing.
        sensitive: explanations show `[redacted]` instead of its value.
        values: all values that a text, or a text in a list, can have, if they are known.
    """

    name: str
    type: FactType
    doc: str
    optional: bool = False
    sensitive: bool = False
    values: tuple[str, ...] = ()


def text(name: str, doc: str, *, optional: bool = False, sensitive: bool = False) -> Field:
    """Return a field that holds a text."""
    return Field(name, Kind.STRING, doc, optional, sensitive)


def number(name: str, doc: str, *, optional: bool = False) -> Field:
    """Return a field that holds a whole number."""
    return Field(name, Kind.INT, doc, optional)


def flag(name: str, doc: str, *, optional: bool = False) -> Field:
    """Return a field that is true or false."""
    return Field(name, Kind.BOOL, doc, optional)


def texts(name: str, doc: str) -> Field:
    """Return a field that holds a list of texts."""
    return Field(name, ListOf(Kind.STRING), doc)


def word(name: str, doc: str, *values: str, optional: bool = False) -> Field:
    """Return a field that holds one of some words."""
    return Field(name, Kind.STRING, doc, optional, values=values)


def type_name(fact_type: FactType) -> str:
    """Return the type as the reference pages write it."""
    if isinstance(fact_type, ListOf):
        return f"list({type_name(fact_type.element)})"
    if isinstance(fact_type, MapOf):
        return f"map(string, {type_name(fact_type.value)})"
    return fact_type.name if isinstance(fact_type, Struct) else str(fact_type)
