"""The `match:` of rules, memories and budgets: which calls they are for, as patterns."""

from __future__ import annotations

import re

from streams.policy.errors import Findings
from streams.policy.language.bundle import Match, Pattern
from streams.policy.language.located_yaml import Node, Scalar, kind_of
from streams.policy.language.yaml_mapping import Form

PATTERNS_MAX = 200

_GLOB = re.compile(r"[^\s\[\]{}\\]{1,200}\Z")
_SERVER_GLOB = re.compile(r"[^\s\[\]{}\\/]{1,200}\Z")
_TOOL_GLOB = re.compile(r"(?=[^\s\[\]{}\\]{1,200}\Z)(\*|[^./]*\..*)\Z")
_VERSION_GLOB = re.compile(r"[^\s\[\]{}\\<>=^~!|,]{1,200}\Z")

_VERSION_HINT = (
    "a version is the number of the tool's catalog entry: write one, such as `3`, or in `when` "
    "compare it, as in `int(tool.version) >= 3`"
)


def read_match(form: Form, findings: Findings, key: str, more_keys: tuple[str, ...]) -> Match | None:
    """The match under a key, which may also have further keys; what is wrong with it goes to `findings`."""
    node = form.node(key)
    if node is None:
        return None
    inner = Form(node, f"`{key}`", ("tools!", "servers", "tool_version", "agents", "tenants", *more_keys),
                 findings, form.rule_id)  # fmt: skip
    return Match(
        _tools(inner),
        _servers(inner),
        _version(inner),
        _patterns(inner, "agents"),
        _patterns(inner, "tenants"),
    )


def dot_hint(text: str) -> str:
    """What to do about a tool that was written `SERVER/TOOL`."""
    return f"write `{_dotted(text)}`: in rules a dot divides server and tool"


def _dotted(text: str) -> str:
    """How rules write a tool that was written `SERVER/TOOL`, as commands show it."""
    server, _, name = text.removeprefix("*.").partition("/")
    return f"{server or '*'}.{name or '*'}"


def _tools(form: Form) -> tuple[Pattern, ...]:
    tools = _patterns(form, "tools")
    for pattern in tools:
        if _TOOL_GLOB.match(pattern.text):
            continue
        message = f"`{pattern.text}` must be `SERVER.TOOL` or `*`"
        hint = f"write `*.{pattern.text}` for that tool on any server"
        if "/" in pattern.text:
            hint = dot_hint(pattern.text)
        form.error("wrong_value", pattern.location, message, hint)
    return tools


def _servers(form: Form) -> tuple[Pattern, ...]:
    servers = _patterns(form, "servers")
    for pattern in servers:
        if not _SERVER_GLOB.match(pattern.text):
            hint = f"write `{_dotted(pattern.text)}` under `tools` for a tool"
            form.error("wrong_value", pattern.location, f"`{pattern.text}` is no server: none has a `/`", hint)
    return servers


def _version(form: Form) -> Pattern | None:
    node = form.node("tool_version")
    if isinstance(node, Scalar) and node.is_text and not _VERSION_GLOB.match(node.text):
        message = f"`{node.text[:80]}` is not a pattern of a version: `*` is any text, `?` one, and nothing is compared"
        form.error("wrong_value", node.location, message, _VERSION_HINT)
        return None
    return None if node is None else _pattern(form, "tool_version", node)


def _patterns(form: Form, key: str) -> tuple[Pattern, ...]:
    found = (_pattern(form, key, item) for item in form.items(key, PATTERNS_MAX))
    return tuple(pattern for pattern in found if pattern is not None)


def _pattern(form: Form, key: str, item: Node) -> Pattern | None:
    if not isinstance(item, Scalar) or not item.is_text:
        hint = "put it in quotes" if isinstance(item, Scalar) else None
        form.error("wrong_kind", item.location, f"`{key}` must hold text, found {kind_of(item)}", hint)
    elif not _GLOB.match(item.text):
        message = f"`{item.text[:80]}` is not a pattern: `*` and `?` are, without spaces, brackets and `\\`"
        form.error("wrong_value", item.location, message)
    else:
        return Pattern(item.text, item.location)
    return None
