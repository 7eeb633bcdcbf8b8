"""Fencing, rebalances, and members that are killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from streams.kafka.consumer import KafkaConsumer
from streams.kafka.timeouts import SESSION_TIMEOUT_MS, TRANSACTION_TIMEOUT_MS
from streams.ports import FencedError, Outgoing, TopicPartition
from tests.contract.kafka_log import KafkaLog
from tests.contract.log_under_test import Recorder, committed, poll_records
from tests.integration.kafka_adapter.members import (
    WAIT_S,
    Member,
    Running,
    await_done,
    await_shares,
    fill,
    join,
    make_topics,
    read_all,
    read_until,
    settle,
    within,
)

pytestmark = pytest.mark.broker


class TestFencing:
    def test_a_stale_generation_commits_nothing(self, log: KafkaLog) -> None:
        source, out = make_topics(log, "source", "out", partitions=2)
        group = log.unique("group")
        first = Member(log, group, [source], out, "first")
        settle([first], 2)
        stale = first.metadata
        assert stale is not None
        second = Member(log, group, [source], out, "second")
        settle([first, second], 2)
        at = first.assigned[0]

        first.producer.begin()
        first.producer.send(Outgoing(out, 0, None, b"from a zombie"))
        with pytest.raises(FencedError, match="generation"):
            first.producer.send_offsets({at: 7}, stale)
        first.producer.abort()

        assert committed(first.consumer, at) == {at: None}
        assert read_all(log, out, 2) == []
        # The producer itself is as good as before.
        assert first.metadata is not None
        first.producer.begin()
        first.producer.send(Outgoing(out, 0, None, b"from the owner"))
        first.producer.send_offsets({at: 3}, first.metadata)
        first.producer.commit()
        assert committed(first.consumer, at) == {at: 3}
        assert read_all(log, out, 2) == [b"from the owner"]

    def test_the_same_transactional_id_fences_the_former(self, log: KafkaLog) -> None:
        (out,) = make_topics(log, "out")
        name = log.unique("id")
        former = log.producer(name)
        former.init_transactions()
        former.begin()
        former.send(Outgoing(out, 0, None, b"of the former"))
        latter = log.producer(name)
        latter.init_transactions()
        with pytest.raises(FencedError, match=name):
            former.commit()
        with pytest.raises(FencedError):
            former.begin()
        former.close()
        latter.begin()
        latter.send(Outgoing(out, 0, None, b"of the latter"))
        latter.commit()
        assert read_all(log, out) == [b"of the latter"]

    def test_a_fenced_producer_says_so_when_it_sends(self, log: KafkaLog) -> None:
        (out,) = make_topics(log, "out")
        name = log.unique("id")
        former = log.producer(name)
        former.init_transactions()
        former.begin()
        log.producer(name).init_transactions()

        def send() -> None:
            for _ in within(WAIT_S, "the former notices"):
                former.send(Outgoing(out, 0, None, b"x"))
                time.sleep(0.02)

        with pytest.raises(FencedError):
            send()

    def test_a_second_owner_of_a_static_id_ends_the_first(self, log: KafkaLog, kafka_bootstrap: str) -> None:
        (source,) = make_topics(log, "source")
        group, at = log.unique("group"), TopicPartition(source, 0)

        def poll(consumer: KafkaConsumer) -> None:
            for _ in within(WAIT_S, "the first is fenced"):
                consumer.poll(1, 50)

        first = KafkaConsumer(kafka_bootstrap, group, instance="one")
        second = KafkaConsumer(kafka_bootstrap, group, instance="one")
        try:
            join(first, source)
            former = first.group_metadata()
            # A restart within the session timeout: no waiting until the former one is given up.
            began_s = time.monotonic()
            join(second, source)
            assert time.monotonic() - began_s < SESSION_TIMEOUT_MS / 1_000
            with pytest.raises(FencedError, match=group):
                poll(first)

            producer = log.producer(log.unique("id"))
            producer.init_transactions()
            producer.begin()
            with pytest.raises(FencedError):
                producer.send_offsets({at: 7}, former)
            producer.abort()
            producer.begin()
            producer.send_offsets({at: 3}, second.group_metadata())
            producer.commit()
            assert committed(second, at) == {at: 3}
        finally:
            first.close()
            second.close()


class TestRebalance:
    def test_partition_n_of_every_topic_lands_on_one_member(self, log: KafkaLog) -> None:
        topics = make_topics(log, "intent", "session", "delegation", partitions=5)
        (out,) = make_topics(log, "out", partitions=5)
        group = log.unique("group")
        members = [Member(log, group, topics, out, name) for name in ("a", "b")]
        settle(members, 15)
        for member in members:
            numbers = {topic: {p.partition for p in member.assigned if p.topic == topic} for topic in topics}
            assert len(set(map(frozenset, numbers.values()))) == 1, numbers

    def test_members_come_and_go_and_each_record_is_copied_once(self, log: KafkaLog) -> None:
        source, out = make_topics(log, "source", "out", partitions=4)
        group, values = log.unique("group"), []
        observer = log.consumer(group, "observer")
        running = [Running(Member(log, group, [source], out, "0"))]
        try:
            for change in ("joins", "joins", "leaves"):
                values += fill(log, source, 500, partitions=4, first=len(values))
                await_done(running, observer, source, len(values) - 400)
                if change == "joins":
                    running.append(Running(Member(log, group, [source], out, str(len(running)))))
                else:
                    first = running.pop(0)
                    first.end()
                    assert "revoked" in first.member.events
                await_shares(running, 4)
                values += fill(log, source, 100, partitions=4, first=len(values))
            await_done(running, observer, source, len(values))
        finally:
            for one in running:
                one.end()
        assert Counter(read_all(log, out, 4)) == Counter(values)

    def test_what_the_listener_raises_comes_out_of_poll(self, log: KafkaLog) -> None:
        class Refusing(Recorder):
            def on_assigned(self, partitions: Sequence[TopicPartition]) -> None:
                super().on_assigned(partitions)
                raise LookupError("no room")

        (source,) = make_topics(log, "source")
        fill(log, source, 3)
        consumer = log.consumer(log.unique("group"), "one")
        consumer.subscribe([source], Refusing())

        def poll() -> None:
            for _ in within(WAIT_S, "an assignment"):
                consumer.poll(1, 50)

        with pytest.raises(LookupError, match="no room"):
            poll()
        assert [record.offset for record in poll_records(consumer, 3)] == [0, 1, 2]


class TestKilledProducer:
    def test_the_successor_drops_what_was_open(self, log: KafkaLog, kafka_bootstrap: str) -> None:
        source, out = make_topics(log, "source", "out")
        values = fill(log, source, 5)
        group, name = log.unique("group"), log.unique("id")
        script = Path(__file__).with_name("kafka_open_transaction.py")
        command = [sys.executable, "-m", f"tests.integration.{script.stem}", kafka_bootstrap, group, name, source, out]
        with subprocess.Popen(command, cwd=script.parents[2], stdout=subprocess.PIPE, text=True) as victim:
            assert victim.stdout is not None
            try:
                assert victim.stdout.readline() == "committed 2, open with 5\n"
            finally:
                victim.send_signal(signal.SIGKILL)
        at, written = TopicPartition(source, 0), TopicPartition(out, 0)
        reader = log.reader()
        reader.assign({written: 0})
        # Two records and their marker; then the open ones, which hold up readers.
        assert reader.end_offsets([written]) == {written: 6}
        assert read_until(reader, written, 3) == values[:2]

        producer = log.producer(name)
        began_s = time.monotonic()
        producer.init_transactions()
        assert time.monotonic() - began_s < TRANSACTION_TIMEOUT_MS / 1_000
        assert read_until(reader, written, 7) == []

        member = Member(log, group, [source], out, name.removeprefix(f"{group}-"))
        assert committed(member.consumer, at) == {at: 2}
        copied = 0
        for _ in within(WAIT_S, "the rest is copied"):
            copied += member.step()
            if copied == 3:
                break
        assert read_all(log, out) == values
