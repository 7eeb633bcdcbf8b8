"""Read private keys from files: those that people sign with, and those that executors sign their reports with."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from streams.audit.report_keys import ReportKey
from streams.audit.signatures import SigningKey, SigningKeyError

KEY_FILE_BYTES_MAX = 16_384
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def load_report_key(path: Path, *, deployment: str = "", passphrase: bytes | None = None) -> ReportKey:
    """Read the key with which an executor signs what it reports. Blocking.

    Args:
        path: a file that `stoplog keys server new` has made.
        deployment: must be the gates' setting `gate.deployment`.
        passphrase: the passphrase of an encrypted file.

    Raises:
        SigningKeyError: see `load_key_file`.
    """
    return ReportKey(load_key_file(path, passphrase), deployment)


def load_key_file(path: Path, passphrase: bytes | None = None) -> SigningKey:
    """Read a private key. Blocking.

    Args:
        passphrase: the passphrase of an encrypted file.

    Raises:
        SigningKeyError: the file can't be read, others can read it, the passphrase is wrong, or it has no Ed25519 key.
    """
    return read_key(read_private(path), f"key file `{path}`", passphrase)


def read_key(pem: bytes, place: str, passphrase: bytes | None = None) -> SigningKey:
    """Read a private key.

    Args:
        pem: the key (PEM, PKCS 8).
        place: where it is from, for messages.
        passphrase: the passphrase of an encrypted key.

    Raises:
        SigningKeyError: the passphrase is wrong, or there is no Ed25519 key.
    """
    try:
        private = load_pem_private_key(pem, passphrase if needs_passphrase(pem) else None)
    except TypeError:
        advice = "give its passphrase (`--passphrase-file FILE`; in Python, `passphrase=`)"
        raise SigningKeyError(f"the {place} is encrypted", advice) from None
    except ValueError:
        why = "the passphrase is wrong, or the file is damaged" if needs_passphrase(pem) else "it has no private key"
        raise SigningKeyError(f"{place} can't be used: {why}") from None
    if not isinstance(private, Ed25519PrivateKey):
        fault = f"the {place} has a key of another kind than Ed25519"
        raise SigningKeyError(fault, "`stoplog keys --help` lists the commands that create one")
    return SigningKey(private)


def needs_passphrase(pem: bytes) -> bool:
    """Return whether a private key is encrypted."""
    return b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in pem


def read_private(path: Path, *, what: str = "key") -> bytes:
    """Return the content of a key file. Blocking.

    Args:
        path: the file.
        what: what the file has, for errors.

    Raises:
        SigningKeyError: the file can't be read, or others can read it.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            pem = file.read(KEY_FILE_BYTES_MAX)
    except OSError as error:
        raise SigningKeyError(f"{what} `{path}` can't be read: {error.strerror}") from None
    if mode & _OTHERS:
        raise SigningKeyError(f"{what} `{path}` can be read by others", f"run `chmod 600 {path}`")
    return pem


def read_private_line(path: Path, *, what: str = "key") -> str:
    """Return the first line of a file with a secret, without blanks around it. Blocking.

    Args:
        path: the file.
        what: what the file has, for errors.

    Raises:
        SigningKeyError: the file can't be read, or others can read it.
    """
    return read_private(path, what=what).decode(errors="replace").partition("\n")[0].strip()
