"""Extraction: the values of a content, or of the arguments of a call, in canonical form.

SDK and gate use the same functions, so that the same value has the same digest on both sides. Everything is bounded:
what is cut is reported as not complete, and the reader then expects the worst.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from itertools import islice
from typing import Any

import msgspec

from streams.provenance.acts.calls import INCLUDE
from streams.provenance.atoms.arithmetic import numbers_in_words, results_in
from streams.provenance.atoms.decimals import plain_number
from streams.provenance.atoms.found import WHOLE_KINDS, AtomKind, Extraction, Shape, kind_of_words
from streams.provenance.atoms.groups import in_ascii_letters, joined_groups
from streams.provenance.atoms.ids_and_files import backwards
from streams.provenance.atoms.numbers import ORDERED, WORKED_OUT
from streams.provenance.atoms.relative_days import days_said
from streams.provenance.atoms.shapes import shapes_in
from streams.provenance.atoms.spans import joined_words, names, quoted, without_stop_words
from streams.provenance.contents.formats import content_leaves
from streams.provenance.contents.leaves import Leaf, leaves_of
from streams.provenance.contents.readings import is_ordinary, readings_of
from streams.provenance.extraction.collected import GRAM_WORDS_MAX, Collected
from streams.provenance.extraction.hidden_words import read_hidden_words
from streams.provenance.instructions.dictated import dictated, may_dictate
from streams.provenance.instructions.order_words import IMPERATIVES
from streams.provenance.instructions.sentences import INSTRUCTIONS_READ_MAX, Sentence, sentences_in
from streams.provenance.instructions.worked_out import says_how_to_work_out
from streams.provenance.requests.excluded import excluded_in
from streams.provenance.requests.given_names import GIVEN, given_name
from streams.provenance.requests.tied import tied_in
from streams.provenance.words import (
    TEXT_CHARS_MAX,
    UNTYPED,
    short_value,
    text_value,
    thing_of,
    typeset_plainly,
    with_one_digit,
)

replace = msgspec.structs.replace
CONTENT_CHARS_MAX = 262_144
"""How much of a content is read. What is longer than that is more than a model reads well, and counts as cut."""
IN_WORDS_PATH = "/in-words"
"""Where numbers are that a user's message says in words: "five hours" says a number, and hardly ever an amount."""
EXCLUDED_PATH = "/excluded"
"""Where what a user's message leaves out ("not to Eve") is once more, besides its place among all that he names."""
TIED_PATH = "/tied/"
"""What begins the path of a value with the acts beside which a user's message names it; their bits follow
(`streams.provenance.requests.tied`)."""
DAYS_PATH = "/days"
"""Where the days are that a user's message says by how far they are away (`streams.provenance.atoms.relative_days`)."""
_TWO = "2"
"""Who writes about "the two of them" or "two halves" wants no number set."""
_WORDS_OF_TEXT_MIN = 7
_SMALL_WORDS_OF_TEXT_MIN = 3

_TEXT = AtomKind.TEXT
AROUND = " \t\r\n\"'<>()[]"
"""Signs around a value that do not belong to it."""
_POSSESSIVE = re.compile(r"(?<=\w)['\u2019]s\b")
"""Who speaks of "Kim Lee's account" has named Kim Lee."""
_SPACE = re.compile(r"\s")
_SMALL_WORD = re.compile(r"(?<!\S)[^\W\d_A-Z]{2,30}(?=[\s,.;:!?]|\Z)")
_ANY_WORD = re.compile(r"[^\W\d_]{2,40}")
_MAILBOX = re.compile(r"[^<>@;\n]{1,100}<\s?([^\s<>@,;]{1,64}@[^\s<>@,;]{1,255})\Z")
"""An address behind its display name, as headers of mails have it; the bracket at the end is cut off before."""


def extract_content(content: str, content_type: str | None = None, *, with_calls: bool = True) -> Extraction:
    """Return the values of a content that a tool returned or that was retrieved.

    Args:
        content: the content as the agent reads it.
        content_type: its media type, if that is known; without it, its form is recognised.
        with_calls: whether it matters what instructions call for. If not, all of them call for what is not known.
    """
    collected = Collected(calls_max=INSTRUCTIONS_READ_MAX if with_calls else 0)
    is_cut = len(content) > CONTENT_CHARS_MAX
    if is_cut:
        content, collected.complete = content[:CONTENT_CHARS_MAX], False
    for leaf in content_leaves(content, content_type, is_cut=is_cut):
        _read_leaf(leaf, collected)
        if collected.is_full or leaf.is_cut:
            collected.complete = False
            break
    return collected.extraction()


def extract_message(content: str, *, with_ties: bool = True) -> Extraction:
    """Return the values of what the user says: also sequences of its words, every number as an amount, and what he has
    the agent work out of his own numbers.

    Args:
        content: the message.
        with_ties: whether to state beside which acts he names each (`streams.provenance.requests.tied`).
    """
    collected = Collected(by_user=True)
    if len(content) > CONTENT_CHARS_MAX:
        content, collected.complete = content[:CONTENT_CHARS_MAX], False
    _read_leaf(Leaf(content), collected)
    # Names are written so, and not whole sentences.
    collected.gram_words_max = GRAM_WORDS_MAX
    for plain in dict.fromkeys((in_ascii_letters(content), _POSSESSIVE.sub("", content))):
        if plain != content:
            _read_leaf(Leaf(plain), collected)
    for joined in joined_groups(content):
        _add_shapes(joined, Leaf(content), collected)
        collected.add(_TEXT, joined.lower(), Leaf(content), whole=False, decoded=False)
    for amount in results_in(content):
        collected.add(AtomKind.AMOUNT, amount, Leaf(content), whole=False, decoded=False)
    for amount in numbers_in_words(content):
        collected.add(AtomKind.AMOUNT, amount, Leaf(content, IN_WORDS_PATH), whole=False, decoded=False)
    for form in days_said(content, wanted=True):
        collected.add(AtomKind.DATE, form, Leaf(content, DAYS_PATH), whole=False, decoded=False)
    for excluded in excluded_in(content):
        _read_excluded(excluded, collected)
    for tied in tied_in(content) if with_ties else ():
        leaf = Leaf(content, f"{TIED_PATH}{tied.calls}")
        collected.add(tied.kind, tied.value, leaf, whole=False, decoded=False)
    return collected.extraction()


def _read_excluded(text: str, collected: Collected) -> None:
    """Read what the user leaves out. Neither the host of an address nor a single word of a name is left out with it."""
    leaf = Leaf(text, EXCLUDED_PATH)
    _add_shapes(text, leaf, collected)
    for form in days_said(text):
        collected.add(AtomKind.DATE, form, leaf, whole=False, decoded=False)
    if value := text_value(text) or short_value(text):
        collected.add(kind_of_words(value), value, leaf, whole=False, decoded=False)


def _add_shapes(text: str, leaf: Leaf, collected: Collected) -> None:
    """Add what in a text of the user has a shape, without its parts."""
    for shape in shapes_in(text, loose=True)[0]:
        if shape.kind in WHOLE_KINDS and not shape.part:
            collected.add(shape.kind, shape.value, leaf, whole=False, decoded=False)


def extract_arguments(values: Mapping[str, Any], thing: str = "") -> Extraction:
    """Return the values of a call's arguments.

    The values of a leaf with `whole_field` are readings of all of it: if any of them is known, the leaf is. The others
    are parts of it; so is what was found by undoing a disguise, because a leaf that looks like what the user named is
    not that. A leaf without a value (a flag, a word of three letters) proves nothing and accuses nobody.

    Args:
        values: the arguments.
        thing: what an argument that is only called `id` names, if that is known: from the tool's name.
    """
    collected = Collected(in_arguments=True)
    for leaf in leaves_of(values):
        _read_leaf(of_thing(leaf, thing), collected)
        if collected.is_full or leaf.is_cut:
            collected.complete = False
            break
    return collected.extraction()


def of_thing(leaf: Leaf, thing: str) -> Leaf:
    """Return a leaf of arguments with what its `id` names, if that is known from the tool's name."""
    return replace(leaf, outer=thing) if thing and thing_of(leaf.name) == UNTYPED else leaf


def _read_leaf(leaf: Leaf, collected: Collected) -> None:
    if not isinstance(leaf.value, str):
        _read_number(leaf, collected)
        return
    text = typeset_plainly(leaf.value)
    if not text or text.isspace():
        return
    if len(text) <= TEXT_CHARS_MAX and leaf.is_field and _SPACE.search(text) is None:
        _read_word(text, leaf, collected)
        if is_ordinary(text):
            return
    else:
        _read_text(text, leaf, collected)
    for reading in () if collected.is_full else readings_of(leaf.value):
        if collected.is_full:
            return
        # INVARIANT: no reading of a disguised argument is a reading of all of it; see `extract_arguments`.
        is_field = leaf.is_field and reading.is_whole and not collected.in_arguments
        held = replace(leaf, is_field=is_field)
        _read_text(reading.text, held, collected, decoded=True, with_words=reading.has_words)


def _read_word(text: str, leaf: Leaf, collected: Collected) -> None:
    """Read a field without a space in it: it has no sentence, and is a value as a whole or not at all."""
    shapes, _ = shapes_in(text, field=field_name(leaf.name, leaf.outer), loose=collected.loose)
    first, last = 0, len(text)
    if text[0] in AROUND or text[-1] in AROUND:
        first, last = last - len(text.lstrip(AROUND)), len(text.rstrip(AROUND))
    is_shaped = False
    for shape in shapes:
        value = text_value(shape.value) if shape.kind is AtomKind.TEXT else shape.value
        if value:
            whole = shape.start <= first and shape.end >= last and not shape.part
            is_shaped = is_shaped or whole
            collected.add(shape.kind, value, leaf, whole=whole, decoded=False)
    if not is_shaped and (value := text_value(text) or collected.short_name(text, leaf)):
        collected.add(kind_of_words(value), value, leaf, whole=True, decoded=False)


def _read_number(leaf: Leaf, collected: Collected) -> None:
    text = plain_number(leaf.value)  # type: ignore[arg-type]  # texts are read elsewhere
    for shape in shapes_in(text, field=field_name(leaf.name, leaf.outer), loose=collected.loose)[0]:
        collected.add(shape.kind, shape.value, leaf, whole=True, decoded=False)


def field_name(name: str, around: str) -> str:
    """Return the name that says what a number in a field names: its own, or with `id` what is around it.

    Args:
        name: that of the field.
        around: what an `id` names: the name around the field, or the thing of the tool; empty if nothing is known.
    """
    return f"{around} id" if around and thing_of(name) == UNTYPED else name


class _TextReader:
    """Adds the values of one text, with what the sentences around them call for.

    Attributes:
        sentences: of the text; none of arguments: what the model writes is judged by where it goes.
        called: what they call for together.
        is_shaped: whether all of the text is a value of its own.
    """

    def __init__(self, text: str, leaf: Leaf, collected: Collected, *, decoded: bool) -> None:
        self.sentences = [] if collected.in_arguments else _sentences_of(text, collected)
        self.called = 0
        for sentence in self.sentences:
            self.called |= sentence.calls_for
        self.is_shaped = False
        self._starts = [sentence.start for sentence in self.sentences]
        self._calls = [sentence.calls_for for sentence in self.sentences]
        self._said: set[tuple[str, int]] = set()
        self._leaf, self._collected, self._decoded = leaf, collected, decoded
        self.stripped = text.strip(AROUND)
        self._first = text.find(self.stripped)
        self._last = self._first + len(self.stripped)
        if leaf.is_field and (mailbox := mailbox_in(text, self.stripped)) is not None:
            # The name says nothing about where a mail goes: all of the value is its address.
            self._first += mailbox.start(1)

    @property
    def is_done(self) -> bool:
        """Whether further values change nothing: none has room, and no sentence says more of those that are known."""
        return self._collected.is_full and not self.called

    def add_shapes(self, shapes: list[Shape]) -> bool:
        """Add values; return whether that is enough."""
        collected, leaf, decoded = self._collected, self._leaf, self._decoded
        for shape in shapes:
            value = text_value(shape.value) if shape.kind is _TEXT else shape.value
            if not value:
                continue
            whole = shape.start <= self._first and shape.end >= self._last and not shape.part
            self.is_shaped = self.is_shaped or whole
            calls_for = self.calls_at(shape.start) if self.called else 0
            collected.add(shape.kind, value, leaf, whole=whole, decoded=decoded, calls_for=calls_for)
            if calls_for and (other := backwards(shape)) is not None:
                collected.add(other.kind, other.value, leaf, whole=False, decoded=True, calls_for=calls_for)
        return self.is_done

    def add_words(self, place: int, words: str) -> None:
        """Add what words at a place say."""
        calls_for = self.calls_at(place) if self.called else 0
        if (words, calls_for) in self._said or (self._collected.is_full and not calls_for):
            return
        self._said.add((words, calls_for))
        if value := text_value(words):
            collected, leaf, decoded = self._collected, self._leaf, self._decoded
            collected.add(AtomKind.TEXT, value, leaf, whole=False, decoded=decoded, calls_for=calls_for)

    def add_dictated(self, words: str, calls_for: int) -> None:
        """Add words that an instruction wants to have written, as it calls for."""
        if value := text_value(words):
            collected, leaf, decoded = self._collected, self._leaf, self._decoded
            collected.add(_TEXT, value, leaf, whole=False, decoded=decoded, calls_for=calls_for | INCLUDE)

    def add_whole(self) -> None:
        """Add all of a field that has no shape."""
        collected, leaf = self._collected, self._leaf
        value = text_value(self.stripped) or collected.short_name(self.stripped, leaf)
        if value:
            kind = kind_of_words(value)
            collected.add(kind, value, leaf, whole=True, decoded=self._decoded, calls_for=self.called)

    def calls_at(self, place: int) -> int:
        """Return what the sentence at a place, and those beside it, call for."""
        return self._calls[max(0, bisect_right(self._starts, place) - 1)] if self._calls else 0


def _sentences_of(text: str, collected: Collected) -> list[Sentence]:
    """Return the sentences of a text. Fields of records often say the same with other digits."""
    if len(text) > TEXT_CHARS_MAX:
        return sentences_in(text, collected.calls_max)
    alike = with_one_digit(text)
    found = collected.sentences.get(alike)
    if found is None:
        found = collected.sentences[alike] = sentences_in(text, collected.calls_max)
    return found


def _read_text(text: str, leaf: Leaf, collected: Collected, *, decoded: bool = False, with_words: bool = True) -> None:
    reader = _TextReader(text, leaf, collected, decoded=decoded)
    flagged = reader.called != 0
    collected.instructed = collected.instructed or flagged
    collected.has_text = collected.has_text or flagged or not leaf.is_field or _is_free_text(text)
    field = field_name(leaf.name, leaf.outer) if leaf.is_field else ""
    ordered_at = reader.calls_at if flagged else None
    shapes, are_all = shapes_in(
        text, field=field, loose=collected.loose, is_ordered_at=ordered_at, take=reader.add_shapes
    )
    collected.complete = collected.complete and are_all
    if leaf.is_field and not reader.is_shaped and len(text) <= TEXT_CHARS_MAX:
        reader.add_whole()
        if not collected.loose and not decoded and (given := given_name(reader.stripped, leaf.name)):
            below = replace(leaf, path=f"{leaf.path}/{GIVEN}")
            collected.add(kind_of_words(given), given, below, whole=True, decoded=False)
    if with_words and not reader.is_done:
        _read_words(_without_shapes(text, shapes), leaf, collected, reader, decoded=decoded)
        if not collected.by_user:
            for sentence in reader.sentences:
                # Where nothing has room, the words that are known keep what is known of them.
                if sentence.instructs and not collected.is_full:
                    read_hidden_words(text[sentence.start : sentence.end], leaf, collected, sentence.calls_for)


def mailbox_in(text: str, stripped: str) -> re.Match[str] | None:
    """Return the address behind a display name that a text is, or None. `stripped` is without the signs around it."""
    return _MAILBOX.match(stripped) if text.rstrip()[-1:] == ">" and len(stripped) <= TEXT_CHARS_MAX else None


def _without_shapes(text: str, shapes: list[Shape]) -> str:
    """Return the text with line ends in the place of each value that is known as a whole.

    So it is not taken apart into words, which would mean nothing. A number with its unit can be an id, but its words
    mean something."""
    pieces = []
    position = 0
    amounts = {shape.start for shape in shapes if shape.kind is AtomKind.AMOUNT}
    for shape in shapes:
        if shape.kind in WHOLE_KINDS and not shape.part and shape.start >= position and shape.start not in amounts:
            pieces.append(text[position : shape.start] + "\n" * (shape.end - shape.start))
            position = shape.end
    return "".join(pieces) + text[position:]


def _is_free_text(text: str) -> bool:
    return _holds(_SMALL_WORD, text, _SMALL_WORDS_OF_TEXT_MIN) or _holds(_ANY_WORD, text, _WORDS_OF_TEXT_MIN)


def _holds(pattern: re.Pattern[str], text: str, count: int) -> bool:
    """Return whether a text holds a pattern at least `count` times; what comes after that is not read."""
    return next(islice(pattern.finditer(text), count - 1, None), None) is not None


def _read_words(text: str, leaf: Leaf, collected: Collected, reader: _TextReader, *, decoded: bool) -> None:
    """Add what is quoted, what is written with capitals, and sequences of words that matter."""
    starts = frozenset([sentence.start for sentence in reader.sentences] or (0,))
    for is_quoted, spans in ((True, quoted(text)), (False, names(text, starts))):
        for place, span in spans:
            reader.add_words(place, without_stop_words(span))
            if is_quoted and (collected.by_user or reader.calls_at(place)):
                # Who quotes a title means all of it: "The new plan" is not the record that is called "New plan". And
                # who dictates a text wants all of its words: "Post: 'I am leaving'".
                reader.add_words(place, span)
        if reader.is_done:
            return
    if collected.by_user:
        _read_grams(text, leaf, collected, decoded=decoded)
        return
    if collected.in_arguments:
        return
    for place, words in joined_words(text):
        # Packages, branches and channels have such names.
        reader.add_words(place, words)
    dictates = reader.called != 0 and may_dictate(text)
    for sentence in reader.sentences:
        if sentence.instructs:
            said = text[sentence.start : sentence.end]
            _read_grams(said, leaf, collected, decoded=decoded, calls_for=sentence.calls_for)
            _read_said(said, leaf, collected, decoded=decoded, calls_for=sentence.calls_for)
            for words in dictated(said) if dictates else ():
                reader.add_dictated(words, sentence.calls_for)


def _read_said(order: str, leaf: Leaf, collected: Collected, *, decoded: bool, calls_for: int) -> None:
    """Add the days and numbers that an order says in words, and that it says how a number is worked out."""
    for form in days_said(order) if collected.may_say_days(order) else ():
        collected.add(AtomKind.DATE, form, leaf, whole=False, decoded=decoded, calls_for=calls_for)
    for number in numbers_in_words(order):
        if number == _TWO:
            continue
        collected.add(AtomKind.NUMBER, f"{ORDERED}:{number}", leaf, whole=False, decoded=decoded, calls_for=calls_for)
    if says_how_to_work_out(order):
        collected.add(AtomKind.NUMBER, WORKED_OUT, leaf, whole=False, decoded=decoded, calls_for=calls_for)


def _read_grams(text: str, leaf: Leaf, collected: Collected, *, decoded: bool, calls_for: int = 0) -> None:
    if collected.words_left <= 0 and collected.lacks_words:
        return
    # There is a line end in the place of each character of a value.
    for line in filter(None, text.split("\n")):
        for gram in collected.grams_of(line):
            if gram in IMPERATIVES and not collected.by_user:
                continue
            collected.looks_left -= 1
            if collected.looks_left < 0:
                collected.lacks_words = True
                return
            # What is there already needs no room, such as most of a letter's second reading without its accents.
            kind = kind_of_words(gram)
            if collected.words_left <= 0 and not collected.has(kind, gram, leaf):
                collected.lacks_words = True
                return
            collected.add(kind, gram, leaf, whole=False, decoded=decoded, calls_for=calls_for)
