"""What a number in a text can mean: an amount, a date, a phone or account number, or a count or an id of a thing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from streams.provenance.atoms.amounts import AMOUNT, CURRENCIES, amounts_in, is_money
from streams.provenance.atoms.dates import MONTHS, date_at
from streams.provenance.atoms.decimals import decimal_value
from streams.provenance.atoms.found import AtomKind, Numeric
from streams.provenance.words import STOP_WORDS, UNTYPED, names_an_id, names_several, singular, thing_of

_BEFORE_CHARS_MAX = 64
_LONG_DIGITS_MIN = 7
_SPACED_DIGITS_MIN = 9
_LONG_DIGITS_MAX = 19
_ID_DIGITS_MIN = 5
ORDERED = "?"
"""The thing of a number without a currency in an instruction. No field and no word has this name."""
WORKED_OUT = f"{ORDERED}:*"
"""Stands for the number that an order only says how to work out."""
COUNTED = "+"
"""Behind a thing: how many of it there are. No field and no word ends so."""
_LONG = re.compile(r"\+?\(?\d(?:[ ().\-/]{0,2}\d){6,18}(?!\w)")
_PLAIN = re.compile(r"#?(\d{1,19})(?![\w]|[.,:]\d)")
_WORD_BEHIND = re.compile(r" ?([^\W\d_]{2,24})(?!\w)")
"""The word behind a number, which may be what it counts."""
UNITS = {"gb": "gigabyte", "mb": "megabyte", "tb": "terabyte", "kwh": "kwh", "km": "kilometer", "kg": "kilogram"}
"""Units as they are written, and what the arguments are called that state them."""
_BARE = re.compile(r"[0-9]+(?:\.[0-9]+)?\Z")
"""Digits alone, or with one point. A short one is neither a date nor a time, and too short for an account."""
_BEFORE_WORD = re.compile(r"[^\W_]+|#")


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
    found = date_at(text, start, before) or _long_at(text, start)
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
    amount = AMOUNT.match(text, start)
    if amount is not None and not (field and names_an_id(field)):
        values, amount_end = amounts_in(amount, before, loose=loose or is_money(field))
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
    is_noun = lowered not in STOP_WORDS and lowered not in CURRENCIES and names_several(lowered)
    unit = UNITS.get(lowered) or (singular(lowered) if is_noun else "")
    return f"{unit}{COUNTED}" if unit else ""


def _counts(field: str, thing: str) -> bool:
    """Return whether an argument says by its name how many of a thing there are."""
    return not names_an_id(field) and (names_several(field) or thing in UNITS.values())


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
