"""Named partitions without a group: the adapter of `ports.Reader`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message

from streams.kafka.bounded.bounded_close import close_in_time
from streams.kafka.errors import call_error, error_of
from streams.kafka.fetched import fetched
from streams.kafka.lookups.offset_lookup import READER_GROUP, EndsLookup, OffsetLookup
from streams.kafka.lookups.transaction_lookup import TransactionLookup
from streams.kafka.noticing.silence import SilenceWatch
from streams.kafka.partitions import on_log, to_client
from streams.kafka.poll_errors import FaultCounter
from streams.kafka.records import receiver
from streams.kafka.settings import NO_SETTINGS, READING_DEFAULTS, Settings, client_settings
from streams.kafka.timeouts import FETCH_PAUSE_MS
from streams.ports import LogError, OpenTransaction, Received, TopicPartition
from streams.ports.open_log import PLAIN_NAMES, TopicNames

DEFAULTS: Settings = {
    **READING_DEFAULTS,
    # The end of a partition is reported by an empty fetch, and that waits for records up to this long.
    "fetch.wait.max.ms": 100,
    "fetch.queue.backoff.ms": 100,
    "fetch.error.backoff.ms": FETCH_PAUSE_MS,
}


class KafkaReader:
    """Reads from given offsets, read_committed, and knows its positions."""

    def __init__(self, bootstrap: str, *, names: TopicNames = PLAIN_NAMES, extra: Settings = NO_SETTINGS) -> None:
        """Create the client.

        Args:
            bootstrap: the brokers, `host:port`, comma-separated.
            names: how the deployment's topics are called on the cluster.
            extra: further librdkafka settings.

        Raises:
            ValueError: `extra` would change what correctness rests on.
        """
        fixed: Settings = {
            # Never joined, and nothing is committed to it.
            "group.id": READER_GROUP,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
        self._names = names
        self._received = receiver(names)
        self._client = Consumer(client_settings(bootstrap, fixed=fixed, defaults=DEFAULTS, extra=extra))
        self._lookup = OffsetLookup(bootstrap, names, extra)
        self._ends_lookup = EndsLookup(self._lookup.ends)
        self._stable_lookup = OffsetLookup(bootstrap, names, extra, stable=True)
        self._transaction_lookup = TransactionLookup(bootstrap, names, extra)
        self._faults = FaultCounter("a reader")
        self._silence = SilenceWatch(
            "a reader", EndsLookup(self._lookup.known_ends).look, EndsLookup(self._stable_lookup.known_ends).look
        )
        self._positions: dict[tuple[str, int], int] = {}
        self._closed = False

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Replace the assignment; each partition is read from the given offset (or the first that still exists)."""
        self._positions = {(topic, partition): offset for (topic, partition), offset in positions.items()}
        self._silence.begin(self._positions)
        try:
            if positions:
                self._client.assign([to_client(self._names, place, offset) for place, offset in positions.items()])
            else:
                self._client.unassign()
        except KafkaException as exception:
            raise call_error(error_of(exception), "assign partitions to a reader") from exception

    def poll(self, max_records: int, timeout_ms: int) -> list[Received]:
        """Return up to `max_records`, in offset order per partition; wait up to `timeout_ms` for the first one.

        Returns early, possibly without records, when a partition's end is reached.

        Raises:
            UnansweredError: the client reads nothing more although the brokers answer; see
                `streams.kafka.noticing.silence`.
            FatalLogError: the client can't go on.
        """
        # Before anything is taken from the client: an error then loses no record.
        if self._silence.is_due:
            self._silence.check({TopicPartition(*place): offset for place, offset in self._positions.items()})
        try:
            messages = fetched(self._client, self._silence, max_records, timeout_ms / 1000)
        except KafkaException as exception:
            self._faults.take(error_of(exception))
            return []
        records: list[Received] = []
        heard: set[tuple[str, int]] = set()
        positions = self._positions
        for message in messages:
            error = message.error()
            if error is None:
                record = self._received(message)
                records.append(record)
                place = record[:2]
                positions[place] = record[2] + 1
                heard.add(place)
            elif error.code() == KafkaError._PARTITION_EOF:
                # Moves past control markers and aborted records, which are never returned.
                topic, partition, offset = _place(message)
                place = self._names.own(topic), partition
                positions[place] = offset
                heard.add(place)
            else:
                self._faults.take(error, message.topic(), message.partition())
        self._silence.heard(heard)
        if records:
            self._faults.clear()
        return records

    def position(self, partition: TopicPartition) -> int:
        """Return the offset below which `poll` has returned everything (or there is no data: control markers, aborted).

        Raises:
            LogError: the partition is not assigned.
        """
        try:
            return self._positions[partition]
        except KeyError:
            raise LogError(f"{on_log(self._names, partition)} is not assigned to the reader") from None

    def lag(self, partition: TopicPartition) -> int | None:
        """Return how far the high watermark that was fetched last is ahead of `position`; None before the first fetch.

        Raises:
            LogError: the partition is not assigned.
        """
        position = self.position(partition)
        try:
            known = self._client.get_watermark_offsets(to_client(self._names, partition), cached=True)
        except KafkaException:
            return None
        return None if known is None or known[1] < 0 else max(0, known[1] - position)

    def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the high watermark of each partition, open transactions included. Asks the broker.

        Blocks for up to `lookup.LOOKUP_S_MAX` seconds.

        Raises:
            RetriableLogError: the broker did not answer in time.
        """
        return self._lookup.ends(partitions)

    def look_for_ends(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int] | None:
        """Ask what `end_offsets` asks, in a thread of its own: see the port.

        Raises:
            RetriableLogError: the broker did not answer in time.
        """
        return self._ends_lookup.look(partitions)

    def stable_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the last stable offset of each partition. Asks the broker, as `end_offsets` does.

        Raises:
            RetriableLogError: the broker did not answer in time.
        """
        return self._stable_lookup.ends(partitions)

    def oldest_transaction(self, partition: TopicPartition) -> OpenTransaction | None:
        """Return the open transaction that begins first. Asks the brokers over a connection of its own.

        Blocks for up to `transaction_lookup.LOOKUP_S_MAX` seconds.

        Raises:
            LogError: the brokers can't be asked, have refused, or did not answer in time.
        """
        return self._transaction_lookup.oldest(partition)

    def close(self) -> None:
        """Close the client. Blocks for up to `closing.CLOSE_S_MAX` seconds."""
        if self._closed:
            return
        self._closed = True
        self._lookup.close()
        self._stable_lookup.close()
        close_in_time(self._client.close, "a reader")


def _place(message: Message) -> Any:
    """Return topic, partition and offset, which a message that was read always has."""
    return message.topic(), message.partition(), message.offset()
