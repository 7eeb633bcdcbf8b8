"""The log on a real broker, for the contract suite."""

from __future__ import annotations

import itertools
import os
import time
from typing import Protocol, TypeVar

from streams.kafka.admin import KafkaAdmin
from streams.kafka.consumer import KafkaConsumer
from streams.kafka.producer import KafkaProducer
from streams.kafka.publisher import KafkaPublisher
from streams.kafka.reader import KafkaReader
from streams.ports import LogError


class _Closeable(Protocol):
    def close(self) -> None: ...


_Client = TypeVar("_Client", bound=_Closeable)
_count = itertools.count()
# The broker may outlive the test run (STOPLOG_TEST_BOOTSTRAP): names of one run must differ from another's.
_RUN = f"{os.getpid()}-{time.monotonic_ns() // 1_000_000}"


class KafkaLog:
    """Hands out clients of one broker and closes them all in the end."""

    name = "kafka"

    def __init__(self, bootstrap: str) -> None:
        """`bootstrap` is the address of the broker."""
        self._bootstrap = bootstrap
        self._clients: list[_Closeable] = []

    def admin(self) -> KafkaAdmin:
        """A new admin client."""
        return self._kept(KafkaAdmin(self._bootstrap))

    def consumer(self, group: str, instance: str) -> KafkaConsumer:
        """A new member of the group. The members are dynamic: `instance` names them for the test only."""
        return self._kept(KafkaConsumer(self._bootstrap, group, extra={"client.id": instance}))

    def named_consumer(self, group: str, instance: str) -> KafkaConsumer:
        """A new static member of the group."""
        return self._kept(KafkaConsumer(self._bootstrap, group, instance=instance))

    def producer(self, transactional_id: str) -> KafkaProducer:
        """A new transactional producer, not initialised."""
        return self._kept(KafkaProducer(self._bootstrap, transactional_id))

    def publisher(self) -> KafkaPublisher:
        """A new publisher."""
        return self._kept(KafkaPublisher(self._bootstrap))

    def reader(self) -> KafkaReader:
        """A new reader."""
        return self._kept(KafkaReader(self._bootstrap))

    def unique(self, name: str) -> str:
        """A name for a topic, group or transactional id that no other test has."""
        return f"{name}-{_RUN}-{next(_count)}"

    def close(self) -> None:
        """Close everything handed out, the latest first."""
        while self._clients:
            try:
                self._clients.pop().close()
            except LogError:
                # Tests leave clients fenced or with failed records behind, on purpose.
                continue

    def _kept(self, client: _Client) -> _Client:
        self._clients.append(client)
        return client
