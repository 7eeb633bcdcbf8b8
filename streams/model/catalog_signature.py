"""What a reviewer signs of a catalog entry, and under which key an entry stands on its topic."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import msgspec

from streams.model.catalog import EntryState, ToolCatalogEntry
from streams.model.keys import tool_key

_DOMAIN = "stoplog catalog entry v1"
_UNSIGNED_FIELDS = frozenset({"header", "signatures"})
ENTRY_ID_CHARS = 40
"""So many that nobody can make two entries of one id: a reviewer looks at one, and approves what has its id."""

GRANTING_STATES = frozenset({EntryState.APPROVED, EntryState.DEPRECATED})
"""The states by which a tool can be called: those that need reviewers' signatures."""

_encode = msgspec.msgpack.Encoder(order="deterministic").encode


class EntryKey(NamedTuple):
    """A key of the topic, taken apart."""

    server_id: str
    name: str
    version: int
    entry_id: str


def entry_message(entry: ToolCatalogEntry) -> bytes:
    """The bytes that a signature covers: the tenant, and every field but the envelope and the signatures themselves.

    A msgpack array of names and values, so that no two entries share a message, and a field that is added to the record
    is covered from then on.
    """
    fields = [(name, getattr(entry, name)) for name in entry.__struct_fields__ if name not in _UNSIGNED_FIELDS]
    return _encode((_DOMAIN, entry.header.tenant_uid, fields))


def entry_id(entry: ToolCatalogEntry) -> str:
    """What an entry is called by people: of all that a signature covers, 40 hex digits."""
    return hashlib.sha256(entry_message(entry)).hexdigest()[:ENTRY_ID_CHARS]


def entry_key(entry: ToolCatalogEntry) -> bytes:
    """`server_id/name@version.id`: every entry stands under its own, so that none replaces what came before it.

    What was approved must still be there to be compared with what is proposed, and whoever may write the topic must not
    be able to have an approval compacted away by something else.
    """
    tool = tool_key(entry.server_id, entry.name).decode()
    return f"{tool}@{entry.catalog_version}.{entry_id(entry)}".encode()


def parse_entry_key(key: bytes) -> EntryKey | None:
    """What a key names; None if it is none."""
    text = key.decode("utf-8", "replace")
    tool, _, rest = text.rpartition("@")
    server_id, slash, name = tool.partition("/")
    version, dot, own_id = rest.partition(".")
    if not (slash and dot and server_id and name and version.isascii() and version.isdigit() and own_id):
        return None
    return EntryKey(server_id, name, int(version[:_VERSION_DIGITS_MAX]), own_id)


_VERSION_DIGITS_MAX = 19
