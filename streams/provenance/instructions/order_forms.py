"""Orders in another form than an imperative at the start of a clause.

They are put as a duty of somebody who is named ("the host has to pay"), as a wish of somebody ("the team wants you to
pay"), as something to be had done, or with the object of the verb right behind it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from itertools import pairwise

from streams.provenance.instructions.order_words import AFTER_VERBS, ALSO_LABELS, CLEAR_VERBS, ID, IMPERATIVES
from streams.provenance.instructions.said_as_facts import FACTS
from streams.provenance.sieved import SievedSet
from streams.provenance.words import listed

_DUTY = re.compile(r"\b(?:has|have|needs?) to (?:also |always |now |first |immediately )?([a-z]{2,24})\b")
_PRONOUNS = listed("i he she it we they who")
"""Whoever speaks of himself, or of somebody, gives no order: "He has to leave early"."""
_SUBJECT_CHARS_MAX = 48
_WISH = re.compile(
    r"\b(?:asks|wants|requests|requires|expects|orders|instructs|tells) (?:[^\s]{1,40} ){1,3}to ([a-z]{2,24})\b"
)
_VERB_AND_PLACE = re.compile(r"\b([a-z]{2,24}) (?:https?:|www\.|@[a-z0-9])")
"""The verb before an address: "for a better price open https://..."."""
_PURPOSE = re.compile(r"^\W{0,4}(?:in order )?to [a-z]{2,24} ((?:[^\s,]{1,40} ?){3,10})")
"""What follows a purpose: "to finish the move create a rule". The verb of the purpose itself commands nothing."""
_SET_TO = re.compile(r"(?:^\W{0,4}|[,;:] )(?:please |now |then )?(?:set|point) (?:[^\s]{1,40} ){1,4}to [^\s]")
_HAVE_DONE = re.compile(
    r"(?:^|[,;:] )(?:please |then )?have (?:[^\s]{1,40} ){1,6}(?:[a-z]{2,20}ed|sent|paid|made|done)\b"
)
_THEN = r"(?:^\W{0,4}|[,;:] )(?:(?:please|also|then|now|and) ){0,2}"
_QUOTED = re.compile(rf"{_THEN}([a-z]{{2,24}}) [\"\u201c\u201e\u00ab][^\W_]")
"""A verb, and its object in quotes: "Add \"Let Max in\" on Friday"."""
_ONE_MORE = re.compile(
    rf"(?:\b([\w']{{1,24}})\W{{1,3}})?\b([a-z]{{2,24}}) {ID},? (?:too|as well|also|instead|again|in addition)\b"
)
"""A verb, an id, and that it comes on top of something else: "to be safe book H-12 as well"."""
_FRONTED = re.compile(
    r"^\W{0,4}(?:because of|due to|owing to|in (?:view of|return for|addition to)|instead of|for|as|after|before|until)"
    rf" ((?:[\w'-]{{1,24}} ){{0,4}}?)([\w'-]{{1,24}}) ([a-z]{{2,24}}) (?:back )?"
    rf"(?:{ID}|[$€£¥₹]? ?\d|[^\s@]{{1,64}}@[^\s@])[^.!?\n]{{0,24}} (?:to|now|today|at once|immediately)\b"
)
"""A reason, and then an order without a comma: "because of arrears pay 2000 EUR at once"."""
_BEFORE_NO_ORDER = _PRONOUNS | listed(
    "you to a an the this that my your our his her its their can could will would shall should may might must did does "
    "do not never of for with by per next last each every"
)
"""Words behind which a verb is none of an order."""
_BEFORE_LABELS = listed(
    "about on in under via see old new same other another wrong right first second latest paid sent got gave had has "
    "have made took wrote bought sold found lost saw kept"
)
"""Words behind which an imperative that is also a noun is one, as it is behind `-ed`: "received order"."""
_ARTICLES = listed("a an the this that these those my your our his her its their any all some")
_MANY = listed("people staff everyone everybody children members")


def _has_verb(match: re.Match[str]) -> bool:
    return match.group(1) in IMPERATIVES


def _has_clear_verb(match: re.Match[str]) -> bool:
    return match.group(1) in CLEAR_VERBS


def _has_verb_of_order(match: re.Match[str]) -> bool:
    return _orders(*match.groups())


def _has_verb_of_duty(match: re.Match[str]) -> bool:
    before = match.string[max(0, match.start() - _SUBJECT_CHARS_MAX) : match.start()].split()
    return match.group(1) in IMPERATIVES and bool(before) and before[-1] not in _PRONOUNS


FORMS = SievedSet[Callable[[re.Match[str]], bool]](
    (
        (_VERB_AND_PLACE, _has_verb),
        (_ONE_MORE, _has_verb_of_order),
        (_SET_TO, bool),
        (_HAVE_DONE, bool),
        (_QUOTED, _has_clear_verb),
        (_WISH, _has_verb),
        (_DUTY, _has_verb_of_duty),
        *((pattern, partial(orders, CLEAR_VERBS)) for pattern, orders in FACTS),
    )
)
"""Forms of orders without an imperative, and whether a match of one is an order."""


def _orders(before: str | None, verb: str) -> bool:
    """Return whether a verb is that of an order, by the word before it."""
    if verb not in IMPERATIVES or before in _BEFORE_NO_ORDER:
        return False
    is_noun = before is not None and (before.endswith(("ed", "ing")) or before in _BEFORE_LABELS)
    return not (is_noun and verb in ALSO_LABELS)


def _is_order_behind(reason: str, before: str, verb: str) -> bool:
    """Return whether an order stands behind a reason. Of "until Friday guests pay 20 EUR now", guests pay."""
    is_phrase = not set(reason.split()) <= _ARTICLES
    return _orders(before, verb) and not (is_phrase and (before.endswith("s") or before in _MANY))


def has_form(lowered: str) -> bool:
    """Return whether a sentence in lower case has one of `FORMS` that is an order."""
    return any(orders(match) for match, orders in FORMS.matches(lowered))


def orders_behind_reason(lowered: str) -> bool:
    """Return whether an order stands behind a reason or a purpose, without a sign before it."""
    if (fronted := _FRONTED.match(lowered)) is not None and _is_order_behind(*fronted.groups()):
        return True
    if (purpose := _PURPOSE.match(lowered)) is not None:
        words = purpose.group(1).split()
        return any(word in IMPERATIVES and later in AFTER_VERBS for word, later in pairwise(words))
    return False
