"""What a reader without a group and a publisher outside transactions promise."""

from __future__ import annotations

import threading
import time

import pytest

from streams.ports import LogError, Outgoing, Reader, Received, TopicPartition
from tests.contract.log_under_test import (
    FLUSH_MS,
    POLL_MS,
    LogUnderTest,
    Partitions,
    WallClock,
    make_topic,
    poll_records,
    poll_values,
    publish,
    read_to_end,
    ready_producer,
    record,
    until,
    values_of,
    write,
)

PARTITIONS = 16
LARGE_BYTES = 2 * 1024 * 1024
CLOCKS_APART_MS = 1_000


@pytest.fixture(scope="module")
def partitions(log: LogUnderTest) -> Partitions:
    topic = make_topic(log, "reading", PARTITIONS, {"message.timestamp.type": "LogAppendTime"})
    return Partitions(topic, PARTITIONS)


def test_reads_from_the_given_offset_and_follows_new_records(log: LogUnderTest, partitions: Partitions) -> None:
    at = partitions.fresh()
    publish(log, at, [b"0", b"1", b"2"])
    reader = log.reader()
    assert reader.end_offsets([at]) == {at: 3}
    reader.assign({at: 1})
    assert reader.position(at) == 1
    assert poll_values(reader, 2) == [b"1", b"2"]
    assert reader.position(at) == 3
    publish(log, at, [b"3"])
    assert poll_values(reader, 1) == [b"3"]
    assert reader.end_offsets([at]) == {at: 4}
    reader.close()


def looked_up(reader: Reader, at: TopicPartition) -> int:
    """Where the partition ends, as the reader says when it is asked again and again."""
    found: list[dict[TopicPartition, int]] = []

    def has_come() -> bool:
        ends = reader.look_for_ends([at])
        if ends is not None:
            found.append(ends)
        return bool(found)

    until(has_come)
    return found[0][at]


def test_ends_are_looked_up_without_waiting(log: LogUnderTest, partitions: Partitions) -> None:
    at = partitions.fresh()
    publish(log, at, [b"0", b"1", b"2"])
    reader = log.reader()
    assert looked_up(reader, at) == 3
    publish(log, at, [b"3"])
    # The answer was taken, so this is another question.
    assert looked_up(reader, at) == 4
    reader.close()


def test_a_transaction_that_has_ended_is_not_named(log: LogUnderTest, partitions: Partitions) -> None:
    at = partitions.fresh()
    producer = ready_producer(log, log.unique("writer"))
    write(producer, at, [b"committed"])
    reader = log.reader()
    assert reader.oldest_transaction(at) is None
    producer.close()
    reader.close()


def test_lag_is_known_without_asking(log: LogUnderTest, partitions: Partitions) -> None:
    at = partitions.fresh()
    publish(log, at, [b"0", b"1", b"2"])
    reader = log.reader()
    reader.assign({at: 0})
    assert reader.lag(at) in (None, 3)
    found: list[Received] = []
    while not found:
        found += reader.poll(1, POLL_MS)
    assert reader.lag(at) == 2
    assert poll_values(reader, 2) == [b"1", b"2"]
    assert reader.lag(at) == 0
    reader.close()


def test_new_assignment_replaces_the_old(log: LogUnderTest, partitions: Partitions) -> None:
    first, second = partitions.fresh(), partitions.fresh()
    publish(log, first, [b"1"])
    publish(log, second, [b"2"])
    reader = log.reader()
    reader.assign({first: 0})
    assert poll_values(reader, 1) == [b"1"]
    reader.assign({second: 0})
    assert poll_values(reader, 1) == [b"2"]
    reader.assign({first: 0, second: 0})
    assert sorted(value or b"" for value in poll_values(reader, 2)) == [b"1", b"2"]
    reader.assign({})
    assert reader.poll(max_records=10, timeout_ms=0) == []
    reader.close()


def test_position_passes_what_holds_no_data(log: LogUnderTest, partitions: Partitions) -> None:
    at = partitions.fresh()
    producer = ready_producer(log, log.unique("writer"))
    write(producer, at, [b"0"])
    producer.begin()
    producer.send(record(at, b"aborted"))
    producer.abort()
    producer.close()
    reader = log.reader()
    end = reader.end_offsets([at])[at]
    reader.assign({at: 0})
    found: list[bytes | None] = []

    def at_end() -> bool:
        found.extend(values_of(reader.poll(10, POLL_MS)))
        return reader.position(at) >= end

    until(at_end, f"position {end}")
    assert found == [b"0"]
    # From the end, too, nothing but new records comes.
    reader.assign({at: end})
    publish(log, at, [b"new"])
    assert poll_values(reader, 1) == [b"new"]
    reader.close()


def test_open_transaction_is_not_read_and_holds_back_nothing_of_others(
    log: LogUnderTest, partitions: Partitions
) -> None:
    at, other = partitions.fresh(), partitions.fresh()
    producer = ready_producer(log, log.unique("writer"))
    reader = log.reader()
    reader.assign({at: 0, other: 0})
    producer.begin()
    producer.send(record(at, b"open"))
    publish(log, other, [b"elsewhere"])
    assert poll_values(reader, 1) == [b"elsewhere"]
    assert reader.poll(max_records=10, timeout_ms=300) == []
    producer.commit()
    assert poll_values(reader, 1) == [b"open"]
    producer.close()
    reader.close()


def test_empty_poll_waits_and_returns(log: LogUnderTest, partitions: Partitions) -> None:
    reader = log.reader()
    reader.assign({partitions.fresh(): 0})
    waited_s = []
    for _ in range(3):
        start_s = time.monotonic()
        assert reader.poll(max_records=10, timeout_ms=400) == []
        waited_s.append(time.monotonic() - start_s)
    # A reader may return early, with nothing, when it comes to the end for the first time, whenever that is.
    early, *others = sorted(waited_s)
    assert min(others) >= 0.35, early
    assert max(others) < 30
    reader.close()


def test_waiting_poll_wakes_for_a_record(log: LogUnderTest, partitions: Partitions) -> None:
    at = partitions.fresh()
    reader = log.reader()
    reader.assign({at: 0})
    reader.poll(max_records=1, timeout_ms=POLL_MS)
    publisher = log.publisher()
    writer = threading.Timer(0.3, publisher.publish, [record(at, b"at last")])
    writer.start()
    start_s = time.monotonic()
    found = poll_values(reader, 1)
    assert time.monotonic() - start_s < 30
    writer.join()
    publisher.close()
    assert found == [b"at last"]
    reader.close()


def test_append_time_is_the_logs_and_never_goes_back(log: LogUnderTest, partitions: Partitions) -> None:
    at = partitions.fresh()
    clock = WallClock()
    before_ms = clock.now_ms()
    for value in (b"0", b"1", b"2"):
        publish(log, at, [value])
    after_ms = clock.now_ms()
    reader = log.reader()
    reader.assign({at: 0})
    stamps = [one.timestamp_ms for one in poll_records(reader, 3)]
    reader.close()
    assert stamps == sorted(stamps)
    assert before_ms - CLOCKS_APART_MS <= stamps[0] <= stamps[-1] <= after_ms + CLOCKS_APART_MS


def test_end_offsets_of_an_unknown_topic_fail(log: LogUnderTest) -> None:
    reader = log.reader()
    with pytest.raises(LogError):
        reader.end_offsets([TopicPartition(log.unique("nowhere"), 0)])
    reader.close()


def test_threads_publish_everything_once_and_each_in_order(log: LogUnderTest, partitions: Partitions) -> None:
    at = partitions.fresh()
    publisher = log.publisher()

    def work(worker: int) -> None:
        for number in range(100):
            publisher.publish(Outgoing(at.topic, at.partition, b"%d" % worker, b"%d" % number, (("h", b"v"),)))

    workers = [threading.Thread(target=work, args=[worker]) for worker in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    publisher.flush(FLUSH_MS)
    received = read_to_end(log, at)
    publisher.close()
    assert len(received) == 400
    for worker_number in range(4):
        own = [one for one in received if one.key == b"%d" % worker_number]
        assert values_of(own) == [b"%d" % number for number in range(100)]
    assert {one.headers for one in received} == {(("h", b"v"),)}


def test_refused_record_is_named_once_and_spoils_no_other(log: LogUnderTest, partitions: Partitions) -> None:
    at = partitions.fresh()
    publisher = log.publisher()
    publisher.publish(record(at, b"before"))

    def publish_large() -> None:
        publisher.publish(record(at, b"x" * LARGE_BYTES))
        publisher.flush(FLUSH_MS)

    with pytest.raises(LogError, match=at.topic):
        publish_large()
    publisher.publish(record(at, b"after"))
    publisher.flush(FLUSH_MS)
    publisher.close()
    assert values_of(read_to_end(log, at)) == [b"before", b"after"]


def test_flush_with_nothing_queued_returns(log: LogUnderTest) -> None:
    publisher = log.publisher()
    publisher.flush(timeout_ms=1_000)
    publisher.close()
