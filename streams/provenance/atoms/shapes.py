"""Values that have the shape of a machine's: where they are in a text, and their canonical forms.

The idea: such a value holds a digit, `@`, a slash, or a dot or colon inside a word. One search for these finds the
places; around each, the characters up to the next space or bracket are a token, which is classified. Everything after
that is bounded by `TOKEN_CHARS_MAX`, so the time is linear in the text. One expression for each kind, searched over the
whole text, was rejected: that is a pass for each kind, and an unbounded local part before an `@` makes it quadratic.

The kind follows from the canonical value alone, not from its spelling, so that `DE89 3704` in a mail and `de893704` in
an argument are the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from streams.provenance.atoms.accounts import iban_end
from streams.provenance.atoms.addresses import host_value, is_host, url_parts
from streams.provenance.atoms.found import AtomKind, Numeric, Shape
from streams.provenance.atoms.ids_and_files import (
    ACCOUNT_DIGITS_MIN,
    DIGIT,
    FILE_AT_END,
    FILE_TYPES,
    ID_CHARS_MIN,
    NOT_ALNUM,
    append_dotted,
    append_id,
    append_path,
    has_digits,
    path_value,
)
from streams.provenance.atoms.numbers import numeric_at
from streams.provenance.atoms.run_on import name_before_sentence
from streams.provenance.atoms.usual_forms import shapes_of_usual, usual_path, usual_value
from streams.provenance.words import plain_case

TOKEN_CHARS_MAX = 2_048
SHAPES_MAX = 8_192
"""How many values of one text are found; what comes after is not read."""
TAKEN_SHAPES = 256
"""How many values of a text are given away at a time."""
HITS_MAX = 65_536
"""How many places of one text are looked at."""
_ADDRESSES_MAX = 64
"""How many signs of an address are looked at in one token."""
_LEFT_CHARS_MAX = 256
_OFTEN_LEFT_CHARS_MAX = 32
LOCAL_PART_CHARS_MAX = 64
_SURE_SIGNS = r"0-9@/\\$€£¥₹"
# Each begins with one set of signs, which is found three times as fast as one of two sets.
_HIT = re.compile(rf"[{_SURE_SIGNS}.:](?:(?<![.:])|(?=\w))")
_BORDER = r"\s\"'<>()\[\]{},;|`\u201c\u201d\u2018\u2019\u00ab\u00bb"
_HIT_BESIDE_ESCAPES = re.compile(
    rf"[0-9@/\\$.:~](?:(?<![\\.:~])|(?<=[.:])(?=\w)|(?<=\\)(?!\")|(?<=[.~])(?=[^\\{_BORDER}]{{1,{_LEFT_CHARS_MAX}}}+\\\"))"
)
"""The backslash of an escaped quote, as in JSON inside of a text, does not point to a value. Of what it ends, only a
path that begins with a dot or `~` needs it, and is found by that."""
_IS_BORDER = re.compile(rf"[{_BORDER}]")
_SPACE = b" "
_BORDERS = bytes(ord(_SPACE) if _IS_BORDER.match(chr(code)) else code for code in range(256))
"""With these, the borders of a token are found as quickly as spaces."""
_LEFT = re.compile(rf"[^{_BORDER}]{{0,{_LEFT_CHARS_MAX}}}")
_TOKEN = re.compile(rf"[^{_BORDER}]{{1,{TOKEN_CHARS_MAX}}}")
_NO_SIGN = rf"[^{_BORDER}{_SURE_SIGNS}.:]*+"
_SIGN_IN_TOKEN = re.compile(rf"{_NO_SIGN}(?:[.:](?!\w){_NO_SIGN})*+[{_SURE_SIGNS}.:]")
_URL = re.compile(rf"[^\s\"'<>\[\]{{}}|`]{{1,{TOKEN_CHARS_MAX}}}")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{1,15}\Z", re.IGNORECASE)
_TRAILING = ".:!?*~=-_"
_LEADING = ".:!?*~=_-"
_LOCAL = re.compile(rf"[^\s@:/=?&]{{1,{LOCAL_PART_CHARS_MAX}}}")
_DOMAIN = re.compile(r"(?:[\w-]{1,63}\.){0,8}[\w-]{2,63}")
_SPACED_ACCOUNT = re.compile(
    r"[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z]{4})?(?:[ -]?(?=[A-Za-z]{0,3}\d)[A-Za-z0-9]{2,4}){3,8}"
    # Written in groups of four, some numbers end with a single digit.
    r"(?:(?<=[A-Za-z0-9]{4}) \d)?(?!\w)"
)
_BETWEEN_SLASHES = re.compile(r"[^/\\]+")
_AFTER_DIGITS = re.compile(r"[^\W\d_][\w-]*\Z")
"""What follows the digits in an id that begins with some: `7KD204`, `1234AB`."""
_JOINS = frozenset("-_")


def shapes_in(
    text: str,
    *,
    field: str = "",
    loose: bool = False,
    is_ordered_at: Callable[[int], int] | None = None,
    take: Callable[[list[Shape]], bool] | None = None,
) -> tuple[list[Shape], bool]:
    """Return the values of a text in their order, and whether these are all.

    Args:
        text: the text.
        field: the name of the field that holds it, which says what a number alone names.
        loose: whether every number is an amount, too: in arguments, and in what the user says.
        is_ordered_at: returns what the instruction at a place calls for, 0 if there is none; None if nowhere is one.
        take: is given all values, some at a time; returns whether that is enough.
    """
    if (usual := usual_value(text)) is not None:
        found = shapes_of_usual(*usual, 0, len(text))
        if take is not None:
            take(found)
        return found, True
    found = []
    if text[:1] == "/" and (path := usual_path(text)) is not None:
        append_path(path, 0, len(text), found)
        if take is not None:
            take(found)
        return found, True
    position = hits = taken = 0
    most = SHAPES_MAX if take is None else TAKEN_SHAPES
    bordered = _with_borders(text)
    search = (_HIT_BESIDE_ESCAPES if '\\"' in text and text.isascii() else _HIT).search
    while hit := search(text, position):
        hits += 1
        if len(found) >= most or hits > HITS_MAX:
            are_all = hits <= HITS_MAX and len(found) < SHAPES_MAX
            if take is not None and len(found) >= most:
                taken, fresh = len(found), found[taken:]
                most = min(taken + TAKEN_SHAPES, SHAPES_MAX)
                are_all = not take(fresh) and are_all
            if not are_all:
                break
        place = hit.start()
        start, end = _token_around(text, bordered, position, place)
        if start == end:
            position = place + 1
            continue
        token = text[start:end]
        _append_name(token, start, found)
        if start < place and _append_usual(token, start, found):
            position = end
        else:
            ordered = is_ordered_at is not None and is_ordered_at(start) != 0
            end = _classify(text, start, end, found, field=field, loose=loose, ordered=ordered)
            position = max(end, place + 1)
    if take is not None:
        take(found[taken:])
    return found, hit is None


def _with_borders(text: str) -> bytes | None:
    """Return a text with spaces in the place of all signs around tokens; None if it is not ASCII."""
    return text.encode().translate(_BORDERS) if text.isascii() else None


def _token_around(text: str, bordered: bytes | None, position: int, place: int) -> tuple[int, int]:
    """Return where the token around a place begins, at `position` or behind it, and where it ends.

    Args:
        text: the text.
        bordered: the same as `_with_borders` returns it.
        position: what is before it has been read.
        place: where a sign of a value is.
    """
    if bordered is None:
        start = place if place == position else _start_of_token(text, position, place)
        match = _TOKEN.match(text, start)
        return start, start if match is None else match.end()
    first = max(position, place - _LEFT_CHARS_MAX)
    start = bordered.rfind(_SPACE, first, place) + 1 or first
    last = min(start + TOKEN_CHARS_MAX, len(bordered))
    end = bordered.find(_SPACE, start, last)
    return start, last if end < 0 else end


def _start_of_token(text: str, position: int, place: int) -> int:
    """Return where the token around a place begins, at `position` or behind it."""
    for count in (_OFTEN_LEFT_CHARS_MAX, _LEFT_CHARS_MAX):
        first = max(position, place - count)
        left = _LEFT.match(text[first:place][::-1])
        if left is not None and (left.end() < count or first == position):
            break
    return place - (left.end() if left else 0)


def _append_name(token: str, start: int, found: list[Shape]) -> None:
    """Append the address, page or file that a sentence follows in a token, without a space between them, if any."""
    # A sentence begins with a capital.
    name = name_before_sentence(token) if "." in token and not token.islower() else ""
    if not name:
        return
    if "/" in name:
        append_url(name, start, found)
    elif "@" in name:
        _classify_address(name, start, start + len(name), found)
    else:
        append_dotted(name, start, found)


def _append_usual(token: str, start: int, found: list[Shape]) -> bool:
    """Append what a token of a usual form holds; return whether it is one. `_classify` finds the same, but later."""
    bare = token.strip(_TRAILING)
    usual = usual_value(bare)
    if usual is None:
        return False
    first = start + token.index(bare)
    found += shapes_of_usual(*usual, first, first + len(bare))
    return True


def may_begin_at(text: str, start: int) -> bool:
    """Return whether a value can begin at a place. If not, all values of the text begin later.

    A value begins in its first token, which holds at least one of the signs that values are found by.
    """
    return _SIGN_IN_TOKEN.match(text, start) is not None


def _classify(text: str, start: int, end: int, found: list[Shape], *, field: str, loose: bool, ordered: bool) -> int:
    """Append the values of the token at `start`, and return where it ends."""
    token = text[start:end]
    if token.isdigit():
        # It is neither an address nor an account.
        numeric = numeric_at(text, start, field=field, loose=loose, ordered=ordered)
        if numeric is not None:
            return _append_number(numeric, text, start, end, end, found)
    scheme = token.find("://")
    if scheme > 0:
        return _classify_url(text, start, start + scheme, found)
    bare = token.strip(_TRAILING)
    first = start + token.index(bare) if bare else start
    if "@" in bare:
        if bare[0] in "/~" or bare[1:3] in (":\\", ":/"):
            _classify_path(token.rstrip(_TRAILING), start, end, found)
        return _classify_address(bare, first, end, found)
    last = _account_end(text, first)
    if last:
        found.append(Shape(AtomKind.ACCOUNT, NOT_ALNUM.sub("", text[first:last]).lower(), first, last))
        return last
    numeric = numeric_at(text, first if token[0] not in "-." else start, field=field, loose=loose, ordered=ordered)
    if numeric is not None:
        return _append_number(numeric, text, first, first + len(bare), end, found)
    if "/" in bare or "\\" in bare:
        if start and text[start - 1] == "<":
            return end  # the tag of a markup language
        return _classify_path(token.rstrip(_TRAILING), start, end, found)
    if "." in bare and append_dotted(bare, first, found):
        return end
    append_id(bare, first, found)
    return end


def _account_end(text: str, first: int) -> int:
    """Return where the number of an account ends that begins with letters and may be in groups; 0 if none does."""
    last = iban_end(text, first)
    if last:
        return last
    account = _SPACED_ACCOUNT.match(text, first)
    return account.end() if account is not None and has_digits(account.group(), ACCOUNT_DIGITS_MIN) else 0


def _append_number(numeric: Numeric, text: str, first: int, last: int, end: int, found: list[Shape]) -> int:
    """Append the number that stands at the front of a token, or the id that all of it is, and return where that ends.

    Args:
        numeric: the number.
        text: the text.
        first: where the token begins, without signs before it.
        last: where it ends, without signs behind it.
        end: the same with them.
        found: what was found so far.
    """
    if numeric.end > first and _AFTER_DIGITS.match(text, numeric.end, last):
        # What ends in letters can be an amount with its unit, too. What ends in digits again has no such reading.
        if not DIGIT.search(text, numeric.end, last):
            _append_numeric(numeric, found)
        append_id(text[first:last], first, found)
        return end
    _append_numeric(numeric, found)
    if text[numeric.end : numeric.end + 1] in _JOINS and first < numeric.end < last:
        # `20417-INV`: a number at the front of an id.
        append_id(text[first:last], first, found)
        return end
    return numeric.end


def _append_numeric(numeric: Numeric, found: list[Shape]) -> None:
    found.extend(Shape(kind, value, numeric.start, numeric.end) for kind, value in numeric.readings)
    found.extend(Shape(kind, value, numeric.start, numeric.end, part=True) for kind, value in numeric.parts)


def _classify_url(text: str, start: int, colon: int, found: list[Shape]) -> int:
    head = _SCHEME.search(text, max(start, colon - 16), colon)
    if head is None:
        return colon + 3
    match = _URL.match(text, head.start())
    if match is None:
        return colon + 3
    url = match.group().rstrip(".,;:!?*~)" if "(" not in match.group() else ".,;:!?*~")
    append_url(url, head.start(), found)
    return head.start() + len(url)


def append_url(url: str, start: int, found: list[Shape]) -> None:
    """Append a URL, its host, and the values of its query."""
    parts = url_parts(url)
    end = start + len(url)
    if parts is None:
        return
    found.append(Shape(AtomKind.URL, parts.value, start, end))
    if parts.host:
        # The front page of a host is what people mean by its name.
        found.append(Shape(AtomKind.HOST, parts.host, start, end, part=parts.value != parts.host))
    if parts.account:
        found.append(Shape(AtomKind.ADDRESS, f"{plain_case(parts.account)}@{parts.host}", start, end, part=True))
    for key, value in parts.query:
        inner = shapes_in(value, field=key)[0] if "://" not in value else []
        if "://" in value:
            nested = url_parts(value)
            if nested is not None and nested.host:
                found.append(Shape(AtomKind.URL, nested.value, start, end, part=True))
                found.append(Shape(AtomKind.HOST, nested.host, start, end, part=True))
        found.extend(Shape(shape.kind, shape.value, start, end, part=True) for shape in inner)
        found.append(Shape(AtomKind.TEXT, value, start, end, part=True))
    if parts.file:
        found.append(Shape(AtomKind.PATH, parts.file, start, end, part=True))


def _classify_address(token: str, start: int, end: int, found: list[Shape]) -> int:
    sign = token.find("@")
    last = start
    for _ in range(_ADDRESSES_MAX):
        if sign < 0:
            return end
        last = start + max(_append_address(token, sign, start, found), sign + 1)
        sign = token.find("@", last - start)
    return last if sign >= 0 else end


def _append_address(token: str, sign: int, start: int, found: list[Shape]) -> int:
    """Append the address around an `@`, and return where it ends in the token."""
    left = _LOCAL.match(token[max(0, sign - LOCAL_PART_CHARS_MAX) : sign][::-1])
    local = "" if left is None else left.group()[::-1].strip(_LEADING)
    right = _DOMAIN.match(token, sign + 1)
    if right is None:
        return sign + 1
    domain = right.group().rstrip(_TRAILING)
    host = host_value(domain)
    first, last = start + sign - len(local), start + sign + 1 + len(domain)
    found.append(Shape(AtomKind.ADDRESS, f"{plain_case(local)}@{host}", first, last))
    if "." in host:
        found.append(Shape(AtomKind.HOST, host, first, last, part=True))
    return right.end()


def _classify_path(token: str, start: int, end: int, found: list[Shape]) -> int:
    if not token.strip("/\\"):
        return end
    head = token.partition("/")[0]
    if "\\" not in token and is_host(head) and head.rpartition(".")[2].lower() not in FILE_TYPES:
        append_url(token, start, found)
        return end
    value = path_value(token)
    is_path = token[:1] in "/~.\\" or FILE_AT_END.search(value) or value.count("/") > 1 or token[1:3] in (":\\", ":/")
    if is_path and len(value) >= ID_CHARS_MIN:
        append_path(value, start, start + len(token), found)
        return end
    if not DIGIT.search(token):
        return end
    for match in _BETWEEN_SLASHES.finditer(token):
        if DIGIT.search(match.group()):
            append_id(match.group(), start + match.start(), found)
    return end
