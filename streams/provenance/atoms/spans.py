"""Spans of a text that may be values although they have no shape: what is quoted, joined, or written with capitals."""

from __future__ import annotations

import re
from collections.abc import Iterator

from streams.provenance.words import STOP_WORDS

_JOINED_CHARS_MAX = 32
_JOINED = re.compile(rf"[^\W_]{{2,{_JOINED_CHARS_MAX}}}+(?:[-_][^\W_]{{1,{_JOINED_CHARS_MAX}}}+){{1,8}}")
_JOINING = re.compile(r"[-_](?<=[^\W_]{2}[-_])(?=[^\W_])")
_WORD_TO_THE_LEFT = re.compile(rf"[^\W_]{{2,{_JOINED_CHARS_MAX}}}")
_QUOTE_MARK = re.compile("[\"'`\u201c\u201e\u2018\u00ab]")
_QUOTED = re.compile(
    r"\"([^\"\n]{2,160})\"|(?<!\w)'([^'\n]{2,160})'(?!\w)|`([^`\n]{2,160})`|[\u201c\u201e]([^\u201d\n]{2,160})\u201d"
    r"|\u2018([^\u2019\n]{2,160})\u2019|\u00ab([^\u00bb\n]{2,160})\u00bb"
)
_CAPITAL = r"(?:[A-Z\u00c0-\u00de\u0391-\u03a9\u0410-\u042f][\w'-]{1,40})"
_NAME = re.compile(rf"{_CAPITAL}(?: (?:(?:of|de|van|von|der|the|la|le|bin|al|and|&) )?{_CAPITAL}){{0,5}}")


def quoted(text: str) -> Iterator[tuple[int, str]]:
    """Yield what stands in quotes, with its place."""
    position = 0
    while mark := _QUOTE_MARK.search(text, position):
        match = _QUOTED.match(text, mark.start())
        if match is None:
            position = mark.end()
        else:
            yield match.start(), match.group(match.lastindex or 0)
            position = match.end()


def joined_words(text: str) -> Iterator[tuple[int, str]]:
    """Yield words that are joined by a sign, with their places. Signs are rare, and so are found sooner than words."""
    position = 0
    while sign := _JOINING.search(text, position):
        place = sign.start()
        left = _WORD_TO_THE_LEFT.match(text[max(position, place - _JOINED_CHARS_MAX) : place][::-1])
        match = None if left is None else _JOINED.match(text, place - left.end())
        if match is None:
            position = place + 1
        else:
            yield match.start(), match.group()
            position = match.end()


def names(text: str, starts: frozenset[int]) -> Iterator[tuple[int, str]]:
    """Yield what is written with capitals, with its place. A single word at the start of a sentence says nothing."""
    for match in _NAME.finditer(text):
        place, name = match.start(), match.group()
        is_inside = place > 0 and (text[place - 1].isalnum() or text[place - 1] == "_")
        if not is_inside and (" " in name or place not in starts):
            yield place, name


def without_stop_words(span: str) -> str:
    """Return a span without the words at its start that say nothing."""
    words = span.split(" ")
    while words and words[0].lower() in STOP_WORDS:
        words = words[1:]
    return " ".join(words)
