"""A log on which every topic has a prefix: a deployment of its own beside others on one cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from streams.ports import (
    AclSpec,
    Admin,
    AssignmentListener,
    Consumer,
    GroupMetadata,
    Outgoing,
    Producer,
    Publisher,
    Reader,
    Received,
    TopicPartition,
    TopicSpec,
    TopicState,
)

_TOPIC = "TOPIC"
_ANY_NAME = "*"
_Value = TypeVar("_Value")


class Prefix:
    """Names as the deployment knows them, and as they stand on the log."""

    def __init__(self, text: str) -> None:
        self._text = text

    def on_log(self, topic: str) -> str:
        """The name on the log."""
        return f"{self._text}{topic}"

    def own(self, topic: str) -> str:
        """The name without the prefix."""
        return topic.removeprefix(self._text)

    def place_on_log(self, place: TopicPartition) -> TopicPartition:
        """The partition on the log."""
        return TopicPartition(self.on_log(place.topic), place.partition)

    def own_place(self, place: TopicPartition) -> TopicPartition:
        """The partition without the prefix."""
        return TopicPartition(self.own(place.topic), place.partition)

    def places_on_log(self, places: Iterable[TopicPartition]) -> list[TopicPartition]:
        """The partitions on the log."""
        return [self.place_on_log(place) for place in places]

    def own_places(self, found: Mapping[TopicPartition, _Value]) -> dict[TopicPartition, _Value]:
        """What was found for partitions on the log, by partitions without the prefix."""
        return {self.own_place(place): value for place, value in found.items()}

    def own_records(self, records: list[Received]) -> list[Received]:
        """Records as the deployment knows them."""
        return [record._replace(topic=self.own(record.topic)) for record in records]

    def outgoing(self, record: Outgoing) -> Outgoing:
        """A record as it is written."""
        return record._replace(topic=self.on_log(record.topic))


class PrefixedConsumer:
    """The port `Consumer` over another."""

    def __init__(self, inner: Consumer, prefix: Prefix) -> None:
        self._inner = inner
        self._prefix = prefix

    def subscribe(self, topics: Sequence[str], listener: AssignmentListener) -> None:
        """See the port."""
        named = [self._prefix.on_log(topic) for topic in topics]
        self._inner.subscribe(named, _Listener(listener, self._prefix))

    def poll(self, max_records: int, timeout_ms: int) -> list[Received]:
        """See the port."""
        return self._prefix.own_records(self._inner.poll(max_records, timeout_ms))

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """See the port."""
        self._inner.pause(self._prefix.places_on_log(partitions))

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """See the port."""
        self._inner.resume(self._prefix.places_on_log(partitions))

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """See the port."""
        self._inner.seek(self._prefix.place_on_log(partition), offset)

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int | None]:
        """See the port."""
        return self._prefix.own_places(self._inner.committed(self._prefix.places_on_log(partitions)))

    def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """See the port."""
        return self._prefix.own_places(self._inner.beginning_offsets(self._prefix.places_on_log(partitions)))

    def group_metadata(self) -> GroupMetadata:
        """See the port."""
        return self._inner.group_metadata()

    def close(self) -> None:
        """See the port."""
        self._inner.close()


class _Listener:
    def __init__(self, inner: AssignmentListener, prefix: Prefix) -> None:
        self._inner = inner
        self._prefix = prefix

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self._inner.on_assigned([self._prefix.own_place(place) for place in partitions])

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self._inner.on_revoked([self._prefix.own_place(place) for place in partitions])

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        self._inner.on_lost([self._prefix.own_place(place) for place in partitions])


class PrefixedProducer:
    """The port `Producer` over another."""

    def __init__(self, inner: Producer, prefix: Prefix) -> None:
        self._inner = inner
        self._prefix = prefix

    def init_transactions(self) -> None:
        """See the port."""
        self._inner.init_transactions()

    def begin(self) -> None:
        """See the port."""
        self._inner.begin()

    def send(self, record: Outgoing, on_stored: Callable[[int], None] | None = None) -> None:
        """See the port."""
        self._inner.send(self._prefix.outgoing(record), on_stored)

    def send_offsets(self, offsets: Mapping[TopicPartition, int], group: GroupMetadata) -> None:
        """See the port."""
        named = {self._prefix.place_on_log(place): offset for place, offset in offsets.items()}
        self._inner.send_offsets(named, group)

    def commit(self) -> None:
        """See the port."""
        self._inner.commit()

    def abort(self) -> None:
        """See the port."""
        self._inner.abort()

    def close(self) -> None:
        """See the port."""
        self._inner.close()


class PrefixedPublisher:
    """The port `Publisher` over another."""

    def __init__(self, inner: Publisher, prefix: Prefix) -> None:
        self._inner = inner
        self._prefix = prefix

    def publish(self, record: Outgoing) -> None:
        """See the port."""
        self._inner.publish(self._prefix.outgoing(record))

    def flush(self, timeout_ms: int) -> None:
        """See the port."""
        self._inner.flush(timeout_ms)

    def close(self) -> None:
        """See the port."""
        self._inner.close()


class PrefixedReader:
    """The port `Reader` over another."""

    def __init__(self, inner: Reader, prefix: Prefix) -> None:
        self._inner = inner
        self._prefix = prefix

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """See the port."""
        self._inner.assign({self._prefix.place_on_log(place): offset for place, offset in positions.items()})

    def poll(self, max_records: int, timeout_ms: int) -> list[Received]:
        """See the port."""
        return self._prefix.own_records(self._inner.poll(max_records, timeout_ms))

    def position(self, partition: TopicPartition) -> int:
        """See the port."""
        return self._inner.position(self._prefix.place_on_log(partition))

    def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """See the port."""
        return self._prefix.own_places(self._inner.end_offsets(self._prefix.places_on_log(partitions)))

    def close(self) -> None:
        """See the port."""
        self._inner.close()


class PrefixedAdmin:
    """The port `Admin` over another."""

    def __init__(self, inner: Admin, prefix: Prefix) -> None:
        self._inner = inner
        self._prefix = prefix

    def describe(self, topics: Sequence[str], config_names: Sequence[str]) -> dict[str, TopicState]:
        """See the port."""
        states = self._inner.describe([self._prefix.on_log(topic) for topic in topics], config_names)
        return {self._prefix.own(name): state._replace(name=self._prefix.own(name)) for name, state in states.items()}

    def create(self, topics: Sequence[TopicSpec], replication: int) -> None:
        """See the port."""
        self._inner.create([spec._replace(name=self._prefix.on_log(spec.name)) for spec in topics], replication)

    def alter_config(self, topic: str, config: Mapping[str, str]) -> None:
        """See the port."""
        self._inner.alter_config(self._prefix.on_log(topic), config)

    def acls(self) -> set[AclSpec] | None:
        """See the port; entries that say nothing of our topics are left out."""
        acls = self._inner.acls()
        return None if acls is None else {own for acl in acls if (own := self._own_acl(acl)) is not None}

    def create_acls(self, acls: Sequence[AclSpec]) -> None:
        """See the port."""
        self._inner.create_acls(
            [acl._replace(name=self._prefix.on_log(acl.name)) if acl.resource == _TOPIC else acl for acl in acls]
        )

    def close(self) -> None:
        """See the port."""
        self._inner.close()

    def _own_acl(self, acl: AclSpec) -> AclSpec | None:
        begin = self._prefix.on_log("")
        if acl.resource != _TOPIC or acl.name == _ANY_NAME:
            return acl
        if acl.name.startswith(begin):
            return acl._replace(name=self._prefix.own(acl.name))
        if acl.prefixed and begin.startswith(acl.name):
            return acl._replace(name="")
        return None
