"""Turn what an MCP server lists into catalog entries."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streams.model.canonical import CanonicalError, canonical
from streams.model.catalog import ArgumentUse, CompensatingArgument, EntryState, OutputLabel, ToolCatalogEntry
from streams.model.definition import definition_digests
from streams.model.labels import Label
from streams.model.report_keys import REPORT_KEYS_NAME, report_keys_definition
from streams.model.types import Header
from streams.sdk.entropy import SYSTEM, Entropy
from streams.sdk.errors import McpServerError


@dataclass(frozen=True, kw_only=True)
class ToolFacts:
    """What the operator states about a tool. Facts that are not stated count as the worst; the server's hints are not
    used.

    Attributes:
        sink_args: the arguments that say where data goes or what is acted on; none, if it is empty. None does not state
            them: `catalog import` proposes the worst then, `catalog publish` writes it, and other entries have none.
    """

    read_only: bool = False
    destructive: bool = True
    idempotent: bool = False
    open_world: bool = True
    reversible: bool = False
    compensating_tool: str | None = None
    output_label: Label | None = None
    output_labels: tuple[OutputLabel, ...] = ()
    sink_args: tuple[str, ...] | None = None
    owner: str | None = None
    kind: str | None = None
    kind_arg: str | None = None
    arg_roles: tuple[ArgumentUse, ...] = ()
    owner_args: tuple[str, ...] = ()
    output_owners: tuple[str, ...] = ()
    content_type: str | None = None
    compensating_args: tuple[CompensatingArgument, ...] = ()
    identifying_args: tuple[tuple[str, ...], ...] = ()


_NAME = re.compile(r"[^\s./*?\[\]{}\\]{1,200}\Z")
"""A name that the patterns of rules can hold (`streams.policy.language.parse_match`)."""
NAME_ADVICE = (
    "a name has 1 to 200 characters, without `.`, `/`, `\\`, `*`, `?`, spaces and brackets, so that rules can name it"
)


def is_server_name(server_id: str) -> bool:
    """Return whether an operator may give a server this name: one that rules and commands can write.

    Rules name tools as `server.tool`, and commands as `server/tool`: a rule about `mail.eu.*` would match nothing, and
    no rule can name a server with a space.
    """
    return _NAME.match(server_id) is not None


def catalog_entries(
    server_id: str,
    tools: Sequence[Mapping[str, Any]],
    facts: Mapping[str, ToolFacts],
    *,
    now_ms: int,
    source: str,
    tenant_uid: str,
    catalog_version: int = 1,
    proposed_by: str | None = None,
    reviewed_by: str | None = None,
    entropy: Entropy = SYSTEM,
) -> list[ToolCatalogEntry]:
    """Return the tools of `tools/list` as catalog entries.

    Args:
        facts: by tool name. A tool with facts becomes APPROVED if `reviewed_by` is given; every other is PROPOSED.
        source: the writer of the entries, as a URI reference.
        proposed_by: the person who had the tools listed.

    Raises:
        McpServerError: a tool has no name, no input schema, or no canonical form; or it has the name of report keys.
    """
    entries: list[ToolCatalogEntry] = []
    for tool in tools:
        name = tool.get("name")
        if name == REPORT_KEYS_NAME:
            raise McpServerError(f"MCP server `{server_id}` lists a tool `{name}`: the name stands for its report keys")
        known = facts.get(name) if isinstance(name, str) else None
        entries.append(
            _entry(
                server_id,
                tool,
                known,
                header=Header(id=entropy.uuid(now_ms), source=source, time=now_ms, tenant_uid=tenant_uid),
                catalog_version=catalog_version,
                proposed_by=proposed_by,
                reviewed_by=None if known is None else reviewed_by,
            )
        )
    return entries


def report_keys_entry(
    server_id: str,
    keys: Sequence[str],
    *,
    header: Header,
    catalog_version: int = 1,
    proposed_by: str | None = None,
    reviewed_by: str | None = None,
) -> ToolCatalogEntry:
    """Return the entry with the keys that sign a server's reports (`streams.model.report_keys`).

    Args:
        server_id: the operator's name for the server.
        keys: all keys that are to count, as text (`ed25519:...`).
        header: of the entry.
        catalog_version: its version.
        proposed_by: the person who proposes it.
        reviewed_by: the person who approves it; None only proposes it.
    """
    return _entry(
        server_id,
        report_keys_definition(server_id, keys),
        None,
        header=header,
        catalog_version=catalog_version,
        proposed_by=proposed_by,
        reviewed_by=reviewed_by,
    )


def _entry(
    server_id: str,
    tool: Mapping[str, Any],
    facts: ToolFacts | None,
    *,
    header: Header,
    catalog_version: int,
    proposed_by: str | None,
    reviewed_by: str | None,
) -> ToolCatalogEntry:
    name, about = tool.get("name"), facts or ToolFacts()
    try:
        digests = definition_digests(tool)
        schema_json = json.dumps(tool["inputSchema"], sort_keys=True)
    except (CanonicalError, KeyError, TypeError) as error:
        raise McpServerError(f"tool `{server_id}/{name}` can't be cataloged: {error}") from error
    if not isinstance(name, str) or not name:
        raise McpServerError(f"MCP server `{server_id}` lists a tool without a name")
    return ToolCatalogEntry(
        header=header,
        server_id=server_id,
        name=name,
        catalog_version=catalog_version,
        state=EntryState.PROPOSED if reviewed_by is None else EntryState.APPROVED,
        title=_text(tool.get("title")),
        description=_text(tool.get("description")),
        input_schema_json=schema_json,
        output_schema_json=_json(tool.get("outputSchema")),
        annotations_json=_json(tool.get("annotations")),
        meta_json=_json(tool.get("_meta")),
        definition_json=canonical({key: part for key, part in tool.items() if part is not None}).decode(),
        definition_digest=digests.definition,
        description_digest=digests.description,
        input_schema_digest=digests.input_schema,
        read_only=about.read_only,
        destructive=about.destructive,
        idempotent=about.idempotent,
        open_world=about.open_world,
        reversible=about.reversible,
        compensating_tool=about.compensating_tool,
        output_label=about.output_label,
        output_labels=about.output_labels,
        sink_args=about.sink_args or (),
        owner=about.owner,
        kind=about.kind,
        kind_arg=about.kind_arg,
        arg_roles=about.arg_roles,
        owner_args=about.owner_args,
        output_owners=about.output_owners,
        content_type=about.content_type,
        compensating_args=about.compensating_args,
        identifying_args=about.identifying_args,
        proposed_by=proposed_by,
        reviewed_by=reviewed_by,
        reviewed_at=None if reviewed_by is None else header.time,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value, sort_keys=True)
