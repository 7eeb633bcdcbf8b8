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
_FRENCH_TEENS = (
    "dix", "onze", "douze", "treize", "quatorze", "quinze", "seize", "dix-sept", "dix-huit", "dix-neuf"
)  # fmt: skip
_FRENCH_ONES = ("une", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf")
_FRENCH_NUMBERS = {
    **dict(zip(_FRENCH_TEENS[-3:], (17, 18, 19), strict=True)),
    **{f"soixante-{word}": number for number, word in enumerate(_FRENCH_TEENS, 70)},
    **{"soixante-et-onze": 71, "quatre-vingt": 80, "quatre-vingts": 80, "quatre-vingt-une": 81},
    **{f"quatre-vingt-{word}": number for number, word in enumerate((*_FRENCH_ONES[1:], *_FRENCH_TEENS), 81)},
}
_FRENCH = re.compile(rf"\b(?:{'|'.join(sorted(_FRENCH_NUMBERS, key=len, reverse=True)).replace('-', '[- ]')})\b")
"""Numbers that French puts together: soixante-dix, quatre-vingt-cinq."""
_LARGE = listed(
    "hundred hundreds hundert cent cents cien ciento cem cento duzentos duzentas trezentos trezentas quinhentos "
    "quinhentas quinientos quinientas sto dwieście trzysta czterysta pięćset sześćset siedemset osiemset dziewięćset "
    "thousand thousands tausend mille mil tysiąc tysiące tysięcy million millions millionen millón millones milhão "
    "milhões milione milioni miliony milionów"
)
_LARGE_ENDS = ("hundert", "tausend", "cientos", "cientas", "centos", "centas", "cento")
_ROUGHLY = listed(
    "several few many some couple mehrere einige viele paar plusieurs quelques varias algunas algunos várias "
    "vários algumas alguns alcune diverse kilka"
)
_BETWEEN = listed("and und et e y i of de a")
"""Words between those of one number: "two hundred and five", "a couple of hundred", "half a million"."""
_GAP_CHARS_MAX = 3
_TOKEN = re.compile(r"[^\W_]+")
_PARTS = (
    NUMBER_WORDS.keys()
    | _ONES.keys()
    | _LARGE
    | _ROUGHLY
    | listed("vingts half halbes dozen dozens dutzend douzaine docena")
)
_DOZEN_WORDS = ("dozen", "dutzend", "douzaine", "docena", "dúzia", "duzia", "dozzina", "tuzin", "tuzina")
_DOZENS_WORDS = ("dozens", "douzaines", "docenas", "dúzias", "duzias", "dozzine", "tuziny", "tuzinów")
_DOZENS = re.compile(
    rf"\b(?:(half|demi|une demi|media|meia|mezza|pół)[ -](?:a )?"
    rf"|(?:({'|'.join(NUMBER_WORDS)}|{'|'.join(sorted(_ROUGHLY))}|\d{{1,2}}) (?:of |de )?)?)"
    rf"(?:({'|'.join(_DOZEN_WORDS)})|{'|'.join(_DOZENS_WORDS)})\b"
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
    | {*_DOZEN_WORDS, *_DOZENS_WORDS}
    | listed("couple par paio hundred hundert einhundert cien cem cento")
)
_ENDS = tuple(word for word in NUMBER_WORDS if NUMBER_WORDS[word] >= _TENS_MIN) + tuple(_ONES)
"""How words end that are put together of two numbers."""


def numbers_said(lowered: str) -> Iterator[int]:
    """Yield the numbers that a text in lower case says in words; of "twenty-five", neither twenty nor five."""
    words = LETTERS.findall(lowered)
    if not any(word in _KNOWN or _is_joined(word) for word in words):
        return
    rest = _without_large(lowered)
    for match in _FRENCH.finditer(rest):
        yield _FRENCH_NUMBERS[match[0].replace(" ", "-")]
    rest = _FRENCH.sub(" . ", rest)
    for pattern, tens_first in ((_TENS_AND_ONES, True), (_ONES_AND_TENS, False)):
        for match in pattern.finditer(rest):
            tens, ones = match.groups() if tens_first else reversed(match.groups())
            yield NUMBER_WORDS[tens] + _ONES[ones]
        rest = pattern.sub(" . ", rest)
    yield from filter(None, map(_of_dozens, _DOZENS.finditer(rest)))
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


def _of_dozens(match: re.Match[str]) -> int:
    """Return how many some dozens are; nothing if they say it roughly, as "dozens of people" and "several dozen" do."""
    half, count, single = match.groups()
    if half:
        return _DOZEN // 2
    if not count:
        return _DOZEN if single else 0
    return 0 if count in _ROUGHLY else (int(count) if count.isdigit() else NUMBER_WORDS[count]) * _DOZEN


def _without_large(lowered: str) -> str:
    """Return a text without the numbers of several words of which one is a hundred or more.

    Of "two hundred" the user has said neither 2 nor 100. "One hundred" stays, as "a hundred" does.
    """
    kept: list[str] = []
    last = 0
    for run in _numbers_together(lowered):
        words = [match[0] for match in run]
        if len(words[_ONES.get(words[0]) == 1 :]) > 1 and any(map(_is_large, words)):
            kept.append(lowered[last : run[0].start()])
            last = run[-1].end()
    return " . ".join((*kept, lowered[last:])) if kept else lowered


def _numbers_together(lowered: str) -> Iterator[list[re.Match[str]]]:
    """Yield the words of numbers that stand side by side, such as "one", "hundred" and "fifty"."""
    run: list[re.Match[str]] = []
    behind = 0
    for match in _TOKEN.finditer(lowered):
        gap = lowered[behind : match.start()]
        is_near = bool(run) and len(gap) <= _GAP_CHARS_MAX and not gap.strip(" -\t\n\u00a0")
        if is_near and match[0] in _BETWEEN:
            behind = match.end()
            continue
        is_part = _is_part(match[0])
        if run and not (is_near and is_part):
            yield run
            run = []
        if is_part:
            run.append(match)
            behind = match.end()
    if run:
        yield run


def _is_part(word: str) -> bool:
    return word in _PARTS or word.isdigit() or _is_joined(word) or _is_large(word)


def _is_joined(word: str) -> bool:
    return len(word) >= _JOINED_CHARS_MIN and word.endswith(_ENDS)


def _is_large(word: str) -> bool:
    return word in _LARGE or word.endswith(_LARGE_ENDS)
