"""A commit of offsets that does not come back ends the member: real clients, and a broker that stands still."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest
from confluent_kafka import Consumer

from streams.kafka import consumer as consumer_module
from streams.kafka.consumer import KafkaConsumer
from streams.kafka.groups.offsets import GroupOffsets
from streams.kafka.settings import client_settings
from streams.ports import FatalLogError, RetriableLogError, TopicPartition
from streams.ports.open_log import PLAIN_NAMES
from tests.unit.kafka.own_broker import own_broker
from tests.waiting import until

GROUP = "given-up"
# The library looks for the coordinator for that long; a commit is waited for far less.
SESSION_MS = 1_500
LONG_SESSION_MS = 15_000
WAITED = {"session.timeout.ms": 50, "socket.timeout.ms": 50}
LETTERS = TopicPartition("letters", 0)
OFFSETS = {TopicPartition("agent.verdict.v1", 0): 7}


@pytest.fixture
def member(monkeypatch: pytest.MonkeyPatch) -> Iterator[Consumer]:
    """A member whose broker takes connections and answers nothing, as one that was stopped by SIGSTOP."""
    monkeypatch.setattr("streams.kafka.groups.offsets.LATE_S_MAX", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = "{}:{}".format(*listening.getsockname()[:2])
        fixed = {"group.id": GROUP, "session.timeout.ms": SESSION_MS, "heartbeat.interval.ms": 250}
        client = Consumer(client_settings(address, fixed=fixed))
        client.subscribe(["agent.verdict.v1"])
        yield client
        client.close()


def test_the_member_is_given_up_and_its_thread_ends_with_the_call(member: Consumer) -> None:
    offsets = GroupOffsets(member, GROUP, PLAIN_NAMES, WAITED)
    with pytest.raises(FatalLogError, match=r"commit offsets of group `given-up`: .* has not returned after"):
        offsets.commit(OFFSETS)
    assert _is_committing(), "the call has returned before it was given up"
    with pytest.raises(FatalLogError, match="an earlier call has not returned"):
        offsets.commit(OFFSETS)
    offsets.close()
    until(lambda: not _is_committing(), "the thread ends")


def test_a_member_whose_commit_does_not_return_is_closed_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library lets all other calls of a client wait for the commit: to be left, it must not be polled."""
    monkeypatch.setattr("streams.kafka.groups.offsets.LATE_S_MAX", 0.1)
    monkeypatch.setattr("streams.kafka.bounded.bounded_close.CLOSE_S_MAX", 0.1)
    monkeypatch.setattr(
        consumer_module, "GroupOffsets", lambda client, group, names, _: GroupOffsets(client, group, names, WAITED)
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = "{}:{}".format(*listening.getsockname()[:2])
        consumer = KafkaConsumer(address, GROUP, extra={"session.timeout.ms": LONG_SESSION_MS})
        with pytest.raises(FatalLogError, match="has not returned after"):
            consumer.commit(OFFSETS)
        consumer.close()
        assert _is_committing(), "it was waited for"
        until(lambda: not _is_committing(), "the thread ends")


class Leaving:
    """Commits when its partitions are taken away, within a poll, and notes what came of it."""

    def __init__(self, bootstrap: str) -> None:
        self.consumer = KafkaConsumer(bootstrap, GROUP)
        self.is_assigned = False
        self.outcomes: list[str] = []
        self.consumer.subscribe([LETTERS.topic], self)

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self.is_assigned = True

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        try:
            self.consumer.commit({LETTERS: 5})
            self.outcomes.append("stored")
        except RetriableLogError:
            self.outcomes.append("refused")

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Commit nothing."""


def test_a_commit_of_what_is_taken_away_is_answered() -> None:
    """The library lets calls of other threads wait for a poll, and the commit is made in a thread of its own."""
    with own_broker() as broker:
        broker.write(LETTERS.topic, [b"value"] * 10)
        first = Leaving(broker.bootstrap)
        with closing(first.consumer):
            until(lambda: first.consumer.poll(10, 100) is not None and first.is_assigned, pause_s=0.0)
            with closing(Leaving(broker.bootstrap).consumer) as second:

                def is_answered() -> bool:
                    second.poll(10, 100)
                    first.consumer.poll(10, 100)
                    return bool(first.outcomes)

                until(is_answered, pause_s=0.0)


def _is_committing() -> bool:
    return f"stoplog commit {GROUP}" in {thread.name for thread in threading.enumerate()}
