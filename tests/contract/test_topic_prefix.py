"""Deployments side by side on one log: each sees its own topics, under their plain names."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from streams.embedded.log import EmbeddedLog
from streams.kafka.log import KafkaLog
from streams.ports import LogError, Outgoing, TopicPartition, TopicSpec
from streams.ports.open_log import Log
from streams.wiring.clock import SystemClock
from tests.contract.log_under_test import FLUSH_MS, committed, poll_records, poll_values

PLACE = TopicPartition("words", 0)
_count = itertools.count()
# The broker may outlive the test run: prefixes of one run must differ from another's.
_RUN = f"{os.getpid()}-{time.monotonic_ns() // 1_000_000}"


class Deployments:
    """The whole log, and two deployments on it."""

    def __init__(self, where: Path | str) -> None:
        self._where = where
        self.tag = f"{_RUN}-{next(_count)}."
        self.whole, self.blue, self.green = (
            self._open(prefix) for prefix in ("", self.on_log("blue."), self.on_log("green."))
        )

    def on_log(self, name: str) -> str:
        return f"{self.tag}{name}"

    def _open(self, prefix: str) -> Log:
        if isinstance(self._where, Path):
            return EmbeddedLog(self._where, clock=SystemClock(), topic_prefix=prefix)
        return KafkaLog(self._where, topic_prefix=prefix)

    def close(self) -> None:
        for log in (self.whole, self.blue, self.green):
            log.close()


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.broker)])
def logs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployments]:
    kafka = request.param == "kafka"
    opened = Deployments(request.getfixturevalue("kafka_bootstrap") if kafka else tmp_path / "log.sqlite")
    yield opened
    opened.close()


class Listener:
    def __init__(self) -> None:
        self.told: list[Sequence[TopicPartition]] = []

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self.told.append(partitions)

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self.told.append(partitions)

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        self.told.append(partitions)


def read(log: Log, place: TopicPartition) -> list[bytes | None]:
    reader = log.reader()
    end = reader.end_offsets([place])[place]
    reader.assign({place: 0})
    values: list[bytes | None] = []
    while reader.position(place) < end:
        records = reader.poll(100, 200)
        assert all(record.topic == place.topic for record in records)
        values += [record.value for record in records]
    reader.close()
    return values


def test_topics_of_one_are_not_seen_by_the_other(logs: Deployments) -> None:
    whole, blue, green = logs.whole, logs.blue, logs.green
    blue.admin().create([TopicSpec("words", 1, {"cleanup.policy": "compact"})], 1)
    assert blue.admin().describe(["words"], ["cleanup.policy"])["words"].config == {"cleanup.policy": "compact"}
    assert green.admin().describe(["words"], ()) == {}
    on_log = logs.on_log("blue.words")
    assert list(whole.admin().describe([logs.on_log("words"), on_log], ())) == [on_log]
    blue.admin().alter_config("words", {"cleanup.policy": "delete"})
    assert blue.admin().describe(["words"], ["cleanup.policy"])["words"].config == {"cleanup.policy": "delete"}


def test_records_go_to_their_own(logs: Deployments) -> None:
    whole, blue, green = logs.whole, logs.blue, logs.green
    for log, value in ((blue, b"blue"), (green, b"green")):
        log.admin().create([TopicSpec("words", 1, {})], 1)
        publisher = log.publisher()
        publisher.publish(Outgoing("words", 0, b"k", value))
        publisher.flush(FLUSH_MS)
        publisher.close()
    assert read(blue, PLACE) == [b"blue"]
    assert read(green, PLACE) == [b"green"]
    assert read(whole, TopicPartition(logs.on_log("green.words"), 0)) == [b"green"]


def test_a_group_reads_and_commits_in_transactions(logs: Deployments) -> None:
    blue = logs.blue
    blue.admin().create([TopicSpec("words", 1, {}), TopicSpec("echo", 1, {})], 1)
    publisher = blue.publisher()
    for value in (b"one", b"two"):
        publisher.publish(Outgoing("words", 0, None, value))
    publisher.close()
    listener, consumer, producer = (
        Listener(),
        blue.consumer(logs.on_log("group"), "a"),
        blue.producer(logs.on_log("writer")),
    )
    producer.init_transactions()
    consumer.subscribe(["words"], listener)
    records = poll_records(consumer, 2)
    assert listener.told == [[PLACE]]
    assert [(record.topic, record.value) for record in records] == [("words", b"one"), ("words", b"two")]
    assert consumer.beginning_offsets([PLACE]) == {PLACE: 0}
    consumer.seek(PLACE, 1)
    consumer.pause([PLACE])
    assert consumer.poll(10, 0) == []
    consumer.resume([PLACE])
    assert poll_values(consumer, 1) == [b"two"]
    stored: list[int] = []
    producer.begin()
    producer.send(Outgoing("echo", 0, None, b"dropped"))
    producer.abort()
    producer.begin()
    producer.send(Outgoing("echo", 0, None, b"kept"), stored.append)
    producer.send_offsets({PLACE: 2}, consumer.group_metadata())
    producer.commit()
    assert len(stored) == 1
    assert committed(consumer, PLACE) == {PLACE: 2}
    consumer.close()
    producer.close()
    assert listener.told == [[PLACE], [PLACE]]
    assert read(blue, TopicPartition("echo", 0)) == [b"kept"]


def test_what_is_not_there_is_named_as_on_the_log(logs: Deployments) -> None:
    reader = logs.blue.reader()
    with pytest.raises(LogError, match=logs.on_log("blue.nothing")):
        reader.end_offsets([TopicPartition("nothing", 0)])
    reader.close()


def test_the_log_says_which_topics_are_meant(logs: Deployments) -> None:
    assert logs.blue.name == f"{logs.whole.name}, topics with prefix `{logs.on_log('blue.')}`"
