"""The digests that pin a tool's definition: of the whole, and of its parts for explanations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from streams.model.canonical import canonical, sha256


class DefinitionDigests(NamedTuple):
    """SHA-256 digests over RFC 8785 forms. A missing part is digested as null."""

    definition: bytes
    description: bytes
    input_schema: bytes


def definition_digests(tool: Mapping[str, object]) -> DefinitionDigests:
    """Return the digests of a tool.

    Args:
        tool: the complete Tool object of MCP, as on the wire: a change could hide in any field that is left out. A
            field that is None counts as absent.

    Raises:
        CanonicalError: the tool has no canonical form (NaN, integers beyond 2^53, lone surrogates).
    """
    pinned = {field: value for field, value in tool.items() if value is not None}
    return DefinitionDigests(
        definition=sha256(canonical(pinned)),
        description=sha256(canonical(tool.get("description"))),
        input_schema=sha256(canonical(tool.get("inputSchema"))),
    )
