"""What a conversation has shown, packed: for each value a digest, and where it was seen.

An entry takes `ENTRY_BYTES`: the first `DIGEST_BYTES` of the keyed digest, a set of flags, the first event that held
the value with the path of its field, and the kinds of acts that instructions beside it call for. Entries are spread
over `BUCKETS` rows by their digest, so that an intent reads one small row for each value, and an event rewrites small
rows only. A lookup is a search for eight bytes in a row of a few hundred.

Flags add up: a value that the user named and that untrusted text holds as well has both. What follows from them is
decided in `streams.provenance.sources.origins`.

Rejected: one row for a session (each event would write all of it again), and a row for each value (keys of fifty bytes
for entries of fourteen).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Final, NamedTuple

DIGEST_BYTES = 8
BUCKETS = 64
ATOMS_MAX = 3_072
"""Values of a conversation. Further ones are not kept, and then a value that is not found counts as untrusted text."""
WORDS_MAX = 2_304
"""Values of a conversation up to which words by others are kept: most values are words, and say least."""
EVENTS_MAX = 96
"""Events of a conversation that explanations can name. Those after them have one number in common."""
PATHS_MAX = 48
"""Paths of an event that explanations can name."""
PATH_BYTES_MAX = 64
LATER_EVENT = 0xFF
OTHER_PATH = 0xFF

_ENTRY = Struct(">8sHBBH")
ENTRY_BYTES = _ENTRY.size
_new, unpack_from = tuple.__new__, _ENTRY.unpack_from
_Packed = tuple[bytes, int, int, int, int]


class Seen:
    """Where a value was seen, over all contents of the conversation: bits of a set.

    They are plain numbers, because each look at a member of `IntFlag` costs as much as a digest.
    """

    USER: Final = 1
    """In the user's words, in his scope, or it is the subject itself."""
    TRUSTED: Final = 2
    FIELD: Final = 4
    """As a whole field of a structure that others may write."""
    TEXT: Final = 8
    """Inside text that others may write."""
    PLAIN: Final = 16
    """By others, without a disguise."""
    INSTRUCTED: Final = 32
    """By others, beside something that reads like an instruction."""
    POINTED: Final = 64
    """As a field of a record that the user pointed at."""
    OWN: Final = 128
    """In a record of the session's subject."""
    FOREIGN: Final = 256
    """In a record of somebody else."""
    SUBJECT: Final = 512
    """It is the session's subject itself."""
    SHOWN: Final = 1024
    """Inside text that others may write, in a content that the user asked for."""
    WRITTEN: Final = 4096
    """By others, and then written by the agent into the store that a content comes from: its label clears nothing."""
    EXCLUDED: Final = 8192
    """The user has left it out: "not to Eve", "everybody but Kim". As a target, he has not named it."""
    BUILT: Final = 131072
    """Never kept: the value is an address that nothing has shown, put together on one that others have named."""
    ASKED: Final = 16384
    """It says when the user has asked for something last (`streams.provenance.sources.carried`)."""
    ALIKE: Final = 262144
    """Never kept: the session has seen another host that differs from that of the value by one slip."""
    ALIKE_KNOWN: Final = 1048576
    """Never kept: that host is the user's, or in trusted data."""
    QUOTED: Final = 32768
    """Only in what is carried of a store: a session that counts as untrusted has written it there, within a text of
    others.

    Gates of an earlier state used this bit for `ALIKE_KNOWN`. Where a session's row has it, it says nothing: it is read
    in the sets of stores only, and what is written there has just the flags that say who has shown a value."""
    SOLE: Final = 524288
    """Never kept: it stands inside text of contents that the user asked for, which show nothing else of its kind by
    which somebody is reached, and he has said what kind that is."""
    NOT_COMPARED: Final = 65536
    """Never kept: the host of the value may look like another one; there were too many to compare it with all."""
    NAMED: Final = 2048
    """Inside text that others may write, outside of the record whose field it is: boilerplate quotes its own id."""


_OTHERS, _CLEARS = Seen.FIELD | Seen.TEXT, Seen.USER | Seen.TRUSTED


def is_of_others(flags: int) -> bool:
    """Return whether only others have shown a value, by the set of where it was seen.

    What they have shown and the agent has written down is theirs, whatever the label of the store says.
    """
    if flags & Seen.WRITTEN:
        return not flags & Seen.USER
    return bool(flags & _OTHERS) and not flags & _CLEARS


def digests_in(row: bytes) -> Iterator[bytes]:
    """Yield the digests that are kept one behind the other."""
    for start in range(0, len(row), DIGEST_BYTES):
        yield row[start : start + DIGEST_BYTES]


ANY = b"*"
"""Stands for digests that are too many to be kept."""


def joined_digests(known: bytes, more: Iterable[bytes], count_max: int) -> bytes:
    """Return digests that are kept one behind the other with further ones, each once; `ANY` if they are too many."""
    digests = dict.fromkeys((*digests_in(known), *more))
    return b"".join(digests) if len(digests) <= count_max else ANY


class Entry(NamedTuple):
    """What is kept of a value.

    Attributes:
        digest: the first `DIGEST_BYTES` of its digest.
        flags: where it was seen, a set of `Seen`.
        event: the number of the first event that held it.
        path: the number of its path in that event.
        calls_for: what instructions beside it call for, a set of bits of `streams.provenance.acts.calls`.
    """

    digest: bytes
    flags: int
    event: int = LATER_EVENT
    path: int = OTHER_PATH
    calls_for: int = 0


def bucket_of(digest: bytes) -> int:
    """Return the bucket of a digest."""
    return digest[0] % BUCKETS


def find(row: bytes | None, digest: bytes) -> Entry | None:
    """Return the entry of a digest in its bucket's row, or None."""
    if row is None:
        return None
    at = row.find(digest)
    while at >= 0:
        if at % ENTRY_BYTES == 0:
            # `Entry(...)` is a function of Python that does the same, and takes three times as long.
            return _new(Entry, unpack_from(row, at))
        at = row.find(digest, at + 1)
    return None


def entries_of(row: bytes) -> Iterator[Entry]:
    """Yield the entries of a bucket's row."""
    for each in _ENTRY.iter_unpack(row):
        yield Entry(*each)


def merge(row: bytes | None, entries: Iterable[Entry], room: int, clears: int = 0) -> tuple[bytes, int, bool]:
    """Add entries to a bucket's row.

    Args:
        row: the row, or None.
        entries: what was seen; flags are joined with those of the same digest.
        room: how many further entries there is room for in the conversation.
        clears: flags that no longer hold for what is seen again.

    Returns:
        The new row, how many entries it has more than before, and whether all of `entries` and of those before are in
        it.
    """
    kept: dict[bytes, _Packed] = {} if row is None else {each[0]: each for each in _ENTRY.iter_unpack(row)}
    before, complete = len(kept), True
    for entry in entries:
        known = kept.get(entry.digest)
        if known is not None:
            if known[1] & clears:
                known = kept[entry.digest] = (known[0], known[1] & ~clears, *known[2:])
            if known[1] | entry.flags != known[1] or known[4] | entry.calls_for != known[4]:
                kept[entry.digest] = _joined(known, entry)
        elif len(kept) - before < room:
            kept[entry.digest] = entry
        else:
            complete = False
            _make_room(kept, entry)
    return b"".join([_ENTRY.pack(*each) for each in kept.values()]), len(kept) - before, complete


def _joined(known: _Packed, entry: Entry) -> _Packed:
    """Join flags. The place is the first one, unless only the later one accuses: that is what a person wants to see."""
    keeps = known[1] & _OTHERS or not entry.flags & _OTHERS
    event, path = known[2:4] if keeps else (entry.event, entry.path)
    return entry.digest, known[1] | entry.flags, event, path, known[4] | entry.calls_for


def _make_room(kept: dict[bytes, _Packed], entry: Entry) -> None:
    """Let a value that clears take the place of one that only accuses: what is not found accuses anyway."""
    if not entry.flags & _CLEARS:
        return
    for digest, each in kept.items():
        if not each[1] & (Seen.USER | Seen.TRUSTED | Seen.FIELD):
            del kept[digest]
            kept[entry.digest] = entry
            return
