"""The log that the settings name: where every adapter of a log is made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from streams.app.clock import SystemClock
from streams.app.settings import Settings
from streams.embedded.log import EmbeddedLog
from streams.kafka.admin import KafkaAdmin
from streams.kafka.consumer import KafkaConsumer
from streams.kafka.producer import KafkaProducer
from streams.kafka.publisher import KafkaPublisher
from streams.kafka.reader import KafkaReader
from streams.ports import Admin, Consumer, Producer, Publisher, Reader


class Log(ABC):
    """A log, ready to hand out adapters. Who is handed one closes it; `close` releases what is shared."""

    name: str

    @abstractmethod
    def admin(self) -> Admin:
        """Topic and access set-up."""

    @abstractmethod
    def consumer(self, group: str, instance: str) -> Consumer:
        """A member of a consumer group."""

    @abstractmethod
    def producer(self, transactional_id: str) -> Producer:
        """A transactional producer."""

    @abstractmethod
    def publisher(self) -> Publisher:
        """A producer of single records."""

    @abstractmethod
    def reader(self) -> Reader:
        """A reader without a group."""

    @abstractmethod
    def close(self) -> None:
        """Release what is shared."""


class KafkaLog(Log):
    """A Kafka cluster."""

    def __init__(self, bootstrap: str, extra: dict[str, str | int | bool]) -> None:
        self.name = f"kafka at {bootstrap}"
        self._bootstrap = bootstrap
        self._extra = extra

    def admin(self) -> Admin:
        """Topic and access set-up."""
        return KafkaAdmin(self._bootstrap, extra=self._extra)

    def consumer(self, group: str, instance: str) -> Consumer:
        """A static member: a restart within the session timeout moves no partitions."""
        return KafkaConsumer(self._bootstrap, group, instance=instance, extra=self._extra)

    def producer(self, transactional_id: str) -> Producer:
        """A transactional producer."""
        return KafkaProducer(self._bootstrap, transactional_id, extra=self._extra)

    def publisher(self) -> Publisher:
        """A producer of single records."""
        return KafkaPublisher(self._bootstrap, extra=self._extra)

    def reader(self) -> Reader:
        """A reader without a group."""
        return KafkaReader(self._bootstrap, extra=self._extra)

    def close(self) -> None:
        """Nothing is shared."""


class FileLog(Log):
    """The embedded log."""

    def __init__(self, path: Path) -> None:
        self.name = f"embedded log in {path}"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._log = EmbeddedLog(path, clock=SystemClock())

    def admin(self) -> Admin:
        """Topic set-up."""
        return self._log.admin()

    def consumer(self, group: str, instance: str) -> Consumer:
        """A member of a consumer group."""
        return self._log.consumer(group, instance)

    def producer(self, transactional_id: str) -> Producer:
        """A transactional producer."""
        return self._log.producer(transactional_id)

    def publisher(self) -> Publisher:
        """A producer of single records."""
        return self._log.publisher()

    def reader(self) -> Reader:
        """A reader without a group."""
        return self._log.reader()

    def close(self) -> None:
        """Close the file."""
        self._log.close()


def open_log(settings: Settings) -> Log:
    """The log of the settings."""
    if settings.log == "kafka":
        return KafkaLog(settings.bootstrap, dict(settings.kafka))
    return FileLog(settings.embedded_path)
