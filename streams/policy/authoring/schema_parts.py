"""The parts of which the JSON Schema of rule files is made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from streams.policy.language import parse, yaml_mapping

Schema = dict[str, Any]

_END_OF_TEXT = r"\Z"


def record_of(properties: Mapping[str, Schema], required: Iterable[str]) -> Schema:
    """Return the schema of an object that has these properties and no others."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": dict(properties),
    }


def named_of(value: Schema, name: re.Pattern[str], doc: str, count_max: int = parse.NAMES_MAX) -> Schema:
    """Return the schema of an object whose keys are names that the author chooses."""
    return {
        "type": "object",
        "description": doc,
        "propertyNames": {"pattern": whole(name)},
        "additionalProperties": value,
        "maxProperties": count_max,
    }


def items_of(item: Schema, count_max: int, doc: str = "") -> Schema:
    """Return the schema of an array that is not empty."""
    made: Schema = {"type": "array", "items": item, "minItems": 1, "maxItems": count_max}
    return {**made, "description": doc} if doc else made


def text_of(doc: str = "") -> Schema:
    """Return the schema of a text that is not empty."""
    made: Schema = {"type": "string", "minLength": 1, "maxLength": yaml_mapping.TEXT_CHARS_MAX}
    return {**made, "description": doc} if doc else made


def one_of(choices: Iterable[StrEnum], doc: str) -> Schema:
    """Return the schema of one of some words."""
    return {"enum": [str(choice) for choice in choices], "description": doc}


def ref_to(name: str) -> Schema:
    """Return a reference to a definition."""
    return {"$ref": f"#/$defs/{name}"}


def whole(pattern: re.Pattern[str]) -> str:
    """Return the parser's pattern for JSON Schema, which searches for a pattern unless it is anchored."""
    return f"^(?:{pattern.pattern.removesuffix(_END_OF_TEXT).replace(_END_OF_TEXT, '$')})$"
