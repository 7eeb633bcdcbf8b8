"""XML as a structure, and HTML as tables and free text.

XML is parsed by expat, without any document type: so nothing is expanded or fetched. HTML is cut into tags and texts
here. It only has to find every text that a model may read, hidden ones too, and the cells of tables; it need not build
the tree that a browser would. The parsers at hand do not fit: that of the standard library takes quadratic time for
some inputs and reads them differently from release to release, and the others build trees of all of it.
"""

from __future__ import annotations

import re
from html import unescape
from xml.parsers import expat

from streams.provenance.leaves import NESTING_MAX, FreeText
from streams.provenance.words import listed

MARKUP_CHARS_MAX = 2_000_000
_BROKEN_TAGS_MAX = 1_000

# What has been read of a tag is never read again in another way: so one that does not end costs its length and no more.
_TAG = re.compile(r"<(/?)([A-Za-z][\w:-]{0,60})((?>[^<>\"']++|\"[^\"]{0,2048}+\"|'[^']{0,2048}+')*+)>")
_ELEMENT = re.compile(r"</?(?:[\w-]+:)?(?:h[1-6]|(?:[^\W\d]|-)+)[\s/>]", re.IGNORECASE)
"""How the tag of an element begins. An address, a URL or a number in angle brackets is text."""
_ATTRIBUTE = re.compile(r"([\w:-]{1,60})\s{0,8}=\s{0,8}(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))")
_TEXT_ATTRIBUTES = frozenset(
    ("href", "src", "alt", "title", "content", "value", "action", "placeholder", "aria-label", "summary", "data")
)
_INLINE = frozenset(
    slash + name
    for name in listed("a abbr b bdi bdo cite code em font i kbd mark q s small span strong sub sup u wbr")
    for slash in ("", "/")
)
_OF_ROWS = frozenset(("td", "th", "/td", "/th", "tr", "/tr", "/table"))


class _Broken(Exception):  # noqa: N818 - it carries no error, it ends a parse
    """The markup is not what it should be."""


def parsed_xml(text: str) -> object | None:
    """Return the structure of an XML document, or None.

    An element without children is its text; one with children a dict by their names, in which a name that comes more
    than once has a list, and attributes are children. Its other text is the child `text`.
    """
    if len(text) > MARKUP_CHARS_MAX:
        return None
    builder = _Builder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.CommentHandler = builder.comment
    parser.StartDoctypeDeclHandler = builder.refuse
    try:
        parser.Parse(text.encode("utf-8", "surrogatepass"), True)
    except (expat.ExpatError, _Broken):
        return None
    return builder.root


class _Builder:
    """Builds the structure of an XML document from the events of its parser."""

    def __init__(self) -> None:
        self.root: object | None = None
        self._stack: list[tuple[str, list[tuple[str, object]], list[str]]] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._stack) >= NESTING_MAX:
            raise _Broken
        self._stack.append((name, list(attributes.items()), []))

    def text(self, text: str) -> None:
        self._stack[-1][2].append(text)

    def comment(self, text: str) -> None:
        if self._stack:
            self._stack[-1][1].append(("comment", FreeText(text)))

    def refuse(self, *_: object) -> None:
        raise _Broken

    def end(self, name: str) -> None:
        _, children, texts = self._stack.pop()
        text = "".join(texts).strip()
        value: object = _named([*children, ("text", FreeText(text))] if text else children) if children else text
        if self._stack:
            self._stack[-1][1].append((name, value))
        else:
            self.root = {name: value}


def _named(children: list[tuple[str, object]]) -> dict[str, object]:
    only = dict(children)
    if len(only) == len(children):
        return only
    found: dict[str, list[object]] = {}
    for name, value in children:
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def parsed_html(text: str) -> object | None:
    """Return the tables of an HTML text as lists of rows with the names of their columns, and its other texts.

    Texts of one block belong together. Comments, values of attributes and scripts are texts: a model reads them.
    """
    if len(text) > MARKUP_CHARS_MAX:
        return None
    page = _Page()
    _read_page(text, page)
    page.end()
    return {"tables": page.tables, "text": page.texts}


class _Page:
    """Sorts the pieces of an HTML text into cells of tables and other texts."""

    def __init__(self) -> None:
        self.tables: list[object] = []
        self.texts: list[FreeText] = []
        self._block: list[str] = []
        self._rows: list[list[str]] | None = None

    def take_text(self, text: str) -> None:
        """Take a text between tags."""
        self._block.append(text)

    def take_tag(self, name: str) -> None:
        """Take a tag: the name of its element, with a slash before it if it ends one."""
        if name in _INLINE:
            return
        rows = self._rows
        if rows is not None and name in _OF_ROWS:
            self._end_cell(name, rows)
        else:
            self.end_block()
            if name == "table" and rows is None:
                self._rows = []

    def end(self) -> None:
        """End what is open: a reader sees the rows of a table that nobody has closed."""
        if self._rows is None:
            self.end_block()
        else:
            self.take_tag("/table")

    def end_block(self) -> None:
        """End the texts that belong together."""
        if text := self._ended_text():
            self.texts.append(FreeText(text))

    def _ended_text(self) -> str:
        block = self._block
        if not block:
            return ""
        self._block = []
        text = block[0] if len(block) == 1 else "".join(block)
        return (unescape(text) if "&" in text else text).strip()

    def _end_cell(self, name: str, rows: list[list[str]]) -> None:
        text = self._ended_text()
        if rows and (text or name in ("/td", "/th")):
            rows[-1].append(text)
        elif text and name not in ("/td", "/th"):
            self.texts.append(FreeText(text))
        if name == "tr":
            rows.append([])
        elif name == "/table":
            self._end_table([row for row in rows if any(row)])

    def _end_table(self, rows: list[list[str]]) -> None:
        self._rows = None
        if len(rows) < 2:
            self.texts.extend(FreeText(cell) for row in rows for cell in row if cell)
            return
        names = [name or str(place) for place, name in enumerate(rows[0])]
        more = [str(place) for place in range(len(names), max(map(len, rows)))]
        self.tables.append([_named(list(zip(names + more, row, strict=False))) for row in rows[1:]])


def _read_page(text: str, page: _Page) -> None:
    position = broken = 0
    while position < len(text):
        start = text.find("<", position)
        if start < 0 or broken > _BROKEN_TAGS_MAX:
            break
        if start > position:
            page.take_text(text[position:start])
        tag = _TAG.match(text, start)
        if tag is None:
            if text.startswith("<!--", start):
                end = text.find("-->", start)
                end = len(text) if end < 0 else end
                page.take_tag("comment")
                page.take_text(text[start + 4 : end])
                page.take_tag("/comment")
                position = end + 3
            else:
                broken += 1
                page.take_text("<")
                position = start + 1
            continue
        position = tag.end()
        if _ELEMENT.match(text, start) is None:
            page.take_text(tag.group())
            continue
        slash, name, attributes = tag.groups()
        page.take_tag(slash + name.lower())
        if attributes:
            for attribute in _ATTRIBUTE.finditer(attributes):
                if attribute.group(1).lower() in _TEXT_ATTRIBUTES:
                    page.take_text(f" {attribute.group(2) or attribute.group(3) or attribute.group(4) or ''} ")
    page.take_text(text[position:])
