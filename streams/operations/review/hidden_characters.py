"""Characters that a reader does not see, and names that look like others: what hides in a tool's texts."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

from confusable_homoglyphs import categories

from streams.policy.errors import EvaluationError
from streams.policy.ext.lookalikes import as_ascii, skeleton_of

HIDDEN_SHOWN_MAX = 120
_TAG_FIRST, _TAG_LAST = 0xE0000, 0xE007F
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_ZERO_WIDTH = frozenset(
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064\u3164\ufeff\uffa0"
)
_JOINERS = frozenset("\u200c\u200d")
_MISTAKEN = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU"})
"""Scripts whose letters are taken for each other's. Others are mixed in honest words, as in Japanese."""

_MIXED_CHARS_MIN = 4
"""Shorter words are units and symbols, such as kΩ and µs."""
_EMOJI_JOINER, _EMOJI_VARIANT = "\u200d", "\ufe0f"
_PLAIN_CONTROLS = frozenset("\n\r\t")
_PUNCTUATION = frozenset("_-./: ")


class Hidden(NamedTuple):
    """Characters of one kind in a text: what they are, how many, and what they spell, if anything."""

    kind: str
    chars_count: int
    spelled: str


def hidden_in(text: str) -> list[Hidden]:
    """What of a text can't be seen. Emoji may have their joiner and variant."""
    if text.isascii() and not any(_is_control(char) for char in text):
        return []
    found: dict[str, list[str]] = {}
    for index, char in enumerate(text):
        kind = _kind_of(char)
        if kind is None or _is_in_place(char, text[index - 1 : index] if index else ""):
            continue
        found.setdefault(kind, []).append(_spelled(char))
    return [Hidden(kind, len(chars), "".join(chars)[:HIDDEN_SHOWN_MAX]) for kind, chars in sorted(found.items())]


def seen(text: str) -> str:
    """The text as it is read: composed, without what can't be seen, and what looks like ASCII as ASCII."""
    shown = "".join(char for char in text if _kind_of(char) is None or char in _PLAIN_CONTROLS)
    return as_ascii(unicodedata.normalize("NFKC", shown))


def spelled_by_tags(text: str) -> str:
    """What the tag characters of a text spell: a model reads it, a person does not."""
    return "".join(chr(ord(char) - _TAG_FIRST) for char in text if _TAG_FIRST < ord(char) <= _TAG_LAST)


def scripts_of(word: str) -> frozenset[str]:
    """The scripts of its letters, such as LATIN and CYRILLIC."""
    found = {categories.alias(char) for char in word if char.isalpha()}
    return frozenset(found - {"COMMON", "INHERITED", "UNKNOWN"})


def is_mixed(word: str) -> bool:
    """Whether a word mixes scripts so that a letter of one is taken for one of another."""
    if word.isascii() or len(word) < _MIXED_CHARS_MIN:
        return False
    strangers = (char for char in word if not char.isascii())
    return len(scripts_of(word) & _MISTAKEN) > 1 and any(as_ascii(char).isascii() for char in strangers)


def mixed_words(text: str) -> list[str]:
    """The words of a text that do."""
    if text.isascii():
        return []
    return [word for word in _words(text) if is_mixed(word)]


def looks_like(name: str) -> str | None:
    """What a name looks like, for comparison; None for one that is too long to look at."""
    bare = "".join(char for char in name if char not in _PUNCTUATION)
    try:
        return skeleton_of(bare)
    except EvaluationError:
        return None


def _words(text: str) -> list[str]:
    kept = (char if char.isalnum() or unicodedata.category(char).startswith("M") else " " for char in text)
    return "".join(kept).split()


def _kind_of(char: str) -> str | None:
    code = ord(char)
    if char in _BIDI:
        return "bidirectional controls"
    if char in _ZERO_WIDTH:
        return "characters without width"
    if _TAG_FIRST <= code <= _TAG_LAST:
        return "tag characters"
    if 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF or 0x180B <= code <= 0x180D:
        return "variation selectors"
    if _is_control(char):
        return "control characters"
    if not char.isascii() and unicodedata.category(char) in ("Cf", "Co", "Cn"):
        return "characters without a shape"
    return None


def _is_control(char: str) -> bool:
    return char not in _PLAIN_CONTROLS and unicodedata.category(char) == "Cc"


def _is_in_place(char: str, before: str) -> bool:
    """Whether what can't be seen belongs to what it follows: to an emoji, or to a script that needs it."""
    if char in (_EMOJI_JOINER, _EMOJI_VARIANT) and _is_symbol(before):
        return True
    return char in _JOINERS and before.isalpha() and not scripts_of(before) & _MISTAKEN


def _is_symbol(char: str) -> bool:
    return bool(char) and (unicodedata.category(char) in ("So", "Sk") or char in "\ufe0f#*0123456789")


def _spelled(char: str) -> str:
    code = ord(char)
    return chr(code - _TAG_FIRST) if _TAG_FIRST < code <= _TAG_LAST else ""
