"""Finds substrings of which every match of a regular expression contains at least one.

The idea: nearly every text contains none of these substrings, and a search for substrings takes a fraction of the time
of a search for the pattern. So the substrings are searched for first. Parts of a pattern that are not understood
require nothing, so that the result may be weaker than possible, but never wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

TEXTS_MAX = 32
CHARS_MIN = 2
"""The minimum length of a substring. Shorter ones are contained in nearly every text."""

_FLAGS = re.compile(r"\(\?(?!:)")
_TOKENS = re.compile(
    r"""
      (?P<group>\((?:\?:)?)
    | (?P<close>\))
    | (?P<or>\|)
    | (?P<times>[*+?]\??|\{[0-9,]*\}\??)
    | (?P<class>\[\^?\]?(?:\\.|\[:\^?[a-z]+:\]|[^\]\\])*\])
    | (?P<escaped>\\[^A-Za-z0-9])
    | (?P<place>\\[bBdDwWsS]|[.^$])
    | (?P<plain>[^\\()|*+?{}\[\].^$])
    """,
    re.VERBOSE | re.DOTALL,
)
_MAY_REPEAT_ZERO_TIMES = re.compile(r"[*?]|\{0?[,}]|\{0[0-9]")

_Needed = frozenset[str] | None


class _UnreadableError(Exception):
    """The pattern has syntax that is not supported here."""


def required_substrings(pattern: str) -> tuple[str, ...]:
    """Return substrings of which every matching text contains at least one, or none if they can't be determined."""
    if _FLAGS.search(pattern):
        return ()
    try:
        tokens = list(_tokens(pattern))
        needed, rest = _alternatives(tokens)
    except (_UnreadableError, RecursionError):
        return ()
    if needed is None or rest or len(needed) > TEXTS_MAX:
        return ()
    return tuple(sorted(needed))


def _tokens(pattern: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(pattern):
        found = _TOKENS.match(pattern, at)
        if found is None:
            raise _UnreadableError
        yield str(found.lastgroup), found.group()
        at = found.end()


def _alternatives(tokens: list[tuple[str, str]]) -> tuple[_Needed, list[tuple[str, str]]]:
    """Return what alternatives require, up to the end of their group, and the remaining tokens."""
    needed: set[str] | None = set()
    while True:
        own, tokens = _sequence(tokens)
        needed = None if needed is None or own is None else needed | own
        if not tokens or tokens[0][0] == "close":
            return None if needed is None else frozenset(needed), tokens
        tokens = tokens[1:]


def _sequence(tokens: list[tuple[str, str]]) -> tuple[_Needed, list[tuple[str, str]]]:
    """Return what a sequence requires, which is the requirement of its best part, and the remaining tokens."""
    found: list[frozenset[str]] = []
    run = ""
    while tokens and tokens[0][0] not in ("or", "close"):
        kind, text = tokens[0]
        tokens = tokens[1:]
        part: _Needed = None
        if kind == "group":
            part, tokens = _alternatives(tokens)
            if not tokens:
                raise _UnreadableError
            tokens = tokens[1:]
        times = tokens[0][1] if tokens and tokens[0][0] == "times" else None
        if times is not None:
            tokens = tokens[1:]
        if kind in ("plain", "escaped") and times is None:
            run += text[-1]
            continue
        found.append(frozenset((run,)))
        run = ""
        if part is not None and (times is None or not _MAY_REPEAT_ZERO_TIMES.match(times)):
            found.append(part)
    found.append(frozenset((run,)))
    good = [each for each in found if each and min(map(len, each)) >= CHARS_MIN]
    return max(good, key=lambda each: min(map(len, each)), default=None), tokens
