"""The log that the settings name: where every adapter of a log is made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from streams.embedded.log import EmbeddedLog
from streams.kafka.admin import KafkaAdmin
from streams.kafka.consumer import KafkaConsumer
from streams.kafka.prefixed import (
    Prefix,
    PrefixedAdmin,
    PrefixedConsumer,
    PrefixedProducer,
    PrefixedPublisher,
    PrefixedReader,
)
from streams.kafka.producer import KafkaProducer
from streams.kafka.publisher import KafkaPublisher
from streams.kafka.reader import KafkaReader
from streams.model.errors import StoplogError
from streams.ports import Admin, Consumer, Producer, Publisher, Reader
from streams.stores.private_folder import make_private
from streams.wiring.clock import SystemClock
from streams.wiring.settings import Settings


class LogMissingError(StoplogError):
    """There is no log where the settings say."""


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

    def __enter__(self) -> Self:
        """The log, which is open already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


class KafkaLog(Log):
    """A Kafka cluster."""

    def __init__(self, bootstrap: str, extra: dict[str, str | int | bool]) -> None:
        self.name = f"Kafka cluster at {bootstrap}"
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
        make_private(path.parent)
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


class PrefixedLog(Log):
    """Another log, on which every topic of ours has a prefix."""

    def __init__(self, inner: Log, prefix: str) -> None:
        self.name = f"{inner.name}, topics with prefix `{prefix}`"
        self._inner = inner
        self._prefix = Prefix(prefix)

    def admin(self) -> Admin:
        """Topic and access set-up."""
        return PrefixedAdmin(self._inner.admin(), self._prefix)

    def consumer(self, group: str, instance: str) -> Consumer:
        """A member of a consumer group."""
        return PrefixedConsumer(self._inner.consumer(group, instance), self._prefix)

    def producer(self, transactional_id: str) -> Producer:
        """A transactional producer."""
        return PrefixedProducer(self._inner.producer(transactional_id), self._prefix)

    def publisher(self) -> Publisher:
        """A producer of single records."""
        return PrefixedPublisher(self._inner.publisher(), self._prefix)

    def reader(self) -> Reader:
        """A reader without a group."""
        return PrefixedReader(self._inner.reader(), self._prefix)

    def close(self) -> None:
        """Close the other one."""
        self._inner.close()


def open_log(settings: Settings, *, create: bool = True) -> Log:
    """The log of the settings.

    Args:
        create: whether to make an embedded log where there is none. A Kafka cluster is never made.

    Raises:
        LogMissingError: there is no embedded log, and none is to be made.
        LogError: the embedded log's file can't be opened.
    """
    log = _open(settings, create)
    return PrefixedLog(log, settings.topics.prefix) if settings.topics.prefix else log


def _open(settings: Settings, create: bool) -> Log:
    if settings.log == "kafka":
        return KafkaLog(settings.bootstrap, dict(settings.kafka))
    path = settings.embedded_path
    if not create and not path.is_file():
        raise LogMissingError(
            f"there is no embedded log at `{path}`; make it with `stoplog topics apply`, or name another state folder "
            "(`--state-dir`) or a cluster (`--bootstrap`)"
        )
    return FileLog(path)
