"""Make text safe for a terminal: text of an attacker must not move the reader's cursor."""

from __future__ import annotations

import unicodedata

_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def printable(text: str, *, lines: bool = False) -> str:
    """Return the text with control, direction and other invisible characters escaped.

    Args:
        lines: whether to keep line ends.
    """
    if text.isprintable():
        return text
    return "".join(character if _is_safe(character, lines) else _escaped(character) for character in text)


def short(text: str, chars_max: int) -> str:
    """Return the text as `printable` does, cut to a length."""
    shown = printable(text[: chars_max + 1])
    return shown if len(shown) <= chars_max else f"{shown[: chars_max - 1]}…"


def _is_safe(character: str, lines: bool) -> bool:
    if character == "\n":
        return lines
    return unicodedata.category(character) not in _UNSAFE


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
