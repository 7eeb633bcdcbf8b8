"""Ed25519 signatures (RFC 8032): keys as text and as files, and how a key is called.

A key's id is its RFC 7638 thumbprint in the form of RFC 8037, so that JOSE tools name it alike.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from streams.model.errors import StoplogError

PUBLIC_PREFIX = "ed25519:"
PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64
KEY_FILE_BYTES_MAX = 16_384
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class SigningKeyError(StoplogError):
    """A key can't be read, made or used; the message says which, and what to do."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What signatures are checked with; `raw` is its 32 bytes."""

    raw: bytes

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Read `ed25519:` and 43 characters of base64url.

        Raises:
            SigningKeyError: it is not that.
        """
        encoded = text.removeprefix(PUBLIC_PREFIX)
        try:
            raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        # Written anew it must be the same: base64 has several texts for one key.
        if len(raw) != PUBLIC_BYTES or str(cls(raw)) != text:
            shown = f"{text[:60]}..." if len(text) > 60 else text
            raise SigningKeyError(f"`{shown}` is no public key; it is written `{PUBLIC_PREFIX}` and 43 characters")
        return cls(raw)

    @property
    def kid(self) -> str:
        """The key's id: 43 characters of base64url."""
        thumbprint = f'{{"crv":"Ed25519","kty":"OKP","x":"{_base64url(self.raw)}"}}'
        return _base64url(hashlib.sha256(thumbprint.encode()).digest())

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` was made of `message` by this key's owner."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    def __str__(self) -> str:
        return f"{PUBLIC_PREFIX}{_base64url(self.raw)}"


class SigningKey:
    """A private key. It never shows itself, only its public one.

    Attributes:
        public: the key that its signatures are checked with.
    """

    def __init__(self, private: Ed25519PrivateKey) -> None:
        """Use `make_key_file` or `load_key_file`."""
        self._private = private
        self.public = PublicKey(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    @classmethod
    def made(cls) -> SigningKey:
        """A new one, which is kept nowhere."""
        return cls(Ed25519PrivateKey.generate())

    def sign(self, message: bytes) -> bytes:
        """The signature: 64 bytes, always the same for one message."""
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"SigningKey({self.public.kid})"


def make_key_file(path: Path, passphrase: bytes | None = None) -> SigningKey:
    """Make a new key in a new file (PEM, PKCS 8), readable by its owner alone. Blocking.

    Args:
        passphrase: what it is encrypted with; None leaves it plain.

    Raises:
        SigningKeyError: the file exists, or can't be written.
    """
    private = Ed25519PrivateKey.generate()
    encryption: KeySerializationEncryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SigningKeyError(f"`{path}` exists already; name a new file") from None
    except OSError as error:
        raise SigningKeyError(f"`{path}` can't be made: {error.strerror}") from None
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
    return SigningKey(private)


def load_key_file(path: Path, passphrase: bytes | None = None) -> SigningKey:
    """Read a private key. Blocking.

    Args:
        passphrase: of an encrypted file.

    Raises:
        SigningKeyError: it can't be read, is open to others, wants another passphrase, or holds no Ed25519 key.
    """
    pem = _read_private(path)
    try:
        private = load_pem_private_key(pem, passphrase if needs_passphrase(pem) else None)
    except TypeError:
        raise SigningKeyError(f"`{path}` is encrypted; give its passphrase (`--passphrase-file FILE`)") from None
    except ValueError:
        why = "the passphrase is wrong, or it is damaged" if needs_passphrase(pem) else "it holds no private key"
        raise SigningKeyError(f"`{path}` can't be used: {why}") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise SigningKeyError(f"`{path}` holds a key of another kind; make one with `stoplog keys publisher new`")
    return SigningKey(private)


def is_encrypted(path: Path) -> bool:
    """Whether a key file wants a passphrase. Blocking.

    Raises:
        SigningKeyError: it can't be read, or is open to others.
    """
    return needs_passphrase(_read_private(path))


def needs_passphrase(pem: bytes) -> bool:
    """Whether a private key is encrypted."""
    return b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in pem


def _read_private(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            pem = file.read(KEY_FILE_BYTES_MAX)
    except OSError as error:
        raise SigningKeyError(f"key `{path}` can't be read: {error.strerror}") from None
    if mode & _OTHERS:
        raise SigningKeyError(f"key `{path}` is open to others; run `chmod 600 {path}`")
    return pem


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
