"""Leaves: the single values of a content, each with its path, where the content has a structure.

A content that does not parse is one leaf of free text: nothing is rejected here. What states its form (a content type)
is read as that form alone; what does not is recognised by its shape, in which a text can pretend to be a structure only
as a whole. An operator who states the type takes that from it, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from streams.provenance.pointers import escaped

NESTING_MAX = 64
VISITS_MAX = 200_000
"""How many values of a structure are visited, whether they say anything or not."""
NAME_CHARS_MAX = 40
NAMES_CACHED_MAX = 4_096
_FLAT_MAX = 64
_FLAT_CHARS_MAX = 512
_FLAT_CACHED_MAX = 1_024
_NUMBERS, _LISTS, _INNER = (int, float), (list, tuple), (dict, list)
"""Made once: Python makes `int | float` again each time that it comes to it, and asks it three times as long."""
_SINGLE = frozenset((str, int, float, bool, type(None)))
SAYS_NOTHING = frozenset((bool, type(None)))
"""The types of flags and of null."""
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
    flat = flat_fields(value) if type(value) is dict else None
    if flat is None:
        return _nested(value)
    return [Leaf(item, pointer, True, name) for pointer, (name, item) in flat if type(item) not in SAYS_NOTHING]


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


def flat_fields(value: dict[str, Any]) -> Iterable[tuple[str, tuple[str, Any]]] | None:
    """Return the fields of an object of plain names and single values, as most arguments are; None for any other.

    Each is its pointer, and its name with its value, which may be a flag or null. All others are leaves.
    """
    if len(value) > _FLAT_MAX or not _SINGLE.issuperset(map(type, value.values())):
        return None
    names = tuple(value)
    pointers = _FLAT_POINTERS.get(names) or _flat_pointers(names)
    return None if pointers is None else zip(pointers, value.items(), strict=True)


_FLAT_POINTERS: dict[tuple[str, ...], tuple[str, ...]] = {}
"""The pointers of the members of objects, by the names of these: calls of a tool have the same ones again and again."""


def _flat_pointers(names: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the pointers of the members of an object; None if one of their names is not a plain one, or too long."""
    chars = 0
    for name in names:
        if not isinstance(name, str) or len(name) > NAME_CHARS_MAX or not name.isidentifier() or name[0].isupper():
            return None
        chars += len(name) + 1
    if chars > _FLAT_CHARS_MAX:
        return None
    if len(_FLAT_POINTERS) >= _FLAT_CACHED_MAX:
        _FLAT_POINTERS.clear()
    pointers = _FLAT_POINTERS[names] = tuple([f"/{name}" for name in names])
    return pointers


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
