"""A Kafka cluster as one log."""

from __future__ import annotations

from streams.kafka.admin import KafkaAdmin
from streams.kafka.consumer import KafkaConsumer
from streams.kafka.producer import KafkaProducer
from streams.kafka.publisher import KafkaPublisher
from streams.kafka.reader import KafkaReader
from streams.kafka.settings import NO_SETTINGS, Settings
from streams.ports.open_log import Log, TopicNames


class KafkaLog(Log):
    """Makes clients of one cluster. Each has its own connections, made at its first use."""

    def __init__(self, bootstrap: str, *, topic_prefix: str = "", extra: Settings = NO_SETTINGS) -> None:
        """Create the log; nothing is connected yet.

        Args:
            bootstrap: the brokers, `host:port`, comma-separated.
            topic_prefix: the prefix of the deployment's topics on this cluster.
            extra: further librdkafka settings (SASL, TLS, timeouts), for every client.
        """
        self._bootstrap = bootstrap
        self._names = TopicNames(topic_prefix)
        self._extra = dict(extra)

    @property
    def name(self) -> str:
        """Return the log's name for messages."""
        return f"Kafka cluster at {self._bootstrap}{self._names.suffix()}"

    def admin(self) -> KafkaAdmin:
        """Make a client that sets up topics and access."""
        return KafkaAdmin(self._bootstrap, names=self._names, extra=self._extra)

    def consumer(self, group: str, instance: str, *, positioned: bool = False) -> KafkaConsumer:
        """Make a static member: a restart within the session timeout moves no partitions."""
        return KafkaConsumer(
            self._bootstrap, group, instance=instance, positioned=positioned, names=self._names, extra=self._extra
        )

    def producer(self, transactional_id: str, *, gathers: bool = False) -> KafkaProducer:
        """Make a transactional producer."""
        return KafkaProducer(self._bootstrap, transactional_id, gathers=gathers, names=self._names, extra=self._extra)

    def publisher(self) -> KafkaPublisher:
        """Make a writer of single records."""
        return KafkaPublisher(self._bootstrap, names=self._names, extra=self._extra)

    def reader(self) -> KafkaReader:
        """Make a reader without a group."""
        return KafkaReader(self._bootstrap, names=self._names, extra=self._extra)

    def close(self) -> None:
        """Do nothing: the clients share nothing."""
