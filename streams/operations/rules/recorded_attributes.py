"""Reads the attributes of entities that a gate went by in one session.

A topic of attributes has a record for each of a tenant's customers, most of which no call of the session is about. So
of what was written before the session, only the newest record of each entity is kept. A record that a gate rejected, or
that can't be read, made its entity unclear; it is kept as one that can't be used, so that it does the same in the run.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

import msgspec

from streams.codec.avro import Codec
from streams.codec.history import HistoryLine
from streams.model.attributes import EntityAttributes
from streams.model.proof import derived_uuid
from streams.model.topics import ATTRIBUTES
from streams.model.types import Header
from streams.operations.topics.decoded import decoded
from streams.operations.topics.reader import read_in_order
from streams.ports import Clock, Received
from streams.ports.open_log import Log

_UNUSABLE = ""
"""No JSON, so a gate can't use the record."""


def read_recorded_attributes(
    log: Log, codec: Codec, clock: Clock, tenant_uid: str, begins_ms: int, rejected: AbstractSet[str]
) -> list[HistoryLine]:
    """Return the attributes of a tenant's entities from before the session and during it. Blocking.

    Args:
        begins_ms: the broker's time of the session's first record.
        rejected: places of records that gates have rejected.

    Raises:
        TopicReadError, LogError: the topic can't be read.
    """
    before: dict[bytes, HistoryLine] = {}
    during: list[HistoryLine] = []
    prefix = f"{tenant_uid}|".encode()
    for received in read_in_order(log, (ATTRIBUTES.name,), clock):
        key = received.key or b""
        if not key.startswith(prefix):
            continue
        if received.timestamp_ms < begins_ms:
            before.pop(key, None)
        if received.value is None:
            continue
        place = f"{received.topic}/{received.partition}/{received.offset}"
        record = _record(codec, received, place, is_rejected=place in rejected)
        line = HistoryLine("", received.topic, key, received.timestamp_ms, record)
        if received.timestamp_ms < begins_ms:
            before[key] = line
        else:
            during.append(line)
    return [*before.values(), *during]


def _record(codec: Codec, received: Received, place: str, *, is_rejected: bool) -> EntityAttributes:
    found = decoded(codec, received)
    if isinstance(found, EntityAttributes):
        return msgspec.structs.replace(found, attributes_json=_UNUSABLE) if is_rejected else found
    tenant_uid, _, entity = (received.key or b"").decode("utf-8", "replace").partition("|")
    kind, _, entity_id = entity.partition("/")
    header = Header(
        id=derived_uuid("unreadable attributes", place),
        source="stoplog-cli",
        time=received.timestamp_ms,
        tenant_uid=tenant_uid,
    )
    return EntityAttributes(header=header, kind=kind, id=entity_id, attributes_json=_UNUSABLE)
