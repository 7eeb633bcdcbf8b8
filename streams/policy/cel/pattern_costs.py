"""What a search for a pattern costs, beside reading the text.

RE2 takes a nanosecond or so for each byte of nearly every text. Where the states that it meets don't fit in its memory,
it goes through the text with all positions in the pattern that can be reached at once. Only repetitions make many of
these: `.{1000}` takes 3 seconds on 250,000 characters that are not ASCII. So what repetitions unfold to is counted, and
a pattern that unfolds to much is paid for by that number times the length of the text.
"""

from __future__ import annotations

import re
from functools import lru_cache

UNFOLDED_FREE_MAX = 600
"""Patterns that unfold to no more positions are searched for freely. Those of the starter packs have fewer."""

BYTES_PER_UNIT = 4
"""A position costs some 25 nanoseconds for each byte, and a unit of work is a tenth of a microsecond."""

UNITS_PER_INSTRUCTION = 3
"""The work of compiling one instruction of RE2's program."""

UNITS_REJECTED = 350_000
"""The work of finding out that a pattern is too large: RE2 compiles until its memory is full."""

_KEPT_MAX = 1_024
_TOKEN = re.compile(
    r"\\Q.*?(?:\\E|\Z)|\\[pPx]\{[^}]*\}|\\.|\[\^?\]?(?:\[:\^?[a-z]+:\]|\\.|[^\]\\])*\]|(\()(?:\?(?:P?<[^>]*>|[imsU-]*:?))?|(\))|"
    r"\{([0-9]{1,4})(?:,([0-9]{0,4}))?\}|[*+?|^$]|.",
    re.DOTALL,
)


@lru_cache(maxsize=_KEPT_MAX)
def unfolded_positions(pattern: str) -> int:
    """Return to how many positions the counted repetitions of a pattern unfold.

    Args:
        pattern: a valid pattern of RE2.
    """
    # For each open group: its positions, those within repetitions, and both of the last item.
    groups = [[0, 0, 0, 0]]
    for token in _TOKEN.finditer(pattern):
        opened, closed, least, most = token.groups()
        top = groups[-1]
        if opened:
            groups.append([0, 0, 0, 0])
        elif closed and len(groups) > 1:
            positions, unfolded, *_ = groups.pop()
            _append(groups[-1], positions, unfolded)
        elif least is not None:
            count = max(int(least), int(most or 0))
            positions, unfolded = top[2] * count, max(top[2], top[3]) * count
            top[0] += positions - top[2]
            top[1] += unfolded - top[3]
            top[2:] = positions, unfolded
        elif token[0] not in ("*", "+", "?", "|", "^", "$"):
            _append(top, 1, 0)
    return groups[0][1]


def _append(group: list[int], positions: int, unfolded: int) -> None:
    group[0] += positions
    group[1] += unfolded
    group[2:] = positions, unfolded


def search_units(pattern: str, text: str) -> int:
    """Return the work of one search that reading the text does not cover; 0 for nearly every pattern."""
    unfolded = unfolded_positions(pattern)
    if unfolded <= UNFOLDED_FREE_MAX:
        return 0
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return unfolded * size // BYTES_PER_UNIT
