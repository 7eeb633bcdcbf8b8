"""Decides which rules apply to which tools and callers, with globs that are matched in linear time."""

from __future__ import annotations

import re
from collections.abc import Sequence

import re2

from streams.policy.language.bundle import Match, Pattern


def is_literal(text: str) -> bool:
    """Return whether a pattern contains no wildcard, and so matches exactly one text."""
    return "*" not in text and "?" not in text


class GlobSet:
    """Matches a text against several globs: `*` is any text, `?` is one character. Case is significant."""

    __slots__ = ("_literals", "_pattern")

    def __init__(self, globs: Sequence[str]) -> None:
        self._literals = frozenset(glob for glob in globs if is_literal(glob))
        wild = [_translate(glob) for glob in globs if not is_literal(glob)]
        # RE2 matches in time linear in the text for any pattern. A backtracking engine would be an attack surface.
        self._pattern = re2.compile("|".join(f"(?:{glob})" for glob in wild)) if wild else None

    def matches(self, text: str) -> bool:
        """Return whether one of the globs matches the whole text."""
        return text in self._literals or (self._pattern is not None and self._pattern.fullmatch(text) is not None)


def _translate(glob: str) -> str:
    parts = {"*": "(?s:.*)", "?": "(?s:.)"}
    return "".join(parts.get(character) or re.escape(character) for character in glob)


class ToolMatcher:
    """Decides from server, tool and version whether a rule applies to a tool."""

    __slots__ = ("_pairs", "_servers", "_version")

    def __init__(self, match: Match) -> None:
        self._pairs = tuple(_pair(pattern) for pattern in match.tools)
        self._servers = _globs(match.servers)
        self._version = _globs((match.tool_version,)) if match.tool_version else None

    def matches(self, server_id: str, name: str, version: str | None) -> bool:
        """Return whether the rule applies to this version of this tool; None stands for any version."""
        if self._servers is not None and not self._servers.matches(server_id):
            return False
        if self._version is not None and version is not None and not self._version.matches(version):
            return False
        return any(server is None or (server.matches(server_id) and tool.matches(name)) for server, tool in self._pairs)


def literal_tool(pattern: Pattern) -> tuple[str, str] | None:
    """Return server and tool of a pattern that names exactly one tool, or None."""
    if "." not in pattern.text or not is_literal(pattern.text):
        return None
    server, _, name = pattern.text.partition(".")
    return server, name


def _pair(pattern: Pattern) -> tuple[GlobSet | None, GlobSet]:
    """Return the parts of a pattern for server and tool. Only the first dot separates them, so they are unambiguous."""
    if pattern.text == "*":
        return None, GlobSet(("*",))
    server, _, name = pattern.text.partition(".")
    return GlobSet((server,)), GlobSet((name,))


def _globs(patterns: Sequence[Pattern]) -> GlobSet | None:
    return GlobSet([pattern.text for pattern in patterns]) if patterns else None


class CallerMatcher:
    """Decides from agent and tenant whether a rule applies to a call."""

    __slots__ = ("_agents", "_tenants")

    def __init__(self, match: Match) -> None:
        self._agents = _globs(match.agents)
        self._tenants = _globs(match.tenants)

    def matches(self, agent_id: str, tenant: str) -> bool:
        """Return whether the rule applies to this agent of this tenant."""
        return (self._agents is None or self._agents.matches(agent_id)) and (
            self._tenants is None or self._tenants.matches(tenant)
        )


def caller_matcher(match: Match) -> CallerMatcher | None:
    """Return a matcher, or None if the rule applies to every caller."""
    return CallerMatcher(match) if match.agents or match.tenants else None


def named_tools(match: Match) -> frozenset[tuple[str, str]] | None:
    """Return the tools that a match names, as server and name; None if others may be meant."""
    tools = [literal_tool(pattern) for pattern in match.tools]
    named = frozenset(tool for tool in tools if tool is not None)
    return named if match.tools and None not in tools else None
