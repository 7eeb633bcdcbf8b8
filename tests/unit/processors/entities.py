"""Records about entities, and a table that holds them."""

from __future__ import annotations

from typing import Any

import msgspec

from streams.audit.attribute_writers import AttributeWriters
from streams.model.attributes import EntityAttributes, Room
from streams.model.proof import derived_uuid
from streams.model.types import Header
from streams.processors.control.attributes import Attributes

TENANT = "acme"


def entity(
    entity_id: str, values: Any, *, tenant: str = TENANT, kind: str = "customer", **fields: Any
) -> EntityAttributes:
    text = values if isinstance(values, str) else msgspec.json.encode(values).decode()
    header = Header(id=derived_uuid("attributes", entity_id, text), source="crm", time=1, tenant_uid=tenant)
    return EntityAttributes(header=header, kind=kind, id=entity_id, attributes_json=text, **fields)


def held(bytes_max: int = 1_000_000, tenant_bytes_max: int = 1_000_000) -> Attributes:
    return Attributes(AttributeWriters.of({}, allow_unsigned=True), Room(bytes_max, tenant_bytes_max))
