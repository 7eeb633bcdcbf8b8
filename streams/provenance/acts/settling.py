"""Requests to give somebody what is missing of an amount of money: "I paid too little, send them the difference"."""

from __future__ import annotations

import re

from streams.provenance.acts.asked import NEGATIONS
from streams.provenance.words import listed, words_before

_DENIED = NEGATIONS | listed("cannot can't didn't nobody i we they he she who did does")
"""Words before the verb with which it asks for nothing: "don't send", "did they send"."""
_SETTLES = re.compile(
    r"\b(?:send|give|wire|return|hand|get) (?!me\b|us\b)(?:[^\s.,!?;]+ ){1,3}?(?:back )?the (?:remaining |missing )?"
    r"(?:difference|remainder|shortfall|surplus|excess|overpayment)\b"
    # Of two texts, it is none of money.
    r"(?! (?:between|of|in) (?:the |these |those |both |our |my )?(?:\w+ ){0,2}"
    r"(?:versions?|files?|documents?|contracts?|drafts?|texts?|reports?|pages?|lists?)\b)"
)
_MONEY = re.compile(
    r"[$€£]|\d ?%|\b(?:paid|pays?|payments?|prices?|amounts?|sums?|fees?|costs?|bills?|rent|invoices?|total|money|spent"
    r"|overpaid|underpaid|overcharged|percent|vat|tax|deposit|balance|euros?|dollars?|pounds?|eur|usd|gbp|chf)\b"
)


def settles_difference(lowered: str) -> bool:
    """Return whether a text has somebody given what is missing of an amount of money, or was too much.

    Args:
        lowered: the text in lower case.
    """
    settles = any(_DENIED.isdisjoint(words_before(lowered, found.start())) for found in _SETTLES.finditer(lowered))
    return settles and _MONEY.search(lowered) is not None
