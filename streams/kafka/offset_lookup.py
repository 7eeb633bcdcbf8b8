"""Look up first and last offsets of partitions over a separate connection.

A consumer's own connection answers such requests only after its current fetch, which waits for new records. And under
`read_committed` it would not return the true end.
"""

from __future__ import annotations

from collections.abc import Sequence

from confluent_kafka import IsolationLevel, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from streams.kafka.errors import call_error
from streams.kafka.partitions import from_client, to_client
from streams.kafka.retry import persist
from streams.kafka.settings import Settings, client_settings, connection_settings
from streams.ports import TopicPartition
from streams.ports.open_log import TopicNames

LOOKUP_S_MAX = 5.0
ATTEMPT_S_MAX = 2.0


class OffsetLookup:
    """Looks up offsets; connects at the first request."""

    def __init__(self, bootstrap: str, names: TopicNames, extra: Settings) -> None:
        """Use the brokers, topic names and settings of the client that this belongs to."""
        self._names = names
        self._settings = client_settings(bootstrap, fixed={}, extra=connection_settings(extra))
        self._client: AdminClient | None = None

    def beginnings(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the first offset that still exists, per partition."""
        return self._ask(partitions, OffsetSpec.earliest(), "first")

    def ends(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the high watermark per partition, open transactions included."""
        return self._ask(partitions, OffsetSpec.latest(), "end")

    def close(self) -> None:
        """Close the connection."""
        self._client = None

    def _ask(self, partitions: Sequence[TopicPartition], spec: OffsetSpec, which: str) -> dict[TopicPartition, int]:
        if not partitions:
            return {}
        asked = {to_client(self._names, partition): spec for partition in partitions}

        def ask(left_s: float) -> dict[TopicPartition, int]:
            try:
                return self._attempt(asked, min(left_s, ATTEMPT_S_MAX))
            except KafkaException:
                # This client keeps asking the leaders that it knows, even after they have answered that they no longer
                # lead; a new client finds out who leads.
                self._client = None
                raise

        topics = ", ".join(f"`{topic}`" for topic in sorted({partition.topic for partition in asked}))
        doing = f"look up the {which} offsets of {topics}"
        return persist(ask, lambda error: call_error(error, doing), LOOKUP_S_MAX)

    def _attempt(self, asked: dict[KafkaPartition, OffsetSpec], timeout_s: float) -> dict[TopicPartition, int]:
        if self._client is None:
            self._client = AdminClient(self._settings)
        self._client.poll(0)  # serves what librdkafka has logged; nothing else does for this client
        futures = self._client.list_offsets(
            asked, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=timeout_s
        )
        found = {from_client(self._names, partition): future.result().offset for partition, future in futures.items()}
        # INVARIANT: what did not answer in time has an offset below zero here, and no error. It must never pass for an
        # end that has been reached.
        if min(found.values()) < 0:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "some brokers did not answer"))
        return found
