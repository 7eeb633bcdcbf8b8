"""What outlives a session, packed: values with the flags that say where they were seen, and flags of the whole.

Entries are the first bytes of a digest under the user's key, a set of `Seen` and what instructions beside the value
call for, in the order of the digests. Two packed sets are joined by uniting the flags of each value. So it makes no
difference how often a set is added, or in which order: what is written again after a crash changes nothing.

What holds until the user asks for something else, such as a largest amount, can't be taken out of such a set again. So
it has the instant at which he asked, and the latest one counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntFlag
from itertools import chain
from struct import Struct

from streams.model.budget import CarriedSource
from streams.model.money import EXPONENT_UNSTATED, limit_of
from streams.provenance.sources.memory import DIGEST_BYTES, Entry, Seen

CARRIED_MAX = 1_024
"""Values of a conversation, or of a store, that are carried. Beyond that, what is not found counts as the worst."""
SOURCES_MAX = 16
"""Sources of a conversation, or of a store, that are carried: the latest ones."""

_ENTRY = Struct(">8sHH")
CARRIED_BYTES = _ENTRY.size


_ASKED = Struct(">II")
_ASKED_MAX = 0xFFFF_FFFF
_MINOR_UNITS = 10**EXPONENT_UNSTATED


def asked_entry(asked_s: int, amount: str) -> Entry:
    """Return what says when the user has asked for something last, and which amount he has named at most.

    Args:
        asked_s: when, in seconds of Unix time.
        amount: a decimal in major units, as it was reported; empty if he has named none.
    """
    # A limit that is too low would ask about the very amount that he has named. Agents report it: it can be anything.
    # What cannot be read covers hardly any amount here, and none in the session itself.
    minor = (limit_of(amount, "") or 1) if amount else 0
    most = min(-(-minor // _MINOR_UNITS), _ASKED_MAX)
    return Entry(_ASKED.pack(asked_s & _ASKED_MAX, most), Seen.ASKED)


def last_asked(entries: Iterable[Entry]) -> tuple[int, str]:
    """Return what the latest of `asked_entry` says; 0 and nothing if there is none."""
    asked_s, most = max((_ASKED.unpack(entry.digest) for entry in entries if entry.flags & Seen.ASKED), default=(0, 0))
    return asked_s, str(most) if most else ""


class Whole(IntFlag):
    """What is carried besides values: of everything that was read, or written into a store."""

    INCOMPLETE = 1
    """Not all values are carried."""
    UNTRUSTED = 2
    TEXT = 4
    INSTRUCTED = 8
    LACKS_WORDS = 16
    """Words without a shape are not carried."""
    TAINTED = 32
    """A session has read something that is untrusted as a whole."""


def pack(entries: Iterable[Entry]) -> tuple[bytes, bool]:
    """Return values in packed form, and whether all are in it. Entries of the same value are joined.

    If there are too many, those that accuse stay: what others have written beside an instruction, then what others have
    written at all.
    """
    joined: dict[bytes, tuple[int, int]] = {}
    for entry in entries:
        flags, calls_for = joined.get(entry.digest[:DIGEST_BYTES], (0, 0))
        joined[entry.digest[:DIGEST_BYTES]] = flags | entry.flags, calls_for | entry.calls_for
    items = sorted((digest, *both) for digest, both in joined.items())
    complete = len(items) <= CARRIED_MAX
    if not complete:
        items = sorted(sorted(items, key=_weight)[:CARRIED_MAX])
    return b"".join([_ENTRY.pack(*item) for item in items]), complete


def unpack(packed: bytes) -> Iterator[Entry]:
    """Yield the values of a packed set. Bytes behind the last whole entry are ignored."""
    end = len(packed) - len(packed) % CARRIED_BYTES
    for digest, flags, calls_for in _ENTRY.iter_unpack(packed[:end]):
        yield Entry(digest, flags, calls_for=calls_for)


def union(packed: bytes, others: Iterable[Entry]) -> tuple[bytes, bool]:
    """Return a packed set with further values, and whether all are in it."""
    return pack([*unpack(packed), *others])


def joined_sources(*known: Iterable[CarriedSource]) -> tuple[CarriedSource, ...]:
    """Return the latest of several sources, each once. In which order they come makes no difference.

    Of one source that is told twice at the same instant, what tells more of its values counts.
    """
    by_event = {(each.session_id, each.event_id, each.noted_at, each.digests): each for each in chain(*known)}
    latest: dict[tuple[str, str], CarriedSource] = {}
    for key in sorted(by_event, key=lambda key: (-key[2], *key[:2], -len(key[3]), key[3])):
        latest.setdefault(key[:2], by_event[key])
    return tuple(latest.values())[:SOURCES_MAX]


def _weight(item: tuple[bytes, int, int]) -> tuple[int, bytes]:
    digest, flags, _ = item
    if flags & Seen.INSTRUCTED:
        return 0, digest
    return (1 if flags & (Seen.TEXT | Seen.FIELD) else 2), digest
