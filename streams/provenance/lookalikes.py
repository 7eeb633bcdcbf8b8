"""Hosts that look like another one that the session knows: `n0rthlight.example` beside `northlight.example`.

**Idea.** A forged invoice comes from an address that differs by one slip from the right one, so that nobody who is
asked sees it. A gate keeps digests and can't compare spellings, but it has the host of a call in clear: so it makes the
hosts that differ from that by one slip, and looks whether one of them was seen. A slip is two signs exchanged, one too
many, one that should stand twice, or one that looks like another.

Rejected: any letter that is missing or another one. That needs hundreds of lookups, and finds names that have nothing
in common. Digits that are exchanged or left out: `eu1` and `eu12` are both right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from streams.provenance.found import AtomKind, Found
from streams.provenance.memory import Entry, Seen

LABEL_CHARS_MIN = 5
"""Shorter names are alike by chance."""
HOSTS_MAX = 192
"""Lookups for one value. Those of the labels at the end, which say whose the host is, come first."""
LEVELS_MAX = 3
"""How many domains above a host are compared as well."""

_ALIKE = (("0", "o"), ("1", "l"), ("1", "i"), ("l", "i"), ("5", "s"), ("rn", "m"), ("vv", "w"), ("cl", "d"))
"""Signs that look like others."""
_HOST_END = re.compile(r"[/?#:]")


def lookalike_flags(founds: Iterable[Found], look: Callable[[AtomKind, str], Entry | None]) -> int:
    """Return where a host was seen that looks like that of a value: a set of `Seen`, empty if none was.

    Args:
        founds: the kinds and canonical forms of the value. Only addresses of mailboxes and of the network have a host.
        look: finds what the session has seen.
    """
    flags = 0
    for host in dict.fromkeys(filter(None, map(_host_of, founds))):
        own = look(AtomKind.HOST, host)
        if own is not None and is_known(own.flags):
            continue
        for other in islice(lookalikes(host), HOSTS_MAX):
            entry = look(AtomKind.HOST, other)
            if entry is not None:
                flags |= entry.flags
    return flags & (Seen.USER | Seen.TRUSTED | Seen.FIELD | Seen.TEXT | Seen.WRITTEN)


def is_known(flags: int) -> bool:
    """Return whether a host is the user's, or from data that only the operator's systems write."""
    return bool(flags & Seen.USER or (flags & Seen.TRUSTED and not flags & Seen.WRITTEN))


def lookalikes(host: str) -> Iterator[str]:
    """Yield the hosts that differ from a host, or from a domain above it, by one slip in one of their labels.

    The last label, such as `com`, stays as it is.
    """
    labels = host.split(".")
    for place in range(len(labels) - 2, -1, -1):
        if len(labels[place]) < LABEL_CHARS_MIN:
            continue
        slips = dict.fromkeys(_slips(labels[place]))
        for first in range(place, max(-1, place - LEVELS_MAX - 1), -1):
            head, tail = labels[first:place], labels[place + 1 :]
            yield from (".".join((*head, slip, *tail)) for slip in slips if slip != labels[place])


def _host_of(found: Found) -> str:
    """Return the host of an address; empty for any other value."""
    if found.kind is AtomKind.ADDRESS:
        return found.value.rpartition("@")[2]
    return _HOST_END.split(found.value, maxsplit=1)[0] if found.kind in (AtomKind.URL, AtomKind.HOST) else ""


def _slips(label: str) -> Iterator[str]:
    for index, sign in enumerate(label):
        before, after = label[:index], label[index + 1 :]
        following = after[:1]
        if following and following != sign and not (sign.isdigit() and following.isdigit()):
            yield f"{before}{following}{sign}{after[1:]}"
        if not sign.isdigit():
            yield before + after
            yield f"{before}{sign}{sign}{after}"
    for one, other in _ALIKE:
        yield from _replaced(label, one, other)
        yield from _replaced(label, other, one)


def _replaced(label: str, wrong: str, right: str) -> Iterator[str]:
    """Yield a label with a sign replaced in each of its places, and in all of them together."""
    place = label.find(wrong)
    while place >= 0:
        yield label[:place] + right + label[place + len(wrong) :]
        place = label.find(wrong, place + 1)
    if label.count(wrong) > 1:
        yield label.replace(wrong, right)
