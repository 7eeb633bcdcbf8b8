"""Given names of persons in records, so that who speaks of "Owen" points at the record of `Owen Pryce`.

**Idea.** People call each other by their given names. The gate knows only digests of what a record holds, so the
agent's runtime states the given name of a field that names somebody once more, at a place of its own below that field.
The gate uses it for nothing but to see which record the user speaks of, and only where no other record of the content
has another person of that name. It is never kept: that others are called so says nothing about a call.
"""

from __future__ import annotations

import re

from streams.provenance.acts.words import FORMS, REQUEST_KINDS, TOOL_VERBS
from streams.provenance.atoms.dates import MONTHS
from streams.provenance.tools.places import words_of
from streams.provenance.words import STOP_WORDS, listed, short_value, singular, text_value

GIVEN = "~given"
"""The last step of the place of a given name. No member of a value has such a name: its `~` would be escaped."""
_PERSONS = listed(
    "name from with by to sender author owner assignee reviewer contact customer client buyer seller person participant"
    " attendee guest member user student rider driver patient tenant employee teacher recipient passenger colleague"
)
_COMMON = (STOP_WORDS, FORMS, TOOL_VERBS, REQUEST_KINDS, MONTHS)
_FULL_NAME = re.compile(
    r"(?P<given>[^\W\d_]{2,24}(?:-[^\W\d_]{2,24})?)(?: [^\W\d_](?:[^\W\d_]|['\u2019-](?=\w)){0,24}\.?){1,3}\Z"
)


def given_name(text: str, field: str) -> str:
    """Return the given name of the person whom a field names, in canonical form; empty if it names nobody in full.

    A name that is a common word as well says nothing: who has an order marked has not mentioned `Mark Reed`.

    Args:
        text: the field.
        field: its name.
    """
    match = _FULL_NAME.match(text)
    if match is None or not all(part[0].isupper() for part in text.split(" ")):
        return ""
    words, given = words_of(field), match["given"]
    if not words or singular(words[-1]) not in _PERSONS or any(given.lower() in each for each in _COMMON):
        return ""
    return text_value(given) or short_value(given)
