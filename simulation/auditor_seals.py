"""The auditor's check of seals: every record that a gate has written is in exactly one, and they follow each other.

It knows how a seal is laid out, and recomputes everything else from the log: which records there are, in which order,
and in which transaction each of them came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple

import msgspec

from simulation.seals import CHAIN_KEY, ELSEWHERE_TOPICS, OWN_TOPICS, START_OF_CHAIN, SealedBatch, chained
from streams.inmemory.log import MemoryLog
from streams.inmemory.partition import Entry, LogTransaction
from streams.model.audit import AuditCheckpoint
from streams.model.topics import AUDIT_CHECKPOINT, SEAL_KEY
from streams.ports import TopicPartition
from streams.ports.wire import Wire

_Elsewhere = tuple[str, int, bytes, LogTransaction | None]


class Seal(NamedTuple):
    """A seal as it lies on the log."""

    entry: Entry
    record: AuditCheckpoint
    batch: SealedBatch


def check_seals(log: MemoryLog, wire: Wire) -> Iterator[str]:
    """Yield what is wrong with the seals, a line each."""
    elsewhere: Counter[_Elsewhere] = Counter()
    for number in range(log.partition_count(AUDIT_CHECKPOINT.name)):
        seals = read_seals(log, wire, number)
        written = [
            entry for topic in OWN_TOPICS for entry in _entries(log, topic.name, number) if entry.key != SEAL_KEY
        ]
        written.sort(key=lambda entry: entry.serial)
        yield from _partition_faults(number, written, seals)
        for seal in seals:
            transaction = seal.entry.transaction
            elsewhere.update((topic, at, digest, transaction) for topic, at, digest in seal.batch.elsewhere)
    yield from _elsewhere_faults(log, elsewhere)


def read_seals(log: MemoryLog, wire: Wire, number: int) -> list[Seal]:
    """Return the committed seals of a partition, in order."""
    seals = []
    for entry in _entries(log, AUDIT_CHECKPOINT.name, number):
        if not (entry.key or b"").startswith(CHAIN_KEY):
            continue  # a head of the gate's own seals
        record = wire.decode(AUDIT_CHECKPOINT.name, entry.value or b"", entry.headers)
        if isinstance(record, AuditCheckpoint):
            batch = msgspec.json.decode(record.signed_head.encode(), type=SealedBatch)
            seals.append(Seal(entry, record, batch))
    return seals


def _partition_faults(number: int, written: Sequence[Entry], seals: Sequence[Seal]) -> Iterator[str]:
    """Check that every record is in the next seal that follows it, in order, and in its transaction."""
    count, chain = 0, START_OF_CHAIN
    for seal in seals:
        where = f"seal at {AUDIT_CHECKPOINT.name}/{number}/{seal.entry.offset}"
        covered = written[count : count + len(seal.batch.own)]
        if [sha256(entry.value or b"").digest() for entry in covered] != seal.batch.own:
            yield f"{where}: it does not cover the {len(seal.batch.own)} records from number {count} on"
        if any(entry.serial > seal.entry.serial for entry in covered):
            yield f"{where}: it stands before a record that it covers"
        if any(entry.transaction is not seal.entry.transaction for entry in covered):
            yield f"{where}: it is of another transaction than a record that it covers"
        count, chain = count + len(seal.batch.own), chained(chain, seal.batch)
        if count < len(written) and written[count].serial < seal.entry.serial:
            yield f"{where}: a record before it is not covered by it, nor by one before it"
        if (seal.record.tree_size, seal.record.root) != (count, chain):
            yield f"{where}: its count is {seal.record.tree_size} where {count} was due, or its chain is broken"
            count, chain = seal.record.tree_size, seal.record.root  # or every later one is wrong, too
    if count != len(written):
        yield f"partition {number}: {len(written)} records were written, {count} are sealed"


def _elsewhere_faults(log: MemoryLog, sealed: Counter[_Elsewhere]) -> Iterator[str]:
    """Check that what went to other partitions is in a seal of whoever wrote it, in the same transaction."""
    written: Counter[_Elsewhere] = Counter()
    for topic in ELSEWHERE_TOPICS:
        for number in range(log.partition_count(topic.name)):
            for entry in _entries(log, topic.name, number):
                written[topic.name, number, sha256(entry.value or b"").digest(), entry.transaction] += 1
    for topic_name, number, digest, _ in (written - sealed) + (sealed - written):
        yield f"record {digest.hex()[:16]} on {topic_name}/{number} is not in just one seal of its transaction"


def _entries(log: MemoryLog, topic: str, number: int) -> list[Entry]:
    return log.partition(TopicPartition(topic, number)).committed_entries()
