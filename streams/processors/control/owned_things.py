"""Tell which things of a server have owners: a booking, an order, a card.

Catalogs do not say it of things, but of tools: whoever reads one booking by its number gets a record that names its
owner (`output_owners`). So what the one required argument of such a tool is called has owners, in all tools of that
server. A tool with several arguments searches, and its arguments may be names or days. What the name of the tool says
that it reads has owners as well: `appointments(patient_id)` shows whose each appointment is.
"""

from __future__ import annotations

from collections.abc import Iterable

from streams.processors.control.catalog_tool import CatalogTool
from streams.provenance.acts.words import TOOL_VERBS
from streams.provenance.words import UNTYPED, thing_of


def owned_things(tools: Iterable[CatalogTool]) -> dict[str, frozenset[str]]:
    """Return the things that have owners, in the singular, by server id."""
    found: dict[str, set[str]] = {}
    for tool in tools:
        entry = tool.entry
        if entry.read_only and entry.output_owners:
            found.setdefault(entry.server_id, set()).update({_thing_read(tool), _thing_named(tool)} - {""})
    return {server_id: frozenset(things) for server_id, things in found.items() if things}


def _thing_named(tool: CatalogTool) -> str:
    """Return what the name of a tool says that it reads; empty if it says none, or the tool is not told whose."""
    thing = thing_of(tool.entry.name)
    return "" if not tool.uses.required or thing == UNTYPED or thing in TOOL_VERBS else thing


def _thing_read(tool: CatalogTool) -> str:
    """Return what a tool reads one of; empty if it has not exactly one required argument."""
    required = tool.uses.required
    if len(required) != 1:
        return ""
    thing = thing_of(required[0])
    return thing_of(tool.entry.name) if thing == UNTYPED else thing
