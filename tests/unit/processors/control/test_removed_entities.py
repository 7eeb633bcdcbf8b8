"""Whoever has removed most entities loses the earliest of them where there is no room."""

from __future__ import annotations

from streams.model.attributes import entity_key
from streams.processors.control.removed_entities import REMOVED_BYTES, RemovedEntities


def test_the_tenant_that_has_most_makes_room_with_its_earliest() -> None:
    removed, held = RemovedEntities(), dict[str, dict[bytes, int]]()
    for number in range(2_000):
        tenant = f"t-{number * number % 13}"
        key = entity_key(tenant, "order", f"O-{number * 7_919 % 301}")
        own = held.setdefault(tenant, {})
        own.pop(key, None)
        if number % 5 == 3:
            removed.forget(key)
        else:
            removed.add(key, number)
            own[key] = number
        if number % 3 == 1 and any(held.values()):
            before = {name: sum(len(each) + REMOVED_BYTES for each in keys) for name, keys in held.items()}
            removed.make_room()
            lost = [(name, each) for name, keys in held.items() for each in keys if removed.find(each) is None]
            ((loser, earliest),) = lost
            assert before[loser] == max(before.values())
            assert earliest == next(iter(held[loser]))
            del held[loser][earliest]
    assert removed.bytes_count == sum(len(each) + REMOVED_BYTES for keys in held.values() for each in keys)
    assert all(removed.find(key) == written for keys in held.values() for key, written in keys.items())
