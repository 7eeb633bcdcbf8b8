"""A strict reader of YAML from untrusted sources, in which every value knows its location.

The idea is to read YAML as events and to build nodes from them, instead of loading objects. So tags, anchors, aliases,
merge keys, duplicate keys and further documents are rejected, and size, depth and number of values are bounded, before
anything is built. Plain scalars follow the core schema of YAML 1.2, in which `yes` is a string.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import yaml

from streams.policy.errors import Findings, Location
from streams.policy.language.error_hints import yaml_hint

FILE_CHARS_MAX = 4_000_000
DEPTH_MAX = 16
NODES_MAX = 400_000
SCALAR_CHARS_MAX = 20_000

_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})\Z")
_FLOAT = re.compile(r"[-+]?(?=[0-9.]*[.eE])(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_ESCAPE_LENGTHS = {"x": 4, "u": 6, "U": 10}


class Scalar(msgspec.Struct, frozen=True):
    """A scalar.

    Attributes:
        text: the decoded text.
        value: the value that the text stands for.
        style: the quote or block character, or empty for a plain scalar.
        raw: the source text, with quotes and indentation.
    """

    location: Location
    text: str
    value: str | int | float | bool | None
    style: str
    raw: str

    @property
    def is_text(self) -> bool:
        """Return whether its value is a string."""
        return isinstance(self.value, str)

    def at(self, offset: int) -> Location:
        """Return the location in the file of a character of the decoded text."""
        return _locate(self, offset)


class SequenceNode(msgspec.Struct, frozen=True):
    """A sequence."""

    location: Location
    items: tuple[Node, ...]


class MappingNode(msgspec.Struct, frozen=True):
    """A mapping; its keys are distinct strings."""

    location: Location
    entries: tuple[tuple[Scalar, Node], ...]

    def get(self, key: str) -> Node | None:
        """Return the value of a key, or None."""
        return next((value for name, value in self.entries if name.text == key), None)

    def __iter__(self) -> Iterator[tuple[Scalar, Node]]:
        return iter(self.entries)


Node = Scalar | SequenceNode | MappingNode


def to_python(node: Node) -> Any:
    """Return a node as plain Python values: dicts, lists and scalars."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, SequenceNode):
        return [to_python(item) for item in node.items]
    return {key.text: to_python(value) for key, value in node.entries}


def node_kind(node: Node) -> str:
    """Return the kind of a node, as error messages call it."""
    if isinstance(node, SequenceNode):
        return "a list"
    if isinstance(node, MappingNode):
        return "a mapping"
    if node.value is None:
        return "nothing"
    if isinstance(node.value, bool):
        return "a boolean"
    return "text" if isinstance(node.value, str) else "a number"


def read_yaml(path: str, text: str, findings: Findings) -> Node | None:
    """Read one document.

    Args:
        path: the path for locations in findings.
        text: the text of the file, which is not trusted.
        findings: receives the errors.

    Returns:
        The root node, or None if the text can't be read; then `findings` has at least one error.
    """
    start = Location(path, 1, 1)
    if len(text) > FILE_CHARS_MAX:
        findings.error("too_large", start, f"the file has {len(text)} characters: the limit is {FILE_CHARS_MAX}")
        return None
    try:
        text.encode()
    except UnicodeEncodeError as error:
        findings.error("not_unicode", start, f"the file is not valid Unicode at character {error.start}")
        return None
    reader = _Reader(path, text, findings)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if not reader.take(event):
                return None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = Location(path, mark.line + 1, mark.column + 1) if mark is not None else start
        line = "" if mark is None else "".join(text.split("\n")[mark.line : mark.line + 1])
        hint = yaml_hint(error.problem or "", error.context or "", line)
        findings.error("yaml_syntax", at, f"invalid YAML: {error.problem or error.context}", hint=hint)
        return None
    except yaml.YAMLError as error:
        findings.error("yaml_syntax", start, f"invalid YAML: {str(error).splitlines()[0]}")
        return None
    if reader.root is None:
        findings.error("empty_file", start, "the file is empty")
    return reader.root


class _OpenCollection:
    """A sequence or mapping whose end the reader has not reached."""

    __slots__ = ("items", "key", "location", "mapping", "seen")

    def __init__(self, location: Location, *, mapping: bool) -> None:
        self.location = location
        self.mapping = mapping
        self.items: list[Any] = []
        self.key: Scalar | None = None
        self.seen: dict[str, Location] = {}


class _Reader:
    """Builds nodes from events. It uses an explicit stack, so that deep nesting causes no recursion."""

    def __init__(self, path: str, text: str, findings: Findings) -> None:
        self.root: Node | None = None
        self._path = path
        self._text = text
        self._findings = findings
        self._stack: list[_OpenCollection] = []
        self._documents = 0
        self._nodes = 0

    def take(self, event: Any) -> bool:
        """Process one event. Return False if the file is rejected; the reason is then in the findings."""
        at = Location(self._path, event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                return self._refuse("many_documents", at, "a file must hold one YAML document: found another `---`")
            return True
        if isinstance(event, yaml.AliasEvent):
            return self._refuse("alias", at, f"alias `*{event.anchor}` is not allowed", _alias_hint("*"))
        if not isinstance(event, yaml.NodeEvent):
            return self._close() if isinstance(event, yaml.CollectionEndEvent) else True
        if event.anchor is not None:
            return self._refuse("anchor", at, f"anchor `&{event.anchor}` is not allowed", _alias_hint("&"))
        tag = getattr(event, "tag", None)
        if tag is not None:
            return self._refuse("tag", at, f"tag `{tag}` is not allowed", "put text that begins with `!` in quotes")
        self._nodes += 1
        if self._nodes > NODES_MAX:
            return self._refuse("too_many_nodes", at, f"the file has more than {NODES_MAX} values")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, at)
        if len(self._stack) >= DEPTH_MAX:
            return self._refuse("too_deep", at, f"the file is nested deeper than {DEPTH_MAX} levels")
        if self._awaits_key():
            return self._refuse("key_not_text", at, "a key must be text, found a collection")
        self._stack.append(_OpenCollection(at, mapping=isinstance(event, yaml.MappingStartEvent)))
        return True

    def _refuse(self, code: str, at: Location, message: str, hint: str | None = None) -> bool:
        self._findings.error(code, at, message, hint=hint)
        return False

    def _awaits_key(self) -> bool:
        return bool(self._stack) and self._stack[-1].mapping and self._stack[-1].key is None

    def _scalar(self, event: Any, at: Location) -> bool:
        text: str = event.value
        if len(text) > SCALAR_CHARS_MAX:
            return self._refuse("too_long", at, f"the text has {len(text)} characters: the limit is {SCALAR_CHARS_MAX}")
        style = event.style or ""
        value = text if style or not event.implicit[0] else _resolve(text)
        raw = self._text[event.start_mark.index : event.end_mark.index]
        node = Scalar(at, text, value, style, raw)
        if not self._awaits_key():
            return self._place(node)
        if not node.is_text or text == "<<":
            return self._refuse("key_not_text", at, f"a key must be text, found `{text}`", "put it in quotes")
        top = self._stack[-1]
        if text in top.seen:
            return self._refuse(
                "duplicate_key", at, f"duplicate key `{text}`: it is already at line {top.seen[text].line}"
            )
        top.seen[text] = at
        top.key = node
        return True

    def _place(self, node: Node) -> bool:
        if not self._stack:
            self.root = node
            return True
        top = self._stack[-1]
        if top.mapping:
            top.items.append((top.key, node))
            top.key = None
        else:
            top.items.append(node)
        return True

    def _close(self) -> bool:
        done = self._stack.pop()
        if done.mapping:
            return self._place(MappingNode(done.location, tuple(done.items)))
        return self._place(SequenceNode(done.location, tuple(done.items)))


def _alias_hint(sign: str) -> str:
    return f"repeat the value itself; put text that begins with `{sign}` in quotes"


def _resolve(text: str) -> str | int | float | bool | None:
    """Return the value of a plain scalar."""
    if text in ("true", "false"):
        return text == "true"
    if text in ("", "null", "~"):
        return None
    if _INT.match(text):
        return int(text)
    if _FLOAT.match(text):
        return float(text)
    return text


def _locate(scalar: Scalar, offset: int) -> Location:
    """Return the location of an offset of the decoded text, by walking the source in parallel.

    If the source does not correspond to the decoded text, the location of the scalar is returned.
    """
    cursor = _SourceCursor(scalar)
    for position, wanted in enumerate(scalar.text):
        cursor.skip_layout(wanted)
        if position == offset:
            return cursor.location()
        if not cursor.take(wanted):
            return scalar.location
    return cursor.location() if offset == len(scalar.text) else scalar.location


class _SourceCursor:
    """A position in the source of a scalar."""

    def __init__(self, scalar: Scalar) -> None:
        self._scalar = scalar
        self._raw = scalar.raw
        self._line, self._column, self._index = scalar.location.line, scalar.location.column, 0
        self._block = scalar.style in ("|", ">")
        self._at_line_start = self._block
        self._indent = 0
        if self._block:
            self._advance(self._raw.find("\n") + 1)
            lines = [line for line in self._raw[self._index :].split("\n") if line.strip()]
            self._indent = min((len(line) - len(line.lstrip(" ")) for line in lines), default=0)
        elif scalar.style:
            self._advance(1)

    def location(self) -> Location:
        return Location(self._scalar.location.path, self._line, self._column)

    def _advance(self, count: int) -> None:
        for character in self._raw[self._index : self._index + count]:
            if character == "\n":
                self._line, self._column = self._line + 1, 1
            else:
                self._column += 1
        self._index += count

    def skip_layout(self, wanted: str) -> None:
        """Skip indentation and folded line ends, which are not part of the text."""
        here = self._raw[self._index :]
        if self._at_line_start:
            self._advance(min(self._indent, len(here) - len(here.lstrip(" "))))
        elif here[:1] in ("\n", " ") and wanted not in ("\n", " "):
            self._advance(len(here) - len(here.lstrip(" \n")))

    def take(self, wanted: str) -> bool:
        """Skip the source of one character of the text. Return False if the source does not contain it here."""
        self._at_line_start = wanted == "\n" and self._block
        found = self._raw[self._index : self._index + 1]
        if found == "\\" and self._scalar.style == '"':
            self._advance(_ESCAPE_LENGTHS.get(self._raw[self._index + 1 : self._index + 2], 2))
        elif found == "'" and self._scalar.style == "'":
            self._advance(2)
        elif found == wanted or (found == "\n" and wanted == " "):
            self._advance(1)
        else:
            return False
        return True
