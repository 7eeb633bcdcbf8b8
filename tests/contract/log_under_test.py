"""A log under test, and what contract suites do with it: a real clock, a listener that remembers, loops that end."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from streams.embedded import EmbeddedLog
from streams.inmemory.log import MemoryLog
from streams.ports import (
    Admin,
    Consumer,
    Outgoing,
    Producer,
    Publisher,
    Reader,
    Received,
    RetriableLogError,
    TopicPartition,
    TopicSpec,
)
from tests.waiting import until

POLL_MS = 100
FLUSH_MS = 60_000
"""How long the log may take to store records. It is returned from as soon as they are."""


class WallClock:
    """The machine's clock as the port has it."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def sleep_ms(self, duration_ms: int) -> None:
        time.sleep(duration_ms / 1000)


class LogUnderTest(Protocol):
    """An adapter family of the log ports, as the suites use it."""

    name: str

    def admin(self) -> Admin: ...

    def consumer(self, group: str, instance: str) -> Consumer: ...

    def named_consumer(self, group: str, instance: str) -> Consumer:
        """A member that the group knows by its name, and keeps for a while after it has left."""

    def producer(self, transactional_id: str) -> Producer: ...

    def publisher(self) -> Publisher: ...

    def reader(self) -> Reader: ...

    def unique(self, name: str) -> str:
        """A name that no other test has."""

    def close(self) -> None: ...


class Recorder:
    """An assignment listener that writes down what it is told."""

    def __init__(self, while_revoked: Callable[[], None] = lambda: None) -> None:
        self.events: list[tuple[str, list[TopicPartition]]] = []
        self.assigned: list[TopicPartition] = []
        self._while_revoked = while_revoked

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self.events.append(("assigned", sorted(partitions)))
        self.assigned = sorted(partitions)

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self._while_revoked()
        self.events.append(("revoked", sorted(partitions)))
        self.assigned = []

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        self.events.append(("lost", sorted(partitions)))
        self.assigned = []

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.events]


class Partitions:
    """Hands every test partitions of its own in one shared topic, which is cheaper than topics."""

    def __init__(self, topic: str, count: int) -> None:
        self.topic = topic
        self._numbers = iter(range(count))

    def fresh(self) -> TopicPartition:
        return TopicPartition(self.topic, next(self._numbers))


class Names:
    """Counts, so that names differ within one run."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def unique(self, name: str) -> str:
        return f"{name}-{next(self._numbers)}"


class LocalLogUnderTest(Names):
    """`LogUnderTest` on a log without brokers, which has one kind of consumer."""

    def __init__(self, log: EmbeddedLog | MemoryLog) -> None:
        super().__init__()
        self._log = log

    def admin(self) -> Admin:
        return self._log.admin()

    def consumer(self, group: str, instance: str) -> Consumer:
        return self._log.consumer(group, instance)

    def named_consumer(self, group: str, instance: str) -> Consumer:
        return self._log.consumer(group, instance)

    def producer(self, transactional_id: str) -> Producer:
        return self._log.producer(transactional_id)

    def publisher(self) -> Publisher:
        return self._log.publisher()

    def reader(self) -> Reader:
        return self._log.reader()


def make_topic(log: LogUnderTest, name: str, partitions: int, config: Mapping[str, str] | None = None) -> str:
    topic = log.unique(name)
    admin = log.admin()
    admin.create([TopicSpec(topic, partitions, config or {})], replication=1)
    admin.close()
    return topic


def record(at: TopicPartition, value: bytes | None, key: bytes | None = b"k") -> Outgoing:
    return Outgoing(at.topic, at.partition, key, value)


def publish(log: LogUnderTest, at: TopicPartition, values: Sequence[bytes]) -> None:
    publisher = log.publisher()
    for value in values:
        publisher.publish(record(at, value))
    publisher.flush(FLUSH_MS)
    publisher.close()


def ready_producer(log: LogUnderTest, transactional_id: str) -> Producer:
    producer = log.producer(transactional_id)
    producer.init_transactions()
    return producer


def write(producer: Producer, at: TopicPartition, values: Sequence[bytes]) -> None:
    """One committed transaction."""
    producer.begin()
    for value in values:
        producer.send(record(at, value))
    producer.commit()


def committed(consumer: Consumer, *places: TopicPartition) -> dict[TopicPartition, int | None]:
    """What the group has committed; asked again where the answer says that it may come later."""
    found: list[dict[TopicPartition, int | None]] = []
    errors: list[str] = []

    def has_come() -> bool:
        try:
            found.append(consumer.committed(places))
        except RetriableLogError as error:
            errors.append(str(error))
        return bool(found)

    until(has_come, lambda: str(errors[-3:]))
    return found[0]


def poll_values(source: Consumer | Reader, count: int) -> list[bytes | None]:
    """Poll until at least `count` records have come."""
    return [received.value for received in poll_records(source, count)]


def poll_records(source: Consumer | Reader, count: int) -> list[Received]:
    found: list[Received] = []

    def enough() -> bool:
        found.extend(source.poll(max_records=100, timeout_ms=POLL_MS))
        return len(found) >= count

    until(enough, f"{count} records")
    return found


def read_to_end(log: LogUnderTest, at: TopicPartition, start: int = 0) -> list[Received]:
    """All that is readable in a partition nobody is writing to any more."""
    reader = log.reader()
    reader.assign({at: start})
    end = reader.end_offsets([at])[at]
    found: list[Received] = []

    def at_end() -> bool:
        if reader.position(at) >= end:
            return True
        found.extend(reader.poll(max_records=100, timeout_ms=POLL_MS))
        return reader.position(at) >= end

    until(at_end, f"the reader reaches offset {end} of {at}")
    reader.close()
    return found


def values_of(received: Sequence[Received]) -> list[bytes | None]:
    return [one.value for one in received]


def join_group(consumer: Consumer, topics: Sequence[str], listener: Recorder) -> None:
    """Subscribe and poll until partitions are assigned. Nothing may be readable yet, or it is lost to the test."""
    consumer.subscribe(topics, listener)
    until(lambda: not consumer.poll(1, POLL_MS) and bool(listener.assigned), "an assignment")
