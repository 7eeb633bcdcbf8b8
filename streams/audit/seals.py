"""Seals: how a gate proves that a verdict is its own and on the record, and how that is checked.

**Idea.** Each partition has a log of hashes. Its leaves are the verdicts and audit records that the gate writes, in the
order of writing, and the reports and session events that it reads, in the order of their topics (ADR 0088). At the end
of each transaction the gate writes a seal to the partition of the verdicts: the hashes of the leaves that the
transaction has added (its *batch*), and the signed head of the log after them. The seal becomes visible with what it
covers, or not at all. A verdict counts once a seal has its hash, and a key that is trusted has signed the seal's head:
one signature is checked for a batch.

What a signature covers is the head (the origin, the size, the root), and the root of the batch alone as an extension of
it. So whoever reads the batch needs nothing of the log before it. The origin names the deployment and the partition: a
seal of another partition, or of another deployment that has the same key, proves nothing.

A seal also has the frontier of the log before its batch. With it, anybody can tell that this head extends the one
before it, record by record, and that no other head does.

**Rejected.** A proof inside the verdict: the log would have to hold the digest of a record that holds the head of the
log. A signature for each verdict: it costs more than all else that a seal needs (ADR 0057).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote

from streams.audit.merkle import HASH_BYTES, Frontier, MerkleError, root_of
from streams.audit.notes import Checkpoint, Note, NoteError, Signer, signed_note
from streams.model.audit import Seal
from streams.model.errors import StoplogError
from streams.model.proof import derived_uuid
from streams.model.topics import AUDIT, AUDIT_REPORTED, REPORT, SESSION, VERDICT
from streams.model.types import Header
from streams.ports import Received
from streams.ports.wire import SCHEMA_ID_HEADER

LEAVES_MAX = 8_192
"""Leaves of one seal; a larger batch has several. A seal of so many has some 280 KB, and a record may have 1 MB."""

AUDIT_LEAF = ord("A")
VERDICT_LEAF = ord("V")
REPORT_LEAF = ord("R")
SESSION_LEAF = ord("S")
REPORTED_LEAF = ord("O")
LEAF_OF_TOPIC = {
    VERDICT.name: VERDICT_LEAF,
    AUDIT.name: AUDIT_LEAF,
    REPORT.name: REPORT_LEAF,
    SESSION.name: SESSION_LEAF,
    AUDIT_REPORTED.name: REPORTED_LEAF,
}
"""The kinds of leaves, by what they are the hashes of: what a gate writes, what it has read, and what a notary has."""

GATE_LOG = "stoplog.gate"
NOTARY_LOG = "stoplog.notary"
"""The logs of a partition: the gate's, and that of what others put on the record (ADR 0090)."""

_READ_DOMAIN = b"\x00stoplog read v1\n"
_LENGTH_BYTES = 4
_NO_BYTES = b"\xff" * _LENGTH_BYTES
_BATCH = "batch "


class SealError(StoplogError):
    """A seal proves nothing; the message says why."""


def origin_of(deployment: str, partition: int, log: str = GATE_LOG) -> str:
    """Return the name of a partition's log: the origin of its heads, and the name that they are signed under.

    INVARIANT: no two logs have the same, so a head of the notary's log never proves a verdict.
    """
    return f"{log}/{quote(deployment, safe='')}/{partition}"


def read_leaf(record: Received) -> bytes:
    """Return the leaf of a record that was read: the hash of its topic's kind, its key, its schema and its value.

    INVARIANT: it is never the leaf of a verdict, whatever the value is. Others choose that value, and the signature of
    a seal does not cover the kinds of its leaves: if the hash were of the value alone, who may report could have the
    bytes of a verdict sealed. What is hashed here begins as no value of a topic does.
    """
    schema = None
    for name, value in record.headers:
        if name == SCHEMA_ID_HEADER:
            schema = value
            break
    hashed = [_READ_DOMAIN, bytes((LEAF_OF_TOPIC[record.topic],))]
    for part in (record.key, schema, record.value):
        hashed += (_NO_BYTES,) if part is None else (len(part).to_bytes(_LENGTH_BYTES, "big"), part)
    return sha256(b"".join(hashed)).digest()


def claims_of(time_ms: int, *, continues: bool) -> tuple[str, ...]:
    """Return the lines of a notary's head that sign what its seal says besides.

    The head of a gate's seal stands on the checkpoint topic once more, with the same header; that of a notary does not.
    """
    return (f"time {time_ms}", *(("continues",) if continues else ()))


def make_seals(
    before: Frontier,
    leaves: Sequence[bytes],
    kinds: bytes,
    *,
    partition: int,
    deployment: str,
    source: str,
    now_ms: int,
    signer: Signer,
    log: str = GATE_LOG,
) -> tuple[list[Seal], Frontier]:
    """Return the seals of a batch, in their order, and the frontier of the log after it.

    Args:
        before: the frontier of the log before the batch.
        leaves: the hashes of the batch's records, in the order of writing; at least one.
        kinds: for each of them a kind of `LEAF_OF_TOPIC`.
        partition: whose log it is.
        deployment: the name of the deployment.
        source: the writer that the seals name.
        now_ms: their time.
        signer: signs the heads.
        log: which of the partition's logs it is.

    Raises:
        SigningKeyError: the key can't be used.
    """
    origin, seals = origin_of(deployment, partition, log), []
    for start in range(0, len(leaves), LEAVES_MAX):
        part = leaves[start : start + LEAVES_MAX]
        after, continues = before.appended(part), start + LEAVES_MAX < len(leaves)
        batch = base64.b64encode(root_of(part)).decode()
        more = claims_of(now_ms, continues=continues) if log == NOTARY_LOG else ()
        head = Checkpoint(origin, after.size, after.root(), (f"{_BATCH}{batch}", *more))
        seals.append(
            Seal(
                header=Header(
                    id=derived_uuid("seal", origin, str(after.size), batch), source=source, time=now_ms, tenant_uid=""
                ),
                partition=partition,
                first=before.size,
                frontier=before.hashes,
                leaves=b"".join(part),
                kinds=kinds[start : start + LEAVES_MAX],
                continues=continues,
                signed_head=str(signed_note(head.text(), [(origin, signer)])),
            )
        )
        before = after
    return seals, before


@dataclass(frozen=True, slots=True)
class SealedBatch:
    """What a seal says, read and found to agree with itself. Its signature was not checked.

    Attributes:
        seal: the seal.
        note: its signed head.
        head: the head of the log after the batch.
        leaves: the hashes of the batch's records, in order.
        before: the frontier of the log before the batch.
    """

    seal: Seal
    note: Note
    head: Checkpoint
    leaves: Sequence[bytes]
    before: Frontier

    @classmethod
    def read(cls, seal: Seal) -> SealedBatch:
        """Read a seal.

        Raises:
            SealError: it does not agree with itself.
        """
        try:
            note = Note.parse(seal.signed_head)
            head = Checkpoint.parse(note.text)
            before = Frontier(seal.first, seal.frontier)
        except (NoteError, MerkleError) as error:
            raise SealError(f"the seal can't be read: {error}") from None
        count = len(seal.kinds)
        if not 0 < count <= LEAVES_MAX or len(seal.leaves) != count * HASH_BYTES or head.size != seal.first + count:
            raise SealError(f"the seal has {count} kinds of leaves, {len(seal.leaves)} bytes of them and a wrong size")
        leaves = [seal.leaves[at : at + HASH_BYTES] for at in range(0, len(seal.leaves), HASH_BYTES)]
        if batch_root(head) != root_of(leaves):
            raise SealError("the seal's leaves are not those of its head")
        return cls(seal, note, head, leaves, before)

    def index_of(self, leaf: bytes, kind: int) -> int | None:
        """Return the place of the first leaf of a kind that has this hash; None if there is none."""
        pairs = enumerate(zip(self.leaves, self.seal.kinds, strict=True))
        return next((index for index, (found, found_kind) in pairs if found == leaf and found_kind == kind), None)

    def leaves_of(self, kind: int) -> list[bytes]:
        """Return the leaf hashes of a kind, in their order."""
        return [leaf for leaf, found in zip(self.leaves, self.seal.kinds, strict=True) if found == kind]

    def verdicts(self) -> frozenset[bytes]:
        """Return the leaf hashes of the batch's verdicts."""
        return frozenset(self.leaves_of(VERDICT_LEAF))


def batch_root(head: Checkpoint) -> bytes:
    """Return the root of the batch that a head names; empty if it names none."""
    for line in head.extensions:
        if line.startswith(_BATCH):
            try:
                return base64.b64decode(line.removeprefix(_BATCH), validate=True)
            except ValueError:
                return b""
    return b""
