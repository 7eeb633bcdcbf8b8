"""Leaves: the single values of a content, each with its path, where the content has a structure.

A content that does not parse is one leaf of free text: nothing is rejected here. What states its form (a content type)
is read as that form alone; what does not is recognised by its shape, in which a text can pretend to be a structure only
as a whole. Parsers are imported when they are first used.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

NESTING_MAX = 64
NAME_CHARS_MAX = 40
_NAME_MARKS = str.maketrans("- .", "___")
PATH_CHARS_MAX = 256
CONTENT_CHARS_MAX = 4_000_000


_Item = tuple[object, str, str, str, int]
"""What is still to visit: a value, its path, the two names around it, and how deep it lies."""


class Leaf(NamedTuple):
    """A value of a content, and the JSON pointer that leads to it.

    `is_field` says that it belongs to a structure; `name` is that of the innermost field around it, `outer` the name
    around that.
    """

    value: str | int | float
    path: str = ""
    is_field: bool = False
    name: str = ""
    outer: str = ""


def leaves_of(value: object) -> Iterator[Leaf]:
    """Yield the leaves of a parsed value: its texts and numbers, and the names of fields that hold data.

    What is nested deeper than `NESTING_MAX` is one leaf of free text.
    """
    stack: list[_Item] = [(value, "", "", "", 0)]
    while stack:
        item, path, name, outer, depth = stack.pop()
        if isinstance(item, str) or (isinstance(item, int | float) and not isinstance(item, bool)):
            yield Leaf(item, path, is_field=bool(path), name=name, outer=outer)
        elif depth >= NESTING_MAX and isinstance(item, dict | list):
            yield Leaf(str(item), path)
        elif isinstance(item, dict):
            stack.extend(_members(item, path, name, depth))
        elif isinstance(item, list | tuple):
            stack.extend(
                (item[place], f"{path}/{place}", name, outer, depth + 1) for place in reversed(range(len(item)))
            )


def _members(item: dict[object, object], path: str, name: str, depth: int) -> Iterator[_Item]:
    for key in reversed(item):
        text = str(key)
        step = f"{path}/{pointer_step(text)}"
        if _is_name(text):
            yield item[key], step, text, name, depth + 1
        else:
            yield item[key], step, name, "", depth + 1
            yield text, step, name, "", depth + 1


def pointer_step(name: str) -> str:
    """Return a name as a step of a JSON pointer (RFC 6901), shortened to `PATH_CHARS_MAX`."""
    return name[:PATH_CHARS_MAX].replace("~", "~0").replace("/", "~1")


def _is_name(key: str) -> bool:
    return len(key) <= NAME_CHARS_MAX and key.translate(_NAME_MARKS).isidentifier()


def parsed_json(text: str) -> object | None:
    """Return what a text of JSON holds, or None. Of a name that an object has twice, every value is kept."""
    try:
        return json.loads(text, object_pairs_hook=_object)  # type: ignore[no-any-return]
    except (ValueError, RecursionError):
        return None


def _object(pairs: list[tuple[str, object]]) -> object:
    held = dict(pairs)
    return held if len(held) == len(pairs) else [{name: value} for name, value in pairs]


def content_leaves(content: str, content_type: str | None = None) -> Iterator[Leaf]:
    """Yield the leaves of a content, in its order.

    Args:
        content: the content as the agent reads it.
        content_type: its media type, if that is known.
    """
    text = content.strip()
    if text[:1] in ("{", "[") and content_type != "text/plain":
        value = parsed_json(text)
        if value is not None:
            yield from leaves_of(value)
            return
    yield Leaf(content)
