"""An SQLite file that several threads write; each change is on disk when its writer continues."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

from streams.sdk.errors import SingleUseError

LOCK_TIMEOUT_S = 10.0
CHANGES_PER_TRANSACTION_MAX = 256

_Result = TypeVar("_Result")


class _Change(Generic[_Result]):
    """A change of the file that a thread waits for. Looked at under the store's lock only."""

    __slots__ = ("_change", "_outcome", "error", "made")

    def __init__(self, change: Callable[[sqlite3.Connection], _Result]) -> None:
        self._change = change
        self._outcome: list[_Result] = []
        self.made = False
        self.error: Exception | None = None

    def make(self, connection: sqlite3.Connection) -> None:
        """Make it; one that fails leaves those of others as they are."""
        connection.execute("SAVEPOINT one")
        try:
            self._outcome.append(self._change(connection))
        except Exception as error:
            if not connection.in_transaction:
                raise  # a disk that is full, for one, has taken all of it back
            connection.execute("ROLLBACK TO one")
            self.error = error
        connection.execute("RELEASE one")
        self.made = True

    def fail(self, error: BaseException) -> None:
        """Record why the change isn't made, or not for certain."""
        self.made = True
        self.error = SingleUseError(str(error))

    def result(self) -> _Result:
        """Return what the change returned."""
        (outcome,) = self._outcome
        return outcome


class DurableFile:
    """One SQLite file, created if it does not exist. Thread-safe, and safe between processes on one machine."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            SingleUseError: it can't be opened.
        """
        self._path = path
        self._lock = threading.Lock()
        self._waiting: deque[_Change[Any]] = deque()
        with self._translated():
            self._connection = sqlite3.connect(
                path, timeout=LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
        try:
            with self._translated():
                # FULL: what was reported as written is on the disk, also if the machine loses power.
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = FULL")
        except BaseException:
            self._connection.close()
            raise

    def write(self, change: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Make a change; it is on disk when this returns.

        Changes that threads make at the same time share a transaction, and so one flush: the thread that holds the file
        makes the changes of all that wait for it.

        Raises:
            SingleUseError: it could not be made.
            Exception: what `change` raised; only this change is undone.
        """
        mine: _Change[_Result] = _Change(change)
        self._waiting.append(mine)
        with self._lock:
            # Of very many that wait, a batch takes the first; who comes to the lock is not always among them.
            while not mine.made:
                self._make_changes()
        if mine.error is not None:
            with self._translated():
                raise mine.error
        return mine.result()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _make_changes(self) -> None:
        batch: list[_Change[Any]] = []
        while self._waiting and len(batch) < CHANGES_PER_TRANSACTION_MAX:
            batch.append(self._waiting.popleft())
        try:
            with self._translated():
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    for change in batch:
                        change.make(self._connection)
                    self._connection.execute("COMMIT")
                except BaseException:
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise
        except BaseException as error:
            for change in batch:
                change.fail(error)
            if not isinstance(error, Exception):
                raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise SingleUseError(f"single-use store `{self._path}` failed: {error}") from error
