"""Finds out whether a pattern matches a known tool, without trying it on all of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from streams.policy.authoring.overlaps import beginning_of
from streams.policy.language.bundle import Match
from streams.policy.language.globs import ToolMatcher

_Tool = tuple[str, str]


class KnownTools:
    """Known tools, in the order of `server.name`, and in that of their names."""

    def __init__(self, tools: Iterable[str]) -> None:
        """Take the tools, as `server/name`."""
        known = {(server, name) for server, _, name in (tool.partition("/") for tool in tools)}
        self._by_text = sorted((f"{server}.{name}", (server, name)) for server, name in known)
        self._by_name = sorted((name, (server, name)) for server, name in known)

    def has_match(self, match: Match) -> bool:
        """Return whether one of the patterns of a match matches a tool, in any version."""
        matcher: ToolMatcher | None = None
        for pattern in match.tools:
            server, _, name = pattern.text.partition(".")
            near = _from(self._by_text, beginning_of(pattern.text))
            if not beginning_of(server):
                near = _from(self._by_name, beginning_of(name))
            for tool in near:
                matcher = matcher or ToolMatcher(match)
                if matcher.matches(*tool, None):
                    return True
        return False


def _from(ordered: Sequence[tuple[str, _Tool]], beginning: str) -> Iterator[_Tool]:
    """Yield the tools whose text has a beginning."""
    for at in range(bisect_left(ordered, (beginning,)), len(ordered)):
        text, tool = ordered[at]
        if not text.startswith(beginning):
            return
        yield tool
