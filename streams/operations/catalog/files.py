"""Reads catalog entries from files: lines of a history, or tools that MCP servers list with the operator's facts."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from streams.audit.report_keys import ServerKeys
from streams.audit.signatures import SigningKeyError
from streams.codec.history import iter_history
from streams.model.catalog import ToolCatalogEntry
from streams.model.errors import StoplogError
from streams.model.proof import derived_uuid
from streams.model.types import Header
from streams.operations.bounded_file import read_bounded
from streams.operations.catalog.proposed_facts import asks_for_sinks, possible_sinks
from streams.operations.catalog.stated_facts import FACT_NAMES, FactError, stated_facts
from streams.sdk.entropy import Entropy
from streams.sdk.errors import McpServerError
from streams.sdk.mcp.catalog import NAME_ADVICE, ToolFacts, catalog_entries, is_server_name, report_keys_entry

FILE_BYTES_MAX = 32_000_000

_LISTING_MEMBERS = ("server_id", "tools", "facts", "reviewed_by", "proposed_by", "report_keys")


class CatalogFileError(StoplogError):
    """A file has no usable catalog entries."""


def read_catalog(path: Path, now_ms: int, source: str, tenant_uid: str) -> list[ToolCatalogEntry]:
    """Return the entries of a file.

    The file is either a history, of which the `catalog_entry` lines are read, or JSON: an object or a list of objects:

        {"server_id": "mail", "tools": [...], "facts": {"send": {"open_world": true, ...}}, "reviewed_by": "ann",
         "proposed_by": "bea", "report_keys": ["ed25519:..."]}

    where `tools` is what the server's `tools/list` returned, and `report_keys` are the keys that sign the server's
    reports. Keys, and a tool with facts, are approved if `reviewed_by` is given; every other tool is only proposed.
    Where no fact says which arguments are sinks, all that can carry text or name a thing are.

    Args:
        now_ms: the time of entries from JSON.
        source: the source in their headers.
        tenant_uid: the tenant in their headers.

    Raises:
        CatalogFileError: the file can't be read, or is malformed.
        HistoryError: a line of a history is not a record.
    """
    listings = _load_listings(path)
    if listings is None:
        entries = [line.record for line in iter_history(path) if isinstance(line.record, ToolCatalogEntry)]
    else:
        entries = [entry for each in listings for entry in _from_listing(path, each, now_ms, source, tenant_uid)]
    if not entries:
        raise CatalogFileError(f"`{path}` has no catalog entry")
    return entries


def _load_listings(path: Path) -> list[object] | None:
    """Return the listings of a JSON file; None for a history."""
    data = read_bounded(path, FILE_BYTES_MAX, CatalogFileError)
    try:
        loaded = json.loads(data)
    except RecursionError:
        raise CatalogFileError(f"`{path}` is nested too deep") from None
    except ValueError:
        return None  # more than one line, so a history: its reader reports errors with their lines
    if isinstance(loaded, dict) and "record" in loaded:
        return None
    return loaded if isinstance(loaded, list) else [loaded]


def _from_listing(path: Path, listing: object, now_ms: int, source: str, tenant_uid: str) -> Iterator[ToolCatalogEntry]:
    if not isinstance(listing, dict):
        _refuse(path, "a listing must be an object with `server_id` and `tools`")
    for name in listing:
        if name not in _LISTING_MEMBERS:
            _refuse(path, _unknown(name, "a member of a listing", _LISTING_MEMBERS))
    server_id, tools, facts, reviewed_by, proposed_by, keys = (listing.get(name) for name in _LISTING_MEMBERS)
    if not isinstance(server_id, str) or not is_server_name(server_id):
        _refuse(path, f"`server_id` must be your name for the server: {NAME_ADVICE}")
    if isinstance(tools, dict):  # the whole result of `tools/list`
        tools = tools.get("tools")
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        _refuse(path, f"`tools` of `{server_id}` must be the list that `tools/list` returned")
    if not isinstance(reviewed_by, str | None):
        _refuse(path, "`reviewed_by` must be text")
    if not isinstance(proposed_by, str | None):
        _refuse(path, "`proposed_by` must be text")
    known = facts_from(path, server_id, facts or {}, tools)
    ids = _steady_ids(server_id, now_ms)
    try:
        entries = catalog_entries(
            server_id,
            tools,
            known,
            now_ms=now_ms,
            source=source,
            tenant_uid=tenant_uid,
            reviewed_by=reviewed_by,
            entropy=ids,
        )
        for entry in entries:
            # Nobody may look at this entry again: arguments of which nobody has said that they send nothing are sinks.
            sinks = possible_sinks(entry) if asks_for_sinks(known.get(entry.name)) else entry.sink_args
            yield msgspec.structs.replace(entry, proposed_by=proposed_by, sink_args=sinks)
        if keys is not None:
            yield report_keys_entry(
                server_id,
                _checked_keys(path, server_id, keys),
                header=Header(id=ids.uuid(now_ms), source=source, time=now_ms, tenant_uid=tenant_uid),
                proposed_by=proposed_by,
                reviewed_by=reviewed_by,
            )
    except McpServerError as error:
        _refuse(path, str(error))


def _checked_keys(path: Path, server_id: str, keys: object) -> list[str]:
    if not isinstance(keys, list) or not keys or not all(isinstance(key, str) for key in keys):
        _refuse(path, f"`report_keys` of `{server_id}` must be a list of public keys")
    try:
        ServerKeys.of(keys)
    except SigningKeyError as error:
        _refuse(path, f"`report_keys` of `{server_id}`: {error}")
    return keys


def read_listing(path: Path, server_id: str) -> tuple[list[dict[str, Any]], dict[str, ToolFacts]]:
    """Return the tools that a server lists, and the operator's facts about them, from a file. Blocking.

    The file has the list of tools, the result of `tools/list`, or a listing as for `read_catalog`.

    Raises:
        CatalogFileError: the file can't be read, is malformed, or is about another server.
    """
    loaded = _load_json(path)
    facts: object = None
    if isinstance(loaded, dict):
        if loaded.get("server_id", server_id) != server_id:
            _refuse(path, f"the file has the tools of server `{loaded['server_id']}`, not of `{server_id}`")
        facts = loaded.get("facts")
        loaded = loaded.get("tools")
        if isinstance(loaded, dict):
            loaded = loaded.get("tools")
    if not isinstance(loaded, list) or not all(isinstance(tool, dict) for tool in loaded):
        _refuse(path, "the file must have the list that `tools/list` returned")
    return loaded, facts_from(path, server_id, facts or {}, loaded)


def read_facts(path: Path, server_id: str, tools: Sequence[Mapping[str, object]]) -> dict[str, ToolFacts]:
    """Return the operator's facts about tools, from a file with an object by tool name. Blocking.

    Raises:
        CatalogFileError: the file can't be read, or names a tool that is not listed.
    """
    return facts_from(path, server_id, _load_json(path), tools)


def _load_json(path: Path) -> Any:
    data = read_bounded(path, FILE_BYTES_MAX, CatalogFileError)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CatalogFileError(f"`{path}` is not JSON: {error}") from None


def facts_from(
    path: Path | str, server_id: str, facts: object, tools: Sequence[Mapping[str, object]]
) -> dict[str, ToolFacts]:
    """Check facts, and return them by tool name.

    Args:
        path: the source of the facts, for messages.

    Raises:
        CatalogFileError: a fact is not known, is about a tool that is not listed, or has an invalid value.
    """
    if not isinstance(facts, dict):
        _refuse(path, f"`facts` of `{server_id}` must be an object by tool name")
    listed = dict.fromkeys(str(tool.get("name")) for tool in tools)
    known: dict[str, ToolFacts] = {}
    for name, stated in facts.items():
        where = f"facts of `{server_id}/{name}`"
        if name not in listed:
            _refuse(path, _unknown(name, f"a tool that `{server_id}` lists", list(listed)))
        if not isinstance(stated, dict):
            _refuse(path, f"{where} must be an object")
        for fact in stated:
            if fact not in FACT_NAMES:
                _refuse(path, f"{where}: {_unknown(fact, 'a fact', FACT_NAMES)}")
        try:
            known[name] = stated_facts(stated)
        except FactError as error:
            _refuse(path, f"{where}: {error}")
    return known


def _steady_ids(server_id: str, now_ms: int) -> Entropy:
    """Return a source of ids that depend only on server and time, so that two runs of a history give the same."""
    count = iter(range(1 << 30))

    def octets(size: int) -> bytes:
        made = derived_uuid("catalog entry", server_id, str(now_ms), str(next(count)))
        return bytes.fromhex(made.replace("-", ""))[:size]

    return Entropy(now_ms=lambda: now_ms, random_bytes=octets)


def _unknown(name: object, what: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(str(name), known, n=1)
    return f"`{name}` is not {what}" + (f"; did you mean `{near[0]}`?" if near else "")


def _refuse(path: Path | str, text: str) -> NoReturn:
    raise CatalogFileError(f"`{path}`: {text}")
