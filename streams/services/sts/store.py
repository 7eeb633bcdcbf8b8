"""The memory of the service: issued grants, which can be delegated further, and used single-use tokens.

It is one SQLite file; each change is on disk before its request is answered. Expired entries are deleted. What was used
is what the log says (`streams.services.sts.used_tokens`): the file holds as much of it as the service has read.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from streams.model.delegation import GrantBody
from streams.model.token_reasons import TokenReason
from streams.services.sqlite_file import connect
from streams.services.sts.errors import RefusedError, StsError
from streams.stores.private_folder import make_private

SESSIONS_MAX = 2_000_000
"""Sessions that are open at once."""

TENANT_SESSIONS_MAX = 1_000_000
"""Sessions of one tenant that are open at once, so that no tenant takes the room of the others."""

USED_MAX = 4_000_000
FORGET_EVERY = 256
"""After how many changes expired entries are deleted."""

_log = logging.getLogger(__name__)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS session (
  token_id TEXT PRIMARY KEY, session_id TEXT NOT NULL, tenant_uid TEXT NOT NULL, exp_ms INTEGER NOT NULL,
  lineage BLOB NOT NULL, act BLOB NOT NULL, revoked INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS session_exp ON session (exp_ms);
CREATE INDEX IF NOT EXISTS session_tenant ON session (tenant_uid);
CREATE TABLE IF NOT EXISTS used (name BLOB PRIMARY KEY, exp_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS used_exp ON used (exp_ms);
CREATE TABLE IF NOT EXISTS used_place (
  one INTEGER PRIMARY KEY CHECK (one = 1), last_offset INTEGER NOT NULL, mark BLOB NOT NULL);
"""


class Claim(NamedTuple):
    """A claim on the log: the digests of its tokens, until when they count as used, and when it was appended."""

    names: tuple[bytes, ...]
    exp_ms: int
    appended_ms: int


class Place(NamedTuple):
    """How far the log has been read: the offset of the last record, and a digest of that record."""

    offset: int
    mark: bytes


class Issued(msgspec.Struct, frozen=True, array_like=True):
    """A session that was opened: its token, its grant with all ancestors (root first), and the token's `act`."""

    token_id: str
    session_id: str
    tenant_uid: str
    exp_ms: int
    lineage: tuple[GrantBody, ...]
    act: dict[str, object]
    revoked: bool = False

    @property
    def grant(self) -> GrantBody:
        """Return the session's own grant."""
        return self.lineage[-1]


_encode = msgspec.msgpack.Encoder().encode
_decode_lineage = msgspec.msgpack.Decoder(tuple[GrantBody, ...]).decode
_decode_act = msgspec.msgpack.Decoder(dict[str, object]).decode


class StsStore:
    """The file. Thread-safe."""

    def __init__(self, path: Path) -> None:
        """Open the file, or create it.

        Raises:
            StsError: the file can't be used.
        """
        self._path = path
        self._lock = threading.Lock()
        self._changes = 0
        self._full = False
        # Counted when the file is opened: to count while a tenant asks for more than its room would delay all others.
        self._open_counts: Counter[str] = Counter()
        self._open_count = 0
        self._read_to_ms = 0
        try:
            make_private(path.parent)
            # Before it is opened: the files beside it get its rights.
            path.touch(0o600)
            path.chmod(0o600)
            self._file = connect(path)
            self._file.executescript(_SCHEMA)
            counted = self._file.execute("SELECT tenant_uid, COUNT(*) FROM session GROUP BY tenant_uid")
            self._open_counts.update(dict(counted.fetchall()))
        except (OSError, sqlite3.Error) as error:
            raise StsError(f"`{path}` can't be used: {error}") from None
        self._open_count = self._open_counts.total()

    def take_in(self, claims: Sequence[Claim], place: Place) -> list[bool]:
        """Apply claims in the order of the log, and remember how far it was read; both or neither.

        INVARIANT: the result depends on nothing but the records of the log, so that all services get the same.

        Args:
            claims: they follow those that were applied last.
            place: the last record that was read, whether or not it was a claim.

        Returns:
            For each claim whether it counts: none of its names is used. If not, it uses up none of them.

        Raises:
            RefusedError: the file can't be written; nothing was applied.
        """
        with self._lock:
            self._forget(self._read_to_ms)
            try:
                self._file.execute("BEGIN IMMEDIATE")
                won = [self._applied(claim) for claim in claims]
                self._file.execute("INSERT OR REPLACE INTO used_place VALUES (1, ?, ?)", place)
                self._file.execute("COMMIT")
            except sqlite3.Error as error:
                self._roll_back()
                raise self._failed(error) from None
            return won

    def _applied(self, claim: Claim) -> bool:
        holders = f"SELECT 1 FROM used WHERE exp_ms >= ? AND name IN ({', '.join('?' * len(claim.names))})"  # noqa: S608 - only places for values
        if self._file.execute(holders, (claim.appended_ms, *claim.names)).fetchone() is not None:
            return False
        rows = [(name, claim.exp_ms) for name in claim.names]
        self._file.executemany("INSERT OR REPLACE INTO used VALUES (?, ?)", rows)
        return True

    def place(self) -> Place | None:
        """Return how far the log has been read; None if it never was.

        Raises:
            RefusedError: the file can't be read.
        """
        with self._lock:
            try:
                row = self._file.execute("SELECT last_offset, mark FROM used_place").fetchone()
            except sqlite3.Error as error:
                raise self._failed(error) from None
            return None if row is None else Place(*row)

    def read_to(self, instant_ms: int) -> None:
        """Take note that every claim was applied that was on the log at an instant. What had expired by then can be
        forgotten: before that, a claim that is not read yet could be taken for the first one."""
        with self._lock:
            self._read_to_ms = max(self._read_to_ms, instant_ms)

    def is_used(self, name: bytes) -> bool:
        """Return whether a token was used before.

        Raises:
            RefusedError: the file can't be read.
        """
        with self._lock:
            try:
                return self._file.execute("SELECT 1 FROM used WHERE name = ?", (name,)).fetchone() is not None
            except sqlite3.Error as error:
                raise self._failed(error) from None

    def check_room(self, now_ms: int, tenant_uid: str) -> None:
        """Check that another session of a tenant can be remembered.

        Tokens are counted every `FORGET_EVERY` changes, and while there are too many of them, at each call.

        Raises:
            RefusedError: there are too many entries, or the file can't be read.
        """
        with self._lock:
            if self._full:
                self._changes = 0
                self._forget(now_ms)
            elif self._lacks_room(tenant_uid):
                self._end_expired(now_ms)
            if self._full or self._open_count >= SESSIONS_MAX:
                text = f"{SESSIONS_MAX} sessions are open already, or {USED_MAX} tokens are remembered"
                raise RefusedError(TokenReason.LOG_UNAVAILABLE, text)
            if self._lacks_room(tenant_uid):
                text = f"{TENANT_SESSIONS_MAX} sessions of tenant `{tenant_uid}` are open already"
                raise RefusedError(TokenReason.LOG_UNAVAILABLE, text)

    def _lacks_room(self, tenant_uid: str) -> bool:
        return self._open_count >= SESSIONS_MAX or self._open_counts[tenant_uid] >= TENANT_SESSIONS_MAX

    def add(self, issued: Issued) -> None:
        """Remember a session.

        Raises:
            RefusedError: the file can't be written.
        """
        row = (
            issued.token_id,
            issued.session_id,
            issued.tenant_uid,
            issued.exp_ms,
            _encode(issued.lineage),
            _encode(issued.act),
        )
        with self._lock:
            try:
                self._file.execute("INSERT INTO session VALUES (?, ?, ?, ?, ?, ?, 0)", row)
            except sqlite3.Error as error:
                raise self._failed(error) from None
            self._open_counts[issued.tenant_uid] += 1
            self._open_count += 1

    def find(self, token_id: str) -> Issued | None:
        """Return the session of a token; None if it is not known.

        Raises:
            RefusedError: the file can't be read.
        """
        with self._lock:
            try:
                row = self._file.execute("SELECT * FROM session WHERE token_id = ?", (token_id,)).fetchone()
            except sqlite3.Error as error:
                raise self._failed(error) from None
        if row is None:
            return None
        return Issued(row[0], row[1], row[2], row[3], _decode_lineage(row[4]), _decode_act(row[5]), bool(row[6]))

    def revoke(self, token_id: str) -> None:
        """Mark a token as revoked.

        Raises:
            RefusedError: the file can't be written.
        """
        with self._lock:
            try:
                self._file.execute("UPDATE session SET revoked = 1 WHERE token_id = ?", (token_id,))
            except sqlite3.Error as error:
                raise self._failed(error) from None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()

    def _forget(self, now_ms: int) -> None:
        if self._changes % FORGET_EVERY == 0:
            self._end_expired(now_ms)
            try:
                self._file.execute("DELETE FROM used WHERE exp_ms < ?", (min(now_ms, self._read_to_ms),))
                (used,) = self._file.execute("SELECT COUNT(*) FROM used").fetchone()
            except sqlite3.Error as error:
                raise self._failed(error) from None
            self._full = used >= USED_MAX
        self._changes += 1

    def _end_expired(self, now_ms: int) -> None:
        """Delete the sessions that have expired."""
        try:
            deleted = self._file.execute("DELETE FROM session WHERE exp_ms < ? RETURNING tenant_uid", (now_ms,))
            ended = Counter(tenant_uid for (tenant_uid,) in deleted)
        except sqlite3.Error as error:
            raise self._failed(error) from None
        for tenant_uid, count in ended.items():
            self._open_counts[tenant_uid] -= count
            if not self._open_counts[tenant_uid]:
                del self._open_counts[tenant_uid]
        self._open_count -= ended.total()

    def _roll_back(self) -> None:
        """Roll back: after a failed statement SQLite can leave the transaction open, which would block all writes."""
        try:
            if self._file.in_transaction:
                self._file.execute("ROLLBACK")
        except sqlite3.Error as error:
            _log.warning("`%s`: a transaction could not be rolled back: %s", self._path, error)

    def _failed(self, error: sqlite3.Error) -> RefusedError:
        return RefusedError(TokenReason.LOG_UNAVAILABLE, f"the memory of the service can't be used: {error}")
