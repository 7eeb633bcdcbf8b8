"""Seal what each transaction writes: the commit hook of the gate.

`streams.audit.seals` says what a seal is, and why. The hook's only memory is a row of the partition's state, the
frontier of its log. The row is written in the transaction of the seal, so after an abort, a crash or a move to another
gate the log goes on where the last committed seal ends. A verdict that is given again is a leaf again: the batch is
what the transaction wrote, whatever it was.

Reports and session events that the transaction has read are leaves, too, before what it wrote. They are sealed as they
lie on their topics, whether they count or not: it is proven what was there, and not that it is true.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from hashlib import sha256

import msgspec

from streams.audit.merkle import Frontier
from streams.audit.notes import Signer
from streams.audit.seals import GATE_LOG, LEAF_OF_TOPIC, make_seals, read_leaf
from streams.model.audit import AuditCheckpoint, Seal
from streams.model.errors import InvariantError
from streams.model.proof import derived_uuid
from streams.model.topics import (
    AUDIT,
    AUDIT_CHECKPOINT,
    REPORT,
    SEAL,
    SEAL_KEY,
    SEALS_AMONG_VERDICTS,
    SESSION,
    VERDICT,
)
from streams.ports import Outgoing, Received
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


class Sealer:
    """Adds leaves to the log of a partition, whose frontier is in the partition's state."""

    def __init__(self, signer: Signer, deployment: str, source: str, log: str = GATE_LOG) -> None:
        """Create it; the arguments are those of `make_seals`."""
        self._make = partial(make_seals, deployment=deployment, source=source, signer=signer, log=log)

    def add(self, leaves: Sequence[bytes], kinds: bytes, state: StateView, now_ms: int) -> tuple[list[Seal], Frontier]:
        """Return the seals of a batch, and the frontier of the log, as the state now has it.

        Args:
            leaves, kinds, now_ms: as in `make_seals`.
            state: has the frontier of the log.

        Raises:
            SigningKeyError: the key can't be used; the transaction is aborted.
        """
        found = state.get(SEALED_KEY)
        before = Frontier() if found is None else _decode_frontier(found)
        seals, after = self._make(before, leaves, kinds, partition=state.partition, now_ms=now_ms)
        state.put(SEALED_KEY, encode_frontier(after))
        return seals, after


class Seals:
    """The commit hook that seals verdicts and audit records, and the reports and session events that were read."""

    topics = frozenset((VERDICT.name, AUDIT.name))
    inputs = frozenset((REPORT.name, SESSION.name))

    def __init__(self, encoder: Encoder, signer: Signer, deployment: str) -> None:
        """Create the hook.

        Args:
            encoder: makes the seals' bytes.
            signer: signs the heads of the logs.
            deployment: the name of the deployment, which is part of each log's name.
        """
        self._encoder = encoder
        self._sealer = Sealer(signer, deployment, SOURCE)

    def before_commit(
        self, written: Sequence[Outgoing], read: Sequence[Received], state: StateView, now_ms: int
    ) -> list[Output]:
        """Return the seals of what was read and written, and the head for the checkpoint topic; none of nothing.

        Raises:
            SigningKeyError: the key can't be used; the transaction is aborted.
        """
        if not written and not read:
            return []
        # INVARIANT: the hashes are of the values as they are on the topics, each hashed once and never encoded again.
        leaves = [read_leaf(record) for record in read]
        leaves += [sha256(_LEAF_PREFIX + (record.value or b"")).digest() for record in written]
        topics = [*(record.topic for record in read), *(record.topic for record in written)]
        kinds = bytes([LEAF_OF_TOPIC[topic] for topic in topics])
        partition = state.partition
        if any(record.partition != partition for record in written):
            raise InvariantError(f"partition {partition} wrote verdicts or audit records to another one")
        seals, after = self._sealer.add(leaves, kinds, state, now_ms)
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
