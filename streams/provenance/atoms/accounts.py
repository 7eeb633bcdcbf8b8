"""Numbers of bank accounts as people write them: in groups, whose last one can be a single sign."""

from __future__ import annotations

import re

_LENGTHS = (
    "ad24 ae24 al28 at20 az28 ba20 be16 bg22 bh22 bi27 br29 by28 ch21 cr22 cy28 cz24 de22 dj27 dk18 do28 ee20 eg29 "
    "es24 fi18 fk18 fo18 fr27 gb22 ge22 gi23 gl18 gr27 gt28 hr21 hu28 ie22 il23 iq23 is26 it27 jo30 kw30 kz20 lb28 "
    "lc32 li21 lt20 lu20 lv21 ly25 mc27 md24 me22 mk19 mn20 mr27 mt31 mu30 ni28 nl18 no15 om23 pk24 pl28 ps29 pt25 "
    "qa29 ro24 rs22 ru33 sa24 sc31 sd18 se24 si19 sk24 sm27 so23 st25 sv28 tl23 tn24 tr26 ua29 va22 vg24 xk20 ye30"
)
_IBANS: dict[str, re.Pattern[str]] = {
    each[:2]: re.compile(rf"[a-z]{{2}}\d\d(?:[ -]?[a-z0-9]){{{int(each[2:]) - 4}}}(?!\w)", re.IGNORECASE | re.ASCII)
    for each in _LENGTHS.split()
}
"""The form of an IBAN by its country, from the registry of ISO 13616: how long it is tells where it ends."""
_GROUP = re.compile(r"[^ -]+")
_BANK_LETTERS = 4
_REMAINDER = 1


def iban_end(text: str, start: int) -> int:
    """Return where the IBAN ends that begins at a place; 0 if none begins there.

    What follows does not belong to it: in "DE89 3704 0044 0532 0130 00 12 euros", the length of the country says so.

    Args:
        text: the text.
        start: where a token begins.
    """
    form = _IBANS.get(text[start : start + 2].lower())
    match = None if form is None else form.match(text, start)
    if match is None:
        return 0
    groups = _GROUP.findall(match.group())
    return match.end() if all(map(_is_group, groups)) or _is_valid("".join(groups)) else 0


def _is_group(group: str) -> bool:
    """Return whether a group can be one of an IBAN by itself: it has a digit, or is the short name of a bank."""
    return any(map(str.isdigit, group)) or (len(group) == _BANK_LETTERS and group.isupper())


def _is_valid(iban: str) -> bool:
    """Return whether the check digits are right (ISO 7064, MOD 97-10)."""
    return int("".join(str(int(sign, 36)) for sign in iban[4:] + iban[:4])) % 97 == _REMAINDER
