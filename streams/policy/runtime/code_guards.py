"""What generated code calls to look at the class of a value."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from streams.policy.cel.values import LISTS

CLASSES: dict[str, type] = {"string": str, "int": int, "bool": bool, "double": float, "map": dict}
"""The classes of values that are looked at in place, by the checker's name of their type."""


class TypeMismatchError(Exception):
    """A value is not of the type it was declared with."""


def _guard(wanted: type) -> Callable[[Any], Any]:
    def guard(value: Any) -> Any:
        if value.__class__ is wanted:
            return value
        raise TypeMismatchError

    return guard


def guard_list(value: Any) -> Any:
    """Return the value, if it is a list.

    Raises:
        OddError: it is not.
    """
    if value.__class__ in LISTS:
        return value
    raise TypeMismatchError


@lru_cache(maxsize=1_024)
def guard_range(longest: int) -> Callable[[Any], Any]:
    """Return a function that gives a value back that a fold can go through, if it has at most so many elements.

    It raises OddError for others.
    """

    def guard(value: Any) -> Any:
        if (value.__class__ in LISTS or value.__class__ is dict) and len(value) <= longest:
            return value
        raise TypeMismatchError

    return guard


GUARDS: dict[str, Callable[[Any], Any]] = {
    **{kind: _guard(wanted) for kind, wanted in CLASSES.items()},
    "list": guard_list,
}
"""For each type a function that gives the value back, or raises OddError."""
