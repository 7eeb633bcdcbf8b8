"""Write single records of the SDK to the log."""

from __future__ import annotations

from collections.abc import Sequence

from streams.codec.cloudevents import event_headers
from streams.model.keys import partition_for
from streams.model.topics import Topic
from streams.model.types import Header, Record
from streams.ports import FatalLogError, LogError, Outgoing
from streams.sdk.connection.transport import Transport
from streams.sdk.errors import PublishError

ATTEMPTS_MAX = 3
"""How often a record is published before its writer gets an error; readers tolerate records that are stored twice."""

FLUSH_TIMEOUT_MS = 10_000


def outgoing(transport: Transport, topic: Topic, key: bytes, record: Record, header: Header) -> Outgoing:
    """Encode a record for the wire, for the partition of its key.

    Raises:
        LogError: the topic's partitions aren't known.
    """
    return Outgoing(
        topic=topic.name,
        partition=partition_for(key, transport.partitions(topic.name)),
        key=key,
        value=transport.codec.encode(topic.family or topic.name, record),
        headers=event_headers(topic, header),
    )


def publish(transport: Transport, records: Sequence[Outgoing], *, timeout_ms: int = FLUSH_TIMEOUT_MS) -> None:
    """Store the records; blocks until they are stored. After an error some may be stored, and some twice.

    Args:
        timeout_ms: for each of at most `ATTEMPTS_MAX` attempts.

    Raises:
        PublishError: it is not known whether all are stored.
    """
    if not records:
        return
    attempt = 1
    while True:
        try:
            transport.store(records, timeout_ms)
            return
        except LogError as error:
            if attempt == ATTEMPTS_MAX or isinstance(error, FatalLogError):
                topics = ", ".join(sorted({f"`{record.topic}`" for record in records}))
                raise PublishError(f"records for {topics} are not known to be stored: {error}") from error
            attempt += 1
