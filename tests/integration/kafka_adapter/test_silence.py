"""Clients of the library that read nothing more and report nothing."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from confluent_kafka import TopicPartition as KafkaPartition

from streams.kafka.groups import joining
from streams.kafka.noticing import silence
from streams.ports import Outgoing, Received, TopicPartition, UnansweredError
from tests.contract.kafka_log import KafkaLog
from tests.contract.log_under_test import FLUSH_MS
from tests.integration.kafka_adapter.members import WAIT_S, fill, join, make_topics, read_from, read_until, within

pytestmark = pytest.mark.broker
# Longer than it takes until a client that reads nothing is given up, where that is tried.
HEALTHY_S = 4.0


class TestSilence:
    """Clients of the library that read nothing more and report nothing. What makes them so is left to chance, so here
    the library is told behind the adapter's back."""

    @pytest.fixture(autouse=True)
    def _soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # A client that reads comes to read within that on a busy machine, too.
        for name, value in {"QUIET_S": 0.3, "ASK_PAUSE_S": 0.1, "SILENT_S_MAX": 2.0}.items():
            monkeypatch.setattr(silence, name, value)

    def test_a_member_that_fetches_nothing_is_given_up(self, log: KafkaLog) -> None:
        [topic] = make_topics(log, "deaf")
        consumer = log.consumer(log.unique("group"), "a")
        join(consumer, topic)
        values = fill(log, topic, 3)
        assert read_from(consumer, 3) == values
        consumer._client.pause([KafkaPartition(topic, 0)])
        fill(log, topic, 1, first=3)
        with pytest.raises(UnansweredError, match=f"`{topic}` partition 0"):
            poll_for([consumer], WAIT_S)
        consumer.close()

    def test_a_member_that_fetches_nothing_of_one_partition_is_given_up_while_others_deliver(
        self, log: KafkaLog
    ) -> None:
        [topic] = make_topics(log, "deaf", partitions=2)
        consumer = log.consumer(log.unique("group"), "a")
        join(consumer, topic)
        values = fill(log, topic, 4, partitions=2)
        assert set(read_from(consumer, 4)) == set(values)
        consumer._client.pause([KafkaPartition(topic, 0)])
        fill(log, topic, 1)
        with delivering(log, topic, 1), pytest.raises(UnansweredError, match=f"`{topic}` partition 0"):
            poll_for([consumer], WAIT_S)
        consumer.close()

    def test_a_reader_likewise_even_if_it_reads_a_topic_that_is_not_there(self, log: KafkaLog) -> None:
        [topic] = make_topics(log, "deaf", partitions=2)
        fill(log, topic, 2)
        reader, at = log.reader(), TopicPartition(topic, 0)
        reader.assign({at: 0, TopicPartition(topic, 1): 0, TopicPartition(log.unique("missing"), 0): 0})
        assert len(read_until(reader, at, 2)) == 2
        reader._client.pause([KafkaPartition(topic, 0)])
        fill(log, topic, 1)
        with delivering(log, topic, 1), pytest.raises(UnansweredError, match=f"`{topic}` partition 0"):
            poll_for([reader], WAIT_S)

    def test_partitions_beside_others_that_deliver_are_not_silent_without_something_to_read(
        self, log: KafkaLog
    ) -> None:
        # Partition 1 delivers; 0 is idle in one topic, and behind an open transaction in the other.
        idle, open_ = make_topics(log, "idle", "open", partitions=2)
        fill(log, idle, 2)
        clients: list[Any] = []
        for topic in (idle, open_):
            consumer, reader = log.consumer(log.unique("group"), "a"), log.reader()
            join(consumer, topic)
            reader.assign({TopicPartition(topic, 0): 0, TopicPartition(topic, 1): 0})
            clients += [consumer, reader]
        producer = log.producer(log.unique("writer"))
        producer.init_transactions()
        producer.begin()
        producer.send(Outgoing(open_, 0, b"key", b"value"))
        with delivering(log, idle, 1), delivering(log, open_, 1):
            poll_for(clients, HEALTHY_S)
        producer.commit()

    def test_a_partition_that_waits_behind_what_was_fetched_of_others_is_not_silent(self, log: KafkaLog) -> None:
        [topic] = make_topics(log, "backlog", partitions=2)
        publisher = log.publisher()
        for _ in range(4_000):
            publisher.publish(Outgoing(topic, 1, b"key", b"value"))
        publisher.flush(FLUSH_MS)
        consumer, reader = log.consumer(log.unique("group"), "a"), log.reader()
        join(consumer, topic)
        reader.assign({TopicPartition(topic, 0): 0, TopicPartition(topic, 1): 0})
        for client in (consumer, reader):
            # What comes first has brought all of the backlog with it: it is one fetch.
            for _ in within(WAIT_S, "a record"):
                if client.poll(1, 100):
                    break
        fill(log, topic, 1)
        for client in (consumer, reader):
            found: list[Received] = []
            for _ in within(WAIT_S, "all records"):
                found += client.poll(10, 100)
                time.sleep(0.01)
                if any(record.partition == 0 for record in found):
                    break
            # Otherwise it has not waited, and this shows nothing.
            assert len(found) > 2_500

    def test_a_partition_that_is_paused_beside_others_that_deliver_is_not(self, log: KafkaLog) -> None:
        [topic] = make_topics(log, "paused", partitions=2)
        consumer, at = log.consumer(log.unique("group"), "a"), TopicPartition(topic, 0)
        join(consumer, topic)
        consumer.pause([at])
        values = fill(log, topic, 2)
        with delivering(log, topic, 1):
            poll_for([consumer], HEALTHY_S)
        consumer.resume([at])
        found: list[bytes | None] = []
        for _ in within(WAIT_S, "what was paused"):
            found += [record.value for record in consumer.poll(10, 100) if record.partition == 0]
            if len(found) == len(values):
                break
        assert found == values

    @pytest.mark.parametrize("has_topic", [True, False], ids=["with its topic", "after its topic was deleted"])
    def test_a_member_that_is_not_assigned_anything_again_is_given_up(
        self, log: KafkaLog, has_topic: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Whether partitions have leaders has no bearing on it: the group's coordinator assigns them.
        [topic] = make_topics(log, "lost")
        consumer = log.consumer(log.unique("group"), "a")
        join(consumer, topic)
        for name, value in {"ASK_AFTER_S": 0.3, "ASK_PAUSE_S": 0.1, "JOIN_S_MAX": 2.0}.items():
            monkeypatch.setattr(joining, name, value)
        consumer._client.unsubscribe()
        if not has_topic:
            log.admin()._client.delete_topics([topic])[topic].result(WAIT_S)
        with pytest.raises(UnansweredError, match="assigned nothing"):
            poll_for([consumer], WAIT_S)
        consumer.close()

    def test_a_reader_that_fetches_nothing_is_given_up(self, log: KafkaLog) -> None:
        [topic] = make_topics(log, "deaf")
        fill(log, topic, 2)
        reader, at = log.reader(), TopicPartition(topic, 0)
        reader.assign({at: 0})
        assert len(read_until(reader, at, 2)) == 2
        reader._client.pause([KafkaPartition(topic, 0)])
        fill(log, topic, 1)
        with pytest.raises(UnansweredError, match=f"`{topic}` partition 0"):
            poll_for([reader], WAIT_S)

    def test_clients_that_have_read_everything_are_not(self, log: KafkaLog) -> None:
        topic, idle = make_topics(log, "aborted", "idle")
        fill(log, topic, 2)
        producer = log.producer(log.unique("writer"))
        producer.init_transactions()
        for end in (producer.commit, producer.abort):
            producer.begin()
            producer.send(Outgoing(topic, 0, b"key", b"value"))
            end()
        consumer, other = log.consumer(log.unique("group"), "a"), log.consumer(log.unique("group"), "b")
        join(consumer, topic)
        join(other, idle)
        reader = log.reader()
        reader.assign({TopicPartition(topic, 0): 0, TopicPartition(idle, 0): 0})
        poll_for([consumer, other, reader], HEALTHY_S)

    def test_clients_that_wait_for_an_open_transaction_are_not(self, log: KafkaLog) -> None:
        [topic] = make_topics(log, "open")
        consumer, reader = log.consumer(log.unique("group"), "a"), log.reader()
        join(consumer, topic)
        reader.assign({TopicPartition(topic, 0): 0})
        producer = log.producer(log.unique("writer"))
        producer.init_transactions()
        producer.begin()
        producer.send(Outgoing(topic, 0, b"key", b"value"))
        poll_for([consumer, reader], HEALTHY_S)
        producer.commit()
        assert read_from(consumer, 1) == [b"value"]

    def test_a_member_whose_partitions_are_paused_is_not(self, log: KafkaLog) -> None:
        [topic] = make_topics(log, "paused")
        consumer = log.consumer(log.unique("group"), "a")
        join(consumer, topic)
        consumer.pause([TopicPartition(topic, 0)])
        values = fill(log, topic, 2)
        poll_for([consumer], HEALTHY_S)
        consumer.resume([TopicPartition(topic, 0)])
        assert read_from(consumer, 2) == values


@contextlib.contextmanager
def delivering(log: KafkaLog, topic: str, partition: int) -> Iterator[None]:
    """A record of the partition twenty times a second."""
    publisher, ended = log.publisher(), threading.Event()

    def deliver() -> None:
        while not ended.wait(0.05):
            publisher.publish(Outgoing(topic, partition, b"key", b"beside"))

    thread = threading.Thread(target=deliver)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def poll_for(clients: Sequence[Any], duration_s: float) -> None:
    """Poll for some time, whatever comes: all in turns, since the brokers end a transaction that is open for long."""
    until_s = time.monotonic() + duration_s
    while time.monotonic() < until_s:
        for client in clients:
            client.poll(10, 50)
