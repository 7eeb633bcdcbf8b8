"""Record each use of a verdict on disk, so that its call runs at most once, whatever crashes.

The idea: a verdict is claimed before its call runs, and the claim is on disk when `claim` returns. Only one caller ever
gets a claim. If a process crashes between claim and end, the claim is found at the next start and its call is never run
again: nobody knows how far it came, so its outcome is reported as unknown.

Rejected: recording the use after the call (a crash in between would run it twice), and running an interrupted call
again (only correct for idempotent tools, which an executor cannot recognise).

Executors that serve the same server must share one store. Instances on one machine can share the file; on several
machines there must be one instance for each server.

A store knows the instant from which its record is complete. A verdict from before that may have been used in a store
that was lost, so its call is not run. Deleting the file therefore makes no verdict usable again.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

import msgspec

from streams.model.reasons import Refusal
from streams.sdk.errors import SingleUseError
from streams.sdk.executor.durable_file import DurableFile
from streams.sdk.executor.seal_heads import HEADS_TABLE, SealedHead, read_heads, write_heads
from streams.sdk.executor.uses import CallRef, End, Ending, Use

KEEP_MS = 86_400_000
"""How long a use is remembered after its verdict has expired. The clock can be set back by this much without harm."""

SEQUENCES_KEEP_MS = 30 * 86_400_000
PRUNE_EVERY = 1_000

_APPLICATION_ID = 0x53_4C_55_31
_SCHEMA_VERSION = 2
_SCHEMA = (
    """CREATE TABLE uses (
        verdict_id TEXT PRIMARY KEY,
        intent TEXT NOT NULL UNIQUE,
        owner TEXT NOT NULL,
        call BLOB NOT NULL,
        claimed_ms INTEGER NOT NULL,
        expires_ms INTEGER NOT NULL,
        use BLOB,
        reported INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID""",
    "CREATE INDEX open_uses ON uses (claimed_ms) WHERE reported = 0",
    """CREATE TABLE sequences (
        session_key TEXT PRIMARY KEY,
        next INTEGER NOT NULL,
        used_ms INTEGER NOT NULL
    ) WITHOUT ROWID""",
    "CREATE TABLE beginning (one INTEGER PRIMARY KEY CHECK (one = 1), began_ms INTEGER NOT NULL)",
)


class SingleUseStore:
    """Keeps used verdicts in one SQLite file. Thread-safe, and safe between processes on one machine.

    Attributes:
        owner: the stable name of the executor instance.
        path: the file.
    """

    def __init__(self, path: Path, owner: str) -> None:
        """Open the store. A new file is created readable and writable only by its owner.

        Args:
            owner: the stable name of this executor instance, used by one process at a time. Calls that an earlier
                run under this name has left are reported by this one.

        Raises:
            SingleUseError: the file can't be used, or is not a single-use store.
        """
        self.owner = owner
        self.path = path
        self._lock = threading.Lock()
        self._claims_until_prune = 0
        self._live: set[str] = set()
        self._unreported: set[str] = set()
        self._began_ms: int | None = None
        try:
            _make_private(path)
        except OSError as error:
            raise SingleUseError(f"single-use store `{path}` can't be opened: {error}") from error
        self._file = DurableFile(path)
        try:
            self._file.write(self._prepare)
        except BaseException:
            self._file.close()
            raise

    def begin(self, now_ms: int) -> int:
        """Start the record, if it has not been started; executors call this before they read verdicts.

        Args:
            now_ms: the clock that verdicts' times are compared with.

        Returns:
            The instant from which the record is complete, by the clock of the process that started it.

        Raises:
            SingleUseError: it can't be recorded.
        """

        def change(connection: sqlite3.Connection) -> int:
            connection.execute("INSERT OR IGNORE INTO beginning (one, began_ms) VALUES (1, ?)", (now_ms,))
            began_ms: int
            (began_ms,) = connection.execute("SELECT began_ms FROM beginning").fetchone()
            return began_ms

        self._began_ms = self._file.write(change)
        return self._began_ms

    def remembers(self, evaluated_ms: int) -> bool:
        """Return whether a use of a verdict from that instant would be recorded here; never before `begin`."""
        return self._began_ms is not None and evaluated_ms >= self._began_ms

    def claim(self, call: CallRef, *, now_ms: int, expires_ms: int) -> bool:
        """Claim a verdict; the claim is on disk when this returns.

        Returns True exactly once for a verdict's id and for its session's intent.

        Args:
            expires_ms: when the verdict expires; the use is remembered for `KEEP_MS` after that.

        Raises:
            SingleUseError: it could not be recorded, so the call must not run.
        """

        return self._file.write(lambda connection: self._claim(connection, call, now_ms, expires_ms))

    def finish(
        self,
        call: CallRef,
        ending: Ending,
        *,
        now_ms: int,
        content_digest: bytes | None = None,
        refusal: Refusal | None = None,
        text: str = "",
        source: str | None = None,
    ) -> Use:
        """Record how a claimed call ended; a second end of the same call changes nothing.

        Args:
            refusal: why the call will not run, for NOT_RUN.
            text: the same for people.
            source: the executor that saw it end, as its reports name it.

        Returns:
            The use, ready to be reported.

        Raises:
            SingleUseError: it could not be recorded, or the call was never claimed.
        """

        end = End(
            call=call,
            ending=ending,
            now_ms=now_ms,
            content_digest=content_digest,
            refusal=refusal,
            text=text,
            source=source,
        )
        return self.finish_all([end])[0]

    def finish_all(self, ends: Sequence[End]) -> list[Use]:
        """Record how claimed calls ended, in one change of the file: all are on disk when this returns, or none.

        Returns:
            Their uses, in the same order.

        Raises:
            SingleUseError: see `finish`.
        """
        return self._ended(self._file.write(lambda connection: [self._finish(connection, end) for end in ends]))

    def give_up_all(self, ends: Sequence[End], expires_ms: Sequence[int]) -> list[Use | None]:
        """Claim calls that will never run and record that, in one change of the file.

        Args:
            ends: the endings, all NOT_RUN.
            expires_ms: when each one's verdict expires.

        Returns:
            Their uses, in the same order; None for a verdict that was claimed before, which stays as it is.

        Raises:
            SingleUseError: it could not be recorded.
        """

        def change(connection: sqlite3.Connection) -> list[Use | None]:
            return [
                self._finish(connection, end) if self._claim(connection, end.call, end.now_ms, expires) else None
                for end, expires in zip(ends, expires_ms, strict=True)
            ]

        uses = self._file.write(change)
        self._ended([use for use in uses if use is not None])
        return uses

    def mark_reported(self, verdict_ids: Iterable[str]) -> None:
        """Record that the reports of these uses are on the log.

        Raises:
            SingleUseError: it could not be recorded; they may be reported again, under the same ids.
        """
        ids = list(verdict_ids)
        rows = [(each,) for each in ids]
        self._file.write(
            lambda connection: connection.executemany("UPDATE uses SET reported = 1 WHERE verdict_id = ?", rows)
        )
        with self._lock:
            self._unreported.difference_update(ids)
        self.release(ids)

    def heads(self) -> dict[str, SealedHead]:
        """Return the newest heads of seals that were kept, by their origins.

        Raises:
            SingleUseError: the store can't be read.
        """
        return self._file.write(read_heads)

    def keep_heads(self, heads: Mapping[str, SealedHead]) -> None:
        """Keep the newest heads of seals; they are on disk when this returns.

        Raises:
            SingleUseError: they could not be recorded.
        """
        self._file.write(lambda connection: write_heads(connection, heads))

    @property
    def unreported_count(self) -> int:
        """How many calls have ended, as far as this process knows, and are not marked as reported."""
        return len(self._unreported)

    def release(self, verdict_ids: Iterable[str]) -> None:
        """Stop working on these uses in this process: those that are not reported count as left over."""
        with self._lock:
            self._live.difference_update(verdict_ids)

    def left_over(self, *, now_ms: int, abandoned_after_ms: int) -> tuple[list[CallRef], list[Use]]:
        """Return calls that were claimed and never ended, and ends that were never reported.

        A call that this store object has claimed itself is left over only after `release`.

        Args:
            abandoned_after_ms: the age from which calls of other owners count as left over, too.

        Raises:
            SingleUseError: the store can't be read.
        """

        def change(connection: sqlite3.Connection) -> list[tuple[bytes, bytes | None]]:
            rows = connection.execute(
                """SELECT verdict_id, call, use FROM uses
                WHERE reported = 0 AND (owner = ? OR claimed_ms < ?) ORDER BY claimed_ms""",
                (self.owner, now_ms - abandoned_after_ms),
            ).fetchall()
            with self._lock:
                return [(call, use) for verdict_id, call, use in rows if verdict_id not in self._live]

        left = self._file.write(change)
        begun = [_decode_call(call) for call, use in left if use is None]
        return begun, self._ended([_decode_use(use) for _, use in left if use is not None])

    def _ended(self, uses: list[Use]) -> list[Use]:
        with self._lock:
            self._unreported.update(use.call.verdict_id for use in uses)
        return uses

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _claim(self, connection: sqlite3.Connection, call: CallRef, now_ms: int, expires_ms: int) -> bool:
        if self._claims_until_prune <= 0:
            self._claims_until_prune = PRUNE_EVERY
            _prune(connection, now_ms)
        self._claims_until_prune -= 1
        cursor = connection.execute(
            """INSERT OR IGNORE INTO uses (verdict_id, intent, owner, call, claimed_ms, expires_ms)
            VALUES (?, ?, ?, ?, ?, ?)""",
            (
                call.verdict_id,
                f"{call.tenant_uid}|{call.session_id}|{call.intent_id}",
                self.owner,
                msgspec.msgpack.encode(call),
                now_ms,
                expires_ms,
            ),
        )
        claimed = cursor.rowcount == 1
        if claimed:
            with self._lock:
                self._live.add(call.verdict_id)
        return claimed

    def _finish(self, connection: sqlite3.Connection, end: End) -> Use:
        call = end.call
        row = connection.execute("SELECT use FROM uses WHERE verdict_id = ?", (call.verdict_id,)).fetchone()
        if row is None:
            raise SingleUseError(f"verdict `{call.verdict_id}` was never claimed in `{self.path}`")
        if row[0] is not None:
            return _decode_use(row[0])
        session_key = f"{call.tenant_uid}|{call.session_id}"
        (following,) = connection.execute(
            """INSERT INTO sequences (session_key, next, used_ms) VALUES (?, 1, ?)
            ON CONFLICT (session_key) DO UPDATE SET next = next + 1, used_ms = excluded.used_ms
            RETURNING next""",
            (session_key, end.now_ms),
        ).fetchone()
        use = Use(
            call=call,
            ending=end.ending,
            ended_ms=end.now_ms,
            sequence=following - 1,
            content_digest=end.content_digest,
            refusal=end.refusal,
            text=end.text,
            source=end.source,
            read=end.read,
            content=end.content,
            content_key=end.content_key,
        )
        connection.execute(
            "UPDATE uses SET use = ? WHERE verdict_id = ?", (msgspec.msgpack.encode(use), call.verdict_id)
        )
        return use

    def _prepare(self, connection: sqlite3.Connection) -> None:
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables_count,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables_count == 0:
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
        elif application_id != _APPLICATION_ID:
            raise SingleUseError(f"`{self.path}` is not a single-use store: give another path")
        elif version != _SCHEMA_VERSION:
            raise SingleUseError(f"single-use store `{self.path}` has version {version}, not {_SCHEMA_VERSION}")
        # Of the same version, because an earlier executor can go on with a file that has it.
        connection.execute(HEADS_TABLE)


def _make_private(path: Path) -> None:
    """Create an empty file that only its owner can read, if there is none. SQLite gives its other files its mode."""
    # To open a file that is there and close it again would drop the locks that this process has on it.
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return


def _prune(connection: sqlite3.Connection, now_ms: int) -> None:
    """Forget reported uses whose verdicts have long expired: they are refused for that."""
    connection.execute("DELETE FROM uses WHERE reported = 1 AND expires_ms < ?", (now_ms - KEEP_MS,))
    connection.execute("DELETE FROM sequences WHERE used_ms < ?", (now_ms - SEQUENCES_KEEP_MS,))


def _decode_call(data: bytes) -> CallRef:
    try:
        return msgspec.msgpack.decode(data, type=CallRef)
    except msgspec.MsgspecError as error:
        raise SingleUseError(f"single-use store holds a call that can't be read: {error}") from error


def _decode_use(data: bytes) -> Use:
    try:
        return msgspec.msgpack.decode(data, type=Use)
    except msgspec.MsgspecError as error:
        raise SingleUseError(f"single-use store holds a use that can't be read: {error}") from error
