"""Numbers: amounts, dates, times, phone and account numbers, and short numbers with the thing that they name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from streams.provenance.atoms.found import AtomKind
from streams.provenance.words import STOP_WORDS, UNTYPED, listed, names_an_id, names_several, singular, thing_of

_BEFORE_CHARS_MAX = 64
_LONG_DIGITS_MIN = 7
_SPACED_DIGITS_MIN = 9
_LONG_DIGITS_MAX = 19
_ID_DIGITS_MIN = 5
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
_SHORT_MONTH_NAMES = (
    *("ene gen janv", "fev févr fevr", "mär maa", "abr avr", "mag", "giu"),
    *("lug juil", "aoû", "", "okt ott", "", "dez dic déc"),
)
"""Short names of other languages than English, in which the day stands before the month. Not `ago`, `set` and `out`,
which are words."""
"""The names of months in the languages that requests are read in. None of them is a name in one for another month."""
_LONG_MONTHS = {name: number for number, names in enumerate(_MONTH_NAMES, 1) for name in names.split()}
MONTHS = _LONG_MONTHS | {name: number for number, names in enumerate(_SHORT_MONTH_NAMES, 1) for name in names.split()}
_BEFORE_DAYS = frozenset(_LONG_MONTHS) - {"marco"}
"""Names that also stand before the day ("May 25"), but not `marco`, which names people, too: "pay Marco 25"."""
CURRENCY_SIGNS = {"$": "usd", "€": "eur", "£": "gbp", "¥": "jpy", "₹": "inr"}
CURRENCY_CODES = listed(
    "aed ars aud bdt bgn brl cad chf clp cny cop czk dkk egp eur gbp hkd huf idr ils inr jpy kes krw kwd mad "
    "mxn myr ngn nok nzd pen php pkr pln ron rub sar sek sgd thb try twd uah usd vnd zar btc eth usdt usdc"
)
_CURRENCIES = {
    **{code: code for code in CURRENCY_CODES},
    "dollar": "usd", "dollars": "usd", "euro": "eur", "euros": "eur", "pound": "gbp", "pounds": "gbp", "yen": "jpy",
    "rupees": "inr", "bucks": "usd",
}  # fmt: skip
_MONEY_FIELDS = listed(
    "amount price total cost fee sum balance subtotal tax charge payment refund deposit salary budget limit value"
)

ORDERED = "?"
"""The thing of a number without a currency in an instruction. No field and no word has this name."""
WORKED_OUT = f"{ORDERED}:*"
"""Stands for the number that an order only says how to work out."""
COUNTED = "+"
"""Behind a thing: how many of it there are. No field and no word ends so."""
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
_LONG = re.compile(r"\+?\(?\d(?:[ ().\-/]{0,2}\d){6,18}(?!\w)")
_AMOUNT = re.compile(
    r"([-+]?)([$€£¥₹]?) ?(\d{1,3}(?:[,'. ]\d{3}){1,5}(?:[.,]\d{1,8})?(?!\d)|\d{1,18}(?!\d)(?:[.,]\d{1,8})?)"
    r"(?: ?([$€£¥₹]|[^\W\d_]{3,7}))?"
)
_CENTS = re.compile(r"[.,]\d\d\Z")
"""Two digits behind a point make an amount, also if they are zeros."""
_PLAIN = re.compile(r"#?(\d{1,19})(?![\w]|[.,:]\d)")
_WORD_BEHIND = re.compile(r" ?([^\W\d_]{2,24})(?!\w)")
"""The word behind a number, which may be what it counts."""
UNITS = {"gb": "gigabyte", "mb": "megabyte", "tb": "terabyte", "kwh": "kwh", "km": "kilometer", "kg": "kilogram"}
"""Units as they are written, and what the arguments are called that state them."""
_BARE = re.compile(r"[0-9]+(?:\.[0-9]+)?\Z")
"""Digits alone, or with one point. A short one is neither a date nor a time, and too short for an account."""
_BEFORE_WORD = re.compile(r"[^\W_]+|#")


_DATE = AtomKind.DATE
"""Each look at a member of an enumeration costs as much as a call (ADR 0094)."""


_Readings = tuple[tuple[AtomKind, str], ...]


class Numeric(NamedTuple):
    """A number in a text: what it can mean, and where it is. Of `parts`, each leaves something out."""

    readings: _Readings
    start: int
    end: int
    parts: _Readings = ()


def numeric_at(text: str, start: int, *, field: str = "", loose: bool = False, ordered: bool = False) -> Numeric | None:
    """Return the number that begins at `start`, or None if none does.

    Args:
        text: the text.
        start: where a token begins.
        field: the name of the field whose value the text is.
        loose: whether a bare number is an amount, too.
        ordered: whether it stands in an instruction, so that it may be one: "send him 90". That states no amount.
    """
    if not start and len(text) < _LONG_DIGITS_MIN and _BARE.match(text):
        return _short_at(text, 0, "", (), field=field, loose=loose)
    if not text[start : start + 4].strip("+-(#$€£¥₹ .")[:1].isdigit():
        return None
    words = _words_before(text, start)
    before = next(words, "")
    found = _date_at(text, start, before) or _long_at(text, start)
    if found is not None:
        return found
    return _short_at(text, start, before, words, field=field, loose=loose, ordered=ordered)


def _words_before(text: str, start: int) -> Iterator[str]:
    """Yield the words close before a place, the nearest one first. Hardly any number needs more than two of them."""
    for match in _BEFORE_WORD.finditer(text[max(0, start - _BEFORE_CHARS_MAX) : start][::-1]):
        yield match.group()[::-1].lower()


def short_number(text: str, field: str) -> Sequence[tuple[AtomKind, str]] | None:
    """Return the readings of a number of JSON, as `numeric_at` has them; None if it is not a short one.

    Args:
        text: the number, in its exact decimal form.
        field: the argument whose value it is.
    """
    if len(text) >= _LONG_DIGITS_MIN or not text.replace(".", "", 1).isdigit():
        return None
    amounts = () if field and names_an_id(field) else ((AtomKind.AMOUNT, text),)
    if "." in text:
        return amounts or None
    readings = [(AtomKind.NUMBER, f"{thing}:{text}") for thing in _things(text, 0, (), field, loose=True)]
    if len(text) >= _ID_DIGITS_MIN:
        readings.append((AtomKind.ID, text))
    return [*readings, *amounts]


def _date_at(text: str, start: int, before: str) -> Numeric | None:
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
def _possible(days: tuple[tuple[int, int, int], ...], time: str) -> tuple[_Readings, _Readings]:
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


def _dates(values: list[str]) -> _Readings:
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


def _long_at(text: str, start: int) -> Numeric | None:
    match = _LONG.match(text, start)
    if match is None:
        return None
    written = match.group()
    digits = "".join(filter(str.isdigit, written.replace("(0)", "")))
    shortest = _SPACED_DIGITS_MIN if " " in written else _LONG_DIGITS_MIN
    if not shortest <= len(digits) <= _LONG_DIGITS_MAX:
        return None
    is_abroad = written.startswith(("+", "(+", "00"))
    digits = digits.removeprefix("00") if is_abroad else digits
    readings = [(AtomKind.ACCOUNT, digits)]
    if is_abroad:
        readings.append((AtomKind.PHONE, digits))
    return Numeric(tuple(readings), match.start(), match.end())


def _short_at(
    text: str,
    start: int,
    before: str,
    earlier: Iterable[str],
    *,
    field: str,
    loose: bool,
    ordered: bool = False,
) -> Numeric | None:
    readings: list[tuple[AtomKind, str]] = []
    end = start
    plain = _PLAIN.match(text, start)
    if plain is not None:
        digits, end = plain.group(1).lstrip("0") or "0", plain.end()
        things = _things(text, start, chain((before,), earlier) if before else (), field, loose=loose)
        if not loose and (counted := _WORD_BEHIND.match(text, end)) is not None:
            # Each number that the user says is an amount anyway.
            things = [*things, _counted_thing(counted.group(1))]
        readings = [(AtomKind.NUMBER, f"{thing}:{digits}") for thing in dict.fromkeys(filter(None, things))]
        if len(digits) >= _ID_DIGITS_MIN:
            readings.append((AtomKind.ID, digits))
    amount = _AMOUNT.match(text, start)
    if amount is not None and not (field and names_an_id(field)):
        values, amount_end = _amounts(amount, before, loose=loose or _is_money(field))
        if ordered and not values:
            values, amount_end = [(AtomKind.NUMBER, f"{ORDERED}:{decimal_value(amount.group(3))}")], amount.end(3)
        readings += values
        end = max(end, amount_end)
    if end == start:
        return None
    return Numeric(tuple(readings), start, end)


def _counted_thing(word: str) -> str:
    """Return what a number in front of a word counts: bags of "9 bags"; empty if the word is not a plural or a unit.

    It is another thing than that of an id: "17 orders" names no order 17.
    """
    lowered = word.lower()
    is_noun = lowered not in STOP_WORDS and lowered not in _CURRENCIES and names_several(lowered)
    unit = UNITS.get(lowered) or (singular(lowered) if is_noun else "")
    return f"{unit}{COUNTED}" if unit else ""


def _counts(field: str, thing: str) -> bool:
    """Return whether an argument says by its name how many of a thing there are."""
    return not names_an_id(field) and (names_several(field) or thing in UNITS.values())


def _is_money(field: str) -> bool:
    thing = thing_of(field) if field else ""
    return thing in _MONEY_FIELDS or thing in _CURRENCIES


def _things(text: str, start: int, before: Iterable[str], field: str, *, loose: bool) -> list[str]:
    """Return what a number in a text names: by the words before it, or by the field if it is the whole field.

    An argument's id may come from a record that only says `id`; so it has that reading as well. A record that says what
    it is has no such reading: its number would be that of everything else.

    Args:
        text: the text.
        start: where the number begins.
        before: the words before it, the nearest one first; an empty tuple if there are none.
        field: the name of the field, if the text is one.
        loose: whether it stands in arguments, or in what the user says.
    """
    if not before:
        if start or not field:
            return [UNTYPED] if field or text[start] == "#" else []
        thing = thing_of(field) or UNTYPED
        if loose and thing != UNTYPED and _counts(field, thing):
            return [thing, f"{thing}{COUNTED}"]
        return [thing, UNTYPED] if loose and thing != UNTYPED and names_an_id(field) else [thing]
    things = []
    for word in before:
        if word == "#" or word.isdigit() or word in ("and", "or", "with", "the", "of", "is", "has", "s"):
            continue
        thing = thing_of(word)
        if thing == UNTYPED:
            things.append(UNTYPED)
            continue
        if thing and word not in STOP_WORDS and word not in MONTHS:
            things.append(thing)
        break
    return list(dict.fromkeys(things))


def _amounts(match: re.Match[str], before: str, *, loose: bool) -> tuple[list[tuple[AtomKind, str]], int]:
    """Return the readings of a number as an amount, and where it ends."""
    sign, mark, number, unit = match.groups()
    value = decimal_value(number)
    currency = CURRENCY_SIGNS.get(mark) or _CURRENCIES.get(before)
    end = match.end(3)
    if unit and (after := CURRENCY_SIGNS.get(unit) or _CURRENCIES.get(unit.lower())):
        currency, end = currency or after, match.end(4)
    if sign == "-" and value != "0":
        value = f"-{value}"
    if currency:
        return [(AtomKind.AMOUNT, f"{value} {currency}"), (AtomKind.AMOUNT, value)], end
    if loose or "." in value or _CENTS.search(number):
        return [(AtomKind.AMOUNT, value)], end
    return [], match.start()


def decimal_value(number: str) -> str:
    """Return a number's exact decimal form: without separators of thousands, and without zeros at its ends."""
    if number.isdigit():
        return number.lstrip("0") or "0"
    last = max(number.rfind("."), number.rfind(","))
    marks = sum(number.count(mark) for mark in ".,")
    fraction = number[last + 1 :] if last >= 0 else ""
    is_group = len(fraction) == 3 and (marks > 1 or number[last] == ",") if last >= 0 else False
    if last < 0 or is_group:
        whole, fraction = number, ""
    else:
        whole = number[:last]
    digits = "".join(filter(str.isdigit, whole)).lstrip("0") or "0"
    fraction = fraction.rstrip("0")
    return f"{digits}.{fraction}" if fraction else digits


def plain_number(value: int | float) -> str:
    """Return a number of JSON as its exact decimal form."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return repr(value)
