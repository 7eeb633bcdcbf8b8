"""Days that a text says by how far they are from today or from another day: "in two weeks", "a week later".

**Idea.** What is found has one form in all languages: "in two weeks", "in 14 Tagen" and "dans deux semaines" are
`+14d`. A form needs no clock, so SDK and gate find the same. Which day it means is found out where the time is known
(`streams.provenance.atoms.days_meant`).

The forms: `+14d` and `-1d` (days from today), `+2m` (months), `wd4` and `wd4+` (Friday, next Friday), `end:m+0` (the
end of this month), `start:m+1`, `we+0` and `we+1` (the weekend, the next one), `w+1`, `m+1`, `y+1` (some day of the
next week, month or year), and `by:+7d` (so far behind another day), with `by` where there is any such.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from streams.provenance.accents import without_accents
from streams.provenance.atoms.day_names import DAYS_AHEAD, WEEKDAYS
from streams.provenance.words import listed, plain_case

DAYS_MAX = 366
"""How far ahead or back days are counted. What is further away is said by its date."""
MONTHS_MAX = 24
FORMS_MAX = 32
"""How many days of one text are found."""
LOOKS_MAX = 64
"""At how many words that may say one it is looked closely."""
BY = "by"
"""Said somewhere: so far from another day. Without it, no such form need be looked for."""
WEEK = 7


def _plain(names: str) -> list[str]:
    """Return the names of a row without accents, as the words of a text are compared."""
    return without_accents(names).split()


_UNITS = {
    "d": "day days tag tage tagen tages jour jours dia dias giorno giorni dzien dni dniach",
    "w": "week weeks woche wochen semaine semaines semana semanas settimana settimane "
    "tydzien tygodnie tygodni tygodniach tygodniu tygodnia",
    "f": "fortnight fortnights",
    "m": "month months monat monate monaten monats mois mes meses mese mesi miesiac miesiace miesiecy miesiacach "
    "miesiaca",
    "y": "year years jahr jahre jahren jahres an ans annee annees ano anos anno anni rok lata lat roku",
}
_UNIT_OF = {word: unit for unit, words in _UNITS.items() for word in words.split()}
_COUNTS = (
    "a an one ein eine einen einem einer un une uno una um uma jeden jedna",
    "two couple zwei deux dos dois duas due dwa dwie dwoch",
    "three drei trois tres tre trzy trzech",
    "four vier quatre cuatro quatro quattro cztery czterech",
    "five fuenf cinq cinco cinque piec pieciu",
    "six sechs seis sei szesc szesciu",
    "seven sieben sept siete sete sette siedem siedmiu",
    "eight acht huit ocho oito otto osiem osmiu",
    "nine neun neuf nueve nove dziewiec dziewieciu",
    "ten zehn dix diez dez dieci dziesiec dziesieciu",
    "eleven elf onze undici jedenascie",
    "twelve zwoelf douze doce doze dodici dwanascie",
    "thirteen dreizehn treize trece treze tredici trzynascie",
    "fourteen vierzehn quatorze catorce catorze quattordici czternascie",
    "fifteen fuenfzehn quinze quince quindici pietnascie",
)
_COUNT_OF = {
    **{word: count for count, words in enumerate(_COUNTS, 1) for word in words.split()},
    **dict.fromkeys(listed("twenty zwanzig vingt veinte vinte venti dwadziescia"), 20),
    **dict.fromkeys(listed("thirty dreissig trente treinta trinta trenta trzydziesci"), 30),
}
_ALSO = {"huit": 7, "quinze": 14, "quince": 14, "quindici": 14}
"""What a count of days may mean as well: who says "in fifteen days" in these languages often means two weeks."""
_DAY_WORDS = {
    **{word: ahead for ahead, names in enumerate(DAYS_AHEAD) for word in _plain(names) if word.isalpha()},
    **dict.fromkeys(listed("hui dzis stasera"), 0),
    **dict.fromkeys(listed("yesterday gestern hier ayer ontem ieri wczoraj"), -1),
    **dict.fromkeys(listed("vorgestern anteayer anteontem przedwczoraj"), -2),
}
"""Single words that say a day. Of "aujourd'hui", the part behind the sign is one."""
_FURTHER = {
    ("after", "tomorrow"): 2, ("apres", "demain"): 2, ("pasado", "manana"): 2, ("de", "amanha"): 2,
    ("before", "yesterday"): -2, ("avant", "hier"): -2, ("l", "altro"): -2,
    ("this", "evening"): 0, ("this", "afternoon"): 0, ("this", "morning"): 0,
}  # fmt: skip
"""Two words that say a day, of which the second one alone says another day, or none."""
_MORE_WEEKDAYS = (
    "poniedzialek",
    "wtorek",
    "sroda srode",
    "czwartek",
    "piatek",
    "sonnabend sobota sobote",
    "niedziela niedziele",
)
"""Names of Monday to Sunday that only these forms know."""
_WEEKDAY_OF = {
    word.partition("-")[0]: day
    for day, names in enumerate(zip(WEEKDAYS, _MORE_WEEKDAYS, strict=True))
    for word in _plain(" ".join(names))
}
_FEIRA = listed("segunda terca quarta quinta sexta")
"""They are days only before `-feira`."""
_NEXT = listed(
    "next following naechste naechsten naechster naechstes naechstem prochain prochaine suivant suivante proximo "
    "proxima prossimo prossima przyszly przyszla przyszlym przyszlego przyszlej nastepny nastepna nastepnym nastepnego "
    "nastepnej"
)
_COMES = frozenset((("que", "viene"), ("que", "vem"), ("qui", "vient")))
"""What stands behind a day or a week in the place of "next"."""
_FILLERS = _NEXT | listed(
    "of the this that des de du del do dello der d l le la el o ce cette este esta deste desta questo questa tego tym"
)
_ENDS = listed("end ende fin final fim fine koniec koncu koncem")
_STARTS = listed(
    "first beginning start anfang debut principio principios inicio inizio poczatek poczatku ersten erster premier"
)
_LASTS = listed("last letzten letzter letzte dernier ultimo")
_DAYS = listed("day tag jour dia giorno")
_MONTHS = listed("month monats monat mois mes mese miesiaca")
_YEARS = listed("year jahres annee ano anno roku")
_WEEKENDS = listed("weekend weekendu wochenende")
_AHEAD = listed("in dans ici en em tra fra za")
_AHEAD_OF_TWO = frozenset((("dentro", "de"), ("aqui", "a"), ("daqui", "a")))
_AGO_BEFORE = listed("vor hace ha")
_AGO = listed("ago fa atras temu")
_LATER = listed("later after afterwards spaeter danach apres despues depois dopo pozniej")
_EARLIER = listed("earlier sooner before frueher davor vorher avant antes prima wczesniej")
_LATER_OF_TWO = frozenset((("plus", "tard"), ("mas", "tarde"), ("mais", "tarde"), ("piu", "tardi")))
_EARLIER_OF_TWO = frozenset((("plus", "tot"), ("piu", "presto")))
_DELAYS = listed(
    "postpon delay defer extend prolong push verlaenger aufschieb repouss reporte retard retras aplaz pospon prorrog "
    "amplia adia adie atras posticip rimand rinvi prorog odloz przedluz"
)
_ADVANCES = listed("bring pull vorzieh avanc adelant adiant anticip")
_MOVES = listed("move moving put shift reschedul verschieb verleg decal muev mover spost przesun przeloz")
_DIRECTIONS = ((tuple(_DELAYS), "+"), (tuple(_ADVANCES), "-"), (tuple(_MOVES), "+-"))
"""How verbs begin that move something by a count, and in which directions."""
_REACH_WORDS = 10
"""How far from a count the verb is that moves something by it."""
_FILLERS_MAX = 4
_DENIALS = listed("not never nicht pas nao non nie")
_DENIALS_OF_CLAUSES = (_DENIALS - {"non"}) | {
    "nothing",
    "except",
    "nichts",
    "kein",
    "keine",
    "keinen",
    "ausser",
    "sauf",
}
_FORGETTING = listed(
    "forget hesitate vergiss vergesst vergessen oublie oubliez olvides olvide esquecas esqueca dimenticare"
)
"""Verbs whose denial asks for what follows, as "why not" does."""
_WHY = listed("why warum wieso weshalb pourquoi perche")
_BEFORE_DAYS = listed("on for at until am auf le el per na w the")
_JOINS = frozenset(("", " ", "  ", "-", "'", "- "))
_STOPS = re.compile(r"[.!?;\n]")
_CLAUSE_STOPS = re.compile(r"[.!?;,:\n]")
_TOKEN = re.compile(r"[^\W_]+")
_OF_DAYS = (
    frozenset(_UNIT_OF) - {"an"}
    | frozenset(_DAY_WORDS)
    | {second for _, second in _FURTHER}
    | frozenset(_WEEKDAY_OF)
    | _WEEKENDS
    | {"monatsende", "jahresende"}
) - {"morning", "altro"}
"""Words of which a text that says a day has one, but for "un an": its last word is in most texts."""


class _Token(NamedTuple):
    word: str
    start: int
    end: int


def may_say_days(text: str) -> bool:
    """Return whether a text has a word that says a day."""
    lowered = text.lower()
    words = _TOKEN.findall(lowered if lowered.isascii() else without_accents(plain_case(text)))
    return not _OF_DAYS.isdisjoint(words) or " un an" in lowered


def days_said(text: str, *, wanted: bool = False) -> list[str]:
    """Return the forms of the days that a text says, each once.

    Args:
        text: what somebody says.
        wanted: whether days are left out in whose clause something is denied: "don't book it in two weeks". What others
            order is looked for in any case.
    """
    if not may_say_days(text):
        return []
    reader = _Words(without_accents(plain_case(text)), wanted=wanted)
    found: dict[str, None] = {}
    places = (place for place, token in enumerate(reader.tokens) if token.word in _LAST_WORDS)
    for place in islice(filter(reader.may_end_at, places), LOOKS_MAX):
        found.update(dict.fromkeys(reader.forms_at(place)))
        if len(found) >= FORMS_MAX:
            break
    return list(found)[:FORMS_MAX]


class _Words:
    """The words of a text in lower case and without accents."""

    def __init__(self, plain: str, *, wanted: bool) -> None:
        self._plain = plain
        self._wanted = wanted
        self.tokens = [_Token(match[0], match.start(), match.end()) for match in _TOKEN.finditer(plain)]

    def _word(self, place: int) -> str:
        return self.tokens[place].word if 0 <= place < len(self.tokens) else ""

    def _joins(self, place: int) -> bool:
        """Return whether a word stands right behind the one before it."""
        if not 0 < place < len(self.tokens):
            return False
        return self._plain[self.tokens[place - 1].end : self.tokens[place].start] in _JOINS

    def _before(self, place: int, count: int = 1) -> tuple[str, ...]:
        """Return words right before a place; fewer if a sign parts them."""
        first = place
        while first > place - count and self._joins(first):
            first -= 1
        return tuple(self._word(each) for each in range(first, place))

    def _behind(self, place: int, count: int = 1) -> tuple[str, ...]:
        """Return words right behind a place; fewer if a sign parts them."""
        last = place
        while last < place + count and self._joins(last + 1):
            last += 1
        return tuple(self._word(each) for each in range(place + 1, last + 1))

    def _is_next(self, first: int, last: int) -> bool:
        """Return whether "next" stands before words, or what says so behind them."""
        behind = self._behind(last, 2)
        return bool(_NEXT.intersection(self._before(first)) or _NEXT.intersection(behind[:1]) or behind in _COMES)

    def _is_denied(self, first: int) -> bool:
        before = self._before(first, 2)
        if before[-1:] and before[-1] in _BEFORE_DAYS:
            before = before[:-1]
        # "No" is "in the" in Portuguese.
        is_no = before[-1:] == ("no",) and self._word(first) in ("en", "dentro", "in", *_WEEKDAY_OF)
        is_denied = is_no or before[-1:] == ("t",) or bool(_DENIALS.intersection(before[-1:]))
        return is_denied or (self._wanted and self._stands_behind_denial(first))

    def _stands_behind_denial(self, first: int) -> bool:
        """Return whether something is denied before a place in its clause, but not as in "don't forget"."""
        words = [token.word for token in self.tokens[max(0, first - 2 * _REACH_WORDS) : first]]
        for back in range(1, min(_REACH_WORDS, first) + 1):
            place = first - back
            if _CLAUSE_STOPS.search(self._plain, self.tokens[place].end, self.tokens[place + 1].start):
                return False
            if words[-back] in ("but", "aber", "mais", "pero", "mas", "ma", "ale"):
                return False
            if words[-back] in _DENIALS_OF_CLAUSES or words[-back] == "t":
                before, behind = words[: len(words) - back], words[len(words) - back + 1 :]
                return _FORGETTING.isdisjoint(behind[:3]) and _WHY.isdisjoint(before[-3:])
        return False

    def may_end_at(self, place: int) -> bool:
        """Return whether one of the words that say days may end one: a unit says none by itself."""
        if self._word(place) not in _UNIT_OF or self._word(place) in ("tydzien", "miesiac", "rok"):
            return True
        before = self._word(place - 1)
        return before.isdecimal() or before in _BEFORE_UNITS or self._word(place + 1) in _BEHIND_UNITS

    def forms_at(self, place: int) -> Iterator[str]:
        """Yield the forms of the days that end with a word."""
        for first, forms in (*self._counted(place), *self._named(place), *self._part_of_time(place)):
            if not self._is_denied(first):
                yield from forms

    def _named(self, place: int) -> Iterator[tuple[int, list[str]]]:
        """Yield where a day with a name begins, and its forms."""
        word, before = self._word(place), self._before(place)
        further = _FURTHER.get((before[0], word)) if before else None
        if further is not None or word in _DAY_WORDS:
            ahead = _DAY_WORDS[word] if further is None else further
            yield place if further is None else place - 1, [f"{ahead:+d}d"]
        if word in _WEEKDAY_OF and (word not in _FEIRA or self._behind(place) == ("feira",)):
            last = place + (word in _FEIRA)
            yield place, [f"wd{_WEEKDAY_OF[word]}{'+' if self._is_next(place, last) else ''}"]
        is_weekend = word in _WEEKENDS or (word == "week" and self._behind(place) == ("end",))
        is_weekend = is_weekend or (word == "semana" and self._before(place, 2) in (("fin", "de"), ("fim", "de")))
        if is_weekend or (self._before(place, 2)[-2:] in (("fin", "de"), ("fim", "de")) and word == "semana"):
            yield place, [f"we+{int(self._is_next(place, place + (word == 'week')))}"]
        elif word == "settimana" and before == ("fine",):
            yield place, [f"we+{int(self._is_next(place - 1, place))}"]
        if word in ("monatsende", "jahresende"):
            yield place, ["end:m+0" if word[0] == "m" else "end:y+0"]

    def _part_of_time(self, place: int) -> Iterator[tuple[int, list[str]]]:
        """Yield where the end or the beginning of a month begins, or some day of a week, and their forms."""
        word = self._word(place)
        unit = _UNIT_OF.get(word)
        if unit is None:
            return
        first, is_next = place, self._is_next(place, place)
        while first > place - _FILLERS_MAX and self._joins(first) and self._word(first - 1) in _FILLERS:
            first -= 1
            is_next = is_next or self._word(first) in _NEXT
        start = self._before(first, 2)
        is_last = len(start) > 1 and not (_LASTS.isdisjoint(start) or _DAYS.isdisjoint(start))
        ends = is_last or bool(_ENDS.intersection(start[-1:]))
        letter = "m" if word in _MONTHS else "y" if word in _YEARS else "w" if word in ("week", "woche") else ""
        if letter and (ends or self._behind(place) == ("end",)) and not (letter == "w" and self._behind(place)):
            yield first - 1, [f"end:{letter}+{int(is_next)}"]
        elif word in _MONTHS and (_STARTS.intersection(start) or start[-1:] == ("1st",)):
            # Who speaks of the first of a month means one that comes.
            yield first - 1, ["start:m+1"]
        if self._before(place) == ("uebernaechste",) or self._behind(place, 2) == ("after", "next"):
            yield place, ["w+2"]
        elif unit != "d" and self._is_next(place, place):
            yield place, [f"{'w' if unit == 'f' else unit}+1"]

    def _counted(self, place: int) -> Iterator[tuple[int, list[str]]]:
        """Yield where a count of days begins, and the forms of the days that it can say."""
        word = self._word(place)
        if word not in _UNIT_OF:
            return
        first, counts = self._counts(place)
        if not counts:
            return
        lengths = [*_lengths(counts, _UNIT_OF[word])]
        before, behind = self._before(first, 2), self._behind(place, 2)
        last_before, next_behind = before[-1:], behind[:1]
        later = bool(_LATER.intersection(next_behind)) or behind in _LATER_OF_TWO
        earlier = bool(_EARLIER.intersection(next_behind)) or behind in _EARLIER_OF_TWO
        if _AGO.intersection(next_behind) or _AGO_BEFORE.intersection(last_before) or before == ("y", "a"):
            yield first - 1, [f"-{length}" for length in lengths]
        elif behind in (("from", "now"), ("from", "today")):
            yield first, [f"+{length}" for length in lengths]
        elif later or earlier:
            yield first, [BY, *(f"{BY}:{'+' if later else '-'}{length}" for length in lengths)]
        elif before in _AHEAD_OF_TWO or _AHEAD.intersection(last_before):
            yield first - len(before if before in _AHEAD_OF_TWO else last_before), [f"+{length}" for length in lengths]
        elif signs := self._moved(first):
            yield first, [BY, *(f"{BY}:{sign}{length}" for length in lengths for sign in signs)]

    def _counts(self, place: int) -> tuple[int, set[int]]:
        """Return where the count before a unit begins, and what it can be; nothing if there is none."""
        word, before = self._word(place), self._before(place, 3)
        if before[-2:] == ("couple", "of"):
            return place - 2 - (before[:1] == ("a",)), {2}
        count = before[-1] if before else ""
        if count.isdecimal() and len(count) <= _COUNT_DIGITS_MAX:
            return place - 1, {int(count)}
        if count in _COUNT_OF:
            days = {_ALSO[count]} if count in _ALSO and _UNIT_OF[word] == "d" else set[int]()
            return place - 1, {_COUNT_OF[count]} | days
        return place, {1} if word in ("tydzien", "miesiac", "rok") else set()

    def _moved(self, first: int) -> str:
        """Return in which directions something is moved by a count that begins at a place; nothing if it is not."""
        start = max(0, first - _REACH_WORDS)
        for place in range(first - 1, start - 1, -1):
            token, following = self.tokens[place], self.tokens[place + 1]
            if _STOPS.search(self._plain, token.end, following.start):
                return ""
            for stems, signs in _DIRECTIONS:
                if token.word.startswith(stems):
                    return signs
        return ""


_COUNT_DIGITS_MAX = 3
_SIZES = {"d": (1, 0), "w": (WEEK, 0), "f": (2 * WEEK, 0), "m": (0, 1), "y": (0, 12)}
_BEFORE_UNITS = frozenset(_COUNT_OF) | _FILLERS | _ENDS | _STARTS | _LASTS | {"uebernaechste", "1st"}
_BEHIND_UNITS = _NEXT | {"que", "qui", "end", "after"}
_LAST_WORDS = _OF_DAYS | {"an", "morning", "altro"}


def _lengths(counts: set[int], unit: str) -> Iterator[str]:
    """Yield how many days or months counts of a unit are."""
    days, months = _SIZES[unit]
    for count in sorted(counts):
        if days and 0 < count * days <= DAYS_MAX:
            yield f"{count * days}d"
        elif months and 0 < count * months <= MONTHS_MAX:
            yield f"{count * months}m"


def proves_day(form: str) -> bool:
    """Return whether a form says one day so exactly that whoever says it has named its date.

    "Today" and "on Friday" stand in most requests, whatever these are about.
    """
    return form not in ("+0d", "+1d", "-1d") and (form[0] in "+-" or form.startswith(("end:m", "end:y", "start:")))


def says_day(form: str) -> bool:
    """Return whether a form says one day, or a weekend. People do not agree which one "next Friday" is."""
    return proves_day(form) or form[0] in "+-" or (form.startswith("wd") and form[-1] != "+") or form == "we+0"
