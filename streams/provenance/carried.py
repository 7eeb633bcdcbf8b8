"""What outlives a session, packed: values with the flags that say where they were seen, and flags of the whole.

Entries are the first bytes of a digest under the user's key and a set of `Seen`, in the order of the digests. Two
packed sets are joined by uniting the flags of each value. So it makes no difference how often a set is added, or in
which order: what is written again after a crash changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import IntFlag
from struct import Struct

from streams.provenance.memory import DIGEST_BYTES, Entry, Seen

CARRIED_MAX = 1_024
"""Values of a conversation, or of a store, that are carried. Beyond that, what is not found counts as the worst."""

_ENTRY = Struct(">8sH")
CARRIED_BYTES = _ENTRY.size


class Whole(IntFlag):
    """What is carried besides values: of everything that was read, or written into a store."""

    INCOMPLETE = 1
    """Not all values are carried."""
    UNTRUSTED = 2
    TEXT = 4
    INSTRUCTED = 8


def pack(flags_of: Mapping[bytes, int]) -> tuple[bytes, bool]:
    """Return values with their flags in packed form, and whether all are in it.

    If there are too many, those that accuse stay: what others have written beside an instruction, then what others have
    written at all.
    """
    items = sorted(flags_of.items())
    complete = len(items) <= CARRIED_MAX
    if not complete:
        items = sorted(sorted(items, key=_weight)[:CARRIED_MAX])
    return b"".join([_ENTRY.pack(digest[:DIGEST_BYTES], flags) for digest, flags in items]), complete


def unpack(packed: bytes) -> Iterator[Entry]:
    """Yield the values of a packed set. Bytes behind the last whole entry are ignored."""
    end = len(packed) - len(packed) % CARRIED_BYTES
    for digest, flags in _ENTRY.iter_unpack(packed[:end]):
        yield Entry(digest, flags)


def union(packed: bytes, others: Iterable[Entry]) -> tuple[bytes, bool]:
    """Return a packed set with further values, and whether all are in it."""
    flags_of = {entry.digest: entry.flags for entry in unpack(packed)}
    for entry in others:
        flags_of[entry.digest] = flags_of.get(entry.digest, 0) | entry.flags
    return pack(flags_of)


def _weight(item: tuple[bytes, int]) -> tuple[int, bytes]:
    digest, flags = item
    if flags & Seen.INSTRUCTED:
        return 0, digest
    return (1 if flags & (Seen.TEXT | Seen.FIELD) else 2), digest
