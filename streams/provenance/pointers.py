"""Places in JSON values: JSON pointers (RFC 6901) in which `*` stands for any one step.

`/recipients/*` is every member of a list, `/items/*/address` the address of every item. **A path covers what lies
below it**: an operator who names `/recipients` means all that is in it, whatever its form. To cover only the exact
place would let a call pass that gives a list, or an object, instead of a text.

A path without a slash at its start is taken for the name of a member at the top (`to` is `/to`), because facts that say
nothing by mistake would protect nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Generic, TypeVar

DEPTH_MAX = 64
"""How deep values are followed; what lies deeper is one value at that depth."""
PLACES_CACHED_MAX = 4_096
"""Paths that are kept compiled. It is far more than the limits of one session, so that none is slow for another."""

Value = TypeVar("Value")

_ANY = "*"
_NOTHING = re.compile(r"(?!)")
_END = "(?=/|$)"


def escaped(name: str) -> str:
    """Return a member's name as one step of a pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def unescaped(step: str) -> str:
    """Return the name of a member from a step of a pointer."""
    return step.replace("~1", "/").replace("~0", "~")


def normal(path: str) -> str:
    """Return a path with the slash at its start that it may lack; the empty path is the whole value."""
    return path if not path or path.startswith("/") else f"/{path}"


def steps_of(path: str) -> tuple[str, ...]:
    """Return the steps of a path, still escaped."""
    return tuple(normal(path).split("/")[1:])


def last_name(pointer: str) -> str:
    """Return the innermost name on the way to a place, which is `order` for `/order/0`; empty if there is none.

    Args:
        pointer: the JSON pointer of the place.
    """
    names = [step for step in pointer.split("/") if step and not step.isdigit()]
    return unescaped(names[-1]) if names else ""


class PathTable(Generic[Value]):
    """Holds a value for each of some paths, and finds that of the most exact path that covers a place.

    It is compiled once per catalog entry, and asked for every value of a call.

    Attributes:
        paths: the paths in their normal form, the most exact ones first.
    """

    __slots__ = ("_match", "_values", "paths")

    def __init__(self, values: Mapping[str, Value]) -> None:
        table = {normal(path): value for path, value in values.items()}
        self.paths = tuple(by_precision(table))
        self._values = [table[path] for path in self.paths]
        self._match = _compiled(self.paths).match

    def get(self, pointer: str) -> Value | None:
        """Return the value of the most exact path that is the place, or holds it; None if there is none."""
        found = self._match(pointer)
        return None if found is None or found.lastindex is None else self._values[found.lastindex - 1]


class Paths:
    """Tells which places some paths cover. Like a table, it is compiled once per catalog entry.

    Attributes:
        paths: the paths in their normal form.
    """

    __slots__ = ("_match", "paths")

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = tuple(dict.fromkeys(normal(path) for path in paths))
        self._match = _compiled(self.paths).match

    def __bool__(self) -> bool:
        return bool(self.paths)

    def cover(self, pointer: str) -> bool:
        """Return whether a path is the place that `pointer` names, or holds it."""
        return self._match(pointer) is not None


@lru_cache(maxsize=PLACES_CACHED_MAX)
def place_at(path: str) -> Paths:
    """Return what tells which places a path covers that is not of a catalog entry. It is kept for the next call."""
    return Paths((path,))


def _compiled(paths: tuple[str, ...]) -> re.Pattern[str]:
    if not paths:
        return _NOTHING
    # The end of each step is fixed by the next slash, so that no pointer makes the search go back.
    texts = ("".join("/[^/]*" if step == _ANY else f"/{re.escape(step)}" for step in steps_of(path)) for path in paths)
    return re.compile("(?:" + "|".join(f"({text})" for text in texts) + ")" + _END)


def by_precision(paths: Iterable[str]) -> list[str]:
    """Return paths with the most exact ones first: more steps, then fewer `*`."""
    return sorted(paths, key=lambda path: (-len(steps_of(path)), steps_of(path).count(_ANY), path))


def values_at(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the pointers and values at the places that a path names exactly, in their order; none if there are none."""
    places: list[tuple[str, Any]] = [("", value)]
    for step in steps_of(path):
        places = [below for pointer, each in places for below in _below(pointer, each, step)]
    yield from places


def _below(pointer: str, value: Any, step: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        if step == _ANY:
            yield from ((f"{pointer}/{escaped(str(name))}", each) for name, each in value.items())
        elif (name := unescaped(step)) in value:
            yield f"{pointer}/{step}", value[name]
    elif isinstance(value, list | tuple):
        if step == _ANY:
            yield from ((f"{pointer}/{index}", each) for index, each in enumerate(value))
        elif step.isascii() and step.isdigit() and int(step[:10]) < len(value):
            yield f"{pointer}/{int(step[:10])}", value[int(step[:10])]


def leaves(value: Any, pointer: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield the pointers and values of all that is neither an object nor a list, and of what is below `DEPTH_MAX`."""
    if depth < DEPTH_MAX and isinstance(value, Mapping):
        for name, each in value.items():
            yield from leaves(each, f"{pointer}/{escaped(str(name))}", depth + 1)
    elif depth < DEPTH_MAX and isinstance(value, list | tuple):
        for index, each in enumerate(value):
            yield from leaves(each, f"{pointer}/{index}", depth + 1)
    else:
        yield pointer, value
