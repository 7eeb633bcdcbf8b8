"""The list of the keys that seals are checked with: a file that executors and auditors read, signed by its holders.

Keys come and go while everything runs. A new key is listed before a gate signs with it; a key that is no longer used is
retired; one that others may have got hold of is revoked, and no seal of it counts any more, whenever it was made.

Whoever can change the list decides which seals count. So it is signed by people whom its readers know (holders), and a
reader that has seen a list takes no earlier one: a list from before a revocation would undo it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence

import msgspec

from streams.audit.keyring import Keyring, KeyringError, SignatureError, with_signature
from streams.audit.seal_keys import KeyState, SealKey, SealKeys, SealKeysError
from streams.audit.signatures import PublicKey, SigningKey, SigningKeyError
from streams.model.canonical import canonical
from streams.model.types import Proof, ProofAlg

LIST_BYTES_MAX = 65_536
_DOMAIN = b"stoplog list of seal keys v1\n"


class ListedKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A key of the list; see `SealKey`."""

    name: str
    key: str
    state: KeyState = KeyState.ACTIVE
    until_ms: int | None = None


class ListSignature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A signature of the list: the id of the key that made it, and its value in base64."""

    kid: str
    value: str


class SealKeyList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The list.

    Attributes:
        deployment: the name of the deployment whose gates sign with the keys.
        serial: grows with every change.
        keys: the keys, also those that no longer count.
        signatures: of the holders.
    """

    deployment: str
    serial: int
    keys: tuple[ListedKey, ...]
    signatures: tuple[ListSignature, ...] = ()

    @classmethod
    def parse(cls, text: bytes) -> SealKeyList:
        """Read a list. Nothing of it is checked.

        Raises:
            SealKeysError: it is malformed.
        """
        if len(text) > LIST_BYTES_MAX:
            raise SealKeysError(f"the list of seal keys has more than {LIST_BYTES_MAX} bytes")
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise SealKeysError(f"the list of seal keys is malformed: {error}") from None

    def format(self) -> bytes:
        """Return the list as it is stored."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    def message(self) -> bytes:
        """Return the bytes that a signature covers: everything but the signatures."""
        content = msgspec.to_builtins(msgspec.structs.replace(self, signatures=()))
        del content["signatures"]
        return _DOMAIN + canonical(content)

    def signed(self, key: SigningKey) -> SealKeyList:
        """Return the list with the signature of `key`, which replaces an earlier one by the same key."""
        return msgspec.structs.replace(
            self,
            signatures=tuple(
                ListSignature(kid=each.kid or "", value=base64.b64encode(each.value).decode())
                for each in with_signature(self._proofs(), self.message(), key)
            ),
        )

    def changed(self, keys: Sequence[ListedKey]) -> SealKeyList:
        """Return the next list, with these keys and without signatures."""
        return msgspec.structs.replace(self, serial=self.serial + 1, keys=tuple(keys), signatures=())

    def checked(self, holders: Mapping[str, str] | None) -> SealKeys:
        """Return the keys of the list.

        Args:
            holders: public keys as text, by the names of the people of whom one must have signed the list. None takes
                it without a signature: then whoever may write the file decides which seals count.

        Raises:
            SealKeysError: no holder has signed it, or a key of it is invalid.
        """
        if holders is not None:
            self._check_signatures(holders)
        try:
            keys = [SealKey(each.name, PublicKey.parse(each.key), each.state, each.until_ms) for each in self.keys]
        except SigningKeyError as error:
            raise SealKeysError(f"the list of seal keys: {error}") from None
        return SealKeys.of(keys, self.deployment)

    def _check_signatures(self, holders: Mapping[str, str]) -> None:
        try:
            ring = Keyring.of(holders, kind="holder", required=1, allow_unsigned=False)
            names = ring.signers(self.message(), self._proofs())
        except (KeyringError, SignatureError) as error:
            raise SealKeysError(f"the list of seal keys: {error}") from None
        if not names:
            raise SealKeysError("the list of seal keys is not signed by any of its holders")

    def _proofs(self) -> tuple[Proof, ...]:
        try:
            return tuple(
                Proof(alg=ProofAlg.ED25519, kid=each.kid, value=base64.b64decode(each.value, validate=True))
                for each in self.signatures
            )
        except (binascii.Error, ValueError):
            raise SealKeysError("a signature of the list of seal keys is not in base64") from None
