"""Whether a word of a request asks for its act, or reports one, names a thing, or is in a question.

All of it looks at a few words around the word, in lower case, and parses nothing. In doubt a word asks for its act,
because a request that implies too little makes honest work a question.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise, takewhile

from streams.provenance.acts.words import AMBIGUOUS_VERBS, FORMS, IRREGULAR_PASTS, MESSAGE_NOUNS
from streams.provenance.words import listed

NEGATION_REACH_WORDS = 4
PASSIVE_REACH_WORDS = 8
REVISING_REACH_WORDS = 4
NEGATIONS = frozenset({"not", "never", "without", "don't", "dont", "doesn't", "shouldn't", "mustn't", "avoid", "no"})
_DETERMINER_WORDS = (
    "a an the this that these those my your our his her their its any some all each every no last next latest new old "
    "first second recent upcoming current previous same other another which what whose"
)
DETERMINERS = listed(_DETERMINER_WORDS)
DEFINITE = DETERMINERS - {"a", "an", "some", "any", "another", "new"}
_PERFECTS = frozenset({"have", "has", "had", "i've", "we've", "they've", "you've"})
_CAUSATIVES = frozenset(
    {"be", "get", "have", "want", "need", "like", "should", "must", "can", "could", "see", "getting"}
)
_INDEFINITE = frozenset({"a", "an", "another"})
_AIMS = frozenset({"to", "for", "on", "in", "at", "with"})
_RECEIVING = listed("got get gets received have has had is was were from in on by of read saw see find found there")
_TELLING = frozenset({"tell", "inform", "let", "answer", "respond", "reply"})
"""With "me" behind them, they ask for words to the user himself and not for an act."""
_IS = frozenset({"are", "is", "was", "were", "been"})
_WERE = frozenset({"was", "were"})
_ASKING = frozenset({"did", "does"})
_ABLE = frozenset({"can", "could", "may", "will", "would"})
_RELATIVES = frozenset({"who", "which", "that"})
_SUBJECTS = frozenset({"i", "you", "we", "they", "he", "she", "anybody", "anyone", "somebody", "someone"})
_NEW_CLAUSES = frozenset({"and", "then", "or", "but", "so", "please", "to", "want", "need"})
_PREPOSITIONS = frozenset({"of", "for", "about", "by", "to", "from", "and", "then"})
_REVISING = listed(
    "adjust amend cancel change check defer delay edit explain extend find list modify pause postpone reschedule "
    "review see show skip stop suspend track update view"
)
"""Verbs of which an act that is there already can be the object, so that nobody asks for one more."""
STOPS = frozenset(".!?;\n")
"""What ends a clause, as a word."""
STOPS_ABROAD = STOPS | {","}
"""The same in languages whose commas part clauses."""


def is_asked(words: list[str], index: int, stem: str) -> bool:
    """Return whether a form of a verb asks for its act, and does not report one, name a thing, or ask for words."""
    if is_noun(words, index, stem):
        # "Make it a mail to Kim" asks for one; "I got a mail" does not.
        following = words[index + 1] if index + 1 < len(words) else ""
        before = words[index - 2] if index > 1 else ""
        return words[index - 1] in _INDEFINITE and following in _AIMS and before not in _RECEIVING
    if stem in _TELLING and words[index + 1 : index + 2] in (["me"], ["us"]):
        return False
    if opens_to_read(words, index, stem) or words[index] in MESSAGE_NOUNS or words[index] in {"asks", "asking"}:
        return False
    if is_in_question(words, index) or _tells_digits(words, index):
        return False
    return not is_past(words, index, stem) and not _is_progressive(words, index)


def _tells_digits(words: list[str], index: int) -> bool:
    """Return whether a word says how a number ends: "the line ending in 771" is none that is to end."""
    behind = words[index + 1 : index + 3]
    if words[index] != "ending" or not behind:
        return False
    return behind[0].isdigit() or (behind[0] in _BEFORE_DIGITS and behind[-1].isdigit())


def is_in_question(words: list[str], index: int) -> bool:
    """Return whether a verb is in a question about what happens: "did Kim pay?", "who can delete it?", "how to"."""
    before = words[max(0, index - 2) : index]
    if before in (["how", "to"], ["asking", "to"]) or words[max(0, index - 3) : index] in (
        ["asking", "me", "to"],
        ["asking", "us", "to"],
    ):
        return True
    if len(before) > 1 and before[0] in _RELATIVES and before[1] in _ABLE:
        return True
    for word in reversed(words[max(0, index - PASSIVE_REACH_WORDS) : index]):
        if word in STOPS or word in _NEW_CLAUSES:
            return False
        if word in _ASKING:
            return True
    return False


def opens_to_read(words: list[str], index: int, stem: str) -> bool:
    """Return whether something that is there is opened ("open the link", "open ticket 77"), and nothing new ("open an
    issue")."""
    following, then = (*words[index + 1 : index + 3], "", "")[:2]
    is_numbered = then.isdigit() and not following.isdigit() and following not in DETERMINERS
    return stem == "open" and (following in DEFINITE or following in {"it", "them"} or is_numbered)


def _is_progressive(words: list[str], index: int) -> bool:
    """Return whether a form tells what somebody is doing: "what are people posting", but not "we are moving it"."""
    if not words[index].endswith("ing"):
        return False
    for place in range(index - 1, max(-1, index - 1 - NEGATION_REACH_WORDS), -1):
        word = words[place]
        if word in STOPS or word in _PREPOSITIONS:
            return False
        if word in _IS:
            return place == 0 or words[place - 1] != "we"
    return False


def is_negated(words: list[str], index: int) -> bool:
    """Return whether a negation stands close before a word, in the same clause."""
    for place in range(index - 1, max(-1, index - 1 - NEGATION_REACH_WORDS), -1):
        word = words[place]
        if word in STOPS or word in {"but", "just", "only", "so"}:
            return False
        if word in NEGATIONS:
            return not asks_by_negation(words, place)
    return False


_BEFORE_DIGITS = listed("in with on")
_FORGETTING = listed(
    "forget hesitate fail miss neglect vergiss vergesst vergessen vergesse zoegere zoegern oublie oubliez oublier "
    "manque manquez hesite hesitez olvides olvide olviden olvidar olvideis dejes deje dudes dude esquecas esqueca "
    "esquecam esquecer deixes deixe hesites dimenticare dimentichi dimenticarti dimenticate scordare scordarti mancare "
    "esitare esiti"
)
"""Verbs whose negation asks for what follows."""
_LIMITED = listed("only nur bloss seulement uniquement solo solamente so apenas somente soltanto")
_WHY = listed("why warum wieso weshalb pourquoi perche")
_FORGETTING_REACH_WORDS = 3
_WHY_REACH_WORDS = 6


def asks_by_negation(words: list[str], place: int) -> bool:
    """Return whether a negation asks for what it seems to deny: "don't forget to", "why don't you", "not only".

    Args:
        words: of a text, in lower case, those of other languages than English without accents; with its stops.
        place: of the negation.
    """
    behind = words[place + 1 : place + 1 + _FORGETTING_REACH_WORDS]
    if behind and behind[0] in _LIMITED:
        return True
    # The nearest word comes first.
    reach = reversed(words[max(0, place - _WHY_REACH_WORDS) : place])
    before = list(takewhile(lambda word: word not in STOPS_ABROAD, reach))
    if not _FORGETTING.isdisjoint((*before[: _FORGETTING_REACH_WORDS - 1], *behind)):
        return True
    return not _WHY.isdisjoint(before) or ("que", "por") in pairwise(before)


def is_past(words: list[str], index: int, stem: str) -> bool:
    """Return whether a form tells what has happened: "which she sent", but not "have it sent" or "should be sent"."""
    word = words[index]
    if word == stem or not (word.endswith("ed") or word in IRREGULAR_PASTS):
        return False
    if index and (words[index - 1] in _PERFECTS or words[index - 1] in _WERE):
        return True
    for place in range(index - 1, max(-1, index - 1 - PASSIVE_REACH_WORDS), -1):
        earlier = words[place]
        if earlier in STOPS:
            return True
        if earlier in _PERFECTS and words[place + 1] in _SUBJECTS:
            return True  # "Have you seen what she posted?"
        if earlier in _CAUSATIVES:
            return False
    return True


def is_noun(words: list[str], index: int, stem: str) -> bool:
    """Return whether a word that can be a noun is used as one."""
    return stem in AMBIGUOUS_VERBS and has_determiner(words, index, DETERMINERS)


def revising_verb(words: list[str], index: int) -> str | None:
    """Return the verb that changes, or looks at, the act whose noun this is ("adjust my rent payment"); None if none
    does."""
    place = index - 1
    while place > 0 and index - place <= REVISING_REACH_WORDS and words[place] not in DEFINITE:
        if words[place] in STOPS or words[place] in _PREPOSITIONS:
            return None
        place -= 1
    while place > 0 and words[place] in DEFINITE:
        place -= 1
    verb = FORMS.get(words[place], words[place]) if place < index - 1 else ""
    return verb if verb in _REVISING else None


_SEEMS = listed("is was are were seems looks")
_COMPLAINTS = listed("too much way so wrong higher lower far very")


def is_complained_of(words: list[str], index: int) -> bool:
    """Return whether a noun names an act that is there, and is wrong: "my payment is too high" asks for none."""
    behind = words[index + 1 : index + 3]
    return len(behind) > 1 and behind[0] in _SEEMS and behind[1] in _COMPLAINTS


def has_determiner(words: list[str], index: int, determiners: Iterable[str]) -> bool:
    """Return whether an article, or a word in its place, stands before a word."""
    before = words[index - 1] if index > 0 else ""
    # "Kim's order", but "let's order it".
    return before in determiners or (before.endswith("'s") and before != "let's")
