"""Take out of a call's arguments what behaviour is judged by, as files declare it.

The watch learns by these declarations, and publishes them with what it has learned. So gates read calls alike, without
the watch's files.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import isfinite
from typing import Any
from urllib.parse import urlsplit

from streams.behaviour.profiles import Extraction
from streams.policy.language.globs import GlobSet
from streams.provenance.pointers import unescaped

TEXT_CHARS_MAX = 256
GLOBS_CACHED_MAX = 1_024
NAMES_CACHED_MAX = 4_096
"""Tools of which is remembered what the globs say, and pointers whose names are."""
POINTER_PARTS_MAX = 16
INDEX_DIGITS_MAX = 9
PUBLISHED_FEATURES = frozenset({"destination", "amount"})
"""Features that published baselines have something to compare with."""

globs_of = lru_cache(maxsize=GLOBS_CACHED_MAX)(GlobSet)


@lru_cache(maxsize=NAMES_CACHED_MAX)
def extractions_for(extractions: tuple[Extraction, ...], tool: str) -> tuple[Extraction, ...]:
    """Return the declarations that are for a tool."""
    return tuple(each for each in extractions if globs_of(each.tools).matches(tool))


def extracted(extractions: tuple[Extraction, ...], tool: str, args: Any) -> dict[str, str | float]:
    """Return the features of a call; the first declaration that finds a value counts.

    Args:
        extractions: where features are found.
        tool: `server.name`.
        args: its arguments.
    """
    found: dict[str, str | float] = {}
    for each in extractions_for(extractions, tool):
        if each.feature not in found:
            value = _read(_pointed(args, each.pointer), each.read_as)
            if value is not None:
                found[each.feature] = value
    return found


def _pointed(value: Any, pointer: str) -> Any:
    """Return what a JSON pointer points to, the first item where it meets a list and names none; None if nothing."""
    for name in _names_in(pointer):
        if isinstance(value, list):
            is_index = name.isascii() and name.isdigit()
            # Python refuses to read thousands of digits, and no list is that long.
            index = 0 if not is_index else int(name) if len(name) <= INDEX_DIGITS_MAX else len(value)
            value = value[index] if index < len(value) else None
        elif type(value) is dict or isinstance(value, Mapping):  # the usual class first: an abstract one is slow
            value = value.get(name)
        else:
            return None
    return value[0] if isinstance(value, list) and value else value


@lru_cache(maxsize=NAMES_CACHED_MAX)
def _names_in(pointer: str) -> tuple[str, ...]:
    """Return the names of a JSON pointer."""
    return tuple(map(unescaped, pointer.split("/")[1:][:POINTER_PARTS_MAX]))


def _read(value: Any, read_as: str) -> str | float | None:
    if value is None or isinstance(value, bool):
        return None
    if read_as == "number":
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            return None
        return number if isfinite(number) else None
    if not isinstance(value, str | int | float):
        return None
    text = str(value)[:TEXT_CHARS_MAX]
    return domain_of(text) if read_as == "domain" else text


def domain_of(text: str) -> str:
    """Return the host of an address, of mail or of the web; the text itself if it is neither."""
    if "://" in text:
        try:
            return (urlsplit(text).hostname or text).lower()
        except ValueError:
            return text.lower()
    return text.rpartition("@")[2].strip("<> ").lower()
