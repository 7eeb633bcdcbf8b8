"""Publish reports in a thread of its own, so that the loop can read on while the log stores them.

That takes milliseconds, and more on a cluster of several brokers. What is done meanwhile goes into the next batch, so
the size of the batches follows the speed of the log.

Reports are written idempotently and without a transaction: an open transaction would stall the gates, which read them.
A report can therefore be on the log twice, after a crash or an error: once before it is marked in the store, and once
after. The second one says the same under the same ids, and changes nothing.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from streams.ports import FatalLogError, LogError, Publisher, TopicPartition
from streams.sdk.connection.single_records import FLUSH_TIMEOUT_MS
from streams.sdk.errors import ExecutorError
from streams.sdk.executor.uses import Use
from streams.sdk.executor.verdict_jobs import Done

CLOSE_S_MAX = 30.0

UNDER_WAY_MS_MAX = 120_000
"""How long a batch may be under way. The calls of publishers end long before. If one never returns, nothing is reported
any more, and whoever looks at the loop would see it turn."""

LOOK_MS = 1_000
"""How often it is looked whether a batch is done, at least. A longer time counts as this: the process stood still."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What is published together.

    Attributes:
        offsets: the offsets below which every call has been reported once the batch is published, or needs no report.
        generation: the assignment that they belong to.
    """

    done: Sequence[Done]
    offsets: Mapping[TopicPartition, int]
    generation: int


@dataclass(frozen=True, slots=True)
class Published:
    """The outcome of a batch.

    Attributes:
        failure: why some of it may not be on the log; it can be submitted again.
        error: why nothing can be published any more.
    """

    batch: Batch
    failure: LogError | None = None
    error: Exception | None = None


class ReportPublisher:
    """A publisher in its own thread. One batch at a time: `submit`, then `take`. Both are for one thread."""

    def __init__(
        self,
        open_publisher: Callable[[], Publisher],
        mark_reported: Callable[[Sequence[Use]], None],
        monotonic_ms: Callable[[], int],
    ) -> None:
        """Make the thread; `start` starts it.

        Args:
            open_publisher: makes a publisher that nobody else uses.
            mark_reported: records in the store that uses are on the log.
            monotonic_ms: a clock that never goes back, ms.
        """
        self._open_publisher = open_publisher
        self._mark_reported = mark_reported
        self._monotonic_ms = monotonic_ms
        self._looked_ms = 0
        self._under_way_ms = 0
        self._batches: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[Published] = queue.SimpleQueue()
        self._begun: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="stoplog-executor-reports", daemon=True)
        self.is_busy = False

    def start(self) -> None:
        """Start the thread, and wait until it has its publisher.

        Raises:
            LogError: it can't be used.
        """
        self._thread.start()
        error = self._begun.get()
        if error is not None:
            raise error

    def submit(self, batch: Batch) -> None:
        """Publish a batch; `take` returns the outcome."""
        self.is_busy = True
        self._looked_ms, self._under_way_ms = self._monotonic_ms(), 0
        self._batches.put(batch)

    def take(self, wait: bool) -> Published | None:
        """Return the outcome of the submitted batch; None if it is not known yet.

        Args:
            wait: block until it is known.

        Raises:
            ExecutorError: the publisher can't be used any more, which no new consumer helps against, or has not
                returned for UNDER_WAY_MS_MAX.
            SingleUseError: the reports are on the log, but that could not be recorded.
        """
        if not self.is_busy:
            return None
        found = self._look(wait)
        while found is None and wait:
            found = self._look(wait)
        if found is None:
            return None
        self.is_busy = False
        if isinstance(found.error, FatalLogError):
            raise ExecutorError(f"reports can't be published any more: {found.error}") from found.error
        if found.error is not None:
            raise found.error
        return found

    def _look(self, wait: bool) -> Published | None:
        """Return the outcome of the batch that is under way, if it is known; wait for it up to LOOK_MS.

        Raises:
            ExecutorError: the batch has been under way for too long.
        """
        try:
            return self._results.get(block=wait, timeout=LOOK_MS / 1_000)
        except queue.Empty:
            now_ms = self._monotonic_ms()
            self._under_way_ms += min(now_ms - self._looked_ms, LOOK_MS)
            self._looked_ms = now_ms
        if self._under_way_ms >= UNDER_WAY_MS_MAX:
            under_way_s = self._under_way_ms // 1_000
            raise ExecutorError(
                f"reports have been under way for {under_way_s} s, and the client of the log does not return: start "
                "the executor again"
            )
        return None

    def close(self) -> None:
        """End the thread and its publisher. Blocks for up to `CLOSE_S_MAX` seconds."""
        if self._thread.is_alive():
            self._batches.put(None)
            self._thread.join(CLOSE_S_MAX)

    def _run(self) -> None:
        try:
            publisher = self._open_publisher()
        except Exception as error:
            self._begun.put(error)
            return
        self._begun.put(None)
        try:
            while (batch := self._batches.get()) is not None:
                self._results.put(self._publish(publisher, batch))
        finally:
            # What was not stored was not marked as reported, so it is reported at the next start.
            with contextlib.suppress(LogError):
                publisher.close()

    def _publish(self, publisher: Publisher, batch: Batch) -> Published:
        try:
            try:
                for done in batch.done:
                    for record in done.records:
                        publisher.publish(record)
                publisher.flush(FLUSH_TIMEOUT_MS)
            except FatalLogError:
                raise
            except LogError as error:
                return Published(batch, failure=error)
            self._mark_reported([done.use for done in batch.done if done.use is not None])
        except Exception as error:
            return Published(batch, error=error)
        return Published(batch)


def too_often(batch: Batch, failure: LogError) -> ExecutorError:
    """Return the error that ends an executor whose reports can't be stored."""
    return ExecutorError(f"{len(batch.done)} reports could not be stored: {failure}")
