"""Take from a client what it has fetched."""

from __future__ import annotations

from confluent_kafka import Consumer, Message

from streams.kafka.noticing.silence import SilenceWatch


def fetched(client: Consumer, silence: SilenceWatch, max_records: int, wait_s: float) -> list[Message]:
    """Return up to `max_records` messages; wait up to `wait_s` seconds for the first one.

    The library's batch call waits for a full batch, its single call for one record. So both are used.

    Args:
        client: the client.
        silence: what is told whether records are left in the client.
        max_records: how many messages, at least 1.
        wait_s: 0 doesn't wait.

    Raises:
        KafkaException: the client reports an error.
    """
    messages = client.consume(max_records, 0)
    silence.polled(is_empty=len(messages) < max_records)
    if messages or wait_s <= 0:
        return messages
    first = client.poll(wait_s)
    if first is None:
        return []
    return [first, *client.consume(max_records - 1, 0)] if max_records > 1 else [first]
