"""Finds tools that can be mistaken for each other: with one name on two servers, or with names that look alike."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import NamedTuple

from streams.operations.review.hidden_characters import looks_like

ToolName = tuple[str, str]


class Likeness(StrEnum):
    """Why a tool can be mistaken for another."""

    SAME_NAME = "same_name"
    LOOKS_ALIKE = "looks_alike"


class Shadow(NamedTuple):
    """A tool that can be mistaken for an existing one."""

    likeness: Likeness
    tool: ToolName
    other: ToolName


def shadows_of(tool: ToolName, others: Collection[ToolName]) -> list[Shadow]:
    """Return which of the others a tool can be mistaken for.

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
