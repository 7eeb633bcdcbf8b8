"""Numbers that are said in words, in the languages in which requests are read: "five", "a dozen", "zweiundzwanzig".

What counts roughly ("a few", "ein paar") does not count. "Un" and "one" are articles and pronouns more often.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from streams.provenance.words import LETTERS, listed

NUMBER_WORDS = {
    word: number
    for number, words in enumerate(
        (
            "two both zwei deux dos duas dwa dwie dwóch",
            "three drei trois tre tres três trzy trzech",
            "four vier quatre cuatro quatro quattro cztery czterech",
            "five fünf cinq cinco cinque pięć",
            "six sechs seis sei sześć",
            "seven sieben sept siete sete sette siedem",
            "eight acht huit ocho oito otto osiem",
            "nine neun neuf nueve nove dziewięć",
            "ten zehn dix diez dez dieci dziesięć",
            "eleven elf onze undici jedenaście",
            "twelve zwölf douze doce doze dodici dwanaście",
            "thirteen dreizehn treize trece treze tredici trzynaście",
            "fourteen vierzehn quatorze catorce catorze quattordici czternaście",
            "fifteen fünfzehn quinze quince quindici piętnaście",
            "sixteen sechzehn seize dieciséis dezesseis dezasseis sedici szesnaście",
            "seventeen siebzehn diecisiete dezessete dezassete diciassette siedemnaście",
            "eighteen achtzehn dieciocho dezoito diciotto osiemnaście",
            "nineteen neunzehn diecinueve dezenove dezanove diciannove dziewiętnaście",
        ),
        2,
    )
    for word in words.split()
} | {
    word: number * 10
    for number, words in enumerate(
        (
            "twenty zwanzig vingt veinte vinte venti dwadzieścia",
            "thirty dreißig dreissig trente treinta trinta trenta trzydzieści",
            "forty vierzig quarante cuarenta quarenta quaranta czterdzieści",
            "fifty fünfzig cinquante cincuenta cinquenta cinquanta pięćdziesiąt",
            "sixty sechzig soixante sesenta sessenta sessanta sześćdziesiąt",
            "seventy siebzig setenta settanta siedemdziesiąt",
            "eighty achtzig ochenta oitenta ottanta osiemdziesiąt",
            "ninety neunzig noventa novanta dziewięćdziesiąt",
        ),
        2,
    )
    for word in words.split()
}
"""What the words of numbers say, from two to ninety."""
_TENS_MIN = 20
_JOINED_CHARS_MIN = 8
_TENS = "|".join(word for word, number in NUMBER_WORDS.items() if number >= _TENS_MIN)
_ONES = {word: number for word, number in NUMBER_WORDS.items() if number < 10} | dict.fromkeys(
    ("one", "ein", "un", "une", "uno", "una", "um", "uma", "jeden"), 1
)
_ONES_WORDS = "|".join(sorted(_ONES.keys() - {"both"}, key=len, reverse=True))
_TENS_AND_ONES = re.compile(rf"\b({_TENS})(?:-(?:et-)?| y | e | et | )?({_ONES_WORDS})\b")
"""Twenty-five, vingt-cinq, treinta y cinco, venticinque."""
_ONES_AND_TENS = re.compile(rf"\b({_ONES_WORDS})und({_TENS})\b")
"""Fünfundzwanzig."""
_DOZENS = re.compile(
    rf"\b(?:(half|demi|une demi|media|meia|mezza|pół)[ -](?:a )?|(?:({'|'.join(NUMBER_WORDS)}|\d{{1,2}}) )?)"
    r"(?:dozens?|dutzend|douzaines?|docenas?|dúzias?|duzias?|dozzin[ae]|tuzin(?:a|y|ów)?)\b"
)
_DOZEN = 12
_TEN_OR_MORE = {
    **dict.fromkeys(("dizaine", "decena", "dezena", "decina"), 10),
    **{"quinzaine": 15, "vingtaine": 20, "veintena": 20},
}
_COUPLE = re.compile(
    r"\b(?:a|another) couple(?: more| extra)?(?: of\b| [a-z]{2,16}s\b|(?=[.,;!?]|\Z))|\bun par de\b|\bun paio\b"
)
_HUNDRED = re.compile(r"\b(?:hundred|hundert|einhundert|cien|cem|cento)\b(?! (?:and|times)\b)")
_PERCENT = re.compile(
    r"\s?(?:%|percent\b|per cent\b|prozent\b|pour cent\b|por ciento\b|por cento\b|per cento\b|procent)"
)

_KNOWN = (
    NUMBER_WORDS.keys()
    | _TEN_OR_MORE.keys()
    | listed(
        "couple par paio hundred hundert einhundert cien cem cento dozen dozens dutzend douzaine douzaines docena "
        "docenas d\u00fazia d\u00fazias duzia duzias dozzina dozzine tuzin tuzina tuziny tuzin\u00f3w"
    )
)
_ENDS = tuple(word for word in NUMBER_WORDS if NUMBER_WORDS[word] >= _TENS_MIN) + tuple(_ONES)
"""How words end that are put together of two numbers."""


def numbers_said(lowered: str) -> Iterator[int]:
    """Yield the numbers that a text in lower case says in words; of "twenty-five", neither twenty nor five."""
    words = LETTERS.findall(lowered)
    if not any(word in _KNOWN or (len(word) >= _JOINED_CHARS_MIN and word.endswith(_ENDS)) for word in words):
        return
    rest = lowered
    for pattern, tens_first in ((_TENS_AND_ONES, True), (_ONES_AND_TENS, False)):
        for match in pattern.finditer(rest):
            tens, ones = match.groups() if tens_first else reversed(match.groups())
            yield NUMBER_WORDS[tens] + _ONES[ones]
        rest = pattern.sub(" . ", rest)
    for match in _DOZENS.finditer(rest):
        half, count = match.groups()
        number = int(count) if count and count.isdigit() else NUMBER_WORDS.get(count or "", 1)
        yield _DOZEN // 2 if half else number * _DOZEN
    rest = _DOZENS.sub(" . ", rest)
    if _COUPLE.search(rest) is not None:
        yield 2
    hundred = _HUNDRED.search(rest)
    if hundred is not None and _PERCENT.match(rest, hundred.end()) is None:
        yield 100
    for word in LETTERS.findall(rest):
        number = NUMBER_WORDS.get(word) or _TEN_OR_MORE.get(word, 0)
        if number:
            yield number
