"""Which days somebody means who says how far they are from today, and the reverse.

A gate has the time of a message and the day of a call in clear, so it can tell. Where somebody is, it can be another
day than in UTC. What others order is looked for on either day. What a user says names one: the day in UTC, or else
whoever writes that a call was moved by a day would find that the user has named that day.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from streams.provenance.atoms.relative_days import BY, DAYS_MAX, MONTHS_MAX, WEEK

NAMED, SAID = "named:", "said:"
"""What begins the value of a day that the user has named in words, and of one that stands in most messages."""
_EAST, _WEST = timedelta(hours=14), timedelta(hours=12)
_FRIDAY, _SATURDAY = 4, 5


def days_of(form: str, said_ms: int) -> list[str]:
    """Return the dates that a form means to whoever says it at an instant."""
    try:
        today = datetime.fromtimestamp(said_ms / 1_000, UTC).date()
    except (ValueError, OverflowError, OSError):
        return []
    return [day.isoformat() for day in _meant(form, today)]


def _todays(now_ms: int) -> list[date]:
    """Return the days that it is anywhere at an instant; none if there is no such instant."""
    try:
        now = datetime.fromtimestamp(now_ms / 1_000, UTC)
        return sorted({each.date() for each in (now - _WEST, now, now + _EAST)})
    except (ValueError, OverflowError, OSError):
        return []


def _meant(form: str, today: date) -> Iterator[date]:
    try:
        if form.startswith("wd"):
            first = today + timedelta((int(form[2]) - today.weekday()) % WEEK)
            yield from (first, first + timedelta(WEEK)) if form.endswith("+") else (first,)
        elif form.startswith("we+"):
            first = today + timedelta(max(_SATURDAY - today.weekday(), -1))
            yield from (first + timedelta(day + WEEK * week) for week in range(int(form[3:]) + 1) for day in (0, 1))
        elif form.startswith("end:w+"):
            friday = today + timedelta(_FRIDAY - today.weekday() + WEEK * int(form[6:]))
            yield from (friday, friday + timedelta(2))
        elif form.startswith("end:y+"):
            yield date(today.year + int(form[6:]), 12, 31)
        elif form.startswith("end:m+"):
            later = _months_later(today.replace(day=1), int(form[6:]))
            yield later.replace(day=monthrange(later.year, later.month)[1])
        elif form.startswith("start:m+"):
            yield _months_later(today.replace(day=1), int(form[8:]))
        elif form[0] in "+-":
            yield _moved_by(today, form)
    except (ValueError, OverflowError):
        return


def _moved_by(day: date, by: str) -> date:
    """Return the day that is so far from another one: `+14d`, `-1m`."""
    count = int(by[:-1])
    return _months_later(day, count) if by.endswith("m") else day + timedelta(count)


def _months_later(day: date, count: int) -> date:
    months = day.year * 12 + day.month - 1 + count
    year, month = divmod(months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def forms_of(day: str, now_ms: int) -> tuple[str, ...]:
    """Return the forms in which somebody can say a day at an instant; none if only a date names it.

    Args:
        day: a date as `2026-03-05`.
        now_ms: the instant.
    """
    try:
        wanted = date.fromisoformat(day)
    except ValueError:
        return ()
    return _forms(wanted, tuple(_todays(now_ms)))


@lru_cache(maxsize=1_024)
def _forms(day: date, todays: tuple[date, ...]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for today in todays:
        ahead = (day - today).days
        months = (day.year - today.year) * 12 + day.month - today.month
        weeks = (ahead + today.weekday() - day.weekday()) // WEEK
        likely = [f"{ahead:+d}d", f"{months:+d}m", f"wd{day.weekday()}", f"wd{day.weekday()}+", "we+0", "we+1"]
        likely += [f"end:m+{months}", f"end:w+{weeks}", f"end:y+{day.year - today.year}", f"start:m+{months}"]
        if abs(months) <= MONTHS_MAX:
            found.update(dict.fromkeys(form for form in likely if day in _meant(form, today)))
        some = ((1 <= weeks <= 2, f"w+{weeks}"), (months == 1, "m+1"), (day.year - today.year == 1, "y+1"))
        found.update(dict.fromkeys(form for is_it, form in some if is_it))
    return tuple(found)


_FAR = (*range(1, 32), *range(35, 92, 7), 60, 90)
_BY_FORMS = tuple(
    f"{sign}{far}" for sign in "+-" for far in (*map("{}d".format, _FAR), *map("{}m".format, range(1, 13)))
)
"""How far from another day a day is looked for."""
FORMS = tuple(
    dict.fromkeys(
        (
            *(
                "+0d",
                "+1d",
                *(f"wd{day}{sign}" for sign in ("", "+") for day in range(WEEK)),
                "-1d",
                "w+1",
                "m+1",
                "+2d",
            ),
            *("we+0", "we+1", "+7d", "+14d", "+1m", "end:m+0", "end:m+1", "start:m+1", "end:w+0", "end:w+1", "w+2", BY),
            *(f"{BY}:{by}" for by in _BY_FORMS),
            *(f"+{day}d" for day in range(DAYS_MAX + 1)),
            *(f"{sign}{month}m" for sign in "+-" for month in range(1, MONTHS_MAX + 1)),
            *("end:y+0", "end:y+1", "y+1"),
            *(f"-{day}d" for day in range(1, DAYS_MAX + 1)),
        )
    )
)
"""The forms that are looked for, the most frequent ones first. One that is missing costs a look at all others."""


def days_apart(day: str, is_said: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    """Yield how far a day is from others, of all that is said, and these other days.

    Args:
        day: a date as `2026-03-05`.
        is_said: whether a form is said.
    """
    try:
        wanted = date.fromisoformat(day)
    except ValueError:
        return
    for by in _BY_FORMS:
        form = f"{BY}:{by}"
        if is_said(form):
            try:
                yield form, _moved_by(wanted, f"{'-' if by[0] == '+' else '+'}{by[1:]}").isoformat()
            except (ValueError, OverflowError):
                continue
