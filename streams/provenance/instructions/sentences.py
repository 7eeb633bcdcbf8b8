"""The sentences of a text: where they are, which of them read like instructions, and what these call for.

**Idea.** Records, lines of logs and floods of orders often say the same with other digits. No digit makes an order of a
sentence, and none says what an order calls for. So a text is read with a zero in the place of each digit, and what is
known of a sentence is known of all that are like it.
"""

from __future__ import annotations

import re
from functools import cache

import msgspec

from streams.provenance.acts import calls as act_calls
from streams.provenance.acts.calls import UNKNOWN
from streams.provenance.instructions.patterns import KnownText, instructs
from streams.provenance.instructions.self_standing import begin_of_order, stands_alone
from streams.provenance.words import plain_case, with_one_digit

# It begins with one set of signs, which is found faster than one of three sets.
_END = re.compile(
    r"[.!?\n\u3002\uff01\uff1f](?:(?<=[.!?])(?=[\s\"')\]]|\Z)|(?<=\n)\n*+|(?<=[\u3002\uff01\uff1f])[\u3002\uff01\uff1f]*+)"
)
SENTENCE_CHARS_MAX = 2_000
INSTRUCTIONS_READ_MAX = 256
"""Instructions of a text whose kinds of acts are looked for. Those after them may call for anything."""


class Sentence(msgspec.Struct, frozen=True, gc=False):
    """A sentence of a text.

    Attributes:
        start: where it begins.
        end: where it ends.
        instructs: whether it is an instruction itself.
        calls_for: what it and the ones beside it call for, as far as they are instructions that may be about it: a set
            of bits of `streams.provenance.acts.calls`, empty if none is one.
    """

    start: int
    end: int
    instructs: bool
    calls_for: int = 0

    @property
    def flagged(self) -> bool:
        """Whether it is an instruction, or one beside it that may be about it."""
        return self.calls_for != 0


def sentences_in(text: str, calls_max: int = INSTRUCTIONS_READ_MAX) -> list[Sentence]:
    """Return the sentences of a text, in order. A line ends a sentence, and so does `SENTENCE_CHARS_MAX`.

    Args:
        text: the text.
        calls_max: of how many instructions it is read what they call for; of later ones, that is not known.
    """
    text = with_one_digit(text)
    bounds = _bounds(text)
    instructing = _which_instruct(text, bounds)
    if True not in instructing:
        return [Sentence(first, last, instructs=False) for first, last in bounds]
    sentences = [text[first:last] for first, last in bounds]
    reader = _Reader()
    calls = reader.calls(sentences, instructing, calls_max)
    together = reader.calls_with_beside(sentences, calls, calls_max)
    found: list[Sentence] = []
    for index, ((first, last), own, calls_for) in enumerate(zip(bounds, instructing, together, strict=True)):
        cut = first + reader.begin(sentences[index]) if own and index < calls_max else first
        if cut > first:
            found.append(Sentence(first, cut, instructs=False, calls_for=calls[index]))
        found.append(Sentence(cut, last, own, calls_for))
    return found


def _which_instruct(text: str, bounds: list[tuple[int, int]]) -> list[bool]:
    """Return which sentences of a text read like instructions."""
    lowered = plain_case(text)
    same_length = len(lowered) == len(text)
    known = KnownText(lowered)
    read: dict[tuple[str, str], bool] = {}
    found: list[bool] = []
    for first, last in bounds:
        sentence = text[first:last]
        written = sentence, lowered[first:last] if same_length else plain_case(sentence)
        is_one = read.get(written)
        if is_one is None:
            is_one = read[written] = instructs(*written, known)
        found.append(is_one)
    return found


def _is_order(text: str) -> bool:
    lowered = plain_case(text)
    return instructs(text, lowered, KnownText(lowered))


class _Reader:
    """Reads what the sentences of one text call for, each of those that are alike once."""

    def __init__(self) -> None:
        self._calls_of = cache(act_calls.calls_of)
        self._stands_alone = cache(stands_alone)
        self._begin = cache(begin_of_order)

    def begin(self, sentence: str) -> int:
        """Return where in an instruction an order begins that has nothing to do with what stands before it."""
        return self._begin(sentence, _is_order)

    def calls(self, sentences: list[str], instructing: list[bool], calls_max: int) -> list[int]:
        """Return what each sentence calls for, with nothing before the first and after the last one."""
        calls, left = [0], calls_max
        for sentence, own in zip(sentences, instructing, strict=True):
            calls.append((self._calls_of(sentence) if left > 0 else UNKNOWN) if own else 0)
            left -= own
        return [*calls, 0]

    def calls_with_beside(self, sentences: list[str], calls: list[int], left: int) -> list[int]:
        """Return what each sentence and the instructions beside it call for.

        An instruction that is about something of its own does not count for a sentence that names no act.

        Args:
            sentences: all of them.
            calls: what each calls for, with one place more at both ends.
            left: of how many sentences it is read whether they name an act.
        """
        together = []
        for index, sentence in enumerate(sentences):
            own, beside = calls[index + 1], calls[index] | calls[index + 2]
            if beside and own in (0, UNKNOWN) and left > 0:
                near = [each for each in (index - 1, index + 1) if calls[each + 1]]
                others = [each for each in near if not self._stands_alone(sentences[each], sentence)]
                if len(others) < len(near):
                    left -= 1
                    if self._calls_of(sentence) == UNKNOWN:
                        beside = calls[others[0] + 1] if others else 0
            together.append(own | beside)
        return together


def _bounds(text: str) -> list[tuple[int, int]]:
    bounds: list[tuple[int, int]] = []
    start = 0
    for match in _END.finditer(text):
        end = match.end()
        if match.start() > start:
            if end - start <= SENTENCE_CHARS_MAX:
                bounds.append((start, end))
            else:
                _split(bounds, start, end)
        start = end
    if start < len(text):
        _split(bounds, start, len(text))
    return [bound for bound in bounds if not text[bound[0] : bound[1]].isspace()]


def _split(bounds: list[tuple[int, int]], start: int, end: int) -> None:
    bounds.extend((first, min(first + SENTENCE_CHARS_MAX, end)) for first in range(start, end, SENTENCE_CHARS_MAX))
