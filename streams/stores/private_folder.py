"""Folders that only their owner can read: state contains what agents have read and sent."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_private(folder: Path) -> None:
    """Create the folder and missing parents, readable and writable only by the owner. An existing folder is not
    changed.

    Raises:
        OSError: the folder can't be created, or the path is not a folder.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


def is_open_to_others(folder: Path) -> bool:
    """Return whether anybody but the owner may access the folder."""
    return bool(folder.stat().st_mode & _OTHERS)
