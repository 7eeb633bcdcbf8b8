"""Orders in other languages than English that begin with their verb and have no polite word: "Storniere die Buchung".

The verbs are those of requests (`act_words_abroad`), because a model that obeys an order reads it as it reads a
request. A noun orders nothing ("Zahlung erfolgt", "Reserva confirmada"), nor does a label ("Paga: 20"); an infinitive
does before an article ("Pagar la factura"), and in German before the polite pronoun ("Zahlen Sie").
"""

from __future__ import annotations

import re

from streams.provenance.accents import without_accents, word_without_accents
from streams.provenance.acts.words_abroad import (
    DETERMINERS_ABROAD,
    NOUNS_ABROAD,
    REQUEST_KINDS_ABROAD,
    SEPARABLE,
    kinds_abroad,
)
from streams.provenance.words import listed

_FIRST_WORDS = re.compile(
    r"[\s\d.)\]>*#\-\u2022_'\"<!@]{0,16}([^\W\d_]{1,24})"
    r"(?:[ \t]{1,4}([^\W\d_]{1,24}|[\w@$\u20ac\u00a3\"'#(\u201c\u201e\u00ab]))?"
)
_OPENERS = listed(
    "dann jetzt nun also zuerst erst danach anschliessend noch auch und oder sofort antes primero luego despues ahora "
    "tambien y o adesso ora prima poi subito anche e maintenant ensuite puis aussi et ou agora depois primeiro tambem"
)
"""Words after which an order may come."""
_NOUN = re.compile(r"(?:ung|ion|mento|ment)\Z")
_ENDS_OF_INFINITIVES = re.compile(r"(?:e[nr]|[ai]r|[ai]re|(?<![id])ere|oir)\Z")
"""Not the German "kopiere" and "ändere"."""
_OBJECTS = DETERMINERS_ABROAD | listed(
    "sie den dem des ein einen einem einer alle allen alles den diese dieses diesen ihr ihre ihren les los las "
    "los unos unas el todo toda todos todas tutti tutte tous toutes cette ces este esta estos estas esto essa "
    "esse ao aos os as al alla allo alle gli i questo questa queste questi il lo leur vos nos"
)
"""Words that begin what an infinitive or a noun acts on."""
_FIRST_WORDS_MAX = 3
_VERBS = frozenset((*REQUEST_KINDS_ABROAD, *SEPARABLE))


def may_order_abroad(word: str) -> bool:
    """Return whether a word in lower case is a verb of requests in another language."""
    return (word if word.isascii() else word_without_accents(word)) in _VERBS


def orders_abroad(clause: str) -> bool:
    """Return whether a clause in lower case begins with an order in another language than English."""
    plain, position = without_accents(clause), 0
    for _ in range(_FIRST_WORDS_MAX):
        match = _FIRST_WORDS.match(plain, position)
        if match is None:
            return False
        word, following = match.groups()
        if word in SEPARABLE or kinds_abroad(word):
            return following is not None and _NOUN.search(word) is None and _acts_on(word, following)
        if word not in _OPENERS:
            return False
        position = match.end(1)
    return False


def _acts_on(word: str, following: str) -> bool:
    is_verb = word not in NOUNS_ABROAD and _ENDS_OF_INFINITIVES.search(word) is None
    return is_verb or following in _OBJECTS
