"""The words for a day that only count from today, such as "tomorrow" or "next Friday", in the languages that are read.

A gate has digests of what was said, but the day of a call in clear. So it asks which words would mean that day.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from streams.provenance.atoms.day_names import DAYS_AHEAD, WEEKDAYS
from streams.provenance.words import short_value, text_value

AHEAD_MAX = 14
"""Days until which the name of a weekday means a day: "next Friday" can be the one after this week's."""
_EAST, _WEST = timedelta(hours=14), timedelta(hours=12)


def words_for_day(day: str, now_ms: int) -> tuple[str, ...]:
    """Return the words for a day in canonical form; none if only a date names it.

    Args:
        day: a date as `2026-03-05`.
        now_ms: the instant. Where the user is, it can be another day than in UTC.
    """
    try:
        wanted = date.fromisoformat(day)
        now = datetime.fromtimestamp(now_ms / 1_000, UTC)
    except (ValueError, OverflowError, OSError):
        return ()
    ahead = {(wanted - each.date()).days for each in (now - _WEST, now, now + _EAST)}
    return _words(tuple(sorted(each for each in ahead if 0 <= each <= AHEAD_MAX)), wanted.weekday())


@lru_cache(maxsize=1_024)
def _words(ahead: tuple[int, ...], weekday: int) -> tuple[str, ...]:
    told = [word for each in ahead if each < len(DAYS_AHEAD) for word in DAYS_AHEAD[each].split()]
    told += WEEKDAYS[weekday].split() if any(ahead) else []
    return tuple(
        dict.fromkeys(value for word in told if (value := text_value(word.replace("_", " ")) or short_value(word)))
    )
