"""The auditor's check of the gate's own seals, whose heads RFC 9162 defines.

It shares no code with what makes them but the signature check of `cryptography`: it reads the note line by line, and
computes every root from all leaves of the log again.
"""

from __future__ import annotations

import base64
import struct
from collections import deque
from collections.abc import Iterator, Sequence
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from streams.inmemory.log import MemoryLog
from streams.inmemory.partition import Entry
from streams.model.audit import Seal
from streams.model.topics import AUDIT, REPORT, SEAL, SEAL_KEY, SESSION, VERDICT
from streams.ports import TopicPartition
from streams.ports.wire import Wire
from streams.topology import GATE

_SIGNATURE_AT = 4
_READ = {ord("R"): REPORT, ord("S"): SESSION}
"""What gates read and seal, by the kinds of its leaves."""


def check_heads(log: MemoryLog, wire: Wire, public: bytes, deployment: str) -> Iterator[str]:
    """Yield what is wrong with the seals of all partitions, a line each.

    Args:
        log: the log.
        wire: reads the seals.
        public: the key that has signed them.
        deployment: the name of the deployment in their origins.
    """
    for number in range(log.partition_count(VERDICT.name)):
        yield from _partition_faults(log, wire, Ed25519PublicKey.from_public_bytes(public), deployment, number)


def _partition_faults(log: MemoryLog, wire: Wire, key: Ed25519PublicKey, deployment: str, number: int) -> Iterator[str]:
    entries = [
        entry
        for topic in (VERDICT, AUDIT)
        for entry in log.partition(TopicPartition(topic.name, number)).committed_entries()
    ]
    entries.sort(key=lambda entry: entry.serial)
    inputs = {
        kind: deque(log.partition(TopicPartition(topic.name, number)).committed_entries())
        for kind, topic in _READ.items()
    }
    open_batch: list[Entry] = []
    log_leaves: list[bytes] = []
    for entry in entries:
        if entry.key != SEAL_KEY:
            open_batch.append(entry)
            continue
        where = f"seal at {VERDICT.name}/{number}/{entry.offset}"
        seal = wire.decode(SEAL.name, entry.value or b"", entry.headers)
        if not isinstance(seal, Seal):
            yield f"{where} can't be read"
            return
        batch = [_read_leaf(kind, inputs[kind].popleft()) for kind in seal.kinds if inputs.get(kind)]
        batch += [sha256(b"\x00" + (each.value or b"")).digest() for each in open_batch]
        if seal.first != len(log_leaves) or seal.leaves != b"".join(batch):
            yield f"{where}: it does not cover the {len(batch)} records before it, or not from {len(log_leaves)} on"
            return
        if any(each.transaction is not entry.transaction for each in open_batch):
            yield f"{where}: it is of another transaction than a record that it covers"
        log_leaves += batch
        open_batch = []
        lines = [f"stoplog.gate/{deployment}/{number}", str(len(log_leaves))]
        lines += [_base64(_root(log_leaves)), f"batch {_base64(_root(batch))}"]
        text, _, signature = seal.signed_head.rpartition("\n\n")
        if text.split("\n") != lines:
            yield f"{where}: its head is {text.split()}, {lines} were due"
        try:
            key.verify(base64.b64decode(signature.split()[-1])[_SIGNATURE_AT:], f"{text}\n".encode())
        except (InvalidSignature, ValueError):
            yield f"{where}: its head is not signed"
    group = log.group(GATE.name)
    for topic, left in ((_READ[kind], left) for kind, left in inputs.items()):
        done = group.offsets.get(TopicPartition(topic.name, number), 0)
        unsealed = sum(each.offset < done for each in left)
        if unsealed:
            yield f"partition {number}: {unsealed} records of {topic.name} were read, and are not sealed"
    if open_batch:
        yield f"partition {number}: {len(open_batch)} records are not sealed"


def _read_leaf(kind: int, entry: Entry) -> bytes:
    schema = next((value for name, value in entry.headers if name == "__value_schema_id"), None)
    parts = [b"\x00stoplog read v1\n", bytes([kind])]
    for part in (entry.key, schema, entry.value):
        parts += [b"\xff\xff\xff\xff"] if part is None else [struct.pack(">I", len(part)), part]
    return sha256(b"".join(parts)).digest()


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _root(leaves: Sequence[bytes]) -> bytes:
    """Return the root, with complete subtrees of a power of two on the left (RFC 9162, section 2.1.1)."""
    if len(leaves) == 1:
        return leaves[0]
    middle = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + _root(leaves[:middle]) + _root(leaves[middle:])).digest()
