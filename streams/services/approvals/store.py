"""The memory of the service: which record each webhook gets next, by partition.

It is one SQLite file; each change is on disk before the caller continues.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from streams.services.approvals.errors import ApprovalServiceError
from streams.services.sqlite_file import connect
from streams.stores.private_folder import make_private

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sent (
    webhook TEXT NOT NULL, partition INTEGER NOT NULL, next_offset INTEGER NOT NULL, PRIMARY KEY (webhook, partition)
) WITHOUT ROWID;
"""


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

    def sent(self, webhook: str) -> dict[int, int]:
        """Return the offset of the first record that a webhook has not got, by partition; empty for a new one.

        Raises:
            ApprovalServiceError: the file can't be read.
        """
        with self._lock:
            try:
                found = self._connection.execute(
                    "SELECT partition, next_offset FROM sent WHERE webhook = ?", (webhook,)
                )
                return {int(partition): int(offset) for partition, offset in found}
            except sqlite3.Error as error:
                raise ApprovalServiceError(f"the position of webhook `{webhook}` can't be read: {error}") from None

    def note_sent(self, webhook: str, partition: int, next_offset: int) -> None:
        """Remember that a webhook has got all records of a partition below an offset.

        Raises:
            ApprovalServiceError: the file can't be written.
        """
        with self._lock:
            try:
                self._connection.execute(
                    "INSERT INTO sent (webhook, partition, next_offset) VALUES (?, ?, ?) "
                    "ON CONFLICT (webhook, partition) DO UPDATE SET next_offset = excluded.next_offset",
                    (webhook, partition, next_offset),
                )
            except sqlite3.Error as error:
                raise ApprovalServiceError(f"the position of webhook `{webhook}` can't be written: {error}") from None

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._connection.close()
