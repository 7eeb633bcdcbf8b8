"""The SQLite file of the embedded log: its schema, its connections, and one writer at a time.

The idea: offsets, timestamps and consumer groups live in tables of one file, so a transaction of the log is a
transaction of SQLite. A record's row id is `part_id << PARTITION_SHIFT | offset`. One integer key then orders the
records of every partition by offset, and a batch is one `executemany`.

Writers take turns: `LogConnection.writing` takes a lock of this process first and SQLite's write lock second. Waiting
for SQLite's lock alone was rejected, because SQLite sleeps in steps of up to 100 ms while it waits.

Every commit is on disk when it is reported (`synchronous=FULL`). `synchronous=NORMAL` was rejected: a power failure
could undo the last commits. A RocksDB store that had already been flushed would then be ahead of its changelog, and
executors would have run verdicts that the log no longer has.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streams.embedded.commit_notifier import CommitNotifier, Watcher
from streams.embedded.errors import FileVersionError, ForeignFileError, LockedLogError, from_sqlite
from streams.embedded.steady_time import SteadyTime
from streams.ports import Clock, FatalLogError, LogError, RetriableLogError

APPLICATION_ID = 0x53544C47
FORMAT_VERSION = 1
SQLITE_HEADER = b"SQLite format 3\x00"
PARTITION_SHIFT = 44
OFFSET_MASK = (1 << PARTITION_SHIFT) - 1
PARTITIONS_MAX = (1 << (63 - PARTITION_SHIFT)) - 1
PAGE_BYTES = 4096
WAL_BYTES_KEPT_MAX = 64 * 1024 * 1024
OPEN_RETRY_MS = 10

Row = tuple[Any, ...]

_SCHEMA = """
CREATE TABLE catalog (version INTEGER NOT NULL);
INSERT INTO catalog VALUES (1);
CREATE TABLE topics (
    topic_id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, partitions INTEGER NOT NULL,
    first_part INTEGER NOT NULL, config TEXT NOT NULL);
CREATE TABLE partitions (
    part_id INTEGER PRIMARY KEY, next_offset INTEGER NOT NULL, start_offset INTEGER NOT NULL,
    last_timestamp_ms INTEGER NOT NULL, compacted_to INTEGER NOT NULL, compacted_records INTEGER NOT NULL);
CREATE TABLE records (
    id INTEGER PRIMARY KEY, timestamp_ms INTEGER NOT NULL, key BLOB, headers BLOB, value BLOB);
CREATE TABLE producers (transactional_id TEXT PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE groups (
    group_id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, generation INTEGER NOT NULL, preparing INTEGER NOT NULL);
CREATE TABLE members (
    member_id INTEGER PRIMARY KEY AUTOINCREMENT, group_id INTEGER NOT NULL, instance TEXT NOT NULL,
    topics TEXT NOT NULL, lease_ms INTEGER NOT NULL, lease_until_ms INTEGER NOT NULL, joined INTEGER NOT NULL,
    assignment TEXT NOT NULL, UNIQUE (group_id, instance));
CREATE TABLE offsets (
    group_id INTEGER NOT NULL, part_id INTEGER NOT NULL, next_offset INTEGER NOT NULL,
    PRIMARY KEY (group_id, part_id)) WITHOUT ROWID;
"""


class LogFile:
    """One file as this process uses it: makes connections, lets its writers take turns, and notifies polls of
    commits."""

    def __init__(self, path: Path, *, clock: Clock, lock_timeout_ms: int, size_bytes_max: int) -> None:
        """Open the file; a new one is created if it does not exist.

        Raises:
            ForeignFileError: the file is not an embedded log.
            FileVersionError: a newer version wrote it.
            LockedLogError: another process held it for `lock_timeout_ms`.
            FatalLogError: the file can't be opened for writing.
        """
        self.path = path
        self.clock = clock
        self._time = SteadyTime(clock)
        self.lock_timeout_ms = lock_timeout_ms
        self.notifier = CommitNotifier()
        self.write_lock = threading.Lock()
        self._watching: LogConnection | None = None
        self.watcher = Watcher(self.notifier, self._look)
        self._pages_max = max(1, size_bytes_max // PAGE_BYTES)
        if not path.parent.is_dir():
            raise FatalLogError(f"folder `{path.parent}` of the log does not exist: create it first")
        self._check_header()
        self._make_private()
        connection = self.connect()
        try:
            self._initialise(connection)
        finally:
            connection.close()

    def now_ms(self) -> int:
        """Return the time that records get, in ms since the epoch."""
        return self._time.now_ms()

    def _look(self) -> int:
        if self._watching is None:
            self._watching = self.connect()
        return self._watching.data_version()

    def close(self) -> None:
        """End the watcher. Connections are closed by their users."""
        self.watcher.close()
        if self._watching is not None:
            self._watching.close()

    def connect(self) -> LogConnection:
        """Return a connection for one adapter object."""
        try:
            raw = sqlite3.connect(
                self.path, timeout=self.lock_timeout_ms / 1000, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise from_sqlite(error, self.path, self.lock_timeout_ms) from error
        connection = LogConnection(self, raw)
        try:
            for pragma in (
                f"page_size={PAGE_BYTES}",
                "synchronous=FULL",
                f"max_page_count={self._pages_max}",
                f"journal_size_limit={WAL_BYTES_KEPT_MAX}",
            ):
                connection.rows(f"PRAGMA {pragma}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_header(self) -> None:
        # SQLite treats a file smaller than its smallest page as empty, and would overwrite it.
        try:
            with self.path.open("rb") as file:
                header = file.read(len(SQLITE_HEADER))
        except FileNotFoundError:
            return
        except OSError as error:
            raise FatalLogError(f"`{self.path}` can't be read: {error}") from error
        if header and header != SQLITE_HEADER:
            raise self._foreign()

    def _make_private(self) -> None:
        """Create an empty file that only its owner can read, if there is none. SQLite's other files get its mode."""
        # Opening and closing an existing file would drop the locks that this process has on it.
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            return
        except OSError as error:
            raise FatalLogError(f"`{self.path}` can't be made: {error}") from error

    def _initialise(self, connection: LogConnection) -> None:
        deadline_ms = self.clock.monotonic_ms() + self.lock_timeout_ms
        while True:
            self._check_owner(connection)
            try:
                # SQLite's busy timeout does not cover two processes that create the file at the same time.
                mode = connection.rows("PRAGMA journal_mode=WAL")[0][0]
                break
            except RetriableLogError:
                if self.clock.monotonic_ms() >= deadline_ms:
                    raise
                self.clock.sleep_ms(OPEN_RETRY_MS)
        if mode != "wal":
            raise FatalLogError(
                f"`{self.path}` is on a file system where SQLite can't share a log (mode `{mode}`): use a local disk"
            )
        with connection.writing(announce=False):
            if self._check_owner(connection):
                for statement in _SCHEMA.split(";\n"):
                    if statement.strip():
                        connection.rows(statement)
                connection.rows(f"PRAGMA application_id={APPLICATION_ID}")
                connection.rows(f"PRAGMA user_version={FORMAT_VERSION}")

    def _check_owner(self, connection: LogConnection) -> bool:
        """Return True for an empty file; raise an error for a file that is not an embedded log."""
        application_id = connection.rows("PRAGMA application_id")[0][0]
        tables = connection.rows("SELECT count(*) FROM sqlite_master")[0][0]
        if not application_id and not tables:
            return True
        if application_id != APPLICATION_ID:
            raise self._foreign()
        version = connection.rows("PRAGMA user_version")[0][0]
        if version > FORMAT_VERSION:
            raise FileVersionError(
                f"`{self.path}` has file version {version}, this program reads up to {FORMAT_VERSION}: "
                f"use the newer program"
            )
        return False

    def _foreign(self) -> ForeignFileError:
        return ForeignFileError(f"`{self.path}` is not a stoplog log file: name another file")


class LogConnection:
    """A connection that raises the port's errors. For one thread at a time; another one may close it.

    Python's sqlite3 does not survive `close` while another thread is within a statement: the process ends with a
    segmentation fault. So each statement holds a lock, and `close` waits for it.
    """

    def __init__(self, file: LogFile, raw: sqlite3.Connection) -> None:
        """Wrap `raw`; `LogFile.connect` calls this."""
        self.file = file
        self._raw = raw
        self._in_use = threading.RLock()
        self._closed = False

    def rows(self, statement: str, arguments: Sequence[Any] = ()) -> list[Row]:
        """Return all rows of one statement."""
        try:
            with self._in_use:
                return self._raw.execute(statement, arguments).fetchall()
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def row(self, statement: str, arguments: Sequence[Any] = ()) -> Row | None:
        """Return the first row, or None."""
        rows = self.rows(statement, arguments)
        return rows[0] if rows else None

    def stream(self, statement: str, arguments: Sequence[Any] = ()) -> Iterator[Row]:
        """Yield rows one by one; the statement ends with the iterator."""
        try:
            with self._in_use:
                cursor = self._raw.execute(statement, arguments)
            try:
                while (row := self._next(cursor)) is not None:
                    yield row
            finally:
                with self._in_use:
                    cursor.close()
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def write(self, statement: str, arguments: Sequence[Any] = ()) -> int:
        """Run a statement once; return how many rows of the table it changed."""
        try:
            with self._in_use:
                return self._raw.execute(statement, arguments).rowcount
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def write_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> int:
        """Run the statement for each row; return how many rows of the table it changed."""
        try:
            with self._in_use:
                return self._raw.executemany(statement, rows).rowcount
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def data_version(self) -> int:
        """Return a number that changes whenever another connection, of any process, has committed."""
        version: int = self.rows("PRAGMA data_version")[0][0]
        return version

    @contextmanager
    def writing(self, *, announce: bool = True) -> Iterator[None]:
        """Open a write transaction: committed when the block ends, rolled back when it raises.

        Args:
            announce: whether to wake this process's waiting polls after the commit.

        Raises:
            LockedLogError: the write lock was not free within the file's lock timeout.
            LogFullError: the disk or the file's size limit has no room; rolled back.
        """
        file = self.file
        # SQLite's own waiting sleeps in steps of up to 100 ms; threads of one process queue here instead.
        if not file.write_lock.acquire(timeout=file.lock_timeout_ms / 1000):
            raise LockedLogError(f"`{file.path}` stayed locked for {file.lock_timeout_ms} ms by this process")
        try:
            with self._in_use:
                self._raw.execute("BEGIN IMMEDIATE")
                try:
                    yield
                    self._raw.execute("COMMIT")
                except BaseException:
                    if self._raw.in_transaction:
                        self._raw.execute("ROLLBACK")
                    raise
        except sqlite3.Error as error:
            raise self._translated(error) from error
        finally:
            file.write_lock.release()
        if announce:
            file.notifier.notify()

    def _next(self, cursor: sqlite3.Cursor) -> Row | None:
        with self._in_use:
            row: Row | None = cursor.fetchone()
            return row

    def _translated(self, error: sqlite3.Error) -> LogError:
        if self._closed:
            return FatalLogError(f"the log in `{self.file.path}` was closed: close it after the threads that use it")
        return from_sqlite(error, self.file.path, self.file.lock_timeout_ms)

    def close(self) -> None:
        """Close the connection, after the statement or the transaction that runs; a second call does nothing."""
        with self._in_use:
            self._closed = True
            self._raw.close()
