"""The largest amount of money that a user's message names, which a payment should not exceed.

It has a currency, or is said to come again and again ("50 a month").

The largest reading counts where there are several: "1.200 €" is 1200 euros to most of Europe, and "12 200 €" may be
written for a room and 200 euros. A limit that is too low would ask about the very amount that the user has named.
"""

from __future__ import annotations

import re
from decimal import Decimal

from streams.provenance.atoms.amounts import CURRENCY_CODES, CURRENCY_SIGNS
from streams.provenance.atoms.decimals import decimal_value
from streams.provenance.words import listed

_CODES = CURRENCY_CODES - listed("cop mad pen ron try")
"""Without those that are words of English. Likewise, pounds and livres of other languages are weights and books too."""
_CURRENCY = (
    rf"(?:(?:(?:us|ca|au|nz|r|a|c|s) ?)?\$|[{''.join(CURRENCY_SIGNS).replace('$', '')}]|(?:{'|'.join(sorted(_CODES))}"
    r"|euros?|dollars?|pounds?|francs?|franken|francos|dolar(?:es)?|reais|pesos|dollari|franchi|sterline|yen|rupees"
    r")\b)"
)
_THOUSANDS = r"(?:k|thousand|tausend|tsd|mille|mila|mil)"
_MILLIONS = r"(?:m|mn|mln|mio|million(?:s|en)?|mil(?:lon|lones|hao|hoes|ion[ei]))"
_NUMBER = (
    r"(?P<{0}>(?>[0-9]{{1,3}}(?:[ \u00a0\u202f][0-9]{{3}}){{1,4}}(?![0-9])(?:[.,][0-9]{{1,2}}(?![0-9]))?"
    rf"|[0-9][0-9.,']{{{{0,15}}}}))(?> ?(?:(?P<k{{0}}>{_THOUSANDS})|(?P<m{{0}}>{_MILLIONS}))\b\.?(?: de| di| d')?)?"
)
_UNITS = (
    "night|day|hour|person|head|guest|piece|item|unit|nacht|tag|stunde|kopf|nuit|jour|heure|personne|tete|noche|dia"
    "|hora|persona|cabeza|noite|pessoa|cabeca|notte|giorno|ora|testa"
)
"""Not of a week or a month: 20 euros a month are what each call for a standing order has."""
_EACH = (
    rf" ?(?:/ ?(?:h|{_UNITS})\b|(?:each|apiece|pro|je|jeweils|cada)\b"
    rf"|(?:a|an|al|alla|ao|a la|la|am|die|par|por|per) (?:{_UNITS})\b"
    # "per" is each in English, and "for the" in Italian.
    r"|per (?!(?:il|lo|la|i|gli|le|un|una|mi[oa]|conto)\b|l'))"
)
_REGULARLY = (
    r" (?:(?:a|every|each) (?:week|month|quarter|year)|weekly|monthly|quarterly|yearly|annually"
    r"|(?:im|pro|jeden|jede) (?:woche|monat|quartal|jahr)|woechentlich|monatlich|jaehrlich"
    r"|(?:par|chaque) (?:semaine|mois|an)|(?:al|por|cada|ao|alla|ogni) (?:semana|mes|ano|settimana|mese|anno))\b"
)
"""Who sets up "50 a month" has named an amount, without its currency."""
_SUM = re.compile(
    rf"(?<![\w.,])(?:{_CURRENCY} ?{_NUMBER.format('after')}"
    rf"|{_NUMBER.format('before')}(?: ?{_CURRENCY}|(?={_REGULARLY})))(?!{_EACH})"
)
_ONE_DOT = re.compile(r"[0-9]{1,3}\.[0-9]{3}")


def largest_sum(plain: str) -> str:
    """Return the largest amount of money that a message names with its currency or its rhythm, as an exact decimal.

    Empty if there is none. One for each of something ("20 EUR per night") does not say what is paid at most.

    Args:
        plain: the message in lower case and without accents.
    """
    return max(map(_amount, _SUM.finditer(plain)), key=Decimal, default="")


def _amount(match: re.Match[str]) -> str:
    side = "after" if match["after"] else "before"
    number = match[side].rstrip(".,'")
    amount = decimal_value(number.replace(".", "") if _ONE_DOT.fullmatch(number) else number)
    factor = 1_000 if match[f"k{side}"] else 1_000_000 if match[f"m{side}"] else 1
    return amount if factor == 1 else decimal_value(f"{Decimal(amount) * factor:f}")
