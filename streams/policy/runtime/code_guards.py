"""The type checks that generated code calls."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from streams.policy.cel.values import LISTS
from streams.policy.cel.work import SMALL_MAX, spend

CLASSES: dict[str, type] = {"string": str, "int": int, "bool": bool, "double": float, "map": dict}
"""The classes that generated code compares directly, by the checker's name of the type."""


class TypeMismatchError(Exception):
    """A value doesn't have its declared type."""


def _guard(wanted: type) -> Callable[[Any], Any]:
    def guard(value: Any) -> Any:
        if value.__class__ is wanted:
            return value
        raise TypeMismatchError

    return guard


def guard_list(value: Any) -> Any:
    """Return the value if it is a list.

    Raises:
        TypeMismatchError: it is not a list.
    """
    if value.__class__ in LISTS:
        return value
    raise TypeMismatchError


@lru_cache(maxsize=1_024)
def guard_range(longest: int, nodes_count: int) -> Callable[[Any], Any]:
    """Return a function that returns a list or map of at most `longest` elements, and counts the work of its loop.

    The function raises TypeMismatchError for any other value.

    Args:
        longest: the maximum number of elements.
        nodes_count: the size of the expression that is evaluated for each element.
    """

    def guard(value: Any) -> Any:
        if (value.__class__ in LISTS or value.__class__ is dict) and len(value) <= longest:
            if len(value) > SMALL_MAX:
                spend(len(value) * nodes_count >> 1)
            return value
        raise TypeMismatchError

    return guard


GUARDS: dict[str, Callable[[Any], Any]] = {
    **{kind: _guard(wanted) for kind, wanted in CLASSES.items()},
    "list": guard_list,
}
"""For each type a function that returns a value of this type, and raises TypeMismatchError for any other value."""
