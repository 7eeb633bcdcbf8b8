"""Defines what the engine, the SDK and the operations need of a log: its records, its clients, its topics, its errors.

Conventions of every port: calls come from one thread unless a method says otherwise; offsets are of the log
(`offset`), never counts or indexes; instants are int milliseconds since the epoch (`_ms`); a poll that finds
nothing returns an empty list. Every client reads `read_committed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

Headers = tuple[tuple[str, bytes], ...]


class TopicPartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class Received(NamedTuple):
    """A record as it was read.

    Attributes:
        timestamp_ms: the broker's append time, if the topic has LogAppendTime.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """A record to be written. It always names its partition: we place records, not the client library.

    A struct, because several are made for each intent: a named tuple takes five times as long. It has no cycles.

    Attributes:
        note: what is measured once the record is committed (`streams.ports.processor.Output`). It is not written.
    """

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    note: object = None


class LogError(Exception):
    """The error of an adapter. Its class says what the caller must do, its message what happened and where."""


class RetriableLogError(LogError):
    """Nothing was done; the same call with the same arguments may succeed later."""


class DeniedLogError(LogError):
    """The log's access control does not allow this client to do that; somebody with more rights may."""


class AbortableTransactionError(LogError):
    """The open transaction must be aborted, and its input read again from the committed offsets."""


class FatalLogError(LogError):
    """The client can't be used any more (it is fenced, or the outcome of a call is unknown): build a new one."""


class FencedError(FatalLogError):
    """Another instance with the same transactional id, or a newer generation of the group, has taken over."""


class UnansweredError(FatalLogError):
    """The log did not answer in time, and the client is not usable any more. A new one works once the log answers."""


class GroupMetadata(Protocol):
    """The member and generation of a consumer group that the broker fences by. Opaque to the engine."""


class Membership(NamedTuple):
    """The members of a consumer group.

    Attributes:
        instances: the instance names of all members, in the order in which ranges of partitions are assigned to them.
        own: the place of the member that was asked, from 0.
    """

    instances: tuple[str, ...]
    own: int


class AssignmentListener(Protocol):
    """Is told which partitions a member of a group has, from within `Consumer.poll` and `Consumer.close`."""

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """Take these partitions over. They are all that the member has: assignment is eager."""

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Give these partitions up. Work on them may still be committed before this returns."""

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Forget these partitions: another member owns them already. Abort an open transaction before returning."""


class Consumer(Protocol):
    """A member of a consumer group. Partition n of every subscribed topic lands on one member."""

    def subscribe(self, topics: Sequence[str], listener: AssignmentListener) -> None:
        """Join the group. Later polls tell the listener which partitions are assigned."""

    def poll(self, max_records: int, timeout_ms: int) -> list[Received]:
        """Return up to `max_records`, in offset order per partition; wait up to `timeout_ms` for the first one.

        Raises:
            FatalLogError: the client can't be used any more.
        """

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Return no records of these partitions before `resume`, not even those that are fetched already.

        The pause ends with the assignment: a partition that comes back is not paused.
        """

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Undo `pause`."""

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Continue to read an assigned partition at `offset`."""

    def has_reached_end(self, partition: TopicPartition) -> bool:
        """Return whether `poll` has returned everything that an assigned partition holds.

        The end is the last stable offset: what an open transaction has written is not there yet, nor is what comes
        after it. Cheap: nothing is asked for. The answer is as old as the partition's last fetch.

        Returns:
            False if there is more, and also if the end is not known, as before the first fetch after an assignment or
            a seek.
        """

    def end_offset(self, partition: TopicPartition) -> int | None:
        """Return the high watermark of an assigned partition that was fetched last, for measurements. Asks nobody.

        It counts open transactions and offsets without data; `has_reached_end` tells whether there is more to read.

        Returns:
            None before the first fetch.
        """

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int | None]:
        """Return the group's committed offsets. Waits for transactions that are still writing them.

        Returns:
            The next offset to be read of each partition; None where none was committed.

        Raises:
            RetriableLogError: the broker did not answer in time.
        """

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Store the group's offsets (the next ones to be read) outside of transactions. Blocks until it is done.

        The caller must own the partitions, as its listener was told. A member that was put out of the group can't.

        Raises:
            RetriableLogError: nothing was stored, or it is not known; the next poll tells whether the partitions are
                still assigned.
            LogError: the member can't be used any more, or may not do that.
        """

    def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the first offset of each partition that retention has left."""

    def membership(self) -> Membership | None:
        """Return the members of the group among which the partitions are assigned. Never waits: ask again later.

        Returns:
            None if that is not known yet: the answer of the log has not come, or a rebalance is under way.

        Raises:
            LogError: the log refuses to tell.
        """

    def group_metadata(self) -> GroupMetadata:
        """Return what fences commits. Call it in `on_assigned`, and give it to the transactions of that assignment."""

    def close(self) -> None:
        """Leave the group. Calls `on_revoked` for what is still assigned."""


class Producer(Protocol):
    """Writes records in transactions, one at a time."""

    def init_transactions(self) -> None:
        """Fence former holders of the transactional id and end what they left open. Blocks."""

    def begin(self) -> None:
        """Open a transaction. Blocks to end one that was left open on the log, see `hurry`."""

    def send(self, record: Outgoing, on_stored: Callable[[int], None] | None = None) -> None:
        """Queue a record in the open transaction. Calls `on_stored(offset)` before `commit` returns."""

    def send_offsets(self, offsets: Mapping[TopicPartition, int], group: GroupMetadata) -> None:
        """Commit offsets of the group (the next ones to be read) with this transaction, fenced by `group`."""

    def commit(self) -> None:
        """Make everything in the transaction visible at once.

        Raises:
            AbortableTransactionError: nothing is visible; call `abort`, then rewind.
            FatalLogError: the outcome may be unknown; build a new producer and restore the state.
        """

    @property
    def stored_ms(self) -> Sequence[int]:
        """When records of the last committed transaction were stored, by the brokers' clocks.

        Of the records that were sent with `on_stored`, as far as their topics have LogAppendTime; in ms.
        """

    def abort(self) -> None:
        """Abort the open transaction. Does nothing without one."""

    def hurry(self) -> None:
        """Wait only for seconds until the open transaction has ended: others wait for this member to give way.

        If the log does not answer meanwhile, `send_offsets` raises an AbortableTransactionError, and `abort` leaves the
        transaction open on the log. The next `begin` ends it, or whoever takes the transactional id over, or else the
        log. Does nothing without an open transaction.
        """

    def leave(self) -> None:
        """Let each call wait only for seconds from now on, as in a hurry, and also the one that waits at this moment.

        Thread-safe, and returns at once. For a member that is to stop.
        """

    def close(self) -> None:
        """Abort what is open, and release the client."""


class Publisher(Protocol):
    """Writes single records outside of transactions, idempotently. Thread-safe."""

    def publish(self, record: Outgoing) -> None:
        """Queue one record. Blocks while the queue is full."""

    def flush(self, timeout_ms: int) -> None:
        """Wait up to `timeout_ms` until everything that is queued is stored.

        After an error, publish the records again: they may have been dropped.

        Raises:
            LogError: a record was not stored; the message names its topic.
        """

    def close(self) -> None:
        """Flush, and release the client."""


class OpenTransaction(NamedTuple):
    """A transaction that is open on a partition, and the producer that has opened it.

    Attributes:
        producer_id: of the producer, as the brokers have assigned it.
        epoch: of the producer id.
        start_offset: the offset of the transaction's first record on the partition.
        last_record_ms: the time of the producer's last record there, ms since the epoch; None if it is not known.
        transactional_id: None if this client may not see it, or if it is not known any more.
    """

    producer_id: int
    epoch: int
    start_offset: int
    last_record_ms: int | None
    transactional_id: str | None


class Reader(Protocol):
    """Reads named partitions without a group: broadcast topics, changelogs, the verdicts of an agent."""

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read these partitions, and no others, each from the given offset on, or the first that retention has left."""

    def poll(self, max_records: int, timeout_ms: int) -> list[Received]:
        """Return records as `Consumer.poll` does."""

    def position(self, partition: TopicPartition) -> int:
        """Return the next offset to be read.

        Everything below it was returned by `poll`, or holds no data (control markers, aborted records).
        """

    def lag(self, partition: TopicPartition) -> int | None:
        """Return how far the high watermark that was fetched last is ahead of `position`. Asks nobody.

        Returns:
            How many offsets are between them, those without data included; None before the first answer.
        """

    def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Ask the broker for the high watermark of each partition, open transactions included.

        Raises:
            RetriableLogError: it did not answer in time.
        """

    def look_for_ends(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int] | None:
        """Ask what `end_offsets` asks, without waiting for the answer. One question at a time.

        Args:
            partitions: the same ones until the answer has come.

        Returns:
            The high watermarks as they were when this was first called, or later; None while there is no answer, which
            then is that of a later call. The call after the answer asks again.

        Raises:
            RetriableLogError: the broker did not answer in time.
        """

    def stable_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Ask the broker for the last stable offset of each partition: readers see nothing from there on.

        It is the end offset, unless a transaction is open.

        Raises:
            RetriableLogError: it did not answer in time.
        """

    def oldest_transaction(self, partition: TopicPartition) -> OpenTransaction | None:
        """Ask the broker for the open transaction that begins first: readers of the partition wait for it.

        Blocks for some seconds at most.

        Returns:
            The transaction and its producer; None if none is open, or if the log does not know whose it is.

        Raises:
            LogError: it can't be asked, or did not answer in time.
        """

    def close(self) -> None:
        """Release the client."""


class TopicSpec(NamedTuple):
    """A topic to be created. `config` has Kafka's own names (`cleanup.policy`, ...)."""

    name: str
    partitions: int
    config: Mapping[str, str]


class TopicState(NamedTuple):
    """A topic as it is on the log. `config` has at least the names that were asked for."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]


class AclSpec(NamedTuple):
    """An operation that a principal may do. `resource` is TOPIC, GROUP or TRANSACTIONAL_ID."""

    principal: str
    resource: str
    name: str
    operation: str
    prefixed: bool = False


class Admin(Protocol):
    """Sets up topics and access. Every call blocks."""

    def describe(self, topics: Sequence[str], config_names: Sequence[str]) -> dict[str, TopicState]:
        """Return those of the topics that exist, with the named configuration values."""

    def partition_counts(self, prefix: str) -> dict[str, int]:
        """Return how many partitions each topic has whose name begins with `prefix`, by its name."""

    def hidden(self, topics: Sequence[str], *, configs: bool = False) -> frozenset[str]:
        """Return those of the topics that access control hides from this client, so that it can't say if they exist.

        Args:
            topics: their names.
            configs: whether topics also count whose configuration the client may not read.
        """

    def create(self, topics: Sequence[TopicSpec], replication: int) -> None:
        """Create the topics, and return when they are visible. A topic that exists is an error."""

    def alter_config(self, topic: str, config: Mapping[str, str]) -> None:
        """Set these configuration values, and return when they are visible."""

    def acls(self) -> set[AclSpec] | None:
        """Return the allow entries that exist; None if the log has no authorizer."""

    def create_acls(self, acls: Sequence[AclSpec]) -> None:
        """Add allow entries, and return when they are visible."""

    def broker_settings(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        """Return these settings of each broker, by its id; nothing where the log has no brokers.

        Raises:
            LogError: the brokers did not answer, or refused.
        """

    def close(self) -> None:
        """Release the client."""
