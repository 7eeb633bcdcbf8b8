"""Checks facts, such as the fixtures of test cases, against their schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from streams.policy.language.fact_types import FactType, Field, Kind, ListOf, MapOf, Struct
from streams.policy.language.schema import BASELINE_SIGNALS, ENTITIES, FACT_NAMES, FACTS, HISTORY, SIGNAL

NOT_REQUIRED = frozenset(
    {"money", "history", "label", "entities", "origins", "act", "scope", "owner", "read", "flow", "signal"}
)
"""Top-level facts that may be missing from a fixture, as may the fields of `signal` that come from a baseline; see
`streams.policy.authoring.quiet_facts`."""


def schema_violations(
    facts: Mapping[str, Any], *, partial: bool = False, history: Struct = HISTORY, entities: Struct = ENTITIES
) -> list[str]:
    """Return every way in which facts violate the schema: unknown names, wrong types, missing fields.

    Args:
        facts: the facts to check.
        partial: accept that top-level facts are missing.
        history: the type of the fact `history`, which has a field for each memory of the bundle.
        entities: the type of the fact `entities`, which has a field for each entity that the bundle declares.

    Returns:
        One message for each violation; none if the facts are valid.
    """
    found = [f"`{name}` is not a fact" for name in facts if name not in FACT_NAMES]
    own = {"history": history, "entities": entities}
    for field in FACTS:
        if field.name in facts:
            wanted = own.get(field.name, field.type)
            found.extend(_violations(field.name, wanted, facts[field.name]))
        elif not partial and field.name not in NOT_REQUIRED:
            found.append(f"`{field.name}` is missing")
    return found


def _violations(path: str, wanted: FactType, value: Any) -> Iterator[str]:
    if isinstance(wanted, Kind):
        if not _has_kind(wanted, value):
            yield f"`{path}` must be {wanted}, found {type(value).__name__}"
    elif isinstance(wanted, ListOf):
        if not isinstance(value, list | tuple):
            yield f"`{path}` must be a list, found {type(value).__name__}"
            return
        for index, item in enumerate(value):
            yield from _violations(f"{path}[{index}]", wanted.element, item)
    elif not isinstance(value, Mapping):
        yield f"`{path}` must be a mapping, found {type(value).__name__}"
    elif isinstance(wanted, MapOf):
        for key, item in value.items():
            yield from _violations(f"{path}.{key}", wanted.value, item)
    else:
        yield from _struct_violations(path, wanted, value)


def _struct_violations(path: str, wanted: Struct, value: Mapping[str, Any]) -> Iterator[str]:
    for key in value:
        if wanted.field(key) is None:
            yield f"`{path}.{key}` is not a field of {wanted.name}"
    for field in wanted.fields:
        if field.name in value:
            yield from _violations(f"{path}.{field.name}", field.type, value[field.name])
            yield from _unknown_values(f"{path}.{field.name}", field, value[field.name])
        elif not field.optional and not (wanted is SIGNAL and field.name in BASELINE_SIGNALS):
            yield f"`{path}.{field.name}` is missing"


def _unknown_values(path: str, field: Field, value: Any) -> Iterator[str]:
    found = value if isinstance(value, list | tuple) else (value,)
    for text in found if field.values else ():
        if isinstance(text, str) and text not in field.values:
            yield f"`{path}` must be one of {', '.join(field.values)}, found `{text}`"


def _has_kind(wanted: Kind, value: Any) -> bool:
    if wanted is Kind.DYN:
        return True
    if wanted is Kind.BOOL:
        return isinstance(value, bool)
    if wanted is Kind.INT:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, float if wanted is Kind.DOUBLE else str)
