"""Membership, leases and restarts of group members, on a clock that the test moves."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.embedded import EmbeddedLog
from streams.embedded.assignor import assign_ranges
from streams.ports import Consumer, FatalLogError, FencedError, LogError, RetriableLogError, TopicPartition
from tests.contract.log_under_test import Recorder
from tests.unit.embedded.reading_writing import LEASE_MS, ManualClock, create, put, read_all, write


def joined(log: EmbeddedLog, instance: str, topics: Sequence[str], recorder: Recorder) -> Consumer:
    consumer = log.consumer("group", instance)
    consumer.subscribe(topics, recorder)
    consumer.poll(1, 0)
    return consumer


def numbers(recorder: Recorder) -> list[int]:
    return [partition.partition for partition in recorder.assigned]


def test_member_that_stops_polling_loses_its_partitions(log: EmbeddedLog, clock: ManualClock) -> None:
    at = create(log, "t", 4)
    dead, alive = Recorder(), Recorder()
    first = joined(log, "a", ["t"], dead)
    second = log.consumer("group", "b")
    second.subscribe(["t"], alive)
    for consumer in (first, second, first, second):
        consumer.poll(1, 0)
    assert (numbers(dead), numbers(alive)) == ([0, 1], [2, 3])
    stale = first.group_metadata()

    clock.advance(LEASE_MS - 1)
    second.poll(1, 0)
    assert numbers(alive) == [2, 3]
    clock.advance(LEASE_MS // 2)
    second.poll(1, 0)
    second.poll(1, 0)
    assert numbers(alive) == [0, 1, 2, 3]

    # The removed member cannot commit, learns that its partitions are lost, and is admitted again.
    producer = log.producer("writer")
    producer.init_transactions()
    producer.begin()
    producer.send(put(at, None, "zombie"))
    producer.send_offsets({at: 1}, stale)
    with pytest.raises(FencedError, match="was removed"):
        producer.commit()
    producer.abort()
    with pytest.raises(RetriableLogError, match="was removed"):
        first.commit({at: 1})
    assert second.committed([at]) == {at: None}
    assert read_all(log, at) == []
    for consumer in (first, second, first, second):
        consumer.poll(1, 0)
    assert dead.kinds() == ["assigned", "revoked", "assigned", "lost", "assigned"]
    assert (numbers(dead), numbers(alive)) == ([0, 1], [2, 3])


def test_locked_file_does_not_end_a_reader(path: Path, clock: ManualClock) -> None:
    log = EmbeddedLog(path, clock=clock, lease_ms=LEASE_MS, lock_timeout_ms=50)
    at = create(log, "t")
    write(log, [put(at, None, "1")])
    recorder, other_recorder = Recorder(), Recorder()
    consumer = log.consumer("group", "a")
    consumer.subscribe(["t"], recorder)
    other = joined(log, "b", ["t"], other_recorder)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    clock.advance(LEASE_MS // 2)
    assert consumer.poll(1, 0) == []
    assert other.poll(1, 0) == []
    holder.execute("ROLLBACK")
    holder.close()
    found = [*consumer.poll(1, 0), *other.poll(1, 0), *consumer.poll(1, 0)]
    assert [one.value for one in found] == [b"1"]
    assert recorder.assigned == [at]
    log.close()


def test_lone_member_keeps_its_place_over_a_long_pause(log: EmbeddedLog, clock: ManualClock) -> None:
    create(log, "t", 2)
    recorder = Recorder()
    consumer = joined(log, "a", ["t"], recorder)
    clock.advance(100 * LEASE_MS)
    consumer.poll(1, 0)
    assert recorder.kinds() == ["assigned"]


def test_commits_keep_a_member_alive(log: EmbeddedLog, clock: ManualClock) -> None:
    at = create(log, "t", 2)
    busy, other = Recorder(), Recorder()
    first = joined(log, "a", ["t"], busy)
    second = log.consumer("group", "b")
    second.subscribe(["t"], other)
    for consumer in (first, second, first, second):
        consumer.poll(1, 0)
    producer = log.producer("writer")
    producer.init_transactions()
    for offset in range(6):
        clock.advance(LEASE_MS // 2)
        producer.begin()
        producer.send_offsets({at: offset}, first.group_metadata())
        producer.commit()
        second.poll(1, 0)
    assert other.kinds() == ["assigned"]
    assert busy.assigned == [at]


def test_clock_set_back_does_not_keep_the_dead(log: EmbeddedLog, clock: ManualClock) -> None:
    create(log, "t", 2)
    dead, alive = Recorder(), Recorder()
    joined(log, "a", ["t"], dead)
    clock.wall_ms -= 3_600_000
    second = joined(log, "b", ["t"], alive)
    second.poll(1, 0)
    assert numbers(alive) == [0, 1]


def test_clock_set_back_does_not_hurt_the_living(log: EmbeddedLog, clock: ManualClock) -> None:
    create(log, "t", 2)
    recorder = Recorder()
    consumer = joined(log, "a", ["t"], recorder)
    clock.wall_ms -= 3_600_000
    for _ in range(3):
        consumer.poll(1, 0)
    assert recorder.kinds() == ["assigned"]


def test_restart_takes_over_at_once_and_ends_the_former(log: EmbeddedLog) -> None:
    at = create(log, "t", 2)
    former_recorder, recorder = Recorder(), Recorder()
    former = joined(log, "a", ["t"], former_recorder)
    stale = former.group_metadata()
    joined(log, "a", ["t"], recorder)
    assert numbers(recorder) == [0, 1]
    producer = log.producer("writer")
    producer.init_transactions()
    producer.begin()
    producer.send_offsets({at: 1}, stale)
    with pytest.raises(FencedError):
        producer.commit()
    with pytest.raises(FencedError, match="started again"):
        former.poll(1, 0)
    assert former_recorder.kinds() == ["assigned", "lost"]
    former.close()
    assert former_recorder.kinds() == ["assigned", "lost"]


def test_close_after_being_put_out_is_a_loss(log: EmbeddedLog) -> None:
    create(log, "t", 1)
    recorder = Recorder()
    former = joined(log, "a", ["t"], recorder)
    joined(log, "a", ["t"], Recorder())
    former.close()
    former.close()
    assert recorder.kinds() == ["assigned", "lost"]


def test_work_may_be_committed_while_partitions_are_given_back(log: EmbeddedLog) -> None:
    at = create(log, "t", 1)
    producer = log.producer("writer")
    producer.init_transactions()
    consumer = log.consumer("group", "b")

    def commit_rest() -> None:
        producer.begin()
        producer.send_offsets({at: 9}, consumer.group_metadata())
        producer.commit()

    consumer.subscribe(["t"], Recorder(while_revoked=commit_rest))
    consumer.poll(1, 0)
    taker_recorder = Recorder()
    taker = joined(log, "a", ["t"], taker_recorder)
    assert taker_recorder.assigned == []
    consumer.poll(1, 0)
    taker.poll(1, 0)
    assert taker_recorder.assigned == [at]
    assert taker.committed([at]) == {at: 9}


def test_topic_that_is_made_later_is_assigned_then(log: EmbeddedLog) -> None:
    recorder = Recorder()
    consumer = joined(log, "a", ["early", "late"], recorder)
    assert recorder.assigned == []
    early = create(log, "early")
    write(log, [put(early, None, "1")])
    assert [one.value for one in consumer.poll(10, 0)] == [b"1"]
    late = create(log, "late")
    write(log, [put(late, None, "2")])
    # Nothing was committed: the assignment starts over.
    assert sorted(one.value or b"" for one in consumer.poll(10, 0)) == [b"1", b"2"]
    assert recorder.assigned == [early, late]
    assert recorder.kinds()[-3:] == ["assigned", "revoked", "assigned"]


def test_error_of_the_listener_reaches_the_caller_and_is_not_the_end(log: EmbeddedLog) -> None:
    create(log, "t", 1)
    failures = [True]

    def fail_once() -> None:
        if failures.pop():
            failures.append(False)
            raise RuntimeError("no disk")

    recorder = Recorder(while_revoked=fail_once)
    consumer = joined(log, "b", ["t"], recorder)
    joined(log, "c", ["t"], Recorder())
    with pytest.raises(RuntimeError, match="no disk"):
        consumer.poll(1, 0)
    consumer.poll(1, 0)
    assert recorder.kinds()[:2] == ["assigned", "revoked"]


def test_consumer_must_subscribe_once_and_not_be_closed(log: EmbeddedLog) -> None:
    consumer = log.consumer("group", "a")
    with pytest.raises(FatalLogError, match="has not subscribed"):
        consumer.poll(1, 0)
    consumer.subscribe(["t"], Recorder())
    with pytest.raises(FatalLogError, match="already"):
        consumer.subscribe(["t"], Recorder())
    consumer.close()
    with pytest.raises(FatalLogError, match="closed"):
        consumer.poll(1, 0)


def test_metadata_of_another_log_is_refused(log: EmbeddedLog) -> None:
    at = create(log, "t")
    producer = log.producer("writer")
    producer.init_transactions()
    producer.begin()
    producer.send_offsets({at: 1}, object())
    with pytest.raises(LogError, match="not from the embedded log"):
        producer.commit()


TOPICS = st.dictionaries(st.sampled_from("xyz"), st.integers(1, 9), min_size=1)


@given(
    partitions=TOPICS,
    wishes=st.lists(st.lists(st.sampled_from("xyzw"), min_size=1, unique=True), min_size=1, max_size=6),
)
def test_every_partition_has_one_owner_that_wants_it(partitions: dict[str, int], wishes: list[list[str]]) -> None:
    subscriptions = dict(enumerate(wishes))
    dealt = assign_ranges(subscriptions, list(subscriptions), partitions)
    owners: dict[TopicPartition, int] = {}
    for member, owned in dealt.items():
        for partition in owned:
            assert partition.topic in subscriptions[member]
            assert partition not in owners
            owners[partition] = member
    wanted = {topic for wish in wishes for topic in wish} & partitions.keys()
    assert owners.keys() == {TopicPartition(topic, n) for topic in wanted for n in range(partitions[topic])}


@given(partitions=TOPICS, members=st.integers(1, 12))
def test_equal_numbers_stay_together_and_shares_differ_by_one_at_most(partitions: dict[str, int], members: int) -> None:
    dealt = assign_ranges({member: list(partitions) for member in range(members)}, range(members), partitions)
    owner_of = {partition.partition: member for member, owned in dealt.items() for partition in owned}
    for member, owned in dealt.items():
        assert all(owner_of[partition.partition] == member for partition in owned)
    shares = [len({partition.partition for partition in owned}) for owned in dealt.values()]
    assert max(shares) - min(shares) <= 1
