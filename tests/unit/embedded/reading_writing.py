"""Reads and writes an embedded log, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streams.embedded import EmbeddedLog
from streams.ports import Outgoing, Received, TopicPartition, TopicSpec

START_MS = 1_764_000_000_000
LEASE_MS = 3_000


class ManualClock:
    """Stands still until the test moves it."""

    def __init__(self) -> None:
        self.wall_ms = START_MS
        self.elapsed_ms = 0

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic_ms(self) -> int:
        return self.elapsed_ms

    def sleep_ms(self, duration_ms: int) -> None:
        self.advance(duration_ms)

    def advance(self, duration_ms: int) -> None:
        self.wall_ms += duration_ms
        self.elapsed_ms += duration_ms


def create(log: EmbeddedLog, name: str, partitions: int = 1, config: Mapping[str, str] | None = None) -> TopicPartition:
    """Make a topic; its partition 0."""
    admin = log.admin()
    admin.create([TopicSpec(name, partitions, config or {})], 1)
    admin.close()
    return TopicPartition(name, 0)


def write(log: EmbeddedLog, records: Sequence[Outgoing], transactional_id: str = "writer") -> None:
    """One committed transaction."""
    producer = log.producer(transactional_id)
    producer.init_transactions()
    producer.begin()
    for record in records:
        producer.send(record)
    producer.commit()
    producer.close()


def put(at: TopicPartition, key: str | None, value: str | None) -> Outgoing:
    return Outgoing(
        at.topic, at.partition, None if key is None else key.encode(), None if value is None else value.encode()
    )


def read_so_far(log: EmbeddedLog, at: TopicPartition) -> list[Received]:
    """What is in the partition, while others may write to it."""
    reader = log.reader()
    reader.assign({at: 0})
    found: list[Received] = []
    while batch := reader.poll(1_000, 0):
        found += batch
    reader.close()
    return found


def read_all(log: EmbeddedLog, at: TopicPartition, start: int = 0) -> list[Received]:
    """Everything that is in the partition now, while nobody writes to it."""
    reader = log.reader()
    reader.assign({at: start})
    found: list[Received] = []
    while batch := reader.poll(1_000, 0):
        found += batch
    assert reader.position(at) == max(start, reader.end_offsets([at])[at])
    reader.close()
    return found
