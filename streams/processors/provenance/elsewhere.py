"""Keep which of the user's words a session knows only from other sessions of its conversation.

They are his words, and he may have said them for another guest of the same chat: they identify nobody here.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from streams.processors.provenance.memory import Memory
from streams.processors.provenance.rows import ProvenanceRow
from streams.provenance.sources.memory import DIGEST_BYTES, Entry, Seen, digests_in

ELSEWHERE_MAX = 1_024
"""Values that are kept. If there are more, all of the user's words count like those."""
_ALL = b"*"

replace = msgspec.structs.replace


def with_elsewhere(row: ProvenanceRow, entries: Iterable[Entry], memory: Memory) -> ProvenanceRow:
    """Return the row with what the user has said to other sessions only. `entries` are not yet in the memory."""
    if row.elsewhere == _ALL:
        return row
    new = [
        entry.digest
        for entry in entries
        if entry.flags & Seen.USER and not ((own := memory.find(entry.digest)) is not None and own.flags & Seen.USER)
    ]
    if not new:
        return row
    digests = dict.fromkeys((*digests_in(row.elsewhere), *new))
    return replace(row, elsewhere=b"".join(digests) if len(digests) <= ELSEWHERE_MAX else _ALL)


def without_elsewhere(row: ProvenanceRow, entries: Iterable[Entry]) -> ProvenanceRow:
    """Return the row after the user has said values to this session, too."""
    if not row.elsewhere or row.elsewhere == _ALL:
        return row
    said = {entry.digest for entry in entries if entry.flags & Seen.USER}
    return replace(row, elsewhere=b"".join(each for each in digests_in(row.elsewhere) if each not in said))


def is_elsewhere(row: ProvenanceRow, digest: bytes) -> bool:
    """Return whether the user may have said a value to other sessions only."""
    return bool(row.elsewhere) and (row.elsewhere == _ALL or digest[:DIGEST_BYTES] in set(digests_in(row.elsewhere)))
