"""Public keys of named people, and which of them have signed a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from streams.audit.signatures import PublicKey, SigningKey, SigningKeyError
from streams.model.errors import StoplogError
from streams.model.types import Proof, ProofAlg

KEYS_MAX = 64
SIGNATURES_MAX = 16


class KeyringError(StoplogError):
    """The keys in the settings are invalid."""


class SignatureError(StoplogError):
    """A signature by one of the keys is invalid, or there are too many; the message continues after the record's
    name."""


class Keyring(msgspec.Struct, frozen=True):
    """The keys whose signatures count.

    Attributes:
        keys: names and public keys, by the key's id.
    """

    keys: Mapping[str, tuple[str, PublicKey]]

    @classmethod
    def of(cls, named: Mapping[str, str], *, kind: str, required: int, allow_unsigned: bool) -> Keyring:
        """Read the keys of the settings.

        Args:
            named: public keys as text, by the names of their owners.
            kind: what the owners are (`publisher`), for messages and as the name of the setting.
            required: how many different people must sign.
            allow_unsigned: whether nobody must sign.

        Raises:
            KeyringError: a key is invalid, two names have the same key, more signatures are required than there are
                owners, or unsigned records would be accepted although there are owners.
        """
        if len(named) > KEYS_MAX:
            raise KeyringError(f"{len(named)} {kind}s are named, at most {KEYS_MAX} are accepted")
        keys: dict[str, tuple[str, PublicKey]] = {}
        for name, text in named.items():
            try:
                key = PublicKey.parse(text)
            except SigningKeyError as error:
                raise KeyringError(f"{kind} `{name}`: {error}") from None
            if key.kid in keys:
                raise KeyringError(f"`{keys[key.kid][0]}` and `{name}` have the same key; give each their own")
            keys[key.kid] = (name, key)
        if keys and allow_unsigned:
            raise KeyringError(f"`allow_unsigned` would make `{kind}s` meaningless; leave one of them out")
        if keys and required > len(keys):
            raise KeyringError(f"{required} signatures are required, but there are {len(keys)} {kind}s")
        return cls(keys)

    def signers(self, message: bytes, signatures: Sequence[Proof]) -> tuple[str, ...]:
        """Return who has signed a message: names, in order. Signatures of unknown keys are skipped.

        Raises:
            SignatureError: a signature by one of the keys is invalid.
        """
        if len(signatures) > SIGNATURES_MAX:
            raise SignatureError(f"has {len(signatures)} signatures, at most {SIGNATURES_MAX} are looked at")
        names = set()
        for signature in signatures:
            known = self.keys.get(signature.kid or "")
            if known is None:
                continue  # by a key that was removed, or of another deployment
            name, key = known
            if signature.alg is not ProofAlg.ED25519 or not key.verifies(message, signature.value):
                raise SignatureError(f"is not what `{name}` has signed")
            names.add(name)
        return tuple(sorted(names))

    def name_of(self, key: PublicKey) -> str | None:
        """Return the name of the key's owner."""
        known = self.keys.get(key.kid)
        return None if known is None else known[0]


def unnamed_keys(signatures: Sequence[Proof], counted: int, setting: str) -> str:
    """Return what to say about signatures that do not count, after what is missing; empty if all of them count.

    Args:
        counted: how many of them are by configured people.
        setting: where these are named.
    """
    others = len(signatures) - counted
    if others <= 0:
        return ""
    which = "a key that has signed it is" if others == 1 else f"{others} keys that have signed it are"
    return f"; {which} not in `{setting}`"


def with_signature(signatures: Sequence[Proof], message: bytes, key: SigningKey) -> tuple[Proof, ...]:
    """Return the signatures and one more; it replaces an earlier one by the same key."""
    others = tuple(each for each in signatures if each.kid != key.public.kid)
    return (*others, Proof(alg=ProofAlg.ED25519, kid=key.public.kid, value=key.sign(message)))
