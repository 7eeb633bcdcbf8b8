"""Opens the seals of a log, and checks that each goes on exactly where the one before it ends."""

from __future__ import annotations

from collections.abc import Collection

from streams.audit.merkle import Frontier
from streams.audit.seal_keys import SealKeys
from streams.audit.seals import GATE_LOG, SealedBatch, SealError
from streams.codec.avro import Codec
from streams.model.audit import Seal
from streams.model.errors import RecordError
from streams.model.proof import derived_uuid
from streams.operations.verify.offences import OffenceKind, offence_at
from streams.ports import Received


def open_seal(
    received: Received, codec: Codec, keys: SealKeys, partition: int, log: str = GATE_LOG
) -> tuple[Seal, SealedBatch]:
    """Return a seal, and what it says.

    Args:
        received: the record of the seal.
        codec: reads it.
        keys: the keys whose seals count.
        partition: the partition whose seal it must be.
        log: which of the partition's logs.

    Raises:
        OffenceError: it can't be read, does not agree with itself, or no key that counts has signed it.
    """
    try:
        seal = codec.decode(received.topic, received.value, received.headers)
    except RecordError as error:
        raise offence_at(OffenceKind.CHANGED, received, f"the seal can't be read: {error}") from None
    if not isinstance(seal, Seal):
        raise offence_at(OffenceKind.CHANGED, received, "the record has the key of a seal, and another content")
    try:
        batch = SealedBatch.read(seal)
    except SealError as error:
        raise offence_at(OffenceKind.CHANGED, received, str(error)) from None
    try:
        keys.signer_of(batch.note, partition, seal.header.time, log)
    except SealError as error:
        raise offence_at(OffenceKind.UNTRUSTED, received, str(error)) from None
    return seal, batch


def check_link(
    received: Received, seal: Seal, batch: SealedBatch, log: Frontier | None, *, has_beginning: bool
) -> None:
    """Check that a seal goes on where the log ends.

    Args:
        received: the record of the seal.
        seal: the seal.
        batch: what it says.
        log: the log so far; None before the first seal that is there.
        has_beginning: whether the first seal that is there must be the first of the log.

    Raises:
        OffenceError: it does not.
    """
    if log is None:
        if seal.first and has_beginning:
            text = f"the first seal begins at record {seal.first}, and the topic at its beginning"
            raise offence_at(OffenceKind.MISSING, received, text)
        return
    if seal.first < log.size:
        text = f"the seal begins at record {seal.first}, and the log has {log.size} already"
        raise offence_at(OffenceKind.FORKED, received, f"{text}: it was written again, or its writer was set back")
    if seal.first > log.size:
        text = f"the seal begins at record {seal.first}, and the one before it ends at {log.size}"
        raise offence_at(OffenceKind.MISSING, received, text)
    if batch.before != log:
        text = f"the first {log.size} records are not those of the seal before it"
        raise offence_at(OffenceKind.FORKED, received, text)


def check_unsigned(received: Received, seal: Seal, batch: SealedBatch, partition: int, kinds: Collection[int]) -> None:
    """Check that what the signature of a seal does not cover agrees with what it covers.

    Args:
        partition: the partition that it must name.
        kinds: the kinds of leaves that it may have.

    Raises:
        OffenceError: it does not.
    """
    root = next(line for line in batch.head.extensions if line.startswith("batch ")).removeprefix("batch ")
    wanted = derived_uuid("seal", batch.head.origin, str(batch.head.size), root)
    if seal.partition != partition or seal.header.id != wanted:
        raise offence_at(OffenceKind.CHANGED, received, "the id or the partition of the seal is not its head's")
    if set(seal.kinds) - set(kinds):
        raise offence_at(OffenceKind.CHANGED, received, "a leaf of the seal is of an unknown kind")


def log_after(received: Received, batch: SealedBatch) -> Frontier:
    """Return the log with a batch behind it.

    Raises:
        OffenceError: the signed head is that of another log.
    """
    after = batch.before.appended(batch.leaves)
    if after.root() != batch.head.root:
        text = "the head is not that of the log with these records behind it"
        raise offence_at(OffenceKind.FORKED, received, text)
    return after
