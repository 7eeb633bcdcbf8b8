"""Values as Python prints them: what a tool returns that answers with `str(record)`.

They are read with a stack and one expression for tokens. `ast.literal_eval` was rejected: it recurses, and its manual
says that a text can crash it.
"""

from __future__ import annotations

import re

from streams.provenance.contents.leaves import NESTING_MAX, merged

_TOKEN = re.compile(
    r"\s*+(?:(?P<mark>[\[\](){},:])|(?P<text>[bru]?(?:'(?:[^'\\]|\\.)*+'|\"(?:[^\"\\]|\\.)*+\"))"
    r"|(?P<word>[\w.+-]++))",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\n": ""}
_WORDS = {"True": True, "False": False, "None": None, "nan": None, "inf": None}
_CLOSERS = {"[": "]", "(": ")", "{": "}"}


class _Open:
    """A list, tuple, set or dict that has not ended yet: its values, and whether one of them is awaited for a name."""

    def __init__(self, closer: str) -> None:
        self.closer = closer
        self.values: list[object] = []
        self.names: list[str] = []
        self.is_dict = False

    def add_name(self) -> bool:
        """Make a name of the last value; return False if there is none."""
        if self.closer != "}" or len(self.values) != len(self.names) + 1:
            return False
        self.is_dict = True
        self.names.append(str(self.values.pop()))
        return True

    def ended(self) -> object:
        """Return the whole; raises ValueError if a name has no value."""
        if not self.is_dict:
            return self.values if self.closer != "}" or self.values else {}
        return merged(list(zip(self.names, self.values, strict=True)))


def parsed_literal(text: str) -> object | None:
    """Return the value of a text that Python has printed, or None if it is something else."""
    root = _Open("")
    stack = [root]
    position = 0
    text = text.rstrip()
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            return None
        position = token.end()
        mark = token.group("mark")
        if mark is None:
            stack[-1].values.append(_value(token))
        elif mark in _CLOSERS:
            if len(stack) > NESTING_MAX:
                return None
            stack.append(_Open(_CLOSERS[mark]))
        elif not _closed(mark, stack):
            return None
    return root.values[0] if len(stack) == 1 and len(root.values) == 1 else None


def _closed(mark: str, stack: list[_Open]) -> bool:
    """Apply a mark that opens nothing; return False if it does not belong there."""
    if mark == ":":
        return stack[-1].add_name()
    if mark == ",":
        return len(stack) > 1
    if mark != stack[-1].closer:
        return False
    ended = stack.pop()
    if ended.is_dict and len(ended.names) != len(ended.values):
        return False
    stack[-1].values.append(ended.ended())
    return True


def _value(token: re.Match[str]) -> object:
    word = token.group("word")
    if word is None:
        written = token.group("text").lstrip("bru")
        return _ESCAPE.sub(_unescaped, written[1:-1]) if "\\" in written else written[1:-1]
    return _WORDS.get(word, word)


def _unescaped(match: re.Match[str]) -> str:
    code = match.group(1) or match.group(2)
    return chr(int(code, 16)) if code else _ESCAPED.get(match.group(3), match.group(3))
