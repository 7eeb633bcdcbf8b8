"""Texts of which one must be there for a pattern to be found.

Nearly every text holds none of them, and looking for plain texts takes a fraction of what a look for the pattern does.
A pattern is read as far as it is plain; whatever is not understood asks for nothing, so that the answer may be less
than could be told, and never more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

TEXTS_MAX = 32
CHARS_MIN = 2
"""A shorter text is in nearly everything."""

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
    """The pattern says something that is not read here."""


def required_substrings(pattern: str) -> tuple[str, ...]:
    """Texts of which every text that the pattern is found in holds at least one; empty where none can be told."""
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
    """What one of several sequences needs, up to the end of a group; and the tokens from there."""
    needed: set[str] | None = set()
    while True:
        own, tokens = _sequence(tokens)
        needed = None if needed is None or own is None else needed | own
        if not tokens or tokens[0][0] == "close":
            return None if needed is None else frozenset(needed), tokens
        tokens = tokens[1:]


def _sequence(tokens: list[tuple[str, str]]) -> tuple[_Needed, list[tuple[str, str]]]:
    """What a sequence needs: the best of its parts."""
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
