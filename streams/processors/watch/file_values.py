"""Read single values of behaviour files: severities, numbers, flags, names of fields."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from streams.behaviour.activity import DAY_MS, KEPT_DAYS
from streams.policy.errors import nearest
from streams.policy.language.located_yaml import Scalar
from streams.policy.language.yaml_mapping import MappingReader

ITEMS_MAX = 64
SPAN_MS_MAX = KEPT_DAYS * DAY_MS
"""The longest history, window, half-life or latch: the rows that it needs are not kept for longer."""
SIGNAL_PREFIXES = ("signal.", "risk.")


class Severity(StrEnum):
    """How serious an alert is; the levels of Sigma."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


def known_field(reader: MappingReader, key: str, field: str, known: Iterable[str]) -> str | None:
    """Return a field if it exists; otherwise it is an error of the key that names it."""
    if field in known:
        return field
    hint = nearest(field, known) or f"known are {', '.join(known)}"
    reader.error("unknown_field", reader.at(key), f"`{key}` names `{field}`, which does not exist", hint)
    return None


def number_of(reader: MappingReader, key: str) -> float | None:
    """Return a number, or None if it is absent or wrong."""
    node = reader.node(key)
    if node is None:
        return None
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        reader.error("wrong_value", node.location, f"`{key}` must be a number")
        return None
    return float(value)


def flag_of(reader: MappingReader, key: str, *, default: bool) -> bool:
    """Return a flag, or its default if it is absent or wrong."""
    node = reader.node(key)
    if node is None:
        return default
    if not isinstance(node, Scalar) or not isinstance(node.value, bool):
        reader.error("wrong_value", node.location, f"`{key}` must be true or false")
        return default
    return node.value
