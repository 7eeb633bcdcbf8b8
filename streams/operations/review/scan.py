"""Searches a tool's texts for instructions to the model, hidden text and lookalikes, and checks what its schema costs.

It reads everything that a server says about a tool, at every depth: names, descriptions, the keys, defaults, enums and
examples of schemas, annotations, `_meta`. Findings are reported to a reviewer, with their places. A finding does not
prove an attack, and the absence of findings does not prove that there is none.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from streams.operations.review.hidden_characters import (
    hidden_in,
    is_mixed,
    looks_like,
    mixed_words,
    scripts_of,
    seen,
    spelled_by_tags,
)
from streams.operations.review.mentions import Mentions
from streams.operations.review.phrases import PHRASES, Concern
from streams.operations.review.schema_check import POINTER, schema_faults
from streams.policy.ext.lookalikes import as_ascii

FINDINGS_MAX = 200
STRINGS_MAX = 20_000
DEPTH_MAX = 64
TEXT_CHARS_MAX = 20_000
"""How much of one string is read. A longer one is a finding."""

EXCERPT_CHARS = 90
NOTHING_KNOWN = Mentions()
_LONG_CHARS = 4_000
_OUT_OF_SIGHT = re.compile(r"[^\S\n]{80}|(?:[^\S\n]{0,80}\n){12}")
_COMMENT = re.compile(r"<!--.{0,4000}?(?:-->|\Z)", re.DOTALL)
_ENCODED = re.compile(r"(?<![\w+/=-])[A-Za-z0-9+/_-]{32,}={0,2}(?![\w+/=-])")
_ESCAPED = re.compile(
    r"(?:%[0-9a-fA-F]{2}){8,}|(?:\\u00[0-9a-fA-F]{2}){6,}|(?:\\x[0-9a-fA-F]{2}){6,}|(?:&#x?[0-9a-fA-F]{1,6};){6,}"
)
_ADDRESS = re.compile(r"https?://|[\w.+-]{1,64}@[\w-]{1,63}\.[a-z]{2,}")
_MARKUP = re.compile(r"[*`]+")
_UNDERSCORES = re.compile(r"_+")
_DIGITS_FOR_LETTERS = frozenset("013457@$")
_LETTERS = str.maketrans("013457@$", "oieastas")
_SET_APART = re.compile(r"(?:\b\w[ .\-_]{1,3}){6,}\w\b")
_PRESET = frozenset({"default", "const", "examples", "example", "enum"})
_HIGH, _MEDIUM, _LOW = Concern.HIGH, Concern.MEDIUM, Concern.LOW
_WEIGHT = {_HIGH: 0, _MEDIUM: 1, _LOW: 2}


class TextFinding(NamedTuple):
    """A finding in a tool's texts.

    Attributes:
        kind: a stable code.
        pointer: where, as a JSON pointer into the tool as its server listed it.
        excerpt: the text there, shortened, without invisible characters.
        meaning: what the text does, for people.
    """

    kind: str
    concern: Concern
    pointer: str
    excerpt: str
    meaning: str


class _Text(NamedTuple):
    pointer: str
    text: str
    is_key: bool


TOOL_NAME_CHARS_MAX = 128
"""The longest name of a tool, as the specification of MCP (2025-11-25, server/tools) has it."""


def scan_tool(tool: Mapping[str, object], known: Mentions = NOTHING_KNOWN) -> tuple[TextFinding, ...]:
    """Return the findings in a tool's texts, the most severe first.

    Args:
        tool: the wire object of `tools/list`.
        known: the known tools; a text that mentions one with another name is a finding.
    """
    found: dict[tuple[str, str], TextFinding] = {}
    own_name = str(tool.get("name", ""))
    for count, text in enumerate(_texts(tool, "", 0)):
        if count >= STRINGS_MAX or len(found) >= FINDINGS_MAX:
            finding = TextFinding("too_much", _HIGH, "", "", "the definition is too large to be read completely")
            found.setdefault((finding.kind, ""), finding)
            break
        for each in _scan_text(text, known, own_name):
            found.setdefault((each.kind, each.pointer), each)
    if (chars := len(own_name)) > TOOL_NAME_CHARS_MAX:
        meaning = f"the name has {chars:,} characters, and MCP allows {TOOL_NAME_CHARS_MAX}"
        found["long_name", "/name"] = TextFinding("long_name", _HIGH, "/name", "", meaning)
    if "inputSchema" in tool:
        for kind, concern, meaning in schema_faults(tool):
            found[kind, POINTER] = TextFinding(kind, concern, POINTER, "", meaning)
    return tuple(sorted(found.values(), key=lambda each: (_WEIGHT[each.concern], each.pointer, each.kind)))


def is_serious(findings: Collection[TextFinding]) -> bool:
    """Return whether an approval must accept the findings explicitly."""
    return any(each.concern is _HIGH for each in findings)


def _texts(value: object, pointer: str, depth: int) -> Iterator[_Text]:
    if depth > DEPTH_MAX:
        return
    if isinstance(value, str):
        yield _Text(pointer, value, is_key=False)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            place = f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"
            yield _Text(place, str(key), is_key=True)
            yield from _texts(each, place, depth + 1)
    elif isinstance(value, list | tuple):
        for index, each in enumerate(value):
            yield from _texts(each, f"{pointer}/{index}", depth + 1)


def _scan_text(text: _Text, known: Mentions, own_name: str) -> Iterator[TextFinding]:
    raw = text.text[:TEXT_CHARS_MAX]
    if len(text.text) > _LONG_CHARS:
        concern = _HIGH if len(text.text) > TEXT_CHARS_MAX else _LOW
        yield _finding("long", concern, text, raw, f"is long: {len(text.text)} characters")
    yield from _hidden(text, raw)
    yield from _names(text, raw)
    for match in _COMMENT.finditer(raw):
        yield _finding("comment", _HIGH, text, match.group(), "contains a comment, which is not displayed")
    if _OUT_OF_SIGHT.search(raw.strip()) is not None:
        yield _finding("out_of_sight", _HIGH, text, raw.strip()[-EXCERPT_CHARS:], "continues far out of sight")
    if _is_foreign(raw):
        yield _finding("not_read", _LOW, text, raw, "is in a script for which no phrases are known")
    plain = seen(raw)
    yield from _phrases(text, plain)
    if not plain.isascii() or plain != raw:
        yield from _phrases(text, as_ascii(plain))
    for disguised in _undisguised(plain):
        yield from (found for found in _phrases(text, disguised) if found.concern is _HIGH)
    yield from _encoded(text, raw)
    yield from _others(text, plain, known, own_name)
    steps = set(text.pointer.split("/"))
    if not text.is_key and steps & _PRESET and _ADDRESS.search(plain.lower()):
        yield _finding("preset_address", _MEDIUM, text, plain, "presets an address")


def _phrases(text: _Text, plain: str) -> Iterator[TextFinding]:
    lowered = _MARKUP.sub("", plain.replace("\u2019", "'").lower())
    joined = " ".join((_UNDERSCORES.sub(" ", lowered) if text.is_key else lowered).split())
    for phrase in PHRASES:
        # Once as it runs on, and once with its lines: what poses as a role stands at the beginning of one.
        for form in (joined, lowered):
            match = phrase.pattern.search(form)
            if match is not None:
                yield _finding(phrase.kind, phrase.concern, text, _around(form, match), phrase.meaning)
                break


def _is_foreign(raw: str) -> bool:
    """Return whether most letters are of a script in which no phrase is written."""
    if raw.isascii():
        return False
    letters = [char for char in raw if char.isalpha()]
    return sum("LATIN" not in scripts_of(char) for char in letters) > len(letters) / 2


def _undisguised(plain: str) -> Iterator[str]:
    """Return the text without tricks that hide words: digits for letters, and letters that are set apart."""
    if any(char in _DIGITS_FOR_LETTERS for char in plain):
        yield plain.translate(_LETTERS)
    if _SET_APART.search(plain) is not None:
        yield _SET_APART.sub(lambda found: _joined(found.group()), plain)


def _joined(spaced: str) -> str:
    """Return `i g n o r e  a l l` as `ignore all`: words are further apart than letters."""
    return " ".join(re.sub(r"[ .\-_]", "", word) for word in re.split(r" {2,}", spaced))


def _hidden(text: _Text, raw: str) -> Iterator[TextFinding]:
    for hidden in hidden_in(raw):
        spelled = f": they spell `{hidden.spelled}`" if hidden.spelled.strip() else ""
        yield _finding("hidden", _HIGH, text, raw, f"contains {hidden.kind} ({hidden.chars_count}){spelled}")
    spelled_out = spelled_by_tags(raw)
    if spelled_out:
        yield from _phrases(text, spelled_out)


def _names(text: _Text, raw: str) -> Iterator[TextFinding]:
    if (text.is_key or text.pointer == "/name") and not raw.isascii():
        looks = looks_like(raw)
        concern = _HIGH if is_mixed(raw) or (looks is not None and looks.isascii()) else _MEDIUM
        yield _finding("strange_name", concern, text, raw, "is a name with letters beyond ASCII")
        return
    words = mixed_words(raw)
    if words:
        yield _finding("mixed_scripts", _HIGH, text, ", ".join(words[:3]), "mixes letters of several scripts in a word")


def _encoded(text: _Text, raw: str) -> Iterator[TextFinding]:
    if _ESCAPED.search(raw) is not None:
        yield _finding("encoded", _HIGH, text, raw, "contains text that is written in escapes")
    for match in _ENCODED.finditer(raw):
        decoded = _decoded(match.group())
        if decoded is None:
            continue
        yield _finding("encoded", _HIGH, text, decoded, "contains text in base64")
        yield from _phrases(text, decoded)


def _decoded(encoded: str) -> str | None:
    """Return the text that base64 encodes, if it is text."""
    standard = encoded.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        decoded = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None
    return decoded if decoded.isprintable() and " " in decoded else None


def _others(text: _Text, plain: str, known: Mentions, own_name: str) -> Iterator[TextFinding]:
    if text.is_key:
        return
    lowered = plain.lower()
    found = known.first_in(lowered, own_name)
    if found is not None:
        around = lowered[max(found.start - EXCERPT_CHARS // 2, 0) : found.end + EXCERPT_CHARS // 2]
        yield _finding("speaks_of_other_tool", _MEDIUM, text, around, f"mentions the tool `{found.tool}`")


def _around(text: str, match: re.Match[str]) -> str:
    spare = max((EXCERPT_CHARS - (match.end() - match.start())) // 2, 0)
    return text[max(match.start() - spare, 0) : match.end() + spare]


def _finding(kind: str, concern: Concern, text: _Text, excerpt: str, meaning: str) -> TextFinding:
    shown = " ".join("".join(char if char.isprintable() else _escaped(char) for char in excerpt).split())
    short = shown if len(shown) <= EXCERPT_CHARS else shown[: EXCERPT_CHARS - 1] + "…"
    return TextFinding(kind, concern, text.pointer, short, meaning)


def _escaped(char: str) -> str:
    return " " if char.isspace() else f"\\u{{{ord(char):x}}}"
