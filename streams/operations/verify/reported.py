"""Checks what others have put on the record: that it is what the notaries have read and sealed.

**Idea.** The notary's log of a partition has one kind of leaves, the records of `agent.audit.reported.v1` in the order
of their offsets, and its seals lie on a topic of their own (ADR 0090). So both topics are read side by side, as the
gate's are (`streams.operations.verify.partition`).

What no notary has read yet is unknown, and so is what retention has deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from streams.audit.merkle import Frontier
from streams.audit.notes import Checkpoint
from streams.audit.seal_keys import SealKeys
from streams.audit.seals import NOTARY_LOG, REPORTED_LEAF, SealedBatch, claims_of, read_leaf
from streams.codec.avro import Codec
from streams.model.audit import Seal
from streams.model.topics import AUDIT_SEAL
from streams.model.types import Header
from streams.operations.verify.cursor import Cursor
from streams.operations.verify.heads import KeptHead
from streams.operations.verify.links import check_link, check_unsigned, log_after, open_seal
from streams.operations.verify.offences import Offence, OffenceError, OffenceKind, offence_at
from streams.operations.verify.partition import SEALS_AHEAD_MAX, PartitionReport
from streams.operations.verify.sealed_topic import SealedKind, SealedTopic
from streams.ports import Received
from streams.processors.notary import SOURCE

REPORTED = SealedKind(REPORTED_LEAF, read_leaf, "record", "topic of what others put on the record")


@dataclass
class ReportedRecords:
    """What others have put on the record in one partition, with its seals.

    Attributes:
        records, seals: open the two topics at their first record; each iterator is read once, `records` can be called
            again.
        records_end, seals_end: the offsets behind the last ones.
    """

    partition: int
    records: Callable[[], Iterator[Received]]
    seals: Callable[[], Iterator[Received]]
    records_end: int
    seals_end: int


def check_reported(
    recorded: ReportedRecords,
    keys: SealKeys,
    codec: Codec,
    *,
    since: Checkpoint | None = None,
    is_whole: bool = False,
) -> PartitionReport:
    """Return what is wrong with what others have put on the record in a partition, if anything is. Blocking.

    Args:
        recorded: the records and their seals.
        keys: the keys whose seals count.
        codec: reads seals.
        since: a head of the notary's log that was kept elsewhere.
        is_whole: whether the log has its beginning: then a record that is missing there is an offence.

    Raises:
        TopicReadError, LogError: the log can't be read.
        ArchiveError: a file of a copy can't be read.
    """
    check = _Check(recorded, keys, codec, since, is_whole=is_whole)
    try:
        check.run()
    except OffenceError as error:
        check.report.offence = error.offence
    return check.report


class _Check:
    """The check of one partition."""

    def __init__(
        self, recorded: ReportedRecords, keys: SealKeys, codec: Codec, since: Checkpoint | None, *, is_whole: bool
    ) -> None:
        self.report = PartitionReport(recorded.partition, log=NOTARY_LOG)
        self._recorded = recorded
        self._keys = keys
        self._codec = codec
        self._log: Frontier | None = None  # None before the first seal
        self._since = KeptHead(since)
        self._seals = Cursor(recorded.seals(), recorded.seals_end)
        self._has_beginning = is_whole or self._seals.first == 0
        self._records = SealedTopic(
            REPORTED,
            recorded.records,
            recorded.records_end,
            is_whole=is_whole,
            later=self._later,
            note_unknown=self.report.unknown.append,
        )

    def run(self) -> None:
        """Check everything.

        Raises:
            OffenceError: something is wrong.
        """
        while self._seals.next is not None:
            self._check(self._seals.take())
        self._end()

    def _check(self, received: Received) -> None:
        report, log = self.report, self._log
        seal, batch = open_seal(received, self._codec, self._keys, report.partition, NOTARY_LOG)
        check_link(received, seal, batch, log, has_beginning=self._has_beginning)
        if log is None and seal.first:
            report.unknown.append(f"the first {seal.first} records of others: their seals are deleted")
        check_unsigned(received, seal, batch, report.partition, (REPORTED_LEAF,))
        _check_claims(received, seal, batch)
        taken = self._records.take(received, seal, batch, may_skip=True)
        self._log = log_after(received, batch)
        if unknown := self._since.compare_seal(received, seal, batch, is_first=log is None):
            report.unknown.append(unknown)
        report.reported += len(taken)
        report.seals += 1
        report.head, report.size = seal.signed_head, batch.head.size

    def _later(self, wanted: int) -> list[bytes]:
        """Return the leaves of the next seals, as far as they can be read. Ends the reading of seals."""
        found: list[bytes] = []
        for _ in range(SEALS_AHEAD_MAX):
            if self._seals.next is None:
                break
            try:
                _, batch = open_seal(self._seals.take(), self._codec, self._keys, self._recorded.partition, NOTARY_LOG)
            except OffenceError:
                break
            found += batch.leaves_of(wanted)
        return found

    def _end(self) -> None:
        """Tell what no notary has sealed, and whether the log has come as far as it had."""
        record = self._records.cursor.next
        self._records.end()
        if record is not None:
            text = f"what others put on the record from offset {record.offset} on: no notary has sealed it yet"
            self.report.unknown.append(text)
        since, size = self._since.head, 0 if self._log is None else self._log.size
        if since is not None and not self._since.is_compared:
            text = f"the seals end after {size} records, and had {since.size} when their head was kept elsewhere"
            at = self._recorded.partition, self._recorded.seals_end
            raise OffenceError(Offence(OffenceKind.TRUNCATED, AUDIT_SEAL.name, *at, text))


def _check_claims(received: Received, seal: Seal, batch: SealedBatch) -> None:
    """Check that the header of a seal is what its head says.

    Raises:
        OffenceError: it is not.
    """
    header = Header(id=seal.header.id, source=SOURCE, time=seal.header.time, tenant_uid="")
    if seal.header != header or batch.head.extensions[1:] != claims_of(header.time, continues=seal.continues):
        raise offence_at(OffenceKind.CHANGED, received, "the header of the seal is not the one that its head has")
