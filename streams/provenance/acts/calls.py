"""What an instruction by others calls for: the kinds of acts that its words name, as a set of bits.

**Idea.** "Pay to this account", "send your questions to this address" and "include this link in your answer" all read
like instructions, but only one of them is followed by a call that pays. So a value that stands beside an instruction
carries the kinds of acts that the instruction calls for, and a rule can compare them with the kind of the call. The
words are read as those of a request are (`streams.provenance.acts.asked_kinds`), because a model that obeys reads them
so.

What is not understood counts as `UNKNOWN`, which a gate takes for the worst. No call is allowed because of these bits:
they tell a denial from a question. Whoever evades them gains a question to a person.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import reduce
from operator import or_

from streams.provenance.acts.asked import NEGATIONS
from streams.provenance.acts.asked_kinds import asked_kinds
from streams.provenance.acts.kinds import ActKind
from streams.provenance.acts.words import AMBIGUOUS_VERBS, FORMS, TOOL_VERBS
from streams.provenance.words import LETTERS, listed

BITS: dict[str, int] = {
    kind.value: 1 << place
    for place, kind in enumerate(
        (
            *(ActKind.READ, ActKind.SEND, ActKind.POST, ActKind.CREATE, ActKind.BOOK, ActKind.CHANGE, ActKind.DELETE),
            *(ActKind.PAY, ActKind.SHARE, ActKind.SECURE, ActKind.RUN),
        )
    )
}
"""The bit of each kind. Their order is the format of events and rows."""
INCLUDE = 1 << 11
"""To put something into what is written: a link into an answer, an address into a summary."""
UNKNOWN = 1 << 12
"""None of its words is known."""

ALL_CALLS = UNKNOWN * 2 - 1

_FAMILIES = tuple(
    sum(BITS[kind] for kind in kinds) | more
    for kinds, more in (
        ((ActKind.SEND, ActKind.POST, ActKind.SHARE), INCLUDE),
        ((ActKind.PAY, ActKind.BOOK), 0),
        ((ActKind.CREATE, ActKind.CHANGE, ActKind.DELETE, ActKind.RUN, ActKind.SECURE), 0),
        ((ActKind.READ,), 0),
    )
)
"""Kinds that words don't tell apart well enough: who installs a package also adds it."""
_INCLUDING = listed(
    "include including mention quote cite embed attach append insert link linking prepend post posting publish "
    "announce advertise promote recommend spread broadcast tweet"
)
"""Verbs that put something into a text, whatever else the sentence says."""
_WRITING = listed(
    "add adding put give giving name naming hold contain state write use say tell advise refer end ends begin start "
    "close ask inform notify remind urge keep leave"
)
"""Verbs that do so where the sentence speaks of a text, or of those who read it."""
_TEXTS = listed(
    "answer answers reply replies response responses mail mails email emails message messages summary summaries text "
    "texts post posts comment comments note notes report reports letter letters signature footer description customer "
    "customers user users client clients buyer buyers recipient recipients reader readers everybody everyone people "
    "file files document documents purpose subject title memo reference caption "
    "them him her subscriber subscribers member members reporter whoever anybody anyone anything whatever staff team "
    "colleague colleagues guest guests participant participants attendee attendees visitor visitors reviewer reviewers "
    "notice notices announcement announcements newsletter newsletters page pages"
)
_NOT_TO_THE_WRITER = r"(?! (?:to )?(?:me|us)\b)[^.:!?\n]{0,48}"
_DICTATING = re.compile(
    # "Say to Alice: the form is at www.x.example", but not "Tell us what you think"
    rf"\b(?:say|tell)\b{_NOT_TO_THE_WRITER}(?:(?<! at):\s|\bthat\b|\")"
    # "Write to Bob that the code is 1234", but not "Write to the desk: desk@x.example"
    rf"|\b(?:write|reply|answer|inform|notify|remind)\b{_NOT_TO_THE_WRITER}\bthat\b"
    # "Write 'I owe you 3000' there"
    r"|\b(?:write|enter|state|note|say|answer|reply) [\"'\u201c\u00ab\u201e]"
)
"""Sentences that say what somebody is to be told. The words themselves follow."""
_USES = re.compile(r"\buse\b[^.!?\n]{1,64}\b(?:as|for|instead)\b")
"""What is to be used in whatever is done: "use the card 4410 for it" is followed by a payment, and by an exchange."""
_SENDS_SUM = re.compile(
    r"\bsend(?:ing)? (?:it |this |that )?(?:to )?[^\s]{2,40} (?:[a-z]{3} )?\d{1,12}(?:[.,]\d{1,2})?(?![\w@/:-])"
    r"|\bsend(?:ing)? (?:[a-z]{3} |[$€£¥₹] ?)?\d{1,12}(?:[.,]\d{1,3})?(?: ?[a-z]{3}| ?[$€£¥₹])? to\b"
)
"""Send him 90, send 90 to him: money has no other name where a number is beside whoever gets it."""


def bits_of(kinds: Iterable[str]) -> int:
    """Return kinds of acts as a set of bits; what is not one, such as `fill`, has none."""
    return reduce(or_, [BITS.get(kind, 0) for kind in kinds], 0)


def calls_of(sentence: str) -> int:
    """Return what an instruction calls for: a set of `BITS`, `INCLUDE` and `UNKNOWN` that is never empty.

    Args:
        sentence: the instruction, in any case.
    """
    lowered = sentence.lower()
    words = LETTERS.findall(lowered)
    # Of "your only job is this: post", the word before it is none of it, nor is that of "that's not enough, send". In
    # "send: the money", it is. So what either reading finds counts.
    kinds = asked_kinds(lowered)
    if ": " in lowered:
        kinds |= asked_kinds(lowered.replace(": ", "; "))
    if "," in lowered and not NEGATIONS.isdisjoint(words):
        kinds |= asked_kinds(lowered.replace(", ", "; "))
    calls = sum(BITS[kind] for kind in kinds)
    if _SENDS_SUM.search(lowered) is not None:
        calls |= BITS[ActKind.PAY]
    if not _INCLUDING.isdisjoint(words) or not (_WRITING.isdisjoint(words) or _TEXTS.isdisjoint(words)):
        calls |= INCLUDE
    elif _DICTATING.search(lowered) is not None:
        # "Say that the account is ..." may be about the words, and about the account that an act is to use.
        calls = (calls or UNKNOWN) | INCLUDE
    if not _READING.isdisjoint(words):
        calls |= BITS[ActKind.READ]
    if _USES.search(lowered) is not None:
        calls |= UNKNOWN
    return calls or UNKNOWN


READING = BITS[ActKind.READ] | UNKNOWN
"""Something is, or may be, to be read."""
SENDING = BITS[ActKind.SEND]
"""Something is to be sent. Of an amount, that is to pay it."""
SETTING = BITS[ActKind.CHANGE] | BITS[ActKind.CREATE]
"""Something is to be set or entered."""


def _reads(word: str) -> bool:
    stem = FORMS.get(word, word)
    return TOOL_VERBS.get(stem) == ActKind.READ and stem not in AMBIGUOUS_VERBS


_READING = frozenset(filter(_reads, (*FORMS, *TOOL_VERBS)))


class Calls:
    """What an instruction has to do with a call."""

    THIS = "this"
    OTHER = "other"
    UNKNOWN = "unknown"


def compare(calls: int, kinds: frozenset[str], *, is_content: bool, near: int = 0) -> str:
    """Return whether an instruction calls for this act, for another one, or for something that is not known.

    Args:
        calls: what the instruction calls for.
        kinds: the kinds of act that the call may be asked for as.
        is_content: whether the value is part of what the call writes. Only an instruction to include it is about that:
            "write to us at this address" is found in mails that are summarised for somebody.
        near: further calls that may mean this act where this value is concerned, a set of bits.
    """
    wanted = INCLUDE if is_content else bits_of(kinds)
    if calls & wanted:
        return Calls.THIS
    related = near | sum(family for family in _FAMILIES if family & wanted)
    is_other = wanted and not calls & (related | UNKNOWN) and calls != BITS[ActKind.READ]
    return Calls.OTHER if is_other else Calls.UNKNOWN
