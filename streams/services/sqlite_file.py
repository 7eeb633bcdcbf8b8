"""Opens the files in which services keep what must survive a crash."""

from __future__ import annotations

import sqlite3
from pathlib import Path

LOCK_TIMEOUT_S = 10.0


def connect(path: Path, lock_timeout_s: float = LOCK_TIMEOUT_S) -> sqlite3.Connection:
    """Open an SQLite file, or create it. What is committed is on disk, and each statement is a transaction by default.

    Args:
        path: the file.
        lock_timeout_s: how long a statement waits for another connection that holds a lock.

    Raises:
        sqlite3.Error: the file can't be used.
    """
    connection = sqlite3.connect(path, timeout=lock_timeout_s, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection
