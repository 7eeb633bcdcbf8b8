"""Names that look like other names: `skeleton(text)` and `text.isLookalikeOf(names)`.

Texts that look alike to a person have the same skeleton, as defined in Unicode Technical Report 39. The data about
which characters look alike comes from that report, in the edition that `confusable_homoglyphs` ships.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import idna

from streams.policy.cel.ops import no_overload
from streams.policy.errors import EvaluationError
from streams.policy.ext.memoize import memoized
from streams.policy.ext.urls import texts_of

TEXT_CHARS_MAX = 1_000
SKELETONS_KEPT_MAX = 1_024
LISTS_KEPT_MAX = 256

_ASCII_PROTOTYPES = {"0": "o", "1": "l", "i": "l", "|": "l", "m": "rn", "w": "vv", "\u0131": "l", "_": "-"}
"""ASCII characters that look alike in upper or lower case, and the dotless i."""


@lru_cache(maxsize=1)
def _prototypes() -> dict[int, str]:
    """Return the ASCII letter or digit that each other character looks like, by code point."""
    return _letters(str)


@lru_cache(maxsize=1)
def _alike() -> dict[int, str]:
    """Return `_prototypes`, and the letters that look like one with a stroke or a hook, such as `\u0142`."""
    return _letters(_without_marks) | _prototypes()


def _letters(seen: Callable[[str], str]) -> dict[int, str]:
    """Return an ASCII letter or digit for each other character that looks like one, by code point.

    Args:
        seen: what is looked at of a text that a character looks like.
    """
    from confusable_homoglyphs.confusables import confusables_data  # noqa: PLC0415 - slow, and most bundles don't need it

    found: dict[int, str] = {}
    for character, others in confusables_data.items():
        if len(character) != 1 or character.isascii():
            continue
        alike = sorted({seen(other["c"]).lower() for other in others})
        letters = [text for text in alike if len(text) == 1 and text.isascii() and text.isalnum()]
        if letters:
            found[ord(character)] = letters[0]
    return found


def _without_marks(text: str) -> str:
    return "".join(mark for mark in unicodedata.normalize("NFD", text) if unicodedata.category(mark) not in _UNSEEN)


@memoized(SKELETONS_KEPT_MAX)
def skeleton_of(text: str) -> str:
    """Return the skeleton of a text.

    Raises:
        EvaluationError: the text is too long, or has an invalid label in punycode.
    """
    if len(text) > TEXT_CHARS_MAX:
        raise EvaluationError(f"text has more than {TEXT_CHARS_MAX} characters")
    folded = unicodedata.normalize("NFKC", _without_punycode(text)).casefold()
    if not folded.isascii():
        bare = _without_marks(folded.translate(_alike()))
        folded = bare.translate(_alike()).casefold()
    return "".join(_ASCII_PROTOTYPES.get(character, character) for character in folded)


_UNSEEN = frozenset(("Mn", "Me", "Cf"))


def _without_punycode(text: str) -> str:
    if "xn--" not in text.lower():
        return text
    return ".".join(_unicode_label(label) for label in text.split("."))


def _unicode_label(label: str) -> str:
    if not label.lower().startswith("xn--"):
        return label
    try:
        return idna.ulabel(label)
    except (idna.IDNAError, UnicodeError, IndexError, ValueError):
        raise EvaluationError("text has an invalid label in punycode") from None


@memoized(LISTS_KEPT_MAX)
def _skeletons(names: tuple[str, ...]) -> tuple[frozenset[str], frozenset[str]]:
    plain = frozenset(name.lower() for name in names)
    return plain, frozenset(map(skeleton_of, plain))


def skeleton(value: Any) -> str:
    """Implement `skeleton(text)`."""
    if value.__class__ is not str:
        raise no_overload("skeleton", value)
    return skeleton_of(value)


def is_lookalike(value: Any, names: Any) -> bool:
    """Implement `text.isLookalikeOf(names)`: a text, or a domain above it, looks like a name but is none of them."""
    if value.__class__ is not str:
        raise no_overload("isLookalikeOf", value, names)
    plain, skeletons = _skeletons(texts_of("isLookalikeOf", value, names))
    rest = value.lower()
    alike = False
    while rest:
        if rest in plain:
            return False
        alike = alike or skeleton_of(rest) in skeletons
        rest = rest.partition(".")[2]
    return alike


LOOKALIKE_FUNCTIONS: dict[str, Callable[..., Any]] = {"skeleton": skeleton, "isLookalikeOf": is_lookalike}


def as_ascii(text: str) -> str:
    """Return the text in which characters that look like an ASCII letter or digit are replaced by it."""
    return text if text.isascii() else text.translate(_prototypes())
