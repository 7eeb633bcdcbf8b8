"""Members of groups that copy a topic, and what tests of the adapter wait for."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from streams.kafka.consumer import KafkaConsumer
from streams.kafka.producer import KafkaProducer
from streams.kafka.timeouts import SESSION_TIMEOUT_MS, TRANSACTION_TIMEOUT_MS
from streams.ports import (
    AbortableTransactionError,
    FatalLogError,
    GroupMetadata,
    Headers,
    LogError,
    Outgoing,
    Received,
    TopicPartition,
    TopicSpec,
)
from tests.contract.kafka_log import KafkaLog
from tests.contract.log_under_test import FLUSH_MS, Recorder, committed

WAIT_S = 30.0
# Whatever happens to a member, the others go on by then: one that is gone has left within its session, and what it had
# open ends within the transaction timeout.
STANDSTILL_S_MAX = (SESSION_TIMEOUT_MS + TRANSACTION_TIMEOUT_MS) / 1_000 + WAIT_S


class Member:
    """A group member that copies its input to the topic `out`, as the engine would: in transactions."""

    def __init__(self, log: KafkaLog, group: str, topics: Sequence[str], out: str, name: str) -> None:
        self.log, self.out, self.id = log, out, f"{group}-{name}"
        self.assigned: list[TopicPartition] = []
        self.metadata: GroupMetadata | None = None
        self.events: list[str] = []
        self.rebuilt = 0
        self.producer = self._new_producer()
        self.consumer = log.consumer(group, name)
        self.consumer.subscribe(topics, self)

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self.events.append("assigned")
        self.assigned = list(partitions)
        self.metadata = self.consumer.group_metadata()

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self.events.append("revoked")
        self.assigned = []

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        self.events.append("lost")
        self.assigned = []

    def step(self, timeout_ms: int = 50, records_max: int = 20) -> int:
        """Copy one batch in one transaction. Returns the number of records that are copied for good."""
        records = self.consumer.poll(records_max, timeout_ms)
        if not records:
            return 0
        try:
            self._copy(records)
        except (AbortableTransactionError, FatalLogError) as error:
            self._recover(error)
            return 0
        return len(records)

    def _copy(self, records: Sequence[Received]) -> None:
        assert self.metadata is not None
        self.producer.begin()
        for record in records:
            self.producer.send(Outgoing(self.out, record.partition, record.key, record.value))
        nexts = {TopicPartition(record.topic, record.partition): record.offset + 1 for record in records}
        self.producer.send_offsets(nexts, self.metadata)
        self.producer.commit()

    def _recover(self, error: LogError) -> None:
        try:
            if isinstance(error, FatalLogError):
                raise error
            self.producer.abort()
        except FatalLogError:
            self.producer.close()
            self.producer = self._new_producer()
        self._rewind()

    def _new_producer(self) -> KafkaProducer:
        self.rebuilt += 1
        producer = self.log.producer(self.id)
        producer.init_transactions()
        return producer

    def _rewind(self) -> None:
        for partition, offset in committed(self.consumer, *self.assigned).items():
            begin = self.consumer.beginning_offsets([partition])[partition] if offset is None else offset
            self.consumer.seek(partition, begin)


def make_topics(log: KafkaLog, *names: str, partitions: int = 1) -> list[str]:
    topics = [log.unique(name) for name in names]
    log.admin().create([TopicSpec(topic, partitions, {}) for topic in topics], replication=1)
    return topics


def fill(
    log: KafkaLog, topic: str, count: int, partitions: int = 1, headers: Headers = (), *, first: int = 0
) -> list[bytes]:
    publisher = log.publisher()
    values = [f"value {number}".encode() for number in range(first, first + count)]
    for number, value in enumerate(values):
        publisher.publish(Outgoing(topic, number % partitions, b"key", value, headers))
    publisher.flush(FLUSH_MS)
    return values


def read_all(log: KafkaLog, topic: str, partitions: int = 1) -> list[bytes | None]:
    """Everything committed in the topic; waits for open transactions to end."""
    reader = log.reader()
    named = [TopicPartition(topic, number) for number in range(partitions)]
    reader.assign(dict.fromkeys(named, 0))
    ends = reader.end_offsets(named)
    values = []
    for _ in within(WAIT_S, f"`{topic}` is read to {ends}"):
        values += [record.value for record in reader.poll(1_000, 100)]
        if all(reader.position(partition) >= ends[partition] for partition in named):
            break
    return values


def within(duration_s: float, what: str) -> Iterator[int]:
    """Counts until the time is over, and fails then."""
    deadline_s = time.monotonic() + duration_s
    for attempt in itertools.count():
        yield attempt
        if time.monotonic() > deadline_s:
            pytest.fail(f"not within {duration_s} s: {what}")


class Running:
    """A member that copies in a thread of its own, as in a process of its own.

    One thread for several members would be a trap. The broker handles one request of a connection at a time, and
    answers that to join the group only when all members have joined: what the same member asks meanwhile (the committed
    offsets, after an abort) waits for the others, which nobody would poll.
    """

    def __init__(self, member: Member) -> None:
        self.member = member
        self._ended = threading.Event()
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> None:
        """Leave the group."""
        self._ended.set()
        self._thread.join()
        self.check()

    def check(self) -> None:
        """Raise what has ended the thread."""
        if self._errors:
            raise self._errors[0]

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                self.member.step(20)
            self.member.consumer.close()
        except BaseException as error:
            self._errors.append(error)


def await_done(running: Sequence[Running], observer: KafkaConsumer, topic: str, count: int) -> None:
    """Wait until the group has committed the topic's first `count` records, or more; those without an answer count."""
    partitions = [TopicPartition(topic, number) for number in range(4)]
    for _ in within(STANDSTILL_S_MAX, f"{count} records are copied"):
        for one in running:
            one.check()
        if sum(offset or 0 for offset in committed(observer, *partitions).values()) >= count:
            return
        time.sleep(0.05)


def await_shares(running: Sequence[Running], partitions: int) -> None:
    """Wait until the partitions are divided among all members."""
    for _ in within(STANDSTILL_S_MAX, f"{partitions} partitions are divided among {len(running)}"):
        for one in running:
            one.check()
        held = [one.member.assigned for one in running]
        if all(held) and sum(map(len, held)) == partitions:
            return
        time.sleep(0.05)


def settle(members: Sequence[Member], partitions: int) -> None:
    """Poll all members until the partitions are divided among them."""
    for _ in within(WAIT_S, f"{partitions} partitions are divided among {len(members)}"):
        for member in members:
            member.consumer.poll(0 + 1, 20)
        held = [member.assigned for member in members]
        if all(held) and sum(map(len, held)) == partitions:
            return


def join(consumer: KafkaConsumer, topic: str) -> None:
    """Subscribe and poll until something is assigned."""
    held = Recorder()
    consumer.subscribe([topic], held)
    for _ in within(WAIT_S, "an assignment"):
        consumer.poll(1, 50)
        if held.assigned:
            return


def read_until(reader: object, at: TopicPartition, position: int) -> list[bytes | None]:
    values = []
    for _ in within(WAIT_S, f"position {position}"):
        values += [record.value for record in reader.poll(10, 100)]
        if reader.position(at) == position:
            break
    return values


def read_from(consumer: KafkaConsumer, count: int) -> list[bytes | None]:
    """The values of the next records."""
    values: list[bytes | None] = []
    until_s = time.monotonic() + WAIT_S
    while len(values) < count:
        assert time.monotonic() < until_s, values
        values += [record.value for record in consumer.poll(10, 100)]
    return values
