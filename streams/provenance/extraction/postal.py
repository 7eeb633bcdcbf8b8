"""Postal addresses on one line whose street, postcode and town are fields of their own elsewhere.

A profile holds `{"street": "Sandgata 12", "postcode": "5003", "city": "Bergen"}`, and a tool takes "Sandgata 12, 5003
Bergen". That is as good as three arguments with these values: it comes from where the worst of them comes from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from streams.model.verdict import ValueOrigin
from streams.provenance.atoms.found import AtomKind, Found
from streams.provenance.extraction.arguments import extract_part
from streams.provenance.sources.memory import Seen
from streams.provenance.sources.origins import Look, Traced, trace

CHARS_MAX = 128
PIECES_MAX = 5
CODE_DIGITS_MAX = 6
_COMMA = re.compile(r"\s*[,;\n]\s*")
_CODE_FIRST = re.compile(r"(?P<code>(?=\S{0,11}\d)[A-Z0-9-]{3,12})\s+(?P<town>\S.*)\Z")
_CODE_NAMES = ("postcode", "postal", "post", "zip", "zipcode", "plz", "cp")
"""What the names of fields with postcodes become: that of `postal_code` is `postal`."""
_POINTED = Seen.POINTED | Seen.OWN
_ORDER = (ValueOrigin.FIELD, ValueOrigin.TRUSTED, ValueOrigin.USER)


def assembled(text: str, look: Look) -> Traced | None:
    """Return where an address on one line comes from; None if a piece of it is neither the user's, nor trusted, nor a
    field of a record that he has pointed at.

    Args:
        text: the address, with commas between its pieces.
        look: finds values in what the conversation has shown.
    """
    pieces = _COMMA.split(text) if len(text) <= CHARS_MAX else []
    if not 1 < len(pieces) <= PIECES_MAX:
        return None
    seen: list[Traced] = []
    for piece in pieces:
        sources = _sources(piece, look)
        if not sources:
            return None
        seen += sources
    flags = calls_for = 0
    for each in seen:
        flags |= each.flags
        calls_for |= each.calls_for
    worst = min(seen, key=lambda each: _ORDER.index(each.origin))
    return Traced(worst.origin, flags, worst.entry, calls_for)


def _sources(piece: str, look: Look) -> Sequence[Traced]:
    """Return where a piece comes from, or a postcode and the town behind it; nothing if that is not good enough."""
    whole = trace([*_codes(piece)], look)
    if _is_good(whole):
        return (whole,)
    match = _CODE_FIRST.match(piece)
    if match is None:
        return ()
    both = trace([*_codes(match["code"])], look), trace(extract_part(match["town"]), look)
    return both if all(map(_is_good, both)) else ()


def _codes(code: str) -> Iterator[Found]:
    """Yield how a postcode reads: one of digits is a number of a field that is called so."""
    if code.isdigit() and len(code) <= CODE_DIGITS_MAX:
        for name in _CODE_NAMES:
            yield Found(AtomKind.NUMBER, f"{name}:{code}")
    else:
        yield from extract_part(code)


def _is_good(seen: Traced) -> bool:
    if seen.origin is ValueOrigin.FIELD:
        return bool(seen.flags & _POINTED)
    return seen.origin is ValueOrigin.TRUSTED or seen.origin is ValueOrigin.USER
