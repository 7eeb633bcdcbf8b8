"""Collects all texts in a value: `texts(value)`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from streams.policy.cel.values import LISTS, type_of
from streams.policy.cel.work import spend
from streams.policy.errors import EvaluationError

TEXTS_MAX = 5_000
VALUES_MAX = 20_000
CHARS_MAX = 1_000_000
UNITS_PER_VALUE = 2
_FREE_VALUES = 16


def collect_texts(value: Any) -> list[str]:
    """Implement `texts(value)`: every text in a value at any depth, including the keys of maps.

    Raises:
        EvaluationError: there are too many texts, or the value contains something that is not a CEL value.
    """
    found: list[str] = []
    left: list[Any] = [(value,)]
    seen = chars = 0
    for values in left:
        if len(values) > _FREE_VALUES:
            spend(UNITS_PER_VALUE * len(values))
        for item in values:
            seen += 1
            if item.__class__ is str:
                found.append(item)
                chars += len(item)
            elif item.__class__ is dict or isinstance(item, Mapping):
                left += item, item.values()
            elif item.__class__ in LISTS:
                left.append(item)
            else:
                type_of(item)
        if seen > VALUES_MAX or len(found) > TEXTS_MAX or chars > CHARS_MAX:
            spend(_FREE_VALUES * UNITS_PER_VALUE * len(left))
            raise EvaluationError("value contains too many texts")
    if len(left) > _FREE_VALUES:
        spend(_FREE_VALUES * UNITS_PER_VALUE * len(left))
    return found


TEXT_COLLECTION_FUNCTIONS: dict[str, Callable[..., Any]] = {"texts": collect_texts}
