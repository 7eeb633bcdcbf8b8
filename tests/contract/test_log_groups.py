"""What a consumer group promises: who reads what, from where, and who may still commit."""

from __future__ import annotations

import contextlib
import time

import pytest

from streams.ports import (
    AbortableTransactionError,
    Consumer,
    FencedError,
    GroupMetadata,
    LogError,
    Membership,
    Producer,
    TopicPartition,
)
from tests.contract.log_under_test import (
    POLL_MS,
    LogUnderTest,
    Recorder,
    committed,
    join_group,
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


def commit_offset(producer: Producer, group: GroupMetadata, at: TopicPartition, offset: int) -> None:
    producer.begin()
    finish(producer, group, at, offset)


def finish(producer: Producer, group: GroupMetadata, at: TopicPartition, offset: int) -> None:
    producer.send_offsets({at: offset}, group)
    producer.commit()


def test_group_starts_at_the_beginning_and_resumes_where_it_committed(log: LogUnderTest) -> None:
    topic = make_topic(log, "resume", 1)
    at = TopicPartition(topic, 0)
    group, writer = log.unique("group"), log.unique("writer")
    publish(log, at, [b"0", b"1", b"2", b"3"])

    consumer = log.consumer(group, "a")
    consumer.subscribe([topic], Recorder())
    received = poll_records(consumer, 4)
    assert [(one.offset, one.value) for one in received] == [(0, b"0"), (1, b"1"), (2, b"2"), (3, b"3")]
    assert committed(consumer, at) == {at: None}
    assert consumer.beginning_offsets([at]) == {at: 0}
    producer = ready_producer(log, writer)
    commit_offset(producer, consumer.group_metadata(), at, 2)
    producer.close()
    consumer.close()

    restarted = log.consumer(group, "a")
    restarted.subscribe([topic], Recorder())
    assert poll_values(restarted, 2) == [b"2", b"3"]
    assert committed(restarted, at) == {at: 2}
    restarted.close()


def test_offsets_are_committed_without_a_transaction_by_whoever_has_the_partition(log: LogUnderTest) -> None:
    topic = make_topic(log, "plain", 1)
    at = TopicPartition(topic, 0)
    group = log.unique("group")
    publish(log, at, [b"0", b"1", b"2"])
    consumer = log.consumer(group, "a")
    consumer.subscribe([topic], Recorder())
    assert poll_values(consumer, 3) == [b"0", b"1", b"2"]
    consumer.commit({})
    assert committed(consumer, at) == {at: None}
    consumer.commit({at: 1})
    consumer.commit({at: 2})
    assert committed(consumer, at) == {at: 2}
    consumer.close()

    restarted = log.consumer(group, "a")
    restarted.subscribe([topic], Recorder())
    assert poll_values(restarted, 1) == [b"2"]
    restarted.close()


def test_aborted_input_is_read_again_after_seeking_back(log: LogUnderTest) -> None:
    topic = make_topic(log, "again", 1)
    at = TopicPartition(topic, 0)
    publish(log, at, [b"0", b"1"])
    consumer = log.consumer(log.unique("group"), "a")
    consumer.subscribe([topic], Recorder())
    assert poll_values(consumer, 2) == [b"0", b"1"]
    producer = ready_producer(log, log.unique("writer"))
    producer.begin()
    producer.send_offsets({at: 2}, consumer.group_metadata())
    producer.abort()

    consumer.seek(at, committed(consumer, at)[at] or 0)
    assert poll_values(consumer, 2) == [b"0", b"1"]
    commit_offset(producer, consumer.group_metadata(), at, 1)
    consumer.seek(at, committed(consumer, at)[at] or 0)
    assert poll_values(consumer, 1) == [b"1"]
    producer.close()
    consumer.close()


def test_paused_partitions_stand_still(log: LogUnderTest) -> None:
    topic = make_topic(log, "pause", 2)
    still, going = TopicPartition(topic, 0), TopicPartition(topic, 1)
    consumer = log.consumer(log.unique("group"), "a")
    join_group(consumer, [topic], Recorder())
    consumer.pause([still])
    publish(log, still, [b"s0", b"s1"])
    publish(log, going, [b"g0"])
    assert poll_values(consumer, 1) == [b"g0"]
    assert consumer.poll(max_records=10, timeout_ms=300) == []
    consumer.resume([still])
    assert poll_values(consumer, 2) == [b"s0", b"s1"]

    # Also what may have been fetched ahead: one record is returned, the other held back.
    publish(log, still, [b"s2", b"s3"])
    found: list[bytes | None] = []
    while not found:
        found += values_of(consumer.poll(1, POLL_MS))
    consumer.pause([still])
    assert consumer.poll(max_records=10, timeout_ms=300) == []
    consumer.resume([still])
    assert found + poll_values(consumer, 1) == [b"s2", b"s3"]
    consumer.close()


def test_partitions_that_come_back_are_not_paused_any_more(log: LogUnderTest) -> None:
    topic = make_topic(log, "unpause", 2)
    places = [TopicPartition(topic, number) for number in range(2)]
    group = log.unique("group")
    first, listener = log.consumer(group, "a"), Recorder()
    join_group(first, [topic], listener)
    first.pause(places)

    second, other = log.consumer(group, "b"), Recorder()
    second.subscribe([topic], other)

    def both_own() -> bool:
        first.poll(10, POLL_MS)
        second.poll(10, POLL_MS)
        return bool(listener.assigned) and bool(other.assigned) and len(listener.events) > 1

    until(both_own, "each has one")
    (kept,) = listener.assigned
    publish(log, kept, [b"0"])
    found: list[bytes | None] = []

    def read() -> bool:
        second.poll(10, 0)
        found.extend(values_of(first.poll(10, POLL_MS)))
        return bool(found)

    until(read, "the record on the partition that was paused")
    assert found == [b"0"]
    second.close()
    first.close()


def test_to_resume_what_is_not_paused_loses_nothing(log: LogUnderTest) -> None:
    topic = make_topic(log, "resume-all", 1)
    place = TopicPartition(topic, 0)
    consumer = log.consumer(log.unique("group"), "a")
    join_group(consumer, [topic], Recorder())
    publish(log, place, [b"%d" % number for number in range(50)])
    found: list[bytes | None] = []

    def all_read() -> bool:
        consumer.resume([place])
        found.extend(values_of(consumer.poll(3, POLL_MS)))
        return len(found) >= 50

    until(all_read, "all records")
    assert found == [b"%d" % number for number in range(50)]
    consumer.close()


@pytest.mark.parametrize("paused", [False, True])
def test_what_was_read_but_not_committed_is_read_again_by_whoever_is_next(log: LogUnderTest, paused: bool) -> None:
    topic = make_topic(log, "again", 2)
    places = [TopicPartition(topic, number) for number in range(2)]
    for place in places:
        publish(log, place, [b"%d-%d" % (place.partition, number) for number in range(5)])
    group = log.unique("group")
    first, listener = log.consumer(group, "a"), Recorder()
    first.subscribe([topic], listener)
    assert len(poll_values(first, 10)) == 10
    if paused:
        first.pause(places)

    second, other = log.consumer(group, "b"), Recorder()
    second.subscribe([topic], other)
    found: list[bytes | None] = []

    def all_again() -> bool:
        for consumer in (first, second):
            found.extend(values_of(consumer.poll(10, POLL_MS)))
        return len(found) >= 10

    until(all_again, "both partitions from their beginning")
    assert len(listener.assigned) == len(other.assigned) == 1
    assert sorted(value or b"" for value in found) == [b"%d-%d" % (p, n) for p in range(2) for n in range(5)]
    second.close()
    first.close()


@pytest.mark.timed
def test_empty_poll_waits_and_returns(log: LogUnderTest) -> None:
    topic = make_topic(log, "idle", 1)
    consumer = log.consumer(log.unique("group"), "a")
    join_group(consumer, [topic], Recorder())
    start_s = time.monotonic()
    assert consumer.poll(max_records=10, timeout_ms=400) == []
    assert 0.35 <= time.monotonic() - start_s < 5
    start_s = time.monotonic()
    assert consumer.poll(max_records=10, timeout_ms=0) == []
    assert time.monotonic() - start_s < 0.3
    consumer.close()


def test_poll_returns_no_more_than_asked_for_and_keeps_the_order(log: LogUnderTest) -> None:
    topic = make_topic(log, "bounded", 2)
    for number in range(2):
        publish(log, TopicPartition(topic, number), [b"%d" % value for value in range(10)])
    consumer = log.consumer(log.unique("group"), "a")
    consumer.subscribe([topic], Recorder())
    by_partition: dict[int, list[int]] = {0: [], 1: []}

    def all_read() -> bool:
        polled = consumer.poll(max_records=3, timeout_ms=POLL_MS)
        assert len(polled) <= 3
        for one in polled:
            by_partition[one.partition].append(one.offset)
        return sum(map(len, by_partition.values())) >= 20

    until(all_read, "20 records")
    assert by_partition == {0: list(range(10)), 1: list(range(10))}
    consumer.close()


def test_close_gives_partitions_back_in_good_order(log: LogUnderTest) -> None:
    topic = make_topic(log, "leave", 1)
    at = TopicPartition(topic, 0)
    consumer = log.consumer(log.unique("group"), "a")
    producer = ready_producer(log, log.unique("writer"))

    def commit_before_leaving() -> None:
        commit_offset(producer, consumer.group_metadata(), at, 5)

    listener = Recorder(while_revoked=commit_before_leaving)
    join_group(consumer, [topic], listener)
    consumer.close()
    assert listener.events == [("assigned", [at]), ("revoked", [at])]
    producer.close()


class Pair:
    """Two members of one group, polled in turns, and the log of who was told what."""

    def __init__(self, log: LogUnderTest, topics: list[str]) -> None:
        self.topics = topics
        self.group = log.unique("group")
        self.log = log
        self.told: list[tuple[str, str]] = []
        self.first = log.consumer(self.group, "a")
        self.first_listener = Recorder()
        join_group(self.first, topics, self.first_listener)

    def second_joins(self) -> Consumer:
        second = self.log.consumer(self.group, "b")
        self.second_listener = Recorder()
        second.subscribe(self.topics, self.second_listener)
        until(lambda: self._settled(second), "both members have partitions")
        return second

    def _settled(self, second: Consumer) -> bool:
        assert self.first.poll(10, POLL_MS) == []
        assert second.poll(10, POLL_MS) == []
        both = set(self.first_listener.assigned) | set(self.second_listener.assigned)
        shared = bool(self.first_listener.assigned) and bool(self.second_listener.assigned)
        return shared and len(both) == 4 * len(self.topics)


def test_rebalance_keeps_equal_partition_numbers_together_and_fences_the_old_generation(log: LogUnderTest) -> None:
    topics = [make_topic(log, "intents", 4), make_topic(log, "sessions", 4)]
    output = TopicPartition(make_topic(log, "out", 1), 0)
    pair = Pair(log, topics)
    everything = [TopicPartition(topic, number) for topic in topics for number in range(4)]
    assert pair.first_listener.assigned == sorted(everything)
    stale = pair.first.group_metadata()

    second = pair.second_joins()
    # The first member gave everything back before it was given less.
    assert pair.first_listener.kinds() == ["assigned", "revoked", "assigned"]
    assert pair.second_listener.kinds()[-1] == "assigned"
    owners: dict[int, set[str]] = {}
    for name, listener in (("a", pair.first_listener), ("b", pair.second_listener)):
        for partition in listener.assigned:
            owners.setdefault(partition.partition, set()).add(name)
    assert sorted(owners) == [0, 1, 2, 3]
    assert all(len(names) == 1 for names in owners.values())
    assert sorted(pair.first_listener.assigned + pair.second_listener.assigned) == sorted(everything)

    # What was read under the old generation can't be committed any more, nor what came of it.
    zombie = ready_producer(log, log.unique("writer"))
    zombie.begin()
    zombie.send(record(output, b"of the old generation"))
    with pytest.raises((FencedError, AbortableTransactionError)):
        finish(zombie, stale, everything[0], 1)
    with contextlib.suppress(LogError):
        zombie.abort()
    zombie.close()

    current = ready_producer(log, log.unique("writer"))
    mine = pair.first_listener.assigned[0]
    current.begin()
    current.send(record(output, b"of the new generation"))
    current.send_offsets({mine: 1}, pair.first.group_metadata())
    current.commit()
    current.close()
    assert values_of(read_to_end(log, output)) == [b"of the new generation"]
    assert committed(pair.first, everything[0], mine)[mine] == 1

    # Who leaves hands everything to who stays.
    second.close()
    assert pair.second_listener.kinds()[-1] == "revoked"
    until(
        lambda: not pair.first.poll(1, POLL_MS) and len(pair.first_listener.assigned) == len(everything),
        "the first member has everything again",
    )
    pair.first.close()


def reaches_end(consumer: Consumer, at: TopicPartition) -> list[bytes | None]:
    """Poll until the partition was read to its end; return what came."""
    found: list[bytes | None] = []

    def has_reached() -> bool:
        found.extend(values_of(consumer.poll(10, POLL_MS)))
        return consumer.has_reached_end(at)

    until(has_reached, f"the end of {at}")
    return found


def test_the_end_is_known_once_everything_was_read(log: LogUnderTest) -> None:
    topic = make_topic(log, "end", 2)
    full, empty = TopicPartition(topic, 0), TopicPartition(topic, 1)
    publish(log, full, [b"0", b"1", b"2"])
    consumer = log.consumer(log.unique("group"), "a")
    assert not consumer.has_reached_end(full)
    consumer.subscribe([topic], Recorder())
    assert not consumer.has_reached_end(full)
    found: list[bytes | None] = []

    def one_more() -> bool:
        found.extend(values_of(consumer.poll(1, POLL_MS)))
        return len(found) == 2

    until(one_more, "two of three records")
    assert not consumer.has_reached_end(full)
    assert found + reaches_end(consumer, full) == [b"0", b"1", b"2"]
    assert reaches_end(consumer, empty) == []

    publish(log, full, [b"3"])
    until(lambda: consumer.poll(10, POLL_MS) != [], "the new record")
    assert reaches_end(consumer, full) == []
    consumer.seek(full, 1)
    assert not consumer.has_reached_end(full)
    assert reaches_end(consumer, full) == [b"1", b"2", b"3"]
    consumer.seek(full, 4)
    assert reaches_end(consumer, full) == []
    consumer.close()


def test_the_high_watermark_is_known_after_a_fetch(log: LogUnderTest) -> None:
    topic = make_topic(log, "watermark", 2)
    full, empty = TopicPartition(topic, 0), TopicPartition(topic, 1)
    publish(log, full, [b"0", b"1", b"2"])
    consumer = log.consumer(log.unique("group"), "a")
    join_group(consumer, [topic], Recorder())
    reaches_end(consumer, full)
    reaches_end(consumer, empty)
    assert (consumer.end_offset(full), consumer.end_offset(empty)) == (3, 0)
    publish(log, full, [b"3"])
    until(lambda: consumer.poll(10, POLL_MS) != [], "the new record")
    reaches_end(consumer, full)
    assert consumer.end_offset(full) == 4
    consumer.close()


def test_the_end_is_not_that_of_open_transactions(log: LogUnderTest) -> None:
    topic = make_topic(log, "stable-end", 1)
    at = TopicPartition(topic, 0)
    consumer = log.consumer(log.unique("group"), "a")
    join_group(consumer, [topic], Recorder())
    producer = ready_producer(log, log.unique("writer"))
    write(producer, at, [b"committed"])
    assert poll_values(consumer, 1) == [b"committed"]
    assert reaches_end(consumer, at) == []  # behind the marker

    producer.begin()
    producer.send(record(at, b"aborted"))
    consumer.poll(10, 5 * POLL_MS)
    assert consumer.has_reached_end(at)
    producer.abort()
    consumer.poll(10, 5 * POLL_MS)
    assert reaches_end(consumer, at) == []
    write(producer, at, [b"last"])
    assert poll_values(consumer, 1) == [b"last"]
    assert reaches_end(consumer, at) == []
    producer.close()
    consumer.close()


def test_the_end_is_known_again_after_a_pause(log: LogUnderTest) -> None:
    topic = make_topic(log, "end-paused", 1)
    at = TopicPartition(topic, 0)
    consumer = log.consumer(log.unique("group"), "a")
    join_group(consumer, [topic], Recorder())
    assert reaches_end(consumer, at) == []
    consumer.pause([at])
    publish(log, at, [b"0"])
    # Else the answer on a file is from before: it is as old as the last poll.
    assert consumer.poll(10, POLL_MS) == []
    assert not consumer.has_reached_end(at)
    consumer.resume([at])
    assert reaches_end(consumer, at) == [b"0"]
    consumer.pause([at])
    consumer.resume([at])
    assert reaches_end(consumer, at) == []
    consumer.close()


def test_groups_do_not_disturb_each_other(log: LogUnderTest) -> None:
    topic = make_topic(log, "shared", 1)
    at = TopicPartition(topic, 0)
    publish(log, at, [b"0", b"1"])
    first, second = log.consumer(log.unique("group"), "a"), log.consumer(log.unique("group"), "a")
    first.subscribe([topic], Recorder())
    second.subscribe([topic], Recorder())
    assert poll_values(first, 2) == [b"0", b"1"]
    assert poll_values(second, 2) == [b"0", b"1"]
    producer = ready_producer(log, log.unique("writer"))
    commit_offset(producer, first.group_metadata(), at, 2)
    producer.close()
    assert (committed(first, at), committed(second, at)) == ({at: 2}, {at: None})
    first.close()
    second.close()


def test_nothing_is_assigned_nothing_can_be_sought(log: LogUnderTest) -> None:
    topic = make_topic(log, "unassigned", 1)
    consumer = log.consumer(log.unique("group"), "a")
    with pytest.raises(LogError):
        consumer.group_metadata()
    with pytest.raises(LogError):
        consumer.seek(TopicPartition(topic, 0), 0)
    consumer.close()


def test_members_are_known_in_the_order_in_which_partitions_are_assigned(log: LogUnderTest) -> None:
    topic = make_topic(log, "members", 3)
    group = log.unique("group")
    listeners = {name: Recorder() for name in ("gate-2", "gate-10", "Gate-3")}
    consumers = {name: log.named_consumer(group, name) for name in listeners}
    for name, consumer in consumers.items():
        consumer.subscribe([topic], listeners[name])
    found: dict[str, Membership] = {}

    def all_have_one_partition() -> bool:
        for consumer in consumers.values():
            consumer.poll(1, POLL_MS)
        return all(len(listener.assigned) == 1 for listener in listeners.values())

    def all_know_the_members() -> bool:
        for name, consumer in consumers.items():
            consumer.poll(1, POLL_MS)
            membership = consumer.membership()
            if membership is not None:
                found[name] = membership
        return len(found) == len(consumers)

    until(all_have_one_partition, "an assignment among three")
    until(all_know_the_members, "the members")
    by_partition = sorted(listeners, key=lambda name: listeners[name].assigned)
    assert by_partition == ["Gate-3", "gate-10", "gate-2"]
    assert found == {name: Membership(tuple(by_partition), by_partition.index(name)) for name in listeners}
    for consumer in consumers.values():
        consumer.close()
