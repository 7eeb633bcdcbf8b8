"""Reads the file of a deployment's root key, from which the keys of sessions are derived."""

from __future__ import annotations

import stat
from pathlib import Path

from streams.model.errors import AdvisedError
from streams.model.proof import ROOT_KEY_BYTES_MAX, ROOT_KEY_BYTES_MIN
from streams.sdk.errors import TokenServiceError

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class RootKeyError(AdvisedError, TokenServiceError):
    """The root key is missing or can't be used, or a new one would replace it."""


def load_root_key(path: Path) -> bytes:
    """Return the root key in a file.

    Raises:
        RootKeyError: the file is missing or can't be used; says what to do.
    """
    try:
        with path.open("rb") as file:
            mode = path.stat().st_mode
            key = file.read(ROOT_KEY_BYTES_MAX + 1)
    except FileNotFoundError:
        raise RootKeyError(
            f"there is no root key at `{path}`", "create it with `stoplog keys new`, or copy that of the other gates"
        ) from None
    except OSError as error:
        raise RootKeyError(f"root key `{path}` can't be read: {error.strerror}") from None
    if stat.S_ISCHR(mode):
        # It may have no end, and others use it: nobody should change its mode.
        raise RootKeyError(f"root key `{path}` is a device; name the file of the root key")
    if mode & _OTHERS:
        raise RootKeyError(f"root key `{path}` can be read by others", f"run `chmod 600 {path}`")
    if len(key) < ROOT_KEY_BYTES_MIN:
        raise RootKeyError(f"root key `{path}` has {len(key)} bytes; at least {ROOT_KEY_BYTES_MIN} are required")
    if len(key) > ROOT_KEY_BYTES_MAX:
        raise RootKeyError(f"root key `{path}` has more than {ROOT_KEY_BYTES_MAX} bytes; name the file of the root key")
    return key
