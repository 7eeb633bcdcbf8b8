"""Keep what a tool server writes to its standard error, in files of a bounded size.

A server may write as much as it likes, and nobody reads all of that. So there are two files: the one that is written,
and the one before it (with `.1` at the end of its name), which is replaced when the first is full.
"""

from __future__ import annotations

import logging
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

LOG_BYTES_MAX = 4 * 1024 * 1024
"""How large each of the two files may be."""

_BEFORE_SUFFIX = ".1"
_log = logging.getLogger(__name__)


class ServerLog:
    """The two files; a context manager. Without a path, what is written is dropped.

    Attributes:
        is_kept: whether anything is kept.
    """

    def __init__(self, path: Path | None) -> None:
        """Open the file, and add to what is in it.

        Raises:
            OSError: it can't be opened.
        """
        self.is_kept = path is not None
        self._path = path
        self._file: BinaryIO | None = None if path is None else path.open("ab", buffering=0)

    def write(self, chunk: bytes) -> None:
        """Add what the server has written. A full disk loses it, and stops neither the server nor its calls."""
        try:
            self._write(chunk[-LOG_BYTES_MAX:])
        except OSError as error:
            _log.warning("what a tool server writes to its standard error is lost: %s", error)
            self.close()

    def _write(self, chunk: bytes) -> None:
        if self._file is None or self._path is None:
            return
        if self._file.seek(0, 2) + len(chunk) > LOG_BYTES_MAX:
            self._file.close()
            self._path.replace(self._path.with_name(self._path.name + _BEFORE_SUFFIX))
            self._file = self._path.open("ab", buffering=0)
        self._file.write(chunk)

    def close(self) -> None:
        """Close the file; what is written after that is dropped."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
