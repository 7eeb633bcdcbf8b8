"""The access of a person to a log: finds records, and writes single ones."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from msgspec.structs import replace

from streams.model.alert import Alert
from streams.model.errors import StoplogError
from streams.model.keys import partition_for
from streams.model.topics import Topic
from streams.model.types import Header, Record
from streams.operations.alerts import send_alerts
from streams.operations.settings import Deployment
from streams.operations.topics.decoded import Found, decoded
from streams.operations.topics.reader import read_to_end
from streams.ports import Clock, Outgoing
from streams.ports.open_log import Log
from streams.sdk.connection.single_records import outgoing, publish
from streams.sdk.connection.transport import RecordCodec, Transport
from streams.sdk.entropy import SYSTEM

SOURCE = "stoplog-cli"


class NamelessError(StoplogError):
    """The name of the person is not known."""


class Operator:
    """Finds and writes records in the name of one person; a context manager. For one thread."""

    def __init__(
        self, log: Log, codec: RecordCodec, clock: Clock, deployment: Deployment, name: str | None = None
    ) -> None:
        """Take over an open log.

        Args:
            log: closed with the operator.
            codec: encodes and decodes records.
            clock: gives new records their time, and bounds the time of reads.
            deployment: the settings of the deployment that operations need.
            name: the person's name; by default the name of the operating system's user.
        """
        self.deployment = deployment
        self._name = name
        self.clock = clock
        self.codec = codec
        self.log = log
        self._transport = Transport(self.log, self.codec, self.clock)

    @property
    def name(self) -> str:
        """Return the person's name.

        Raises:
            NamelessError: no name was given, and the operating system has none for its user.
        """
        if self._name is None:
            try:
                self._name = getpass.getuser()
            except (KeyError, OSError):
                raise NamelessError(
                    "the operating system has no name for the current user; give your name with `--as`"
                ) from None
        return self._name

    def header(self, tenant_uid: str | None = None) -> Header:
        """Return a header for a new record, with the current time."""
        now_ms = self.clock.now_ms()
        return Header(
            id=SYSTEM.uuid(now_ms), source=SOURCE, time=now_ms, tenant_uid=tenant_uid or self.deployment.tenant_uid
        )

    def find(self, topic: Topic) -> Iterator[Found]:
        """Yield every readable record of a topic, up to its current end. Unreadable records are skipped.

        Raises:
            TopicReadError, LogError: see `read_to_end`.
        """
        for received in read_to_end(self.log, (topic.name,), self.clock):
            if (record := decoded(self.codec, received)) is not None:
                yield Found(received, record)

    def write(self, topic: Topic, records: Sequence[tuple[bytes, Record, Header]]) -> None:
        """Store records, each with its key; block until they are stored.

        Raises:
            PublishError: it is not known whether they are stored.
            LogError: the topic does not exist.
        """
        publish(self._transport, [outgoing(self._transport, topic, key, record, head) for key, record, head in records])

    def write_at(self, topic: Topic, records: Sequence[tuple[int, bytes, Record, Header]]) -> None:
        """Store records, each with its partition and its key; block until they are stored.

        Raises:
            PublishError, LogError: see `write`.
        """
        placed = [
            replace(outgoing(self._transport, topic, key, record, head), partition=partition)
            for partition, key, record, head in records
        ]
        publish(self._transport, placed)

    def alert(self, alerts: Sequence[Alert]) -> None:
        """Send alerts; block until they are stored.

        Raises:
            PublishError, LogError: see `write`.
        """
        send_alerts(self._transport, alerts)

    def delete(self, topic: Topic, keys: Sequence[bytes]) -> None:
        """Delete keys from a compacted topic; block until that is stored.

        Raises:
            PublishError, LogError: see `write`.
        """
        partitions = self._transport.partitions(topic.name)
        publish(self._transport, [Outgoing(topic.name, partition_for(key, partitions), key, None) for key in keys])

    def delete_at(self, topic: Topic, keys: Sequence[tuple[int, bytes]]) -> None:
        """Delete keys from a compacted topic, each from the partition where it was found; block until that is stored.

        Raises:
            PublishError, LogError: see `write`.
        """
        publish(self._transport, [Outgoing(topic.name, partition, key, None) for partition, key in keys])

    def close(self) -> None:
        """Release the log."""
        self._transport.close()
        self.log.close()

    def __enter__(self) -> Self:
        """Return the operator, whose log is open already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the operator."""
        self.close()
