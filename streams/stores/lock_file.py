"""Locks that one process has at a time, and that end with it."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import TextIO


def lock_file(path: Path) -> TextIO | None:
    """Return the file, open and locked until it is closed; None if another process has locked it.

    Raises:
        OSError: the file can't be opened.
    """
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
