"""The log as a whole: where the clients of the ports come from, and how a deployment's topics are called on it."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Protocol, Self

from streams.model.errors import StoplogError
from streams.ports.log import Admin, Consumer, Producer, Publisher, Reader, TopicPartition

EMBEDDED_LOG_FILE = "log.sqlite"
"""The file of an embedded log, in the folder of local state."""


class LogMissingError(StoplogError):
    """There is no log where the settings say."""


class TopicNames:
    """How topics are called inside a deployment, and how on a log that it shares with others.

    A deployment with a prefix has its topics beside those of other deployments on one cluster. Everything above an
    adapter knows plain names; the adapter translates where a name crosses the client library, and nowhere else.
    """

    def __init__(self, prefix: str = "") -> None:
        """Remember what goes before each name on the log; by default nothing."""
        self.prefix = prefix

    def on_log(self, topic: str) -> str:
        """Return the topic's name on the log."""
        return self.prefix + topic

    def own(self, name: str) -> str:
        """Return the name inside the deployment of a topic that has this name on the log."""
        return name.removeprefix(self.prefix)

    def has(self, name: str) -> bool:
        """Return whether a topic of this name on the log belongs to the deployment."""
        return name.startswith(self.prefix)

    def own_partitions(self, partitions: Iterable[TopicPartition]) -> list[TopicPartition]:
        """Return partitions of the log under their topics' names inside the deployment."""
        return [TopicPartition(self.own(name), number) for name, number in partitions]

    def suffix(self) -> str:
        """Return what the name of a log says about the prefix; empty without one."""
        return f", topics with prefix `{self.prefix}`" if self.prefix else ""


PLAIN_NAMES = TopicNames()
"""Names without a prefix."""


class Log(Protocol):
    """Hands out clients of one log. Thread-safe; each client is for one thread at a time (a publisher for any).

    Who asks for a client closes it. `close` releases what the clients share; it may be used as a context manager.
    """

    @property
    def name(self) -> str:
        """What to call the log in messages: which kind it is, and where."""

    def admin(self) -> Admin:
        """Make a client that sets up topics and access."""

    def consumer(self, group: str, instance: str, *, positioned: bool = False) -> Consumer:
        """Make a member of a consumer group.

        Args:
            group: the group.
            instance: its stable name in the group.
            positioned: whether the listener seeks each partition that it is assigned before it resumes it. Nothing of a
                partition is returned before that. If records are deleted before they are read, `poll` raises
                `FatalLogError` (on a log that can tell: Kafka); without `positioned` they are skipped.
        """

    def producer(self, transactional_id: str, *, gathers: bool = False) -> Producer:
        """Make a transactional producer, which fences the former holders of its id.

        Args:
            transactional_id: the id.
            gathers: whether records may wait for further ones before they are sent, because transactions stay open for
                long. A commit sends them at once.
        """

    def publisher(self) -> Publisher:
        """Make a writer of single records."""

    def reader(self) -> Reader:
        """Make a reader without a group."""

    def close(self) -> None:
        """Release what is shared. May be called again."""

    def __enter__(self) -> Self:
        """Return the log, which is open already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()
