"""CEL's operators on values: equality, order, arithmetic and access.

Each of them raises EvaluationError if CEL has an error. The overload is chosen by the classes of the values, because
the static types can be dynamic.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from streams.policy.cel.values import (
    INT_MAX,
    INT_MIN,
    LISTS,
    NANOS_PER_SECOND,
    NO_SUCH_KEY,
    UINT_MAX,
    CelMap,
    Duration,
    Timestamp,
    UInt,
    map_get,
    map_has,
    type_of,
)
from streams.policy.cel.work import SMALL_MAX, spend
from streams.policy.errors import EvaluationError

TIMESTAMP_NANOS_MIN = -62_135_596_800 * NANOS_PER_SECOND
TIMESTAMP_NANOS_MAX = 253_402_300_800 * NANOS_PER_SECOND - 1
DURATION_NANOS_MIN, DURATION_NANOS_MAX = INT_MIN, INT_MAX
TEXT_SIZE_MAX = 1_000_000
"""The maximum size of a text, list or byte string that an operation makes, so that a rule can't exhaust memory."""

_NUMBERS = frozenset((int, UInt, float))
_LONG_TEXT_CHARS = 256


def no_overload(name: str, *args: Any) -> EvaluationError:
    """Return the error for arguments whose types have no overload."""
    return EvaluationError(f"no such overload: {name}({', '.join(type_of(arg).name for arg in args)})")


def equals(left: Any, right: Any) -> bool:
    """Return whether two values are equal. Values of different types are not equal, except numbers."""
    kind, other = left.__class__, right.__class__
    if kind in _NUMBERS:
        return other in _NUMBERS and (left == right if kind is other else _compare_numbers(left, right) == 0)
    if kind in LISTS:
        return (
            other in LISTS
            and len(left) == len(right)
            and _spent(left)
            and all(equals(one, two) for one, two in zip(left, right, strict=True))
        )
    if kind is dict or isinstance(left, Mapping):
        return (
            isinstance(right, Mapping)
            and len(left) == len(right)
            and _spent(left)
            and all(map_has(right, key) and equals(value, map_get(right, key)) for key, value in left.items())
        )
    if kind is not other:
        return False
    if kind is str and len(left) > _LONG_TEXT_CHARS:
        spend(len(left) >> 6)
    return bool(left == right)


def _spent(value: Any) -> bool:
    """Count the work of a comparison of each element: a value can contain another one many times over."""
    spend(2 + 2 * len(value))
    return True


def not_equals(left: Any, right: Any) -> bool:
    """Return whether two values are not equal."""
    return not equals(left, right)


def _compare_numbers(left: Any, right: Any) -> int | None:
    """Return -1, 0 or 1, or None for NaN. To compare it with a double, an integer is rounded to a double, as in CEL."""
    if left.__class__ is float or right.__class__ is float:
        left, right = float(left), float(right)
    if left == right:
        return 0
    if left < right:
        return -1
    return 1 if left > right else None


_ORDERED = frozenset((bool, str, bytes, Timestamp, Duration))


def _ordering(name: str, compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def ordered(left: Any, right: Any) -> bool:
        kind, other = left.__class__, right.__class__
        if kind is other and (kind in _NUMBERS or kind in _ORDERED):
            if kind is str and len(left) > _LONG_TEXT_CHARS:
                spend(len(left) >> 6)
            return compare(left, right)
        if kind in _NUMBERS and other in _NUMBERS:
            order = _compare_numbers(left, right)
            return order is not None and compare(order, 0)
        raise no_overload(name, left, right)

    return ordered


less = _ordering("_<_", operator.lt)
less_equals = _ordering("_<=_", operator.le)
greater = _ordering("_>_", operator.gt)
greater_equals = _ordering("_>=_", operator.ge)


def checked_int(value: int) -> int:
    """Return an integer if it fits 64 bits.

    Raises:
        EvaluationError: it does not.
    """
    if INT_MIN <= value <= INT_MAX:
        return value
    raise EvaluationError("integer overflow")


def checked_uint(value: int) -> UInt:
    """Return an unsigned integer if it fits 64 bits.

    Raises:
        EvaluationError: it does not.
    """
    if 0 <= value <= UINT_MAX:
        return UInt(value)
    raise EvaluationError("unsigned integer overflow")


def checked_timestamp(nanos: int) -> Timestamp:
    """Return a timestamp if it is in the years 1 to 9999.

    Raises:
        EvaluationError: it is not.
    """
    if TIMESTAMP_NANOS_MIN <= nanos <= TIMESTAMP_NANOS_MAX:
        return Timestamp(nanos)
    raise EvaluationError("timestamp out of range")


def checked_duration(nanos: int) -> Duration:
    """Return a duration if its nanoseconds fit 64 bits.

    Raises:
        EvaluationError: they do not.
    """
    if DURATION_NANOS_MIN <= nanos <= DURATION_NANOS_MAX:
        return Duration(nanos)
    raise EvaluationError("duration out of range")


def _bounded(value: Any) -> Any:
    if len(value) > TEXT_SIZE_MAX:
        raise EvaluationError(f"value has more than {TEXT_SIZE_MAX} elements")
    return value


def add(left: Any, right: Any) -> Any:
    """Implement `+` of numbers, texts, bytes, lists, timestamps and durations."""
    kind, other = left.__class__, right.__class__
    if kind is other:
        if kind is int:
            return checked_int(left + right)
        if kind is str or kind is bytes or kind is list:
            return _bounded(left + right)
        if kind is float:
            return left + right
        if kind is UInt:
            return checked_uint(int(left) + int(right))
        if kind is Duration:
            return checked_duration(left.nanos + right.nanos)
    if kind in LISTS and other in LISTS:
        return _bounded([*left, *right])
    if (kind is Timestamp and other is Duration) or (kind is Duration and other is Timestamp):
        return checked_timestamp(left.nanos + right.nanos)
    raise no_overload("_+_", left, right)


def subtract(left: Any, right: Any) -> Any:
    """Implement `-` of numbers, timestamps and durations."""
    kind, other = left.__class__, right.__class__
    if kind is other:
        if kind is int:
            return checked_int(left - right)
        if kind is float:
            return left - right
        if kind is UInt:
            return checked_uint(int(left) - int(right))
        if kind is Duration or kind is Timestamp:
            return checked_duration(left.nanos - right.nanos)
    if kind is Timestamp and other is Duration:
        return checked_timestamp(left.nanos - right.nanos)
    raise no_overload("_-_", left, right)


def multiply(left: Any, right: Any) -> Any:
    """Implement `*` of numbers."""
    kind = left.__class__
    if kind is right.__class__:
        if kind is int:
            return checked_int(left * right)
        if kind is float:
            return left * right
        if kind is UInt:
            return checked_uint(int(left) * int(right))
    raise no_overload("_*_", left, right)


def divide(left: Any, right: Any) -> Any:
    """Implement `/` of numbers; the quotient of integers is rounded towards zero."""
    kind = left.__class__
    if kind is right.__class__:
        if kind is float:
            return _divide_doubles(left, right)
        if kind is int or kind is UInt:
            if right == 0:
                raise EvaluationError("division by zero")
            quotient = abs(int(left)) // abs(int(right))
            if kind is UInt:
                return UInt(quotient)
            return checked_int(quotient if (left < 0) is (right < 0) else -quotient)
    raise no_overload("_/_", left, right)


def _divide_doubles(left: float, right: float) -> float:
    if right != 0.0:
        return left / right
    if left == 0.0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def modulo(left: Any, right: Any) -> Any:
    """Implement `%` of integers, with the sign of the dividend."""
    kind = left.__class__
    if kind is right.__class__ and (kind is int or kind is UInt):
        if right == 0:
            raise EvaluationError("modulus by zero")
        if kind is UInt:
            return UInt(int(left) % int(right))
        if left == INT_MIN and right == -1:
            raise EvaluationError("integer overflow")
        rest = abs(left) % abs(right)
        return -rest if left < 0 else rest
    raise no_overload("_%_", left, right)


def negate(value: Any) -> Any:
    """Implement `-` of one number."""
    kind = value.__class__
    if kind is int:
        return checked_int(-value)
    if kind is float:
        return -value
    raise no_overload("-_", value)


def logical_not(value: Any) -> bool:
    """Implement `!`."""
    if value is True:
        return False
    if value is False:
        return True
    raise no_overload("!_", value)


def index(container: Any, key: Any) -> Any:
    """Implement `container[key]` of lists and maps."""
    kind = container.__class__
    if kind is dict:
        if key.__class__ is str and key in container:
            return container[key]
        return map_get(container, key)
    if kind in LISTS and (key.__class__ in (int, UInt) or (key.__class__ is float and key.is_integer())):
        if 0 <= key < len(container):
            return container[int(key)]
        raise EvaluationError("index out of bounds")
    if isinstance(container, Mapping):
        return map_get(container, key)
    raise no_overload("_[_]", container, key)


def contained(element: Any, container: Any) -> bool:
    """Implement `element in container` of lists and maps."""
    kind = container.__class__
    if kind in LISTS and len(container) > SMALL_MAX:
        spend(len(container) >> 2)
    if element.__class__ is str and (kind in LISTS or kind is dict):
        # A text is not equal to any value of another type, in Python as in CEL.
        return element in container
    if kind in LISTS:
        spend(2 * len(container))
        return any(equals(element, item) for item in container)
    if isinstance(container, Mapping):
        return map_has(container, element)
    raise no_overload("@in", element, container)


def select(operand: Any, field: str) -> Any:
    """Implement `operand.field`."""
    if operand.__class__ is dict or isinstance(operand, Mapping):
        try:
            return operand[field]
        except KeyError:
            raise EvaluationError(f"{NO_SUCH_KEY}: {field}") from None
    raise EvaluationError(f"a value of type {type_of(operand).name} has no field `{field}`")


def has_field(operand: Any, field: str) -> bool:
    """Implement `has(operand.field)`."""
    if operand.__class__ is dict or isinstance(operand, Mapping):
        return field in operand
    raise EvaluationError(f"a value of type {type_of(operand).name} has no field `{field}`")


def size(value: Any) -> int:
    """Return the number of characters, bytes, elements or entries."""
    kind = value.__class__
    if kind is str or kind is bytes or kind in LISTS or isinstance(value, Mapping):
        return len(value)
    raise no_overload("size", value)


def map_insert(target: Any, *entry: Any) -> CelMap:
    """Return a map with an entry, or the entries of another map, added."""
    added = entry[0].items() if len(entry) == 1 else ((entry[0], entry[1]),)
    return CelMap([*target.items(), *added])
