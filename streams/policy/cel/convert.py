"""Conversions between CEL's types."""

from __future__ import annotations

import math
import re
from typing import Any

from streams.policy.cel.ops import checked_int, checked_timestamp, checked_uint, no_overload
from streams.policy.cel.times import format_duration, format_timestamp, parse_duration, parse_timestamp, seconds_of
from streams.policy.cel.values import (
    INT_MAX,
    INT_MIN,
    NANOS_PER_SECOND,
    Address,
    Duration,
    ExtensionValue,
    Network,
    Timestamp,
    TypeValue,
    UInt,
    type_of,
)
from streams.policy.errors import EvaluationError

_INT = re.compile(r"[-+]?[0-9]{1,30}\Z")
_UINT = re.compile(r"[0-9]{1,30}\Z")
_DOUBLE = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\Z|[-+]?(inf|infinity|nan)\Z", re.IGNORECASE)
_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))
_FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))
_DOUBLE_TEXT_MAX = 400


def to_int(value: Any) -> int:
    """Implement `int(value)`."""
    kind = value.__class__
    if kind is int:
        return int(value)
    if kind is UInt:
        return checked_int(int(value))
    if kind is float:
        # Both ends are rejected: 2^63 is not an int64, and a double near either end stands for a range that crosses it.
        if not INT_MIN < value < INT_MAX:
            raise EvaluationError("double out of the range of int")
        return int(value)
    if kind is str:
        if not _INT.match(value):
            raise EvaluationError("text is not an integer")
        return checked_int(int(value))
    if kind is Timestamp:
        return seconds_of(value)
    raise no_overload("int", value)


def to_uint(value: Any) -> UInt:
    """Implement `uint(value)`."""
    kind = value.__class__
    if kind is int or kind is UInt:
        return checked_uint(int(value))
    if kind is float:
        if not 0 <= value < 2**64:
            raise EvaluationError("double out of the range of uint")
        return UInt(int(value))
    if kind is str:
        if not _UINT.match(value):
            raise EvaluationError("text is not an unsigned integer")
        return checked_uint(int(value))
    raise no_overload("uint", value)


def to_double(value: Any) -> float:
    """Implement `double(value)`."""
    kind = value.__class__
    if kind is float:
        return float(value)
    if kind is int or kind is UInt:
        return float(value)
    if kind is str:
        if len(value) > _DOUBLE_TEXT_MAX or not _DOUBLE.match(value):
            raise EvaluationError("text is not a double")
        return float(value)
    raise no_overload("double", value)


def to_bool(value: Any) -> bool:
    """Implement `bool(value)`."""
    if value.__class__ is bool:
        return bool(value)
    if value.__class__ is str:
        if value in _TRUE:
            return True
        if value in _FALSE:
            return False
        raise EvaluationError("text is not a bool")
    raise no_overload("bool", value)


def to_bytes(value: Any) -> bytes:
    """Implement `bytes(value)`."""
    if value.__class__ is bytes:
        return bytes(value)
    if value.__class__ is str:
        try:
            return str(value).encode()
        except UnicodeEncodeError:
            raise EvaluationError("text has no utf-8 form") from None
    raise no_overload("bytes", value)


def to_string(value: Any) -> str:
    """Implement `string(value)`."""
    kind = value.__class__
    if kind is str:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is int or kind is UInt:
        return str(int(value))
    if kind is float:
        return format_double(value)
    if kind is bytes:
        try:
            return bytes(value).decode()
        except UnicodeDecodeError:
            raise EvaluationError("bytes are not utf-8") from None
    if kind is Timestamp:
        return format_timestamp(value)
    if kind is Duration:
        return format_duration(value)
    if kind is Address:
        return str(value.ip)
    if kind is Network:
        return f"{value.ip}/{value.prefix}"
    if isinstance(value, ExtensionValue):
        return value.text()
    raise no_overload("string", value)


def format_double(value: float) -> str:
    """Return the shortest text that represents a double exactly, without the fraction `.0`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    return text[:-2] if text.endswith(".0") else text


def to_timestamp(value: Any) -> Timestamp:
    """Implement `timestamp(value)` of a text in RFC 3339 or of seconds since the epoch."""
    kind = value.__class__
    if kind is Timestamp:
        return Timestamp(value.nanos)
    if kind is str:
        return parse_timestamp(value)
    if kind is int:
        return checked_timestamp(int(value) * NANOS_PER_SECOND)
    raise no_overload("timestamp", value)


def to_duration(value: Any) -> Duration:
    """Implement `duration(value)` of a text such as `1h30m`."""
    kind = value.__class__
    if kind is Duration:
        return Duration(value.nanos)
    if kind is str:
        return parse_duration(value)
    raise no_overload("duration", value)


def to_dyn(value: Any) -> Any:
    """Implement `dyn(value)`: the value itself."""
    return value


def to_type(value: Any) -> TypeValue:
    """Implement `type(value)`."""
    return type_of(value)
