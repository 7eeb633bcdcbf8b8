"""Ed25519 signatures (RFC 8032): keys as text, and the ids of keys.

A key's id is its RFC 7638 thumbprint in the form of RFC 8037, so that JOSE tools use the same id.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from streams.model.base64url import base64url
from streams.model.errors import AdvisedError

PUBLIC_PREFIX = "ed25519:"
PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64


class SigningKeyError(AdvisedError):
    """A key can't be read, created or used; the message names it and says what to do."""


class PublicKey(msgspec.Struct, frozen=True):
    """A key that signatures are checked with; `raw` is its 32 bytes."""

    raw: bytes

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Read a key of the form `ed25519:` and 43 characters of base64url.

        Raises:
            SigningKeyError: the text is not of that form.
        """
        encoded = text.removeprefix(PUBLIC_PREFIX)
        try:
            raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        # Written again it must be the same: base64 has several texts for one key.
        if len(raw) != PUBLIC_BYTES or str(cls(raw)) != text:
            shown = f"{text[:60]}..." if len(text) > 60 else text
            raise SigningKeyError(f"`{shown}` is not a public key", f"write `{PUBLIC_PREFIX}` and 43 characters")
        return cls(raw)

    @property
    def kid(self) -> str:
        """Return the key's id: 43 characters of base64url."""
        thumbprint = f'{{"crv":"Ed25519","kty":"OKP","x":"{base64url(self.raw)}"}}'
        return base64url(hashlib.sha256(thumbprint.encode()).digest())

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Return whether this key's owner made `signature` of `message`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    def __str__(self) -> str:
        return f"{PUBLIC_PREFIX}{base64url(self.raw)}"


class SigningKey:
    """A private key. Only its public key is ever shown.

    Attributes:
        public: the key that its signatures are checked with.
    """

    def __init__(self, private: Ed25519PrivateKey) -> None:
        """Take the key; `streams.operations.signing_keys` makes and reads files of keys."""
        self._private = private
        self.public = PublicKey(private.public_key().public_bytes_raw())

    @classmethod
    def made(cls) -> SigningKey:
        """Return a new key, which is not stored anywhere."""
        return cls(Ed25519PrivateKey.generate())

    def sign(self, message: bytes) -> bytes:
        """Return the signature: 64 bytes, always the same for the same message."""
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"SigningKey({self.public.kid})"
