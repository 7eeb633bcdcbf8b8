"""An open connection of the SDK to a log: agents and executors are the same on all logs."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Protocol, Self, runtime_checkable

from streams.audit.releasers import NOBODY, Releasers
from streams.model.types import Record
from streams.ports import Consumer, Headers, LogError, Outgoing, Producer, Publisher, Reader, RetriableLogError
from streams.ports.open_log import Log
from streams.sdk.connection.inbox import OutcomeInbox
from streams.sdk.connection.missing_topics import why_missing


class RecordCodec(Protocol):
    """Converts records to bytes and back."""

    def encode(self, topic: str, record: Record) -> bytes:
        """Return the record's value on the wire of `topic`."""

    def decode(self, topic: str, value: bytes | None, headers: Headers) -> Record:
        """Return the record in a value of `topic`.

        Raises:
            RecordError: it cannot be read; its `reason` says why.
        """


@runtime_checkable
class FieldReader(Protocol):
    """A codec that can read single fields of a record, for less than what the whole record costs."""

    def read_fields(
        self, topic: str, value: bytes | None, headers: Headers, paths: tuple[str, ...]
    ) -> tuple[object, ...]:
        """Return the fields at `paths` (`tool.server_id`), in their order in the schema.

        Raises:
            RecordError: the value does not begin as a record of the topic does.
        """


class WallClock(Protocol):
    """What a transport needs of a clock; `streams.ports.Clock` and `streams.sdk.entropy.Entropy` have it."""

    def now_ms(self) -> int:
        """Return the wall clock, ms since the epoch."""


class Transport:
    """What agents and executors of one process share on a log: codec, clock, publisher, partition counts, inbox.

    Thread-safe. Closing it closes its publisher and stops its agents from waiting. The log stays open, and its opener
    closes it afterwards, unless it is the transport's own. Readers, consumers and producers belong to the caller, which
    closes them.
    """

    def __init__(
        self,
        log: Log,
        codec: RecordCodec,
        clock: WallClock,
        releasers: Releasers = NOBODY,
        *,
        owns_log: bool = False,
    ) -> None:
        """Take an open log.

        Args:
            log: where records are written and read; `streams.sdk.connect` opens one.
            codec: how records become bytes.
            clock: the wall clock that agents and executors go by.
            releasers: whose signature releases a stop (`[release]` of the settings). By default nobody's, so what is
                stopped stays stopped.
            owns_log: whether closing the transport closes the log, because nobody else has it.
        """
        self.codec = codec
        self.releasers = releasers
        self._log = log
        self._owns_log = owns_log
        self._clock = clock
        self._counts_lock = threading.Lock()
        self._partition_counts: dict[str, int] = {}
        self._parts_lock = threading.Lock()
        self._publisher: Publisher | None = None
        self._flush_lock = threading.Lock()
        self._failed_flushes_count = 0
        self._inbox: OutcomeInbox | None = None
        self._closed = False

    def reader(self) -> Reader:
        """Make a reader of named partitions."""
        return self._log.reader()

    def consumer(self, group: str, instance: str) -> Consumer:
        """Make a member of a consumer group; `instance` is its stable name in the group."""
        return self._log.consumer(group, instance)

    def open_publisher(self) -> Publisher:
        """Make a writer of single records for the caller alone. A flush of it concerns nobody else's records."""
        return self._log.publisher()

    def producer(self, transactional_id: str) -> Producer:
        """Make a transactional producer; it fences the former holders of its id."""
        return self._log.producer(transactional_id)

    def now_ms(self) -> int:
        """Return the wall clock, ms since the epoch."""
        return self._clock.now_ms()

    def partitions(self, topic: str) -> int:
        """Return how many partitions the topic has.

        The log is asked once for each topic: a count that changes would tear sessions apart anyway.

        Raises:
            LogError: there is no such topic, this client may not see it, or the log did not answer.
        """
        with self._counts_lock:
            known = self._partition_counts.get(topic)
            if known is None:
                known = self._partition_counts[topic] = self._ask_partitions(topic)
            return known

    def publisher(self) -> Publisher:
        """Return the transport's publisher. The first call makes it; all callers share it.

        Who needs to know that records are stored writes them with `store`: a flush may raise the failures of others.
        """
        with self._parts_lock:
            self._refuse_closed()
            if self._publisher is None:
                self._publisher = self._log.publisher()
            return self._publisher

    def store(self, records: Sequence[Outgoing], timeout_ms: int) -> None:
        """Write records with the transport's publisher, and wait up to `timeout_ms` until they are stored.

        A flush waits for the records of all threads, and raises a failure once: to the thread that flushes, whose
        record it need not be. So threads flush one after the other, and what one of them is told counts for all that
        were publishing by then. Rejected: a publisher for each thread, because each has a connection to every broker.

        Raises:
            LogError: it is not known whether all are stored.
        """
        deadline_s = time.monotonic() + timeout_ms / 1000
        publisher = self.publisher()
        # Before the first record, so that no failure of these records can come earlier.
        failed_before_count = self._failed_flushes_count
        for record in records:
            publisher.publish(record)
        if not self._flush_lock.acquire(timeout=_left_s(deadline_s)):
            raise RetriableLogError(f"other records are not stored after {timeout_ms} ms: check the brokers")
        try:
            has_failed = self._failed_flushes_count != failed_before_count
            try:
                publisher.flush(int(_left_s(deadline_s) * 1000))
            except LogError:
                self._failed_flushes_count += 1
                raise
        finally:
            self._flush_lock.release()
        if has_failed:
            raise LogError("records that were written at the same time were not stored, maybe also these")

    def outcomes(self) -> OutcomeInbox:
        """Return the inbox of this transport's agents: one thread reads outcomes for all of them."""
        with self._parts_lock:
            self._refuse_closed()
            if self._inbox is None:
                self._inbox = OutcomeInbox(self.reader, self.codec)
            return self._inbox

    def close(self) -> None:
        """Close the publisher, the inbox, and a log of its own. May be called again."""
        with self._parts_lock:
            self._closed = True
            inbox, self._inbox = self._inbox, None
            publisher, self._publisher = self._publisher, None
            owns_log, self._owns_log = self._owns_log, False
        with ExitStack() as closing:
            if owns_log:
                closing.callback(self._log.close)
            if publisher is not None:
                closing.callback(publisher.close)
            if inbox is not None:
                closing.callback(inbox.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _refuse_closed(self) -> None:
        if self._closed:
            msg = "the transport is closed: make a new one"
            raise RuntimeError(msg)

    def _ask_partitions(self, topic: str) -> int:
        admin = self._log.admin()
        try:
            state = admin.describe([topic], ()).get(topic)
            if state is None:
                raise LogError(why_missing(topic, admin, self._log.name))
        finally:
            admin.close()
        return state.partitions


def _left_s(deadline_s: float) -> float:
    return max(0.0, deadline_s - time.monotonic())
