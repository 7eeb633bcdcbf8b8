"""The world around the gates of a simulation: what is written when, and who reacts to what gates write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from heapq import heappop, heappush
from random import Random  # noqa: TID251 - everything of a simulation is drawn from one seeded source

from simulation.host_clock import WRONG_BY_MS
from streams.inmemory.clock import ManualClock
from streams.inmemory.log import MemoryLog
from streams.inmemory.producer import MemoryProducer
from streams.model.keys import partition_for
from streams.model.topics import BY_NAME, Spread
from streams.model.types import Record
from streams.ports import FencedError, LogError, Outgoing, Received, TopicPartition
from streams.ports.wire import Wire

Act = Callable[[], object]
Listener = Callable[[Received], None]

_TRANSACTIONAL_SHARE = 0.08
_TRANSACTION_MS_MAX = 800
_ABORTED_SHARE = 0.4


class World:
    """A schedule of acts, each with its time, and listeners to what the gates write.

    Everything that an act writes gets the broker time of the moment at which it is written.
    """

    def __init__(self, rng: Random, clock: ManualClock, log: MemoryLog, wire: Wire) -> None:
        self.rng = rng
        self.clock = clock
        self._log = log
        self._wire = wire
        self._diary: list[tuple[int, int, Act]] = []
        self._diary_serial = 0
        self._listeners: dict[str, list[Listener]] = {}
        self._heard_to: dict[TopicPartition, int] = {}
        self._outside: MemoryProducer | None = None
        self._transactional: dict[str, float] = {}
        self.stamped_ahead_share = 0.0
        """Of records that are written to partitioned topics, those that a broker with a wrong clock stamps."""

    @property
    def now_ms(self) -> int:
        """The broker's time."""
        return self.clock.now_ms()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is planned any more, and no transaction is open."""
        return not self._diary and self._outside is None

    def plan(self, due_ms: int, act: Act) -> None:
        """Call `act` at `due_ms`, or at once if that has passed."""
        self._diary_serial += 1
        heappush(self._diary, (due_ms, self._diary_serial, act))

    def listen(self, topic: str, listener: Listener) -> None:
        """Call `listener` with every committed record of an output topic."""
        self._listeners.setdefault(topic, []).append(listener)

    def write_in_transactions(self, topic: str) -> None:
        """Write some records of this topic in transactions, of which some are aborted."""
        self._transactional[topic] = _TRANSACTIONAL_SHARE

    def go_on(self) -> None:
        """Call the acts that are due, and the listeners with what is new."""
        while self._diary and self._diary[0][0] <= self.now_ms:
            heappop(self._diary)[2]()
        for topic, listeners in self._listeners.items():
            for number in range(self._log.partition_count(topic)):
                for record in self._unheard(TopicPartition(topic, number)):
                    for listener in listeners:
                        listener(record)

    def _unheard(self, name: TopicPartition) -> list[Received]:
        partition, position = self._log.partition(name), self._heard_to.get(name, 0)
        if position == partition.high_watermark:
            return []
        found, self._heard_to[name] = partition.read(position, partition.high_watermark)
        return found

    def next_due_ms(self) -> int | None:
        """Return when the next act is due; None if nothing is planned."""
        return self._diary[0][0] if self._diary else None

    def write(self, topic: str, key: bytes | None, record: Record) -> bytes:
        """Write a record and return its bytes."""
        value = self._wire.encode(topic, record)
        self.write_raw(topic, key, value)
        return value

    def write_raw(self, topic: str, key: bytes | None, value: bytes | None, *, partition: int | None = None) -> None:
        """Write bytes as they are, alone, or in a transaction of some other process that ends a little later.

        Args:
            topic: where they go.
            key: decides the partition.
            value: the bytes, or None for a record without a value.
            partition: another one than the key's.
        """
        if partition is None:
            partition = 0
            if key is not None and BY_NAME[topic].spread is not Spread.BROADCAST:
                partition = partition_for(key, self._log.partition_count(topic))
        outgoing = Outgoing(topic, partition, key, value)
        if self._outside is None and self.rng.random() < self._transactional.get(topic, 0.0):
            self._write_in_transaction(outgoing)
        else:
            self._log.append(outgoing, timestamp_ms=self._stamp_ms(topic))

    def _stamp_ms(self, topic: str) -> int | None:
        """Return a time far ahead now and then, else None."""
        if BY_NAME[topic].spread is Spread.BROADCAST or self.rng.random() >= self.stamped_ahead_share:
            return None
        return self.now_ms + WRONG_BY_MS

    def end_of(self, topic: str) -> int:
        """Return the end of partition 0 of a topic, open transactions included."""
        return self._log.partition(TopicPartition(topic, 0)).high_watermark

    def any_partition(self, topic: str) -> int:
        """Draw one of the topic's partitions."""
        return self.rng.randrange(self._log.partition_count(topic))

    def decode(self, received: Received) -> Record:
        """Return the record that a gate has written."""
        return self._wire.decode(received.topic, received.value or b"", received.headers)

    def _write_in_transaction(self, outgoing: Outgoing) -> None:
        producer = self._outside = self._log.producer("somebody")
        producer.init_transactions()
        producer.begin()
        producer.send(outgoing)
        self.plan(self.now_ms + self.rng.randint(1, _TRANSACTION_MS_MAX), self._end_transaction)

    def _end_transaction(self) -> None:
        producer, self._outside = self._outside, None
        if producer is None:
            raise LogError("the world has no open transaction")
        end = producer.abort if self.rng.random() < _ABORTED_SHARE else producer.commit
        # Nobody of the world acts while a gate waits, for instance behind this transaction. If the wait is long, the
        # broker aborts the transaction and fences its producer. What was written in it is then never seen.
        with suppress(FencedError):
            end()


def pick(rng: Random, weights: Sequence[tuple[str, int]]) -> str:
    """Draw one of the names, by weight."""
    names = [name for name, _ in weights]
    return rng.choices(names, [weight for _, weight in weights])[0]
