"""Compares versions in short turns, one version after the other, seconds apart.

The speed of a machine changes by a fifth within minutes, so two runs one after the other measure the machine. What else
the machine does falls out of the ratio of figures of the same turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

_Version = TypeVar("_Version")
_Found = TypeVar("_Found")


def take_turns(
    versions: Sequence[_Version], measure: Callable[[_Version], _Found], turns: int, *, warm_up: int = 1
) -> list[tuple[_Found, ...]]:
    """Measure all versions in each turn. No version always comes first: every turn reverses the order.

    Args:
        versions: what is compared.
        measure: measures one version once.
        turns: how many turns count.
        warm_up: how many turns come before those that count.

    Returns:
        What each counted turn has measured, in the order of `versions`.
    """
    places = range(len(versions))
    found = []
    for turn in range(warm_up + turns):
        measured = {place: measure(versions[place]) for place in (places if turn % 2 else reversed(places))}
        found.append(tuple(measured[place] for place in places))
    return found[warm_up:]
