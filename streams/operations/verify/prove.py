"""Makes the receipt of a verdict: what proves it, offline and without any other part of the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from hashlib import sha256

import msgspec

from streams.audit.content_officers import ContentOfficers
from streams.audit.merkle import leaf_hash
from streams.audit.receipt_check import FORMAT
from streams.audit.receipts import Receipt
from streams.audit.seal_keys import SealKey, SealKeys
from streams.audit.seals import AUDIT_LEAF, VERDICT_LEAF, SealedBatch, SealError
from streams.codec.avro import Codec
from streams.model.audit import AuditEvent, Seal
from streams.model.errors import RecordError, StoplogError
from streams.model.keys import partition_for, session_key_of
from streams.model.session import SessionEvent
from streams.model.topics import AUDIT, SEAL_KEY, SESSION, VERDICT
from streams.model.verdict import Verdict
from streams.operations.contents.erased import erasure_text, read_erasure_of_call
from streams.operations.topics.decoded import decoded
from streams.operations.topics.lookup import Owner
from streams.operations.topics.reader import hidden_topics, partitions_of, read_places
from streams.ports import Clock, Received, TopicPartition
from streams.ports.open_log import Log


class ProofError(StoplogError):
    """There is nothing that proves a verdict; the message says why."""


class ProvenRecord(msgspec.Struct, frozen=True):
    """A record of a receipt.

    Attributes:
        place: topic, partition and offset.
        schema: the schema that it was written with.
        receipt: what proves it, in the form that `Executor.execute` takes for verdicts.
    """

    place: str
    schema: str
    receipt: Receipt


class Context(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the log says around a verdict; nothing in the receipt proves it."""

    purpose: str = ""
    tenant_uid: str = ""


class ReceiptFile(msgspec.Struct, frozen=True):
    """The receipt of a verdict, as it is stored (docs/reference/receipts.md)."""

    format: str
    origin: str
    key: str
    verdict: ProvenRecord
    record: ProvenRecord
    context: Context

    def text(self) -> bytes:
        """Return the file's content: JSON, with bytes in base64."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def prove(log: Log, codec: Codec, clock: Clock, keys: SealKeys, owner: Owner, officers: ContentOfficers) -> ReceiptFile:
    """Return the receipt of an intent's last verdict that is on the record. Blocking.

    Args:
        owner: the intent.
        keys: the keys whose seals count.
        officers: whose orders to erase content count.

    Raises:
        ProofError: no verdict of the intent is sealed, or its seal doesn't count, or its content was erased.
        TopicReadError, LogError: the log can't be read.
    """
    session = session_key_of(owner.tenant_uid, owner.session_id)
    count = sum(place.topic == VERDICT.name for place in partitions_of(log, (VERDICT.name,)))
    number = partition_for(session, count)
    read = partial(_records, log, clock, number=number)
    verdict, judged_ms = _last_verdict(read(VERDICT.name), codec, session, owner.intent_id or "")
    given = read_erasure_of_call(log, codec, clock, officers, owner, judged_ms)
    if given is not None:
        text = f"a receipt of intent `{owner.intent_id}` would have its arguments, which can't be shown"
        raise ProofError(f"{text}: {erasure_text(given)}")
    value = verdict.value or b""
    record = _record_of(read(AUDIT.name), codec, session, sha256(value).digest())
    if record is None:
        raise ProofError(f"the verdict at offset {verdict.offset} of partition {number} has no audit record on the log")
    (verdict_receipt, key), (record_receipt, other) = (
        _sealed(read, codec, keys, each, kind) for each, kind in ((verdict, VERDICT_LEAF), (record, AUDIT_LEAF))
    )
    if key.public != other.public:
        raise ProofError("the verdict and its audit record are sealed with different keys")
    return ReceiptFile(
        format=FORMAT,
        origin=keys.origin(number),
        key=str(key.public),
        verdict=_proven(codec, verdict, verdict_receipt),
        record=_proven(codec, record, record_receipt),
        context=Context(_purpose(log, read, codec, session), owner.tenant_uid),
    )


def _records(log: Log, clock: Clock, topic: str, *, number: int) -> Iterator[Received]:
    place = TopicPartition(topic, number)
    with closing(log.reader()) as reader:
        ends = reader.stable_offsets([place])
    return read_places(log, ends, clock) if ends[place] else iter(())


def _last_verdict(records: Iterator[Received], codec: Codec, session: bytes, intent_id: str) -> tuple[Received, int]:
    """Return the intent's last verdict, and when a gate first decided: earlier, if the call was held.

    It is the first of equal ones: one that was given again has no record.
    """
    found: Received | None = None
    judged_ms = 0
    wanted = intent_id.encode()
    for each in records:
        if each.key != session or wanted not in (each.value or b""):
            continue
        verdict = decoded(codec, each)
        if not isinstance(verdict, Verdict) or verdict.intent_id != intent_id:
            continue
        if found is None:
            judged_ms = verdict.evaluated_at
        if found is None or found.value != each.value:
            found = each
    if found is None:
        raise ProofError(f"there is no verdict of intent `{intent_id}` on the log")
    return found, judged_ms


def _record_of(records: Iterator[Received], codec: Codec, session: bytes, digest: bytes) -> Received | None:
    for each in records:
        if each.key != session or digest not in (each.value or b""):
            continue
        event = decoded(codec, each)
        if isinstance(event, AuditEvent) and event.verdict_digest == digest:
            return each
    return None


def _sealed(
    read: Callable[[str], Iterator[Received]], codec: Codec, keys: SealKeys, wanted: Received, kind: int
) -> tuple[Receipt, SealKey]:
    """Return what proves a record, and the key that has signed it."""
    leaf, fault = leaf_hash(wanted.value or b""), ""
    for each in read(VERDICT.name):
        if each.key != SEAL_KEY or leaf not in (each.value or b""):
            continue
        try:
            seal = codec.decode(each.topic, each.value, each.headers)
            if not isinstance(seal, Seal):
                continue
            batch = SealedBatch.read(seal)
            key = keys.signer_of(batch.note, wanted.partition, seal.header.time)
        except (RecordError, SealError) as error:
            fault = f": {error}"
            continue
        if batch.index_of(leaf, kind) is not None:
            receipt = Receipt.of(wanted.value or b"", wanted.key, batch, kind)
            # The partition that a seal states is not signed.
            return msgspec.structs.replace(receipt, partition=wanted.partition), key
    raise ProofError(f"no seal that counts covers {wanted.topic}/{wanted.partition}/{wanted.offset}{fault}")


def _proven(codec: Codec, received: Received, receipt: Receipt) -> ProvenRecord:
    schema = codec.writer_schema(received.topic, received.value, received.headers)
    return ProvenRecord(f"{received.topic}/{received.partition}/{received.offset}", schema, receipt)


def _purpose(log: Log, read: Callable[[str], Iterator[Received]], codec: Codec, session: bytes) -> str:
    """Return the session's last purpose; empty if it has none, or if this client may not read sessions."""
    found = ""
    if hidden_topics(log, (SESSION.name,)):
        return found
    for each in read(SESSION.name):
        event = decoded(codec, each) if each.key == session else None
        if isinstance(event, SessionEvent) and event.proof is not None and event.purpose:
            found = event.purpose
    return found
