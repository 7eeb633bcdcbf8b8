"""Where the values of a call come from: the best source of each, and what can be said against it.

**Idea.** Every leaf of the arguments is looked up as a whole, in all the kinds that it can have. The best source wins:
the user, then trusted data, then a whole field of untrusted data, then text, then nowhere. So an attacker who repeats
what the user named wins nothing, and one who names something himself is found. Whether he was found plainly, beside an
instruction or in a record that the user pointed at goes with the value, and rules decide what it means.

A value that is not found as a whole may be composed: if every part of it was named by the user, it is the user's. Parts
of up to `PROVES_NOTHING_CHARS` prove nothing and accuse nobody.

**Rejected.** To look up parts first: parts of an attacker's address occur everywhere (`example`, `com`). To take the
worst source: then a value that the user and a mail both name would be a question, which most are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from streams.model.verdict import ValueOrigin
from streams.provenance.acts import calls
from streams.provenance.atoms.addresses import host_of_url
from streams.provenance.atoms.found import AtomKind, Found
from streams.provenance.sources.memory import Entry, Seen

PROVES_NOTHING_CHARS = 3
SHORT_DIGITS_MAX = 6
"""Digits of such parts together. More of them can be the number of an account that is written in groups."""
COMPOSED_CHARS_MAX = 128
PARTS_MAX = 24
HALF_CHARS_MIN = 4
JOINED_CHARS_MAX = 64
BUILT_ON_MAX = 4
"""Labels of a host, and names of a query, up to which an address can be begun by others."""
SHAPED = frozenset(
    (
        *(AtomKind.ADDRESS, AtomKind.URL, AtomKind.HOST, AtomKind.PHONE, AtomKind.ACCOUNT, AtomKind.PATH),
        *(AtomKind.ID, AtomKind.TOKEN),
    )
)
"""The kinds with the shape of a machine's value, which a person would not make up while writing."""

_UPWARDS = re.compile(r"(^|[/\\])\.\.([/\\]|$)")
"""Leads out of the folder that the user has named, by parts that are too short to prove anything."""
_VALUE_FOLLOWS = re.compile(r"[?&;][^?&;=#]{1,64}=(?=.)")
_PART = re.compile(r"[^\W_]++(?:[.@_-][^\W_]++)*+")
_ASCII_PART = re.compile(r"[A-Za-z0-9]++(?:[.@_-][A-Za-z0-9]++)*+")
"""Finds the same in ASCII, where a sign is looked up in a set instead of asking what it is."""
_WORD = re.compile(r"[^\W_]++")
_ACCOUNT_NAME = re.compile(r"[^\W_]{1,30}(?:[._-][^\W_]{1,30}){1,3}\Z")
"""The name of an account that is made of a person's names."""
replace = msgspec.structs.replace
_DATE = AtomKind.DATE
"""Each look at a member of an enumeration costs as much as a call (ADR 0094)."""
Look = Callable[[AtomKind, str], Entry | None]
"""Looks a value up in what the conversation has shown."""


class Traced(msgspec.Struct, frozen=True, gc=False):
    """Where a value comes from.

    Attributes:
        origin: its best source.
        flags: where else it was seen, a set of `Seen`.
        entry: what was found of it, which says in which event; None if nothing was.
        calls_for: what instructions of others beside it call for, a set of bits of `streams.provenance.acts.calls`.
    """

    origin: ValueOrigin
    flags: int = 0
    entry: Entry | None = None
    calls_for: int = 0

    @property
    def is_instructed(self) -> bool:
        """Whether others have named it beside an instruction."""
        return bool(self.flags & Seen.INSTRUCTED)

    @property
    def is_decoded(self) -> bool:
        """Whether others have named it in disguise only."""
        return bool(self.flags & Seen.TEXT) and not self.flags & Seen.PLAIN


NOWHERE = Traced(ValueOrigin.NOWHERE)
UNKNOWN = Traced(ValueOrigin.TEXT, Seen.TEXT | Seen.PLAIN | Seen.NAMED | Seen.INSTRUCTED, None, calls.UNKNOWN)
"""What is not found where not everything was kept: it may have been in what is missing."""
AWAITED = Traced(ValueOrigin.TEXT, Seen.TEXT | Seen.PLAIN | Seen.NAMED)
"""What is not found while the result of a call has not been reported, or where words are missing: it may be in that."""


def trace(wholes: Sequence[Found], look: Look) -> Traced:
    """Return the best source of a value that was found under one or several kinds.

    Args:
        wholes: the kinds and canonical forms of the value.
        look: finds them.
    """
    if len(wholes) == 1:
        # As `seen_in`, without a call: most values of a call come through here.
        found = wholes[0]
        entry = look(found.kind, found.value)
        if found.kind is _DATE:
            return _dated(found.value, seen_in(entry), look)
        if entry is None:
            return NOWHERE
        flags = entry[1]
        return Traced(_ORIGIN_OF[flags & _RANKED], flags, entry, entry[4])
    flags, calls_for, best, rank = 0, 0, None, -1
    for found in wholes:
        entry = look(found.kind, found.value)
        if entry is None:
            continue
        flags |= entry.flags
        calls_for |= entry.calls_for
        own_rank = _rank(entry.flags)
        if own_rank > rank:
            best, rank = entry, own_rank
    return NOWHERE if best is None else Traced(_ORIGINS[rank], flags, best, calls_for)


def _dated(date: str, seen: Traced, look: Look) -> Traced:
    """Return where a date comes from, which people say without its year, and apart from the time of day.

    It is the user's if he has said all of its parts, and no instruction names it as a whole. It is from text if only
    that names its day.

    Args:
        date: in canonical form, with its year and perhaps with a time.
        seen: where it was seen as a whole.
        look: finds its parts.
    """
    if not date[0].isdigit() or seen.origin is ValueOrigin.USER or seen.is_instructed:
        return seen
    time = date.partition("T")[2]
    if is_hour_said(date, look) and any(each.origin is ValueOrigin.USER for each in _days_of(date, look)):
        return replace(seen, origin=ValueOrigin.USER)
    # The user's own hour makes no other source of the day.
    is_bare = time and seen.entry is None and may_be_ordered(date, look)
    day = seen_in(look(_DATE, date.partition("T")[0])) if is_bare else NOWHERE
    return day if day.origin is ValueOrigin.TEXT else seen


def day_ordered(founds: Iterable[Found], look: Look) -> Traced:
    """Return what is known of a date that nothing names as a whole: an order may call for its day or for its time.

    "Make it the 14th" leaves the time of day as it is. An order for a time changes only what the user wants on a day
    that he has named: times of day are alike everywhere. A part alone shows no source.
    """
    for found in founds:
        if found.kind is _DATE and found.value[0].isdigit():
            parts = _days_of(found.value, look)
            if any(each.origin is ValueOrigin.USER for each in parts):
                parts = [_hour_of(found.value, look)]
            elif not may_be_ordered(found.value, look):
                continue
            for seen in parts:
                if seen.is_instructed and seen.origin is not ValueOrigin.USER:
                    return Traced(ValueOrigin.NOWHERE, Seen.INSTRUCTED, None, seen.calls_for)
    return NOWHERE


def may_be_ordered(date: str, look: Look) -> bool:
    """Return whether only the day of a date can be others': it has no hour, or one that is the user's or in an order.

    Any other hour belongs to its day: "the regatta is on 12 April at nine", and another sentence tells readers to do
    something.
    """
    hour = _hour_of(date, look)
    return "T" not in date or hour.is_instructed or hour.origin is ValueOrigin.USER


def _hour_of(date: str, look: Look) -> Traced:
    """Return where the time of day of a date was seen; nowhere if it has none."""
    time = date.partition("T")[2]
    return seen_in(look(_DATE, f"T{time}")) if time else NOWHERE


def is_hour_said(date: str, look: Look) -> bool:
    """Return whether a date has no time of day, or one that the user has named."""
    return "T" not in date or _hour_of(date, look).origin is ValueOrigin.USER


def is_day_said(date: str, look: Look) -> bool:
    """Return whether the user has named the day of a date."""
    return any(each.origin is ValueOrigin.USER for each in _days_of(date, look))


def _days_of(date: str, look: Look) -> list[Traced]:
    """Return where the day of a date was seen, with its year if the date has a time, and without it."""
    day, sign, _ = date.partition("T")
    short = f"-{day[4:]}"
    return [seen_in(look(_DATE, each)) for each in ((day, short) if sign else (short,))]


def seen_in(entry: Entry | None) -> Traced:
    """Return where a value with one reading comes from.

    Args:
        entry: what was found of it; None if nothing was.
    """
    if entry is None:
        return NOWHERE
    _, flags, _, _, calls_for = entry
    return Traced(_ORIGIN_OF[flags & _RANKED], flags, entry, calls_for)


def unnamed(seen: Traced) -> Traced:
    """Return where a value comes from that the user has named only to leave it out."""
    flags = seen.flags & ~Seen.USER
    is_seen = flags & (Seen.TRUSTED | Seen.FIELD | Seen.TEXT)
    return replace(seen, origin=_ORIGIN_OF[flags & _RANKED] if is_seen else ValueOrigin.NOWHERE, flags=flags)


def is_composed(text: str, is_named: Callable[[str], bool], *, is_accused: bool = False, is_read: bool = False) -> bool:
    """Return whether a value consists of parts that the user named, and of nothing else that says anything.

    Args:
        text: the value.
        is_named: returns whether the user has named a part.
        is_accused: whether others have named all of it beside an instruction. Then a short word says something, too:
            who books for Emeka Okafor has not named the `Max Okafor` of a web page.
        is_read: whether it only says what is read, and not where something goes. Then who speaks of Carl has named
            `carl.b`, too.
    """
    if len(text) > COMPOSED_CHARS_MAX or (".." in text and _UPWARDS.search(text)):
        return False
    short = ""
    # Not `set[str]()`: to make that type costs more than to look for a part.
    parts: set[str] = set()
    splits = is_read and _ACCOUNT_NAME.match(text) is not None
    for match in (_WORD if splits else _ASCII_PART if text.isascii() else _PART).finditer(text):
        part = match[0]
        if len(part) <= PROVES_NOTHING_CHARS:
            if is_accused and part.isalpha():
                return False
            short += part
        elif part not in parts:
            # What can't be taken apart is composed of nothing.
            if part == text or not is_named(part):
                return False
            parts.add(part)
    if not 0 < len(parts) <= PARTS_MAX:
        return False
    return len(short) <= SHORT_DIGITS_MAX or sum(map(str.isdigit, short)) <= SHORT_DIGITS_MAX


def built_on(wholes: Iterable[Found], look: Look) -> Traced | None:
    """Return where an address comes from that was found nowhere as a whole; None if not from others' text.

    An address whose host, or the domain above that, only others' text could be the source of carries what the agent
    puts into it to them. So does one that others have begun, up to a name in the query that the agent gives a value, on
    whatever host. It was not shown by what the user has asked for, because what was shown there is another address.
    """
    for found in wholes:
        if found.kind is AtomKind.URL:
            host = host_of_url(found.value).partition(":")[0]
            for kind, value in (*_hosts(host), *_beginnings(found.value)):
                seen = trace((Found(kind, value, found.path),), look)
                if seen.origin is ValueOrigin.TEXT:
                    return replace(seen, flags=seen.flags & ~Seen.SHOWN | Seen.BUILT)
    return None


def _hosts(host: str) -> Iterator[tuple[AtomKind, str]]:
    """Yield a host and the domains above it, but none of a single label."""
    labels = host.split(".")
    for first in range(min(len(labels) - 1, BUILT_ON_MAX)):
        yield AtomKind.HOST, ".".join(labels[first:])


def _beginnings(address: str) -> Iterator[tuple[AtomKind, str]]:
    """Yield the beginnings of an address up to the sign behind each name in its query, the longest ones first."""
    ends = [match.end() for match in _VALUE_FOLLOWS.finditer(address)][-BUILT_ON_MAX:]
    for end in reversed(ends):
        yield AtomKind.URL, address[:end]


def joined(text: str, look_part: Callable[[str], Traced]) -> Traced | None:
    """Return where a value comes from that consists of two halves which others have shown separately; None if none.

    An attacker can show the halves of an address in two results, and a third text that says how to join them. Only a
    text without spaces is cut: two words that occur somewhere are no disguise.
    """
    if not 2 * HALF_CHARS_MIN <= len(text) <= JOINED_CHARS_MAX or any(char.isspace() for char in text):
        return None
    sign = text.find("@")
    for place in range(HALF_CHARS_MIN, len(text) - HALF_CHARS_MIN + 1):
        halves = text[:place], text[place:]
        # Most halves are known to nobody. One that has the form of an address takes less time to read than the other.
        likely = 1 if place <= sign and text[place].isalnum() else 0
        seen = _half(halves[likely], look_part)
        if not seen.flags & _OTHERS:
            continue
        other = _half(halves[1 - likely], look_part)
        if other.flags & _OTHERS:
            first, second = (other, seen) if likely else (seen, other)
            instructed = (first.flags | second.flags) & Seen.INSTRUCTED
            flags, calls_for = Seen.TEXT | Seen.NAMED | instructed, first.calls_for | second.calls_for
            return Traced(ValueOrigin.TEXT, flags, second.entry or first.entry, calls_for)
    return None


def _half(text: str, look_part: Callable[[str], Traced]) -> Traced:
    seen = look_part(text)
    bare = text.strip(_CUT_AT)
    return seen if seen is not NOWHERE or bare == text else look_part(bare)


_CUT_AT = "-._@/:"
"""Signs at which a value is cut; at the end of a half they look like the end of a sentence."""
_OTHERS = Seen.TEXT | Seen.FIELD
_ORIGINS = (ValueOrigin.TEXT, ValueOrigin.FIELD, ValueOrigin.TRUSTED, ValueOrigin.USER)
_RANKED = Seen.USER | Seen.TRUSTED | Seen.WRITTEN | Seen.FIELD | Seen.PLAIN
"""What the best source of a value follows from."""


def _rank(flags: int) -> int:
    """Return the place of the best source in `_ORIGINS`. A field that was only read in disguise counts as text."""
    if flags & Seen.USER:
        return 3
    if flags & Seen.TRUSTED and not flags & Seen.WRITTEN:
        return 2
    if flags & Seen.FIELD and flags & Seen.PLAIN:
        return 1
    return 0


_ORIGIN_OF = {flags: _ORIGINS[_rank(flags)] for flags in range(_RANKED + 1) if not flags & ~_RANKED}
"""The best source by the flags that it follows from: looked up, it costs less than a call."""
