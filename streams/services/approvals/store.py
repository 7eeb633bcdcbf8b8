"""The memory of the service: which record each webhook gets next, by partition, and which were put aside before it.

It is one SQLite file; each change is on disk before the caller continues.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from streams.services.approvals.errors import ApprovalServiceError
from streams.services.sqlite_file import connect
from streams.stores.private_folder import make_private

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sent (
    webhook TEXT NOT NULL, partition INTEGER NOT NULL, next_offset INTEGER NOT NULL, PRIMARY KEY (webhook, partition)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS put_aside (
    webhook TEXT NOT NULL, partition INTEGER NOT NULL, at_offset INTEGER NOT NULL,
    PRIMARY KEY (webhook, partition, at_offset)
) WITHOUT ROWID;
"""


class Sent(NamedTuple):
    """Up to where a webhook has got the records of a partition.

    Attributes:
        next_offset: what it gets next. It has got all records before, or need not get them, but for those in `aside`.
        aside: the offsets of questions before it that were put aside.
    """

    next_offset: int
    aside: frozenset[int] = frozenset()


class SentStore:
    """The file. Thread-safe."""

    def __init__(self, path: Path) -> None:
        """Open the file, or create it.

        Raises:
            ApprovalServiceError: the file can't be used.
        """
        self._lock = threading.Lock()
        try:
            make_private(path.parent)
            self._connection = connect(path)
            self._connection.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise ApprovalServiceError(f"`{path}` can't be used: {error}") from None

    def sent(self, webhook: str) -> dict[int, Sent]:
        """Return up to where a webhook has got records, by partition; empty for a new one.

        Raises:
            ApprovalServiceError: the file can't be read.
        """
        with self._lock:
            try:
                positions = self._connection.execute(
                    "SELECT partition, next_offset FROM sent WHERE webhook = ?", (webhook,)
                ).fetchall()
                aside = self._connection.execute(
                    "SELECT partition, at_offset FROM put_aside WHERE webhook = ?", (webhook,)
                ).fetchall()
            except sqlite3.Error as error:
                raise ApprovalServiceError(f"the position of webhook `{webhook}` can't be read: {error}") from None
        return {
            partition: Sent(next_offset, frozenset(offset for place, offset in aside if place == partition))
            for partition, next_offset in positions
        }

    def note_sent(self, webhook: str, partition: int, sent: Sent) -> None:
        """Remember up to where a webhook has got the records of a partition.

        Raises:
            ApprovalServiceError: the file can't be written.
        """
        place = (webhook, partition)
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.execute("INSERT OR REPLACE INTO sent VALUES (?, ?, ?)", (*place, sent.next_offset))
                self._connection.execute("DELETE FROM put_aside WHERE webhook = ? AND partition = ?", place)
                self._connection.executemany(
                    "INSERT INTO put_aside VALUES (?, ?, ?)", [(*place, offset) for offset in sent.aside]
                )
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise ApprovalServiceError(f"the position of webhook `{webhook}` can't be written: {error}") from None

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._connection.close()
