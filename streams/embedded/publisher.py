"""Single records outside transactions: many threads queue them, one thread writes."""

from __future__ import annotations

import threading
from collections import deque

from streams.embedded.append import append
from streams.embedded.errors import RefusedRecordError, TopicError, UnknownTopicError
from streams.embedded.file import LogFile
from streams.embedded.retention import Housekeeper
from streams.embedded.topics import TopicTable
from streams.model.plurals import many
from streams.ports import FatalLogError, LogError, Outgoing, RetriableLogError
from streams.ports.open_log import TopicNames

QUEUE_RECORDS_MAX = 10_000
QUEUE_BYTES_MAX = 64 * 1024 * 1024
BATCH_RECORDS_MAX = 500
ATTEMPTS_MAX = 10
RETRY_PAUSE_MS = 100
CLOSE_FLUSH_MS = 30_000


class EmbeddedPublisher:
    """The port `Publisher` on the file. Thread-safe.

    A batch is one transaction of the file, which happens completely or not at all, so a repeated attempt never stores a
    record twice.
    """

    def __init__(
        self, file: LogFile, *, names: TopicNames, housekeeper: Housekeeper, auto_partitions: int | None
    ) -> None:
        """Create it; `EmbeddedLog.publisher` calls this."""
        self._file = file
        self._housekeeper = housekeeper
        self._connection = file.connect()
        self._topic_table = TopicTable(self._connection, names, auto_partitions)
        self._changed = threading.Condition()
        self._queue: deque[Outgoing] = deque()
        self._queued_bytes = 0
        self._taken_in = 0
        self._done = 0
        self._failures: dict[str, tuple[int, LogError]] = {}
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="stoplog-publisher", daemon=True)
        self._thread.start()

    def publish(self, record: Outgoing) -> None:
        """Queue one record; blocks while the queue is full.

        Raises:
            FatalLogError: the publisher is closed.
        """
        size = _size_bytes(record)
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._has_room(size))
            if self._closing:
                raise FatalLogError(f"publisher of `{self._file.path}` is closed: record of `{record.topic}` not taken")
            self._queue.append(record)
            self._queued_bytes += size
            self._taken_in += 1
            self._changed.notify_all()

    def _has_room(self, size: int) -> bool:
        if not self._queue:
            return True
        return len(self._queue) < QUEUE_RECORDS_MAX and self._queued_bytes + size <= QUEUE_BYTES_MAX

    def flush(self, timeout_ms: int) -> None:
        """Wait until everything queued so far is stored.

        Raises:
            RetriableLogError: it took longer than `timeout_ms`; the records stay queued.
            LogError: records were refused or could not be written; they are dropped and named once.
        """
        with self._changed:
            goal = self._taken_in
            if not self._changed.wait_for(lambda: self._done >= goal, timeout_ms / 1000):
                raise RetriableLogError(
                    f"{many(goal - self._done, 'record')} not yet in `{self._file.path}` after {timeout_ms} ms"
                )
            failures, self._failures = self._failures, {}
        if failures:
            parts = [f"{count} of topic `{topic}`: {error}" for topic, (count, error) in sorted(failures.items())]
            raise LogError(f"records were not stored: {'; '.join(parts)}")

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing)
                if not self._queue:
                    return
                # They stay in the queue's account until they are stored: the bound holds for them, too.
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), BATCH_RECORDS_MAX))]
            failed = self._store_or_name(batch)
            with self._changed:
                for record, error in failed:
                    count, first = self._failures.get(record.topic, (0, error))
                    self._failures[record.topic] = (count + 1, first)
                self._queued_bytes -= sum(map(_size_bytes, batch))
                self._done += len(batch)
                self._changed.notify_all()

    def _store_or_name(self, batch: list[Outgoing]) -> list[tuple[Outgoing, LogError]]:
        """Write the batch; return the records that could not be written, each with the reason."""
        try:
            self._store(batch)
        except (RefusedRecordError, UnknownTopicError, TopicError) as error:
            if len(batch) == 1:
                return [(batch[0], error)]
            # One bad record must not take the others with it: find it by writing them one by one.
            return [failure for record in batch for failure in self._store_or_name([record])]
        except LogError as error:
            return [(record, error) for record in batch]
        return []

    def _store(self, batch: list[Outgoing]) -> None:
        """Write the batch as one transaction; try again while that may help."""
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                self._topic_table.refresh()
                self._topic_table.ensure([record.topic for record in batch])
                with self._connection.writing():
                    self._topic_table.refresh()
                    append(self._connection, self._topic_table, batch, self._file.now_ms())
                self._housekeeper.appended(len(batch))
                return
            except UnknownTopicError:
                raise
            except RetriableLogError:
                if attempt == ATTEMPTS_MAX:
                    raise
                self._file.clock.sleep_ms(RETRY_PAUSE_MS)

    def close(self) -> None:
        """Flush, end the thread and close the connection.

        Raises:
            LogError: as `flush`.
        """
        with self._changed:
            if self._closing:
                return
            self._closing = True
            self._changed.notify_all()
        try:
            self.flush(CLOSE_FLUSH_MS)
        finally:
            self._thread.join(CLOSE_FLUSH_MS / 1000)
            self._connection.close()


def _size_bytes(record: Outgoing) -> int:
    """Return the bytes by which the record counts against the queue's limit."""
    size = len(record.key or b"") + len(record.value or b"")
    for name, value in record.headers:
        size += len(name) + len(value)
    return size
