"""A log in memory with Kafka's semantics, for tests and histories: the broker, and the clients of every port."""

from __future__ import annotations

from streams.inmemory.admin import MemoryAdmin, MemoryPublisher
from streams.inmemory.broker import MemoryBroker
from streams.inmemory.clients import MemoryConsumer, MemoryReader
from streams.inmemory.producer import MemoryProducer


class MemoryLog(MemoryBroker):
    """A broker that hands out its own clients."""

    @property
    def name(self) -> str:
        """Return the log's name for messages."""
        return "log in memory"

    def consumer(
        self,
        group: str,
        instance: str,
        *,
        positioned: bool = False,  # noqa: ARG002 - the port's; tests delete records between workers' lives
    ) -> MemoryConsumer:
        """Return a new member of `group`. It puts out a former member of the same instance name."""
        return MemoryConsumer(self, group, instance)

    def producer(self, transactional_id: str) -> MemoryProducer:
        """Return a new transactional producer."""
        return MemoryProducer(self, transactional_id)

    def reader(self, client: str = "reader") -> MemoryReader:
        """Return a new reader without a group. `client` is its name for the faults."""
        return MemoryReader(self, client)

    def publisher(self) -> MemoryPublisher:
        """Return a new writer of single records."""
        return MemoryPublisher(self)

    def admin(self) -> MemoryAdmin:
        """Return a new client that sets up topics."""
        return MemoryAdmin(self)
