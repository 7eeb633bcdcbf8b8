"""What a reviewer signs of a catalog entry, and the key of an entry on its topic."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import msgspec

from streams.model.catalog import EntryState, ToolCatalogEntry
from streams.model.keys import tool_key

# INVARIANT: it is part of what was signed and of the entries' keys, so it keeps the spelling of the first signature
# (the escape is a `u`).
_DOMAIN = "stoplog catalog\x75e entry v1"
_UNSIGNED_FIELDS = frozenset({"header", "signatures"})
_LATER_FIELDS = frozenset(
    {
        "kind",
        "kind_arg",
        "arg_roles",
        "owner_args",
        "output_owners",
        "content_type",
        "compensating_args",
        "identifying_args",
    }
)
"""Fields of later versions of the record. Their defaults are empty or None."""
ENTRY_ID_CHARS = 40
"""Long enough that nobody can make two entries with the same id: a reviewer reads one entry, and approves by its id."""

GRANTING_STATES = frozenset({EntryState.APPROVED, EntryState.DEPRECATED})
"""The states in which a tool can be called; they need reviewers' signatures."""

_encode = msgspec.msgpack.Encoder(order="deterministic").encode


class EntryKey(NamedTuple):
    """The parts of an entry's key."""

    server_id: str
    name: str
    version: int
    entry_id: str


def entry_message(entry: ToolCatalogEntry) -> bytes:
    """Return the bytes that a signature covers: the tenant, and every field but the envelope and the signatures.

    They are a msgpack array of names and values, so no two entries share a message, and a field that is added to the
    record later is covered as well. A field that came with a later version of the record is left out where it has its
    default, so that what was signed before stays valid.
    """
    names = [name for name in entry.__struct_fields__ if name not in _UNSIGNED_FIELDS]
    fields = [(name, value) for name in names if (value := getattr(entry, name)) or name not in _LATER_FIELDS]
    return _encode((_DOMAIN, entry.header.tenant_uid, fields))


def entry_id(entry: ToolCatalogEntry) -> str:
    """Return the id of an entry for people: 40 hex digits over everything that a signature covers."""
    return hashlib.sha256(entry_message(entry)).hexdigest()[:ENTRY_ID_CHARS]


def entry_key(entry: ToolCatalogEntry) -> bytes:
    """Return `server_id/name@version.id`: every entry has its own key, so none replaces an earlier one.

    The approved entry must still be there to compare a proposal with. And nobody who may write the topic must be able
    to have an approval compacted away by another record.
    """
    tool = tool_key(entry.server_id, entry.name).decode()
    return f"{tool}@{entry.catalog_version}.{entry_id(entry)}".encode()


def parse_entry_key(key: bytes) -> EntryKey | None:
    """Return the parts of a key; None if it is not the key of an entry."""
    text = key.decode("utf-8", "replace")
    tool, _, rest = text.rpartition("@")
    server_id, slash, name = tool.partition("/")
    version, dot, own_id = rest.partition(".")
    if not (slash and dot and server_id and name and version.isascii() and version.isdigit() and own_id):
        return None
    return EntryKey(server_id, name, int(version[:_VERSION_DIGITS_MAX]), own_id)


_VERSION_DIGITS_MAX = 19
