"""What only a real broker shows: fencing, rebalances, its restart, a killed producer, hostile records."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient

from simulation.broker.kafka import KafkaBroker
from streams.kafka import joining, offset_lookup, silence
from streams.kafka.consumer import KafkaConsumer
from streams.kafka.producer import END_S_MAX, KafkaProducer
from streams.kafka.publisher import KafkaPublisher
from streams.kafka.timeouts import SESSION_TIMEOUT_MS, TRANSACTION_TIMEOUT_MS
from streams.ports import (
    AbortableTransactionError,
    AclSpec,
    FatalLogError,
    FencedError,
    GroupMetadata,
    Headers,
    LogError,
    Outgoing,
    Received,
    RetriableLogError,
    TopicPartition,
    TopicSpec,
    UnansweredError,
)
from tests.contract.helpers import FLUSH_MS, Recorder, committed, poll_records
from tests.contract.kafka_log import KafkaLog
from tests.integration.kafka_raw import produce_raw

pytestmark = pytest.mark.broker

WAIT_S = 30.0
# Longer than it takes until a client that reads nothing is given up, where that is tried.
HEALTHY_S = 4.0
# Whatever happens to a member, the others go on by then: one that is gone has left within its session, and what it had
# open ends within the transaction timeout.
STANDSTILL_S_MAX = (SESSION_TIMEOUT_MS + TRANSACTION_TIMEOUT_MS) / 1_000 + WAIT_S


@pytest.fixture
def log(kafka_bootstrap: str) -> Iterator[KafkaLog]:
    """The session's broker, clients closed after the test."""
    made = KafkaLog(kafka_bootstrap)
    yield made
    made.close()


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A broker that tests may stop and kill; it has an authorizer."""
    with KafkaBroker.start(tmp_path_factory.mktemp("own-broker"), acls=True) as broker:
        yield broker


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


def join(consumer: KafkaConsumer, topic: str) -> None:
    """Subscribe and poll until something is assigned."""
    held = Recorder()
    consumer.subscribe([topic], held)
    for _ in within(WAIT_S, "an assignment"):
        consumer.poll(1, 50)
        if held.assigned:
            return


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


def read_until(reader: object, at: TopicPartition, position: int) -> list[bytes | None]:
    values = []
    for _ in within(WAIT_S, f"position {position}"):
        values += [record.value for record in reader.poll(10, 100)]
        if reader.position(at) == position:
            break
    return values


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


class TestPublisher:
    def test_a_flush_names_the_topics_of_what_was_not_stored(self, log: KafkaLog) -> None:
        good, small = log.unique("good"), log.unique("small")
        log.admin().create([TopicSpec(good, 1, {}), TopicSpec(small, 1, {"max.message.bytes": "1000"})], replication=1)
        publisher = log.publisher()
        publisher.publish(Outgoing(good, 0, b"k", b"stored"))
        for _ in range(2):
            publisher.publish(Outgoing(small, 0, b"k", os.urandom(5_000)))
            with pytest.raises(LogError, match=f"1 to `{small}`"):
                publisher.flush(FLUSH_MS)
        publisher.flush(FLUSH_MS)
        assert read_all(log, good) == [b"stored"]

    def test_what_can_not_be_queued_is_refused_at_once(self, log: KafkaLog) -> None:
        (topic,) = make_topics(log, "topic")
        publisher = log.publisher()
        with pytest.raises(LogError, match=topic):
            publisher.publish(Outgoing(topic, 0, None, bytes(2_000_000)))
        with pytest.raises(ValueError, match="surrogates"):
            publisher.publish(Outgoing(topic, 0, None, b"x", (("\udc80", b"y"),)))
        producer = log.producer(log.unique("id"))
        producer.init_transactions()
        producer.begin()
        with pytest.raises(LogError, match=topic) as caught:
            producer.send(Outgoing(topic, 0, None, bytes(2_000_000)))
        assert type(caught.value) is LogError
        producer.send(Outgoing(topic, 0, None, b"fits"))
        producer.commit()
        assert read_all(log, topic) == [b"fits"]

    def test_threads_share_one(self, log: KafkaLog) -> None:
        (topic,) = make_topics(log, "topic")
        publisher = log.publisher()

        def publish(thread: int) -> None:
            for number in range(50):
                publisher.publish(Outgoing(topic, 0, None, f"{thread}.{number}".encode()))
                if number % 10 == 0:
                    publisher.flush(FLUSH_MS)

        threads = [threading.Thread(target=publish, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        publisher.flush(FLUSH_MS)
        found = [value.decode() for value in read_all(log, topic) if value is not None]
        for sender in range(4):
            mine = [value for value in found if value.startswith(f"{sender}.")]
            assert mine == [f"{sender}.{number}" for number in range(50)]


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


class TestOwnBroker:
    def test_its_restart_and_its_crash_lose_nothing_and_duplicate_nothing(self, own_broker: KafkaBroker) -> None:
        log = KafkaLog(own_broker.bootstrap)
        source, out = make_topics(log, "source", "out", partitions=2)
        values = fill(log, source, 2_000, partitions=2)
        member = Member(log, log.unique("group"), [source], out, "one")

        def crash() -> None:
            own_broker.kill()
            own_broker.restart()

        troubles = [own_broker.restart, crash]
        trouble: threading.Thread | None = None
        copied, next_at = 0, 500
        for _ in within(4 * WAIT_S, "all are copied, before and after"):
            copied += member.step()
            if trouble is None or not trouble.is_alive():
                if copied >= len(values):
                    break
                if copied >= next_at and troubles:
                    trouble = threading.Thread(target=troubles.pop(0))
                    trouble.start()
                    next_at = copied + 500
            elif copied >= len(values):
                values += fill(log, source, 100, partitions=2)
        assert not troubles
        assert Counter(read_all(log, out, 2)) == Counter(values)
        log.close()

    def test_access_entries(self, own_broker: KafkaBroker) -> None:
        log = KafkaLog(own_broker.bootstrap)
        admin = log.admin()
        wanted = {
            AclSpec("User:gate", "TOPIC", "agent.", "READ", prefixed=True),
            AclSpec("User:gate", "GROUP", "gate", "READ"),
            AclSpec("User:gate", "TRANSACTIONAL_ID", "gate-", "WRITE", prefixed=True),
        }
        assert admin.acls() == set()
        admin.create_acls(sorted(wanted))
        admin.create_acls(sorted(wanted))
        assert admin.acls() == wanted
        with pytest.raises(LogError, match="`CLUSTER`"):
            admin.create_acls([AclSpec("User:gate", "CLUSTER", "kafka-cluster", "READ")])
        with pytest.raises(LogError, match="`LOOK`"):
            admin.create_acls([AclSpec("User:gate", "TOPIC", "agent.", "LOOK")])
        log.close()

    def test_without_it_calls_end_in_time(self, own_broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch) -> None:
        log = KafkaLog(own_broker.bootstrap)
        (out,) = make_topics(log, "out")
        at = TopicPartition(out, 0)
        reader, producer = log.reader(), log.producer(log.unique("id"))
        # Its record waits until the broker is back, however long that takes.
        publisher = KafkaPublisher(own_broker.bootstrap, extra={"message.timeout.ms": 5 * FLUSH_MS})
        reader.assign({at: 0})
        assert reader.end_offsets([at]) == {at: 0}
        producer.init_transactions()
        producer.begin()
        producer.send(Outgoing(out, 0, None, b"lost"))
        own_broker.kill()
        monkeypatch.setattr(offset_lookup, "LOOKUP_S_MAX", 1.0)
        with pytest.raises(RetriableLogError, match="end offset"):
            reader.end_offsets([at])
        monkeypatch.undo()
        assert reader.poll(10, 200) == []
        publisher.publish(Outgoing(out, 0, None, b"late"))
        with pytest.raises(RetriableLogError, match="1 records"):
            publisher.flush(200)
        began_s = time.monotonic()
        producer.close()
        # It does not try for as long as at work.
        assert time.monotonic() - began_s < END_S_MAX
        own_broker.restart()
        publisher.flush(FLUSH_MS)
        publisher.close()
        assert read_all(log, out) == [b"late"]
        log.close()


class TestSettings:
    def test_the_deployment_can_not_change_what_correctness_rests_on(self) -> None:
        for extra in ({"isolation.level": "read_uncommitted"}, {"auto.commit.enable": True}, {"group.id": "other"}):
            with pytest.raises(ValueError, match=next(iter(extra))):
                KafkaConsumer("127.0.0.1:1", "group", extra=extra)
        with pytest.raises(ValueError, match="idempotence"):
            KafkaProducer("127.0.0.1:1", "id", extra={"enable.idempotence": False})

    def test_topics(self, log: KafkaLog) -> None:
        admin = log.admin()
        name = log.unique("topic")
        admin.create([TopicSpec(name, 3, {"cleanup.policy": "compact"})], replication=1)
        with pytest.raises(LogError, match=name):
            admin.create([TopicSpec(name, 3, {})], replication=1)
        admin.alter_config(name, {"retention.ms": "1000"})
        found = admin.describe([name, log.unique("none")], ["cleanup.policy", "retention.ms", "no.such"])
        assert found == {name: (name, 3, 1, {"cleanup.policy": "compact", "retention.ms": "1000"})}
        with pytest.raises(LogError, match=name):
            admin.alter_config(name, {"retention.ms": "soon"})
        assert admin.acls() is None


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


def read_from(consumer: KafkaConsumer, count: int) -> list[bytes | None]:
    """The values of the next records."""
    values: list[bytes | None] = []
    until_s = time.monotonic() + WAIT_S
    while len(values) < count:
        assert time.monotonic() < until_s, values
        values += [record.value for record in consumer.poll(10, 100)]
    return values
