"""Make text safe for a terminal: text of an attacker must not move the reader's cursor."""

from __future__ import annotations

import os
import re

import typer

from streams.model.plurals import many
from streams.model.visible import code_point, visible

_NOT_PRINTABLE_ASCII = re.compile(r"[^\x20-\x7e]")
_UNITS = (("day", "d", 86_400), ("hour", "h", 3_600), ("minute", "min", 60))


def printable(text: str, *, lines: bool = False) -> str:
    """Return the text with control, direction and other invisible characters escaped.

    Args:
        lines: whether to keep line ends.
    """
    return visible(text, _escaped, "\n" if lines else "")


def label(word: str, color: str) -> str:
    """Return a word that begins a line on standard error, in bold, and in a color unless nobody wants colors.

    Whoever writes it leaves out both if standard error is not a terminal.
    """
    return typer.style(f"{word}:", fg=None if os.environ.get("NO_COLOR") else color, bold=True)


def warn(text: str) -> None:
    """Write a warning to standard error. The command goes on, whatever it is: if it fails, the error comes last."""
    typer.echo(f"{label('warning', 'yellow')} {printable(text, lines=True)}", err=True)


def short(text: str, chars_max: int) -> str:
    """Return the text as `printable` does, cut to a length."""
    shown = printable(text[: chars_max + 1])
    return shown if len(shown) <= chars_max else f"{shown[: chars_max - 1]}…"


def age_text(age_ms: int, *, brief: bool = False) -> str:
    """Return an age in its largest unit, such as `2 minutes`, or `2 min` if it is to be brief."""
    seconds = max(0, age_ms) // 1_000
    for unit, letters, length in _UNITS:
        if seconds >= length:
            count = seconds // length
            return f"{count} {letters}" if brief else many(count, unit)
    return f"{seconds} s"


def ascii_json(line: str) -> str:
    """Return the same JSON in printable ASCII: text of an attacker must not move the reader's cursor."""
    return _NOT_PRINTABLE_ASCII.sub(_as_json_escapes, line)


def harmless_json(line: str) -> str:
    """Return the same JSON with control, direction and other invisible characters escaped.

    What a program reads often ends on a terminal, behind `head` or `grep`. JSON itself escapes only the characters
    below U+0020, and terminals obey U+009B as they obey an escape sequence.
    """
    return visible(line, _json_escape)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else code_point(character)


def _as_json_escapes(found: re.Match[str]) -> str:
    return _json_escape(found[0])


def _json_escape(text: str) -> str:
    units = text.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
