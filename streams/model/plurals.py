"""Numbers with their nouns, as people are told them."""

from __future__ import annotations


def many(count: int, noun: str, plural: str = "") -> str:
    """Return a number and its noun, in the plural if needed: `plural`, or the noun with an `s`."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"
