"""The values that were found in a content so far, each once per path, and how many there may be.

Words are many and say little, and short names are often codes, so each of the two has room of its own, and of a long
text all addresses, ids and amounts are kept. What was found says whether there was no room for words, or for others.
"""

from __future__ import annotations

from collections.abc import Iterable

from streams.provenance.atoms.found import AtomKind, Extraction, Found
from streams.provenance.atoms.relative_days import may_say_days
from streams.provenance.contents.leaves import Leaf
from streams.provenance.instructions.sentences import INSTRUCTIONS_READ_MAX, Sentence
from streams.provenance.words import named_shortly, with_one_digit, word_grams

ATOMS_MAX = 2_560
"""How many values of a content are kept."""
WORDS_MAX = 1_536
"""How many of them may be words: names, quotes, whole fields, and sequences of words of instructions."""
INSTRUCTING_WORDS_MIN = 512
"""How many of these are kept for words of instructions."""
GRAM_LOOKS_MAX = 16 * ATOMS_MAX
"""How many of them are looked at, those that are kept already among them."""
SHORTS_MAX = 256
"""How many short names are kept. Further ones are not missed: a list of codes must not push out what matters."""
DAY_SENTENCES_MAX = 1_024
"""Instructions that are searched for days that are said in words."""
USER_GRAM_WORDS_MAX = 6
GRAM_WORDS_MAX = 3


class Collected:
    """The values that were found so far, each once per path."""

    def __init__(
        self, *, by_user: bool = False, in_arguments: bool = False, calls_max: int = INSTRUCTIONS_READ_MAX
    ) -> None:
        self.by_user = by_user
        self.in_arguments = in_arguments
        self.calls_max = calls_max
        self.loose = in_arguments or by_user
        self.complete = True
        self.has_text = False
        self.instructed = False
        self.lacks_words = False
        self.words_left = ATOMS_MAX if self.loose else WORDS_MAX
        self.words_reserved = 0 if self.loose else INSTRUCTING_WORDS_MIN
        self.looks_left = GRAM_LOOKS_MAX
        self.shorts_left = SHORTS_MAX
        self.gram_words_max = USER_GRAM_WORDS_MAX if by_user else GRAM_WORDS_MAX
        self.sentences: dict[str, list[Sentence]] = {}
        """The sentences of short texts, by these texts with one digit in the place of all."""
        self.days_left = DAY_SENTENCES_MAX
        self._say_days: dict[str, bool] = {}
        self._grams: dict[str, list[str]] = {}
        self._found: dict[tuple[AtomKind, str, str], Found] = {}

    @property
    def is_full(self) -> bool:
        return len(self._found) >= ATOMS_MAX

    def short_name(self, text: str, leaf: Leaf) -> str:
        """Return the short name or id that a field of a content holds; of arguments, `short_reading` has it."""
        return "" if self.loose else named_shortly(text, leaf.name or leaf.outer)

    def grams_of(self, line: str) -> Iterable[str]:
        """Return the sequences of words of a line. Many instructions have pieces in common."""
        if self.by_user:
            return word_grams(line, self.gram_words_max, USER_GRAM_WORDS_MAX)
        found = self._grams.get(line)
        if found is None:
            found = self._grams[line] = list(word_grams(line, self.gram_words_max, USER_GRAM_WORDS_MAX))
        return found

    def may_say_days(self, sentence: str) -> bool:
        """Return whether a sentence has a word that says a day, whatever its digits are, and may be searched for it."""
        alike = with_one_digit(sentence)
        found = self._say_days.get(alike)
        if found is None:
            found = self._say_days[alike] = may_say_days(alike)
        self.days_left -= found
        return found and self.days_left >= 0

    def has(self, kind: AtomKind, value: str, leaf: Leaf) -> bool:
        return (kind, value, leaf.path) in self._found

    def add(self, kind: AtomKind, value: str, leaf: Leaf, *, whole: bool, decoded: bool, calls_for: int = 0) -> None:
        """Add a value. One that is there already joins what the instructions at its places call for."""
        key = (kind, value, leaf.path)
        known = self._found.get(key)
        if known is None:
            if kind is AtomKind.SHORT:
                if self.shorts_left <= 0:
                    return
                self.shorts_left -= 1
            elif kind is AtomKind.TEXT:
                if self.words_left <= (0 if calls_for else self.words_reserved):
                    self.lacks_words = True
                    return
                self.words_left -= 1
            if len(self._found) >= ATOMS_MAX:
                self.complete = False
                return
            self._found[key] = Found(kind, value, leaf.path, whole and leaf.is_field, decoded, calls_for)
        elif calls_for & ~known.calls_for:
            joined = known.calls_for | calls_for
            self._found[key] = Found(kind, value, leaf.path, known.whole_field, known.decoded, joined)

    def extraction(self) -> Extraction:
        if self.is_full:
            self.complete = False
        return Extraction(tuple(self._found.values()), self.complete, self.has_text, self.instructed, self.lacks_words)
