"""What a request asks for in words that no single verb says: "call it off", "get her a seat", "Ada needs to see it".

A phrase stands for kinds of acts as a verb of `streams.provenance.act_words` does. Phrases that are made of a verb and
a particle may have an object between them. Everything is read in lower case, and a negation before it counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from streams.provenance.act_words import PHRASES
from streams.provenance.asked import STOPS
from streams.provenance.words import listed

_PARTICLES = listed("on off up down in out back over away")
_OBJECTS = listed("it them that this these those him her us me the my our his their your all both everything a an")
"""Words with which an object between a verb and its particle begins."""
_GAP_WORDS_MAX = 3
_PATTERNS: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = tuple(
    (re.compile(pattern), frozenset(kinds.split()))
    for pattern, kinds in (
        # "Get her a seat", but not "get all the orders"
        (
            r"\b(?:get|grab|find) (?:me|us|him|her|them|everyone|everybody|(?!all|back|only|just|both)[a-z]+) "
            r"(?:a|an|one|two|three|four|five|some|tickets?|seats?|rooms?)\b",
            "book pay create",
        ),
        # "The auditor needs to see the file", "so that she can see it", but not "I need to see my bill"
        (
            r"\b(?:(?:needs|wants|asked) (?:to (?:see|view|read|edit|open|get into|look at)|(?:\w+ )?access)"
            r"|they (?:need|want) (?:to (?:see|view|read|edit|open)|(?:\w+ )?access)"
            r"|so (?:that )?(?:he|she|they) can (?:see|view|read|edit|open|get into)"
            r"|let (?!me\b|us\b|you\b)\w+ (?:see|view|read|edit|open|join|into)"
            r"|(?:ask(?:s|ed)?|request(?:s|ed)?) (?:\S+ ){0,4}for (?:\w+ )?access)\b",
            "share secure",
        ),
        # "Put 4.2 on staging", "it can go live"
        (
            r"\b(?:put|push|move|bring|ship|get|promote) (?:\S+ ){1,4}(?:on|onto|into|in|to) (?:the )?"
            r"(?:staging|production|prod|live|test)\b|\b(?:go|goes|bring \w+|put \w+) live\b",
            "run post",
        ),
        # "Leave a comment", "give it a good review"
        (
            r"\b(?:leave|drop|give \w+|add|put) (?:a|an|another|one|some) (?:[\w-]+ )?"
            r"(?:comment|review|rating|reaction)s?\b",
            "post",
        ),
        (r"\b(?:leave|drop) (?:\w+ )?(?:a|an|another|one) (?:[\w-]+ )?(?:message|note|reply)s?\b", "send post create"),
        # "Sounds good, next step please"
        (r"\b(?:next|following) (?:step|stage|round|phase)\b", "change"),
    )
)


def gapped_phrases(words: Sequence[str]) -> Iterator[tuple[int, frozenset[str]]]:
    """Yield the places and kinds of verbs whose particle follows an object: `take the chair out`.

    Args:
        words: of a text, in lower case, with its stops.
    """
    for index, word in enumerate(words):
        if word not in PHRASES or index + 2 >= len(words) or words[index + 1] not in _OBJECTS:
            continue
        for later in words[index + 2 : index + 2 + _GAP_WORDS_MAX]:
            if later in STOPS:
                break
            if later in _PARTICLES:
                for parts, kinds in PHRASES[word]:
                    if parts == (word, later):
                        yield index, kinds
                break


def patterned_phrases(lowered: str) -> Iterator[tuple[int, frozenset[str]]]:
    """Yield the places, in characters, and kinds of the other phrases in a text in lower case."""
    for pattern, kinds in _PATTERNS:
        for match in pattern.finditer(lowered):
            yield match.start(), kinds
