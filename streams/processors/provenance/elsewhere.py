"""Keep which of the user's words a session knows only from other sessions of its conversation.

They are his words, and he may have said them for another guest of the same chat: they identify nobody here.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from streams.processors.provenance.memory import Memory
from streams.processors.provenance.rows import ProvenanceRow
from streams.provenance.sources.memory import ANY, Entry, Seen, digests_in, joined_digests

ELSEWHERE_MAX = 1_024
"""Values that are kept. If there are more, all of the user's words count like those."""

replace = msgspec.structs.replace


def with_elsewhere(row: ProvenanceRow, entries: Iterable[Entry], memory: Memory) -> ProvenanceRow:
    """Return the row with what the user has said to other sessions only. `entries` are not yet in the memory."""
    if row.elsewhere == ANY:
        return row
    new = [
        entry.digest
        for entry in entries
        if entry.flags & Seen.USER
        if (own := memory.find(entry.digest)) is None or not own.flags & Seen.USER
    ]
    return replace(row, elsewhere=joined_digests(row.elsewhere, new, ELSEWHERE_MAX)) if new else row


def without_elsewhere(row: ProvenanceRow, entries: Iterable[Entry]) -> ProvenanceRow:
    """Return the row after the user has said values to this session, too."""
    if not row.elsewhere or row.elsewhere == ANY:
        return row
    said = {entry.digest for entry in entries if entry.flags & Seen.USER}
    return replace(row, elsewhere=b"".join(each for each in digests_in(row.elsewhere) if each not in said))


def is_elsewhere(row: ProvenanceRow, digest: bytes) -> bool:
    """Return whether the user may have said a value to other sessions only."""
    return row.elsewhere == ANY or digest in digests_in(row.elsewhere)
