"""Whether a user who leaves values to a content has said himself what they are set for: "the account of Kim Lee".

**Idea.** Who has the account of Kim Lee set as in a form has said whom it is about, and leaves only the number to the
form. What else the form holds, such as another person with an account, widens what he has asked for. The gate has
digests of what he has named, so it can tell whether a call is about any of it (`act.widened`), once it knows that he
has named an object at all.

Neither a content nor whoever has written it counts: "the invoice of Stadtwerke", "what Kim's note says".
"""

from __future__ import annotations

import re

from streams.provenance.atoms.dates import MONTHS
from streams.provenance.words import listed

NAMED = "named"
"""In the scope of a request: the user names whom or what an act is about whose values he leaves to a content."""
NUMBERED = "numbered"
"""The same by a number or an id."""
OBJECTS = frozenset((NAMED, NUMBERED))
_CHARS_MAX = 20_000
_BEFORE_CHARS = 24
_CHANGES = frozenset(("change", "delete", "secure", "share"))
_ID = r"(?:[A-Za-z]{1,6}[-_#]?\d[\w-]{2,24}|\d{5,12})"
_NAME = rf"(?P<name>[A-Z\u00c0-\u00de][\w'-]{{1,40}}(?: [A-Z\u00c0-\u00de][\w'-]{{1,40}}){{0,3}}|{_ID})"
_OF = re.compile(
    r"(?<!\w)(?P<noun>[^\W\d_]{3,24}) "
    r"(?P<of>of|von|vom|der|de|du|del|da|do|di|dello|della|for|f\u00fcr|pour|para|per|a)"
    rf" (?:(?:the|our|my|la|le|el|il|der|dem) )?(?:[a-z]{{3,16}} )?(?:d')?{_NAME}"
)
_HIS = re.compile(
    rf"(?<!\w)(?P<before>(?:[^\W\d_]{{1,24}} )?){_NAME}(?:'s|\u2019s|(?<=[a-z])s) "
    r"(?P<noun>(?:[a-z]+ )?[^\W\d_]{3,24})"
)
_THING = re.compile(
    r"(?<!\w)(?P<before>(?:[^\W\d_]{1,24} )?(?:the |my |our )?)\b(?P<noun>[a-z]{4,16}) (?:no\.? |number |nr\.? )?"
    rf"#?(?P<name>{_ID})"
)
_FOR = listed("for f\u00fcr pour para per a")
_CONTENTS = listed(
    "letter mail email message invoice bill receipt reminder note file document attachment form contract sheet "
    "list report post comment review page site profile card ticket issue calendar folder inbox fine fee answer "
    "reply request instructions question words schreiben brief nachricht rechnung notiz datei liste vertrag "
    "anhang dokument mahnung formular antwort anfrage lettre courrier courriel facture fichier contrat pi\u00e8ce "
    "formulaire r\u00e9ponse demande carta correo mensaje factura nota archivo lista contrato documento "
    "formulario respuesta solicitud mensagem fatura ficheiro arquivo anexo resposta pedido lettera messaggio "
    "fattura bolletta contratto allegato modulo risposta richiesta boleto rata"
)
DAYS = MONTHS.keys() | listed(
    "monday tuesday wednesday thursday friday saturday sunday montag dienstag mittwoch donnerstag freitag samstag "
    "sonntag"
)
_POINTS = listed(
    "in from on per see by with as from out to im in aus laut dans selon sur en seg\u00fan nel nella secondo conforme"
)
_CITES = listed("in per see as im in laut dans selon en seg\u00fan nel nella secondo conforme")


def objects_named(text: str, kinds: frozenset[str]) -> frozenset[str]:
    """Return whether a message names the person or thing that an act is about (`NAMED`, `NUMBERED`, or both).

    Args:
        text: the message, which leaves values to a content.
        kinds: the kinds of acts that it asks for.
    """
    text = text[:_CHARS_MAX]
    names = [
        match["name"]
        for match in _OF.finditer(text)
        # A hotel for Kim is not Kim's, but his limit is set for him.
        if (match["of"] not in _FOR or not kinds.isdisjoint(_CHANGES))
        and is_thing(match["noun"])
        and not is_pointed_at(text[max(0, match.start() - _BEFORE_CHARS) : match.start()])
    ]
    names += [
        match["name"]
        for pattern in (_HIS, _THING)
        for match in pattern.finditer(text)
        if all(map(is_thing, match["noun"].split())) and not is_pointed_at(match["before"])
    ]
    return frozenset(
        NUMBERED if re.search(r"\d", name) else NAMED for name in names if name.split()[0].lower() not in DAYS
    )


def is_thing(noun: str) -> bool:
    """Return whether a noun names no content in which values could stand, as a letter or a ticket does."""
    lowered = noun.lower()
    return lowered not in _CONTENTS and lowered.removesuffix("s") not in _CONTENTS


def is_cited(before: str) -> bool:
    """Return whether the words before something say that it is a content: "as in m-7001"."""
    return not _CITES.isdisjoint(before.lower().split()[-2:])


def is_pointed_at(before: str) -> bool:
    """Return whether the words before something say that a value stands there: "as in Kim's records"."""
    return not _POINTS.isdisjoint(before.lower().split()[-2:])
