"""Finds invisible characters in a tool's texts, and names that look like others."""

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
"""Scripts whose letters can be mistaken for each other. Other scripts are mixed in honest words, as in Japanese."""

_MIXED_CHARS_MIN = 4
"""Shorter words are units and symbols, such as kΩ and µs."""
_EMOJI_JOINER, _EMOJI_VARIANT = "\u200d", "\ufe0f"
_PLAIN_CONTROLS = frozenset("\n\r\t")
_PUNCTUATION = frozenset("_-./: ")


class Hidden(NamedTuple):
    """Invisible characters of one kind in a text: the kind, how many, and what they spell, if anything."""

    kind: str
    chars_count: int
    spelled: str


def hidden_in(text: str) -> list[Hidden]:
    """Return the invisible characters of a text. The joiners and variants of emoji don't count."""
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
    """Return the text as it is read: composed, without invisible characters, and with ASCII for its lookalikes."""
    shown = "".join(char for char in text if _kind_of(char) is None or char in _PLAIN_CONTROLS)
    return as_ascii(unicodedata.normalize("NFKC", shown))


def spelled_by_tags(text: str) -> str:
    """Return what the tag characters of a text spell, which a model reads and a person does not see."""
    return "".join(chr(ord(char) - _TAG_FIRST) for char in text if _TAG_FIRST < ord(char) <= _TAG_LAST)


def scripts_of(word: str) -> frozenset[str]:
    """Return the scripts of a word's letters, such as LATIN and CYRILLIC."""
    found = {categories.alias(char) for char in word if char.isalpha()}
    return frozenset(found - {"COMMON", "INHERITED", "UNKNOWN"})


def is_mixed(word: str) -> bool:
    """Return whether a word mixes scripts whose letters can be mistaken for each other."""
    if word.isascii() or len(word) < _MIXED_CHARS_MIN:
        return False
    strangers = (char for char in word if not char.isascii())
    return len(scripts_of(word) & _MISTAKEN) > 1 and any(as_ascii(char).isascii() for char in strangers)


def mixed_words(text: str) -> list[str]:
    """Return the words of a text that mix scripts; see `is_mixed`."""
    if text.isascii():
        return []
    return [word for word in _words(text) if is_mixed(word)]


def looks_like(name: str) -> str | None:
    """Return the appearance of a name, for comparison; None if the name is too long."""
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
    """Return whether an invisible character belongs to the one before: to an emoji, or to a script that needs it."""
    if char in (_EMOJI_JOINER, _EMOJI_VARIANT) and _is_symbol(before):
        return True
    return char in _JOINERS and before.isalpha() and not scripts_of(before) & _MISTAKEN


def _is_symbol(char: str) -> bool:
    return bool(char) and (unicodedata.category(char) in ("So", "Sk") or char in "\ufe0f#*0123456789")


def _spelled(char: str) -> str:
    code = ord(char)
    return chr(code - _TAG_FIRST) if _TAG_FIRST < code <= _TAG_LAST else ""
