"""Make the fact `entities`: what operators' systems say about the things that a call is about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from streams.policy.runtime.entity_lookups import EntityLookup
from streams.processors.control.attributes import UNKNOWN, Attributes
from streams.processors.gate.case import Case


def entity_facts(
    lookups: Iterable[EntityLookup], facts: dict[str, Any], case: Case, attributes: Attributes
) -> dict[str, Any] | None:
    """Return the fact `entities` for a call; None if one of them is unclear.

    An entity that the call doesn't name is left out, and one that nobody knows is there with `known: false`.

    Args:
        lookups: the entities that the tool's rules read.
        facts: the facts that their keys read.
        case: the call. Entities are those of its tenant.
        attributes: the attributes of all entities.
    """
    intent, now_ms = case.asked.intent, case.asked.now_ms
    case.attributes_offset = attributes.next_offset
    found: dict[str, Any] = {}
    for lookup in lookups:
        entity_id = lookup.id_of(facts)
        if entity_id is None:
            continue
        entity = attributes.find(intent.header.tenant_uid, lookup.kind, entity_id)
        if entity is None:
            return None
        if entity is UNKNOWN:
            found[lookup.name] = {"known": False}
        else:
            found[lookup.name] = lookup.fact(entity.attributes, max(0, now_ms - entity.since_ms))
    return found
