"""Reads and creates files of private keys and passphrases. Neither is taken from the command line, which others see."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from streams.audit.signatures import SigningKey, SigningKeyError

KEY_FILE_BYTES_MAX = 16_384
PASSPHRASE_BYTES_MAX = 1_024
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_key_file(path: Path, passphrase: bytes | None = None) -> SigningKey:
    """Create a key in a new file (PEM, PKCS 8), readable only by its owner. Blocking.

    Args:
        passphrase: encrypts the file; None leaves it unencrypted.

    Raises:
        SigningKeyError: the file exists already, or can't be written.
    """
    private = Ed25519PrivateKey.generate()
    encryption: KeySerializationEncryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SigningKeyError(f"`{path}` exists already; give the name of a new file") from None
    except OSError as error:
        raise SigningKeyError(f"`{path}` can't be created: {error.strerror}") from None
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
    return SigningKey(private)


def load_key_file(path: Path, passphrase: bytes | None = None) -> SigningKey:
    """Read a private key. Blocking.

    Args:
        passphrase: the passphrase of an encrypted file.

    Raises:
        SigningKeyError: the file can't be read, others can read it, the passphrase is wrong, or it has no Ed25519 key.
    """
    pem = _read_private(path)
    try:
        private = load_pem_private_key(pem, passphrase if needs_passphrase(pem) else None)
    except TypeError:
        raise SigningKeyError(f"`{path}` is encrypted; give its passphrase (`--passphrase-file FILE`)") from None
    except ValueError:
        why = "the passphrase is wrong, or the file is damaged" if needs_passphrase(pem) else "it has no private key"
        raise SigningKeyError(f"key file `{path}` can't be used: {why}") from None
    if not isinstance(private, Ed25519PrivateKey):
        text = f"`{path}` has a key of another kind than Ed25519"
        raise SigningKeyError(f"{text}; create one with `stoplog keys publisher new`")
    return SigningKey(private)


def is_encrypted(path: Path) -> bool:
    """Return whether a key file needs a passphrase. Blocking.

    Raises:
        SigningKeyError: the file can't be read, or others can read it.
    """
    return needs_passphrase(_read_private(path))


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


def needs_passphrase(pem: bytes) -> bool:
    """Return whether a private key is encrypted."""
    return b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in pem


def _read_private(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            pem = file.read(KEY_FILE_BYTES_MAX)
    except OSError as error:
        raise SigningKeyError(f"key `{path}` can't be read: {error.strerror}") from None
    if mode & _OTHERS:
        raise SigningKeyError(f"key `{path}` can be read by others; run `chmod 600 {path}`")
    return pem
