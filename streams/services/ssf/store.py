"""The memory of the service: which events have been processed, and which record each receiver gets next.

It is one SQLite file; each change is on disk before the caller continues. Entries that are older than any event that
would be accepted are deleted.

The number of remembered events is bounded for each issuer by itself. With one bound for all of them, an issuer that
sends very many events would keep those of the others from being accepted.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections import Counter
from pathlib import Path

from streams.services.sqlite_file import connect
from streams.services.ssf.errors import SsfError, UnavailableError
from streams.stores.private_folder import make_private

_FORGET_EVERY = 256
_SCHEMA = """
CREATE TABLE IF NOT EXISTS seen (name BLOB PRIMARY KEY, made_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS seen_made ON seen (made_ms);
CREATE TABLE IF NOT EXISTS told (receiver TEXT PRIMARY KEY, next_offset INTEGER NOT NULL) WITHOUT ROWID;
"""

# Files of earlier versions lack the column. Their events count for no issuer, and are deleted when they are old.
_ADD_ISSUER = "ALTER TABLE seen ADD COLUMN issuer BLOB NOT NULL DEFAULT x''"
_ISSUER_BYTES = 16


class SsfStore:
    """The file. Thread-safe."""

    def __init__(self, path: Path, seen_per_issuer_max: int) -> None:
        """Open the file, or create it.

        Args:
            seen_per_issuer_max: how many processed events of each issuer are remembered.

        Raises:
            SsfError: the file can't be used.
        """
        self._lock = threading.Lock()
        self._seen_per_issuer_max = seen_per_issuer_max
        self._until_forget = 0
        try:
            make_private(path.parent)
            self._connection = connect(path)
            self._connection.executescript(_SCHEMA)
            if "issuer" not in {row[1] for row in self._connection.execute("PRAGMA table_info(seen)")}:
                self._connection.execute(_ADD_ISSUER)
            self._counts: Counter[bytes] = Counter(
                dict(self._connection.execute("SELECT issuer, count(*) FROM seen GROUP BY issuer"))
            )
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
            UnavailableError: the file can't be written, or too many events of the issuer are remembered.
        """
        name, short = _name(issuer, jti), _short(issuer)
        with self._lock:
            try:
                is_full = self._counts[short] >= self._seen_per_issuer_max
                if self._until_forget <= 0 or is_full:
                    self._until_forget = _FORGET_EVERY
                    self._forget(horizon_ms)
                if self._counts[short] >= self._seen_per_issuer_max:
                    raise UnavailableError(
                        f"{self._counts[short]} events of `{issuer}` are remembered, which is the maximum "
                        "(`ssf.events_per_transmitter_max`)"
                    )
                self._until_forget -= 1
                added = self._connection.execute(
                    "INSERT OR IGNORE INTO seen (name, made_ms, issuer) VALUES (?, ?, ?)", (name, made_ms, short)
                )
                self._counts[short] += added.rowcount
            except sqlite3.Error as error:
                raise UnavailableError(f"the memory of processed events can't be written: {error}") from None

    def _forget(self, horizon_ms: int) -> None:
        gone = "FROM seen WHERE made_ms < ?"
        counts = self._connection.execute(f"SELECT issuer, count(*) {gone} GROUP BY issuer", (horizon_ms,)).fetchall()
        self._connection.execute(f"DELETE {gone}", (horizon_ms,))
        self._counts.subtract(dict(counts))

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


def _short(issuer: str) -> bytes:
    return hashlib.sha256(issuer.encode()).digest()[:_ISSUER_BYTES]


def _name(issuer: str, jti: str) -> bytes:
    """Return the key of an event. A `jti` is unique only for its issuer."""
    return hashlib.sha256(f"{len(issuer)}:{issuer}{jti}".encode()).digest()
