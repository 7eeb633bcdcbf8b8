"""The catalog entry that says with which keys a server's reports are signed.

It is an entry as that of a tool, under a name that no tool of MCP can have. So the keys of a server are proposed,
reviewed, signed, replaced and blocked as its tools are, and whoever may only propose tools can't make a key count. The
keys stand in the definition, which the reviewers' signatures and the digest cover.

Rejected: a field of the entry (a signature covers every field, so all earlier signatures would have become invalid),
and a topic of its own (a second mechanism of versions, signatures and protection against old records).
"""

from __future__ import annotations

from collections.abc import Sequence

from streams.model.canonical import CanonicalError, parse_strict
from streams.model.catalog import ToolCatalogEntry

REPORT_KEYS_NAME = "@reports"
"""The name of the entry. Names of MCP tools have no `@`."""

REPORT_KEYS_MAX = 8
"""How many keys a server can have at once: one for each executor that is set up again while others still run."""

_META = "stoplog/report-keys"


def report_keys_definition(server_id: str, keys: Sequence[str]) -> dict[str, object]:
    """Return the definition of a server's entry, in the form of an MCP tool.

    Args:
        server_id: the operator's name for the server.
        keys: its public keys as text (`ed25519:...`).
    """
    return {
        "name": REPORT_KEYS_NAME,
        "description": f"Keys that sign the reports of {server_id}: {', '.join(keys)}",
        "inputSchema": {"type": "object"},
        "_meta": {_META: list(keys)},
    }


def report_keys_in(entry: ToolCatalogEntry) -> tuple[str, ...]:
    """Return the public keys that an entry names, as text.

    Raises:
        ValueError: the entry has no definition with keys, or too many keys.
    """
    try:
        definition = parse_strict(entry.definition_json or "null")
    except CanonicalError as error:
        raise ValueError(f"its definition can't be parsed: {error}") from None
    meta = definition.get("_meta") if isinstance(definition, dict) else None
    keys = meta.get(_META) if isinstance(meta, dict) else None
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or not keys:
        raise ValueError(f"its definition has no list of keys in `_meta`, under `{_META}`")
    if len(keys) > REPORT_KEYS_MAX:
        raise ValueError(f"it has {len(keys)} keys, at most {REPORT_KEYS_MAX} are accepted")
    return tuple(keys)
