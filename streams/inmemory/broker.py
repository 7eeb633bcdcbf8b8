"""The broker of the in-memory log: topics, groups and transactions, with Kafka's semantics.

It has topics and partitions with the broker's time, consumer groups with generations, transactions with epochs, control
markers that take offsets, `read_committed` up to the last stable offset, and compaction. It is deterministic and
single-threaded, and nothing happens by itself: no member times out, no transaction is aborted and no marker comes late
unless whoever holds the log says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from streams.inmemory.faults import Faults, NoFaults
from streams.inmemory.group import MemoryGroup
from streams.inmemory.partition import LogTransaction, MemoryPartition, TransactionStatus
from streams.inmemory.topic_config import DEFAULT_CONFIG, check_config, check_name
from streams.ports import Clock, LogError, Outgoing, Received, TopicPartition, TopicSpec, TopicState

RECORD_OVERHEAD_BYTES = 128
"""What a record takes beside its key, value and headers: the batch around it, and its lengths."""
_OFFSETS_TOPIC = "__consumer_offsets"


@dataclass(slots=True)
class _Topic:
    partitions: list[MemoryPartition]
    config: dict[str, str]


@dataclass(slots=True)
class _ProducerState:
    epoch: int = 0
    transaction: LogTransaction | None = None


class MemoryBroker:
    """Stores records, and decides about groups and transactions.

    Attributes:
        clock: gives the records' time; clients that wait for records advance it.
        faults: what goes wrong; replace it at any time.
    """

    def __init__(self, clock: Clock, faults: Faults | None = None) -> None:
        """Create a broker without topics. By default nothing goes wrong."""
        self.clock = clock
        self.faults: Faults = faults or NoFaults()
        self._topics: dict[str, _Topic] = {}
        self._groups: dict[str, MemoryGroup] = {}
        self._producers: dict[str, _ProducerState] = {}
        self._to_mark: list[tuple[LogTransaction, TopicPartition]] = []
        self._serial = 0

    # Topics and records

    def create(self, spec: TopicSpec) -> None:
        """Create a topic.

        Raises:
            LogError: it exists already, or its name or configuration is not valid.
        """
        check_name(spec.name)
        check_config(spec.name, spec.config)
        if spec.name in self._topics:
            raise LogError(f"topic `{spec.name}` exists already")
        partitions = [MemoryPartition(TopicPartition(spec.name, number)) for number in range(spec.partitions)]
        self._topics[spec.name] = _Topic(partitions, {**DEFAULT_CONFIG, **spec.config})

    def topics(self) -> list[str]:
        """Return the names of all topics, in the order in which they were created."""
        return list(self._topics)

    def topic_state(self, name: str) -> TopicState | None:
        """Return the topic as it is; None if there is none of that name."""
        topic = self._topics.get(name)
        return None if topic is None else TopicState(name, len(topic.partitions), 1, dict(topic.config))

    def alter_config(self, name: str, config: Mapping[str, str]) -> None:
        """Set configuration values.

        Raises:
            LogError: the topic does not exist, or a value is not valid.
        """
        check_config(name, config)
        self._topic(name).config.update(config)

    def partition_count(self, name: str) -> int:
        """Return how many partitions the topic has; 0 if it does not exist."""
        topic = self._topics.get(name)
        return 0 if topic is None else len(topic.partitions)

    def partition(self, name: TopicPartition) -> MemoryPartition:
        """Return a partition.

        Raises:
            LogError: it does not exist.
        """
        topic, number = name
        partitions = self._topic(topic).partitions
        if not 0 <= number < len(partitions):
            raise LogError(f"topic `{topic}` has no partition {number}")
        return partitions[number]

    def append(
        self, record: Outgoing, transaction: LogTransaction | None = None, timestamp_ms: int | None = None
    ) -> int:
        """Store a record and return its offset.

        Args:
            record: what is stored.
            transaction: the transaction that it belongs to, if any.
            timestamp_ms: its broker time; that of the clock by default.

        Raises:
            LogError: the partition does not exist, or the topic does not accept the record.
        """
        topic, number = record.topic, record.partition
        key, value, headers = record.key, record.value, record.headers
        partition = self.partition(TopicPartition(topic, number))
        self._check_record(record)
        now_ms = self.clock.now_ms() if timestamp_ms is None else timestamp_ms
        return partition.append(self._next_serial(), now_ms, key, value, headers, transaction)

    def committed_records(self, name: TopicPartition) -> list[Received]:
        """Return everything that a `read_committed` reader can see of a partition now."""
        partition = self.partition(name)
        return partition.read(partition.start_offset, partition.high_watermark)[0]

    def written_since(self, topics: Iterable[str], serial: int) -> list[tuple[int, Received]]:
        """Return the committed records of these topics that were written after `serial` (-1: all), in that order."""
        partitions = (partition for topic in topics for partition in self._topic(topic).partitions)
        return sorted(
            (found for partition in partitions for found in partition.visible_since(serial)),
            key=lambda found: found[0],
        )

    def compact(self, topic: str) -> None:
        """Compact a topic, as the log cleaner does."""
        for partition in self._topic(topic).partitions:
            partition.compact()

    # Groups

    def group(self, name: str) -> MemoryGroup:
        """Return the group; it is created on first use."""
        return self._groups.setdefault(name, MemoryGroup(name, self.partition_count))

    def put_out(self, group: str, instance: str) -> bool:
        """Let a member's session time out. Return whether there was such a member."""
        member = self.group(group).member(instance)
        if member is None:
            return False
        self.group(group).put_out(member)
        return True

    # Transactions

    def take_over(self, transactional_id: str) -> int:
        """Fence the former producers of an id, abort what they left open, and return the epoch of the new one."""
        state = self._producers.setdefault(transactional_id, _ProducerState())
        state.epoch += 1
        if state.transaction is not None:
            self._decide(state, TransactionStatus.ABORTED)
        self._finish_marking(transactional_id)
        return state.epoch

    def epoch(self, transactional_id: str) -> int:
        """Return the epoch of the producer that holds the id."""
        return self._producers.setdefault(transactional_id, _ProducerState()).epoch

    def begin(self, transactional_id: str) -> LogTransaction:
        """Open a transaction. Writes the markers of the former one first."""
        self._finish_marking(transactional_id)
        transaction = LogTransaction(transactional_id, self.clock.now_ms())
        self._producers[transactional_id].transaction = transaction
        return transaction

    def commit_offsets(
        self, transaction: LogTransaction, group: MemoryGroup, offsets: Mapping[TopicPartition, int]
    ) -> None:
        """Make offsets of a group part of the transaction."""
        transaction.offsets.setdefault(group.name, {}).update(offsets)
        transaction.unmarked.setdefault(_offsets_partition(group.name))
        group.unstable.setdefault(transaction)

    def end(self, transactional_id: str, status: TransactionStatus) -> None:
        """Decide the open transaction. Its markers follow, at once or later."""
        state = self._producers[transactional_id]
        if state.transaction is not None:
            self._decide(state, status)

    def time_out_transaction(self, transactional_id: str) -> bool:
        """Abort what is open and fence its producer, as the coordinator does. Return whether there was anything."""
        state = self._producers.get(transactional_id)
        if state is None or state.transaction is None:
            return False
        state.epoch += 1
        self._decide(state, TransactionStatus.ABORTED)
        return True

    def time_out_transactions(self, timeout_ms: int) -> list[str]:
        """Time out the transactions that have been open for `timeout_ms`. Return their transactional ids."""
        horizon_ms = self.clock.now_ms() - timeout_ms
        open_ones = [(name, state.transaction) for name, state in self._producers.items()]
        late = [name for name, found in open_ones if found is not None and found.began_ms <= horizon_ms]
        return [name for name in late if self.time_out_transaction(name)]

    @property
    def markers_due(self) -> int:
        """The number of markers of decided transactions that are still to be written."""
        return len(self._to_mark)

    def write_markers(self, count: int | None = None) -> None:
        """Write the oldest `count` delayed markers; all by default."""
        due = self._to_mark[:count]
        del self._to_mark[:count]
        for transaction, partition in due:
            self._mark(transaction, partition)

    def _decide(self, state: _ProducerState, status: TransactionStatus) -> None:
        transaction = state.transaction
        if transaction is None:
            return
        state.transaction = None
        transaction.status = status
        for partition in list(transaction.unmarked):
            if self.faults.delays_marker(transaction.transactional_id, partition):
                self._to_mark.append((transaction, partition))
            else:
                self._mark(transaction, partition)

    def _finish_marking(self, transactional_id: str) -> None:
        waiting, self._to_mark = self._to_mark, []
        for transaction, partition in waiting:
            if transaction.transactional_id == transactional_id:
                self._mark(transaction, partition)
            else:
                self._to_mark.append((transaction, partition))

    def _mark(self, transaction: LogTransaction, name: TopicPartition) -> None:
        del transaction.unmarked[name]
        if name.topic != _OFFSETS_TOPIC:
            self.partition(name).mark(self._next_serial(), transaction, self.clock.now_ms())
            return
        for group_name, offsets in transaction.offsets.items():
            group = self.group(group_name)
            if _offsets_partition(group_name) == name:
                del group.unstable[transaction]
                if transaction.status is TransactionStatus.COMMITTED:
                    group.offsets.update(offsets)

    def _next_serial(self) -> int:
        self._serial += 1
        return self._serial

    def _topic(self, name: str) -> _Topic:
        topic = self._topics.get(name)
        if topic is None:
            raise LogError(f"topic `{name}` does not exist")
        return topic

    def _check_record(self, record: Outgoing) -> None:
        config = self._topics[record.topic].config
        if record.key is None and "compact" in config["cleanup.policy"]:
            raise LogError(f"can't send to `{record.topic}`: a compacted topic takes no record without a key")
        size = RECORD_OVERHEAD_BYTES + len(record.key or b"") + len(record.value or b"")
        size += sum(len(name) + len(value) for name, value in record.headers)
        if size > int(config["max.message.bytes"]):
            raise LogError(f"can't send to `{record.topic}`: a record of {size} bytes is over `max.message.bytes`")


def _offsets_partition(group: str) -> TopicPartition:
    """Return the group's partition of the offsets topic. Each group has one of its own."""
    return TopicPartition(_OFFSETS_TOPIC, sum(group.encode()))
