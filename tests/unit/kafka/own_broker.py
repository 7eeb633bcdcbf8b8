"""A broker of librdkafka's own, for tests with real clients that need no Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Producer

from streams.kafka.settings import LOGGER
from tests.waiting import WAIT_S


class OwnBroker:
    """A broker that lives as long as its first client, which writes the records of the test."""

    def __init__(self, owner: Producer, bootstrap: str) -> None:
        self._owner = owner
        self.bootstrap = bootstrap

    def write(self, topic: str, values: list[bytes]) -> None:
        """Store records in the topic's first partition."""
        for value in values:
            self._owner.produce(topic, value, partition=0)
        assert self._owner.flush(WAIT_S) == 0


@contextmanager
def own_broker(*, answer_after_ms: int = 0) -> Iterator[OwnBroker]:
    """Run a broker that takes this long for each answer."""
    owner = Producer({"test.mock.num.brokers": 1, "test.mock.broker.rtt": answer_after_ms, "logger": LOGGER})
    [found] = owner.list_topics(timeout=WAIT_S).brokers.values()
    yield OwnBroker(owner, f"{found.host}:{found.port}")
    owner.flush(0)
