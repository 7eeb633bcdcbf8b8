"""The attributes that a gate holds, against a plain record of what was written last of each entity."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from streams.model.attributes import entity_key
from streams.model.errors import RecordError
from streams.processors.control.attributes import ENTITY_BYTES, UNKNOWN, Attributes
from tests.unit.processors.entities import TENANT, entity, held

NAMES = ("a", "b", "c", "d")
STEPS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(["small", "large", "bad", "removed", "unreadable"])), max_size=40
)
VALUES = {"small": {"n": 1}, "large": {"n": "x" * 300}}
ROOM = 2 * (ENTITY_BYTES + 350)
"""Room for one large entity and some small ones, not for all."""


@given(steps=STEPS)
def test_an_entity_is_what_its_newest_record_says_or_unclear(steps: list[tuple[str, str]]) -> None:
    table = held(ROOM)
    expected: dict[str, object] = {}
    for name, what in steps:
        key = entity_key(TENANT, "customer", name)
        if what == "removed":
            table.forget(key)
            expected.pop(name, None)
        elif what == "unreadable":
            table.make_unclear(key)
            expected[name] = None
        else:
            expected[name] = VALUES[what] if what in VALUES and was_taken(table, name, VALUES[what]) else None
            if what == "bad":
                assert not was_taken(table, name, "[]")
        for each in NAMES:
            found = table.find(TENANT, "customer", each)
            shown: object = "unknown" if found is UNKNOWN else None if found is None else found.attributes
            assert shown == expected.get(each, "unknown")
        kept = [value for value in expected.values() if value is not None]
        size = sum(len(entity_key(TENANT, "customer", "a")) + len(compact(value)) + ENTITY_BYTES for value in kept)
        assert (table.count, table.bytes_count) == (len(kept), size)
        assert size <= ROOM


def was_taken(table: Attributes, name: str, values: object) -> bool:
    try:
        table.offer(entity_key(TENANT, "customer", name), entity(name, values), 0, 1_000)
    except RecordError:
        return False
    return True


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
