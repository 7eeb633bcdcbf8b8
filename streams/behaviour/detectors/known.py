"""What has been dealt with for a while: destinations that are nothing new, however much goes there at once.

Whoever repeats a batch, or sends the books to the auditor, sends to whom the agent or its peers send anyway. Whoever
takes data away sends it where nobody has. So what is known counts for less. It is known from an allowed call some days
ago, so whoever wants to be excused has to begin early, and gains a bounded factor.

Several detectors ask this of the same terms. They share a row of each, and would write the same.
"""

from __future__ import annotations

import msgspec

from streams.behaviour.activity import DAY_MS
from streams.behaviour.pages import Place

SLOT = "since"


class Since(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """On which day something was first learned from."""

    day: int = 0


def place_of(*fields: str, is_required: bool = True) -> Place:
    """Return where it is kept since when something is known, to whoever the fields tell apart."""
    return Place(fields, SLOT, is_required)


def is_known(since: Since | None, now_ms: int, settle_ms: int) -> bool:
    """Return whether something has been known for as long as it has to be."""
    return since is not None and now_ms // DAY_MS - since.day >= settle_ms // DAY_MS


def noted(since: Since | None, now_ms: int) -> Since:
    """Return since when something is known that was learned from just now."""
    return Since(now_ms // DAY_MS) if since is None else since
