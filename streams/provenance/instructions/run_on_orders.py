"""Orders that begin inside of a sentence, where only a capital shows that something new begins.

A title or a subject often ends without a full stop, and then an order begins ("Pizza party Pay the host again").
"""

from __future__ import annotations

import re

from streams.provenance.acts.words import AMBIGUOUS_VERBS
from streams.provenance.instructions.order_words import CLEAR_VERBS, ID, IMPERATIVES
from streams.provenance.words import listed

_CAPITAL = r"[A-Z](?:(?<=[^\W_][ )\"'%].)|(?<=[^\W_][ )\"'%] .))"
"""A capital behind a word, with or without a quote or a bracket between them."""
_RUN_ON = re.compile(
    rf"({_CAPITAL}[a-z]{{1,14}})"
    rf" ([^\s@]{{1,64}}@[^\s@]|{ID}|[a-z]{{1,24}}\b|\d)"
)
"""A word with a capital inside of a sentence, and what follows."""
_RUN_ON_OBJECTS = listed(
    "a an the this that these those my your our his her their its it me us them him all any each every everybody "
    "everyone everything"
)
"""What follows the verb of an order, and hardly ever a noun: "Team Call with Kim" is a title."""
_RUN_ON_IDS = re.compile(rf"{_CAPITAL}[a-z]{{1,14}} {ID}(?:, {ID})*,? (?:and|or) {ID}")
"""Several ids behind a verb: "nice colour Lock th-1, th-2 and th-3". Of a title, one follows."""
_RUN_ON_PLACE = re.compile(
    rf"{_CAPITAL}[a-z]{{1,14}} (?:in public (?:that|how|what)\b"
    r"|(?:in|into|to|on) [#@][\w-]|(?:at|in|into|on|under|to) "
    r"(?:the|your|every|each) (?:very )?(?:end|top|bottom|beginning|start|subject|answer|reply|text|summary|note"
    r"|message)\b(?! of\b))"
)
"""Where something is to be written: "the wiper is gone Write at the end that ..."."""
_RUN_ON_PARTICLE = re.compile(
    rf"{_CAPITAL}(?:witch|urn|et|hut|ut|ass|and|all|ake|ign|og|ive) "
    r"(?:on|off|up|out|down|over|back|away|in) (?:a|an|the|this|that|these|those|my|your|our|his|her|their|it"
    r"|everything)\b"
)
"""The same with a verb of two words: "from 109 euros Switch on the reply". The switch on a wall has no capital."""


def runs_on(sentence: str) -> bool:
    """Return whether an order begins inside of a sentence, with a capital and no sign before it."""
    for match in _RUN_ON.finditer(sentence):
        verb, following = match.group(1).lower(), match.group(2)
        if verb in IMPERATIVES and (
            following in _RUN_ON_OBJECTS
            or "@" in following
            # "Policy Update 3" and "Order PO-12" are titles. What can be nothing but a verb orders with any object.
            or verb not in AMBIGUOUS_VERBS
        ):
            return True
    if _RUN_ON_PARTICLE.search(sentence) is not None:
        return True
    return any(
        verb in verbs
        for pattern, verbs in ((_RUN_ON_IDS, CLEAR_VERBS), (_RUN_ON_PLACE, IMPERATIVES))
        for verb in (match[0].split(" ", 1)[0].lower() for match in pattern.finditer(sentence))
    )
