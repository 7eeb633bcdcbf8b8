"""Shows characters that move a reader's cursor, turn text round or hide it by their numbers.

What terminals and pages show was written by agents, tools and strangers. What counts as visible is decided here alone,
also for the paths that rules read; how the others are written depends on who reads them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def visible(text: str, escaped: Callable[[str], str], kept: str = "") -> str:
    """Return a text with each character escaped that is not seen.

    Args:
        text: the text.
        escaped: returns what is shown for a character.
        kept: characters that are kept although they are not seen, such as line ends.
    """
    if text.isprintable():
        return text
    return "".join(each if each in kept or is_seen(each) else escaped(each) for each in text)


def is_seen(character: str) -> bool:
    """Return whether a reader sees a character, or the room it takes, where it stands."""
    return unicodedata.category(character) not in _UNSEEN


def code_point(character: str) -> str:
    """Return the number of a character as Python writes it: `\\u202e`."""
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
