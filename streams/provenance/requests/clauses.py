"""The words of a message with the bounds of its clauses, and what is named in them: names, addresses, things."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from streams.provenance.accents import word_without_accents
from streams.provenance.requests.excluded_words import BEFORE, CONTRASTS, EMPTY, JOINTS, RECIPIENTS

CLAUSE_WORDS_MAX = 60
"""How far from a word the bounds of its clause are looked for."""
_RUN_WORDS_MAX = 3
_SHORT_OBJECT_WORDS_MAX = 3
_PLACED = RECIPIENTS | {"from", "von"}
"""Words behind which something is named also without a capital."""
_AROUND = r"\s,;!?()\"\u201c\u201d\u201e\u00ab\u00bb<>\[\]"
_TOKEN = re.compile(
    r"[.,!?;:\n()\u2013\u2014](?=\s|\Z)|\n|[()]|(?:[nldjmtsc]|qu)'(?=\w)"
    rf"|[^{_AROUND}]+?(?=[.:]?(?:[{_AROUND}]|\Z))",
    re.IGNORECASE,
)
STOPS = frozenset(".!?;:\n()\u2013\u2014")
_SHAPED = re.compile(r"[@#]|://|\w\.\w|\w/\w|(?=\S*\d)(?=\S*[^\W\d_])|\d{5}")


class Word(NamedTuple):
    """A word or a stop of a text: in lower case and without accents, as it is written, and where it is."""

    plain: str
    written: str
    start: int
    end: int

    @property
    def is_name(self) -> bool:
        """Whether it names somebody or something by its form: a capital, an address, an id."""
        if self.plain in EMPTY or self.plain in STOPS or self.plain == ",":
            return False
        return self.written[0].isupper() or _SHAPED.search(self.written) is not None


Span = tuple[int, int]
"""The first character of something in a text, and the one behind it."""


class Clauses:
    """The words of a text, by their places among each other."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words = [
            Word(word_without_accents(match[0].lower()), match[0], match.start(), match.end())
            for match in _TOKEN.finditer(text)
        ]
        self.plain_words = [word.plain for word in self.words]

    def plain(self, place: int) -> str:
        """Return the word at a place; the end of a sentence where there is none."""
        return self.plain_words[place] if 0 <= place < len(self.plain_words) else "\n"

    def clause(self, place: int) -> tuple[int, int]:
        """Return the bounds of the clause around a place, which a comma ends as well."""
        first = last = place
        while self.plain(first - 1) not in STOPS and self.plain(first - 1) != "," and place - first < CLAUSE_WORDS_MAX:
            first -= 1
        while self.plain(last) not in STOPS and self.plain(last) != "," and last - place < CLAUSE_WORDS_MAX:
            last += 1
        return first, last

    def clause_words(self, place: int) -> list[str]:
        first, last = self.clause(place)
        return self.plain_words[first:last]

    def is_in_question(self, place: int) -> bool:
        last = place + CLAUSE_WORDS_MAX
        while self.plain(place) not in STOPS and place < last:
            place += 1
        return self.plain(place) == "?"

    def run(self, place: int, *, is_loose: bool | None) -> tuple[list[Span], int]:
        """Return what is named right at a place, also several things in a row, and where that ends.

        Args:
            place: of the first word.
            is_loose: whether it may be in words without a capital; None if not even behind an article.
        """
        spans: list[Span] = []
        start = place
        while self.plain(place) in BEFORE and place - start < _RUN_WORDS_MAX:
            place += 1
        is_loose = is_loose or (is_loose is not None and place > start)
        while True:
            first = place
            while place < len(self.words) and self.words[place].is_name:
                place += 1
            if first == place and is_loose:
                while place - first < _RUN_WORDS_MAX and self.says_something(place):
                    place += 1
            if first == place:
                return spans, place
            spans.append(self._span(first, place))
            following = place
            while self.plain(following) in JOINTS or self.plain(following) == ",":
                following += 1
            while following > place and self.plain(following) in BEFORE:
                following += 1
            if following == place or following >= len(self.words) or not self.words[following].is_name:
                return spans, place
            if self.plain(place) == "," and not self.is_bare(following):
                return spans, place
            place, is_loose = following, False

    def is_bare(self, place: int) -> bool:
        """Return whether only names follow up to the next stop: "but Kim, Lee and Eve", and not "Kim gets it"."""
        _, last = self.clause(place)
        return all(word.is_name or word.plain in JOINTS or word.plain in BEFORE for word in self.words[place:last])

    def says_something(self, place: int) -> bool:
        word = self.plain(place)
        return word not in STOPS and word != "," and word not in EMPTY and word not in CONTRASTS and not word.isdigit()

    def _span(self, first: int, last: int) -> Span:
        start, end = self.words[first].start, self.words[last - 1].end
        return start, end - 2 if self.text[start:end].endswith("'s") else end

    def targets(self, start: int, end: int, *, only_names: bool = False) -> Iterator[Span]:
        """Yield what is named between two places: names, what stands behind "to", and all of a short object."""
        said = [place for place in range(start, end) if self.says_something(place)]
        is_short = len(said) <= _SHORT_OBJECT_WORDS_MAX and not any(
            self.words[place].is_name or (self.plain(place) in RECIPIENTS and bool(said) and place > said[0])
            for place in range(start, end)
        )
        place = start
        while place < end:
            first = place
            while place < end and self.words[place].is_name:
                place += 1
            is_placed = self.plain(first - 1) in _PLACED
            if first == place and not only_names and (is_short or is_placed):
                while place < end and self.says_something(place) and not self.words[place].is_name:
                    place += 1
            if place > first:
                yield self._span(first, place)
            place = max(place, first + 1)
