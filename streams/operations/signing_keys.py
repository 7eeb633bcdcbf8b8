"""Creates files of private keys, and reads passphrases. Neither is taken from the command line, which others see."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from streams.audit.signatures import SigningKey, SigningKeyError
from streams.operations.private_file import write_new
from streams.sdk.keys.content import RSA_BITS_MIN, kek_of
from streams.sdk.keys.key_files import load_key_file, needs_passphrase, read_private

PASSPHRASE_BYTES_MAX = 1_024

PUBLIC_SUFFIX = ".pub"
_RSA_EXPONENT = 65_537

__all__ = [
    "is_encrypted",
    "load_key_file",
    "make_content_key_file",
    "make_key_file",
    "needs_passphrase",
    "passphrase_from",
]


def make_key_file(path: Path, passphrase: bytes | None = None) -> SigningKey:
    """Create a key in a new file (PEM, PKCS 8), readable only by its owner. Blocking.

    Args:
        passphrase: encrypts the file; None leaves it unencrypted.

    Raises:
        SigningKeyError: the file exists already, or can't be written.
    """
    private = Ed25519PrivateKey.generate()
    _write_private(path, private, passphrase)
    return SigningKey(private)


class ContentKeyFile(NamedTuple):
    """The file of a public key, and the name of the key."""

    path: Path
    kek: str


def make_content_key_file(path: Path, passphrase: bytes | None = None) -> ContentKeyFile:
    """Create the key of a tenant's captured content (RSA, PEM, PKCS 8), readable only by its owner, and beside it its
    public key, with `.pub` at the end of the name. Blocking.

    Args:
        passphrase: encrypts the file; None leaves it unencrypted.

    Raises:
        SigningKeyError: a file exists already, or can't be written.
    """
    private = generate_private_key(_RSA_EXPONENT, RSA_BITS_MIN)
    public, other = private.public_key(), path.with_name(path.name + PUBLIC_SUFFIX)
    if other.exists():
        raise SigningKeyError(f"`{other}` exists already", "give the name of a new file")
    _write_private(path, private, passphrase)
    _write_new(other, public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), 0o644)
    return ContentKeyFile(other, kek_of(public))


def _write_private(path: Path, private: Ed25519PrivateKey | RSAPrivateKey, passphrase: bytes | None) -> None:
    encryption: KeySerializationEncryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    _write_new(path, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption), 0o600)


def _write_new(path: Path, content: bytes, mode: int) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_new(path, lambda file: file.write(content), mode)
    except FileExistsError:
        raise SigningKeyError(f"`{path}` exists already", "give the name of a new file") from None
    except OSError as error:
        raise SigningKeyError(f"`{path}` can't be created: {error.strerror}") from None


def is_encrypted(path: Path) -> bool:
    """Return whether a key file needs a passphrase. Blocking.

    Raises:
        SigningKeyError: the file can't be read, or others can read it.
    """
    return needs_passphrase(read_private(path))


def passphrase_from(path: Path | None) -> bytes | None:
    """Return the first line of a file; None without a file. Blocking.

    Raises:
        SigningKeyError: the file can't be read, or the line is empty or too long.
    """
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            line = file.readline(PASSPHRASE_BYTES_MAX + 1).rstrip(b"\r\n")
    except OSError as error:
        raise SigningKeyError(f"passphrase file `{path}` can't be read: {error.strerror}") from None
    if not line or len(line) > PASSPHRASE_BYTES_MAX:
        raise SigningKeyError(f"the first line of `{path}` must hold 1 to {PASSPHRASE_BYTES_MAX} bytes")
    return line
