"""Notice records from before the place where a partition is to be read.

librdkafka (2.16) can lose a seek. While it looks up where a partition begins, a seek takes effect at once. But the
answer to the lookup is then outdated, and the client takes that as a reason to look up the beginning once more, and to
read from there (its issue 2256). The same happens if the lookup times out, because the brokers are overloaded or away:
just when gates take partitions over.

So the lookup is avoided (`assign_paused`), and what a client returns is checked anyway (`Positions`). For a gate,
a record from before its position is a call that it has decided already.
"""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import OFFSET_BEGINNING, Consumer
from confluent_kafka import TopicPartition as KafkaPartition

from streams.kafka.settings import LOGGER
from streams.model.plurals import many

AGAIN_MAX = 5
"""How often in a row a partition is positioned again at the same offset. One seek is enough where one was lost. A
client that returns to earlier records anyway reads a log that is shorter than it was."""

Place = tuple[str, int]
"""Topic and partition: a `TopicPartition`, or what equals one."""


class Positions:
    """The offset from which each partition of a member is to be read on. For one thread.

    Attributes:
        next_offsets: of each partition that was positioned, or of which something was returned.
    """

    def __init__(self, reader: str) -> None:
        """Start without partitions. `reader` names the client in messages."""
        self._reader = reader
        self._again: dict[Place, tuple[int, int]] = {}
        self.next_offsets: dict[Place, int] = {}

    def clear(self) -> None:
        """Forget all partitions: others are assigned."""
        self.next_offsets.clear()
        self._again.clear()

    def put(self, place: Place, offset: int) -> None:
        """Note that a partition is to be read from this offset on, even if it was read further before."""
        self.next_offsets[place] = offset

    def settle(self, places: Iterable[Place]) -> None:
        """Note that what comes from these places is from behind their positions: a lost seek is over."""
        if self._again:
            for place in places:
                self._again.pop(place, None)

    def may_go_again(self, place: Place, dropped_count: int) -> bool:
        """Return whether a client that has returned earlier records is to be positioned again, and log it."""
        offset = self.next_offsets[place]
        before, times = self._again.get(place, (offset, 0))
        times = times + 1 if before == offset else 1
        self._again[place] = offset, times
        topic, partition = place
        LOGGER.warning(
            "%s is to read `%s` partition %d from offset %d on, and the client library has gone back: %s dropped, "
            "positioned again",
            self._reader,
            topic,
            partition,
            offset,
            many(dropped_count, "earlier record"),
        )
        return times <= AGAIN_MAX


def assign_paused(client: Consumer, partitions: list[KafkaPartition]) -> None:
    """Assign partitions that are sought and resumed later, so that nothing is asked for before.

    They get some offset: without a committed one, a partition could never be sought where `auto.offset.reset` is
    `error`. One that was paused before that can have any: nothing is fetched of it, and nothing looked up.
    """
    # To ask where they are read makes the client apply what it has heard of their topics.
    asked = client.position([KafkaPartition(each.topic, each.partition) for each in partitions])
    known = [each for each in asked if each.error is None]
    if known:
        client.pause(known)
    paused = {(each.topic, each.partition) for each in known}
    for partition in partitions:
        # One that the client does not know yet can't be paused before, and what it fetches first may be deleted.
        is_paused = (partition.topic, partition.partition) in paused
        partition.offset = 0 if is_paused else OFFSET_BEGINNING
    client.assign(partitions)
