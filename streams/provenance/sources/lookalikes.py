"""Hosts that look like another one that the session knows: `n0rthlight.example` beside `northlight.example`.

**Idea.** A forged invoice comes from an address that differs by one slip from the right one, so that nobody who is
asked sees it. A gate keeps digests and can't compare spellings, but it has the hosts of a call in clear: so it makes
the hosts that differ from one of these by one slip, and looks whether one of them was seen. A slip is two signs
exchanged, one too many, one that should stand twice, or one that looks like another. Letters of other alphabets are
replaced all together, and then a slip may come to it. Digits that stand for letters may be several. A hyphen between
letters is one sign too many or too few, and with it the end may be one that is taken for `com`, `net` or `org`: nobody
looks at `north-peak.co` for long who knows `northpeak.com`.

The domain that says whose a host is comes first, so that labels in front of it can't use up the lookups. What the
bounds leave out counts as not compared (`Seen.NOT_COMPARED`).

Rejected: any end of a name instead of another, as a firm may have both `.com` and `.de`. Any letter that is missing or
another one: that needs hundreds of lookups, and finds names that have nothing in common. Digits that are exchanged or
left out: `eu1` and `eu12` are both right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from streams.provenance.atoms.addresses import host_of_url, host_value, is_host
from streams.provenance.atoms.found import AtomKind, Found
from streams.provenance.atoms.ids_and_files import FILE_TYPES
from streams.provenance.atoms.mail_hosts import PUBLIC_MAIL_HOSTS
from streams.provenance.atoms.shapes import shapes_in
from streams.provenance.contents.readings import in_ascii
from streams.provenance.sources.memory import Entry, Seen

LABEL_CHARS_MIN = 5
"""Shorter names are alike by chance."""
HOST_LOOKUPS_MAX = 1_024
"""Lookups for one host. Those of the two shortest domains that it belongs to are never more."""
CALL_LOOKUPS_MAX = 10_240
"""Lookups for the hosts of one call: about twice what as many usual addresses take as a call has values."""

_ALIKE = (("0", "o"), ("1", "l"), ("1", "i"), ("l", "i"), ("5", "s"), ("rn", "m"), ("vv", "w"), ("cl", "d"))
"""Signs that look like others."""
_ENDS_ALIKE = {"co": "com", "com": "co", "cm": "com", "om": "com", "con": "com", "ne": "net", "og": "org"}
"""Ends of names that are taken for others."""
_LETTERS_OF_DIGITS = tuple(str.maketrans({"0": "o", "1": one, "5": "s"}) for one in "li")
_FULL_STOPS = str.maketrans("\u3002\uff61", "..")
"""Signs that names of hosts may have for a full stop (UTS 46)."""
# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_HOST, _ADDRESS, _URL = AtomKind.HOST, AtomKind.ADDRESS, AtomKind.URL
HOSTED = frozenset((_HOST, _ADDRESS, _URL))
"""The kinds of values that have a host."""
_FRONT_HOST = re.compile(r"(?:[a-z][a-z0-9+.-]{1,15}:[/\\]{0,3}|[/\\]{2})([^/\\?#\s]{1,300})", re.IGNORECASE)
"""A host behind slashes or a scheme alone, which many programs take for a URL."""
_INNER_HOST = re.compile(r"(?<![\w.-])[\w-]++(?:\.[\w-]++)*\.([^\W\d_]{2,24}|xn--[a-z0-9-]{2,59})(?![\w-])")


class Comparison:
    """Compares the hosts of one call with those that the session has seen.

    Args:
        look: finds what the session has seen.
        is_full: whether the session had no room for some of what it has seen. Then a host that looks like nothing may
            look like one of those.
        subject: the session's subject. If it is an address, its host is known without having been seen.
    """

    def __init__(
        self, look: Callable[[AtomKind, str], Entry | None], *, is_full: bool = False, subject: str = ""
    ) -> None:
        self._look = look
        self._own = host_value(subject.rpartition("@")[2]) if "@" in subject else ""
        self._unlike = Seen.NOT_COMPARED if is_full else 0
        self._left = CALL_LOOKUPS_MAX
        self._compared: dict[str, int] = {}

    def of(self, founds: Iterable[Found]) -> int:
        """Return what the hosts of a value look like: `Seen.ALIKE`, `ALIKE_KNOWN`, `NOT_COMPARED`, or a set of them.

        Args:
            founds: the kinds and canonical forms of the value, and of what is inside of it.
        """
        flags = 0
        for host in dict.fromkeys(host for found in founds for host in _hosts_in(found)):
            if host not in self._compared:
                self._compared[host] = self._of_host(host)
            flags |= self._compared[host]
            if flags & Seen.ALIKE_KNOWN:
                break
        return flags

    def _of_host(self, host: str) -> int:
        if self._left <= 0:
            return Seen.NOT_COMPARED
        self._left -= 1
        if self._is_known(host):
            return 0
        bound = max(0, self._left - HOST_LOOKUPS_MAX)
        flags = 0
        for other in lookalikes(host):
            flags |= self._unlike
            if self._left <= bound:
                return flags | Seen.NOT_COMPARED
            self._left -= 1
            if other == self._own:
                return flags | Seen.ALIKE | Seen.ALIKE_KNOWN
            entry = self._look(_HOST, other)
            if entry is None:
                continue
            flags |= Seen.ALIKE
            # INVARIANT: others can only add flags, and none of those that they can add makes the right host less known.
            if entry.flags & (Seen.USER | Seen.TRUSTED):
                return flags | Seen.ALIKE_KNOWN
        return flags

    def _is_known(self, host: str) -> bool:
        """Return whether a host is the user's, or from data that only the operator's systems write."""
        # Whoever names a host with its port knows the host, and the other way round.
        name = host.partition(":")[0]
        if name == self._own:
            return True
        for each in (host, name) if name != host else (host,):
            entry = self._look(_HOST, each)
            if entry is not None and _is_clear(entry.flags):
                return True
        return False


def _is_clear(flags: int) -> bool:
    return bool(flags & Seen.USER or (flags & Seen.TRUSTED and not flags & Seen.WRITTEN))


def hosts_written_otherwise(text: str) -> Iterator[Found]:
    """Yield what programs may take for hosts in a text: `//host/`, `ftp:host`, and names with other full stops."""
    front = _FRONT_HOST.match(text)
    if front is not None and is_host(name := front.group(1).rpartition("@")[2]):
        yield Found(_HOST, host_value(name))
    plain = text.translate(_FULL_STOPS)
    if plain != text:
        yield from (Found(shape.kind, shape.value) for shape in shapes_in(plain, loose=True)[0])


def lookalikes(host: str) -> Iterator[str]:
    """Yield the hosts that look like a host, or like a domain above it, the shortest domains first.

    The last label, such as `de`, stays as it is, unless it is in another alphabet or easily taken for another. With a
    port, those without it come as well.
    """
    name, sign, port = host.partition(":")
    for other in _alike_names(name):
        yield other
        if sign:
            yield f"{other}:{port}"


def _alike_names(name: str) -> Iterator[str]:
    plain = name if name.isascii() else in_ascii(name).casefold().translate(_FULL_STOPS).strip(".")
    if plain != name:
        yield from _replaced_domains(name, plain)
    yield from _with_other_end(plain)
    for letters in _LETTERS_OF_DIGITS:
        yield from _replaced_domains(plain, ".".join(_with_letters(label, letters) for label in plain.split(".")))
    for each in dict.fromkeys((plain, name)):
        yield from _slipped(each)


def _with_other_end(name: str) -> Iterator[str]:
    """Yield a host, and its domain, with another end; the domain also without its hyphens."""
    front, _, end = name.rpartition(".")
    above, _, label = front.rpartition(".")
    other = _ENDS_ALIKE.get(end)
    if other is None or len(label) < LABEL_CHARS_MIN:
        return
    yield from (f"{each}.{other}" for each in dict.fromkeys((label, label.replace("-", ""))))
    if above:
        yield f"{front}.{other}"


def _with_letters(label: str, letters: dict[int, str]) -> str:
    return label.translate(letters) if len(label) >= LABEL_CHARS_MIN else label


def _replaced_domains(name: str, other: str) -> Iterator[str]:
    """Yield another form of a host, and the domains above it, as long as they differ from those of the host."""
    own, labels = name.split("."), other.split(".")
    for first in range(max(1, len(labels) - 1)):
        domain = labels[first:]
        if own[first - len(labels) :] != domain:
            yield ".".join(domain)


def _slipped(name: str) -> Iterator[str]:
    """Yield a host, and the domains above it, with one slip in one of their labels."""
    labels = name.split(".")
    # A name without a dot, such as that of a bucket, is compared itself.
    last = max(1, len(labels) - 1)
    slips = [_slips_of(label) for label in labels[:last]]
    for first in _firsts(last):
        for place in range(last - 1, first - 1, -1):
            before, after = labels[first:place], labels[place + 1 :]
            yield from (".".join((*before, slip, *after)) for slip in slips[place])


def _firsts(last: int) -> Iterator[int]:
    """Yield where the domains of a host begin: the two shortest ones, all of the host, and those between."""
    shortest = range(last - 1, max(-1, last - 3), -1)
    yield from shortest
    if 0 not in shortest:
        yield 0
    yield from range(last - 3, 0, -1)


def _slips_of(label: str) -> list[str]:
    if len(label) < LABEL_CHARS_MIN:
        return []
    return [slip for slip in dict.fromkeys(_slips(label)) if slip != label]


def _hosts_in(found: Found) -> Iterator[str]:
    """Yield the hosts of an address, also those that stand in its path or its query; none of any other value."""
    kind, value = found.kind, found.value
    if kind is _HOST:
        # `models.py` is a file beside `model.py`. In an address of a mailbox or behind a scheme it would be a host.
        if value.rpartition(".")[2] not in FILE_TYPES:
            yield value
    elif kind is _ADDRESS:
        host = value.rpartition("@")[2]
        # Somebody's mailbox there is no forgery of another's at a host that was registered to look like it.
        if host not in PUBLIC_MAIL_HOSTS:
            yield host
    elif kind is _URL:
        yield host_of_url(value)
        for match in _INNER_HOST.finditer(value):
            if match.group(1) not in FILE_TYPES:
                yield host_value(match.group())


def _slips(label: str) -> Iterator[str]:
    for index, sign in enumerate(label):
        before, after = label[:index], label[index + 1 :]
        following = after[:1]
        if following and following != sign and not (sign.isdigit() and following.isdigit()):
            yield f"{before}{following}{sign}{after[1:]}"
        if sign.isalpha() and before[-1:].isalpha():
            yield f"{before}-{sign}{after}"
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
