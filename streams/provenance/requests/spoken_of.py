"""Which matters a user's message speaks of, as its scopes state them in the place of a kind of act.

The gate has only digests of the user's words, and can't look up all words for all matters. So the agent's runtime
finds the matters (`streams.provenance.acts.matters`), and states them in one scope: `speaks:luggage seat?`, where a
question mark follows what a word may only mean. They hold for the whole session: who has mentioned something once may
come back to it.
"""

from __future__ import annotations

from collections.abc import Iterable

from streams.provenance.acts.matters import MATTERS, matters_in

SPEAKS = "speaks:"
_ONLY_MEANT = "?"


def spoken_of(plain: str) -> tuple[str, ...]:
    """Return the matters that a message speaks of, in the place of one kind; none if it speaks of none.

    Args:
        plain: the message in lower case and without accents.
    """
    named, meant = matters_in(plain)
    return (_stated(named, meant),) if meant else ()


def joined(stated: Iterable[str]) -> str:
    """Return what several messages speak of, in the place of one kind.

    Args:
        stated: what `spoken_of` has returned of each.
    """
    known = [read_matters(each) for each in stated]
    return _stated(
        frozenset[str]().union(*(named for named, _ in known)), frozenset[str]().union(*(meant for _, meant in known))
    )


def read_matters(stated: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the matters that messages name, and those that they name or may mean."""
    words = stated.removeprefix(SPEAKS).split()
    named = MATTERS.intersection(words)
    return named, MATTERS.intersection(word.removesuffix(_ONLY_MEANT) for word in words)


def _stated(named: frozenset[str], meant: frozenset[str]) -> str:
    return SPEAKS + " ".join([*sorted(named), *(f"{each}{_ONLY_MEANT}" for each in sorted(meant - named))])
