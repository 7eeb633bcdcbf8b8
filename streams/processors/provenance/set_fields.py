"""Say what a value is for that a call sets in a field which another argument names.

`update_customer(field="assigned_to", new_value="kim@x.example")` takes any value, so its catalog entry can only say
that it is content. What it is for follows from the field: here, who gets the customer.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from streams.model.catalog import ArgumentRole
from streams.processors.provenance.examined import Value
from streams.provenance.tools.uses import NAME_CHARS_MAX, roles_of_names

replace = msgspec.structs.replace
FIELDS = frozenset(
    ("field", "field_name", "fieldName", "column", "property", "property_name", "attribute", "attribute_name")
)
"""Names of arguments that say which field of a record a call sets."""
_VALUES = ("value", "new_value", "newValue", "field_value", "to_value")
"""Names of arguments that say what it is set to."""
_STATED = frozenset({ArgumentRole.DESTINATION, ArgumentRole.TIME})
"""The roles of which a rule asks where their values come from, also where they are no sinks."""
_OPEN = (ArgumentRole.CONTENT, ArgumentRole.UNKNOWN)


def with_roles_of_fields(values: tuple[Value, ...], args: Mapping[str, Any]) -> tuple[Value, ...]:
    """Return the values of a call that names a field, that of a field with the role that the name of the field says.

    One that the operator has stated to be a sink, or to be anything but content, is left as it is.

    Args:
        values: the values of the call.
        args: its arguments.
    """
    field = next(args[name] for name in args if name in FIELDS)
    if not isinstance(field, str) or len(field) > NAME_CHARS_MAX:
        return values
    pointer = next((f"/{name}" for name in _VALUES if name in args), None)
    role = _role_of(field)
    if pointer is None or role not in _STATED:
        return values
    return tuple(
        replace(value, role=role)
        if value.pointer == pointer and not value.is_part and not value.is_sink and value.role in _OPEN
        else value
        for value in values
    )


@lru_cache(maxsize=256)
def _role_of(field: str) -> ArgumentRole:
    """Return what a field is for by its name; content if that says nothing."""
    return next((role for _, role in roles_of_names(((field, ()),), reads=False)), ArgumentRole.CONTENT)
