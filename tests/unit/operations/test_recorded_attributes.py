"""The attributes that a gate went by in a session, read again from the log."""

from __future__ import annotations

import msgspec

from streams.inmemory.clock import ManualClock
from streams.inmemory.log import MemoryLog
from streams.model.attributes import EntityAttributes, entity_key
from streams.model.topics import ATTRIBUTES
from streams.operations.rules.recorded_attributes import read_recorded_attributes
from streams.ports import Outgoing, TopicSpec
from streams.wiring.codecs import build_offline_codec
from tests.unit.processors.entities import TENANT, entity

BEGINS_MS = 1_000


def test_of_each_entity_the_newest_record_from_before_the_session_and_all_during_it_are_kept() -> None:
    clock = ManualClock(0)
    log = MemoryLog(clock)
    log.create(TopicSpec(ATTRIBUTES.name, 1, ATTRIBUTES.config()))
    codec = build_offline_codec()

    def write(time_ms: int, name: str, values: object, tenant: str = TENANT) -> str:
        key = entity_key(tenant, "customer", name)
        value = values
        if isinstance(values, dict):
            value = codec.encode(ATTRIBUTES.name, entity(name, values, tenant=tenant))
        offset = log.append(Outgoing(ATTRIBUTES.name, 0, key, value), timestamp_ms=time_ms)
        return f"{ATTRIBUTES.name}/0/{offset}"

    write(1, "a", {"n": 1})
    write(2, "a", {"n": 2})
    write(3, "b", {"n": 3})
    write(4, "b", None)
    write(5, "c", {"n": 5}, tenant="other")
    write(6, "d", {"n": 6})
    rejected = write(7, "d", {"n": 7})
    write(8, "e", b"nonsense")
    write(BEGINS_MS, "a", {"n": 8})
    write(BEGINS_MS + 5, "a", {"n": 9})
    clock.set_ms(2_000)
    lines = read_recorded_attributes(log, codec, clock, TENANT, BEGINS_MS, {rejected})
    found = []
    for line in lines:
        assert isinstance(line.record, EntityAttributes)
        assert line.key == entity_key(TENANT, "customer", line.record.id)
        text = line.record.attributes_json
        found.append((line.time_ms, line.record.id, msgspec.json.decode(text) if text else None))
    assert found == [
        *((2, "a", {"n": 2}), (7, "d", None), (8, "e", None)),
        *((BEGINS_MS, "a", {"n": 8}), (BEGINS_MS + 5, "a", {"n": 9})),
    ]
