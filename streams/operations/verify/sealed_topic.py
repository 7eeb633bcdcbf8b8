"""Compares the records of a topic beside the verdicts with the leaves that the seals have of them.

Every record must be the next leaf of its kind. What stood at the beginning of the topic may have been deleted by
retention, or may be from before gates sealed such records. So the first record that a seal has is looked for, and what
is before it is said to be unknown. From there on nothing may be missing, changed or added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from streams.audit.seals import SealedBatch
from streams.model.audit import Seal
from streams.model.topics import VERDICT
from streams.operations.verify.cursor import Cursor
from streams.operations.verify.offences import OffenceKind, difference_of, offence_at
from streams.ports import Received


class SealedKind(NamedTuple):
    """A kind of leaves, and the records that they are of.

    Attributes:
        kind: of `streams.audit.seals.LEAF_OF_TOPIC`.
        leaf_of: returns the leaf of a record.
        noun: what a record is called.
        topic: what the topic is called.
    """

    kind: int
    leaf_of: Callable[[Received], bytes]
    noun: str
    topic: str


class SealedTopic:
    """The records of one topic and partition, in their order.

    Attributes:
        cursor: the next record.
        is_aligned: whether the next record must be the next leaf.
    """

    def __init__(
        self,
        sealed: SealedKind,
        records: Iterator[Received],
        end: int,
        *,
        is_whole: bool,
        later: Callable[[int], list[bytes]],
        note_unknown: Callable[[str], None],
    ) -> None:
        """Read from the beginning.

        Args:
            sealed: which leaves they are compared with.
            records: from the first that is there.
            end: the offset behind the last one.
            is_whole: whether the first record must be the first leaf.
            later: returns the leaves of a kind of the next seals.
            note_unknown: called with what can't be known.
        """
        self.cursor = Cursor(records, end)
        self.is_aligned = is_whole
        self._sealed = sealed
        self._later = later
        self._note_unknown = note_unknown
        self._skipped = 0

    def take(self, received: Received, seal: Seal, batch: SealedBatch, *, may_skip: bool) -> list[Received]:
        """Return the records of a batch, which are the next ones of the topic.

        Args:
            received: the record of the seal.
            may_skip: whether records can stand before the first that a seal has.

        Raises:
            OffenceError: they are not.
        """
        leaf_of, expected = self._sealed.leaf_of, batch.leaves_of(self._sealed.kind)
        if expected and not self.is_aligned:
            expected = expected[self._align(received, seal, expected, may_skip=may_skip) :]
        cursor, taken = self.cursor, []
        for number, leaf in enumerate(expected):
            record = cursor.next
            if record is None:
                text = f"the {self._sealed.topic} ends, and {len(expected) - number} records of this seal are missing"
                raise offence_at(OffenceKind.TRUNCATED, received, text)
            if leaf_of(record) != leaf:
                self._differ(received, expected[number:])
            taken.append(cursor.take())
        return taken

    def _align(self, received: Received, seal: Seal, expected: list[bytes], *, may_skip: bool) -> int:
        """Find the record that the check begins with; return how many of the batch are gone before it."""
        cursor, is_cut = self.cursor, self.cursor.first > 0
        while (record := cursor.next) is not None:
            leaf = self._sealed.leaf_of(record)
            if leaf in expected:
                at = expected.index(leaf)
                if at and not is_cut:
                    self._differ(received, expected)
                self.is_aligned = True
                self._tell_skipped(seal, at)
                return at
            if not may_skip or record.timestamp_ms > received.timestamp_ms:
                break
            self._skipped += 1
            cursor.take()
        if is_cut and (record is None or record.timestamp_ms > received.timestamp_ms):
            return len(expected)  # retention has deleted the records of this seal, and not the seal
        text = (
            f"the {self._sealed.topic} has none of the {self._sealed.noun}s of this seal: they were changed or deleted"
        )
        raise offence_at(OffenceKind.MISSING, received, text)

    def _tell_skipped(self, seal: Seal, gone: int) -> None:
        # The first records of a topic can have higher offsets: those of an aborted transaction are not to be read.
        noun = self._sealed.noun
        if self._skipped:
            self._note_unknown(f"{self._skipped} {noun}s before the first seal: nothing seals them any more")
        if gone or (seal.first > 0 and self.cursor.first > 0 and not self._skipped):
            self._note_unknown(f"{noun}s before offset {self.cursor.first}: they are deleted")

    def _differ(self, received: Received, expected: list[bytes]) -> None:
        # A batch of one record can't tell whether it is gone or changed: the next seals can.
        due = [*expected, *self._later(self._sealed.kind)]
        records: list[Received] = []
        while self.cursor.next is not None and len(records) < len(due):
            records.append(self.cursor.take())
        kind, at = difference_of([self._sealed.leaf_of(each) for each in records], due)
        where = records[at] if at < len(records) else received
        of = "of the verdicts" if received.topic == VERDICT.name else f"of `{received.topic}`"
        text = f"the {self._sealed.noun} here is not the next one that seal {received.offset} {of} has"
        raise offence_at(kind, where, text)
