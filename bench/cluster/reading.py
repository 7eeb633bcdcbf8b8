"""Reads topics with a client and a decoder of its own, so that the verdict on the gates rests on none of their code."""

from __future__ import annotations

import io
import struct
import threading
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import fastavro
from confluent_kafka import Consumer, KafkaError, TopicPartition

SEAL_KEY = b"seal"
"""The key of the records on the verdict topic that are no verdicts."""

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas" / "avro"
POLL_RECORDS = 1_000
POLL_S = 0.1
READ_S_MAX = 120.0
_PREFIX = struct.Struct(">BI")

# A reader must not be what is silent: it looks for new leaders, and for brokers that are back, more often than others.
READER_SETTINGS: Mapping[str, str | int | bool] = {
    "group.id": "stoplog-reader",
    "isolation.level": "read_committed",
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "auto.offset.reset": "error",
    "fetch.wait.max.ms": 50,
    "fetch.queue.backoff.ms": 50,
    "reconnect.backoff.max.ms": 500,
    "socket.timeout.ms": 10_000,
    "topic.metadata.refresh.fast.interval.ms": 50,
}


class Stored(NamedTuple):
    """A committed record: where it stands, and its value as bytes and as fields."""

    partition: int
    offset: int
    value: bytes
    fields: dict[str, Any]


class Arrival(NamedTuple):
    """When a record could be read."""

    at_ms: float
    record: Stored


class Topics:
    """A deployment's topics on a cluster, for reading."""

    def __init__(self, bootstrap: str, settings: Mapping[str, str | int | bool], partitions: int) -> None:
        """Args:
        bootstrap: the brokers, comma-separated.
        settings: how to be let in, in librdkafka's names.
        partitions: of each topic.
        """
        self._settings = {"bootstrap.servers": bootstrap, **READER_SETTINGS, **settings}
        self.partitions = partitions

    def consumer(self, topic: str) -> Consumer:
        """Return a client that reads all partitions from their first offset on."""
        client = Consumer(self._settings)
        client.assign([TopicPartition(topic, number, 0) for number in range(self.partitions)])
        return client

    def read_whole(self, topic: str, schema: str) -> list[Stored]:
        """Return everything committed on the topic but seals, in order by partition.

        Raises:
            RuntimeError: the end of some partition is not reached within READ_S_MAX.
        """
        client = self.consumer(topic)
        ended: set[int] = set()
        found: list[Stored] = []
        deadline_s = time.monotonic() + READ_S_MAX
        while len(ended) < self.partitions:
            for message in client.consume(POLL_RECORDS, POLL_S):
                error = message.error()
                if error is None:
                    if message.key() != SEAL_KEY:
                        found.append(stored(message, schema))
                elif error.code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition() or 0)
            if time.monotonic() > deadline_s:
                raise RuntimeError(f"`{topic}` is not read to its end after {READ_S_MAX} s")
        client.close()
        return found


class Observer:
    """Notes, in a thread of its own, when each record of a topic can be read."""

    def __init__(self, topics: Topics, topic: str, schema: str) -> None:
        """Begin with the topic's first record."""
        self._client = topics.consumer(topic)
        self._schema = schema
        self._ending = threading.Event()
        self.arrivals: list[Arrival] = []
        self._thread = threading.Thread(target=self._run, name=f"observer of {topic}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._ending.set()
        self._thread.join()
        self._client.close()

    def _run(self) -> None:
        while not self._ending.is_set():
            message = self._client.poll(POLL_S)
            if message is not None and message.error() is None and message.key() != SEAL_KEY:
                self.arrivals.append(Arrival(time.time_ns() / 1e6, stored(message, self._schema)))


def stored(message: Any, schema: str) -> Stored:
    """Decode a message.

    Raises:
        ValueError: it has no Avro value with a schema's id before it.
    """
    value: bytes = message.value() or b""
    return Stored(message.partition(), message.offset(), value, fields_of(value, schema))


def fields_of(value: bytes, schema: str) -> dict[str, Any]:
    """Decode the value of a record.

    Raises:
        ValueError: it is no Avro with a schema's id before it.
    """
    magic, _ = _PREFIX.unpack_from(value)
    if magic != 0:
        raise ValueError("a value does not begin with a schema's id")
    fields: Any = fastavro.schemaless_reader(io.BytesIO(value[_PREFIX.size :]), _schema(schema), None)
    if not isinstance(fields, dict):
        raise TypeError(f"a value of `{schema}` is no record")
    return fields


@cache
def _schema(name: str) -> Any:
    # The version that everybody here writes: that of this checkout.
    (path,) = SCHEMAS.glob(f"{name}.v*.avsc")
    return fastavro.schema.load_schema(str(path))


def instant_ms(instant: Any) -> float:
    """Return milliseconds since the epoch; the decoder reads Avro's timestamps as `datetime`."""
    return instant.timestamp() * 1_000 if hasattr(instant, "timestamp") else float(instant)
