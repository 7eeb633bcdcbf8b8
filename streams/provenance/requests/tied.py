"""Which objects of a user's message are named only beside other acts than one: "cancel QX-1 and move QX-2 to Friday".

**Idea.** A request implies kinds of acts, and who has one booking cancelled and another one moved has asked for both
kinds. That the second one is to be cancelled is what nobody has said. So an object that stands in clauses of its own is
tied to the kinds of acts that these ask for, and a call of another kind to it is none that the request asks for.

A request names things in many ways, so a kind of act is tied to objects only where nothing speaks against it. A kind
holds for all objects of a sort (ids and the like, or persons and where they are reached) if one of its clauses names
none of that sort ("and cancel the other meeting"), refers to several ("cancel both"), or to one that stands before it
("cancel it"). Objects that share a word are one ("Kim Lee", "Kim"). Where a message compares ("the same for QX-3") or
leaves anything to a content, nothing is tied, nor where a sentence that follows and asks for no act refers to several
("I mean the other way round"). An object that such a sentence names may be what any act is about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import reduce
from itertools import dropwhile
from operator import or_
from typing import NamedTuple

from streams.provenance.accents import without_accents
from streams.provenance.acts.asked import DETERMINERS
from streams.provenance.acts.asked_kinds import asked_kinds
from streams.provenance.acts.calls import BITS, bits_of
from streams.provenance.acts.kinds import DELEGATE, FILL, ActKind
from streams.provenance.acts.words import FORMS, REQUEST_KINDS
from streams.provenance.acts.words_abroad import DETERMINERS_ABROAD, kinds_abroad
from streams.provenance.atoms.found import REACHES, WHOLE_KINDS, AtomKind, Shape, kind_of_words
from streams.provenance.atoms.shapes import shapes_in
from streams.provenance.atoms.spans import names
from streams.provenance.requests.excluded_words import EMPTY, RECIPIENTS
from streams.provenance.requests.kinds import request_kinds
from streams.provenance.requests.object_named import DAYS
from streams.provenance.words import WORD, listed, short_value, text_value

TIED_CHARS_MAX = 4_000
"""Longer messages tie nothing."""
PIECES_MAX = 32
"""Nor do those with more pieces that could be clauses."""
TIED_MAX = 64
"""How many values a message ties. One that would tie more ties nothing."""
_ACTS = sum(BITS.values()) & ~BITS[ActKind.READ]
_SENTENCE_END = re.compile(r"[.!?;:](?=\s|\Z)|\n|(?<=\s)[\u2013\u2014-](?=\s)")
_JOINT = re.compile(
    r",(?=\s)|(?<=\s)(?:and|then|but|und|dann|aber|sowie|et|puis|mais|y|luego|pero|e|depois|mas|poi|ma|i|oraz)(?=\s)",
    re.IGNORECASE,
)
_COMPARES = re.compile(
    r"\b(?:same|likewise|ditto|respectively|vice[ -]versa|similarly|gleiche\w?|dasselbe|ebenso|genauso|jeweils|meme"
    r"|pareil|respectivement|mismo|misma|igual|mesmo|mesma|stess[oa]|altrettanto|tak samo)\b"
)
"""What is said of one object holds for another one."""
_ADDS = re.compile(r"\b(?:too|also|as well|auch|aussi|tambien|tambem|anche|pure|tez)\b")
"""The same in a clause without a verb: "QX-3, too"."""
_SEVERAL = listed(
    "them these those both all each every everything everybody everyone any either one ones other others rest whole "
    "neither none reverse beide beiden alle allen alles jede jeden jedes diese diesen andere anderen tous toutes tout "
    "chaque deux autre autres ceux celles todos todas todo cada ambos ambas otro otra otros otras tutti tutte tutto "
    "ogni entrambi entrambe altro altra altri altre outro outra outros outras"
)
"""Words that refer to several objects, or to another one."""
_ONE = listed(
    "it its this that him his her hers their es ihn ihm sein seine seinen ihr ihre ihren das dies lui elle cela ca "
    "eso esto ello isso isto ele ela lei esso essa questo"
)
"""Words that refer to an object that stands before them."""
_CLITICS = listed("le la les l' lo las los li gli o a os as sie")
"""Articles that refer to an object where an infinitive follows: "les annuler"."""
_GERMAN = re.compile(r"\b(?:und|bitte|das|dem|nicht|ich|mir|meine[nrm]?|auf|fuer|von|zur|zum)\b")
"""In German, every noun has a capital."""
_THINGS = listed(
    "order mail email message ticket invoice file note record request post comment review draft entry list copy log "
    "transfer payment booking event issue case bill deposit label tag report account project task document purchase"
)
"""Verbs and other words that name a thing right before its number."""
_OF_WORDS = (AtomKind.ADDRESS, AtomKind.URL, AtomKind.HOST, AtomKind.PATH)
_START = frozenset((0,))
_ID_DIGITS_MIN = 3
_ORDINAL = re.compile(r"\d{1,3}(?:st|nd|rd|th|er|re|e)\Z")
_WORDS_MIN_CHARS = 2
_INFINITIVES = ("r", "re", "n")
_NONE: frozenset[str] = frozenset()


class Tied(NamedTuple):
    """A value that is named only beside some kinds of acts, which `calls` holds as bits of `BITS`."""

    kind: AtomKind
    value: str
    calls: int


class _Object(NamedTuple):
    kind: AtomKind
    value: str
    written: str
    place: int
    is_person: bool


class _Clause(NamedTuple):
    calls: int
    objects: tuple[_Object, ...]
    refers: bool


def tied_in(text: str) -> list[Tied]:
    """Return the values that a user's message names in clauses that ask for acts, with the kinds that may be meant.

    There are none if that is the same for all of them, or if nobody can tell.

    Args:
        text: the message.
    """
    if len(text) > TIED_CHARS_MAX:
        return []
    text = text.replace("\u2019", "'")
    plain = without_accents(text.lower())
    if _COMPARES.search(plain) is not None:
        return []
    # What stands before the first act introduces it, and what asks only for reads says nothing of acts. A sentence that
    # follows and asks for nothing may correct what was said.
    pieces = [piece for piece in dropwhile(_asks_for_no_act, _clauses_of(text)) if not piece[1] or piece[1] & _ACTS]
    remarks = [piece for piece, calls in pieces if not calls]
    if len(pieces) < len(remarks) + 2 or any(map(_is_about_others, remarks)):
        return []
    kinds = request_kinds(text)
    if not kinds.isdisjoint((DELEGATE, FILL)):
        return []
    is_german = _GERMAN.search(plain) is not None
    return _tied([_read(piece, calls, is_german=is_german) for piece, calls in pieces], bits_of(kinds))


def _asks_for_no_act(piece: tuple[str, int]) -> bool:
    return not piece[1] & _ACTS


def _is_about_others(piece: str) -> bool:
    """Return whether a sentence that asks for nothing by itself adds an object, or refers to several."""
    plain = without_accents(piece.lower())
    return _ADDS.search(plain) is not None or not _SEVERAL.isdisjoint(WORD.findall(plain))


def _clauses_of(text: str) -> list[tuple[str, int]]:
    """Return the clauses of a text with what they ask for.

    A piece of a sentence that asks for nothing belongs to the one before it, and at the beginning of the sentence to
    the one behind it.
    """
    found: list[tuple[str, int]] = []
    count = 0
    for sentence in filter(str.strip, _SENTENCE_END.split(text)):
        parts: list[tuple[str, int]] = []
        for piece in filter(str.strip, _JOINT.split(sentence)):
            count += 1
            if count > PIECES_MAX:
                return []
            calls = bits_of(asked_kinds(_masked(piece).lower(), by_user=True))
            if parts and (not calls or not parts[-1][1] or _continues_list(piece)):
                parts[-1] = f"{parts[-1][0]},{piece}", parts[-1][1] | calls
            else:
                parts.append((piece, calls))
        found += parts
    return found


def _masked(piece: str) -> str:
    """Return a piece without the words inside of addresses and paths: nobody drafts `drafts/offer.md`."""
    for shape in reversed(shapes_in(piece, loose=True)[0]):
        if shape.kind in _OF_WORDS and not shape.part:
            piece = f"{piece[: shape.start]}x{piece[shape.end :]}"
    return piece


def _continues_list(piece: str) -> bool:
    """Return whether a piece begins with an object, so that it has no verb: "cancel order 4471 and order 4472"."""
    first = min(_objects_of(piece, is_german=False, starts=frozenset()), key=lambda each: each.place, default=None)
    before = [] if first is None else WORD.findall(piece[: first.place].lower())
    if first is None or len(before) > 1:
        return False
    return not before or (before[0] in _THINGS and not first.is_person)


def _read(clause: str, calls: int, *, is_german: bool) -> _Clause:
    clause = clause.strip()
    objects = tuple(_objects_of(clause, is_german=is_german))
    first = min((each.place for each in objects), default=len(clause))
    words = [(match.start(), without_accents(match[0].lower())) for match in WORD.finditer(clause)]
    refers = False
    for number, (place, word) in enumerate(words):
        following = words[number + 1][1] if number + 1 < len(words) else ""
        is_clitic = word in _CLITICS and following.endswith(_INFINITIVES) and bool(kinds_abroad(following))
        refers = refers or word in _SEVERAL or (place < first and (is_clitic or word in _ONE))
    return _Clause(calls, objects, refers)


def _objects_of(clause: str, *, is_german: bool, starts: frozenset[int] = _START) -> Iterator[_Object]:
    for shape in shapes_in(clause, loose=True)[0]:
        if shape.part or not _is_object(shape):
            continue
        written = clause[shape.start : shape.end]
        is_person = shape.kind in REACHES
        yield _Object(shape.kind, shape.value, written, shape.start, is_person)
        if value := text_value(written) or short_value(written):
            yield _Object(kind_of_words(value), value, written, shape.start, is_person)
    for place, name in names(clause, starts):
        yield from _named(clause, place, name, is_german=is_german)


def _is_object(shape: Shape) -> bool:
    """Return whether a value names a thing or how somebody is reached: not a day, an amount, or how many there are."""
    if shape.kind is AtomKind.NUMBER:
        thing, _, digits = shape.value.partition(":")
        return thing in _THINGS or (len(digits) >= _ID_DIGITS_MIN and digits.isdigit())
    return shape.kind is AtomKind.PHONE or (shape.kind in WHOLE_KINDS and _ORDINAL.match(shape.value) is None)


def _named(clause: str, place: int, name: str, *, is_german: bool) -> Iterator[_Object]:
    """Yield a name that is written with capitals, and its words.

    Behind an article it is a thing of some sort, and "on Twitter" says where.
    """
    words = [word.removesuffix("'s") for word in name.split(" ")]
    before = clause[:place].split()
    if not before and _is_verb(words[0]):
        words = words[1:]
    last = without_accents(before[-1].lower()) if before else ""
    if last in DETERMINERS or last in DETERMINERS_ABROAD or last == "on":
        return
    if is_german and last not in RECIPIENTS | _GERMAN_BEFORE:
        return
    # "I'd" is nobody.
    words = [word for word in words if len(word) > 1 and not word.startswith("I'")]
    if not words or any(map(str.isdigit, name)) or any(word.lower() in EMPTY or word.lower() in DAYS for word in words):
        return
    for written in dict.fromkeys((" ".join(words), *words)):
        if value := text_value(written) or short_value(written):
            yield _Object(kind_of_words(value), value, " ".join(words), place, is_person=True)


_GERMAN_BEFORE = listed("von mit bei fuer an zu ueber")


def _is_verb(word: str) -> bool:
    lowered = word.lower()
    return FORMS.get(lowered, lowered) in REQUEST_KINDS or bool(kinds_abroad(without_accents(lowered)))


def _tied(clauses: list[_Clause], asked: int) -> list[Tied]:
    """Return the values of clauses with the kinds that may be meant of each.

    Args:
        clauses: those that ask for acts, and sentences that ask for nothing, which may be about any act.
        asked: what the message asks for as a whole, with kinds as bits.
    """
    placed = reduce(or_, [clause.calls for clause in clauses], 0)
    # What no clause alone asks for may be about any object.
    loose = dict.fromkeys((True, False), asked & ~placed)
    for clause in clauses:
        sorts = {each.is_person for each in clause.objects}
        for is_person in (True, False):
            if clause.refers or is_person not in sorts:
                loose[is_person] |= clause.calls
    called: dict[_Object, int] = {}
    for clause in clauses:
        for each in clause.objects:
            key = each._replace(place=0)
            called[key] = called.get(key, loose[each.is_person]) | (clause.calls or asked | placed)
    if len({(each.kind, each.value) for each in called}) > TIED_MAX:
        return []
    words = {each: frozenset(_alike(each.written)) if each.is_person else _NONE for each in called}
    found: dict[tuple[AtomKind, str], int] = {}
    for each in called:
        calls = 0
        for other, more in called.items():
            if not words[each].isdisjoint(words[other]) or other.value in each.value or each.value in other.value:
                calls |= more
        found[each.kind, each.value] = found.get((each.kind, each.value), 0) | calls
    if not any((asked | placed) & _ACTS & ~calls for calls in found.values()):
        return []
    return [Tied(kind, value, calls) for (kind, value), calls in found.items()]


def _alike(written: str) -> Iterator[str]:
    """Yield the words by which an object is known again."""
    local = written.partition("@")[0]
    return (word for word in WORD.findall(local.lower().replace("_", " ")) if len(word) >= _WORDS_MIN_CHARS)
