"""Expands `macros.NAME` and the names of lists, and maps positions of the expanded text back to the file.

A macro stands for a whole expression: its body is checked on its own, and is put in parentheses where it is used.
String literals and comments are not expanded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from streams.policy.errors import Location, nearest
from streams.policy.language.located_yaml import Scalar

EXPANSION_DEPTH_MAX = 8
EXPANDED_CHARS_MAX = 60_000

# Comments and strings are tokens of their own, so that `//` in a string starts no comment and a quote in a comment
# starts no string.
_TOKEN = re.compile(
    r"""
      (?P<comment>//[^\n]*)
    | (?P<string>
        [rR][bB]?(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"\n]*"|'[^'\n]*')
      | [bB][rR](?:\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"\n]*"|'[^'\n]*')
      | [bB]?(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
      | `[^`\n]*`)
    | (?P<name>(?<![\w.])(?P<space>macros|lists)\s*\.\s*(?P<leaf>[A-Za-z_]\w*))
    | (?P<other>[A-Za-z_0-9]+|\.\s*[A-Za-z_]\w*|.)
    """,
    re.VERBOSE | re.DOTALL,
)


class Segment(msgspec.Struct, frozen=True):
    """A part of an expanded text and its origin: the characters from `start` come from `scalar`, from `offset`.

    All characters of a `fixed` segment, such as the full name of a list, have the location of its first one.
    """

    start: int
    scalar: Scalar
    offset: int
    fixed: bool = False


class ExpandedText(msgspec.Struct, frozen=True):
    """A text after macro expansion; `macros` and `lists` are the names that it uses."""

    text: str
    segments: tuple[Segment, ...]
    macros: frozenset[str]
    lists: frozenset[str]

    def at(self, offset: int) -> Location:
        """Return the location in the file of a character of the expanded text."""
        segment = self.segments[0]
        for candidate in self.segments:
            if candidate.start > offset:
                break
            segment = candidate
        within = 0 if segment.fixed else offset - segment.start
        return segment.scalar.at(min(segment.offset + within, len(segment.scalar.text)))


class MacroError(Exception):
    """A name that can't be expanded; `offset` is its position in `scalar`."""

    def __init__(self, code: str, scalar: Scalar, offset: int, message: str, hint: str | None = None) -> None:
        self.code, self.scalar, self.offset, self.message, self.hint = code, scalar, offset, message, hint
        super().__init__(message)


class MacroScope:
    """The macros and lists that a pack can use: its own and those of the bundle.

    Args:
        macros: the bodies by name.
        lists: the full names of lists, by their names in the pack.
    """

    def __init__(self, macros: Mapping[str, Scalar], lists: Mapping[str, str]) -> None:
        self.macros = dict(macros)
        self.lists = dict(lists)

    def expand(self, scalar: Scalar) -> ExpandedText:
        """Expand a text.

        Raises:
            MacroError: a name is unknown, a macro uses itself, or the expanded text is too long.
        """
        builder = _Builder(self)
        builder.append(scalar, ())
        return ExpandedText(
            "".join(builder.parts), tuple(builder.segments), frozenset(builder.macros), frozenset(builder.lists)
        )


class _Builder:
    def __init__(self, names: MacroScope) -> None:
        self.parts: list[str] = []
        self.segments: list[Segment] = []
        self.macros: set[str] = set()
        self.lists: set[str] = set()
        self._scope = names
        self._size = 0

    def append(self, scalar: Scalar, within: tuple[str, ...]) -> None:
        copied = 0
        for start, end, space, name_part in _references(scalar.text):
            self._copy(scalar, copied, start)
            if space == "lists":
                self._list(scalar, start, name_part)
            else:
                self._macro(scalar, start, name_part, within)
            copied = end
        self._copy(scalar, copied, len(scalar.text))

    def _emit(self, segment: Segment, text: str) -> None:
        self._size += len(text)
        if self._size > EXPANDED_CHARS_MAX:
            message = f"the expression has more than {EXPANDED_CHARS_MAX} characters after its macros are expanded"
            raise MacroError("too_long", segment.scalar, segment.offset, message)
        self.segments.append(segment)
        self.parts.append(text)

    def _copy(self, scalar: Scalar, start: int, end: int) -> None:
        if end > start or not self.segments:
            self._emit(Segment(self._size, scalar, start), scalar.text[start:end])

    def _list(self, scalar: Scalar, start: int, name_part: str) -> None:
        full = self._scope.lists.get(name_part)
        if full is None:
            hint = nearest(name_part, self._scope.lists) or "define it under `lists:`"
            raise MacroError("unknown_list", scalar, start, f"unknown list `{name_part}`", hint)
        self.lists.add(name_part)
        self._emit(Segment(self._size, scalar, start, fixed=True), full)

    def _macro(self, scalar: Scalar, start: int, name_part: str, within: tuple[str, ...]) -> None:
        body = self._scope.macros.get(name_part)
        if body is None:
            hint = nearest(name_part, self._scope.macros) or "define it under `macros:`"
            raise MacroError("unknown_macro", scalar, start, f"unknown macro `{name_part}`", hint)
        if name_part in within:
            cycle = " -> ".join([*within, name_part])
            raise MacroError("macro_cycle", scalar, start, f"macro `{name_part}` uses itself: {cycle}")
        if len(within) >= EXPANSION_DEPTH_MAX:
            message = f"macros are nested deeper than {EXPANSION_DEPTH_MAX} levels"
            raise MacroError("too_deep", scalar, start, message)
        self.macros.add(name_part)
        self._emit(Segment(self._size, scalar, start, fixed=True), "(")
        self.append(body, (*within, name_part))
        # The newline ends a comment at the end of the body, which would otherwise contain the parenthesis.
        self._emit(Segment(self._size, scalar, start, fixed=True), "\n)")


def _references(text: str) -> Iterator[tuple[int, int, str, str]]:
    for match in _TOKEN.finditer(text):
        if match["name"] is not None:
            yield match.start(), match.end(), match["space"], match["leaf"]
