"""Contents in histories: their atoms, as executors and agents would report them.

A line of a history may hold the content itself. What the writer would know beside it, the history says in other lines:
whose session it is, and which media type the catalog states for the tool's results.
"""

from __future__ import annotations

from collections.abc import Iterable

from streams.model.catalog import ToolCatalogEntry
from streams.model.intent import Intent
from streams.model.keys import tool_key
from streams.model.session import SessionEvent
from streams.model.types import Record
from streams.provenance.extraction.digests import atom_key
from streams.provenance.extraction.events import DESCRIBED_EVENTS, described


class Contents:
    """What the lines so far say about sessions and tools."""

    def __init__(self, catalog: Iterable[ToolCatalogEntry] = ()) -> None:
        """Begin with what a catalog beside the history says."""
        self._subjects: dict[tuple[str, str], str] = {}
        self._types: dict[bytes, str | None] = {}
        for entry in catalog:
            self.remember(entry)

    def remember(self, record: Record) -> None:
        """Process a line's record."""
        if isinstance(record, ToolCatalogEntry):
            self._types[tool_key(record.server_id, record.name)] = record.content_type
        elif isinstance(record, Intent | SessionEvent) and record.sub is not None:
            self._subjects.setdefault((record.header.tenant_uid, record.session_id), record.sub)

    def described(self, event: SessionEvent, content: str, root_key: bytes) -> SessionEvent:
        """Return the event with the atoms of its content, as its writer would have reported them."""
        if event.type not in DESCRIBED_EVENTS:
            return event
        tenant_uid, content_type = event.header.tenant_uid, event.content_type
        if content_type is None and event.tool is not None:
            content_type = self._types.get(tool_key(event.tool.server_id, event.tool.name))
        sub = self._subjects.get((tenant_uid, event.session_id), "") if event.sub is None else event.sub
        return described(event, content, atom_key(root_key, tenant_uid, sub), content_type)
