"""The SDK on the embedded log (and on any other log that the wiring has opened)."""

from __future__ import annotations

import threading
from typing import Protocol

from streams.ports import Admin, Clock, Consumer, LogError, Producer, Publisher, Reader
from streams.sdk.transport import RecordCodec, Transport


class LogHandle(Protocol):
    """What is needed of an open log: `streams.wiring.logs.Log` and `streams.embedded.log.EmbeddedLog` have it."""

    def admin(self) -> Admin: ...

    def consumer(self, group: str, instance: str) -> Consumer: ...

    def producer(self, transactional_id: str) -> Producer: ...

    def publisher(self) -> Publisher: ...

    def reader(self) -> Reader: ...


class EmbeddedTransport(Transport):
    """A connection to a log that is open in this process. The log stays its opener's to close, after this."""

    def __init__(self, log: LogHandle, codec: RecordCodec, clock: Clock) -> None:
        super().__init__(codec)
        self._log = log
        self._clock = clock
        self._counts_lock = threading.Lock()
        self._partition_counts: dict[str, int] = {}

    def reader(self) -> Reader:
        """See `Transport`."""
        return self._log.reader()

    def consumer(self, group: str, instance: str) -> Consumer:
        """See `Transport`."""
        return self._log.consumer(group, instance)

    def producer(self, transactional_id: str) -> Producer:
        """See `Transport`."""
        return self._log.producer(transactional_id)

    def partitions(self, topic: str) -> int:
        """See `Transport`. Asked once for each topic."""
        with self._counts_lock:
            known = self._partition_counts.get(topic)
            if known is None:
                known = self._partition_counts[topic] = self._ask_partitions(topic)
            return known

    def now_ms(self) -> int:
        """See `Transport`."""
        return self._clock.now_ms()

    def _open_publisher(self) -> Publisher:
        return self._log.publisher()

    def _ask_partitions(self, topic: str) -> int:
        admin = self._log.admin()
        try:
            state = admin.describe([topic], ()).get(topic)
        finally:
            admin.close()
        if state is None:
            raise LogError(f"there is no topic `{topic}` on this log: run `stoplog topics apply`")
        return state.partitions
