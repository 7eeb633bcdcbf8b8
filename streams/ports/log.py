"""Defines what the engine, the SDK and the operations need of a log: its records, its clients, its topics, its errors.

Conventions of every port: calls come from one thread unless a method says otherwise; offsets are of the log
(`offset`), never counts or indexes; instants are int milliseconds since the epoch (`_ms`); a poll that finds
nothing returns an empty list. Every client reads `read_committed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, NewType, Protocol

Offset = NewType("Offset", int)
Headers = tuple[tuple[str, bytes], ...]


class TopicPartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class Received(NamedTuple):
    """A record as read: `timestamp_ms` is the broker's append time where the topic has LogAppendTime."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Outgoing(NamedTuple):
    """A record to be written. The partition is always named: placement is ours, not the client library's."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class LogError(Exception):
    """What an adapter raises. The class says what the caller must do; the message says what and where."""


class RetriableLogError(LogError):
    """Nothing was done; the same call with the same arguments may succeed later."""


class AbortableTransactionError(LogError):
    """The open transaction must be aborted; its input is read again from the committed offsets."""


class FatalLogError(LogError):
    """This client is of no more use (fenced, its epoch is old, or its outcome is unknown): build a new one."""


class FencedError(FatalLogError):
    """Another instance with the same transactional id, or a newer group generation, has taken over."""


class UnansweredError(FatalLogError):
    """The log did not answer in time, and the client is of no more use: a new one works as soon as the log answers."""


class GroupMetadata(Protocol):
    """Member and generation of a consumer group, as the broker fences by. Opaque to the engine."""


class AssignmentListener(Protocol):
    """Called from within `Consumer.poll`, in the poll's thread."""

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """These partitions are the member's from now on (all it has: assignment is eager)."""

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """They are taken away in good order: work done may still be committed before this returns."""

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        """They already belong to another member: an open transaction must be aborted before this returns."""


class Consumer(Protocol):
    """A member of a consumer group. Partition n of every subscribed topic lands on one member."""

    def subscribe(self, topics: Sequence[str], listener: AssignmentListener) -> None:
        """Join the group; the listener is told of partitions by later polls."""

    def poll(self, max_records: int, timeout_ms: int) -> list[Received]:
        """Up to `max_records`, in offset order per partition; waits up to `timeout_ms` for the first one.

        Raises:
            FatalLogError: the client can't go on.
        """

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Stop fetching them; already fetched records of theirs are not returned before `resume`.

        Ends with the assignment: a partition that comes back is not paused any more.
        """

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Undo `pause`."""

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from `offset` (an assigned partition)."""

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int | None]:
        """The group's committed offsets, waiting out any transaction that is still writing them.

        Raises:
            RetriableLogError: the broker did not answer in time.
        """

    def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The first offset that is still there, per partition."""

    def group_metadata(self) -> GroupMetadata:
        """To be taken in `on_assigned` and given to that assignment's transactions: it is what fences."""

    def close(self) -> None:
        """Leave the group. `on_revoked` is called for what is still assigned."""


class Producer(Protocol):
    """A transactional producer; one transaction at a time."""

    def init_transactions(self) -> None:
        """Fence former holders of the transactional id and finish what they left open. Blocks."""

    def begin(self) -> None:
        """Open a transaction."""

    def send(self, record: Outgoing, on_stored: Callable[[int], None] | None = None) -> None:
        """Queue a record in the open transaction. `on_stored(offset)` is called before `commit` returns."""

    def send_offsets(self, offsets: Mapping[TopicPartition, int], group: GroupMetadata) -> None:
        """Commit the group's offsets (next to be read) with this transaction; fenced by `group`."""

    def commit(self) -> None:
        """All of it becomes visible at once, or an error is raised.

        Raises:
            AbortableTransactionError: call `abort`, then rewind.
            FatalLogError: the outcome may be unknown; build a new producer and restore.
        """

    def abort(self) -> None:
        """Drop the open transaction. A no-op without one."""

    def close(self) -> None:
        """Aborts what is open."""


class Publisher(Protocol):
    """Writes single records outside transactions, idempotently (agents, token service, tools). Thread-safe."""

    def publish(self, record: Outgoing) -> None:
        """Queue one record; blocks when the queue is full."""

    def flush(self, timeout_ms: int) -> None:
        """Wait until everything queued is stored.

        Raises:
            LogError: something was not; says which topic.
        """

    def close(self) -> None:
        """Flush and release."""


class Reader(Protocol):
    """Reads named partitions without a group: broadcast topics, changelogs, an agent's verdicts."""

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Replace the assignment; each partition is read from the given offset on (or the first still there)."""

    def poll(self, max_records: int, timeout_ms: int) -> list[Received]:
        """Like `Consumer.poll`."""

    def position(self, partition: TopicPartition) -> int:
        """Everything below this offset was returned by `poll` (or holds no data: control markers, aborted)."""

    def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The high watermark of each partition, open transactions included. Asks the broker.

        Raises:
            RetriableLogError: it did not answer in time.
        """

    def close(self) -> None:
        """Release."""


class TopicSpec(NamedTuple):
    """How a topic is to be made: `config` in Kafka's own names (`cleanup.policy`, ...)."""

    name: str
    partitions: int
    config: Mapping[str, str]


class TopicState(NamedTuple):
    """How a topic stands on the log; `config` holds at least the names that were asked for."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]


class AclSpec(NamedTuple):
    """One allowed operation of a principal: `resource` is TOPIC, GROUP or TRANSACTIONAL_ID."""

    principal: str
    resource: str
    name: str
    operation: str
    prefixed: bool = False


class Admin(Protocol):
    """Topic and access set-up. Blocking."""

    def describe(self, topics: Sequence[str], config_names: Sequence[str]) -> dict[str, TopicState]:
        """Those of the topics that exist."""

    def create(self, topics: Sequence[TopicSpec], replication: int) -> None:
        """Create them; an existing one is an error."""

    def alter_config(self, topic: str, config: Mapping[str, str]) -> None:
        """Set these configuration values."""

    def acls(self) -> set[AclSpec] | None:
        """The allow entries that exist; None where the log has no authorizer."""

    def create_acls(self, acls: Sequence[AclSpec]) -> None:
        """Add allow entries."""

    def close(self) -> None:
        """Release."""
