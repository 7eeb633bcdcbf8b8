"""Commit reports and offsets in a thread of its own, so that the loop can read on while the log commits.

A commit takes tens of milliseconds on a cluster of several brokers. What is done meanwhile goes into the next
transaction, so the size of the transactions follows the speed of the log.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from streams.ports import (
    AbortableTransactionError,
    GroupMetadata,
    LogError,
    Producer,
    RetriableLogError,
    TopicPartition,
)
from streams.sdk.errors import ExecutorError
from streams.sdk.single_use import Use
from streams.sdk.verdict_jobs import Done

CLOSE_S_MAX = 30.0


@dataclass(frozen=True, slots=True)
class Batch:
    """What goes into one transaction.

    Attributes:
        offsets: the next offsets to be read. Every call below them is in this batch, in one before it, or needs no
            report.
        group: what fences the offsets; None for none.
    """

    done: Sequence[Done]
    offsets: Mapping[TopicPartition, int]
    group: GroupMetadata | None


@dataclass(frozen=True, slots=True)
class Committed:
    """The outcome of a batch.

    Attributes:
        failure: why nothing of it is on the log; it can be submitted again.
        error: why nothing can be committed any more.
    """

    batch: Batch
    failure: LogError | None = None
    error: Exception | None = None


class ReportCommits:
    """A producer in its own thread. One batch at a time: `submit`, then `take`. Both are for one thread."""

    def __init__(self, open_producer: Callable[[], Producer], mark_reported: Callable[[Sequence[Use]], None]) -> None:
        """Make the thread; `start` starts it.

        Args:
            open_producer: makes the transactional producer.
            mark_reported: records in the store that uses are on the log.
        """
        self._open_producer = open_producer
        self._mark_reported = mark_reported
        self._batches: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[Committed] = queue.SimpleQueue()
        self._begun: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="stoplog-executor-reports", daemon=True)
        self.is_busy = False

    def start(self) -> None:
        """Start the thread, and wait until its producer has fenced earlier ones.

        Raises:
            LogError: it can't be used.
        """
        self._thread.start()
        error = self._begun.get()
        if error is not None:
            raise error

    def submit(self, batch: Batch) -> None:
        """Commit a batch; `take` returns the outcome."""
        self.is_busy = True
        self._batches.put(batch)

    def take(self, wait: bool) -> Committed | None:
        """Return the outcome of the submitted batch; None if it is not known yet.

        Args:
            wait: block until it is known. The bounds are the producer's.

        Raises:
            LogError: the producer can't be used any more.
            SingleUseError: the reports are on the log, but that could not be recorded.
        """
        if not self.is_busy:
            return None
        try:
            found = self._results.get(block=wait)
        except queue.Empty:
            return None
        self.is_busy = False
        if found.error is not None:
            raise found.error
        return found

    def close(self) -> None:
        """End the thread and its producer. Blocks for up to `CLOSE_S_MAX` seconds."""
        if self._thread.is_alive():
            self._batches.put(None)
            self._thread.join(CLOSE_S_MAX)

    def _run(self) -> None:
        try:
            producer = self._open_producer()
        except Exception as error:
            self._begun.put(error)
            return
        try:
            try:
                producer.init_transactions()
            except Exception as error:
                self._begun.put(error)
                return
            self._begun.put(None)
            while (batch := self._batches.get()) is not None:
                self._results.put(self._commit(producer, batch))
        finally:
            producer.close()

    def _commit(self, producer: Producer, batch: Batch) -> Committed:
        try:
            try:
                producer.begin()
                for done in batch.done:
                    for record in done.records:
                        producer.send(record)
                if batch.offsets and batch.group is not None:
                    producer.send_offsets(batch.offsets, batch.group)
                producer.commit()
            except (RetriableLogError, AbortableTransactionError) as error:
                producer.abort()
                return Committed(batch, failure=error)
            self._mark_reported([done.use for done in batch.done if done.use is not None])
        except Exception as error:
            return Committed(batch, error=error)
        return Committed(batch)


def too_often(batch: Batch, failure: LogError) -> ExecutorError:
    """Return the error that ends an executor whose reports can't be stored."""
    return ExecutorError(f"{len(batch.done)} reports could not be stored: {failure}")
