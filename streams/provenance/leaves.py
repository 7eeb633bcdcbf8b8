"""Leaves: the single values of a content, each with its path, where the content has a structure.

A content that does not parse is one leaf of free text: nothing is rejected here. What states its form (a content type)
is read as that form alone; what does not is recognised by its shape, in which a text can pretend to be a structure only
as a whole. An operator who states the type takes that from it, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

import msgspec

from streams.provenance.pointers import escaped

NESTING_MAX = 64
VISITS_MAX = 200_000
"""How many values of a structure are visited, whether they say anything or not."""
NAME_CHARS_MAX = 40
NAMES_CACHED_MAX = 4_096
_FLAT_MAX = 64
_NUMBERS, _LISTS, _INNER = (int, float), (list, tuple), (dict, list)
"""Made once: Python makes `int | float` again each time that it comes to it, and asks it three times as long."""
_SINGLE = frozenset((str, int, float))
_NAME_MARKS = str.maketrans("- .@#", "_____")
PATH_CHARS_MAX = 256


class Leaf(msgspec.Struct, frozen=True, gc=False):
    """A value of a content, and the JSON pointer that leads to it.

    `is_field` says that it belongs to a structure; `name` is that of the innermost field around it, `outer` the name
    around that. `is_cut` marks the place from which nothing more is read.
    """

    value: str | int | float
    path: str = ""
    is_field: bool = False
    name: str = ""
    outer: str = ""
    is_cut: bool = False


_Item = tuple[object, str, str, str, int]
"""What is still to visit: a value, its path, the two names around it, and how deep it lies."""


class FreeText(str):
    """A text in a structure that is not one of its fields, such as the body of a mail."""

    __slots__ = ()


def leaves_of(value: object) -> Iterable[Leaf]:
    """Return the leaves of a parsed value: its texts and numbers, and the names of fields that hold data.

    What is nested deeper than `NESTING_MAX` is one leaf of free text.
    """
    flat = _flat(value) if type(value) is dict else None
    return _nested(value) if flat is None else flat


def _nested(value: object) -> Iterator[Leaf]:
    stack: list[_Item] = [(value, "", "", "", 0)]
    visits = 0
    names: set[str] = set()
    while stack:
        item, path, name, outer, depth = stack.pop()
        visits += 1
        if visits > VISITS_MAX:
            yield Leaf("", is_cut=True)
            return
        if isinstance(item, str) or (isinstance(item, _NUMBERS) and not isinstance(item, bool)):
            yield Leaf(item, path, not isinstance(item, FreeText), name, outer)
        elif depth >= NESTING_MAX and isinstance(item, _INNER):
            yield Leaf(_shown(item), path)
        elif isinstance(item, dict):
            stack.extend(_members(item, path, name, depth, names))
        elif isinstance(item, _LISTS):
            places = reversed(range(len(item)))
            stack.extend((item[place], _step(path, str(place)), name, outer, depth + 1) for place in places)


def _flat(value: dict[object, object]) -> list[Leaf] | None:
    """Return the leaves of an object of plain names and single values, as most arguments are; None for any other."""
    if len(value) > _FLAT_MAX:
        return None
    leaves: list[Leaf] = []
    for key, item in value.items():
        if type(key) is not str or len(key) > NAME_CHARS_MAX or (pointer := _flat_pointer(key)) is None:
            return None
        if type(item) in _SINGLE:
            leaves.append(Leaf(item, pointer, True, key))  # type: ignore[arg-type]  # a text or number
        elif item is not None and type(item) is not bool:
            return None
    return leaves


@lru_cache(maxsize=NAMES_CACHED_MAX)
def _flat_pointer(key: str) -> str | None:
    """Return the pointer of a member whose name is a plain one; None for any other name."""
    return f"/{key}" if key.isidentifier() and not key[0].isupper() else None


def _step(path: str, step: str) -> str:
    """Return the path of a child; that of its parent where it would become too long."""
    return f"{path}/{step}" if len(path) + len(step) < PATH_CHARS_MAX else path


def _shown(item: object) -> str:
    try:
        return str(item)
    except RecursionError:
        return ""


def _members(item: dict[object, object], path: str, name: str, depth: int, names: set[str]) -> Iterator[_Item]:
    for key in reversed(item):
        text = str(key)
        step = _step(path, escaped(text[:PATH_CHARS_MAX]))
        if _is_name(text):
            yield item[key], step, text, name, depth + 1
        else:
            yield item[key], step, name, "", depth + 1
        if text not in names and (not text.isidentifier() or text[0].isupper()):
            # Of a record of records, the names are data: `{"Kim Lee": {...}}`. Those of columns come again and again.
            names.add(text)
            yield text, step, name, "", depth + 1


def merged(pairs: list[tuple[str, object]]) -> object:
    """Return an object of names and values; where a name comes twice, a list that keeps all of them."""
    held = dict(pairs)
    return held if len(held) == len(pairs) else [{name: value} for name, value in pairs]


def _is_name(key: str) -> bool:
    return len(key) <= NAME_CHARS_MAX and (key.isidentifier() or key.translate(_NAME_MARKS).isidentifier())
