"""Values that people write in groups, and programs without: postcodes, phone numbers, names with letters like `ü`.

Only what the user says is read in this way. What he has typed is his, however the call writes it; to join pieces of
what others write would find values that nobody has written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

GROUPS_MAX = 64
"""How many runs of groups of one message are looked at."""
_RUN_GROUPS_MAX = 6
_JOINED_CHARS_MIN = 5
_JOINED_CHARS_MAX = 16
_GROUP = r"[0-9A-Z]{1,6}(?:-[0-9A-Z]{1,6}){0,2}"
_RUN = re.compile(rf"(?<![\w-]){_GROUP}(?:(?: | ?/ ?| - ){_GROUP}){{0,{_RUN_GROUPS_MAX - 1}}}(?![\w-])", re.ASCII)
"""Groups of capitals and digits in a row: "SW1A 1AA", "1016 GV", "040 / 555 0177", "4150-001"."""
_BETWEEN = re.compile(r"[ /]+(?:- )?|- ")
_COUNTRY_BEFORE = re.compile(r"[A-Z]{1,3}-(?=\d{4,6}\Z)")
"""The sign of a country before a postcode: "D-10115"."""
_LETTERS_APART = {
    "ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss", "ø": "o", "Ø": "O", "æ": "ae",
    "Æ": "Ae", "å": "aa", "Å": "Aa", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "þ": "th", "Þ": "Th", "œ": "oe",
}  # fmt: skip
_IN_ASCII = str.maketrans(_LETTERS_APART)


def joined_groups(text: str) -> Iterator[str]:
    """Yield what groups of capitals and digits make together, without what stands between them, and each once.

    Every part of a run is a value as well: in "Unit 12, 4150-001", the number of the house stands before the postcode.
    """
    seen: set[str] = set()
    for count, run in enumerate(_RUN.finditer(text)):
        if count >= GROUPS_MAX:
            return
        groups = _BETWEEN.split(run.group())
        for first in range(len(groups)):
            for last in range(first + 1, len(groups) + 1):
                for joined in _readings(groups[first:last]):
                    if joined not in seen:
                        seen.add(joined)
                        yield joined


def _readings(groups: list[str]) -> Iterator[str]:
    if len(groups) == 1:
        if "-" not in groups[0]:
            return  # It is found as it is.
        bare = _COUNTRY_BEFORE.sub("", groups[0])
        if bare != groups[0]:
            yield bare
    joined = "".join(groups).replace("-", "")
    is_code = any(map(str.isdigit, joined))
    if is_code and _JOINED_CHARS_MIN <= len(joined) <= _JOINED_CHARS_MAX:
        yield joined


def in_ascii_letters(text: str) -> str:
    """Return the text as it is written where a keyboard lacks its letters: `Juergen Gross` for `Jürgen Groß`."""
    return text if text.isascii() else text.translate(_IN_ASCII)
