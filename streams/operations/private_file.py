"""Writes files for people: with the arguments of calls, which other accounts may not read, and with keys and proofs,
which a full disk must neither leave half written nor destroy."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedWriter
from pathlib import Path

_MODE = 0o600
_SHARED_MODE = 0o666


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


def write_new(path: Path, write: Callable[[BufferedWriter], object], mode: int) -> None:
    """Write a file that is not there yet; it is on the disk when this returns, or not there. Blocking.

    Args:
        path: where.
        write: writes what is in it.
        mode: who may use it, before the umask.

    Raises:
        FileExistsError: there is one.
        OSError: it can't be written; names the file.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        # An empty key would be taken for one that must not be replaced.
        path.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None


def replace_whole(path: Path, content: bytes) -> None:
    """Put a new file in place of an earlier one, which stays as it is until the new one is on the disk. Blocking.

    Its readers see the one or the other. It keeps the earlier mode: readers of another account must not lose it. What
    is not a file, such as a terminal, is written to.

    Raises:
        OSError: it can't be written.
    """
    file = path.resolve()
    if file.exists() and not file.is_file():
        file.write_bytes(content)
        return
    beside = file.with_name(f"{file.name}.{os.getpid()}.new")
    beside.unlink(missing_ok=True)
    write_new(beside, lambda new: new.write(content), _SHARED_MODE)
    if file.exists():
        beside.chmod(stat.S_IMODE(file.stat().st_mode))
    beside.replace(file)


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Let nobody else change the files of a folder in this way meanwhile: who reads one and replaces it loses nothing.
    Blocks until others are done.

    Args:
        path: the file.

    Raises:
        OSError: its folder can't be opened.
    """
    # The folder, and not the file, which is another one afterwards.
    handle = os.open(path.resolve().parent, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
