"""Read named partitions without a group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streams.embedded.fetch import Fetcher, end_offsets, poll_until_found
from streams.embedded.file import LogFile
from streams.embedded.topics import TopicTable
from streams.ports import OpenTransaction, Received, TopicPartition
from streams.ports.open_log import TopicNames

# Commits end a wait at once; this only limits the delay if one is missed.
PAUSE_MS_MAX = 1_000


class EmbeddedReader:
    """The port `Reader` on the file. For one thread at a time."""

    def __init__(self, file: LogFile, names: TopicNames, auto_partitions: int | None) -> None:
        """Create it; `EmbeddedLog.reader` calls this."""
        self._file = file
        self._connection = file.connect()
        self._topic_table = TopicTable(self._connection, names, auto_partitions)
        self._fetcher = Fetcher(self._connection)

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Replace the assignment.

        Raises:
            UnknownTopicError: one of the partitions does not exist.
        """
        self._fetcher.assign(positions, self._topic_table.resolve(list(positions)))

    def poll(self, max_records: int, timeout_ms: int) -> list[Received]:
        """Return up to `max_records`; wait up to `timeout_ms` for the first one."""
        return poll_until_found(
            lambda: self._fetcher.fetch(max_records),
            file=self._file,
            timeout_ms=timeout_ms,
            pause_ms_max=PAUSE_MS_MAX,
        )

    def position(self, partition: TopicPartition) -> int:
        """Return the next offset to be read.

        Raises:
            LogError: the partition is not assigned.
        """
        return self._fetcher.position(partition)

    def lag(self, partition: TopicPartition) -> int | None:
        """Return how far the end of the partition is ahead of `position`."""
        return self.end_offsets([partition])[partition] - self.position(partition)

    def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset that the next record of each partition will get."""
        return end_offsets(self._connection, self._topic_table.resolve(partitions))

    def look_for_ends(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Return what `end_offsets` does: the file answers at once."""
        return self.end_offsets(partitions)

    def stable_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the end offsets: a transaction is in the file as a whole, or not at all."""
        return self.end_offsets(partitions)

    def oldest_transaction(self, partition: TopicPartition) -> OpenTransaction | None:
        """Return None: no transaction is ever open in the file."""

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
