"""First and last offsets of partitions, asked of the brokers over a connection of its own.

A consumer's own connection answers such questions only after the fetch that is waiting there for new records, and
under `read_committed` it would not tell the true end.
"""

from __future__ import annotations

from collections.abc import Sequence

from confluent_kafka import IsolationLevel, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from streams.kafka.errors import call_error
from streams.kafka.retry import persist
from streams.kafka.settings import Settings, client_settings, connection_settings
from streams.ports import TopicPartition

LOOKUP_S_MAX = 5.0


class OffsetLookup:
    """Connects at the first question."""

    def __init__(self, bootstrap: str, extra: Settings) -> None:
        """`extra` is that of the client this belongs to."""
        self._settings = client_settings(bootstrap, fixed={}, extra=connection_settings(extra))
        self._client: AdminClient | None = None

    def beginnings(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The first offset that is still there, per partition."""
        return self._ask(partitions, OffsetSpec.earliest(), "first")

    def ends(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The high watermark per partition, open transactions included."""
        return self._ask(partitions, OffsetSpec.latest(), "end")

    def close(self) -> None:
        """Release the connection."""
        self._client = None

    def _ask(self, partitions: Sequence[TopicPartition], spec: OffsetSpec, which: str) -> dict[TopicPartition, int]:
        if not partitions:
            return {}
        if self._client is None:
            self._client = AdminClient(self._settings)
        self._client.poll(0)  # serves what librdkafka has logged; nothing else does for this client
        asked = {KafkaPartition(partition.topic, partition.partition): spec for partition in partitions}
        client = self._client

        def ask(timeout_s: float) -> dict[TopicPartition, int]:
            futures = client.list_offsets(
                asked, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=timeout_s
            )
            found = {
                TopicPartition(partition.topic, partition.partition): future.result().offset
                for partition, future in futures.items()
            }
            # INVARIANT: what did not answer in time has an offset below zero here, and no error. It must never pass
            # for an end that has been reached.
            if min(found.values()) < 0:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "some brokers did not answer"))
            return found

        topics = ", ".join(f"`{topic}`" for topic in sorted({partition.topic for partition in partitions}))
        doing = f"look up the {which} offsets of {topics}"
        return persist(ask, lambda error: call_error(error, doing), LOOKUP_S_MAX)
