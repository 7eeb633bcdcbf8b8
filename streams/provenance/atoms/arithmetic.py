"""Amounts that are worked out as the user's words say: "my half", "3 % more", "the difference of 890 and 750".

**Idea.** What an agent works out stands nowhere, so nothing tells an honest half from an amount that others want. But
the user names how it is worked out. So his message also states the operations that its words name, and the results of
his own numbers. The gate, which knows only digests of what was read, undoes an operation: if a call moves 630, and the
user has said a half, it looks whether the session has seen 1260.

**An amount is worth as much as the amount that it was worked out from.** Only operations that the user's words name are
undone, and text by others is not an operand: somebody who writes amounts as he likes could otherwise write the one that
yields what he wants. So nothing that he writes makes an amount better than he could have made it by writing it down.

**Rejected.** To undo usual operations without a word of the user: somebody who chooses an amount freely finds one that
is the half, the double or a tenth more of an amount that trusted data hold. Sums of some rows out of many, and rounding
to tens: the same, with many more operands for each amount.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from typing import NamedTuple

from streams.provenance.atoms.decimals import decimal_value
from streams.provenance.atoms.number_words import NUMBER_WORDS, numbers_said

MESSAGE_CHARS_MAX = 20_000
OPERATIONS_MAX = 8
"""Operations of a message. Further ones are left out, so that more is asked."""
NUMBERS_MAX = 6
"""Numbers of a message that can be operands. Further ones are left out."""
OPERANDS_MAX = 24
"""Amounts that one operation may have been applied to, as rounding to cents makes them alike."""
SHARERS_MAX = 20
QUANTITY_MAX = 100
AMOUNT_MAX = Decimal(10) ** 12

_TIMES, _PLUS, _LESS = "times:", "plus:", "less:"
_OPERATION = re.compile(r"times:[1-9][0-9]{0,5}/[1-9][0-9]{0,5}|(?:plus|less):[0-9]{1,12}(?:\.[0-9]{1,8})?", re.ASCII)

_BEFORE_PART = r"\b(?:a|one|1|my|his|her|their|our|your|the other)"
_PARTS: tuple[tuple[re.Pattern[str], Fraction], ...] = tuple(
    (re.compile(pattern), Fraction(factor))
    for pattern, factor in (
        (
            r"\b(?:half|halves)\b(?! (?:an?|past|board|days?|hours?|times?|years?|terms?|dozen)\b)"
            r"|\bh\u00e4lfte\b|\bhalb(?:e[mnrs]?)?\b(?! (?:stunde|tag|jahr))"
            r"|\bmoiti\u00e9\b|\bmitad\b|\bmetade\b|\bmet\u00e0\b",
            "1/2",
        ),
        (r"\b(?:two|2)[ -]thirds\b|\bzwei drittel\b|\bdeux tiers\b|\bdos tercios\b", "2/3"),
        (
            rf"{_BEFORE_PART} third\b|\bthird of (?:it|the|that|what|my|his|her|their)\b|\bein drittel\b|\bun tiers\b",
            "1/3",
        ),
        (r"\b(?:three|3)[ -]quarters\b|\bdrei viertel\b", "3/4"),
        (
            rf"{_BEFORE_PART} (?:quarter|fourth)\b(?! (?:past|to|of an)\b)"
            r"|\bquarter of (?:it|the|that|what)\b|\bein viertel\b",
            "1/4",
        ),
        (rf"{_BEFORE_PART} fifth\b", "1/5"),
        (rf"{_BEFORE_PART} tenth\b", "1/10"),
        (r"\bdoubl(?:e|ed|ing)\b(?! (?:rooms?|beds?|check|click)\b)|\btwice (?:as|the|that|what)\b|\bdoppelte\b", "2"),
        (r"\btripl(?:e|ed|ing)\b|\bthree times (?:as|the|that|what)\b", "3"),
    )
)
"""Words for a part or a multiple of something, but not "half an hour" or "the third of March"."""
_PERCENT = re.compile(
    r"(?<![\w.,])(\d{1,3}(?:[.,]\d{1,2})?) ?"
    r"(?:%|(?:percent|per cent|prozent|pour cent|por ciento|por cento|per cento)\b)"
)
_CLAUSE_CHARS = 60
_CLAUSE_END = re.compile(r"[.!?;\n](?!\d)")
_MORE = re.compile(
    r"\b(?:more|up|rise[sn]?|rose|raise[sd]?|increase[sd]?|plus|higher|added?|on top|dearer|tip|surcharge|vat|tax"
    r"|mehr|erh\u00f6he?n?|steigt|zuschlag|trinkgeld|gratuity)\b"
)
_FEWER = re.compile(
    r"\b(?:less|off|down|lower|lowered|reduced?|reduces|cut|cuts|discount|rebate|cheaper|minus|deduct(?:ed)?"
    r"|weniger|rabatt|nachlass|skonto)\b"
)
_OF = re.compile(r" ?(?:of|on|von|auf|de|du|des|del|da|do|di)\b|\s*(?:vat|tax|tip|fee|deposit|commission)\b")
_ONES = frozenset(("one", "ein", "eine", "un", "une", "uno", "una", "um", "uma", "andert"))
_HALVES = re.compile(
    rf"(?<![\w.,#/:-])(\d{{1,4}}|{'|'.join((*NUMBER_WORDS, *sorted(_ONES, key=len, reverse=True)))})"
    r"(?: ?\u00bd| 1/2(?![\w/])|(?:und)?(?:ein)?halb(?:e[nrs]?)?\b"
    r"|(?: [^\W\d_]{3,10})? (?:and|und|et|y|e) (?:a |one |eine? )?(?:half|halb|demie?|medi[ao]|mei[ao]|mezz[oa])\b)"
    r"(?! (?:of|the|an?|de|du|des|von|vom|del|di|da|do)\b)"
)
"""A number and a half: "2 and a half", "zweieinhalb", "quattro e mezzo"."""
_COUNT = re.compile(rf"(?<![\w.,#/-])(\d{{1,3}}|{'|'.join(NUMBER_WORDS)})(?![\w%/:-])(?!\s?%|[.,]\d)")
_SHARING = re.compile(
    r"\b(?:split|splits|share[sd]?|sharing|shares|each|divided?|equally|per (?:person|head|guest|capita)|apiece|ways"
    r"|teilen|geteilt|je(?:der|de)?|pro (?:person|kopf|nase)|partag\w{1,4}|cada|ciascuno)\b"
)
_COUNTED = re.compile(
    r"[ -](?:more |extra |full |whole |adult |child )?"
    r"(?:nights?|days?|weeks?|months?|hours?|years?|tickets?|people|persons?|guests?|adults?|children|kids?|seats?"
    r"|pieces?|packs?|packets?|boxes|bottles?|copies|units?|rounds?|items?|rooms?|places|shifts?|lessons?|sessions?|times"
    r"|instalments?|installments?|km|miles|n\u00e4chte|tag[en]*|wochen|monate|stunden|karten|personen|st\u00fcck)\b"
)
"""What a number counts that a price can be for: "for 3 nights", "2 tickets"."""
_DIFFERENCE = re.compile(
    r"\b(?:difference|rest|remainder|remaining|left ?over|surplus|excess|too much|overpaid|overcharged|above|minus|less"
    r"|still (?:owes?|due|open|missing)|shortfall|differenz|unterschied|restbetrag|zuviel|zu viel"
    r"|diff\u00e9rence|diferencia"
    r"|diferen\u00e7a|differenza)\b"
)
_ADDITION = re.compile(
    r"\b(?:plus|tip|gratuity|on top|together|total|sum|in all|all in all|altogether|add(?:ed)? up|including|surcharge"
    r"|extra|zusammen|insgesamt|summe|trinkgeld|zuz\u00fcglich|ensemble|juntos|insieme)\b"
)
_BY = r"\b[^.!?;\n]{0,60}? (?:by|um|de|en|em|di) (?=[$\u20ac\u00a3]?\d)"
_RAISED = re.compile(
    rf"\b(?:raise[sd]?|increase[sd]?|lift(?:s|ed)?|erh\u00f6h\w{{0,3}}|augment\w{{0,4}}|aument\w{{0,5}}){_BY}"
)
_LOWERED = re.compile(
    rf"\b(?:lower(?:s|ed)?|reduc\w{{1,4}}|cuts?|senk\w{{0,3}}|k\u00fcrz\w{{0,3}}|r\u00e9du\w{{1,4}}|ridu\w{{1,4}}){_BY}"
)
_NUMBER = re.compile(
    r"(?<![\w#/:.,-])[$\u20ac\u00a3]?(\d{1,3}(?:[,']\d{3}){1,3}(?:\.\d{1,2})?|\d{1,9}(?:[.,]\d{1,2})?)"
    r"(?![\w/:%-]|[.,]\d| ?(?:%|percent|per cent|prozent)|[snrt][tdh]\b)"
)
_CENT = Decimal("0.01")


class _Said(NamedTuple):
    """What a message says of how amounts are worked out.

    Attributes:
        factors: what something is multiplied by.
        adds: whether it speaks of adding up.
        subtracts: whether it speaks of a difference.
        numbers: its numbers, which may be amounts.
    """

    factors: tuple[Fraction, ...]
    adds: bool
    subtracts: bool
    numbers: tuple[Decimal, ...]


def operations_in(message: str) -> tuple[str, ...]:
    """Return the operations that a user's message names, as `operands_of` reads them.

    Args:
        message: what the user says; what is beyond `MESSAGE_CHARS_MAX` is not read.
    """
    said = _read(message)
    found = [f"{_TIMES}{factor.numerator}/{factor.denominator}" for factor in said.factors]
    for is_meant, sign in ((said.subtracts, _LESS), (said.adds, _PLUS)):
        if is_meant:
            found += [f"{sign}{number}" for number in said.numbers]
    return tuple(dict.fromkeys(found))[:OPERATIONS_MAX]


def results_in(message: str) -> tuple[str, ...]:
    """Return the amounts that the operations which a user's message names make of the numbers in it.

    Args:
        message: what the user says; what is beyond `MESSAGE_CHARS_MAX` is not read.
    """
    said = _read(message)
    results = [
        number * factor.numerator / factor.denominator
        for factor in said.factors
        for number in said.numbers
        if number not in (factor.numerator, factor.denominator)
    ]
    for place, one in enumerate(said.numbers):
        for other in said.numbers[place + 1 :]:
            results += [abs(one - other)] if said.subtracts else []
            results += [one + other] if said.adds else []
    if said.adds and len(said.numbers) > 2:
        results.append(sum(said.numbers, Decimal(0)))
    written = (_written(each.quantize(_CENT)) for each in results if each > 0)
    return tuple(dict.fromkeys(each for each in written if Decimal(each) not in said.numbers))


def operands_of(amount: str, operation: str) -> Iterator[str]:
    """Yield the amounts of which an operation makes an amount, the likeliest one first.

    Args:
        amount: the exact decimal form of an amount.
        operation: one of `operations_in`; nothing is yielded for another text.
    """
    if not is_operation(operation):
        return
    result = abs(Decimal(amount))
    if not 0 < result <= AMOUNT_MAX or result.quantize(_CENT) != result:
        return
    if operation.startswith(_TIMES):
        numerator, _, denominator = operation.removeprefix(_TIMES).partition("/")
        yield from _undone(result, Fraction(int(numerator), int(denominator)))
    elif operation.startswith(_LESS):
        number = Decimal(operation.removeprefix(_LESS))
        yield _written(result + number)
        if number > result:
            yield _written(number - result)
    elif operation.startswith(_PLUS):
        number = Decimal(operation.removeprefix(_PLUS))
        if result > number:
            yield _written(result - number)


def numbers_in_words(message: str) -> tuple[str, ...]:
    """Return the numbers that a user's message says in words, as "two suitcases" and "2 and a half" do."""
    lowered = message[:MESSAGE_CHARS_MAX].lower()
    return tuple(dict.fromkeys((*map(str, numbers_said(lowered)), *_and_a_half(lowered))))


def _and_a_half(lowered: str) -> Iterator[str]:
    for match in _HALVES.finditer(lowered):
        whole = match[1]
        if whole in _ONES:
            yield "1.5"
        else:
            yield f"{NUMBER_WORDS[whole] if whole in NUMBER_WORDS else int(whole)}.5"


def is_operation(text: str) -> bool:
    """Return whether the kind of a derived scope is an operation as `operations_in` writes it."""
    return _OPERATION.fullmatch(text) is not None


def _undone(result: Decimal, factor: Fraction) -> Iterator[str]:
    """Yield the amounts in cents that a factor makes the result of, after rounding to cents up or down."""
    cents = int(result * 100)
    exact = cents / factor
    first, last = (cents - 1) / factor, (cents + 1) / factor
    middle = round(exact)
    for distance in range(OPERANDS_MAX // 2):
        for near in (middle - distance, middle + distance) if distance else (middle,):
            if first < near < last and near > 0:
                yield _written(Decimal(near) / 100)


def _written(number: Decimal) -> str:
    return decimal_value(f"{number:f}")


def _read(message: str) -> _Said:
    lowered = message[:MESSAGE_CHARS_MAX].lower()
    numbers = dict.fromkeys(Decimal(decimal_value(match[1])) for match in _NUMBER.finditer(lowered))
    return _Said(
        tuple(dict.fromkeys(_factors(lowered)))[:OPERATIONS_MAX],
        _ADDITION.search(lowered) is not None or _RAISED.search(lowered) is not None,
        _DIFFERENCE.search(lowered) is not None or _LOWERED.search(lowered) is not None,
        tuple(number for number in numbers if number)[:NUMBERS_MAX],
    )


def _factors(lowered: str) -> Iterator[Fraction]:
    for pattern, factor in _PARTS:
        if pattern.search(lowered) is not None:
            yield factor
    for match in _PERCENT.finditer(lowered):
        percent = Fraction(match[1].replace(",", ".")) / 100
        if 0 < percent <= 1:
            yield from _with_direction(lowered, match, percent)
    counts = list(_counts(lowered))
    if _SHARING.search(lowered) is not None:
        yield from (Fraction(1, count) for count, _ in counts if count <= SHARERS_MAX)
    yield from (Fraction(count) for count, is_counted in counts if is_counted)


def _with_direction(lowered: str, match: re.Match[str], percent: Fraction) -> Iterator[Fraction]:
    """Yield what a share in percent multiplies by: itself in "20 % of it", more or less than one in "up by 3 %"."""
    ends = [end.end() for end in _CLAUSE_END.finditer(lowered, max(0, match.start() - _CLAUSE_CHARS), match.start())]
    first = ends[-1] if ends else max(0, match.start() - _CLAUSE_CHARS)
    end = _CLAUSE_END.search(lowered, match.end(), match.end() + _CLAUSE_CHARS)
    clause = lowered[first : match.end() + _CLAUSE_CHARS if end is None else end.start()]
    is_more, is_fewer = _MORE.search(clause) is not None, _FEWER.search(clause) is not None
    if is_more:
        yield 1 + percent
    if is_fewer and percent < 1:
        yield 1 - percent
    if _OF.match(lowered, match.end()) is not None or not (is_more or is_fewer):
        yield percent


def _counts(lowered: str) -> Iterator[tuple[int, bool]]:
    """Yield the small numbers of a message, and whether each counts something that has a price."""
    for match in _COUNT.finditer(lowered):
        count = int(match[1]) if match[1].isdigit() else NUMBER_WORDS[match[1]]
        if 1 < count <= QUANTITY_MAX:
            yield count, _COUNTED.match(lowered, match.end()) is not None


def operands(amounts: Iterable[str], operations: Iterable[str], most: int) -> Iterator[str]:
    """Yield the amounts that operations make some amounts of, at most so many."""
    written = list(amounts)
    found = (each for operation in operations for amount in written for each in operands_of(amount, operation))
    yield from islice(found, max(0, most))
