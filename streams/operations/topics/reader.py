"""Reads topics without a consumer group: up to their end, or continuously."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from heapq import merge

from streams.model.errors import StoplogError
from streams.model.keys import partition_for
from streams.model.topics import BY_NAME, Spread
from streams.ports import Admin, Clock, Reader, Received, TopicPartition
from streams.ports.open_log import Log
from streams.sdk.connection.missing_topics import why_missing

BATCH_RECORDS_MAX = 1_000
POLL_MS = 200
READERS_MAX = 32
"""How many partitions are read side by side, to merge their records in order of time."""

SILENCE_MS_MAX = 15_000
"""After how long without a record a read fails that is not at the end."""


class TopicReadError(StoplogError):
    """A topic does not exist, or can't be read to its end."""


def partitions_of(log: Log, topics: Sequence[str]) -> list[TopicPartition]:
    """Return all partitions of the topics.

    Raises:
        TopicReadError: a topic does not exist, or this client may not see it.
        LogError: the log did not answer.
    """
    with closing(log.admin()) as admin:
        return partitions_by(admin, topics, log.name)


def partitions_by(admin: Admin, topics: Sequence[str], log_name: str) -> list[TopicPartition]:
    """Return all partitions of the topics, as a client says that is open already.

    Args:
        admin: this client.
        log_name: what to call the log.

    Raises:
        TopicReadError, LogError: see `partitions_of`.
    """
    states = admin.describe(topics, ())
    missing = [name for name in topics if name not in states]
    if missing:
        raise TopicReadError(why_missing(missing[0], admin, log_name))
    return [TopicPartition(name, number) for name in topics for number in range(states[name].partitions)]


def hidden_topics(log: Log, topics: Sequence[str]) -> frozenset[str]:
    """Return those of the topics that access control hides from this client.

    Raises:
        LogError: the log did not answer.
    """
    with closing(log.admin()) as admin:
        return admin.hidden(topics)


def places_of_key(log: Log, topics: Sequence[str], key: bytes) -> list[TopicPartition]:
    """Return the partition of the key, of each of the topics; all partitions of one that is not partitioned by it.

    Raises:
        TopicReadError, LogError: see `partitions_of`.
    """
    places = partitions_of(log, topics)
    counts = Counter(place.topic for place in places)
    return [
        place
        for place in places
        if BY_NAME[place.topic].spread is not Spread.CO_PARTITIONED
        or place.partition == partition_for(key, counts[place.topic])
    ]


def read_to_end(log: Log, topics: Sequence[str], clock: Clock) -> Iterator[Received]:
    """Yield all records that are on the topics when this begins, in offset order of each partition. Blocking.

    Raises:
        TopicReadError: a topic does not exist, or its end can't be reached.
        LogError: the log did not answer, or refused.
    """
    partitions = partitions_of(log, topics)
    with closing(log.reader()) as reader:
        ends = reader.end_offsets(partitions)
        yield from _read(log, reader, ends, clock)


def read_places(
    log: Log, ends: Mapping[TopicPartition, int], clock: Clock, begins: Mapping[TopicPartition, int] | None = None
) -> Iterator[Received]:
    """Yield all records of some partitions below their ends, in offset order of each. Blocking.

    Args:
        begins: the offset at which each partition begins; 0 where none is given.

    Raises:
        TopicReadError: an end can't be reached.
        LogError: the log did not answer, or refused.
    """
    with closing(log.reader()) as reader:
        yield from _read(log, reader, ends, clock, begins)


def first_record(log: Log, place: TopicPartition, begin: int, end: int, clock: Clock) -> Received | None:
    """Return the first record of a partition from one offset on, below another one; None if there is none. Blocking.

    Raises:
        TopicReadError, LogError: see `read_places`.
    """
    with closing(log.reader()) as reader:
        return next(_read(log, reader, {place: end}, clock, {place: begin}), None)


def read_in_order(log: Log, topics: Sequence[str], clock: Clock) -> Iterator[Received]:
    """Yield all records as `read_to_end` does, but in order of time: only roughly for over `READERS_MAX` partitions.

    Raises:
        TopicReadError, LogError: see `read_to_end`.
    """
    yield from read_places_in_order(log, partitions_of(log, topics), clock)


def read_places_in_order(log: Log, partitions: Sequence[TopicPartition], clock: Clock) -> Iterator[Received]:
    """Yield all records of some partitions as `read_in_order` does.

    Raises:
        TopicReadError, LogError: see `read_to_end`.
    """
    with ExitStack() as stack:
        asking = stack.enter_context(closing(log.reader()))
        ends = {place: end for place, end in asking.end_offsets(partitions).items() if end > 0}
        if len(ends) > READERS_MAX:
            yield from _read(log, asking, ends, clock)
            return
        # The one that has asked is one of them: to open another takes longer than to read a short topic.
        readers = [asking, *(stack.enter_context(closing(log.reader())) for _ in range(len(ends) - 1))]
        streams = [
            _read(log, reader, {place: end}, clock) for reader, (place, end) in zip(readers, ends.items(), strict=False)
        ]
        yield from merge(*streams, key=lambda record: record.timestamp_ms)


def _read(
    log: Log,
    reader: Reader,
    ends: Mapping[TopicPartition, int],
    clock: Clock,
    begins: Mapping[TopicPartition, int] | None = None,
) -> Iterator[Received]:
    reader.assign({**dict.fromkeys(ends, 0), **(begins or {})})
    heard_ms = clock.monotonic_ms()
    while not _reached(reader, ends):
        records = reader.poll(BATCH_RECORDS_MAX, POLL_MS)
        if records:
            heard_ms = clock.monotonic_ms()
        elif clock.monotonic_ms() - heard_ms > SILENCE_MS_MAX:
            topics = ", ".join(sorted({f"`{place.topic}`" for place in ends}))
            raise TopicReadError(
                f"the {log.name} sent no record for {SILENCE_MS_MAX} ms before the end of {topics} was reached; "
                "run `stoplog doctor`"
            )
        yield from (record for record in records if record.offset < ends[_place(record)])


def follow(log: Log, topics: Sequence[str], *, from_beginning: bool) -> Iterator[list[Received]]:
    """Yield new records of the topics in batches, each in order of time, without end. Blocking.

    A batch is empty if no record has arrived for `POLL_MS`.

    Args:
        from_beginning: whether to begin with the oldest records.

    Raises:
        TopicReadError: a topic does not exist.
        LogError: the log did not answer, or refused.
    """
    partitions = partitions_of(log, topics)
    with closing(log.reader()) as reader:
        reader.assign(dict.fromkeys(partitions, 0) if from_beginning else reader.end_offsets(partitions))
        while True:
            yield sorted(reader.poll(BATCH_RECORDS_MAX, POLL_MS), key=lambda record: record.timestamp_ms)


def _reached(reader: Reader, ends: Mapping[TopicPartition, int]) -> bool:
    return all(reader.position(partition) >= end for partition, end in ends.items())


def _place(record: Received) -> TopicPartition:
    return TopicPartition(record.topic, record.partition)
