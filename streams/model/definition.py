"""The digests that pin a tool's definition: the whole of it, and its parts for explanations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from streams.model.canonical import canonical, sha256


class DefinitionDigests(NamedTuple):
    """SHA-256 over RFC 8785 forms. A missing part is digested as null."""

    definition: bytes
    description: bytes
    input_schema: bytes


def definition_digests(tool: Mapping[str, object]) -> DefinitionDigests:
    """The digests of a tool.

    Args:
        tool: MCP's Tool object as it is on the wire, whole: what is left out of a pin is where a change hides. A field
            that is None counts as absent.

    Raises:
        CanonicalError: it has no canonical form (NaN, integers beyond 2^53, lone surrogates).
    """
    pinned = {field: value for field, value in tool.items() if value is not None}
    return DefinitionDigests(
        definition=sha256(canonical(pinned)),
        description=sha256(canonical(tool.get("description"))),
        input_schema=sha256(canonical(tool.get("inputSchema"))),
    )
