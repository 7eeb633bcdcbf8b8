"""A Kafka cluster as one log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import KafkaError, KafkaException

from streams.kafka.admin import KafkaAdmin
from streams.kafka.consumer import KafkaConsumer
from streams.kafka.producer import KafkaProducer
from streams.kafka.publisher import KafkaPublisher
from streams.kafka.reader import KafkaReader
from streams.kafka.settings import NO_SETTINGS, Settings
from streams.model.errors import SettingsError
from streams.ports.open_log import Log, TopicNames


@contextmanager
def _settings_named() -> Iterator[None]:
    """Make clients, and name a setting of librdkafka that is unknown, or has an invalid value.

    Raises:
        SettingsError: there is one; librdkafka checks its settings where a client is made.
    """
    try:
        yield
    except ValueError as error:
        raise SettingsError(f"setting `kafka`: {error}") from None
    except KafkaException as error:
        fault = error.args[0]
        if fault.code() != KafkaError._INVALID_ARG:
            raise
        text = fault.str().replace('"', "`")
        raise SettingsError(f"setting `kafka`: {text[:1].lower()}{text[1:]}") from None


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
        with _settings_named():
            return KafkaAdmin(self._bootstrap, names=self._names, extra=self._extra)

    def consumer(self, group: str, instance: str, *, positioned: bool = False) -> KafkaConsumer:
        """Make a static member: a restart within the session timeout moves no partitions."""
        with _settings_named():
            return KafkaConsumer(
                self._bootstrap, group, instance=instance, positioned=positioned, names=self._names, extra=self._extra
            )

    def producer(self, transactional_id: str, *, gathers: bool = False) -> KafkaProducer:
        """Make a transactional producer."""
        with _settings_named():
            return KafkaProducer(
                self._bootstrap, transactional_id, gathers=gathers, names=self._names, extra=self._extra
            )

    def publisher(self) -> KafkaPublisher:
        """Make a writer of single records."""
        with _settings_named():
            return KafkaPublisher(self._bootstrap, names=self._names, extra=self._extra)

    def reader(self) -> KafkaReader:
        """Make a reader without a group."""
        with _settings_named():
            return KafkaReader(self._bootstrap, names=self._names, extra=self._extra)

    def close(self) -> None:
        """Do nothing: the clients share nothing."""
