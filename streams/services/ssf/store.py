"""The memory of the service: which events have been processed, and which record each receiver gets next.

It is one SQLite file; each change is on disk before the caller continues. Entries that are older than any event that
would be accepted are deleted.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from pathlib import Path

from streams.services.ssf.errors import SsfError, UnavailableError
from streams.stores.private_folder import make_private

SEEN_MAX = 1_000_000
"""How many processed events are remembered. Beyond that, no event is accepted until old ones can be deleted."""

_LOCK_TIMEOUT_S = 10.0
_FORGET_EVERY = 256
_SCHEMA = """
CREATE TABLE IF NOT EXISTS seen (name BLOB PRIMARY KEY, made_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS seen_made ON seen (made_ms);
CREATE TABLE IF NOT EXISTS told (receiver TEXT PRIMARY KEY, next_offset INTEGER NOT NULL) WITHOUT ROWID;
"""


class SsfStore:
    """The file. Thread-safe."""

    def __init__(self, path: Path) -> None:
        """Open the file, or create it.

        Raises:
            SsfError: the file can't be used.
        """
        self._lock = threading.Lock()
        self._until_forget = 0
        try:
            make_private(path.parent)
            self._connection = sqlite3.connect(
                path, timeout=_LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise SsfError(f"`{path}` can't be used: {error}") from None

    def has_seen(self, issuer: str, jti: str) -> bool:
        """Return whether an event has been processed before.

        Raises:
            UnavailableError: the file can't be read.
        """
        with self._lock:
            try:
                found = self._connection.execute("SELECT 1 FROM seen WHERE name = ?", (_name(issuer, jti),))
                return found.fetchone() is not None
            except sqlite3.Error as error:
                raise UnavailableError(f"the memory of processed events can't be read: {error}") from None

    def note_seen(self, issuer: str, jti: str, made_ms: int, *, horizon_ms: int) -> None:
        """Remember that an event has been processed.

        Args:
            horizon_ms: events that were issued before would not be accepted again, and are deleted.

        Raises:
            UnavailableError: the file can't be written, or too many events are remembered.
        """
        with self._lock:
            try:
                if self._until_forget <= 0:
                    self._until_forget = _FORGET_EVERY
                    self._connection.execute("DELETE FROM seen WHERE made_ms < ?", (horizon_ms,))
                    (count,) = self._connection.execute("SELECT count(*) FROM seen").fetchone()
                    if count >= SEEN_MAX:
                        self._until_forget = 0
                        raise UnavailableError(f"{count} events are remembered, which is the maximum")
                self._until_forget -= 1
                self._connection.execute(
                    "INSERT OR IGNORE INTO seen (name, made_ms) VALUES (?, ?)", (_name(issuer, jti), made_ms)
                )
            except sqlite3.Error as error:
                raise UnavailableError(f"the memory of processed events can't be written: {error}") from None

    def told(self, receiver: str) -> int | None:
        """Return the offset of the first record that a receiver has not got; None for a new receiver.

        Raises:
            SsfError: the file can't be read.
        """
        with self._lock:
            try:
                found = self._connection.execute("SELECT next_offset FROM told WHERE receiver = ?", (receiver,))
                row = found.fetchone()
            except sqlite3.Error as error:
                raise SsfError(f"the position of receiver `{receiver}` can't be read: {error}") from None
        return None if row is None else int(row[0])

    def note_told(self, receiver: str, next_offset: int) -> None:
        """Remember that a receiver has got all records below an offset.

        Raises:
            SsfError: the file can't be written.
        """
        with self._lock:
            try:
                self._connection.execute(
                    "INSERT INTO told (receiver, next_offset) VALUES (?, ?) "
                    "ON CONFLICT (receiver) DO UPDATE SET next_offset = excluded.next_offset",
                    (receiver, next_offset),
                )
            except sqlite3.Error as error:
                raise SsfError(f"the position of receiver `{receiver}` can't be written: {error}") from None

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._connection.close()


def _name(issuer: str, jti: str) -> bytes:
    """Return the key of an event. A `jti` is unique only for its issuer."""
    return hashlib.sha256(f"{len(issuer)}:{issuer}{jti}".encode()).digest()
