"""What the service must remember: which events have come, and how far each receiver has been told.

One SQLite file, each change on disk before it is answered for. What is older than any event that is taken is forgotten.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from pathlib import Path

from streams.services.ssf.errors import SsfError, UnavailableError
from streams.stores.private_folder import make_private

SEEN_MAX = 1_000_000
"""Events of which is remembered that they have come; with more, none is taken until some can be forgotten."""

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
        """Open it, or make it.

        Raises:
            SsfError: it can't be used.
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
        """Whether an event has come before.

        Raises:
            UnavailableError: it can't be told.
        """
        with self._lock:
            try:
                found = self._connection.execute("SELECT 1 FROM seen WHERE name = ?", (_name(issuer, jti),))
                return found.fetchone() is not None
            except sqlite3.Error as error:
                raise UnavailableError(f"it can't be told which events have come: {error}") from None

    def note_seen(self, issuer: str, jti: str, made_ms: int, *, horizon_ms: int) -> None:
        """An event has come, and what it asks for is done.

        Args:
            horizon_ms: what was made before would not be taken again, and can be forgotten.

        Raises:
            UnavailableError: it could not be recorded, or too many were.
        """
        with self._lock:
            try:
                if self._until_forget <= 0:
                    self._until_forget = _FORGET_EVERY
                    self._connection.execute("DELETE FROM seen WHERE made_ms < ?", (horizon_ms,))
                    (count,) = self._connection.execute("SELECT count(*) FROM seen").fetchone()
                    if count >= SEEN_MAX:
                        self._until_forget = 0
                        raise UnavailableError(f"{count} events are remembered, no more can be")
                self._until_forget -= 1
                self._connection.execute(
                    "INSERT OR IGNORE INTO seen (name, made_ms) VALUES (?, ?)", (_name(issuer, jti), made_ms)
                )
            except sqlite3.Error as error:
                raise UnavailableError(f"it can't be recorded that an event has come: {error}") from None

    def told(self, receiver: str) -> int | None:
        """The offset of the first record that a receiver was not told of; None for a new one.

        Raises:
            SsfError: it can't be read.
        """
        with self._lock:
            try:
                found = self._connection.execute("SELECT next_offset FROM told WHERE receiver = ?", (receiver,))
                row = found.fetchone()
            except sqlite3.Error as error:
                raise SsfError(f"it can't be told how far `{receiver}` was told: {error}") from None
        return None if row is None else int(row[0])

    def note_told(self, receiver: str, next_offset: int) -> None:
        """A receiver was told of all that stands below an offset.

        Raises:
            SsfError: it could not be recorded.
        """
        with self._lock:
            try:
                self._connection.execute(
                    "INSERT INTO told (receiver, next_offset) VALUES (?, ?) "
                    "ON CONFLICT (receiver) DO UPDATE SET next_offset = excluded.next_offset",
                    (receiver, next_offset),
                )
            except sqlite3.Error as error:
                raise SsfError(f"it can't be recorded how far `{receiver}` was told: {error}") from None

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._connection.close()


def _name(issuer: str, jti: str) -> bytes:
    """A `jti` is unique for its issuer alone."""
    return hashlib.sha256(f"{len(issuer)}:{issuer}{jti}".encode()).digest()
