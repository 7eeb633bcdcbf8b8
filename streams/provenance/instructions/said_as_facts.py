"""Orders that are said as facts: which thing an act is to be about, or where money goes.

Who has asked to cancel his booking gets another one cancelled by "the booking to cancel is H-12", and his refund to
somebody else by "the refund goes to card 4410". Neither has an imperative, and a model takes both for orders.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Set

from streams.provenance.acts.words import FORMS
from streams.provenance.sieved import Sieved, SievedSet
from streams.provenance.words import listed

_NAMED = re.compile(r"\b(?:the|that) ([\w'-]{1,30})(?: [\w'-]{1,30}){0,2}? to (?:be )?([a-z]{2,24}) (?:is|are) [^\s]")
"""What an act is to be about: "the booking to cancel is H-12"."""
_NAMED_LAST = re.compile(r"\b(?:is|are) the ([\w'-]{1,30}) to (?:be )?([a-z]{2,24})(?![\w'-])")
"""The same in "H-12 is the one to be cancelled"."""
_NO_THINGS = listed("way ways time times place day date reason chance person people best only first last next")
"""Words with which such a sentence says how, when or by whom: "the best way to cancel is by mail"."""
_MONEY_GOES = re.compile(
    r"\b(?:refunds?|payments?|money|amounts?|deposits?|credits?|reimbursements?)(?: [\w'-]{1,24}){0,3}?"
    r" (?:goes?|(?:is|are) (?:now )?(?:paid|sent|wired|refunded|credited|transferred)) to [^\s]"
)
_TO_BE_DONE = Sieved(r"\b(?:is|are) (?:now |also |still |first )?to be (?:[a-z]{2,20}ly )?([a-z]{3,24})\b")
"""What is to happen: "all doors are to be unlocked"."""


def said_to_be_done(lowered: str, verbs: Set[str]) -> bool:
    """Return whether a sentence says of something what is to be done with it.

    Args:
        lowered: the sentence in lower case.
        verbs: those of orders.
    """
    # "Set" and "put" are what has been done, too.
    return any(FORMS.get(match[1], match[1]) in verbs for match in _TO_BE_DONE.finditer(lowered))


def orders_as_fact(lowered: str, verbs: Set[str]) -> bool:
    """Return whether a sentence states what an act is to be about, or where money goes.

    Args:
        lowered: the sentence in lower case.
        verbs: those of orders.
    """
    return any(orders(verbs, match) for match, orders in _FACTS.matches(lowered))


def _names_act(verbs: Set[str], match: re.Match[str]) -> bool:
    thing, verb = match.groups()
    return FORMS.get(verb, verb) in verbs and thing not in _NO_THINGS


def _moves_money(_verbs: Set[str], _match: re.Match[str]) -> bool:
    return True


FACTS: tuple[tuple[re.Pattern[str], Callable[[Set[str], re.Match[str]], bool]], ...] = (
    (_NAMED, _names_act),
    (_NAMED_LAST, _names_act),
    (_MONEY_GOES, _moves_money),
)
"""Facts that order, and whether a match of one does."""
_FACTS = SievedSet(FACTS)
