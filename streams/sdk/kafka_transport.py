"""The SDK on Apache Kafka."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from streams.kafka.admin import KafkaAdmin
from streams.kafka.consumer import KafkaConsumer
from streams.kafka.prefixed import Prefix, PrefixedConsumer, PrefixedProducer, PrefixedPublisher, PrefixedReader
from streams.kafka.producer import KafkaProducer
from streams.kafka.publisher import KafkaPublisher
from streams.kafka.reader import KafkaReader
from streams.ports import Consumer, LogError, Producer, Publisher, Reader
from streams.sdk.entropy import SYSTEM, Entropy
from streams.sdk.transport import RecordCodec, Transport


class KafkaTransport(Transport):
    """A connection to a cluster. `streams.sdk.connect` makes one."""

    def __init__(
        self,
        bootstrap: str,
        codec: RecordCodec,
        *,
        topic_prefix: str = "",
        extra: Mapping[str, str | int | bool] | None = None,
        entropy: Entropy = SYSTEM,
    ) -> None:
        """Connect at the first use.

        Args:
            bootstrap: the brokers, `host:port`, comma-separated.
            topic_prefix: what the deployment's topics begin with on this cluster (its setting `topics.prefix`).
            extra: further librdkafka settings (SASL, TLS, timeouts).
        """
        super().__init__(codec)
        self._bootstrap = bootstrap
        self._prefix = Prefix(topic_prefix)
        self._extra = dict(extra or {})
        self._entropy = entropy
        self._counts_lock = threading.Lock()
        self._partition_counts: dict[str, int] = {}

    def reader(self) -> Reader:
        """See `Transport`."""
        return PrefixedReader(KafkaReader(self._bootstrap, extra=self._extra), self._prefix)

    def consumer(self, group: str, instance: str) -> Consumer:
        """See `Transport`."""
        consumer = KafkaConsumer(self._bootstrap, group, instance=instance, extra=self._extra)
        return PrefixedConsumer(consumer, self._prefix)

    def producer(self, transactional_id: str) -> Producer:
        """See `Transport`."""
        return PrefixedProducer(KafkaProducer(self._bootstrap, transactional_id, extra=self._extra), self._prefix)

    def partitions(self, topic: str) -> int:
        """See `Transport`. Asked once for each topic: a count that changes would tear sessions apart anyway."""
        with self._counts_lock:
            known = self._partition_counts.get(topic)
            if known is None:
                known = self._partition_counts[topic] = self._ask_partitions(topic)
            return known

    def now_ms(self) -> int:
        """See `Transport`."""
        return self._entropy.now_ms()

    def _open_publisher(self) -> Publisher:
        return PrefixedPublisher(KafkaPublisher(self._bootstrap, extra=self._extra), self._prefix)

    def _ask_partitions(self, topic: str) -> int:
        admin = KafkaAdmin(self._bootstrap, extra=self._extra)
        named = self._prefix.on_log(topic)
        try:
            state = admin.describe([named], ()).get(named)
        finally:
            admin.close()
        if state is None:
            raise LogError(f"there is no topic `{named}` on `{self._bootstrap}`: run `stoplog topics apply`")
        return state.partitions
