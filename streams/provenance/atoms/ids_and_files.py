"""Ids, paths and names of files: their canonical forms, and how they are told from words and hosts.

An id has letters and digits; a path begins like one, or ends in the name of a file.
"""

from __future__ import annotations

import re

import msgspec

from streams.provenance.atoms.addresses import host_value, is_host
from streams.provenance.atoms.found import AtomKind, Shape
from streams.provenance.words import listed, plain_case, says_enough

replace = msgspec.structs.replace
_PATH = AtomKind.PATH
"""A look at a member of an enumeration costs as much as a call."""
ID_CHARS_MIN = 4
LONG_TOKEN_CHARS_MIN = 20
REVERSED_CHARS_MIN = 7
ACCOUNT_DIGITS_MIN = 8
FILE_AT_END = re.compile(r"(?:^|[/\\])[^/\\]{1,128}\.([a-z0-9]{1,5})\Z")
_IBAN = re.compile(r"[a-z]{2}\d{2}[a-z0-9]{11,30}\Z")
NOT_ALNUM = re.compile(r"[\W_]+")
DIGIT = re.compile(r"\d")
_REVERSIBLE = frozenset((AtomKind.ACCOUNT, AtomKind.ID, AtomKind.TOKEN))
FILE_TYPES = listed(
    "7z avi bak bat bin bmp c cfg conf cpp css csv dat db doc docx eml env exe gif go gz h htm html ico ics ini "
    "ipynb iso jar java jpeg jpg js json jsx key lock log md mov mp3 mp4 msg odp ods odt pdf pem php png ppt "
    "pptx ps1 py rar rb rs rst rtf sh sql sqlite svg tar tex tgz tif toml ts tsv tsx txt wav webp xls xlsx xml "
    "yaml yml zip"
)
_ALSO_DOMAINS = listed("md mov ps1 py rs sh zip")
_LINE_OF_SOURCE = re.compile(
    r"[\w-]{1,64}\.(?:c|cpp|css|go|h|java|js|jsx|php|py|rb|sql|tex|ts|tsx|yaml|yml):\d{1,5}(?::\d{1,4})?\Z",
    re.IGNORECASE,
)
"""A line of a source file, as logs name it: `worker.py:88`. None of these is a host: in Paraguay, names have one more
label before their `.py`."""


def append_path(value: str, first: int, last: int, found: list[Shape]) -> None:
    """Append a path, and the last name in it."""
    found.append(Shape(_PATH, value, first, last))
    name = value.rpartition("/")[2]
    if len(name) >= ID_CHARS_MIN and name != value:
        found.append(Shape(_PATH, name, first, last, part=True))


def path_value(path: str) -> str:
    """Return the canonical form of a path: slashes, one case, without `./` before it or a slash after it."""
    value = plain_case(path).replace("\\", "/")
    while value.startswith("./"):
        value = value[2:]
    return value.rstrip("/")


def append_dotted(token: str, start: int, found: list[Shape]) -> bool:
    """Append what a token with a dot in it is: a file, a host, or nothing if it is a line of source. Return whether
    it is one of these."""
    if ":" in token and _LINE_OF_SOURCE.match(token) is not None:
        return True
    extension = token.rpartition(".")[2].lower()
    end = start + len(token)
    if extension in FILE_TYPES:
        found.append(Shape(AtomKind.PATH, path_value(token), start, end))
        if extension in _ALSO_DOMAINS:
            found.append(Shape(AtomKind.HOST, host_value(token), start, end))
        return True
    if is_host(token):
        found.append(Shape(AtomKind.HOST, host_value(token), start, end))
        return True
    return False


def append_id(token: str, start: int, found: list[Shape]) -> None:
    """Append the id, account or key that a token is, if it is one."""
    value = NOT_ALNUM.sub("", plain_case(token))
    # "The mp3s are here" names no id.
    if not says_enough(value) or not DIGIT.search(value) or value.isdigit() or value.removesuffix("s") in FILE_TYPES:
        return
    if _IBAN.match(value) and has_digits(value, ACCOUNT_DIGITS_MIN):
        kind = AtomKind.ACCOUNT
    else:
        kind = AtomKind.TOKEN if len(value) >= LONG_TOKEN_CHARS_MIN else AtomKind.ID
    found.append(Shape(kind, value, start, start + len(token)))


def backwards(shape: Shape) -> Shape | None:
    """Return what an id, an account or a key is if it is read backwards; None for other values and for short ones.

    An address or a URL shows that it is reversed; of these, only the text around them can say so.
    """
    if shape.kind not in _REVERSIBLE or len(shape.value) < REVERSED_CHARS_MIN:
        return None
    value = shape.value[::-1]
    if value.isdigit():
        return replace(shape, value=value) if shape.kind is AtomKind.ACCOUNT else None
    found: list[Shape] = []
    append_id(value, shape.start, found)
    return replace(found[0], end=shape.end) if found else None


def has_digits(text: str, count: int) -> bool:
    """Return whether a text has that many digits."""
    return len(DIGIT.findall(text)) >= count
