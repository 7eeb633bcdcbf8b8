"""What a transactional producer promises, as seen by whoever reads."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from functools import partial

import pytest

from streams.ports import (
    AbortableTransactionError,
    FatalLogError,
    FencedError,
    LogError,
    Outgoing,
    Producer,
    TopicPartition,
)
from tests.contract.log_under_test import (
    LogUnderTest,
    Partitions,
    Recorder,
    committed,
    join_group,
    make_topic,
    read_to_end,
    ready_producer,
    record,
    values_of,
    write,
)

LARGE_BYTES = 2 * 1024 * 1024
PARTITIONS = 16
ABORTS = 50


@pytest.fixture(scope="module")
def partitions(log: LogUnderTest) -> Partitions:
    return Partitions(make_topic(log, "transactions", PARTITIONS), PARTITIONS)


def send_and_commit(producer: Producer, records: Sequence[Outgoing]) -> None:
    for one in records:
        producer.send(one)
    producer.commit()


def test_committed_records_are_read_as_they_were_sent(log: LogUnderTest, partitions: Partitions) -> None:
    at = partitions.fresh()
    sent = [
        Outgoing(at.topic, at.partition, b"key", b"value", (("ce_id", b"1"), ("ce_id", b"2"), ("empty", b""))),
        Outgoing(at.topic, at.partition, None, b"without a key"),
        Outgoing(at.topic, at.partition, b"without a value", None),
        Outgoing(at.topic, at.partition, None, None, (("only", b"\x00\xff"),)),
        Outgoing(at.topic, at.partition, b"", b""),
    ]
    producer = ready_producer(log, log.unique("writer"))
    producer.begin()
    for one in sent:
        producer.send(one)
    producer.commit()
    producer.close()
    received = read_to_end(log, at)
    assert [Outgoing(one.topic, one.partition, one.key, one.value, one.headers) for one in received] == sent
    assert all(one.timestamp_ms > 0 for one in received)


def test_a_commit_tells_when_the_broker_has_stored_its_records(log: LogUnderTest) -> None:
    at = TopicPartition(make_topic(log, "append-time", 1, {"message.timestamp.type": "LogAppendTime"}), 0)
    producer = ready_producer(log, log.unique("writer"))
    assert list(producer.stored_ms) == []
    producer.begin()
    producer.send(record(at, b"1"), lambda offset: None)
    producer.send(record(at, b"nobody asks for this one"))
    producer.commit()
    (stored_ms,) = producer.stored_ms
    assert stored_ms == read_to_end(log, at)[0].timestamp_ms
    producer.begin()
    producer.send(record(at, b"2"), lambda offset: None)
    producer.abort()
    assert list(producer.stored_ms) == [stored_ms]
    producer.close()


def test_stored_offsets_are_told_before_commit_returns(log: LogUnderTest, partitions: Partitions) -> None:
    first, second = partitions.fresh(), partitions.fresh()
    producer = ready_producer(log, log.unique("writer"))
    told: list[tuple[int, int]] = []

    def note(number: int, offset: int) -> None:
        told.append((number, offset))

    producer.begin()
    for number in range(6):
        at = first if number % 2 else second
        producer.send(record(at, b"%d" % number), partial(note, number))
    producer.send(record(first, b"nobody asks for this one's offset"))
    producer.commit()
    assert len(told) == 6
    producer.close()
    for at in (first, second):
        offsets = {one.value: one.offset for one in read_to_end(log, at)}
        for number, offset in told:
            if b"%d" % number in offsets:
                assert offsets.pop(b"%d" % number) == offset
        assert offsets.keys() <= {b"nobody asks for this one's offset"}


def test_aborted_records_are_never_seen(log: LogUnderTest, partitions: Partitions) -> None:
    at = partitions.fresh()
    producer = ready_producer(log, log.unique("writer"))
    write(producer, at, [b"before"])
    producer.begin()
    producer.send(record(at, b"aborted"))
    producer.abort()
    write(producer, at, [b"after"])
    producer.close()
    assert values_of(read_to_end(log, at)) == [b"before", b"after"]


def test_an_abort_right_after_a_commit_ends_no_producer(log: LogUnderTest) -> None:
    # Many partitions, so that the log is busy with the commit for a while.
    topic = make_topic(log, "busy", PARTITIONS)
    first, *_ = everywhere = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    producer = ready_producer(log, log.unique("writer"))
    for number in range(ABORTS):
        producer.begin()
        for at in everywhere:
            producer.send(record(at, b"kept"))
        producer.commit()
        producer.begin()
        producer.send(record(first, b"aborted"))
        # Time for the record's partition to be announced, and not always for the answer.
        time.sleep(number % 5 / 1_000)
        producer.abort()
    producer.close()
    assert values_of(read_to_end(log, first)) == [b"kept"] * ABORTS


def test_abort_and_close_without_a_transaction_do_nothing(log: LogUnderTest) -> None:
    producer = ready_producer(log, log.unique("writer"))
    producer.abort()
    producer.begin()
    producer.commit()
    producer.abort()
    producer.close()


def test_close_aborts_what_is_open(log: LogUnderTest, partitions: Partitions) -> None:
    at = partitions.fresh()
    name = log.unique("writer")
    producer = ready_producer(log, name)
    producer.begin()
    producer.send(record(at, b"left open"))
    producer.close()
    successor = ready_producer(log, name)
    write(successor, at, [b"next"])
    successor.close()
    assert values_of(read_to_end(log, at)) == [b"next"]


def test_outputs_and_offsets_are_committed_together(log: LogUnderTest, partitions: Partitions) -> None:
    source = make_topic(log, "together", 2)
    at = partitions.fresh()
    consumer = log.consumer(log.unique("group"), "a")
    listener = Recorder()
    join_group(consumer, [source], listener)
    first, second = listener.assigned
    producer = ready_producer(log, log.unique("writer"))
    assert committed(consumer, first, second) == {first: None, second: None}

    producer.begin()
    producer.send(record(at, b"aborted"))
    producer.send_offsets({first: 7}, consumer.group_metadata())
    producer.abort()
    assert committed(consumer, first, second) == {first: None, second: None}
    assert read_to_end(log, at) == []

    producer.begin()
    producer.send(record(at, b"committed"))
    producer.send_offsets({first: 3}, consumer.group_metadata())
    producer.commit()
    assert committed(consumer, first, second) == {first: 3, second: None}
    assert values_of(read_to_end(log, at)) == [b"committed"]
    producer.close()
    consumer.close()


def test_newer_holder_of_the_id_fences_and_aborts_the_older(log: LogUnderTest, partitions: Partitions) -> None:
    at = partitions.fresh()
    name = log.unique("writer")
    older = ready_producer(log, name)
    write(older, at, [b"of the older"])
    older.begin()
    older.send(record(at, b"open at the takeover"))

    newer = ready_producer(log, name)
    write(newer, at, [b"of the newer"])
    with pytest.raises(FencedError):
        older.commit()
    with contextlib.suppress(LogError):
        older.abort()
    with pytest.raises(FatalLogError):
        write(older, at, [b"zombie"])
    write(newer, at, [b"of the newer again"])
    older.close()
    newer.close()
    assert values_of(read_to_end(log, at)) == [b"of the older", b"of the newer", b"of the newer again"]


def test_other_ids_are_not_fenced(log: LogUnderTest, partitions: Partitions) -> None:
    at = partitions.fresh()
    first, second = ready_producer(log, log.unique("writer")), ready_producer(log, log.unique("writer"))
    write(first, at, [b"1"])
    write(second, at, [b"2"])
    write(first, at, [b"3"])
    first.close()
    second.close()
    assert values_of(read_to_end(log, at)) == [b"1", b"2", b"3"]


def test_too_large_record_is_refused_and_takes_its_transaction_with_it(
    log: LogUnderTest, partitions: Partitions
) -> None:
    at = partitions.fresh()
    name = log.unique("writer")
    producer = ready_producer(log, name)
    producer.begin()
    with pytest.raises(LogError, match=r"(?i)size|bytes|large"):
        send_and_commit(producer, [record(at, b"small"), record(at, b"x" * LARGE_BYTES)])
    with contextlib.suppress(LogError):
        producer.abort()
    producer.close()
    successor = ready_producer(log, name)
    write(successor, at, [b"next"])
    successor.close()
    assert values_of(read_to_end(log, at)) == [b"next"]


def test_record_for_no_partition_fails_the_transaction(log: LogUnderTest, partitions: Partitions) -> None:
    at = partitions.fresh()
    producer = ready_producer(log, log.unique("writer"))
    producer.begin()
    with pytest.raises(LogError):
        send_and_commit(producer, [record(at, b"with a bad one"), Outgoing(at.topic, PARTITIONS + 1, b"k", b"v")])
    with contextlib.suppress(LogError):
        producer.abort()
    producer.close()
    assert read_to_end(log, at) == []


def test_record_without_a_key_is_refused_by_a_compacted_topic(log: LogUnderTest) -> None:
    at = TopicPartition(make_topic(log, "table", 1, {"cleanup.policy": "compact"}), 0)
    producer = ready_producer(log, log.unique("writer"))
    producer.begin()
    with pytest.raises(LogError):
        send_and_commit(producer, [record(at, b"with a key"), record(at, b"without", key=None)])
    with contextlib.suppress(LogError):
        producer.abort()
    producer.close()
    assert read_to_end(log, at) == []


def test_transaction_must_be_begun(log: LogUnderTest, partitions: Partitions) -> None:
    producer = log.producer(log.unique("writer"))
    with pytest.raises(LogError):
        producer.begin()
    producer.init_transactions()
    with pytest.raises(LogError):
        producer.commit()
    with contextlib.suppress(AbortableTransactionError):
        producer.close()
