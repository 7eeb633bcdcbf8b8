"""Of which things a user's message says how many: "14 days", "vier Sterne", "a table for three", "a limit of 4500".

**Idea.** The gate has only digests of what the user said, so it can't see that a call says 3650 days where he said 14.
But it has the call in clear. So the agent's runtime states which things he has given a number, in the place of a kind
of act (`counts:day`), and the gate looks whether an argument with the name of such a thing has a number that is not
his. Nouns of English count as they are, because arguments have English names. Of the other languages, only usual ones
are known.

**Rejected.** To compare a `quantity` with whatever is counted: a recipe for four people takes six eggs. It is compared
with what goods are sold by: who says "two packs" has said how many. An `amount` is compared with shares alone: of
anything else, it may be the money. To state the numbers as well: the gate knows
already which numbers are his.
"""

from __future__ import annotations

import re
from collections.abc import Set

from streams.provenance.accents import word_without_accents
from streams.provenance.atoms.arithmetic import MESSAGE_CHARS_MAX
from streams.provenance.atoms.dates import MONTHS
from streams.provenance.atoms.number_words import NUMBER_WORDS
from streams.provenance.atoms.numbers import UNITS
from streams.provenance.words import STOP_WORDS, listed, singular

COUNTED = "counts:"
COUNTED_MAX = 8
_PERSONS = listed("person people guest passenger participant attendee traveller traveler seat")
_BAGS = listed("bag baggage luggage suitcase")
_ADULT = "adult"
_QUANTITIES = listed("quantity qty")
_UNITS = listed("pack packet package box bottle can jar carton crate piece unit copy pair share")
"""What goods are sold by."""
AMOUNT = "amount"
_SHARES = frozenset(("share",))
_LENGTHS = listed("minute hour day night week month year")
_ABROAD = {
    word: thing
    for thing, words in {
        "minute": "minuten minutes minutos minuti",
        "hour": "stunden stunde heures heure horas hora ore ora",
        "day": "tage tagen tag jours jour dias dia giorni giorno",
        "night": "naechte naechten nacht nuits nuit noches noche noites noite notti notte",
        "week": "wochen woche semaines semaine semanas semana settimane settimana",
        "month": "monate monaten monat mois meses mes mesi mese",
        "year": "jahre jahren jahr ans annees annee anos ano anni anno",
        "person": "personen personnes personne personas persona pessoas pessoa persone leute gaeste gaesten invites "
        "huespedes ospiti",
        _ADULT: "erwachsene erwachsenen adultes adulte adultos adulto adulti",
        "child": "children kids kinder kindern enfants ninos criancas bambini",
        "star": "sterne sternen stern etoiles etoile estrellas estrella estrelas estrela stelle stella",
        "ticket": "karten tickets billets billet entradas bilhetes biglietti biglietto",
        "bag": "koffer taschen valises bagages maletas malas valigie bagagli",
        "gigabyte": "gig gigs gigas giga gigabytes",
        "share": "aktie aktien acciones acoes azioni",
        "piece": "stueck stuecke pieces piezas pecas pezzi",
        "pack": "packung packungen paket pakete paeckchen paquet paquets paquete paquetes pacote pacotes pacco pacchi "
        "confezione confezioni",
        "bottle": "flasche flaschen bouteille bouteilles botella botellas garrafa garrafas bottiglia bottiglie",
        "box": "schachtel schachteln kiste kisten kasten boite boites caja cajas caixa caixas scatola scatole",
    }.items()
    for word in words.split()
}
_WORDS = "|".join(sorted(set(map(word_without_accents, NUMBER_WORDS))))
_NUMBER = rf"(?:\d{{1,6}}|(?:(?:{_WORDS})-)?(?:{_WORDS})|dozen|dutzend|docena|duzia|dozzina|tuzin|couple(?: of)?)"
_NUMBER_BEFORE = re.compile(rf"(?<![\w.,#/-]){_NUMBER} (?:[a-z]{{3,12}} )?([a-z]{{3,16}})\b")
_OWN = (
    "my|our|the|these|those|meinen?|unseren?|den|diesen|mes|nos|les|ces|mis|nuestr[oa]s|los|las|meus|minhas|noss[oa]s"
    "|miei|mie|nostr[ie]"
)
_OF_HIS = re.compile(
    rf"(?<![\w.,#/-]){_NUMBER} (?:of|von|de|dos|das|dei|delle|degli) (?:(?:{_OWN}) )?([a-z]{{3,16}})\b"
)
"""Some of what he has: "100 of my minutes"."""
_NOUN_BEFORE = re.compile(rf"\b([a-z]{{3,16}}) (?:to|of|at|auf|von|a|de|di|em|en) {_NUMBER}(?![\w-]|[.,:]\d)")
_TABLE_FOR = re.compile(
    rf"\b(?:for|fuer|pour|para|per) {_NUMBER}(?![.,]\d)"
    r"(?=[.,;!?)\n]|\Z| (?:on|at|in|um|am|im|a|le|el|il|em|no|na|nel"
    # The time of day or the day follows: "for 4 tomorrow".
    r"|tomorrow|tonight|today|this|next|heute|morgen|demain|aujourd|ce|manana|hoy|esta|amanha|hoje|domani|oggi"
    r"|stasera)\b)"
)
_AND = "(?:and|und|et|y|e)"
_MIXED_LENGTH = re.compile(rf"\b([a-z]{{3,16}})\b(?=,? (?:{_AND} )?{_NUMBER} ([a-z]{{3,16}})\b)")
_ME = "(?:me|myself|mich|mir|ich|moi|mi|yo|mim|eu|io)"
_MORE_PERSONS = re.compile(
    rf"\b(?:{_ME} {_AND}|{_AND} {_ME}|child|children|kids?|infants?|bab(?:y|ies)|toddlers?|teenagers?|seniors?"
    r"|kindern?|ein(?:em)? kind|enfants?|bebes?|nin[oa]s?|hij[oa]s?|criancas?|filh[oa]s?|bambin[aeio]|figli[aeo]?)\b"
)
"""Whoever comes along with the persons of whom it is said how many. The call has the number of all of them."""
_READ = re.compile(
    r"(?:meter reading|reading|meter|counter|odometer|mileage|zaehlerstand|kilometerstand|compteur|releve|contador"
    r"|medidor"
    r"|lectura|leitura|contatore|lettura)(?: [a-z]+){0,3}?:? \d{2,9}\b"
)
_READINGS = ("reading", "value")
"""What an argument is called that has the number which somebody has read: "the meter says 24903"."""
_ANY_NUMBER = re.compile(rf"(?<![\w.,#/-]){_NUMBER} ([a-z]{{3,16}})\b")

_UNIT_BEHIND = re.compile(rf"(?<![\w.,#/-])\d{{1,6}} ?({'|'.join(UNITS)})\b")
_PATTERNS = (_ANY_NUMBER, _NUMBER_BEFORE, _NOUN_BEFORE, _OF_HIS, _UNIT_BEHIND)


def counted_in(plain: str) -> tuple[str, ...]:
    """Return the things of which a message says how many, in the place of kinds, at most `COUNTED_MAX`.

    Args:
        plain: the message in lower case and without accents.
    """
    text = plain[:MESSAGE_CHARS_MAX]
    found = [match[1] for pattern in _PATTERNS for match in pattern.finditer(text)]
    things = [_thing(word) for word in found if word not in STOP_WORDS and word not in MONTHS]
    if _TABLE_FOR.search(text) is not None or _ADULT in things:
        things.append("person")
    if _READ.search(text) is not None:
        things += _READINGS
    # Seats are for all of them already.
    left_out = _PERSONS - {"seat"} if _MORE_PERSONS.search(text) is not None else frozenset[str]()
    left_out |= _mixed_lengths(text)
    return tuple(dict.fromkeys(f"{COUNTED}{thing}" for thing in things if thing not in left_out))[:COUNTED_MAX]


def _thing(word: str) -> str:
    return _ABROAD.get(word) or UNITS.get(word) or singular(word)


def _mixed_lengths(text: str) -> frozenset[str]:
    """Return the units in which one length of time is said ("2 weeks and 3 days"). The call has it in one of them."""
    pairs = [frozenset(map(_thing, match.groups())) for match in _MIXED_LENGTH.finditer(text)]
    return frozenset[str]().union(*(pair for pair in pairs if len(pair) > 1 and pair <= _LENGTHS))


def is_counted(thing: str, counted: Set[str]) -> bool:
    """Return whether a message has said how many of the thing there are that an argument is called after.

    Args:
        thing: what the argument names, in the singular.
        counted: the things of `counted_in`, without `COUNTED`.
    """
    return not counted.isdisjoint(things_like(thing))


def things_like(thing: str) -> frozenset[str]:
    """Return the things whose number is that of a thing: whoever counts persons has counted guests."""
    if thing in _QUANTITIES:
        return _UNITS
    if thing == AMOUNT:
        return _SHARES
    if thing in _BAGS:
        return _BAGS
    return _PERSONS | {thing} if thing in _PERSONS or thing == _ADULT else frozenset((thing,))
