"""Reads the secrets of sinks from files that only their owner can read."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from streams.audit.signatures import SigningKeyError
from streams.sdk.keys.key_files import read_private
from streams.services.desk.errors import DeskError
from streams.services.sections import check_url

SECRET_CHARS_MAX = 2_048


def read_token(path: Path) -> str:
    """Return the secret in the first line of a file.

    Raises:
        DeskError: the file can't be read, others can read it, or it has no secret.
    """
    try:
        line = read_private(path, what="secret").decode("ascii", "replace").partition("\n")[0].strip()
    except SigningKeyError as error:
        raise DeskError(str(error)) from None
    if not 0 < len(line) <= SECRET_CHARS_MAX or not line.isascii() or not line.isprintable() or " " in line:
        raise DeskError(f"`{path}` has no secret in its first line")
    return line


def read_url(path: Path) -> str:
    """Return the URL in the first line of a file.

    Raises:
        DeskError: the file can't be read, others can read it, or it has no URL that is protected on its way.
    """
    url = read_token(path)
    try:
        check_url(url)
    except ValueError:
        # The URL is the secret: the message does not repeat it.
        raise DeskError(f"`{path}` has no URL with `https` (or `http` on loopback) in its first line") from None
    if not urlsplit(url).hostname:
        raise DeskError(f"the URL in `{path}` names no host")
    return url
