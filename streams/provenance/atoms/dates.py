"""Dates and times that are written in numbers, with the names of months: "3 May 2026", "18:30"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from streams.provenance.atoms.found import AtomKind, Numeric, Readings

_YEAR_DIGITS = 4
_DAY_DIGITS_MAX = 2
_NOON = 12
DATES_CACHED_MAX = 1_024
_AFTER_NO_DATE = frozenset(("", *",;\"')]}\n"))
"""Signs behind a number, or its end, that are in no date and in no time."""
_LAST_CENTURY_FROM = 30
"""Two digits from which on a year can be one of the last century."""
_MONTH_NAMES = (
    "jan january januar janvier enero janeiro gennaio januari",
    "feb february februar février fevrier febrero fevereiro febbraio februari",
    "mar march märz maerz mars marzo março marco maart",
    "apr april avril abril aprile",
    "may mai mayo maio maggio mei",
    "jun june juni juin junio junho giugno",
    "jul july juli juillet julio julho luglio",
    "aug august août aout agosto augustus augusti",
    "sep sept september septembre septiembre setembro settembre",
    "oct october oktober octobre octubre outubro ottobre",
    "nov november novembre noviembre novembro",
    "dec december dezember décembre decembre diciembre dezembro dicembre",
)
"""The names of months in the languages that requests are read in. None of them is a name in one for another month."""
_SHORT_MONTH_NAMES = (
    *("ene gen janv", "fev févr fevr", "mär maa", "abr avr", "mag", "giu"),
    *("lug juil", "aoû", "", "okt ott", "", "dez dic déc"),
)
"""Short names of other languages than English, in which the day stands before the month. Not `ago`, `set` and `out`,
which are words."""
_LONG_MONTHS = {name: number for number, names in enumerate(_MONTH_NAMES, 1) for name in names.split()}
MONTHS = _LONG_MONTHS | {name: number for number, names in enumerate(_SHORT_MONTH_NAMES, 1) for name in names.split()}
_BEFORE_DAYS = frozenset(_LONG_MONTHS) - {"marco"}
"""Names that also stand before the day ("May 25"), but not `marco`, which names people, too: "pay Marco 25"."""
_FEW_DIGITS = re.compile(r"\d{1,5}")
"""One more than a year has. To look further would take quadratic time in a text that is one long number."""
_ISO = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?(?![\w-])"
)
_PARTS = re.compile(r"(\d{1,4})([./-])(\d{1,2})\2(\d{2,4})(?!\w)")
_YEAR = r"[12]\d{3}(?![-/]?\d)"
"""A year, but no postcode: "Avenida do Mar 7, 4150-001 Porto" names no day in March."""
_ORDINAL = r"(?:st|nd|rd|th|er|\.?º|°|\.)?"
_DAY_MONTH = re.compile(
    rf"(\d{{1,2}}){_ORDINAL}(?: of| de)?[ -]([^\W\d_]{{3,10}})\.?(?:(?:,| del?)?[ -]({_YEAR}))?(?!\w)"
)
_FIRST_DAY = re.compile(
    rf"(\d{{1,2}}){_ORDINAL}(?: ?[-\u2013/] ?| (?:to|until|till|through|and|or|bis|und|oder|au|et|ou|al|y|o|a|ao|e)"
    r"(?: zum| the| le| el| il)? )(?=\d)"
)
"""The first of two days of one month: "1 to 3 September", "vom 3. bis 15. April", "3-7 April"."""
_SECOND_DAY = re.compile(r"(\d{1,2})(?:st|nd|rd|th)? ?(?:-|\u2013|to|until|till|through|and|or) ?(\d{1,2})(?![\w-])")
"""The same behind the name of the month: "April 3 to 7"."""
_MONEY_FOLLOWS = re.compile(
    r"\.\d|(?:,\d{1,2})?(?: ?[$€£¥₹]| (?:eur|usd|gbp|chf|euros?|dollars?|pounds?|francs?)(?!\w))", re.IGNORECASE
)
"""What makes a number behind the name of a month an amount: "send May 25 EUR"."""
_DAY_YEAR = re.compile(rf"(\d{{1,2}})(?:st|nd|rd|th)?(?:,? ({_YEAR}))?(?!\w)")
_TIME = re.compile(
    r"(\d{1,2})(?:[:.h](\d{2}))?(?::\d{2})? ?(am|pm|a\.m\.|p\.m\.)(?!\w)"
    # "18:30", "18h30", "18 Uhr", "18.30 Uhr"
    r"|(\d{1,2})(?::(\d{2})(?::\d{2})?|h(\d{2})|(?:[.:](\d{2}))? Uhr)(?!\w)",
    re.IGNORECASE,
)
_DATE = AtomKind.DATE
"""Each look at a member of an enumeration costs as much as a call (ADR 0094)."""


def date_at(text: str, start: int, before: str) -> Numeric | None:
    """Return the date or the time that begins at a digit of a text, or None if none does.

    Args:
        text: the text.
        start: where the digit is.
        before: the word before it, in lower case.
    """
    digits = _FEW_DIGITS.match(text, start)
    count = 0 if digits is None else digits.end() - start
    # INVARIANT: each form begins with one of these counts of digits, and another sign behind them.
    if count > _YEAR_DIGITS or not count:
        return None
    match = _ISO.match(text, start) if count == _YEAR_DIGITS else None
    if match is not None:
        year, month, day, hour, minute = match.groups()
        return _dated(match, [(int(year), int(month), int(day))], f"T{int(hour):02d}:{minute}" if hour else "")
    ends = text[start + count : start + count + 1] in _AFTER_NO_DATE
    match = None if ends else _PARTS.match(text, start)
    if match is not None:
        first, _, second, third = match.groups()
        if len(first) == _YEAR_DIGITS:
            return _dated(match, [(int(first), int(second), int(third))])
        days = [
            day
            for year in _years(third)
            for day in dict.fromkeys(((year, int(second), int(first)), (year, int(first), int(second))))
        ]
        return _dated(match, days)
    if count > _DAY_DIGITS_MAX:
        return None
    found = None if ends else _day_and_month(text, start)
    if not ends and found is None and (first := _FIRST_DAY.match(text, start)) is not None:
        found = _day_and_month(text, first.end(), first.group(1))
    if found is not None:
        return found
    if before in _BEFORE_DAYS:
        match = _DAY_YEAR.match(text, start)
        if match is not None and _MONEY_FOLLOWS.match(text, match.end()) is None:
            second = _SECOND_DAY.match(text, start)
            numbers = (match.group(1),) if second is None else second.groups()
            return _dated(match, [(int(match.group(2) or 0), MONTHS[before], int(day)) for day in numbers])
    return None if ends else _time_at(text, start)


def _day_and_month(text: str, start: int, first: str = "") -> Numeric | None:
    """Return the day of a month that begins at a place, with a first day of the same month that stands before it."""
    match = _DAY_MONTH.match(text, start)
    if match is None or match.group(2).lower() not in MONTHS:
        return None
    days = [each for each in (first, match.group(1)) if each]
    return _dated(match, [(int(match.group(3) or 0), MONTHS[match.group(2).lower()], int(day)) for day in days])


def _years(written: str) -> tuple[int, ...]:
    """Return the years that digits can stand for: with two of them, one of this century, or of birth in the last."""
    if len(written) == _YEAR_DIGITS:
        return (int(written),)
    if len(written) != _DAY_DIGITS_MAX:
        return (0,)
    short = int(written)
    return (2000 + short,) if short < _LAST_CENTURY_FROM else (2000 + short, 1900 + short)


def _dated(match: re.Match[str], days: Sequence[tuple[int, int, int]], time: str = "") -> Numeric | None:
    """Return the dates that are possible in a match."""
    readings, parts = _possible(tuple(days), time)
    return Numeric(readings, match.start(), match.end(), parts) if readings else None


@lru_cache(DATES_CACHED_MAX)
def _possible(days: tuple[tuple[int, int, int], ...], time: str) -> tuple[Readings, Readings]:
    """Return the dates that are possible; without their year and time they are parts, which a text may leave out."""
    readings: list[str] = []
    parts: list[str] = []
    for year, month, day in days:
        if not (1 <= month <= 12 and 1 <= day <= 31):
            continue
        short = f"--{month:02d}-{day:02d}"
        date = f"{year:04d}-{month:02d}-{day:02d}" if year else short
        readings.append(date + time)
        parts += [date] if time else []
        parts += [short] if year else []
    if readings and time:
        parts.append(time)
    return _dates(readings), _dates(parts)


def _dates(values: list[str]) -> Readings:
    return tuple([(_DATE, value) for value in dict.fromkeys(values)])


def _time_at(text: str, start: int) -> Numeric | None:
    match = _TIME.match(text, start)
    if match is None:
        return None
    hour, minute, half, other_hour, *other_minutes = match.groups()
    hours, minutes = int(hour or other_hour), int(next(filter(None, (minute, *other_minutes)), 0))
    if half and hours <= _NOON:
        hours = hours % _NOON + (_NOON if half[0] in "pP" else 0)
    if hours > 24 or minutes > 59:
        return None
    return Numeric(((AtomKind.DATE, f"T{hours:02d}:{minutes:02d}"),), match.start(), match.end())
