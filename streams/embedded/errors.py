"""The embedded log's own errors, and how SQLite's errors become errors of the port."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from streams.ports import AbortableTransactionError, FatalLogError, LogError, RetriableLogError


class ForeignFileError(FatalLogError):
    """The file is not an embedded log."""


class FileVersionError(FatalLogError):
    """The file was written by a newer version of this program."""


class DamagedFileError(FatalLogError):
    """SQLite finds the file's structure broken."""


class LogFullError(RetriableLogError):
    """The disk, or the file's size limit, has no room; nothing was written."""


class LockedLogError(RetriableLogError):
    """Another process kept the file locked for too long; nothing was written."""


class UnknownTopicError(RetriableLogError):
    """The topic or partition does not exist (yet)."""


class TopicError(LogError):
    """A topic can't be created or changed as asked."""


class RefusedRecordError(AbortableTransactionError):
    """The topic does not accept this record: it is too large, or lacks the key that compaction needs."""


_RETRIABLE_CODES = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DAMAGE_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
_PRIMARY_CODE_MASK = 0xFF
_PAGE_BYTES = 4_096


def from_sqlite(error: sqlite3.Error, path: Path, lock_timeout_ms: int) -> LogError:
    """Return the port's error for an error of SQLite on the file at `path`."""
    # Errors of the sqlite3 module itself (a closed connection) carry no code.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY_CODE_MASK
    if code in _RETRIABLE_CODES:
        return LockedLogError(
            f"`{path}` stayed locked for {lock_timeout_ms} ms: another process is writing; "
            f"try again, or end the process that holds it"
        )
    if code == sqlite3.SQLITE_FULL:
        return LogFullError(f"no room in `{path}`: free space on its disk or raise the log's size bound")
    if code in _DAMAGE_CODES:
        return DamagedFileError(f"`{path}` is damaged: {error}; restore it from a copy or start a new one")
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return FatalLogError(f"`{path}` can't be opened for writing: {error}; check the folder and its permissions")
    full = "; its disk is full: make room on it" if code == sqlite3.SQLITE_IOERR and _is_full(path) else ""
    return FatalLogError(f"`{path}` failed: {error}{full}")


def _is_full(path: Path) -> bool:
    """Return whether the disk has no room for a page: SQLite does not say so of the files beside its own."""
    try:
        _, _, free_bytes = shutil.disk_usage(path.parent)
    except OSError:
        return False
    return free_bytes < _PAGE_BYTES
