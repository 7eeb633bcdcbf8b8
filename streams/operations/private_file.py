"""Writes files with the arguments of calls in plain text: other accounts of the machine may not read them."""

from __future__ import annotations

import os
from io import BufferedWriter
from pathlib import Path

_MODE = 0o600


def write_private(path: Path, content: str | bytes) -> None:
    """Write a file that is its owner's alone; one that is there already keeps its mode. Blocking.

    Args:
        path: where.
        content: text, which is written in UTF-8, or bytes.

    Raises:
        OSError: it can't be written.
    """
    with open_private(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def open_private(path: Path) -> BufferedWriter:
    """Open a file for `write_private`, for the caller to write and to close. Blocking.

    Raises:
        OSError: it can't be written.
    """
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _MODE), "wb")
