"""Of which sorts a user's message names the very value: a mail address, a phone number, an id of some form.

**Idea.** Who says "my new number is 555-0177" has said which number. If a call has another one, and only text by others
holds that, they have put theirs in its place. The gate has only digests of what the user said, but the call in clear.
So the agent's runtime states the sorts of which the message names a value, in the place of kinds of acts
(`names:id:a-0`), and the gate compares the forms.

Nothing is stated where the user leaves values to a content: the right one may stand there. Nor of the id of what may be
one: "the order in m-7001", "ticket T-31". A form keeps which signs part an id (`HV-1002` is `a-0`), so a customer's
number is not taken for that of his booking.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from streams.provenance.atoms.found import AtomKind, Shape
from streams.provenance.atoms.shapes import shapes_in
from streams.provenance.requests.object_named import is_pointed_at, is_thing

NAMES = "names:"
SORTS_MAX = 8
"""Sorts of a message. Further ones are left out, so that less is denied."""
_CHARS_MAX = 4_000
_OF_FORMS = (AtomKind.PHONE, AtomKind.ACCOUNT, AtomKind.ID)
_BEFORE_CHARS = 24
_LETTERS = re.compile(r"[^\W\d_]+")
_DIGITS = re.compile(r"\d+")


def sorts_in(text: str) -> tuple[str, ...]:
    """Return the sorts of the addresses, numbers and ids in a text, in the order in which they stand.

    Args:
        text: a message or an argument; what is beyond 4,000 characters is not read.
    """
    text = text[:_CHARS_MAX]
    found = sorted_shapes(text, shapes_in(text, loose=True)[0], is_pointed_at)
    return tuple(dict.fromkeys(sort for sort, _ in found if sort))


def sorted_shapes(text: str, shapes: Iterable[Shape], is_content: Callable[[str], bool]) -> Iterator[tuple[str, Shape]]:
    """Yield the values of a text, each with its sort: none if no form tells it from others, or it may name a content.

    Args:
        text: the text.
        shapes: all of its shapes.
        is_content: returns whether the words before an id say that it is that of a content.
    """
    for shape in shapes:
        if not shape.part:
            before = text[max(0, shape.start - _BEFORE_CHARS) : shape.start]
            yield _sort_of(shape.kind, text[shape.start : shape.end], before, is_content), shape


def _sort_of(kind: AtomKind, written: str, before: str, is_content: Callable[[str], bool]) -> str:
    if kind is AtomKind.ADDRESS:
        return kind.value
    if kind not in _OF_FORMS:
        return ""
    # A few digits may be those of a house or a year.
    if kind is AtomKind.ID and (written.isdigit() or is_content(before) or not is_thing(before.split(" ")[-2:][0])):
        return ""
    return f"{kind.value}:{_DIGITS.sub('0', _LETTERS.sub('a', written))}"
