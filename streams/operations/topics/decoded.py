"""Reads records that are decoded; what can't be read is skipped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from streams.model.errors import RecordError
from streams.model.topics import Topic
from streams.model.types import Record
from streams.operations.topics.reader import hidden_topics, places_of_key, read_places_in_order
from streams.ports import Clock, Headers, Received
from streams.ports.open_log import Log


class Decoder(Protocol):
    """Reads records from their bytes, as `Wire` and `RecordCodec` do."""

    def decode(self, topic: str, value: bytes, headers: Headers, /) -> Record:
        """Return the record in a value of a topic.

        Raises:
            RecordError: it can't be read.
        """


class Found(NamedTuple):
    """A record as it was read, and what it says."""

    received: Received
    record: Record


def decoded(decoder: Decoder, received: Received) -> Record | None:
    """Return the record; None if it has no value, or can't be read."""
    if received.value is None:
        return None
    try:
        return decoder.decode(received.topic, received.value, received.headers)
    except RecordError:
        return None


def records_of_key(log: Log, decoder: Decoder, clock: Clock, topics: Sequence[Topic], key: bytes) -> Iterator[Found]:
    """Yield the readable records of a key on those of the topics that this client may read, in order of time. Blocking.

    Raises:
        TopicReadError, LogError: see `read_to_end`.
    """
    names = [topic.name for topic in topics]
    hidden = hidden_topics(log, names)
    places = places_of_key(log, [name for name in names if name not in hidden], key)
    for received in read_places_in_order(log, places, clock):
        if received.key == key and (record := decoded(decoder, received)) is not None:
            yield Found(received, record)
