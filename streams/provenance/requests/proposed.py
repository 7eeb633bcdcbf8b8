"""What the agent says it would do: the values in an output of its model, each with its sort.

**Idea.** At a desk, the agent says what it would do ("refund 42 EUR to HV-1004?"), and acts once the customer has said
yes. An act with another booking, day or amount, which only text by others names, is not what was agreed to. The gate
has digests of the output but the call in clear, so the agent's runtime states of which sort each value is, in the
place of a path: an amount of money, a count, a day, a time of day, an address or an id of some form (`/sort/id:a-0`).
Names of several words ("Spa Day Package") tell which records are meant. A value that the output only
mentions has no sort (`streams.provenance.requests.proposing`): the agent has not said that it would use it.

What the agent says makes no value trusted, because text that steers it can have it say anything.

Where only words describe a day ("tomorrow", "on Friday"), nobody knows which one it is, so no day is stated.

**Rejected.** All words, as of the user's messages: nine in ten values of an output would be words, and no rule needs
them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from streams.provenance.atoms.arithmetic import numbers_in_words
from streams.provenance.atoms.found import AtomKind, Extraction, Found, Shape
from streams.provenance.atoms.shapes import shapes_in
from streams.provenance.requests.object_named import is_cited
from streams.provenance.requests.proposing import Span, proposing_spans
from streams.provenance.requests.sorts_named import sorted_shapes
from streams.provenance.words import listed, text_value

SORT_PATH = "/sort/"
PROPOSED_MAX = 128
"""Values of all outputs that a user answers. Of a proposal with more, nothing is known."""
OUTPUT_CHARS_MAX = 16_384
"""Nobody asks a person in an output that is longer."""

MONEY, COUNT, DAY, TIME, NAME, MENTIONED = "money", "count", "day", "time", "name", "mentioned"
"""Sorts. `MENTIONED` is a name that is only mentioned."""
_AMOUNT, _DATE, _TEXT = AtomKind.AMOUNT, AtomKind.DATE, AtomKind.TEXT
_BEFORE_CHARS, _BEHIND_CHARS = 16, 2
"""A day of the week so near before a date ("Friday, September 26") or behind it is that of the date."""
_RELATIVE_DAY = re.compile(
    r"\b(?:today|tonight|tomorrow|yesterday|later|earlier|next (?:day|week|month|year)|heute|morgen|gestern"
    r"|sp\w{1,2}ter|fr\w{1,2}her|n\w{1,2}chste\w*|aujourd|demain|hier|prochaine?|hoy|ma(?:\u00f1|n)ana|pr(?:\u00f3|o)xim\w"
    r"|hoje|amanh(?:\u00e3|a)|oggi|domani|prossim\w|jutro|dzisiaj)\b",
    re.IGNORECASE,
)
_WEEKDAY = re.compile(
    r"\b(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day|(?:mon|diens|donners|frei|sams|sonn)tag|mittwoch|lundi|mardi"
    r"|mercredi|jeudi|vendredi|samedi|dimanche|lunes|martes|mi(?:\u00e9|e)rcoles|jueves|viernes|s(?:\u00e1|a)bado|domingo"
    r"|(?:segunda|ter(?:\u00e7|c)a|quarta|quinta|sexta)-feira|(?:luned|marted|mercoled|gioved|venerd)\u00ec|sabato|domenica)\b",
    re.IGNORECASE,
)
_WORD = r"(?<![\w-])[^\W\d_a-z][^\W\d_]{1,40}"
_NAME_OF_WORDS = re.compile(rf"{_WORD}(?: {_WORD}){{1,5}}(?![\w-])")
"""Several words that begin with a capital."""
_SMALL_WORDS = listed(
    "a an and at by for in of on the to with am auf bei der die das und von zu zum au aux de des du et la le les al "
    "con del e el los y da do dos di il"
)
# Each word once: of one that stood there twice, a search would try either at each place.
_NAME_WITH_SMALL_WORDS = re.compile(
    rf"{_WORD}(?:(?: (?:{'|'.join(sorted(_SMALL_WORDS))})){{0,4}} {_WORD}){{1,5}}(?![\w-])"
)
"""The same with small words between them: "Romance by the River"."""


def extract_proposal(text: str) -> Extraction:
    """Return the values of an output of the model, each under the path of its sort.

    Args:
        text: the output. Of one that is longer than a person is asked, nothing is read.
    """
    if len(text) > OUTPUT_CHARS_MAX:
        return Extraction(complete=False)
    shapes, are_all = shapes_in(text, loose=True)
    spans = proposing_spans(text)
    put: list[Shape] = []
    others: list[Shape] = []
    for shape in shapes:
        (put if _is_within(shape.start, spans) else others).append(shape)
    asked = "\n".join(text[start:end] for start, end in spans)
    dates = [shape for shape in shapes if shape.kind is _DATE and not shape.part]
    is_open = _is_open(text, dates)
    found = [*_numbers(asked, put), *_dates(put, is_open=is_open), *_of_forms(text, put), *_names(text, spans)]
    known = {(each.kind, each.value) for each in found}
    told = (*_numbers(text, others), *_dates(others, is_open=is_open), *_of_forms(text, others))
    found += [msgspec.structs.replace(each, path=SORT_PATH) for each in told if (each.kind, each.value) not in known]
    found = list(dict.fromkeys(found))
    return Extraction(tuple(found) if len(found) <= PROPOSED_MAX else (), are_all and len(found) <= PROPOSED_MAX)


def _is_within(place: int, spans: Sequence[Span]) -> bool:
    before = bisect_right(spans, place, key=lambda span: span[0])
    return before > 0 and place < spans[before - 1][1]


def day_and_time(date: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the sorts of what a date in canonical form states, each with how it reads: its day, and its time of day."""
    day, sign, time = date.partition("T")
    if day:
        yield DAY, (day, f"-{day[4:]}") if day[0].isdigit() else (day,)
    if sign:
        yield TIME, (f"T{time}",)


def _stated(sort: str, kind: AtomKind, value: str) -> Found:
    return Found(kind, value, f"{SORT_PATH}{sort}")


def _numbers(text: str, shapes: Iterable[Shape]) -> Iterator[Found]:
    """Yield amounts of money, without their currency as well, and counts, also those in words."""
    amounts = [shape.value for shape in shapes if shape.kind is _AMOUNT and not shape.part]
    money = {value.partition(" ")[0] for value in amounts if " " in value}
    for value in amounts:
        yield _stated(MONEY if " " in value or value in money else COUNT, _AMOUNT, value)
    for value in numbers_in_words(text):
        yield _stated(COUNT, _AMOUNT, value)


def _is_open(text: str, dates: Iterable[Shape]) -> bool:
    """Return whether only words describe some day."""
    return _RELATIVE_DAY.search(text) is not None or any(
        not any(day.start() - _BEHIND_CHARS <= date.end and date.start <= day.end() + _BEFORE_CHARS for date in dates)
        for day in _WEEKDAY.finditer(text)
    )


def _dates(shapes: Iterable[Shape], *, is_open: bool) -> Iterator[Found]:
    for date in shapes:
        if date.kind is not _DATE or date.part:
            continue
        for sort, readings in day_and_time(date.value):
            # What is proposed is known by its day, but no other day is known not to be.
            stated = "" if is_open and sort == DAY else sort
            yield from (_stated(stated, _DATE, reading) for reading in readings)


def _of_forms(text: str, shapes: Iterable[Shape]) -> Iterator[Found]:
    for sort, shape in sorted_shapes(text, shapes, is_cited):
        if shape.kind is not _AMOUNT and shape.kind is not _DATE:
            yield _stated(sort, shape.kind, shape.value)


def _names(text: str, spans: Sequence[Span]) -> Iterator[Found]:
    for match in (*_NAME_OF_WORDS.finditer(text), *_NAME_WITH_SMALL_WORDS.finditer(text)):
        sort = NAME if _is_within(match.start(), spans) else MENTIONED
        # "The Spa Day Package" begins a sentence.
        words = match[0].split(" ")
        for name in (words, words[1:]):
            if len(name) > 1 and (value := text_value(" ".join(name))):
                yield _stated(sort, _TEXT, value)
