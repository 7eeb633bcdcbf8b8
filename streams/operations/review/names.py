"""Finds tools that can be mistaken for each other: with one name on two servers, or with names that look alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import islice
from typing import NamedTuple

from streams.operations.review.hidden_characters import looks_like

ToolName = tuple[str, str]

SHADOWS_MAX = 20
"""How many tools one can be mistaken for are reported: a server may list thousands that all look alike."""


class Likeness(StrEnum):
    """Why a tool can be mistaken for another."""

    SAME_NAME = "same_name"
    LOOKS_ALIKE = "looks_alike"


class Shadow(NamedTuple):
    """A tool that can be mistaken for an existing one."""

    likeness: Likeness
    tool: ToolName
    other: ToolName


class KnownNames:
    """The known tools, by their names and by what these look like."""

    def __init__(self, tools: Iterable[ToolName]) -> None:
        """Take the tools."""
        self._by_name: defaultdict[str, list[ToolName]] = defaultdict(list)
        self._by_look: defaultdict[str, defaultdict[str, list[ToolName]]] = defaultdict(lambda: defaultdict(list))
        for tool in sorted(set(tools)):
            self._by_name[tool[1]].append(tool)
            looks = looks_like(tool[1])
            if looks is not None:
                self._by_look[looks][tool[0]].append(tool)

    def shadows_of(self, tool: ToolName) -> list[Shadow]:
        """Return which known tools a tool can be mistaken for, `SHADOWS_MAX` at most of each likeness.

        Within one server names that only look alike count, too: a model picks by name. They come last, because a server
        could list so many that the tool is left out that they are to be mistaken for.
        """
        same = (each for each in self._by_name.get(tool[1], ()) if each != tool)
        alike = (each for each in self._alike(tool) if each[1] != tool[1])
        return [
            *(Shadow(Likeness.SAME_NAME, tool, each) for each in islice(same, SHADOWS_MAX)),
            *(Shadow(Likeness.LOOKS_ALIKE, tool, each) for each in islice(alike, SHADOWS_MAX)),
        ]

    def _alike(self, tool: ToolName) -> Iterator[ToolName]:
        """Yield the tools that look like one, those of other servers first."""
        looks = looks_like(tool[1])
        by_server: Mapping[str, list[ToolName]] = {} if looks is None else self._by_look.get(looks, {})
        for server, tools in by_server.items():
            if server != tool[0]:
                yield from tools
        yield from by_server.get(tool[0], ())
