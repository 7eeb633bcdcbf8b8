"""Tools that can be taken for each other: of one name on two servers, or of names that look alike."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import NamedTuple

from streams.operations.review.hidden_characters import looks_like

ToolName = tuple[str, str]


class Likeness(StrEnum):
    """How a tool can be taken for another."""

    SAME_NAME = "same_name"
    LOOKS_ALIKE = "looks_alike"


class Shadow(NamedTuple):
    """A tool that can be taken for one that was there before."""

    likeness: Likeness
    tool: ToolName
    other: ToolName


def shadows_of(tool: ToolName, others: Collection[ToolName]) -> list[Shadow]:
    """Which of the others a tool can be taken for.

    Within one server names that only look alike count, too: a model picks by name.
    """
    looks = looks_like(tool[1])
    found: list[Shadow] = []
    for other in sorted(others):
        if other == tool:
            continue
        if other[1] == tool[1]:
            found.append(Shadow(Likeness.SAME_NAME, tool, other))
        elif looks is not None and looks == looks_like(other[1]):
            found.append(Shadow(Likeness.LOOKS_ALIKE, tool, other))
    return found
