"""Finds the names of tools in texts, in a time that does not depend on how many tools there are.

**Idea.** Names and texts are cut into words and what stands between them. The names form a tree by these parts, and at
each word of a text the tree is followed as far as it goes. A name counts only where no word runs on beside it, so none
is missed that begins or ends within a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

NAME_CHARS_MIN = 5
"""Shorter names are found only with their server: they are words too often."""

NAME_PARTS_MAX = 64
"""Names of more parts are not searched for: each word of a text could follow one as far as it goes. A tool whose
own name has more than MCP allows in characters has a finding of its own."""

SPELLINGS_MAX = 20
"""How many names of the same words that begin or end with signs (`-send`, `send!`) are searched for. The one without
signs always is."""

_PARTS = re.compile(r"\w+|\W+")
_BARE = re.compile(r"\w(?:.*\w)?", re.DOTALL)


class Mention(NamedTuple):
    """A tool that a text mentions.

    Attributes:
        tool: its full name, `server/name`.
        start: where it stands in the text.
        end: where it ends.
    """

    tool: str
    start: int
    end: int


class _Node:
    """A part of names.

    Attributes:
        inner: what can follow.
        names: the names that end here, as texts spell them.
    """

    __slots__ = ("inner", "names")

    def __init__(self) -> None:
        self.inner: dict[str, _Node] = {}
        self.names: dict[str, _Spelled] = {}


class _Spelled(NamedTuple):
    """A name as texts spell it.

    Attributes:
        signs_before: how many characters it has before its first word.
        tools: by the tools' own names, the first tool of each.
    """

    signs_before: int
    tools: dict[str, str]


class Mentions:
    """The names of tools, to search texts for."""

    def __init__(self, tools: Iterable[str] = ()) -> None:
        """Take the tools' full names, `server/name`.

        A name that is a plain word is left out, because any text can have it; with its server it is found.
        """
        self._root = _Node()
        for tool in sorted(set(tools)):
            name = tool.partition("/")[2]
            self._add(tool.lower(), name, tool)
            is_written_as_one = not name.isalpha() or any(char.isupper() for char in name[1:])
            if len(name) >= NAME_CHARS_MIN and is_written_as_one:
                self._add(name.lower(), name, tool)

    def _add(self, spelled: str, name: str, tool: str) -> None:
        bare = _BARE.search(spelled)
        if bare is None:
            return
        parts = _PARTS.findall(bare.group())
        if len(parts) > NAME_PARTS_MAX:
            return
        node = self._root
        for part in parts:
            node = node.inner.setdefault(part, _Node())
        has_signs = bare.group() != spelled
        if has_signs and spelled not in node.names and len(node.names) > SPELLINGS_MAX:
            return
        node.names.setdefault(spelled, _Spelled(bare.start(), {})).tools.setdefault(name, tool)

    def first_in(self, lowered: str, own_name: str) -> Mention | None:
        """Return the first tool that a text mentions; None if it mentions none.

        Args:
            lowered: the text, in lower case.
            own_name: the name of the tool whose text it is. Tools of that name don't count.
        """
        if not self._root.inner:
            return None
        parts = _PARTS.findall(lowered)
        start = 0
        for index, first in enumerate(parts):
            node = self._root
            for at in range(index, len(parts)):
                following = node.inner.get(parts[at])
                if following is None:
                    break
                node = following
                found = _named(node, lowered, start, own_name) if node.names else None
                if found is not None:
                    return found
            start += len(first)
        return None


def _named(node: _Node, lowered: str, start: int, own_name: str) -> Mention | None:
    """Return the tool whose name has its first word at a place; it may also begin and end with signs."""
    for spelled, known in node.names.items():
        before = start - known.signs_before
        if before >= 0 and lowered.startswith(spelled, before):
            for name, tool in known.tools.items():
                if name != own_name:
                    return Mention(tool, before, before + len(spelled))
    return None
