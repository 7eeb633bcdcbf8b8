"""Members that come, stall past their lease, die and return: every input still has its effect exactly once."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from streams.embedded import EmbeddedLog
from streams.ports import (
    AbortableTransactionError,
    Consumer,
    FencedError,
    Outgoing,
    Producer,
    Received,
    TopicPartition,
)
from tests.contract.log_under_test import WallClock
from tests.unit.embedded.reading_writing import create, put, read_all, read_so_far, write
from tests.waiting import until

PARTITIONS = 4
INPUTS = 1_200
LEASE_MS = 250
BATCH_MAX = 15
WAIT_S = 60.0


class Worker:
    """Copies `in` to `out` as the engine would; a schedule of misfortunes by batch number."""

    def __init__(self, log: EmbeddedLog, name: str, stall_every: int, die_every: int) -> None:
        self._log = log
        self._name = name
        self._stall_every = stall_every
        self._die_every = die_every
        self._batches = 0
        self._stop = threading.Event()
        self.faults: Counter[str] = Counter()
        self.thread = threading.Thread(target=self._run, name=f"worker-{name}")

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self.faults["assigned"] += 1

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self.faults["revoked"] += 1

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        self.faults["lost"] += 1

    def stop(self) -> None:
        self._stop.set()
        self.thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            consumer = self._log.consumer("copiers", self._name)
            producer = self._log.producer(self._name)
            producer.init_transactions()
            consumer.subscribe(["in"], self)
            died = self._work(consumer, producer)
            producer.close()
            # Who dies leaves its membership behind, and a later one of its name takes its place.
            if not died:
                consumer.close()

    def _work(self, consumer: Consumer, producer: Producer) -> bool:
        while not self._stop.is_set():
            batch = consumer.poll(BATCH_MAX, 20)
            if not batch:
                continue
            self._batches += 1
            time.sleep(0.01)
            if self._batches % self._die_every == 0:
                self.faults["died"] += 1
                return True
            group = consumer.group_metadata()
            if self._batches % self._stall_every == 0:
                time.sleep(2 * LEASE_MS / 1000)
            try:
                self._copy(producer, batch, group)
            except (FencedError, AbortableTransactionError):
                self.faults["fenced"] += 1
                producer.abort()
        return False

    def _copy(self, producer: Producer, batch: list[Received], group: object) -> None:
        producer.begin()
        for one in batch:
            producer.send(Outgoing("out", one.partition, one.key, one.value))
        next_offsets = {TopicPartition(one.topic, one.partition): one.offset + 1 for one in batch}
        producer.send_offsets(next_offsets, group)
        producer.commit()


def test_every_input_is_copied_once_whatever_becomes_of_the_members(path: Path) -> None:
    log = EmbeddedLog(path, clock=WallClock(), lease_ms=LEASE_MS)
    create(log, "in", PARTITIONS)
    create(log, "out", PARTITIONS)
    write(log, [put(TopicPartition("in", n % PARTITIONS), None, str(n)) for n in range(INPUTS)])
    workers = [Worker(log, "a", 5, 9), Worker(log, "b", 4, 7), Worker(log, "c", 11, 13)]
    for worker in workers:
        worker.thread.start()

    def all_copied() -> bool:
        time.sleep(0.05)
        return sum(len(read_so_far(log, TopicPartition("out", n))) for n in range(PARTITIONS)) >= INPUTS

    until(all_copied, "all inputs are copied", WAIT_S)
    for worker in workers:
        worker.stop()
    for number in range(PARTITIONS):
        copied = [one.value for one in read_all(log, TopicPartition("out", number))]
        assert copied == [b"%d" % n for n in range(number, INPUTS, PARTITIONS)]
    faults = sum((worker.faults for worker in workers), Counter[str]())
    # The test is worth something only if the misfortunes have come about.
    assert faults["fenced"] > 0
    assert faults["lost"] > 0
    assert faults["died"] > 0
    log.close()
