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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from urllib.parse import quote

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from streams.audit.merkle import HASH_BYTES, Frontier, MerkleError, Tree, is_included, leaf_hash, root_of
from streams.audit.notes import Checkpoint, Note, NoteError, Signer, signed_note
from streams.audit.signatures import PublicKey, SigningKey, SigningKeyError
from streams.model.audit import Seal
from streams.model.errors import StoplogError
from streams.model.proof import derived_uuid, seal_key_seed
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

KEYS_MAX = 64
RETIRED_RUNS_MS = 3_600_000
"""How long after a key was retired calls may run by its seals.

INVARIANT: no gate lets a verdict live longer. A seal says itself when it was made, and no signature covers that:
without this bound, whoever gets hold of a key that was retired long ago could have calls run by seals that are dated
back.
"""
_BATCH = "batch "


class SealError(StoplogError):
    """A seal proves nothing; the message says why."""


class SealKeysError(StoplogError):
    """The keys that seals are checked with are invalid."""


def origin_of(deployment: str, partition: int, log: str = GATE_LOG) -> str:
    """Return the name of a partition's log: the origin of its heads, and the name that they are signed under.

    INVARIANT: no two logs have the same, so a head of the notary's log never proves a verdict.
    """
    return f"{log}/{quote(deployment, safe='')}/{partition}"


def derived_seal_key(root_key: bytes) -> SigningKey:
    """Return the key that seals are signed with where nobody has made one.

    Every holder of the root key can make it: gates, and the token service. With a key of its own
    (`stoplog keys seal new`), a gate need not trust the token service with that.
    """
    return SigningKey(Ed25519PrivateKey.from_private_bytes(seal_key_seed(root_key)))


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
        if _batch_root(head) != root_of(leaves):
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

    def extends_its_frontier(self) -> bool:
        """Return whether the head is that of the log before the batch with the batch behind it.

        Costs a hash for each leaf. For whoever checks the log; a reader of verdicts relies on the signature.
        """
        return self.before.appended(self.leaves).root() == self.head.root


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
        if not is_included(leaf, self.index, self.size, self.path, _batch_root(head)):
            raise SealError("the verdict is not among those that the head covers")


class KeyState(StrEnum):
    """Whether seals of a key count."""

    ACTIVE = "active"
    RETIRED = "retired"
    REVOKED = "revoked"


class SealKey(msgspec.Struct, frozen=True):
    """A key that seals are checked with.

    Attributes:
        name: what people call it.
        public: the key.
        state: ACTIVE; RETIRED: seals of before `until_ms` count, and calls run by them for `RETIRED_RUNS_MS` more;
            REVOKED: none does, whenever it was made.
        until_ms: of a retired key, the instant from which its seals no longer count.
    """

    name: str
    public: PublicKey
    state: KeyState = KeyState.ACTIVE
    until_ms: int | None = None


@dataclass(frozen=True)
class SealKeys:
    """The keys whose seals count, with their states.

    Attributes:
        keys: by their ids.
        deployment: the name of the deployment whose seals they are.
    """

    keys: Mapping[str, SealKey]
    deployment: str = ""
    _origins: dict[tuple[int, str], str] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, keys: Mapping[str, str] | Sequence[SealKey], deployment: str = "") -> SealKeys:
        """Read keys.

        Args:
            keys: public keys as text by their names, all of them active; or keys with their states.
            deployment: must be the gates' setting `gate.deployment`.

        Raises:
            SealKeysError: one is malformed, there are two of the same, none, or too many.
        """
        try:
            listed = (
                [SealKey(name, PublicKey.parse(text)) for name, text in keys.items()]
                if isinstance(keys, Mapping)
                else list(keys)
            )
        except SigningKeyError as error:
            raise SealKeysError(str(error)) from None
        if not 0 < len(listed) <= KEYS_MAX:
            raise SealKeysError(f"{len(listed)} keys of seals are named; name 1 to {KEYS_MAX}")
        found = {key.public.kid: key for key in listed}
        if len(found) != len(listed):
            raise SealKeysError("two names have the same key of seals; name each key once")
        return cls(found, deployment)

    @classmethod
    def derived(cls, root_key: bytes, deployment: str = "") -> SealKeys:
        """Return the key of `derived_seal_key` as the only one."""
        return cls.of([SealKey("derived", derived_seal_key(root_key).public)], deployment)

    def origin(self, partition: int, log: str = GATE_LOG) -> str:
        """Return the origin of the heads of one of a partition's logs."""
        origin = self._origins.get((partition, log))
        if origin is None:
            origin = self._origins[partition, log] = origin_of(self.deployment, partition, log)
        return origin

    def signer_of(
        self, note: Note, partition: int, time_ms: int, log: str = GATE_LOG, *, runs_at_ms: int | None = None
    ) -> SealKey:
        """Return the key that has signed a head of a partition.

        Args:
            note: the signed head.
            partition: the partition in which it was found.
            time_ms: when it was made, as it says; compared with the end of retired keys.
            log: the log whose head it must be.
            runs_at_ms: the time now, if calls run by what it covers; None if only the record is checked.

        Raises:
            SealError: no key that counts has signed it.
        """
        origin = self.origin(partition, log)
        if note.text.partition("\n")[0] != origin:
            found = note.text.partition("\n")[0][:120]
            raise SealError(f"the head is that of `{found}`, and this is partition `{origin}`")
        for key in self.keys.values():
            if not note.is_signed_by(origin, key.public):
                continue
            if key.state is KeyState.REVOKED:
                raise SealError(f"the key `{key.name}` ({key.public.kid}) that signed the head has been revoked")
            if key.state is KeyState.RETIRED and (key.until_ms is None or time_ms >= key.until_ms):
                raise SealError(f"the key `{key.name}` ({key.public.kid}) that signed the head was retired before")
            if key.until_ms is not None and runs_at_ms is not None and runs_at_ms >= key.until_ms + RETIRED_RUNS_MS:
                text = f"the key `{key.name}` ({key.public.kid}) that signed the head was retired too long ago"
                raise SealError(f"{text}: no verdict of its time can be run any more")
            return key
        raise SealError("no key that is trusted here has signed the head: is the list of keys up to date?")

    def opened(self, seal: Seal, partition: int, runs_at_ms: int | None = None) -> SealedBatch:
        """Return what a seal says, once it is found to be signed. Costs 60 to 80 us and a hash for each leaf.

        Args:
            seal: the seal.
            partition: the partition in which it was found.
            runs_at_ms: see `signer_of`.

        Raises:
            SealError: it proves nothing.
        """
        batch = SealedBatch.read(seal)
        self.signer_of(batch.note, partition, seal.header.time, runs_at_ms=runs_at_ms)
        return batch


def _batch_root(head: Checkpoint) -> bytes:
    """Return the root of the batch that a head names; empty if it names none."""
    for line in head.extensions:
        if line.startswith(_BATCH):
            try:
                return base64.b64decode(line.removeprefix(_BATCH), validate=True)
            except ValueError:
                return b""
    return b""
