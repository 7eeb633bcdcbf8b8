"""Write records: they get offsets and timestamps at the commit, in the order of sending."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from streams.embedded.errors import RefusedRecordError
from streams.embedded.file import OFFSET_MASK, LogConnection
from streams.embedded.topics import Topic, TopicTable, base_id
from streams.ports import Headers, Outgoing, TopicPartition

encode_headers = msgspec.msgpack.Encoder().encode
decode_headers = msgspec.msgpack.Decoder(Headers).decode


AHEAD_MS_MAX = 60_000
"""A partition's last timestamp that is further ahead of now was wrong."""


class _Head:
    """Where a partition's next record goes, and what its topic accepts."""

    __slots__ = ("base", "bytes_max", "keyed", "next_id", "part_id", "timestamp_ms")

    def __init__(self, topic: Topic, part_id: int, next_offset: int, timestamp_ms: int) -> None:
        self.part_id = part_id
        self.base = base_id(part_id)
        self.next_id = self.base + next_offset
        self.timestamp_ms = timestamp_ms
        self.bytes_max = topic.record_bytes_max
        self.keyed = topic.compacted


def append(connection: LogConnection, topic_table: TopicTable, records: Sequence[Outgoing], now_ms: int) -> list[int]:
    """Write records inside the caller's write transaction.

    Args:
        connection: holds the transaction.
        topic_table: refreshed within this transaction.
        records: in the order they were sent.
        now_ms: the records' timestamp, unless the partition has one that is a little later.

    Returns:
        Their offsets.

    Raises:
        RefusedRecordError: a topic does not accept one of the records; the transaction must be rolled back.
        UnknownTopicError: a topic or partition does not exist; the transaction must be rolled back.
    """
    heads: dict[tuple[str, int], _Head] = {}
    rows: list[tuple[Any, ...]] = []
    for record in records:
        topic, partition = record.topic, record.partition
        key, value, headers = record.key, record.value, record.headers
        head = heads.get((topic, partition))
        if head is None:
            head = heads[topic, partition] = _head(connection, topic_table, TopicPartition(topic, partition), now_ms)
        packed = encode_headers(headers) if headers else None
        size = (len(value) if value else 0) + (len(key) if key else 0) + (len(packed) if packed else 0)
        if size > head.bytes_max or (key is None and head.keyed):
            raise _refusal(record, size, head)
        row_id = head.next_id
        head.next_id = row_id + 1
        rows.append((row_id, head.timestamp_ms, key, packed, value))
    connection.write_many("INSERT INTO records VALUES (?, ?, ?, ?, ?)", rows)
    connection.write_many(
        "UPDATE partitions SET next_offset = ?, last_timestamp_ms = ? WHERE part_id = ?",
        [(head.next_id - head.base, head.timestamp_ms, head.part_id) for head in heads.values()],
    )
    return [row[0] & OFFSET_MASK for row in rows]


def _head(connection: LogConnection, topic_table: TopicTable, partition: TopicPartition, now_ms: int) -> _Head:
    part_id = topic_table.part_id(partition)
    next_offset, last_timestamp_ms = connection.rows(
        "SELECT next_offset, last_timestamp_ms FROM partitions WHERE part_id = ?", (part_id,)
    )[0]
    # INVARIANT: a partition's timestamps go back only from a time that was far ahead: to keep to that one would stamp
    # all later records wrongly, for as long as the clock was wrong. Readers set aside what is far ahead.
    time_ms = now_ms if last_timestamp_ms - now_ms > AHEAD_MS_MAX else max(now_ms, last_timestamp_ms)
    return _Head(topic_table.topics()[partition.topic], part_id, next_offset, time_ms)


def _refusal(record: Outgoing, size: int, head: _Head) -> RefusedRecordError:
    if size > head.bytes_max:
        return RefusedRecordError(
            f"record of {size} bytes for topic `{record.topic}` partition {record.partition} is over "
            f"`max.message.bytes` = {head.bytes_max}: send less, or raise the topic's limit"
        )
    return RefusedRecordError(f"record without a key for topic `{record.topic}`, which is compacted by key")
