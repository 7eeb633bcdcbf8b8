"""Receipts: what proves one verdict, wherever it is handed to."""

from __future__ import annotations

import msgspec

from streams.audit.merkle import Tree, is_included, leaf_hash
from streams.audit.notes import Checkpoint, Note, NoteError
from streams.audit.seal_keys import SealKeys
from streams.audit.seals import VERDICT_LEAF, SealedBatch, SealError, batch_root


class Receipt(msgspec.Struct, frozen=True):
    """What proves one verdict, wherever it is handed to: its bytes, and its place in a batch whose head is signed.

    Attributes:
        value: the value of the verdict's record, as it lies on the topic.
        key: the record's key.
        partition: the partition of the record.
        sealed_ms: the time of the seal, as it says.
        index: the place of the verdict in the batch.
        size: how many leaves the batch has.
        path: the proof that the verdict is in the batch.
        signed_head: the head of the log after the batch, signed.
    """

    value: bytes
    key: bytes | None
    partition: int
    sealed_ms: int
    index: int
    size: int
    path: tuple[bytes, ...]
    signed_head: str

    @classmethod
    def of(cls, value: bytes, key: bytes | None, batch: SealedBatch, kind: int = VERDICT_LEAF) -> Receipt:
        """Return the receipt of a verdict of a batch, or of another kind of record.

        Raises:
            SealError: the batch does not have it.
        """
        index = batch.index_of(leaf_hash(value), kind)
        if index is None:
            raise SealError("the verdict is not among those that the seal covers")
        path, seal = tuple(Tree(batch.leaves).inclusion(index)), batch.seal
        return cls(value, key, seal.partition, seal.header.time, index, len(batch.leaves), path, seal.signed_head)

    def check(self, keys: SealKeys, runs_at_ms: int | None = None) -> None:
        """Check the receipt. Costs 60 to 80 us.

        Args:
            keys: those whose seals count.
            runs_at_ms: see `SealKeys.signer_of`.

        Raises:
            SealError: it proves nothing.
        """
        try:
            note = Note.parse(self.signed_head)
            head = Checkpoint.parse(note.text)
        except NoteError as error:
            raise SealError(f"the head can't be read: {error}") from None
        keys.signer_of(note, self.partition, self.sealed_ms, runs_at_ms=runs_at_ms)
        leaf = leaf_hash(self.value)
        # The size of the batch is not signed. Whatever it is, the path leads from this leaf to the root that is.
        if not is_included(leaf, self.index, self.size, self.path, batch_root(head)):
            raise SealError("the verdict is not among those that the head covers")
