"""Tell which things of a server have owners: a booking, an order, a card.

Catalogs do not say it of things, but of tools: whoever reads one booking by its number gets a record that names its
owner (`output_owners`). So what the one required argument of such a tool is called has owners, in all tools of that
server. A tool with several arguments searches, and its arguments may be names or days.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from streams.model.catalog import ToolCatalogEntry
from streams.provenance.words import UNTYPED, thing_of


def owned_things(entries: Iterable[ToolCatalogEntry]) -> dict[str, frozenset[str]]:
    """Return the things that have owners, in the singular, by server id."""
    found: dict[str, set[str]] = {}
    for entry in entries:
        if entry.read_only and entry.output_owners and (thing := _thing_read(entry)):
            found.setdefault(entry.server_id, set()).add(thing)
    return {server_id: frozenset(things) for server_id, things in found.items()}


def _thing_read(entry: ToolCatalogEntry) -> str:
    """Return what a tool reads one of; empty if it has not exactly one required argument."""
    try:
        schema = json.loads(entry.input_schema_json)
    except (ValueError, RecursionError):
        return ""
    required = schema.get("required") if isinstance(schema, Mapping) else None
    if not isinstance(required, list) or len(required) != 1:
        return ""
    thing = thing_of(str(required[0]))
    return thing_of(entry.name) if thing == UNTYPED else thing
