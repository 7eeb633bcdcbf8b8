"""Instructions that are about something of their own, and not about what stands beside them.

"Our tracking number is PK-1. Please reply to all by Friday." The order has nothing to do with the number, while "Our
account is DE-1. Please use it from now on" has. `streams.provenance.instructions.patterns` reads both sentences of a
pair like one, because an order and its value often stand in two. That is left out only where nothing speaks for it: the
order has no value, refers to nothing, tells nobody what comes first, and has no word in common with what stands beside
it, which itself names no act. In doubt the two belong together: articles of French, Spanish, Portuguese and Italian
that can be pronouns count as such.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice

from streams.provenance.acts.calls import UNKNOWN, calls_of
from streams.provenance.words import LETTERS, listed, plain_case

_VALUE = re.compile(r"[\d@<>\[\]{}\"“”«»„/=_|#*]|:\s*\Z")
"""A value, a quote, the mark of a role, or a colon behind which one follows."""
_REFERS = listed(
    # English
    "it its this that these those them they their him her his she he there here above below same such both either "
    "other others another one ones former latter accordingly instead also too again following everything anything "
    # Whoever speaks of himself, of what was said, or of what comes first orders a course of things.
    "i me my we us our said asked told say tell ask wrote request requests instruction instructions rest then "
    "first afterwards finally continue proceed go assistant ai agent system user bot model "
    # German
    "es dies diese diesen dieses dieser dorthin dahin hierhin hier dort folgende folgenden folgendes folgender unten "
    "oben davon damit dazu daran darauf ihn ihm ihnen sie ihr seine ihre auch ebenfalls stattdessen selbe gleiche "
    "dann danach zuerst ich mir uns wir "
    # French
    "le la les l lui leur ca cela ceci celui celle ceux ici ci y en suivant suivante suivants dessous dessus aussi "
    "puis ensuite abord je moi nous meme "
    # Spanish
    "lo el los las esto esta este estos estas eso esa ese aqui alli ahi siguiente siguientes abajo arriba tambien "
    "luego despues primero yo nos mismo misma "
    # Portuguese
    "o a os as isto isso aquilo esse nele nela aqui ali seguinte seguintes abaixo acima ele ela tambem depois primeiro "
    "eu "
    # Italian
    "il i gli questo questa questi quello quella cio qui li seguente seguenti sotto sopra anche poi prima io noi "
    "ci ne stesso stessa"
)
_NAME = re.compile(
    r"(?<=[^\W_][ ,;)'])(?!(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\b|Christmas\b|Easter\b)[A-Z][^\W\d_]"
    r"|[^\W\d_][A-Z]"
)
"""A capital inside of a sentence: whoever is named may be whom a value beside it belongs to ("Pay Bob now")."""
_GERMAN = listed("bitte die der das den dem und nicht zu im am für mit vor nach dich dir ein eine einen kurz")
"""Words of sentences in which every noun has a capital."""
_LETTERS_MIN = 4
"""Shorter words are in most sentences."""
_NEW_THOUGHT = re.compile(r"(?<=\S)(?:\s{2,8}(?=[^\W\d_])|\s(?=[A-Z\u00c0-\u00dd][^\W\d_]))")
"""Where another thought can begin without a sign before it: behind a gap, or with a capital."""
_THOUGHTS_MAX = 8
_CLAUSE_END = re.compile(r"[,;:]")


def stands_alone(instruction: str, beside: str) -> bool:
    """Return whether an instruction has nothing to do with a sentence beside it, as far as their words show.

    Args:
        instruction: as it is written.
        beside: the other sentence, which names no act, as it is written.
    """
    if _VALUE.search(instruction) is not None:
        return False
    words = frozenset(LETTERS.findall(plain_case(instruction)))
    if not words.isdisjoint(_REFERS) or (words.isdisjoint(_GERMAN) and _NAME.search(instruction) is not None):
        return False
    return not any(len(word) >= _LETTERS_MIN and word in words for word in LETTERS.findall(plain_case(beside)))


def begin_of_order(sentence: str, is_order: Callable[[str], bool]) -> int:
    """Return where in a sentence an order begins that has nothing to do with what stands before it; 0 if none does.

    What is scanned, or stands in a column, often ends without a full stop: "MT-553771 024903  Please close the door".
    With one, it would be a sentence of its own.

    Args:
        sentence: an instruction, as it is written.
        is_order: whether a text reads like an instruction.
    """
    for match in reversed(list(islice(_NEW_THOUGHT.finditer(sentence), _THOUGHTS_MAX))):
        before, order = sentence[: match.start()], sentence[match.end() :]
        if is_order(_CLAUSE_END.split(order, maxsplit=1)[0]):
            is_cut = not is_order(before) and calls_of(before) == UNKNOWN and stands_alone(order, before)
            return match.end() if is_cut else 0
    return 0
