"""Addresses, pages and files behind which a sentence begins without a space: `www.shop.example.They wrote to us`.

A name in small letters and then a word with a capital: the name is meant. What all of it would be counts as well, so
that nobody hides a host by capital letters.
"""

from __future__ import annotations

import re

_NAMES_OF_DOMAINS = r"(?:Com|Net|Org|Info|Edu|Gov|App|Dev|Shop|Online|Site|Example|Test)\b"
_TWO_LETTERS = r"(?:As|At|By|Do|He|If|In|Is|It|My|No|On|Or|So|To|Up|We)\b"
_RUN_ON = re.compile(
    r"((?:https?://|[^\s@/]{1,64}@)?[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,6}\.[a-z]{2,24}(?:/[\w/~-]{0,256})?)"
    rf"\.(?!{_NAMES_OF_DOMAINS})(?:[A-Z][a-z']{{2,24}}|{_TWO_LETTERS})[.:!?]*\Z"
)
_NO_NAME = re.compile(r"(?:https?://)?www\.[a-z0-9-]+\Z")
"""`www.shop` names nothing without what follows."""


def name_before_sentence(token: str) -> str:
    """Return the address, page or file at the front of a token that a sentence follows in; an empty text if none is.

    Args:
        token: a text without spaces.
    """
    match = _RUN_ON.match(token)
    return "" if match is None or _NO_NAME.match(match[1]) else match[1]
