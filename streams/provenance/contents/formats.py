"""Forms of content: which one a content has, and the structure that is parsed from it.

Every parser here is linear, expands nothing (no entities, no aliases), and is bounded by the length of what it reads
and by depth. The libraries that only some contents need are imported when such a content is first read.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from itertools import takewhile

from streams.provenance.contents.leaves import NESTING_MAX, FreeText, Leaf, leaves_of, merged
from streams.provenance.contents.literals import parsed_literal
from streams.provenance.contents.markup import parsed_html, parsed_xml
from streams.provenance.words import LETTERS, listed

YAML_CHARS_MAX = 200_000
"""A longer YAML is read as free text: its parser does about 2 MB a second."""
MAIL_CHARS_MAX = 2_000_000
_SCALAR_CHARS_MAX = 256
_SNIFFED_LINES_MAX = 5_000
_ITEM_CHARS_MAX = 60
_HEADERS_MIN = 2
_TABLE_LINE_CHARS_MAX = 1_000
_ROWS_MIN = 3

_XML = re.compile(r"\s*(?:<\?xml[\s?]|<([A-Za-z_][\w.:-]{0,100})[\s>/])")
_HTML = re.compile(
    r"\s*(?:<!doctype html|<html[\s>]|<(?:body|head|div|p|table|ul|ol|h[1-6]|span|a|article|section|b|br|meta)[\s>/])",
    re.IGNORECASE,
)
_MAIL = re.compile(
    r"\s*(?:from|to|cc|subject|date|received|return-path|delivered-to|mime-version|message-id|reply-to|content-type):",
    re.IGNORECASE,
)
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,40}:|[ \t]")
_YAML_KEY = re.compile(r"(?:- )*[A-Za-z_][\w.-]{0,39}(?: [\w.-]{1,39}){0,2}:(?:\s|\Z)")
_TABLE_LINE = re.compile(r"\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)*\|?\s*\Z")
_FIELD_LINE = re.compile(r"^(?:- )*(?P<name>[^\n:]{1,120}):(?P<mark>\s*[\"'|>])?", re.MULTILINE)
_NOTHING = frozenset(("", "~", "null", "none", "true", "false", "nan"))


def content_leaves(content: str, content_type: str | None = None, *, is_cut: bool = False) -> Iterator[Leaf]:
    """Yield the leaves of a content, in its order.

    Args:
        content: the content as the agent reads it.
        content_type: its media type, if that is known.
        is_cut: whether its end is missing: no object or list that is open then has a structure.
    """
    structure = structure_of(content, content_type, is_cut=is_cut)
    if structure is not None:
        yield from leaves_of(structure)
        return
    table, text = _table_and_text(content) if content_type is None else (None, content)
    if table is not None:
        yield from leaves_of(table)
    yield Leaf(text)


def structure_of(content: str, content_type: str | None = None, *, is_cut: bool = False) -> object | None:
    """Return the structure of a content: dicts, lists, numbers and texts; None if it has none."""
    if content_type is not None and (media_type := content_type.partition(";")[0].strip().lower()):
        parse = _parser_of(media_type)
        if parse is not None:
            return _unwrapped(parse(content))
        if media_type in ("text/plain", "text/markdown"):
            return None
    return None if is_cut and content.lstrip()[:1] in ("{", "[") else _sniffed(content)


def _parser_of(media_type: str) -> Callable[[str], object | None] | None:
    suffix = media_type.rpartition("+")[2] if "+" in media_type else media_type.rpartition("/")[2]
    return _PARSERS.get(suffix.removeprefix("x-"))


def _sniffed(content: str) -> object | None:
    text = content.strip()
    if not text:
        return None
    if text[0] in '{["' or text[0].isdigit() or text[0] == "-":
        value = parsed_json(text)
        if value is not None:
            return _unwrapped(value)
        if text[0] in "{[":
            return parsed_json_lines(text) or parsed_literal(text) or parsed_yaml(text)
    # Before words: a small document can be without a space in it.
    if text[0] == "<" and (markup := _sniffed_markup(text)) is not None:
        return markup
    if len(text) <= _SCALAR_CHARS_MAX and not any(map(str.isspace, text)):
        return text
    if text[0] == "<":
        return None
    if _MAIL.match(text) and (mail := parsed_mail(text)) is not None:
        return mail
    lines = text.split("\n", _SNIFFED_LINES_MAX)
    if len(lines) > _SNIFFED_LINES_MAX:
        return None
    if text[0] == "|" and (table := _parsed_table(lines)) is not None:
        return table
    if _looks_like_yaml(lines):
        return _doubted(parsed_yaml(text), text)
    return _sniffed_csv(text, lines)


def _unwrapped(value: object) -> object:
    """Return a result of the Model Context Protocol with the structures of its texts; any other value as it is."""
    if isinstance(value, str):
        return FreeText(value) if any(map(str.isspace, value)) else value
    blocks = value.get("content") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(blocks, list) or not all(map(_is_text_block, blocks)):
        return value
    return value | {"content": [block | {"text": _structure_or_text(block["text"])} for block in blocks]}


def _is_text_block(block: object) -> bool:
    return isinstance(block, dict) and block.get("type") == "text" and isinstance(block.get("text"), str)


def _structure_or_text(text: str) -> object:
    structure = structure_of(text)
    return FreeText(text) if structure is None else structure


def _sniffed_markup(text: str) -> object | None:
    if _HTML.match(text):
        return parsed_html(text)
    start = _XML.match(text)
    if start is not None and text.endswith(">"):
        return parsed_xml(text)
    return None


def parsed_json(text: str) -> object | None:
    """Return what a text of JSON holds, or None. If an object has a name twice, every value is kept."""
    try:
        return json.loads(text, object_pairs_hook=merged)  # type: ignore[no-any-return]  # whatever the text holds
    except (ValueError, RecursionError):
        return None


def parsed_json_lines(text: str) -> object | None:
    """Return the values of JSON lines, or None."""
    lines = [line for line in text.splitlines() if line.strip()]
    values = [parsed_json(line) for line in lines] if len(lines) > 1 and text[0] == "{" else []
    return values if values and all(value is not None for value in values) else None


def parsed_yaml(text: str) -> object | None:
    """Return what a text of YAML holds, or None.

    It is built from the parser's events: so aliases are not followed, every value is a text, and depth is bounded
    without recursion, which the library's own loaders do not offer.
    """
    if len(text) > YAML_CHARS_MAX:
        return None
    import yaml  # noqa: PLC0415 - only contents in YAML need it

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    root: list[object] = []
    stack: list[list[object]] = [root]
    try:
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.ScalarEvent):
                is_plain = event.style in (None, "")
                stack[-1].append(None if is_plain and event.value.lower() in _NOTHING else event.value)
            elif isinstance(event, yaml.AliasEvent):
                stack[-1].append(None)
            elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
                if len(stack) > NESTING_MAX:
                    return None
                stack.append([])
            elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
                ended = stack.pop()
                is_list = isinstance(event, yaml.SequenceEndEvent)
                stack[-1].append(ended if is_list else _mapping(ended))
    except (yaml.YAMLError, ValueError):
        return None
    value = root[0] if len(root) == 1 else root
    return value if isinstance(value, dict | list) and value else None


def _mapping(flat: list[object]) -> object:
    names = ["" if name is None else str(name) for name in flat[::2]]
    return merged(list(zip(names, flat[1::2], strict=False)))


_TEXTS = listed(
    "description body text notes note details comment comments message agenda content memo remarks abstract "
    "beschreibung notizen bemerkung bemerkungen nachricht detalles descripcion notas mensaje descricao mensagem "
    "descrizione dettagli messaggio remarques commentaire"
)
"""Names of fields that hold what somebody writes, in as many lines as he likes."""
_PROPERTIES = listed("ATTENDEE ORGANIZER CONTACT BEGIN END URL CONFERENCE ATTACH RELATED-TO")
"""Properties of iCalendar. In a record with other names, they come from a title that goes on."""


def _doubted(value: object, text: str) -> object:
    """Return a record that was recognised by its lines, with free texts in the place of what may not be fields of it.

    Who prints a text of several lines into such a record lets it go on in lines that look like fields. So what comes
    behind a field of free text may be a part of it. In a real YAML, such a text is in quotes or indented.
    """
    if isinstance(value, dict):
        return dict(_doubted_fields(list(value.items()), text))
    if isinstance(value, list) and all(isinstance(each, dict) and len(each) == 1 for each in value):
        return [dict([each]) for each in _doubted_fields([field for each in value for field in each.items()], text)]
    return value


def _doubted_fields(fields: list[tuple[str, object]], text: str) -> Iterator[tuple[str, object]]:
    marked, unmarked = set[str](), set[str]()
    for match in _FIELD_LINE.finditer(text):
        (marked if match["mark"] else unmarked).add(match["name"])
    # Whoever goes on in a second line of the name, in quotes, has not put the first one in quotes.
    marked -= unmarked
    is_behind_text = False
    for name, value in fields:
        is_property = name in _PROPERTIES and fields[0][0] not in _PROPERTIES and not fields[0][0].isupper()
        doubtful = isinstance(value, str) and (is_behind_text or is_property)
        yield name, FreeText(value) if doubtful else value
        # A text that begins with a new line is read as no value at all.
        if (value is None or isinstance(value, str)) and name not in marked:
            is_behind_text = is_behind_text or not _TEXTS.isdisjoint(LETTERS.findall(name.lower()))


def _looks_like_yaml(lines: list[str]) -> bool:
    """Return whether every line without an indent is a key or an item, and there is more than one key."""
    keys = items = 0
    for line in lines:
        if not line.strip() or line[0] in " \t#" or line.rstrip() in ("---", "..."):
            keys += line.startswith(" ") and _YAML_KEY.match(line.lstrip()) is not None
            continue
        if _YAML_KEY.match(line):
            keys += 1
        elif line.startswith("- ") and len(line) <= _ITEM_CHARS_MAX:
            items += 1
        else:
            return False
    return keys > 1 or (items > 1 and keys == 0)


def parsed_csv(text: str) -> object | None:
    """Return the rows of a table with a line of names, or None."""
    for mark in (",", ";", "\t", "|"):
        if mark in text.split("\n", 1)[0]:
            return _rows(text, mark)
    return None


def _sniffed_csv(text: str, lines: list[str]) -> object | None:
    rows = [line for line in lines if line.strip()]
    if len(rows) < _ROWS_MIN:
        return None
    for mark in (",", ";", "\t", "|"):
        count = rows[0].count(mark)
        names = [name.strip().strip('"') for name in rows[0].split(mark)]
        if count and all(0 < len(name) <= _ITEM_CHARS_MAX and not name.endswith((".", "!")) for name in names):
            same = sum(row.count(mark) == count for row in rows)
            if same == len(rows) or (count > 1 and same * 10 >= len(rows) * 9 and '"' in text):
                return _rows(text, mark)
            if count > 1 and '"' in text and (cells := _cells(text, mark)) and _have(count + 1, cells):
                return _named_rows(cells)
    return None


def _have(count: int, rows: list[list[str]]) -> bool:
    """Return whether each row has as many cells as there are names, where quoted cells hold marks and lines."""
    return all(len(row) == count for row in rows if row)


def _rows(text: str, mark: str) -> object | None:
    cells = _cells(text, mark)
    return None if cells is None else _named_rows(cells)


def _cells(text: str, mark: str) -> list[list[str]] | None:
    try:
        # A field's length is bounded by the length of the text; the library's own bound is the process's, not ours.
        return list(csv.reader(text.splitlines(), delimiter=mark, skipinitialspace=True, strict=True))
    except csv.Error:
        return None


def _named_rows(rows: list[list[str]]) -> object | None:
    rows = [row for row in rows if row]
    if len(rows) <= 1:
        return None
    names = [name.strip() or str(place) for place, name in enumerate(rows[0])]
    more = [str(place) for place in range(len(names), max(map(len, rows)))]
    return [merged([(name, cell) for name, cell in zip(names + more, row, strict=False) if cell]) for row in rows[1:]]


def _parsed_table(lines: list[str]) -> object | None:
    rows = [line.strip() for line in lines if line.strip()]
    if len(rows) < _ROWS_MIN or not all(row.startswith("|") for row in rows) or not _is_table_line(rows[1]):
        return None
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in (rows[0], *rows[2:])]
    return _named_rows(cells)


def _table_and_text(content: str) -> tuple[object | None, str]:
    """Return the table that a content begins with, and the free text behind it; all of it is text if there is none.

    A table further down stays text: whoever writes a part of a content could pretend to have written a record.
    """
    text = content.strip()
    if text[:1] != "|":
        return None, content
    lines = text.split("\n", _SNIFFED_LINES_MAX)
    rows = list(takewhile(lambda line: line.lstrip().startswith("|"), lines[:_SNIFFED_LINES_MAX]))
    table = _parsed_table(rows)
    return (None, content) if table is None else (table, "\n".join(lines[len(rows) :]))


def _is_table_line(row: str) -> bool:
    return len(row) <= _TABLE_LINE_CHARS_MAX and _TABLE_LINE.match(row) is not None


def parsed_mail(text: str) -> object | None:
    """Return the headers and bodies of a mail (RFC 5322), or None. Bodies are free text."""
    head = re.split(r"\r?\n\r?\n", text[:MAIL_CHARS_MAX], maxsplit=1)[0].splitlines()
    if len(head) < _HEADERS_MIN or not all(_HEADER.match(line) for line in head) or len(text) > MAIL_CHARS_MAX:
        return None
    from streams.provenance.contents.mails import mail_structure  # noqa: PLC0415 - loads the library of mails

    return mail_structure(text)


_PARSERS: dict[str, Callable[[str], object | None]] = {
    "json": parsed_json,
    "ndjson": parsed_json_lines,
    "jsonl": parsed_json_lines,
    "yaml": parsed_yaml,
    "yml": parsed_yaml,
    "xml": parsed_xml,
    "html": parsed_html,
    "csv": parsed_csv,
    "tab-separated-values": parsed_csv,
    "rfc822": parsed_mail,
}
