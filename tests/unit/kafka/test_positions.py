"""A member reads on from where it was positioned, whatever the client library makes of that: real clients."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial

import pytest
from confluent_kafka import Consumer
from confluent_kafka import TopicPartition as KafkaPartition

from streams.kafka import consumer as consumer_module
from streams.kafka.consumer import KafkaConsumer
from streams.kafka.noticing.positions import AGAIN_MAX
from streams.ports import FatalLogError, TopicPartition
from tests.contract.log_under_test import Recorder
from tests.unit.kafka.own_broker import OwnBroker, own_broker
from tests.waiting import until

AT = TopicPartition("letters", 0)
START = 15
ANSWER_MS = 300
VALUES = [b"%d" % number for number in range(20)]


class ForgetfulConsumer(Consumer):
    """The library's consumer, some of whose seeks are lost: it goes on from the beginning."""

    lost_count = 0
    sought: list[int]

    def seek(self, partition: KafkaPartition) -> None:
        self.sought.append(partition.offset)
        is_lost = type(self).lost_count > 0
        type(self).lost_count -= is_lost
        super().seek(KafkaPartition(partition.topic, partition.partition, 0) if is_lost else partition)


class Member:
    """A member that positions its partition as soon as it is assigned, or `pause_s` later, and notes what it reads."""

    def __init__(self, broker: OwnBroker, pause_s: float = 0.0) -> None:
        self.offsets: list[int] = []
        self.consumer = KafkaConsumer(broker.bootstrap, "readers", positioned=True)
        self._pause_s = pause_s
        self.consumer.subscribe([AT.topic], self)

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> None:
        time.sleep(self._pause_s)
        self.consumer.seek(AT, START)
        self.consumer.resume([AT])

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Give nothing up: nothing was done."""

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Forget nothing."""

    def read_to(self, offset: int) -> None:
        def is_read() -> bool:
            self.offsets += [record.offset for record in self.consumer.poll(10, 100)]
            return bool(self.offsets) and self.offsets[-1] >= offset

        until(is_read, lambda: f"it has read {self.offsets}", pause_s=0.0)


@pytest.fixture
def broker() -> Iterator[OwnBroker]:
    with own_broker() as started:
        started.write(AT.topic, VALUES)
        yield started


@pytest.fixture
def lose(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], type[ForgetfulConsumer]]:
    """Let the next seeks of all members be lost."""
    monkeypatch.setattr(consumer_module, "Consumer", ForgetfulConsumer)
    ForgetfulConsumer.sought = []

    def losing(count: int) -> type[ForgetfulConsumer]:
        ForgetfulConsumer.lost_count = count
        return ForgetfulConsumer

    return losing


def test_what_is_before_the_position_is_dropped_and_the_partition_positioned_again(
    broker: OwnBroker, lose: Callable[[int], type[ForgetfulConsumer]], caplog: pytest.LogCaptureFixture
) -> None:
    client = lose(1)
    member = Member(broker)
    with closing(member.consumer), caplog.at_level(logging.WARNING, logger="streams.kafka"):
        member.read_to(19)
    assert member.offsets == list(range(START, 20))
    assert len(client.sought) > 1
    told = [record.getMessage() for record in caplog.records if "has gone back" in record.getMessage()]
    assert told
    assert "member of group `readers` is to read `letters` partition 0 from offset 15 on" in told[0]


def test_what_was_returned_is_not_returned_again(broker: OwnBroker) -> None:
    member = Member(broker)
    with closing(member.consumer):
        member.read_to(19)
        # Behind the adapter's back, as the library itself does it.
        member.consumer._client.seek(KafkaPartition(*AT, 0))
        broker.write(AT.topic, [b"more"] * 5)
        member.read_to(24)
        assert member.offsets == list(range(START, 25))
        member.consumer.seek(AT, 18)
        member.offsets.clear()
        member.read_to(24)
    assert member.offsets == list(range(18, 25))


def test_lost_seeks_that_are_hours_apart_do_not_add_up(broker: OwnBroker, caplog: pytest.LogCaptureFixture) -> None:
    """A partition without new records has the same position for as long as nobody writes."""
    member = Member(broker)

    def times_back() -> int:
        return sum("has gone back" in record.getMessage() for record in caplog.records)

    def is_back(before: int) -> bool:
        return not member.consumer.poll(10, 100) and times_back() > before

    with closing(member.consumer), caplog.at_level(logging.WARNING, logger="streams.kafka"):
        member.read_to(19)
        for _ in range(AGAIN_MAX + 2):
            before = times_back()
            member.consumer._client.seek(KafkaPartition(*AT, 0))
            # It goes back, is positioned again, and has reached its end again.
            until(partial(is_back, before), pause_s=0.0)
            until(lambda: not member.consumer.poll(10, 100) and member.consumer.has_reached_end(AT), pause_s=0.0)
        broker.write(AT.topic, [b"more"])
        member.read_to(20)
    assert member.offsets == list(range(START, 21))


def test_who_is_not_positioned_takes_what_comes_after_a_log_was_cut_off(broker: OwnBroker) -> None:
    """The library goes back on purpose: what is new has old offsets."""
    executor = KafkaConsumer(broker.bootstrap, "executors")
    offsets: list[int] = []

    def read_to(count: int) -> None:
        def is_read() -> bool:
            offsets.extend(record.offset for record in executor.poll(10, 100))
            return len(offsets) >= count

        until(is_read, pause_s=0.0)

    with closing(executor):
        executor.subscribe([AT.topic], Recorder())
        read_to(20)
        executor._client.seek(KafkaPartition(*AT, 10))
        read_to(30)
    assert offsets == [*range(20), *range(10, 20)]


def test_a_client_that_goes_back_again_and_again_ends(
    broker: OwnBroker, lose: Callable[[int], type[ForgetfulConsumer]]
) -> None:
    lose(1_000)
    member = Member(broker)
    expected = r"can't read `letters` partition 0 from offset 15 on .*: the client goes back .* again and again"
    with closing(member.consumer), pytest.raises(FatalLogError, match=expected):
        until(lambda: member.consumer.poll(10, 100), pause_s=0.0)


def test_a_position_that_is_given_while_the_brokers_take_their_time_counts(caplog: pytest.LogCaptureFixture) -> None:
    """The library would look up the beginning of a partition that is assigned there, and lose a seek meanwhile."""
    with own_broker(answer_after_ms=ANSWER_MS) as slow:
        slow.write(AT.topic, VALUES)
        member = Member(slow, pause_s=ANSWER_MS / 4_000)
        with closing(member.consumer), caplog.at_level(logging.WARNING, logger="streams.kafka"):
            member.read_to(19)
            slow.write(AT.topic, [b"more"] * 5)
            member.read_to(24)
    assert member.offsets == list(range(START, 25))
    assert not [record for record in caplog.records if "has gone back" in record.getMessage()]
