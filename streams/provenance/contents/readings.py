"""Readings: what a text says once its disguises are undone.

The idea: a disguise that maps characters (look-alikes, full-width and invisible characters, escapes of URLs, HTML and
programs) is undone in the whole text. A code (base64, hexadecimal), a spelling (`name at example dot com`, `e v i l`)
or a reversed text is undone in the piece that holds it. What is found in a reading and not in the text itself was
disguised. A search for every value in every encoding was rejected: the gate would need the values.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple
from urllib.parse import unquote

from streams.provenance.contents.confusables import LOOKS_LIKE
from streams.provenance.words import typeset_plainly

PIECES_MAX = 256
"""How many pieces of a text are decoded."""
DEPTH_MAX = 2
"""How often a decoded piece is decoded again."""
ROUNDS_MAX = 3
"""How often escapes are undone in what was escaped."""
PIECE_CHARS_MAX = 4_096
_PRINTABLE_SHARE = 0.9
_PIECE_CHARS_MIN = 4
CODE_CHARS_MIN = 12
"""The shortest text that can be a code."""
_SHORT_CHARS_MAX = 512
"""Up to this length one search for all signs is faster than one for each."""
_CHARS_CACHED_MAX = 4_096

_ESCAPED = re.compile(r"%[0-9a-fA-F]{2}|&(?:#\w{1,7}|\w{2,8});|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|=[0-9A-F]{2}")
_PROGRAM = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2}))|=([4-7][0-9A-F])")
_BASE64 = re.compile(rf"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{{12,{PIECE_CHARS_MAX}}}={{0,2}}")
_HEX = re.compile(rf"(?:[0-9a-fA-F]{{2}}[ :]?){{5,{PIECE_CHARS_MAX // 2}}}[0-9a-fA-F]{{2}}")
_SPELLED = (
    " dot ", " punkt ", " punto ", " slash ", " underscore ", " hyphen ", "[at]", "(at)", "{at}", "<at>", "[@]", "(@)",
    "[ at ]", "( at )", "[dot]", "(dot)", "{dot}", "<dot>", "[.]", "(.)", "[ dot ]", "( dot )",
)  # fmt: skip
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_SELDOM = 16
"""Where one character of so many takes more than a byte, it is quicker to look for these than at each character."""
_AT_HOST = re.compile(r" at [\w-]{1,63}\.\w")
_SOME_SPELLED = re.compile(
    r"[\[({<] ?(?:at|@|dot|\.) ?[\])}>]| (?:dot|punkt|punto|slash|underscore|hyphen) | at [\w-]{1,63}\.\w"
)
"""Finds whatever has one of `_SPELLED` or a host behind ` at `; three alternatives are searched faster than thirty."""
_SIGN_WORDS = {
    "at": "@", "@": "@", "dot": ".", "punkt": ".", "punto": ".", ".": ".", "dash": "-", "hyphen": "-", "minus": "-",
    "slash": "/", "underscore": "_", "plus": "+", "colon": ":",
}  # fmt: skip
_SIGN = re.compile(
    r"\s{0,2}[\[({<]\s?(at|@|dot|\.|dash|hyphen|slash|underscore|plus|colon)\s?[\])}>]\s{0,2}"
    r"|\s{1,2}(at|dot|punkt|punto|dash|hyphen|minus|slash|underscore|plus|colon)\s{1,2}",
    re.IGNORECASE,
)
_ORDINARY = re.compile(r"(?:[A-Za-z0-9_.@:/+#$,-]|=(?![0-9A-F]{2}))+\Z")
_PROSE = re.compile(
    r"[a-z ]*+(?:(?:[A-Z](?<![^ \n].)[A-Za-z]{0,10}+(?![A-Za-z-])|[,;!?.:](?<=[A-Za-z].)(?![^ \n])"
    r"|'(?<=[A-Za-z].)(?=[a-z])|-(?<=[a-z].)(?=[a-z])|\n)[a-z ]*+)*+\Z"
)
"""Words of letters, and signs of sentences behind them. None of the words can be a code: one that is long enough has no
capital. Runs of small letters and spaces are skipped at once, and only what is between them is looked at closely."""
_SPELLING_WORDS = (" dot ", " punkt ", " punto ", " slash ", " underscore ", " hyphen ")
_AS_WORDS = bytes(code if code == ord(" ") else ord("x") for code in range(256))
_AS_HEX = bytes(ord("x") if chr(code) in "0123456789abcdefABCDEF :" else ord(".") for code in range(256))
_HEX_RUN = "x" * CODE_CHARS_MIN
_CODE = re.compile(r"[A-Za-z0-9+/_-]{12}")
_SOME_HEX = re.compile(r"[0-9a-fA-F :]{12}")
_SOME_SPACED = re.compile(r" \S \S \S ")
_TWO_SPACED = re.compile(r"[ \u00a0]\S[ \u00a0]{1,2}\S[ \u00a0]")
_SPACED = re.compile(r"(?<!\S)\S(?:[ \u00a0]{1,2}\S){5,200}(?!\S)")
_SOME_REVERSED = re.compile(
    r"//:(?=\S)"
    r"|\.(?=\S)(?:(?<=moc\.|ten\.|gro\.|ude\.|vog\.|ppa\.|ved\.)|(?<=oi\.|ku\.|ed\.)|(?<=ofni\.)|(?<=elpmaxe\.))"
)
"""The end of a host, or the sign behind a scheme, in reverse. It does not end its token, as the `ed.` of many sentences
does: a host has a name. Dots are rare, and so are found sooner than the letters before them."""
_TO_THE_LEFT = re.compile(r"\S{0,200}")
_TO_THE_RIGHT = re.compile(r"\S{1,200}")
_WINDOW_CHARS = 160


class Reading(NamedTuple):
    """A reading of a text, or of a piece of it. `is_whole` says that it is of all of the text, `has_words` that its
    words are new, and not only the signs between them."""

    text: str
    is_whole: bool
    has_words: bool = True


def readings_of(text: str) -> Iterator[Reading]:
    """Yield the readings of a text that differ from it."""
    plain = undisguised(text)
    if plain is not text and plain != typeset_plainly(text):
        yield Reading(plain, is_whole=True)
    yield from islice(_pieces_of(plain, DEPTH_MAX), PIECES_MAX)


def is_ordinary(word: str) -> bool:
    """Return whether a text without a space certainly has no reading; `readings_of` takes longer to find out."""
    return (
        _ORDINARY.match(word) is not None
        and (len(word) < CODE_CHARS_MIN or _CODE.search(word) is None)
        and ("." not in word or _SOME_REVERSED.search(word.lower()) is None)
    )


def is_prose(text: str) -> bool:
    """Return whether a text certainly has no reading, and no value in it has a shape: both take longer to find out."""
    if len(text) > _SHORT_CHARS_MAX or "  " in text or _PROSE.match(text) is None:
        return False
    lowered = text.lower()
    for word in _SPELLING_WORDS:
        if word in lowered:
            return False
    signs = text.encode()
    # A search for a piece of text is many times as fast as one for what has its form.
    return " x x " not in signs.translate(_AS_WORDS).decode() and _HEX_RUN not in signs.translate(_AS_HEX).decode()


def undisguised(text: str) -> str:
    """Return the text without escapes and invisible characters, and with ASCII in place of what looks like it."""
    for _ in range(ROUNDS_MAX):
        before = text
        text = _unescaped(in_ascii(text))
        if text == before:
            break
    return text


def _unescaped(text: str) -> str:
    if not ("%" in text or "&" in text or "\\" in text or "=" in text) or _ESCAPED.search(text) is None:
        return text
    text = html.unescape(unquote(text, errors="replace"))
    return _PROGRAM.sub(lambda match: chr(int(match.group(1) or match.group(2) or match.group(3), 16)), text)


def in_ascii(text: str) -> str:
    """Return the text with ASCII in place of what looks like it, and without what nobody sees."""
    if text.isascii():
        return text
    composed = unicodedata.normalize("NFKC", typeset_plainly(text))
    if len(composed.encode("utf-8", "surrogatepass")) - len(composed) < len(composed) // _SELDOM:
        return _NOT_ASCII.sub(lambda match: match[0].translate(_ALIKE), composed)
    return composed.translate(_ALIKE)


class _Alike(dict[int, str]):
    """The ASCII that characters look like, found out when one is first met."""

    def __missing__(self, code: int) -> str:
        if len(self) >= _CHARS_CACHED_MAX:
            self.clear()
        found = self[code] = _alike(chr(code))
        return found


_ALIKE = _Alike()


def _alike(char: str) -> str:
    """Return the ASCII that a character looks like or stands for; empty for what nobody sees."""
    if char.isascii():
        return char
    code = ord(char)
    if 0xE0020 <= code <= 0xE007E:  # tags: an invisible copy of ASCII
        return chr(code - 0xE0000)
    known = LOOKS_LIKE.get(code)
    if known is not None:
        return known
    digit = unicodedata.decimal(char, None)
    if digit is not None:
        return str(digit)
    if unicodedata.category(char) in ("Cf", "Mn", "Me") or char in "\u3164\u115f\u1160\u2800":
        return ""
    base = unicodedata.normalize("NFD", char)[0]
    return base if base.isascii() else LOOKS_LIKE.get(ord(base), char)


def _pieces_of(text: str, depth: int) -> Iterator[Reading]:
    length = len(text.strip())
    # INVARIANT: what the first, quick search does not find, the search for whole pieces does not find either.
    if length >= CODE_CHARS_MIN:
        if _CODE.search(text):
            for match in _BASE64.finditer(text):
                yield from _again(_from_base64(match.group()), len(match.group()) == length, depth)
        if _SOME_HEX.search(text):
            for match in _HEX.finditer(text):
                yield from _again(_from_hex(match.group()), len(match.group()) == length, depth)
    if " " in text and (_TWO_SPACED if length < _WINDOW_CHARS else _SOME_SPACED).search(text):
        for match in _SPACED.finditer(text):
            piece = match.group()
            joined = piece.replace(" ", "").replace("\u00a0", "")
            yield Reading(joined, is_whole=len(piece) == length, has_words=False)
    lowered = text.lower()
    if "." in text or "//:" in text:
        for match in islice(_SOME_REVERSED.finditer(lowered), PIECES_MAX):
            piece = _token_around(text, match.start())
            yield Reading(piece[::-1], is_whole=len(piece) == length, has_words=False)
    if length > _SHORT_CHARS_MAX or _SOME_SPELLED.search(lowered):
        yield from _spelled(text, lowered)


def _places(text: str, signs: tuple[str, ...]) -> list[int]:
    """Return where any of the signs begins, in order; of each, at most `PIECES_MAX` places."""
    places: list[int] = []
    for sign in signs:
        place = text.find(sign)
        count = 0
        while place >= 0 and count < PIECES_MAX:
            places.append(place)
            count += 1
            place = text.find(sign, place + 1)
    places.sort()
    return places


def _again(decoded: str, is_whole: bool, depth: int) -> Iterator[Reading]:
    if not decoded:
        return
    plain = undisguised(decoded)
    yield Reading(plain, is_whole)
    if depth > 1:
        for inner in _pieces_of(plain, depth - 1):
            yield inner._replace(is_whole=is_whole and inner.is_whole)


def _token_around(text: str, place: int) -> str:
    left = _TO_THE_LEFT.match(text[max(0, place - _WINDOW_CHARS) : place][::-1])
    right = _TO_THE_RIGHT.match(text, place)
    return (left.group()[::-1] if left else "") + (right.group() if right else "")


def _spelled(text: str, lowered: str) -> Iterator[Reading]:
    places = _places(lowered, _SPELLED)
    places += [match.start() for match in islice(_AT_HOST.finditer(lowered), PIECES_MAX)]
    end = 0
    for place in sorted(places):
        if place < end:
            continue
        start, end = max(end, place - _WINDOW_CHARS), min(len(text), place + _WINDOW_CHARS)
        if start:
            start = text.find(" ", start, place) + 1 or place
        if end < len(text):
            end = max(text.rfind(" ", place, end), place + 1)
        window = text[start:end]
        signs = _SIGN.sub(lambda sign: _SIGN_WORDS[(sign.group(1) or sign.group(2)).lower()], window)
        if signs != window:
            yield Reading(signs, is_whole=len(window.strip()) == len(text.strip()), has_words=False)


def _from_base64(piece: str) -> str:
    bare = piece.rstrip("=")
    if bare.islower() or bare.isdigit() or len(bare) % 4 == 1:
        return ""
    padded = bare.replace("-", "+").replace("_", "/") + "=" * (-len(bare) % 4)
    try:
        return _printable(base64.b64decode(padded, validate=True))
    except binascii.Error:
        return ""


def _from_hex(piece: str) -> str:
    try:
        return _printable(bytes.fromhex(piece.replace(":", "")))
    except ValueError:
        return ""


def _printable(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return ""
    if len(text) < _PIECE_CHARS_MIN or sum(map(str.isprintable, text)) < _PRINTABLE_SHARE * len(text):
        return ""
    return text
