"""Texts that are an address, an id or a path of a usual form, and nothing else.

Most values are written so. Each form is one expression without a place to go back to, and finds what `shapes` finds
later and with more work.
"""

from __future__ import annotations

import re

from streams.provenance.atoms.addresses import host_value
from streams.provenance.atoms.found import AtomKind, Shape
from streams.provenance.atoms.ids_and_files import ID_CHARS_MIN
from streams.provenance.atoms.run_on import name_before_sentence

_ADDRESS, _HOST, _ID = AtomKind.ADDRESS, AtomKind.HOST, AtomKind.ID
"""Each look at a member of an enumeration costs as much as a call."""
_USUAL_ADDRESS = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._+-]{0,61}+(?<=[A-Za-z0-9])"
    r"@(?:(?:[A-Za-z0-9-]{1,63}+\.){1,8}+[A-Za-z]{2,63}|[A-Za-z0-9-]{2,63}+(?<=[A-Za-z0-9]))\Z"
)
"""A text that is an address of a usual form and nothing else. No part of it has a place to go back to."""
_USUAL_ID = re.compile(r"([A-Za-z]{3,8})[-_]?([0-9]{1,11})\Z")
"""A text of letters and digits that make an id, and of nothing else."""
_USUAL_PATH = re.compile(r"(?:/[A-Za-z0-9](?:[A-Za-z0-9._-]{0,60}[A-Za-z0-9])?){1,16}\Z")
"""A text that is a whole path from the root, whose names begin and end with letters or digits."""


def shapes_of_usual(kind: AtomKind, value: str, first: int, last: int) -> list[Shape]:
    """Return what a text of a usual form holds: the value, and the host of an address."""
    shape = Shape(kind, value, first, last)
    if kind is _ADDRESS:
        host = value[value.index("@") + 1 :]
        if "." in host:
            return [shape, Shape(_HOST, host, first, last, True)]
    return [shape]


def usual_value(text: str) -> tuple[AtomKind, str] | None:
    """Return the kind and canonical form of a text that is an address of a usual form, or letters with digits behind
    them, and nothing else; None for any other text. It is how all of the text reads, and the only reading of all of it.
    """
    if "@" not in text:
        usual = _USUAL_ID.match(text)
        return None if usual is None else (_ID, "".join(usual.groups()).lower())
    if _USUAL_ADDRESS.match(text) is None or (not text.islower() and name_before_sentence(text)):
        return None
    value = text.lower()
    if "@www." in value or "xn--" in value:
        local, _, domain = value.partition("@")
        value = f"{local}@{host_value(domain)}"
    return _ADDRESS, value


def usual_path(text: str) -> str | None:
    """Return the canonical form of a text that is a path of a usual form and nothing else; None for any other text.

    It is the only reading of all of it. In it, only the last name is a value by itself.
    """
    return text.lower() if len(text) >= ID_CHARS_MIN and _USUAL_PATH.match(text) is not None else None
