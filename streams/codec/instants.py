"""Instants as text: RFC 3339, in UTC, in milliseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from streams.codec.scalars import check_instant
from streams.codec.varints import MalformedError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_DAY_S = 86_400
DAYS_CACHED_MAX = 64
"""Days whose dates are remembered: almost all instants are of today."""
_RFC_3339 = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.(?P<fraction>\d{1,9}))?(?:[Zz]|[+-]\d{2}:\d{2})", re.ASCII
)


def format_instant(value_ms: int) -> str:
    """Return an instant (ms since the epoch) as `2025-11-25T09:00:00.123Z`.

    Raises:
        MalformedError: the instant is outside of the years 1 to 9999.
    """
    check_instant(value_ms)
    second, millisecond = divmod(value_ms, 1_000)
    day, second = divmod(second, _DAY_S)
    minute, second = divmod(second, 60)
    return f"{_date(day)}T{minute // 60:02d}:{minute % 60:02d}:{second:02d}.{millisecond:03d}Z"


def instant_text(value_ms: int) -> str:
    """Return an instant for a person, to the second: `2025-11-25 09:00:00`; empty for none."""
    return format_instant(value_ms)[:19].replace("T", " ") if value_ms else ""


def time_text(value_ms: int) -> str:
    """Return the time of day of an instant for a person, to the millisecond: `09:00:00.123`."""
    return format_instant(value_ms)[11:23]


@lru_cache(maxsize=DAYS_CACHED_MAX)
def _date(day: int) -> str:
    """Return the date of a day since 1970."""
    return (_EPOCH + timedelta(days=day)).date().isoformat()


def parse_instant(text: str) -> int:
    """Return the instant of an RFC 3339 date-time in ms since the epoch; fractions of a millisecond are cut off.

    Raises:
        MalformedError: the text isn't one. An offset is required: a local time would mean another instant elsewhere.
    """
    match = _RFC_3339.fullmatch(text)
    if match is None:
        raise MalformedError(f"`{text[:40]}` is not an RFC 3339 date-time such as `2025-11-25T09:00:00Z`")
    fraction = match["fraction"]
    if fraction is not None:
        text = text.replace(f".{fraction}", f".{fraction[:3]:0<3}", 1)
    try:
        parsed = datetime.fromisoformat(text.upper())
        value_ms = (parsed - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError) as error:
        raise MalformedError(f"`{text[:40]}` is not a date-time: {error}") from None
    check_instant(value_ms)
    return value_ms
