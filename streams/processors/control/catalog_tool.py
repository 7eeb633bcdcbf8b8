"""A catalog entry, compiled: what calls of its tool are judged with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from streams.audit.report_keys import ServerKeys
from streams.model.catalog import ToolCatalogEntry
from streams.model.labels import WORST, Label
from streams.model.types import ToolRef
from streams.processors.control.schemas import ArgsSchema
from streams.processors.control.tool_uses import ToolUses

ToolName = tuple[str, str]


@dataclass(frozen=True)
class CatalogTool:
    """Holds a catalog entry with the compiled schema of its arguments.

    Attributes:
        keys: the keys of a server, if the entry is that of its report keys and is in force.
    """

    entry: ToolCatalogEntry
    schema: ArgsSchema
    keys: ServerKeys | None = None

    @property
    def full_name(self) -> ToolName:
        """The server's id and the tool's name."""
        return self.entry.server_id, self.entry.name

    @cached_property
    def ref(self) -> ToolRef:
        """The reference of verdicts to the tool, by which an executor recognises the definition that was judged."""
        entry = self.entry
        return ToolRef(
            server_id=entry.server_id,
            name=entry.name,
            definition_digest=entry.definition_digest,
            catalog_version=entry.catalog_version,
        )

    @cached_property
    def uses(self) -> ToolUses:
        """What the values of its arguments and results are for, compiled once."""
        return ToolUses(self.entry)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The fact `tool`: the same object for every call, by which rules recognise the tool. Do not change it."""
        entry = self.entry
        return {
            "id": f"{entry.server_id}.{entry.name}",
            "server_id": entry.server_id,
            "name": entry.name,
            "version": str(entry.catalog_version),
            "read_only": entry.read_only,
            "destructive": entry.destructive,
            "idempotent": entry.idempotent,
            "open_world": entry.open_world,
            "reversible": entry.reversible,
            "irreversible": not entry.reversible,
            "external": entry.open_world,
            "definition_digest": entry.definition_digest.hex(),
            "sink_args": list(self.uses.sinks.paths),
            "compensating": entry.compensating_tool is not None,
        }

    @property
    def output_label(self) -> Label:
        """The label of what the tool returns; the worst label if the entry states none."""
        return self.entry.output_label or WORST
