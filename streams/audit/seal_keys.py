"""The keys whose seals count, and what a seal proves that one of them has signed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from streams.audit.notes import Note
from streams.audit.seals import GATE_LOG, SealedBatch, SealError, origin_of
from streams.audit.signatures import PublicKey, SigningKey, SigningKeyError
from streams.model.audit import Seal
from streams.model.errors import StoplogError
from streams.model.proof import seal_key_seed

KEYS_MAX = 64
RETIRED_RUNS_MS = 3_600_000
"""How long after a key was retired calls may run by its seals.

INVARIANT: no gate lets a verdict live longer. A seal says itself when it was made, and no signature covers that:
without this bound, whoever gets hold of a key that was retired long ago could have calls run by seals that are dated
back.
"""


class SealKeysError(StoplogError):
    """The keys that seals are checked with are invalid."""


def derived_seal_key(root_key: bytes) -> SigningKey:
    """Return the key that seals are signed with where nobody has made one.

    Every holder of the root key can make it: gates, and the token service. With a key of its own
    (`stoplog keys seal new`), a gate need not trust the token service with that.
    """
    return SigningKey(Ed25519PrivateKey.from_private_bytes(seal_key_seed(root_key)))


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
