"""Folders that only their owner can look into: state holds what agents have read and sent."""

from __future__ import annotations

import stat
from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_private(folder: Path) -> None:
    """Make the folder and what is missing above it, closed to others. One that is there stays as it is.

    Raises:
        OSError: it can't be made, or is no folder.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
    if not folder.is_dir():
        raise NotADirectoryError(f"`{folder}` is no folder")


def is_open_to_others(folder: Path) -> bool:
    """Whether others than the owner may do anything with it."""
    return bool(folder.stat().st_mode & _OTHERS)
