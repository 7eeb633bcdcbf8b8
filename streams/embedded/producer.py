"""The transactional producer: records are kept in memory and written in one transaction of the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from streams.embedded import groups
from streams.embedded.append import append
from streams.embedded.errors import TopicError, UnknownTopicError
from streams.embedded.file import LogFile
from streams.embedded.retention import Housekeeper
from streams.embedded.topics import TopicTable
from streams.ports import (
    AbortableTransactionError,
    FatalLogError,
    FencedError,
    GroupMetadata,
    Outgoing,
    TopicPartition,
)
from streams.ports.open_log import TopicNames

TRANSACTION_RECORDS_MAX = 100_000
TRANSACTION_BYTES_MAX = 256 * 1024 * 1024
# What key, headers and the objects around them count against the bound.
RECORD_OVERHEAD_BYTES = 512


class EmbeddedProducer:
    """The port `Producer` on the file. For one thread at a time.

    Nothing of an open transaction is in the file, so a crash leaves nothing to be undone. Errors that the port's `send`
    and `send_offsets` may raise come from `commit` here, except for the limits on a transaction's size.
    """

    def __init__(
        self,
        file: LogFile,
        transactional_id: str,
        *,
        names: TopicNames,
        housekeeper: Housekeeper,
        auto_partitions: int | None,
    ) -> None:
        """Create it; `EmbeddedLog.producer` calls this."""
        self._file = file
        self._id = transactional_id
        self._housekeeper = housekeeper
        self._connection = file.connect()
        self._topic_table = TopicTable(self._connection, names, auto_partitions)
        self._epoch: int | None = None
        self._open = False
        self._failure: AbortableTransactionError | None = None
        self._records: list[Outgoing] = []
        self._bytes = 0
        self._callbacks: list[tuple[int, Callable[[int], None]]] = []
        self._offsets: dict[GroupMetadata, dict[TopicPartition, int]] = {}
        self._written_ms = 0
        self._stored_ms: Sequence[int] = ()

    def init_transactions(self) -> None:
        """Fence earlier producers with the same transactional id.

        Raises:
            LockedLogError: another process kept the file locked.
        """
        with self._connection.writing():
            self._connection.rows(
                "INSERT INTO producers VALUES (?, 1) ON CONFLICT DO UPDATE SET epoch = epoch + 1", (self._id,)
            )
            epoch = self._connection.rows("SELECT epoch FROM producers WHERE transactional_id = ?", (self._id,))[0][0]
        self._epoch = epoch

    def begin(self) -> None:
        """Open a transaction.

        Raises:
            FatalLogError: `init_transactions` was not called, or a transaction is open.
        """
        if self._epoch is None:
            raise FatalLogError(f"producer `{self._id}`: call init_transactions before begin")
        if self._open:
            raise FatalLogError(f"producer `{self._id}`: a transaction is open already; commit or abort it first")
        self._open = True

    def send(self, record: Outgoing, on_stored: Callable[[int], None] | None = None) -> None:
        """Queue a record. `on_stored(offset)` is called within `commit`, once the record is stored.

        Raises:
            AbortableTransactionError: the transaction has grown over its bounds, or has failed before.
        """
        if not self._open or self._failure is not None:
            self._require_open()
        self._bytes += (len(record.value) if record.value else 0) + RECORD_OVERHEAD_BYTES
        if len(self._records) >= TRANSACTION_RECORDS_MAX or self._bytes > TRANSACTION_BYTES_MAX:
            raise self._failed(
                AbortableTransactionError(
                    f"transaction of `{self._id}` is over {TRANSACTION_RECORDS_MAX} records or "
                    f"{TRANSACTION_BYTES_MAX} bytes: abort, and commit more often"
                )
            )
        if on_stored is not None:
            self._callbacks.append((len(self._records), on_stored))
        self._records.append(record)

    def send_offsets(self, offsets: Mapping[TopicPartition, int], group: GroupMetadata) -> None:
        """Commit the group's offsets with this transaction; `commit` checks the group's generation."""
        self._require_open()
        self._offsets.setdefault(group, {}).update(offsets)

    def commit(self) -> None:
        """Write everything, or nothing.

        Raises:
            LockedLogError, LogFullError: nothing was written; commit again, or abort.
            AbortableTransactionError: a topic does not accept a record.
            FencedError: another producer took the transactional id, or the group has a newer generation.
        """
        self._require_open()
        try:
            self._make_topics()
            with self._connection.writing():
                stored = self._write()
        except AbortableTransactionError as error:
            raise self._failed(error) from None
        except (UnknownTopicError, TopicError) as error:
            raise self._failed(AbortableTransactionError(str(error))) from error
        callbacks = self._callbacks
        self._stored_ms = (self._written_ms,) if callbacks else ()
        self._reset()
        self._housekeeper.appended(len(stored))
        for index, on_stored in callbacks:
            on_stored(stored[index])

    def _make_topics(self) -> None:
        topics = {record.topic for record in self._records}
        if not topics <= self._topic_table.topics().keys():
            self._topic_table.refresh()
            self._topic_table.ensure(sorted(topics))

    def _write(self) -> list[int]:
        row = self._connection.row("SELECT epoch FROM producers WHERE transactional_id = ?", (self._id,))
        if row is None or row[0] != self._epoch:
            raise FencedError(f"producer `{self._id}`: another one has taken over this transactional id")
        self._topic_table.refresh()
        now_ms = self._written_ms = self._file.now_ms()
        stored = append(self._connection, self._topic_table, self._records, now_ms) if self._records else []
        for group, offsets in self._offsets.items():
            rows = [(self._topic_table.part_id(partition), offset) for partition, offset in offsets.items()]
            groups.commit(self._connection, group, rows, self._file.clock.now_ms())
        return stored

    def _require_open(self) -> None:
        if self._failure is not None:
            raise self._failure
        if not self._open:
            raise FatalLogError(f"producer `{self._id}`: no transaction is open; call begin first")

    def _failed(self, error: AbortableTransactionError) -> AbortableTransactionError:
        self._failure = error
        return error

    @property
    def stored_ms(self) -> Sequence[int]:
        """Return what the port says: the file's time."""
        return self._stored_ms

    def abort(self) -> None:
        """Drop the open transaction. Does nothing without one."""
        self._reset()

    def _reset(self) -> None:
        self._open = False
        self._failure = None
        self._records = []
        self._bytes = 0
        self._callbacks = []
        self._offsets = {}

    def hurry(self) -> None:
        """Do nothing: the file's lock is waited for within its own bound, and nothing is open in the file."""

    def leave(self) -> None:
        """Do nothing, as `hurry`."""

    def close(self) -> None:
        """Abort the open transaction and close the connection."""
        self._reset()
        self._connection.close()
