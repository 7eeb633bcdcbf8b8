"""Read partitions from their positions; consumer and reader share this."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from streams.embedded.append import decode_headers
from streams.embedded.file import LogConnection, LogFile
from streams.embedded.topics import base_id
from streams.ports import LogError, Received, TopicPartition

# A poll stops at the first record that takes it past this, so that large records don't fill the memory.
POLL_BYTES_MAX = 32 * 1024 * 1024


class _Cursor:
    """A partition, the next offset to be read from it, and its end when last seen."""

    __slots__ = ("base", "end", "part_id", "partition", "paused", "position")

    def __init__(self, partition: TopicPartition, part_id: int, position: int) -> None:
        self.partition = partition
        self.part_id = part_id
        self.base = base_id(part_id)
        self.position = position
        self.end = 0
        self.paused = False


class Fetcher:
    """Positions of partitions on one connection. For one thread at a time."""

    def __init__(self, connection: LogConnection) -> None:
        """Start with nothing assigned."""
        self._connection = connection
        self._cursors: dict[TopicPartition, _Cursor] = {}
        self._ends_statement = ""
        self._seen_version: int | None = None
        self._turn = 0

    def assign(self, positions: Mapping[TopicPartition, int], part_ids: Mapping[TopicPartition, int]) -> None:
        """Replace the assignment: partition -> next offset; none is paused."""
        self._cursors = {
            partition: _Cursor(partition, part_ids[partition], max(0, position))
            for partition, position in sorted(positions.items())
        }
        chosen = ",".join(str(cursor.part_id) for cursor in self._cursors.values())
        self._ends_statement = f"SELECT part_id, next_offset FROM partitions WHERE part_id IN ({chosen})"  # noqa: S608 - integers of ours
        self._seen_version = None

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Continue reading from `offset`."""
        self._cursor(partition).position = max(0, offset)

    def position(self, partition: TopicPartition) -> int:
        """Return the offset below which everything was returned or no longer exists."""
        return self._cursor(partition).position

    def has_reached_end(self, partition: TopicPartition) -> bool:
        """Return whether everything was returned that the partition held at the last `fetch`."""
        cursor = self._cursors.get(partition)
        return cursor is not None and self._seen_version is not None and cursor.position >= cursor.end

    def end(self, partition: TopicPartition) -> int | None:
        """Return the partition's end at the last `fetch`; None before the first one, or if it is not assigned."""
        cursor = self._cursors.get(partition)
        return None if cursor is None or self._seen_version is None else cursor.end

    def pause(self, partitions: Iterable[TopicPartition], paused: bool) -> None:
        """Exclude partitions from `fetch`, or include them again."""
        for partition in partitions:
            self._cursor(partition).paused = paused

    def _cursor(self, partition: TopicPartition) -> _Cursor:
        cursor = self._cursors.get(partition)
        if cursor is None:
            raise LogError(
                f"partition `{partition.topic}`-{partition.partition} is not assigned: wait for `on_assigned`"
            )
        return cursor

    def fetch(self, max_records: int) -> list[Received]:
        """Return up to `max_records` that are there now; partitions take turns at being first."""
        self._see_ends()
        found: list[Received] = []
        cursors = list(self._cursors.values())
        self._turn = turn = (self._turn + 1) % max(1, len(cursors))
        room_bytes = POLL_BYTES_MAX
        for cursor in cursors[turn:] + cursors[:turn]:
            if cursor.paused or cursor.position >= cursor.end:
                continue
            room_bytes = self._read(cursor, max_records - len(found), room_bytes, found)
            if len(found) >= max_records or room_bytes <= 0:
                break
        return found

    def _see_ends(self) -> None:
        version = self._connection.data_version()
        if version == self._seen_version:
            return
        if self._cursors:
            ends: dict[int, int] = dict(self._connection.rows(self._ends_statement))
            for cursor in self._cursors.values():
                cursor.end = ends[cursor.part_id]
        self._seen_version = version

    def _read(self, cursor: _Cursor, records_max: int, room_bytes: int, found: list[Received]) -> int:
        """Append the partition's next records to `found`; return how many more fit."""
        topic, number = cursor.partition
        base = cursor.base
        already = len(found)
        rows = self._connection.stream(
            "SELECT id, timestamp_ms, key, headers, value FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
            # INVARIANT: no record from after the ends were seen. Whoever has read to the end of another partition then
            # knows that all it lacks there is later than any record from here.
            (base + cursor.position, base + cursor.end, records_max),
        )
        for row_id, timestamp_ms, key, headers, value in rows:
            offset = row_id - base
            found.append(
                Received(topic, number, offset, timestamp_ms, key, value, decode_headers(headers) if headers else ())
            )
            cursor.position = offset + 1
            room_bytes -= (len(value) if value else 0) + (len(key) if key else 0)
            if room_bytes <= 0:
                break
        else:
            if len(found) - already < records_max:
                # The gap up to the end was compacted away.
                cursor.position = max(cursor.position, cursor.end)
        return room_bytes


def poll_until_found(
    attempt: Callable[[], list[Received]], *, file: LogFile, timeout_ms: int, pause_ms_max: int
) -> list[Received]:
    """Repeat `attempt` until it finds records or `timeout_ms` has passed; at least once.

    It is repeated after each commit, and at the latest after `pause_ms_max`. The file's clock decides when the time has
    passed; if that clock stands still (in a test), as much waiting ends it.
    """
    clock = file.clock
    deadline_ms = clock.monotonic_ms() + timeout_ms
    waiting_left_ms = timeout_ms
    while True:
        commits = file.notifier.commits
        found = attempt()
        if found:
            return found
        remaining_ms = min(deadline_ms - clock.monotonic_ms(), waiting_left_ms)
        if remaining_ms <= 0:
            return found
        pause_ms = min(remaining_ms, pause_ms_max)
        file.watcher.start()
        if not file.notifier.wait(commits, pause_ms):
            waiting_left_ms -= pause_ms


def start_offsets(connection: LogConnection, part_ids: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """Return the first offset that retention has left, per partition."""
    return _bounds(connection, part_ids, "start_offset")


def end_offsets(connection: LogConnection, part_ids: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """Return the offset that the next record will get, per partition."""
    return _bounds(connection, part_ids, "next_offset")


def _bounds(
    connection: LogConnection, part_ids: Mapping[TopicPartition, int], column: str
) -> dict[TopicPartition, int]:
    wanted: Sequence[int] = list(part_ids.values())
    chosen = ",".join(map(str, wanted))
    rows = connection.rows(f"SELECT part_id, {column} FROM partitions WHERE part_id IN ({chosen})")  # noqa: S608 - names of ours
    by_part: dict[int, int] = dict(rows)
    return {partition: by_part[part_id] for partition, part_id in part_ids.items()}
