"""Measures what entities cost a gate: `python -m bench.parts.attributes [--entities 100000]`.

A gate reads all entities of `agent.attributes.v1` into memory. The result is the time to read and apply one record, as
decoded from the wire, with and without a signature; the time of a lookup; and the memory that an entity takes, beside
the bytes that count towards `attributes.bytes_max`. An entity has five attributes.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from simulation.records import header
from streams.audit.attribute_writers import ANYBODY, AttributeWriters, signed_attributes
from streams.audit.signatures import SigningKey
from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas
from streams.model.attributes import EntityAttributes, Room, entity_key
from streams.model.topics import ATTRIBUTES
from streams.processors.control.attributes import Attributes

SIGNED_MAX = 5_000
_T = TypeVar("_T")
_TENANT, _KIND = "acme", "customer"
_NOW_MS = 1_764_061_200_000
_KIB = 1_024


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(prog="python -m bench.parts.attributes", description=__doc__)
    parser.add_argument("--entities", type=int, default=100_000, help="how many entities (default: %(default)s)")
    count = parser.parse_args().entities
    codec = Codec(CommittedSchemas.load())
    wire = [_encoded(codec, _record(number)) for number in range(count)]
    key = SigningKey.made()
    writers = AttributeWriters.of({"crm": str(key.public)})
    signed = [_encoded(codec, signed_attributes(_record(number), key, "")) for number in range(min(count, SIGNED_MAX))]
    gc.collect()
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    table = Attributes(ANYBODY, Room(1 << 40, 1 << 40))
    apply_us = _us_each(wire, lambda item: _apply(codec, table, *item))
    grown_bytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) * _KIB
    ids = [f"C-{number:08}" for number in range(count)]
    find_us = _us_each(ids, lambda entity_id: table.find(_TENANT, _KIND, entity_id))
    signed_table = Attributes(writers, Room(1 << 40, 1 << 40))
    signed_us = _us_each(signed, lambda item: _apply(codec, signed_table, *item))
    print(f"{'entities':<44}{count:>12,}")
    print(f"{'bytes on the wire':<44}{sum(len(value) for _, value in wire) / count:>12.0f}")
    print(f"{'bytes of memory':<44}{grown_bytes / count:>12.0f}")
    print(f"{'bytes that count (attributes.bytes_max)':<44}{table.bytes_count / count:>12.0f}")
    print(f"{'us to decode and apply a record':<44}{apply_us:>12.1f}")
    print(f"{'us to decode and apply a signed record':<44}{signed_us:>12.1f}")
    print(f"{'us to look up an entity':<44}{find_us:>12.1f}")


def _record(number: int) -> EntityAttributes:
    attributes = {
        "owner": f"user{number}@example.com",
        "region": "eu-west",
        "tier": "gold" if number % 2 else "basic",
        "limit": 1_000 + number,
        "vip": number % 7 == 0,
    }
    return EntityAttributes(
        header=header(f"entity {number}", _NOW_MS, _TENANT),
        kind=_KIND,
        id=f"C-{number:08}",
        attributes_json=json.dumps(attributes),
    )


def _encoded(codec: Codec, record: EntityAttributes) -> tuple[bytes, bytes]:
    return entity_key(_TENANT, record.kind, record.id), codec.encode(ATTRIBUTES.name, record)


def _apply(codec: Codec, table: Attributes, key: bytes, value: bytes) -> None:
    record = codec.decode(ATTRIBUTES.name, value, ())
    if isinstance(record, EntityAttributes):
        table.offer(key, record, 0, _NOW_MS)


def _us_each(items: Sequence[_T], do: Callable[[_T], object]) -> float:
    began_s = time.perf_counter()
    for item in items:
        do(item)
    return (time.perf_counter() - began_s) / max(1, len(items)) * 1e6


if __name__ == "__main__":
    main()
