"""The catalog as authors of rules need it: the tools, and the types of their arguments."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from streams.model.catalog import EntryState, ToolCatalogEntry
from streams.operations.catalog.files import read_catalog
from streams.operations.catalog.history import entries_in_force
from streams.operations.operator import Operator
from streams.policy import UNTYPED, ToolTypes

_NO_MATTER = "stoplog-rules"


def tools_of_file(path: Path) -> dict[str, ToolTypes]:
    """Return the argument types of the tools in a catalog file, by `server_id/name`. Blocking.

    Raises:
        CatalogFileError, HistoryError: see `read_catalog`.
    """
    return _types_of(read_catalog(path, 0, _NO_MATTER, _NO_MATTER))


def tools_of_log(operator: Operator) -> dict[str, ToolTypes]:
    """Return the argument types of the tools in the catalog on the log, by `server_id/name`. Blocking.

    Raises:
        TopicReadError, LogError: the catalog can't be read.
    """
    return _types_of(entries_in_force(operator))


def _types_of(entries: Iterable[ToolCatalogEntry]) -> dict[str, ToolTypes]:
    """Return the types of all tools that are not blocked: a rule for a blocked tool can't fire."""
    return {
        f"{entry.server_id}/{entry.name}": _types(entry) for entry in entries if entry.state is not EntryState.BLOCKED
    }


def _types(entry: ToolCatalogEntry) -> ToolTypes:
    try:
        schema = json.loads(entry.input_schema_json)
    except (ValueError, RecursionError):
        return UNTYPED
    return ToolTypes.from_json_schema(schema) if isinstance(schema, dict) else UNTYPED
