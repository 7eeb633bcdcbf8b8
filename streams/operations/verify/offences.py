"""Names what is wrong with a recorded log, and where: what was found compared with what a seal says."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from streams.model.errors import StoplogError
from streams.ports import Received


class OffenceKind(StrEnum):
    """What is wrong."""

    CHANGED = "changed"
    MISSING = "missing"
    INSERTED = "inserted"
    REORDERED = "reordered"
    UNSEALED = "unsealed"
    UNRECORDED = "unrecorded"
    UNTRUSTED = "untrusted"
    FORKED = "forked"
    TRUNCATED = "truncated"


MEANINGS = {
    OffenceKind.CHANGED: "it is not what it was when it was sealed",
    OffenceKind.MISSING: "a record that was sealed is not there any more",
    OffenceKind.INSERTED: "nothing was sealed there, or it was written again",
    OffenceKind.REORDERED: "records of this place were exchanged after they were sealed",
    OffenceKind.UNSEALED: "nothing proves that a gate has written it; executors don't run it",
    OffenceKind.UNRECORDED: "a call was decided without a record of why",
    OffenceKind.UNTRUSTED: "no key that counts has signed the log from here on",
    OffenceKind.FORKED: "there are two logs: what was shown before is not what is here now",
    OffenceKind.TRUNCATED: "the end of the log was cut off, or an earlier state was restored",
}
"""What each kind means to the owner of the log."""


class Offence(NamedTuple):
    """What is wrong with a partition, first of all.

    Attributes:
        kind: what it is.
        topic, partition, offset: where; for a record that is gone, where the record lies that proves it.
        text: what was found there, in words.
    """

    kind: OffenceKind
    topic: str
    partition: int
    offset: int
    text: str

    @property
    def place(self) -> str:
        """Topic, partition and offset."""
        return f"{self.topic}/{self.partition}/{self.offset}"


class OffenceError(StoplogError):
    """Ends the check of a partition; `offence` is what was found."""

    def __init__(self, offence: Offence) -> None:
        super().__init__(f"{offence.place}: {offence.text}")
        self.offence = offence


def offence_at(kind: OffenceKind, received: Received, text: str) -> OffenceError:
    """Return the error for a record at which something is wrong."""
    return OffenceError(Offence(kind, received.topic, received.partition, received.offset, text))


def difference_of(found: Sequence[bytes], expected: Sequence[bytes]) -> tuple[OffenceKind, int]:
    """Return what has happened to records, and at which index of `found` it shows.

    Args:
        found: the hashes of the records as they were read. They differ from `expected`.
        expected: the hashes of the records as they were sealed.

    Returns:
        The index is `len(found)` if the last records are gone.
    """
    pairs = enumerate(zip(found, expected, strict=False))
    at = next((number for number, (one, other) in pairs if one != other), min(len(found), len(expected)))
    if at == len(found):
        return OffenceKind.MISSING, at
    if at == len(expected):
        return OffenceKind.INSERTED, at
    is_sealed, is_there = found[at] in expected[at:], expected[at] in found[at:]
    if is_sealed and is_there:
        return OffenceKind.REORDERED, at
    if is_sealed:
        return OffenceKind.MISSING, at
    return (OffenceKind.INSERTED if is_there else OffenceKind.CHANGED), at
