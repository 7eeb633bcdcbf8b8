"""Find what an instruction dictates: "open a ticket that says the customer agrees" wants these words to be written.

Whoever obeys writes them as they are, or without the article that they begin with. What is not found is not missed: no
call is allowed because of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from streams.provenance.sieved import Sieved
from streams.provenance.words import listed

DICTATED_MAX = 8
"""What one instruction dictates at most."""
_WORDS_MIN = 3
_CHARS_MAX = 160
_SAYING = (
    r"(?:say|state|note|read|write|record|log|confirm|mention|document|report|add|enter|put|reply|answer|explain"
    r"|announce|claim)(?:s|ing|es)?"
)
_BEGINS = Sieved(
    # "A ticket that says the customer agrees", "note that he agrees", "with the text: he agrees"
    rf"\b(?:(?:that|which) {_SAYING}|{_SAYING}|tell(?:ing)?(?: [\w.@'-]+){{1,3}}|informs?(?: [\w.@'-]+){{1,3}})"
    r"(?: down)?(?: that\b|:| (?=the\b|an?\b|my\b|our\b|this\b|these\b|all\b|he\b|she\b|they\b|it\b|we\b|i\b))"
    # "Post in #ops that the office is closed", "tell sam and lea in direct messages that he leaves"
    r"|\b(?:tell|say|state|mention|claim|inform|let|post|publish|announce|mail|e-?mail|message|text|write|send|dm|ping|notify|warn|remind|share"
    r"|spread|tweet|broadcast)\b[^.!?;:\n\"]{1,80}? that\b"
    r"|\b(?:text|words|wording|remark|comment|reason|message|note|subject)\b ?(?:is |=) ?"
    # "With the text: he agrees", "order room service: two bottles of wine"
    r"|(?<=\w) ?: ?(?=[^\W_])"
    # "Eintragen, dass der Kunde einwilligt", "un ticket qui dit que le client accepte", "anota que el cliente acepta"
    r"|\b(?:dass|daß|wonach|che|que|qu')\b ?",
    re.IGNORECASE,
)
_ENDS = re.compile(r"[.!?;\"\n}\]<\u201d\u00bb]|, (?:and|then|und|et|y|e)\b")
_ARTICLES = listed("the a an this that der die das ein eine le la les un une el los las o os as uma il lo i gli l")


def may_dictate(text: str) -> bool:
    """Return whether any instruction of a text may dictate something."""
    return _BEGINS.may_be_in(text)


def dictated(instruction: str) -> Iterator[str]:
    """Yield what an instruction dictates: all of it, and the same without the article at its start.

    Args:
        instruction: one sentence, in any case.
    """
    if not may_dictate(instruction):
        return
    position = count = 0
    while count < DICTATED_MAX and (begins := _BEGINS.pattern.search(instruction, position)) is not None:
        position, count = begins.end(), count + 1
        ends = _ENDS.search(instruction, position, position + _CHARS_MAX)
        words = instruction[position : position + _CHARS_MAX if ends is None else ends.start()].strip()
        if len(words.split()) < _WORDS_MIN:
            continue
        yield words
        first, _, rest = words.partition(" ")
        if first.lower() in _ARTICLES:
            yield rest


_SENTENCE = re.compile(r"[^.!?;\n]+")
_CAPITAL = re.compile(r"(?<=\S )(?=[A-Z\u00c0-\u00dd])")
_STARTS_MAX = 8


def sentences_of_text(text: str) -> Iterator[str]:
    """Yield what of a text somebody may have dictated: its sentences, and what begins in them with a capital.

    An agent that obeys often puts such words behind others without a full stop ("Yours, Ann The date has moved").

    Args:
        text: what somebody writes, in any case.
    """
    for match in _SENTENCE.finditer(text):
        sentence = match[0].strip()
        if len(sentence.split()) < _WORDS_MIN:
            continue
        yield sentence
        for start in [begin.start() for begin in _CAPITAL.finditer(sentence)][-_STARTS_MAX:]:
            if len(sentence[start:].split()) >= _WORDS_MIN:
                yield sentence[start:]
