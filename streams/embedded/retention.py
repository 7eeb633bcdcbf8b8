"""Delete what topics no longer keep: superseded records of compacted topics, and records past their retention.

Records to be deleted are found without the write lock (a superseded record stays superseded) and deleted in small
transactions, so that writers wait for milliseconds at most. A crash between two of them leaves work undone, but nothing
broken.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from streams.embedded.file import LogConnection, LogFile
from streams.embedded.topics import Topic, TopicTable, base_id
from streams.ports import LogError
from streams.ports.open_log import PLAIN_NAMES

logger = logging.getLogger(__name__)

CLEAN_EVERY_RECORDS = 20_000
# A partition is compacted when it has at least this many new records, and at least half as many as it had before.
COMPACT_RECORDS_MIN = 1_000
# How many new records are examined at a time; more of them take several rounds.
ROUND_RECORDS_MAX = 50_000
# SQLite took at most 999 arguments once.
DELETES_PER_TRANSACTION_MAX = 900
CLOSE_WAIT_MS = 5_000

# In single statements: row by row, the interpreter's lock would go back and forth between this thread and those that
# work, and a gate took 10 us longer for each call that releases the lock.
_FIRST_KEPT = """
    SELECT min(id), min(CASE WHEN timestamp_ms >= ? THEN id END), max(id) FROM (
        SELECT id, timestamp_ms FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ?)
"""
_USELESS = """
    WITH fresh AS MATERIALIZED (
        SELECT key, max(id) AS newest FROM records WHERE id >= ? AND id < ? AND key IS NOT NULL GROUP BY key)
    SELECT group_concat(id, ' ') FROM (
        SELECT records.id FROM records LEFT JOIN fresh ON fresh.key = records.key
        WHERE records.id >= ? AND records.id < ? AND (
            records.id < fresh.newest
            OR (records.value IS NULL AND records.key IS NOT NULL AND records.timestamp_ms < ?))
        ORDER BY records.id)
"""


class Cleaner:
    """Cleans all partitions, one after the other. For one thread at a time."""

    def __init__(self, connection: LogConnection, stopped: Callable[[], bool]) -> None:
        """Work on `connection` until `stopped()` returns True."""
        self._connection = connection
        self._stopped = stopped

    def clean(self, *, force: bool) -> int:
        """Compact and apply retention.

        Args:
            force: whether to compact even if there is little to gain.

        Returns:
            The number of deleted records.
        """
        dropped = 0
        now_ms = self._connection.file.now_ms()
        for topic in TopicTable(self._connection, PLAIN_NAMES, None).topics().values():
            for part_id in range(topic.first_part, topic.first_part + topic.partitions):
                if self._stopped():
                    return dropped
                if topic.retention_ms >= 0:
                    dropped += self._retain(part_id, now_ms - topic.retention_ms)
                if topic.compacted:
                    dropped += self._compact(topic, part_id, now_ms, force)
        return dropped

    def _retain(self, part_id: int, keep_from_ms: int) -> int:
        """Delete the partition's records with timestamps below `keep_from_ms`, which are its first ones."""
        base = base_id(part_id)
        dropped = 0
        while not self._stopped():
            first, first_kept, last = self._connection.rows(
                _FIRST_KEPT, (keep_from_ms, base, base_id(part_id + 1), DELETES_PER_TRANSACTION_MAX)
            )[0]
            if first is None or first == first_kept:
                break
            end = last + 1 if first_kept is None else first_kept
            with self._connection.writing(announce=False):
                dropped += self._connection.write("DELETE FROM records WHERE id >= ? AND id < ?", (first, end))
                self._connection.rows(
                    "UPDATE partitions SET start_offset = max(start_offset, ?) WHERE part_id = ?",
                    (end - base, part_id),
                )
        return dropped

    def _compact(self, topic: Topic, part_id: int, now_ms: int, force: bool) -> int:
        row = self._connection.rows(
            "SELECT next_offset, compacted_to, compacted_records FROM partitions WHERE part_id = ?", (part_id,)
        )[0]
        next_offset, compacted_to, compacted_records = row
        fresh = next_offset - compacted_to
        if not force and fresh < max(COMPACT_RECORDS_MIN, compacted_records // 2):
            return 0
        dropped = 0
        tombstones_to_ms = now_ms - topic.delete_retention_ms
        while not self._stopped():
            round_end = min(next_offset, compacted_to + ROUND_RECORDS_MAX)
            useless, kept = self._useless(part_id, (compacted_to, round_end), tombstones_to_ms)
            dropped += self._delete(useless)
            if self._stopped():
                break
            compacted_to = round_end
            with self._connection.writing(announce=False):
                self._connection.rows(
                    "UPDATE partitions SET compacted_to = max(compacted_to, ?), compacted_records = ?"
                    " WHERE part_id = ?",
                    (compacted_to, kept, part_id),
                )
            if compacted_to >= next_offset:
                break
        return dropped

    def _useless(self, part_id: int, stretch: tuple[int, int], tombstones_to_ms: int) -> tuple[list[int], int]:
        """Find superseded records and old tombstones up to the end of the range.

        Returns their row ids in order, and the number of rows that stay.
        """
        base = base_id(part_id)
        first, end = base + stretch[0], base + stretch[1]
        found: str | None = self._connection.rows(_USELESS, (first, end, base, end, tombstones_to_ms))[0][0]
        useless = [] if found is None else [int(row_id) for row_id in found.split(" ")]
        count: int = self._connection.rows("SELECT count(*) FROM records WHERE id >= ? AND id < ?", (base, end))[0][0]
        return useless, count - len(useless)

    def _delete(self, row_ids: Sequence[int]) -> int:
        # INVARIANT: lower ids go first: no older value of a key outlives its tombstone.
        dropped = 0
        for start in range(0, len(row_ids), DELETES_PER_TRANSACTION_MAX):
            if self._stopped():
                break
            chunk = row_ids[start : start + DELETES_PER_TRANSACTION_MAX]
            with self._connection.writing(announce=False):
                marks = ", ".join("?" * len(chunk))
                statement = f"DELETE FROM records WHERE id IN ({marks})"  # noqa: S608 - question marks only
                dropped += self._connection.write(statement, chunk)
        return dropped


class Housekeeper:
    """Cleans in a thread of its own, at the first append of this process and regularly after that. Thread-safe."""

    def __init__(self, file: LogFile) -> None:
        """Start idle, until `appended` is called."""
        self._file = file
        self._lock = threading.Lock()
        # A process that writes only a little must clean as well; a process that only reads must not.
        self._countdown = 1
        self._due = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def appended(self, count: int) -> None:
        """Count written records."""
        with self._lock:
            self._countdown -= count
            if self._countdown > 0 or self._stop.is_set():
                return
            self._countdown = CLEAN_EVERY_RECORDS
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="stoplog-housekeeper", daemon=True)
                self._thread.start()
        self._due.set()

    def _run(self) -> None:
        connection = self._file.connect()
        try:
            while True:
                self._due.wait()
                self._due.clear()
                if self._stop.is_set():
                    return
                try:
                    Cleaner(connection, self._stop.is_set).clean(force=False)
                except LogError:
                    # What was not deleted now is deleted next time; writers and readers don't depend on it.
                    logger.warning("cleaning `%s` failed", self._file.path, exc_info=True)
        finally:
            connection.close()

    def close(self) -> None:
        """End the thread; it stops between two small transactions."""
        with self._lock:
            self._stop.set()
            thread = self._thread
        self._due.set()
        if thread is not None:
            thread.join(CLOSE_WAIT_MS / 1000)
