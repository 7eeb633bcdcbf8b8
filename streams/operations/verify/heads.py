"""Compares the seals of a partition with its heads on the log, and with a head that was kept elsewhere."""

from __future__ import annotations

import msgspec

from streams.audit.notes import Checkpoint, Note, NoteError
from streams.audit.seal_keys import SealKeys
from streams.audit.seals import LEAVES_MAX, SealedBatch, SealError
from streams.codec.avro import Codec
from streams.model.audit import AuditCheckpoint, Seal
from streams.model.errors import RecordError
from streams.model.plurals import many
from streams.model.proof import derived_uuid
from streams.model.topics import AUDIT_CHECKPOINT
from streams.operations.verify.cursor import Cursor
from streams.operations.verify.offences import OffenceKind, offence_at
from streams.ports import Received

_OFFSET_UNKNOWN = -1


class KeptHead:
    """A head that was kept elsewhere, which the log must go on from.

    Attributes:
        head: the head; None if none was kept.
        is_compared: whether the log has come so far.
    """

    def __init__(self, head: Checkpoint | None) -> None:
        self.head = head
        self.is_compared = head is None or head.size == 0

    def compare_head(self, record: Received, head: AuditCheckpoint, heads: Heads) -> None:
        """Compare a head on the log whose seal is deleted.

        Raises:
            OffenceError: it is of the same size, and another one.
        """
        known = self.head
        if known is None or self.is_compared or head.tree_size != known.size:
            return
        self.is_compared = True
        heads.check_signature(record, head, "")
        if head.root != known.root:
            raise offence_at(OffenceKind.FORKED, record, "the head here is not the one that was kept elsewhere")

    def compare_seal(self, received: Received, seal: Seal, batch: SealedBatch, *, is_first: bool) -> str:
        """Compare the head of a seal, once the log is as large as it was.

        Args:
            is_first: whether it is the first seal that is on the log.

        Returns:
            What can't be known; empty if nothing.

        Raises:
            OffenceError: the log is another one.
        """
        known, size = self.head, batch.head.size
        if known is None or self.is_compared or size < known.size:
            return ""
        self.is_compared = True
        if is_first and known.size < seal.first:
            return f"whether the log extends the head that was kept elsewhere ({many(known.size, 'record')})"
        is_before = is_first and known.size == seal.first
        root = batch.before.root() if is_before else batch.head.root
        if (is_before or size == known.size) and root == known.root:
            return ""
        text = f"the log is not the one whose head of {many(known.size, 'record')} was kept elsewhere"
        raise offence_at(OffenceKind.FORKED, received, text)


class Heads:
    """The heads of a partition on their topic, which follow its seals."""

    def __init__(self, cursor: Cursor, partition: int, keys: SealKeys, codec: Codec, since: KeptHead) -> None:
        self._cursor = cursor
        self._partition = partition
        self._keys = keys
        self._codec = codec
        self._since = since

    def check(self, received: Received, seal: Seal) -> None:
        """Check that the head of a batch is the next one of the topic of heads."""
        record = self._cursor.next
        if record is None:
            raise offence_at(OffenceKind.MISSING, received, f"the head of the seal is not on `{AUDIT_CHECKPOINT.name}`")
        head = self._read(record)
        if head.signed_head != seal.signed_head:
            here = f"the head here covers {many(head.tree_size, 'record')}"
            text = f"{here}, and that of seal {received.offset} is another one"
            kind = OffenceKind.FORKED if head.tree_size == seal.first + len(seal.kinds) else OffenceKind.MISSING
            raise offence_at(kind, record, text)
        parsed = Checkpoint.parse(Note.parse(seal.signed_head).text)
        wanted = AuditCheckpoint(
            header=msgspec.structs.replace(seal.header, id=derived_uuid("head", seal.signed_head)),
            partition=self._partition,
            tree_size=parsed.size,
            root=parsed.root,
            first_audit_offset=_OFFSET_UNKNOWN,
            signed_head=seal.signed_head,
        )
        if head != wanted:
            raise offence_at(OffenceKind.CHANGED, record, "its fields are not those of its signed text, or of its seal")
        self._cursor.take()

    def _read(self, record: Received) -> AuditCheckpoint:
        try:
            head = self._codec.decode(AUDIT_CHECKPOINT.name, record.value, record.headers)
        except RecordError as error:
            raise offence_at(OffenceKind.CHANGED, record, f"the head can't be read: {error}") from None
        if not isinstance(head, AuditCheckpoint) or record.key != b"%d" % self._partition:
            raise offence_at(OffenceKind.CHANGED, record, "the record is not a head of this partition")
        return head

    def skip(self, received: Received, seal: Seal, batch: SealedBatch) -> None:
        """Pass the heads of seals that are deleted. The last of them must be the log on which the first seal builds."""
        last, size = None, 0
        while (record := self._cursor.next) is not None:
            head = self._read(record)
            if head.tree_size > seal.first:
                break
            if head.tree_size <= size:
                text = f"the head here covers {many(head.tree_size, 'record')}, and the one before it {size}"
                raise offence_at(OffenceKind.REORDERED, record, text)
            self._since.compare_head(record, head, self)
            last, size = (record, head), head.tree_size
            self._cursor.take()
        if last is None or size != seal.first:
            # A batch of more than `LEAVES_MAX` has several seals, and only the last of them has its head here.
            if last is not None and (seal.first - size) % LEAVES_MAX:
                text = f"the heads lack the one of {seal.first} records, on which the first seal builds"
                raise offence_at(OffenceKind.MISSING, received, text)
            return
        if last[1].root != batch.before.root():
            raise offence_at(OffenceKind.FORKED, last[0], "the first seal does not build on this head")

    def end(self, size: int, end: int, *, is_deleted: bool) -> str:
        """Check that no head is left.

        Args:
            size: how many records the seals have covered.
            end: below which offset a head must have its seal.
            is_deleted: whether retention has deleted all seals.

        Returns:
            What can't be known; empty if nothing.

        Raises:
            OffenceError: one is left.
        """
        record = self._cursor.next
        if record is None or record.offset >= end:
            return ""
        head = self._read(record)
        text = f"the head here covers {many(head.tree_size, 'record')}, and the seals end at {size}"
        self.check_signature(record, head, f"{text}; ")
        if not is_deleted:
            raise offence_at(OffenceKind.TRUNCATED if head.tree_size > size else OffenceKind.INSERTED, record, text)
        while self._cursor.next is not None:
            record = self._cursor.take()
            self._since.compare_head(record, self._read(record), self)
        return f"the log from its first head ({head.tree_size} records) on: its seals are deleted"

    def check_signature(self, record: Received, head: AuditCheckpoint, text: str) -> None:
        """Check that a key that counts has signed a head.

        Raises:
            OffenceError: none has.
        """
        try:
            self._keys.signer_of(Note.parse(head.signed_head), self._partition, head.header.time)
        except (NoteError, SealError) as error:
            raise offence_at(OffenceKind.UNTRUSTED, record, f"{text}{error}") from None
