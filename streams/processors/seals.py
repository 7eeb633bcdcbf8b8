"""Seal what each transaction writes: the commit hook of the gate.

`streams.audit.seals` says what a seal is, and why. The hook's only memory is a row of the partition's state, the
frontier of its log. The row is written in the transaction of the seal, so after an abort, a crash or a move to another
gate the log goes on where the last committed seal ends. A verdict that is given again is a leaf again: the batch is
what the transaction wrote, whatever it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import msgspec

from streams.audit.merkle import Frontier
from streams.audit.notes import Signer
from streams.audit.seals import AUDIT_LEAF, VERDICT_LEAF, make_seals
from streams.model.audit import AuditCheckpoint
from streams.model.errors import InvariantError
from streams.model.proof import derived_uuid
from streams.model.topics import AUDIT, AUDIT_CHECKPOINT, SEAL, SEAL_KEY, SEALS_AMONG_VERDICTS, VERDICT
from streams.ports import Outgoing
from streams.ports.processor import Output, StateView
from streams.ports.wire import Encoder
from streams.processors.headers import SOURCE, gate_header
from streams.processors.rows import SEALED_KEY

OFFSET_UNKNOWN = -1
"""What a checkpoint states as the offset of its first record: the gate learns no offsets of what it writes."""

_decode_frontier = msgspec.msgpack.Decoder(Frontier).decode
encode_frontier = msgspec.msgpack.Encoder().encode
"""Encodes the row of a partition's frontier."""
_LEAF_PREFIX = b"\x00"


class Seals:
    """The commit hook that seals verdicts and audit records."""

    topics = frozenset((VERDICT.name, AUDIT.name))

    def __init__(self, encoder: Encoder, signer: Signer, deployment: str) -> None:
        """Create the hook.

        Args:
            encoder: makes the seals' bytes.
            signer: signs the heads of the logs.
            deployment: the name of the deployment, which is part of each log's name.
        """
        self._encoder = encoder
        self._signer = signer
        self._deployment = deployment

    def before_commit(self, written: Sequence[Outgoing], state: StateView, now_ms: int) -> list[Output]:
        """Return the seals of what was written, and the head for the checkpoint topic. An empty batch has none.

        Raises:
            SigningKeyError: the key can't be used; the transaction is aborted.
        """
        if not written:
            return []
        # INVARIANT: the hashes are of the values as they are on the topics, each hashed once and never encoded again.
        leaves = [sha256(_LEAF_PREFIX + (record.value or b"")).digest() for record in written]
        verdicts = VERDICT.name
        kinds = bytes([VERDICT_LEAF if record.topic == verdicts else AUDIT_LEAF for record in written])
        partition = state.partition
        if any(record.partition != partition for record in written):
            raise InvariantError(f"partition {partition} wrote verdicts or audit records to another one")
        found = state.get(SEALED_KEY)
        seals, after = make_seals(
            Frontier() if found is None else _decode_frontier(found),
            leaves,
            kinds,
            partition=partition,
            deployment=self._deployment,
            source=SOURCE,
            now_ms=now_ms,
            signer=self._signer,
        )
        state.put(SEALED_KEY, encode_frontier(after))
        encode = self._encoder.encode
        outputs = [Output(SEALS_AMONG_VERDICTS, SEAL_KEY, encode(SEAL.name, seal), seal.header) for seal in seals]
        return [*outputs, self._checkpoint(partition, after, seals[-1].signed_head, now_ms)]

    def _checkpoint(self, partition: int, after: Frontier, signed_head: str, now_ms: int) -> Output:
        checkpoint = AuditCheckpoint(
            header=gate_header(derived_uuid("head", signed_head), "", now_ms),
            partition=partition,
            tree_size=after.size,
            root=after.root(),
            first_audit_offset=OFFSET_UNKNOWN,
            signed_head=signed_head,
        )
        value = self._encoder.encode(AUDIT_CHECKPOINT.name, checkpoint)
        return Output(AUDIT_CHECKPOINT, b"%d" % partition, value, checkpoint.header)
