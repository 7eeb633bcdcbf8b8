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

from streams.provenance.contents.leaves import NESTING_MAX, FreeText
from streams.provenance.words import listed

MARKUP_CHARS_MAX = 2_000_000
_BROKEN_TAGS_MAX = 1_000

# What has been read of a tag is never read again in another way: so one that does not end costs its length and no more.
_TAG = re.compile(r"<(/?)([A-Za-z][\w:-]{0,60})((?>[^<>\"']++|\"[^\"]{0,2048}+\"|'[^']{0,2048}+')*+)>")
_PLAIN_TAG = re.compile(r"<(/?[A-Za-z]{1,61}+)>([^<]*+)")
"""A tag of an element without attributes, and the text behind it. Most tags of large tables are such."""
_PLAIN_CELLS = re.compile(r"(?:<t[dh]>[^<&]*+</t[dh]>\s*+)++")
_PLAIN_CELL = re.compile(r"<t[dh]>([^<]*+)<")
"""The cells of a row that hold nothing but a text."""
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

    @property
    def is_in_table(self) -> bool:
        """Whether what follows is inside of a table."""
        return self._rows is not None

    def take_cells(self, cells: list[str]) -> None:
        """Take cells of a row that has just begun, as `take_tag` and `take_text` do one after the other."""
        if self._rows:
            self._rows[-1] += map(str.strip, cells)

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
    while position < len(text) and broken <= _BROKEN_TAGS_MAX:
        if (plain := _PLAIN_TAG.match(text, position)) is not None:
            position = _read_plain_tag(plain, page)
            continue
        start = text.find("<", position)
        if start < 0:
            break
        if start > position:
            page.take_text(text[position:start])
        tag = _TAG.match(text, start)
        if tag is not None:
            _read_tag(tag, page)
            position = tag.end()
        elif text.startswith("<!--", start):
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
    page.take_text(text[position:])


def _read_plain_tag(plain: re.Match[str], page: _Page) -> int:
    """Read a tag without attributes and the text or the cells behind it; return where that ends."""
    name, behind = plain.groups()
    page.take_tag(name.lower())
    if name == "tr" and page.is_in_table and (not behind or behind.isspace()):
        cells = _PLAIN_CELLS.match(plain.string, plain.end())
        if cells is not None:
            page.take_cells(_PLAIN_CELL.findall(plain.string, plain.end(), cells.end()))
            return cells.end()
    page.take_text(behind)
    return plain.end()


def _read_tag(tag: re.Match[str], page: _Page) -> None:
    """Read any tag, and the texts in its attributes."""
    if _ELEMENT.match(tag.string, tag.start()) is None:
        page.take_text(tag.group())
        return
    slash, name, attributes = tag.groups()
    page.take_tag(slash + name.lower())
    if attributes:
        for attribute in _ATTRIBUTE.finditer(attributes):
            if attribute.group(1).lower() in _TEXT_ATTRIBUTES:
                page.take_text(f" {attribute.group(2) or attribute.group(3) or attribute.group(4) or ''} ")
