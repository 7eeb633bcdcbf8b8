"""Timestamps and durations: parsing, formatting, and their parts in a time zone."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

from streams.policy.cel.ops import checked_duration, checked_timestamp, no_overload
from streams.policy.cel.values import NANOS_PER_SECOND, Duration, Timestamp
from streams.policy.errors import EvaluationError

ZONES_KEPT_MAX = 256
DURATION_CHARS_MAX = 100

_ZONES = "tzdata"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:[Zz]|([-+])([0-9]{2}):([0-9]{2}))\Z"
)
_OFFSET = re.compile(r"([-+]?)([0-9]{1,2}):([0-9]{2})\Z")
_DURATION_PART = re.compile(r"([0-9]+)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)|\.([0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_UNIT_NANOS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": NANOS_PER_SECOND,
    "m": 60 * NANOS_PER_SECOND,
    "h": 3_600 * NANOS_PER_SECOND,
}


def seconds_of(value: Timestamp) -> int:
    """Return the seconds since the epoch, rounded down."""
    return value.nanos // NANOS_PER_SECOND


def parse_timestamp(text: str) -> Timestamp:
    """Parse a timestamp in the format of RFC 3339.

    Raises:
        EvaluationError: the text is not one.
    """
    match = _RFC3339.match(text)
    if match is None:
        raise EvaluationError("text is not an rfc 3339 timestamp")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    try:
        instant = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise EvaluationError("timestamp out of range") from None
    seconds = (instant - _EPOCH) // timedelta(seconds=1)
    if match[8] is not None:
        offset_minutes = int(match[9]) * 60 + int(match[10])
        if int(match[9]) > 23 or int(match[10]) > 59:
            raise EvaluationError("timestamp has an offset out of range")
        seconds += offset_minutes * 60 * (1 if match[8] == "-" else -1)
    nanos = int((match[7] or "").ljust(9, "0"))
    return checked_timestamp(seconds * NANOS_PER_SECOND + nanos)


def format_timestamp(value: Timestamp) -> str:
    """Return a timestamp in the format of RFC 3339, in UTC, with as many digits of the fraction as are needed."""
    seconds, nanos = divmod(value.nanos, NANOS_PER_SECOND)
    whole = (_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()
    return f"{whole}{_fraction(nanos)}Z"


def _fraction(nanos: int) -> str:
    return f".{nanos:09d}".rstrip("0") if nanos else ""


def parse_duration(text: str) -> Duration:
    """Parse a sum of numbers with units, such as `1h30m` or `-1.5s`.

    Raises:
        EvaluationError: the text is not one.
    """
    if len(text) > DURATION_CHARS_MAX:
        raise EvaluationError("text is not a duration")
    negative, body = text.startswith("-"), text[1:] if text[:1] in ("-", "+") else text
    if body == "0":
        return Duration(0)
    total, at = 0, 0
    while at < len(body):
        match = _DURATION_PART.match(body, at)
        if match is None:
            break
        whole, fraction, unit = match[1] or "0", match[2] or match[4] or "", match[3] or match[5]
        total += int(whole) * _UNIT_NANOS[unit]
        total += int(fraction or "0") * _UNIT_NANOS[unit] // 10 ** len(fraction)
        at = match.end()
    if not body or at != len(body):
        raise EvaluationError("text is not a duration")
    return checked_duration(-total if negative else total)


def format_duration(value: Duration) -> str:
    """Return a duration in seconds, followed by `s`, with as many digits of the fraction as are needed."""
    seconds, nanos = divmod(abs(value.nanos), NANOS_PER_SECOND)
    return f"{'-' if value.nanos < 0 else ''}{seconds}{_fraction(nanos)}s"


@lru_cache(maxsize=ZONES_KEPT_MAX)
def zone_of(name: str) -> tzinfo:
    """Return a time zone, by its name or as an offset from UTC such as `+02:00`.

    Raises:
        EvaluationError: there is none.
    """
    match = _OFFSET.match(name)
    if match is not None:
        offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
        if offset >= timedelta(hours=24):
            raise EvaluationError("time zone offset out of range")
        return timezone(-offset if match[1] == "-" else offset)
    if name not in zone_names():
        raise EvaluationError("unknown time zone")
    with resources.files(_ZONES).joinpath("zoneinfo", *name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Return the zones of the package `tzdata`.

    INVARIANT: the database of the host, which `ZoneInfo(name)` prefers, is never asked. Hosts have different versions
    of it, and zones of their own: a gate, the one that takes over from it and a replay must give the same verdict.
    """
    return frozenset(resources.files(_ZONES).joinpath("zones").read_text("utf-8").split())


def _local(value: Timestamp, zone: str) -> datetime:
    instant = _EPOCH + timedelta(seconds=value.nanos // NANOS_PER_SECOND)
    if not zone:
        return instant
    try:
        return instant.astimezone(zone_of(zone))
    except OverflowError:
        raise EvaluationError("timestamp out of range in the time zone") from None


def _part(
    name: str, of_instant: Callable[[datetime], int], of_duration: Callable[[Duration], int] | None = None
) -> Callable[..., int]:
    def part(value: Any, *zone: Any) -> int:
        if value.__class__ is Timestamp and len(zone) <= 1 and all(item.__class__ is str for item in zone):
            return of_instant(_local(value, zone[0] if zone else ""))
        if value.__class__ is Duration and of_duration is not None and not zone:
            return of_duration(value)
        raise no_overload(name, value, *zone)

    return part


def _towards_zero(value: Duration, unit_nanos: int) -> int:
    count = abs(value.nanos) // unit_nanos
    return -count if value.nanos < 0 else count


def _milliseconds(value: Any, *zone: Any) -> int:
    """Implement `getMilliseconds`: the milliseconds of a timestamp or duration within its second."""
    if value.__class__ is Timestamp and len(zone) <= 1 and all(item.__class__ is str for item in zone):
        return value.nanos % NANOS_PER_SECOND // 1_000_000
    if value.__class__ is Duration and not zone:
        rest = abs(value.nanos) % NANOS_PER_SECOND // 1_000_000
        return -rest if value.nanos < 0 else rest
    raise no_overload("getMilliseconds", value, *zone)


TIME_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "getFullYear": _part("getFullYear", lambda instant: instant.year),
    "getMonth": _part("getMonth", lambda instant: instant.month - 1),
    "getDate": _part("getDate", lambda instant: instant.day),
    "getDayOfMonth": _part("getDayOfMonth", lambda instant: instant.day - 1),
    "getDayOfWeek": _part("getDayOfWeek", lambda instant: instant.isoweekday() % 7),
    "getDayOfYear": _part("getDayOfYear", lambda instant: instant.timetuple().tm_yday - 1),
    "getHours": _part(
        "getHours", lambda instant: instant.hour, lambda span: _towards_zero(span, 3_600 * NANOS_PER_SECOND)
    ),
    "getMinutes": _part(
        "getMinutes", lambda instant: instant.minute, lambda span: _towards_zero(span, 60 * NANOS_PER_SECOND)
    ),
    "getSeconds": _part(
        "getSeconds", lambda instant: instant.second, lambda span: _towards_zero(span, NANOS_PER_SECOND)
    ),
    "getMilliseconds": _milliseconds,
}
