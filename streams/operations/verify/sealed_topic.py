"""Compares the records of a topic beside the verdicts with the leaves that the seals have of them.

Every record must be the next leaf of its kind. What stood at the beginning of the topic may have been deleted by
retention, or may be from before gates sealed such records. Retention deletes only what comes first. So either the first
record that is there is some leaf, and the leaves before it are skipped, or the first leaf is some record, and the
records before it are skipped. Both together are an offence, and either alone is said to be unknown. From there on
nothing may be missing, changed or added.
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

CLOCKS_APART_MS = 60_000
"""How much later than its seal a record can seem to be, since two clocks have stamped them."""


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
        records: Callable[[], Iterator[Received]],
        end: int,
        *,
        is_whole: bool,
        later: Callable[[int], list[bytes]],
        note_unknown: Callable[[str], None],
    ) -> None:
        """Read from the beginning.

        Args:
            sealed: which leaves they are compared with.
            records: opens the topic at the first record that is there; can be called again.
            end: the offset behind the last one.
            is_whole: whether the first record must be the first leaf.
            later: returns the leaves of a kind of the next seals.
            note_unknown: called with what can't be known.
        """
        self.cursor = Cursor(records(), end)
        self.is_aligned = is_whole
        self._sealed = sealed
        self._records = records
        self._end = end
        self._later = later
        self._note_unknown = note_unknown
        self._passed = 0
        self._lacks_seals: bool | None = None  # None before the first seal
        self._last_passed: tuple[Received, list[bytes]] | None = None  # the last seal skipped, with its leaves

    def take(self, received: Received, seal: Seal, batch: SealedBatch, *, may_skip: bool) -> list[Received]:
        """Return the records of a batch, which are the next ones of the topic.

        Args:
            received: the record of the seal.
            may_skip: whether records can stand before the first that a seal has.

        Raises:
            OffenceError: they are not.
        """
        leaf_of, expected = self._sealed.leaf_of, batch.leaves_of(self._sealed.kind)
        if self._lacks_seals is None:
            self._lacks_seals = seal.first > 0
        if expected and not self.is_aligned:
            expected = expected[self._align(received, expected, may_skip=may_skip) :]
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

    def end(self) -> None:
        """Tell which leaves no record was compared with, once all seals are read.

        Raises:
            OffenceError: records are there that must be among those leaves, and are not.
        """
        first, noun = self.cursor.next, self._sealed.noun
        if not self.is_aligned and self._last_passed is not None and first is not None and first.offset < self._end:
            seal, leaves = self._last_passed
            # Whoever changes the first record could give it a later timestamp. Then a sealed one behind it tells.
            if first.timestamp_ms <= seal.timestamp_ms or self._has_any(frozenset(leaves)):
                text = f"the {noun}s from here on are not those of the seals: some were changed, deleted or inserted"
                raise offence_at(OffenceKind.CHANGED, first, text)
        if self._passed:
            self._note_unknown(f"{self._passed} {noun}s that are sealed: not compared, since they are deleted")

    def _has_any(self, leaves: frozenset[bytes]) -> bool:
        return any(self._sealed.leaf_of(each) in leaves for each in self._records())

    def _align(self, received: Received, expected: list[bytes], *, may_skip: bool) -> int:
        """Find the record that the check begins with; return how many of the batch are gone before it."""
        cursor, is_cut, skipped = self.cursor, self.cursor.first > 0, 0
        first = cursor.next
        at = None if first is None else self._index_of(first, expected)
        # Once leaves are skipped, their records are deleted. So the first that is there must be a leaf.
        if at is None and may_skip and not self._passed:
            offset = self._find(received, frozenset(expected[:1] if is_cut else expected))
            while offset is not None and cursor.next is not None and cursor.next.offset < offset:
                skipped += 1
                cursor.take()
            at = None if offset is None or cursor.next is None else self._index_of(cursor.next, expected)
        if at is not None:
            if at and not is_cut:
                self._differ(received, expected)
            self.is_aligned = True
            self._passed += at
            self._tell_skipped(skipped)
            return at
        if is_cut:
            # Retention has deleted the records of this seal, and not the seal. If it was not that, `end` finds it.
            self._passed += len(expected)
            self._last_passed = received, expected
            return len(expected)
        text = (
            f"the {self._sealed.topic} has none of the {self._sealed.noun}s of this seal: they were changed or deleted"
        )
        raise offence_at(OffenceKind.MISSING, received, text)

    def _index_of(self, record: Received, leaves: list[bytes]) -> int | None:
        leaf = self._sealed.leaf_of(record)
        return leaves.index(leaf) if leaf in leaves else None

    def _find(self, received: Received, leaves: frozenset[bytes]) -> int | None:
        """Return the offset of the first record that is one of the leaves; None if a seal's time has none.

        The topic is opened once more: if there is none, the records that were looked at may belong to later seals.
        """
        latest_ms = received.timestamp_ms + CLOCKS_APART_MS
        for record in self._records():
            if self._sealed.leaf_of(record) in leaves:
                return record.offset
            if record.timestamp_ms > latest_ms:
                break
        return None

    def _tell_skipped(self, skipped: int) -> None:
        # The first record of a topic can have a higher offset: those of an aborted transaction are not to be read. So
        # an offset alone proves no deletion. But records of seals that are deleted may have stood there.
        noun = self._sealed.noun
        if skipped:
            self._note_unknown(f"{skipped} {noun}s before the first seal: nothing seals them any more")
        elif self._passed or (self._lacks_seals and self.cursor.first > 0):
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
