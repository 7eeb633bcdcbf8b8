"""Words without their accents: one form of a word for all who write it, with or without them."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

WORDS_CACHED_MAX = 4_096

_UMLAUTS = {0xE4: "ae", 0xF6: "oe", 0xFC: "ue", 0xDF: "ss", 0x142: "l"}


@lru_cache(maxsize=WORDS_CACHED_MAX)
def word_without_accents(word: str) -> str:
    """Return a lower-case word without accents: `\u00fcberweise` is `ueberweise`, `env\u00eda` is `envia`."""
    if word.isascii():
        return word
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFC", word).translate(_UMLAUTS))
    return "".join(char for char in plain if not unicodedata.combining(char))


ANY_WORD_OR_STOP = re.compile(r"[^\W\d_]+|[,!?;\n]|\.(?!\w)")
"""A word or a stop of a text in any language; the one inside of "plan.md" ends nothing."""


def without_accents(lowered: str) -> str:
    """Return a text in lower case with its words as `word_without_accents` writes them."""
    return lowered if lowered.isascii() else ANY_WORD_OR_STOP.sub(lambda match: word_without_accents(match[0]), lowered)
