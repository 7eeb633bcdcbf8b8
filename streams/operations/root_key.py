"""Creates the file of a deployment's root key, and reads that of the gates."""

from __future__ import annotations

import secrets
from pathlib import Path

from streams.operations.private_file import write_new
from streams.sdk.keys.root_key import RootKeyError, load_root_key
from streams.stores.private_folder import make_private

_ROOT_KEY_BYTES = 64


def load_gates_root_key(path: Path) -> bytes:
    """Return the root key in a file, for somebody who needs the one that gates have: a new one would be of no use.

    Raises:
        RootKeyError: the file is missing or can't be used; says what to do.
    """
    try:
        return load_root_key(path)
    except RootKeyError as error:
        if path.exists():
            raise
        raise RootKeyError(error.fault, "copy that of the gates of this log") from None


def make_root_key(path: Path) -> bytes:
    """Create a root key in a file that only its owner can read, and return the key.

    Raises:
        RootKeyError: the file exists already.
        OSError: it can't be written.
    """
    make_private(path.parent)
    key = secrets.token_bytes(_ROOT_KEY_BYTES)
    try:
        write_new(path, lambda file: file.write(key), 0o600)
    except FileExistsError:
        raise RootKeyError(
            f"`{path}` exists already and is not replaced, because all open sessions depend on it"
        ) from None
    return key
