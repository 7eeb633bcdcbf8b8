"""Passphrases of private keys: from a file, never from the command line, where others would see them."""

from __future__ import annotations

from pathlib import Path

from streams.audit.signatures import SigningKeyError

PASSPHRASE_BYTES_MAX = 1_024


def passphrase_from(path: Path | None) -> bytes | None:
    """The first line of a file; None without one. Blocking.

    Raises:
        SigningKeyError: it can't be read, or the line is empty or too long.
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
