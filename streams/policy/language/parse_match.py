"""Parses the `match:` of rules, memories and budgets: patterns for the calls that they apply to."""

from __future__ import annotations

import re

from streams.policy.errors import Findings
from streams.policy.language.bundle import Match, Pattern
from streams.policy.language.located_yaml import Node, Scalar, node_kind
from streams.policy.language.yaml_mapping import MappingReader

PATTERNS_MAX = 200

GLOB_PATTERN = re.compile(r"[^\s\[\]{}\\]{1,200}\Z")
SERVER_GLOB_PATTERN = re.compile(r"[^\s\[\]{}\\/]{1,200}\Z")
TOOL_GLOB_PATTERN = re.compile(r"(?=[^\s\[\]{}\\]{1,200}\Z)(\*|[^./]*\..*)\Z")
VERSION_GLOB_PATTERN = re.compile(r"[^\s\[\]{}\\<>=^~!|,]{1,200}\Z")

_VERSION_HINT = (
    "a version is the number of a catalog entry: write a number such as `3`, or compare it in `when`, "
    "as in `int(tool.version) >= 3`"
)


def read_match(reader: MappingReader, findings: Findings, key: str, more_keys: tuple[str, ...]) -> Match | None:
    """Parse the match under a key.

    Args:
        reader: the mapping that has the key.
        findings: receives the errors.
        key: the key.
        more_keys: further keys that the match may have; the caller reads them.
    """
    node = reader.node(key)
    if node is None:
        return None
    inner = MappingReader(node, f"`{key}`", ("tools!", "servers", "tool_version", "agents", "tenants", *more_keys),
                 findings, reader.rule_id)  # fmt: skip
    return Match(
        _tools(inner),
        _servers(inner),
        _version(inner),
        _patterns(inner, "agents"),
        _patterns(inner, "tenants"),
    )


def dot_hint(text: str) -> str:
    """Return a hint for a tool that is written `SERVER/TOOL`."""
    return f"write `{_dotted(text)}`: rules separate server and tool with a dot"


def _dotted(text: str) -> str:
    """Return the pattern for a tool that is written `SERVER/TOOL`, as commands show it."""
    server, _, name = text.removeprefix("*.").partition("/")
    return f"{server or '*'}.{name or '*'}"


def _tools(reader: MappingReader) -> tuple[Pattern, ...]:
    tools = _patterns(reader, "tools")
    for pattern in tools:
        if TOOL_GLOB_PATTERN.match(pattern.text):
            continue
        message = f"`{pattern.text}` must be `SERVER.TOOL` or `*`"
        hint = f"write `*.{pattern.text}` for that tool on any server"
        if "/" in pattern.text:
            hint = dot_hint(pattern.text)
        reader.error("wrong_value", pattern.location, message, hint)
    return tools


def _servers(reader: MappingReader) -> tuple[Pattern, ...]:
    servers = _patterns(reader, "servers")
    for pattern in servers:
        if not SERVER_GLOB_PATTERN.match(pattern.text):
            hint = f"to match a tool, write `{_dotted(pattern.text)}` under `tools`"
            reader.error(
                "wrong_value", pattern.location, f"`{pattern.text}` is not a server: server names contain no `/`", hint
            )
    return servers


def _version(reader: MappingReader) -> Pattern | None:
    node = reader.node("tool_version")
    if isinstance(node, Scalar) and node.is_text and not VERSION_GLOB_PATTERN.match(node.text):
        message = f"`{node.text[:80]}` is not a version pattern: use `*` and `?` as wildcards, and no comparison"
        reader.error("wrong_value", node.location, message, _VERSION_HINT)
        return None
    return None if node is None else _pattern(reader, "tool_version", node)


def _patterns(reader: MappingReader, key: str) -> tuple[Pattern, ...]:
    found = (_pattern(reader, key, item) for item in reader.items(key, PATTERNS_MAX))
    return tuple(pattern for pattern in found if pattern is not None)


def _pattern(reader: MappingReader, key: str, item: Node) -> Pattern | None:
    if not isinstance(item, Scalar) or not item.is_text:
        hint = "put it in quotes" if isinstance(item, Scalar) else None
        reader.error("wrong_kind", item.location, f"`{key}` must contain text, found {node_kind(item)}", hint)
    elif not GLOB_PATTERN.match(item.text):
        message = f"`{item.text[:80]}` is not a pattern: use `*` and `?` as wildcards, and no spaces, brackets or `\\`"
        reader.error("wrong_value", item.location, message)
    else:
        return Pattern(item.text, item.location)
    return None
