"""Seals batches of a simulated gate by the hook at commit: a running count and hash chain of all that it has written.

It is the smallest thing that breaks when the hook does: a batch that is sealed twice, not at all, or out of order, or a
seal whose state is not that of its transaction, does not fit the chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import msgspec

from streams.model.audit import AuditCheckpoint
from streams.model.errors import InvariantError, RecordError
from streams.model.proof import derived_uuid
from streams.model.topics import ALERT, AUDIT, AUDIT_CHECKPOINT, VERDICT
from streams.model.types import Header, Record
from streams.ports import Outgoing, Received
from streams.ports.processor import Broadcast, CommitHook, DeletedInput, Output, Processor, StateView, TimeReset
from streams.ports.wire import Encoder

OWN_TOPICS = (VERDICT, AUDIT)
"""A gate's partition writes to its own partition of these, and nobody else does."""
ELSEWHERE_TOPICS = (ALERT,)
CHAIN_KEY = b"chain-"
"""What the keys of these seals begin with, which lie beside the heads of the gate's own."""
SEAL_KEY = b"!seal"
START_OF_CHAIN = bytes(32)


class SealedBatch(msgspec.Struct, frozen=True):
    """What a seal covers, in the order of writing.

    Attributes:
        own: SHA-256 of each record that went to the gate's own partition.
        elsewhere: topic, partition and SHA-256 of each record that went anywhere else.
    """

    own: list[bytes]
    elsewhere: list[tuple[str, int, bytes]]


_encode_head = msgspec.msgpack.Encoder().encode
_decode_head = msgspec.msgpack.Decoder(tuple[int, bytes]).decode


class BatchSeals:
    """The commit hook. Its only memory is a row of each partition: how many records were sealed, and their chain."""

    topics = frozenset(topic.name for topic in (*OWN_TOPICS, *ELSEWHERE_TOPICS))
    inputs: frozenset[str] = frozenset()

    def __init__(self, encoder: Encoder) -> None:
        """Create the hook.

        Args:
            encoder: makes the seals' bytes.
        """
        self._encoder = encoder

    def before_commit(
        self, written: Sequence[Outgoing], read: Sequence[Received], state: StateView, now_ms: int
    ) -> list[Output]:
        """Return the seal of what was written; none of an empty batch."""
        del read  # it asks for no inputs
        if not written:
            return []
        batch = SealedBatch([], [])
        own_topics = {topic.name for topic in OWN_TOPICS}
        for record in written:
            digest = sha256(record.value or b"").digest()
            if record.topic not in own_topics:
                batch.elsewhere.append((record.topic, record.partition, digest))
            elif record.partition == state.partition:
                batch.own.append(digest)
            else:
                raise InvariantError(f"partition {state.partition} wrote to {record.topic}/{record.partition}")
        found = state.get(SEAL_KEY)
        count, chain = (0, START_OF_CHAIN) if found is None else _decode_head(found)
        count, chain = count + len(batch.own), chained(chain, batch)
        state.put(SEAL_KEY, _encode_head((count, chain)))
        return [self._seal(state.partition, count, chain, batch, now_ms)]

    def _seal(self, partition: int, count: int, chain: bytes, batch: SealedBatch, now_ms: int) -> Output:
        header = Header(
            id=derived_uuid("seal", str(partition), chain.hex()), source="simulation", time=now_ms, tenant_uid=""
        )
        seal = AuditCheckpoint(
            header=header,
            partition=partition,
            tree_size=count,
            root=chain,
            first_audit_offset=count - len(batch.own),
            signed_head=msgspec.json.encode(batch).decode(),
        )
        value = self._encoder.encode(AUDIT_CHECKPOINT.name, seal)
        return Output(AUDIT_CHECKPOINT, b"%s%d" % (CHAIN_KEY, partition), value, header)


def chained(chain: bytes, batch: SealedBatch) -> bytes:
    """Return the chain's next link: a digest of the one before it and of the batch."""
    return sha256(chain + msgspec.json.encode(batch)).digest()


class BothHooks:
    """Two hooks of one processor. Neither is shown what the other returns."""

    def __init__(self, first: CommitHook, second: CommitHook) -> None:
        """Join two hooks; the outputs of the first come first."""
        self._hooks = (first, second)
        self.topics = first.topics | second.topics
        self.inputs = first.inputs | second.inputs

    def before_commit(
        self, written: Sequence[Outgoing], read: Sequence[Received], state: StateView, now_ms: int
    ) -> list[Output]:
        """Return what both return, each shown the topics that it has asked for."""
        return [
            output
            for hook in self._hooks
            for output in hook.before_commit(
                [each for each in written if each.topic in hook.topics],
                [each for each in read if each.topic in hook.inputs],
                state,
                now_ms,
            )
        ]


class SealedProcessor(Processor):
    """A processor with this hook, and in everything else as it is."""

    def __init__(self, processor: Processor, hook: CommitHook) -> None:
        """Add `hook` to `processor`."""
        self._processor = processor
        self._hook = hook

    @property
    def broadcast(self) -> Broadcast | None:
        """As the processor has it."""
        return self._processor.broadcast

    @property
    def commit_hook(self) -> CommitHook:
        """The hook."""
        return self._hook

    def process(
        self, topic: str, key: bytes | None, record: Record, state: StateView, received_ms: int, now_ms: int
    ) -> list[Output]:
        """Pass it to the processor."""
        return self._processor.process(topic, key, record, state, received_ms, now_ms)

    def on_timer(self, payload: bytes, state: StateView, now_ms: int) -> list[Output]:
        """Pass it to the processor."""
        return self._processor.on_timer(payload, state, now_ms)

    def on_dead_letter(self, record: Received, error: RecordError, state: StateView, now_ms: int) -> list[Output]:
        """Pass it to the processor."""
        return self._processor.on_dead_letter(record, error, state, now_ms)

    def on_timer_failed(self, partition: int, due_ms: int, payload: bytes, error: Exception) -> list[Output]:
        """Pass it to the processor."""
        return self._processor.on_timer_failed(partition, due_ms, payload, error)

    def on_input_deleted(self, deleted: DeletedInput, now_ms: int) -> list[Output]:
        """Pass it to the processor."""
        return self._processor.on_input_deleted(deleted, now_ms)

    def takes_effect_ahead(self, record: Record) -> bool:
        """Pass it to the processor."""
        return self._processor.takes_effect_ahead(record)

    def on_time_reset(self, reset: TimeReset) -> list[Output]:
        """Pass it to the processor."""
        return self._processor.on_time_reset(reset)
