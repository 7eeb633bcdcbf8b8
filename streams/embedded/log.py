"""An embedded log: makes its adapters."""

from __future__ import annotations

import threading
import weakref
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from streams.embedded.admin import EmbeddedAdmin
from streams.embedded.consumer import EmbeddedConsumer
from streams.embedded.file import LogFile
from streams.embedded.groups import LEASE_MS
from streams.embedded.producer import EmbeddedProducer
from streams.embedded.publisher import EmbeddedPublisher
from streams.embedded.reader import EmbeddedReader
from streams.embedded.retention import Cleaner, Housekeeper
from streams.ports import Clock
from streams.ports.open_log import Log, TopicNames

LOCK_TIMEOUT_MS = 10_000
SIZE_BYTES_MAX = 256 * 1024**3

_Any = EmbeddedAdmin | EmbeddedConsumer | EmbeddedProducer | EmbeddedPublisher | EmbeddedReader
_Adapter = TypeVar("_Adapter", bound=_Any)


class EmbeddedLog(Log):
    """A durable log in one SQLite file: topics, partitions, groups and transactions as the ports describe them.

    Several `EmbeddedLog` objects, in one process or many, may have the same file open. Thread-safe; each adapter object
    that it makes is for one thread at a time (a publisher for any).
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        topic_prefix: str = "",
        auto_partitions: int | None = None,
        lease_ms: int = LEASE_MS,
        lock_timeout_ms: int = LOCK_TIMEOUT_MS,
        size_bytes_max: int = SIZE_BYTES_MAX,
    ) -> None:
        """Open the log; a new file is created if there is none.

        Args:
            path: the file; its folder must exist. SQLite keeps `<path>-wal` and `<path>-shm` beside it.
            clock: gives the records' timestamps and measures leases; processes on one file must agree about it.
            topic_prefix: the prefix of the deployment's topics in this file; other topics are hidden.
            auto_partitions: create unknown topics with this many partitions; None makes them an error.
            lease_ms: a group member that neither polls nor commits for this long loses its partitions.
            lock_timeout_ms: how long a write waits for the write of another process.
            size_bytes_max: the greatest size of the file.

        Raises:
            ForeignFileError, FileVersionError, DamagedFileError: the file is not an embedded log, too new, or broken.
            LockedLogError: another process kept the file locked.
            FatalLogError: the file can't be opened for writing.
        """
        self._file = LogFile(path, clock=clock, lock_timeout_ms=lock_timeout_ms, size_bytes_max=size_bytes_max)
        self._names = TopicNames(topic_prefix)
        self._auto_partitions = auto_partitions
        self._lease_ms = lease_ms
        self._housekeeper = Housekeeper(self._file)
        self._lock = threading.Lock()
        self._made: weakref.WeakSet[_Any] = weakref.WeakSet()

    @property
    def name(self) -> str:
        """Return the log's name for messages."""
        return f"embedded log in {self._file.path}{self._names.suffix()}"

    @property
    def path(self) -> Path:
        """Return the path of the file."""
        return self._file.path

    def consumer(
        self,
        group: str,
        instance: str,
        *,
        positioned: bool = False,  # noqa: ARG002 - the port's; retention is days away from a member that reads
    ) -> EmbeddedConsumer:
        """Make a member of `group`. A second one with the same `instance` replaces the first."""
        return self._keep(
            EmbeddedConsumer(
                self._file,
                group,
                instance,
                names=self._names,
                auto_partitions=self._auto_partitions,
                lease_ms=self._lease_ms,
            )
        )

    def producer(
        self,
        transactional_id: str,
        *,
        gathers: bool = False,  # noqa: ARG002 - the port's; a transaction is written to the file at its commit
    ) -> EmbeddedProducer:
        """Make a transactional producer; `init_transactions` fences others with the same id."""
        return self._keep(
            EmbeddedProducer(
                self._file,
                transactional_id,
                names=self._names,
                housekeeper=self._housekeeper,
                auto_partitions=self._auto_partitions,
            )
        )

    def publisher(self) -> EmbeddedPublisher:
        """Make a writer of single records, with a thread of its own."""
        return self._keep(
            EmbeddedPublisher(
                self._file,
                names=self._names,
                housekeeper=self._housekeeper,
                auto_partitions=self._auto_partitions,
            )
        )

    def reader(self) -> EmbeddedReader:
        """Make a reader without a group."""
        return self._keep(EmbeddedReader(self._file, self._names, self._auto_partitions))

    def admin(self) -> EmbeddedAdmin:
        """Make an adapter for topic set-up."""
        return self._keep(EmbeddedAdmin(self._file, self._names))

    def _keep(self, adapter: _Adapter) -> _Adapter:
        with self._lock:
            self._made.add(adapter)
        return adapter

    def clean(self, *, force: bool = False) -> int:
        """Compact topics and apply retention now, in this thread. Appends also cause this from time to time.

        Args:
            force: whether to compact even if there is little to gain, and to overwrite in the file what is dropped.

        Returns:
            How many records were dropped.
        """
        connection = self._file.connect()
        try:
            if force:
                connection.rows("PRAGMA secure_delete=ON")
            dropped = Cleaner(connection, lambda: False).clean(force=force)
            if force:
                # The log of changes still has the pages as they were. Where others read it, it is emptied later.
                connection.rows("PRAGMA wal_checkpoint(TRUNCATE)")
            return dropped
        finally:
            connection.close()

    def close(self) -> None:
        """Close every adapter that is still open (consumers call their listeners) and close the file.

        Call it after the threads that use the adapters have ended.

        Raises:
            LogError: a publisher could not store all of its records.
        """
        with self._lock:
            made, self._made = list(self._made), weakref.WeakSet()
        with ExitStack() as closing:
            closing.callback(self._file.close)
            closing.callback(self._housekeeper.close)
            for adapter in made:
                closing.callback(adapter.close)
