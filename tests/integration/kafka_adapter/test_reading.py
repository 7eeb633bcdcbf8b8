"""Where a member reads, and what it is not disturbed by."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import pytest
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient

from streams.kafka.consumer import KafkaConsumer
from streams.ports import FatalLogError, LogError, Outgoing, Received, TopicPartition
from tests.contract.kafka_log import KafkaLog
from tests.contract.log_under_test import Recorder, poll_records
from tests.integration.kafka_adapter.members import WAIT_S, Member, fill, make_topics, read_from, read_until, within
from tests.integration.kafka_raw import produce_raw

pytestmark = pytest.mark.broker


class TestReading:
    @pytest.mark.timed
    def test_paused_partitions_hold_back_what_was_fetched_and_go_on_quickly(self, log: KafkaLog) -> None:
        (source,) = make_topics(log, "source", partitions=2)
        fill(log, source, 400, partitions=2)
        member = Member(log, log.unique("group"), [source], source, "one")
        first, second = TopicPartition(source, 0), TopicPartition(source, 1)
        seen: dict[int, list[int]] = {0: [], 1: []}

        def poll(records_max: int, timeout_ms: int = 300) -> None:
            for record in member.consumer.poll(records_max, timeout_ms):
                seen[record.partition].append(record.offset)

        for _ in within(WAIT_S, "records of both partitions"):
            poll(7)
            if seen[0]:
                break
        member.consumer.pause([first])
        held = len(seen[0])
        for _ in within(WAIT_S, "the other partition goes on"):
            poll(50)
            if len(seen[1]) == 200:
                break
        poll(50)
        assert len(seen[0]) == held
        # With nothing left to fetch the client's threads sleep; resuming wakes them.
        member.consumer.pause([second])
        time.sleep(0.3)
        poll(1, 1)
        member.consumer.resume([first, second])
        resumed_s = time.monotonic()
        for _ in within(WAIT_S, "the partition goes on"):
            poll(50)
            if len(seen[0]) == 200:
                break
        assert time.monotonic() - resumed_s < 0.8
        assert seen == {0: list(range(200)), 1: list(range(200))}

    def test_seeking_is_possible_while_assigned_and_while_paused(self, log: KafkaLog) -> None:
        class Seeking(Recorder):
            def on_assigned(self, partitions: Sequence[TopicPartition]) -> None:
                super().on_assigned(partitions)
                consumer.pause(partitions)
                consumer.seek(at, 4)

        (source,) = make_topics(log, "source")
        fill(log, source, 10)
        at = TopicPartition(source, 0)
        consumer = log.consumer(log.unique("group"), "one")
        held = Seeking()
        consumer.subscribe([source], held)
        for _ in within(WAIT_S, "an assignment"):
            assert consumer.poll(10, 50) == []
            if held.assigned:
                break
        assert consumer.poll(10, 200) == []
        consumer.resume([at])
        first: list[Received] = []
        for _ in within(WAIT_S, "a record"):
            first += consumer.poll(1, 100)
            if first:
                break
        assert first[0].offset == 4
        consumer.pause([at])
        consumer.seek(at, 8)
        consumer.resume([at])
        assert [record.offset for record in poll_records(consumer, 2)] == [8, 9]
        with pytest.raises(LogError, match="not assigned"):
            consumer.seek(TopicPartition(source, 1), 0)

    def test_a_position_moves_past_what_is_never_returned(self, log: KafkaLog) -> None:
        (out,) = make_topics(log, "out")
        at = TopicPartition(out, 0)
        producer = log.producer(log.unique("id"))
        producer.init_transactions()
        producer.begin()
        producer.send(Outgoing(out, 0, None, b"kept"))
        producer.commit()
        reader = log.reader()
        reader.assign({at: 0})
        assert read_until(reader, at, 2) == [b"kept"]

        stored: list[int] = []
        producer.begin()
        for number in range(3):
            producer.send(Outgoing(out, 0, None, b"dropped %d" % number), stored.append)
        producer._client.flush(10)
        assert reader.end_offsets([at]) == {at: 5}
        assert reader.poll(10, 300) == []
        assert reader.position(at) == 2
        producer.abort()
        assert read_until(reader, at, 6) == []
        assert stored == []

    def test_no_header_of_a_record_stops_the_reader(self, log: KafkaLog, kafka_bootstrap: str) -> None:
        (source,) = make_topics(log, "source")
        # The interpreter treats a call differently once it has often been made.
        warm = fill(log, source, 500, headers=(("ok", b"x"),))
        assert produce_raw(kafka_bootstrap, source, b"1", [(b"ok", b"x"), (b"\xff\xfe", b"y")]) == 0
        assert produce_raw(kafka_bootstrap, source, b"2", [(b"null", None), (b"twice", b"a"), (b"twice", b"b")]) == 0
        assert produce_raw(kafka_bootstrap, source, b"3", [(b"", b""), ("ключ".encode(), b"\0\xff")]) == 0
        reader = log.reader()
        reader.assign({TopicPartition(source, 0): 0})
        found = []
        for _ in within(WAIT_S, "all records"):
            found += reader.poll(100, 100)
            if len(found) == len(warm) + 3:
                break
        assert [(record.value, record.headers) for record in found[len(warm) :]] == [
            (b"1", ()),
            (b"2", (("null", b""), ("twice", b"a"), ("twice", b"b"))),
            (b"3", (("", b""), ("ключ", b"\0\xff"))),
        ]


class _Assigned:
    """Notes what it is assigned."""

    def __init__(self) -> None:
        self.assigned: list[TopicPartition] = []

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self.assigned = list(partitions)

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self.assigned = []

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        self.assigned = []


class TestPositionedMember:
    """A member whose listener says where each partition is read from, as the engine does."""

    @pytest.fixture
    def member(
        self, log: KafkaLog, kafka_bootstrap: str
    ) -> Iterator[tuple[KafkaConsumer, TopicPartition, list[bytes]]]:
        (topic,) = make_topics(log, "positioned")
        values = fill(log, topic, 20)
        consumer = KafkaConsumer(kafka_bootstrap, log.unique("group"), positioned=True)
        listener = _Assigned()
        consumer.subscribe([topic], listener)
        until_s = time.monotonic() + WAIT_S
        while not listener.assigned:
            assert time.monotonic() < until_s
            assert consumer.poll(10, 100) == []
        yield consumer, TopicPartition(topic, 0), values
        consumer.close()

    def test_it_reads_nothing_before_it_is_positioned(
        self, member: tuple[KafkaConsumer, TopicPartition, list[bytes]]
    ) -> None:
        consumer, place, values = member
        assert [consumer.poll(10, 100) for _ in range(5)] == [[]] * 5
        consumer.seek(place, 15)
        consumer.resume([place])
        assert read_from(consumer, 5) == values[15:]

    def test_records_deleted_before_they_are_read_are_an_error(
        self, member: tuple[KafkaConsumer, TopicPartition, list[bytes]], kafka_bootstrap: str
    ) -> None:
        consumer, place, _ = member
        admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
        (deleted,) = admin.delete_records([KafkaPartition(place.topic, 0, 15)]).values()
        assert deleted.result().low_watermark == 15
        assert consumer.beginning_offsets([place]) == {place: 15}
        consumer.seek(place, 5)
        consumer.resume([place])
        with pytest.raises(FatalLogError, match=rf"can't read `{place.topic}` partition 0 from offset 5"):
            read_from(consumer, 5)
