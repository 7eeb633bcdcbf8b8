"""A person at work on a log: looks records up, and writes single ones."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from streams.model.alert import Alert
from streams.model.errors import RecordError, StoplogError
from streams.model.keys import partition_for
from streams.model.topics import Topic
from streams.model.types import Header, Record
from streams.operations.settings import Deployment
from streams.operations.topics.reader import read_to_end
from streams.ports import Clock, Outgoing, Received
from streams.ports.open_log import Log
from streams.sdk.alerts import send_alerts
from streams.sdk.entropy import SYSTEM
from streams.sdk.single_records import outgoing, publish
from streams.sdk.transport import RecordCodec, Transport

SOURCE = "stoplog-cli"


class NamelessError(StoplogError):
    """It can't be told who acts."""


class Found(NamedTuple):
    """A record as it stands on the log."""

    received: Received
    record: Record


class Operator:
    """Looks up and writes records for one person's act; a context manager. For one thread."""

    def __init__(
        self, log: Log, codec: RecordCodec, clock: Clock, deployment: Deployment, name: str | None = None
    ) -> None:
        """Take over an open log.

        Args:
            log: is closed with the operator.
            codec: how records become bytes.
            clock: gives new records their time, and bounds reads.
            deployment: what is known of the deployment.
            name: who acts; by default the user of the operating system.
        """
        self.deployment = deployment
        self._name = name
        self.clock = clock
        self.codec = codec
        self.log = log
        self._transport = Transport(self.log, self.codec, self.clock)

    @property
    def name(self) -> str:
        """Who acts.

        Raises:
            NamelessError: nobody was named, and the operating system has no name for its user.
        """
        if self._name is None:
            try:
                self._name = getpass.getuser()
            except (KeyError, OSError):
                raise NamelessError("this system has no name for its user; say who acts with `--as`") from None
        return self._name

    def header(self, tenant_uid: str | None = None) -> Header:
        """A header for a new record, made now."""
        now_ms = self.clock.now_ms()
        return Header(
            id=SYSTEM.uuid(now_ms), source=SOURCE, time=now_ms, tenant_uid=tenant_uid or self.deployment.tenant_uid
        )

    def find(self, topic: Topic) -> Iterator[Found]:
        """Every readable record of a topic, up to its end of now. Unreadable ones are left out.

        Raises:
            TopicReadError, LogError: see `read_to_end`.
        """
        for received in read_to_end(self.log, (topic.name,), self.clock):
            if received.value is None:
                continue
            try:
                record = self.codec.decode(topic.name, received.value, received.headers)
            except RecordError:
                continue
            yield Found(received, record)

    def write(self, topic: Topic, records: Sequence[tuple[bytes, Record, Header]]) -> None:
        """Store records, each with its key; blocks until they are.

        Raises:
            PublishError: they are not known to be stored.
            LogError: the topic does not exist.
        """
        publish(self._transport, [outgoing(self._transport, topic, key, record, head) for key, record, head in records])

    def alert(self, alerts: Sequence[Alert]) -> None:
        """Tell the security team; blocks until it is stored.

        Raises:
            PublishError, LogError: see `write`.
        """
        send_alerts(self._transport, alerts)

    def delete(self, topic: Topic, keys: Sequence[bytes]) -> None:
        """Have a compacted topic forget keys; blocks until that is stored.

        Raises:
            PublishError, LogError: see `write`.
        """
        partitions = self._transport.partitions(topic.name)
        publish(self._transport, [Outgoing(topic.name, partition_for(key, partitions), key, None) for key in keys])

    def close(self) -> None:
        """Release the log."""
        self._transport.close()
        self.log.close()

    def __enter__(self) -> Self:
        """The operator, whose log is open already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()
