"""Short ids for people: no longer than needed to tell them apart."""

from __future__ import annotations

from collections.abc import Iterable


def short_ids(ids: Iterable[str], chars_min: int) -> dict[str, str | None]:
    """Return, for each id, its shortest beginning of at least `chars_min` characters that no other id has.

    An id that another one begins with is returned whole: commands prefer a complete id. None for an id that is there
    several times.
    """
    ordered = sorted(ids)
    short: dict[str, str | None] = {}
    for before, name, after in zip(("", *ordered), ordered, (*ordered[1:], ""), strict=False):
        if name in (before, after):
            short[name] = None
            continue
        shared = max(_shared_chars(name, other) for other in (before, after))
        short[name] = name[: max(chars_min, shared + 1)]
    return short


def _shared_chars(one: str, other: str) -> int:
    """Return how many characters two texts have in common at their beginning."""
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count
