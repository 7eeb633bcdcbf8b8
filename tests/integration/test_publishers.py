"""Publishers outlive a lone broker that restarts: each stores again, whatever its client knows of the brokers."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from simulation.broker.kafka import KafkaBroker
from streams.kafka.admin import KafkaAdmin
from streams.kafka.publisher import STANDSTILL_S, KafkaPublisher
from streams.kafka.reader import KafkaReader
from streams.ports import LogError, Outgoing, TopicPartition, TopicSpec

pytestmark = pytest.mark.broker

TOPIC = "reports"
PARTITIONS = 6
# Of so many, at least one lost its brokers in each of 9 restarts.
PUBLISHERS = 24
# In each of several restarts, some of them had lost their brokers by then.
AWAY_S = 8.0
BATCH = 20
FLUSH_MS = 10_000
# A flush that has just begun, one that stands still, and one that stores.
RECOVERY_S_MAX = 2 * (FLUSH_MS / 1_000) + STANDSTILL_S + 15


class Writer:
    """Publishes batch after batch, each until its flush returns."""

    def __init__(self, bootstrap: str, number: int) -> None:
        self._publisher = KafkaPublisher(bootstrap)
        self._number = number
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.stored: set[bytes] = set()
        self.stored_s = 0.0

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._publisher.close()

    def _run(self) -> None:
        for number in count():
            keys = [f"{self._number}/{number}/{part}".encode() for part in range(BATCH)]
            while not self._stopping.is_set():
                try:
                    for part, key in enumerate(keys):
                        self._publisher.publish(Outgoing(TOPIC, part % PARTITIONS, key, b"v" * 300))
                    self._publisher.flush(FLUSH_MS)
                except LogError:
                    continue
                self.stored.update(keys)
                self.stored_s = time.monotonic()
                time.sleep(0.02)
                break
            else:
                return


def keys_on(bootstrap: str) -> set[bytes]:
    partitions = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]
    found: set[bytes] = set()
    with closing(KafkaReader(bootstrap)) as reader:
        reader.assign(dict.fromkeys(partitions, 0))
        ends = reader.end_offsets(partitions)
        while any(reader.position(partition) < end for partition, end in ends.items()):
            found.update(record.key for record in reader.poll(10_000, 1_000) if record.key is not None)
    return found


def test_all_publishers_store_again_after_a_lone_broker_restarted(tmp_path: Path) -> None:
    with KafkaBroker.start(tmp_path / "kafka") as broker:
        with closing(KafkaAdmin(broker.bootstrap)) as admin:
            admin.create([TopicSpec(TOPIC, PARTITIONS, {})], 1)
        writers = [Writer(broker.bootstrap, number) for number in range(PUBLISHERS)]
        for writer in writers:
            writer.start()
        try:
            while not all(writer.stored for writer in writers):
                time.sleep(0.1)
            broker.stop()
            time.sleep(AWAY_S)
            broker.restart()
            begun_s = time.monotonic()
            waiting = writers
            while waiting and time.monotonic() < begun_s + RECOVERY_S_MAX:
                time.sleep(0.1)
                waiting = [writer for writer in waiting if writer.stored_s <= begun_s]
            assert not waiting, f"{len(waiting)} of {PUBLISHERS} publishers have not stored anything since the restart"
        finally:
            for writer in writers:
                writer.close()
        missing = set().union(*(writer.stored for writer in writers)) - keys_on(broker.bootstrap)
    assert not missing, f"{len(missing)} records are missing whose flush has returned"
