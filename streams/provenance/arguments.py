"""Arguments, leaf by leaf: how a leaf reads as a whole, and what is inside of it only for whoever asks.

**Idea.** Most leaves of a call are known as a whole, and then nobody asks what they are made of. So a leaf is read in
two steps. The first finds what `extract_arguments` marks with `whole_field`, and looks for shapes only if one can begin
where the leaf begins. The second finds the machine-shaped values inside of it and those in its disguises. Words inside
of an argument are not looked for: they are alike in all texts, and no rule reads them.

**Rejected.** To remember how texts were read before: the arguments of one user would push out those of others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from streams.provenance.extract import AROUND, ATOMS_MAX, field_name, mailbox_in, of_thing
from streams.provenance.found import AtomKind, Found
from streams.provenance.leaves import leaves_of
from streams.provenance.numbers import numeric_at, plain_number
from streams.provenance.origins import SHAPED
from streams.provenance.readings import is_ordinary, readings_of
from streams.provenance.shapes import Shape, may_begin_at, shapes_in
from streams.provenance.words import LETTERS_MIN, TEXT_CHARS_MAX, text_value, typeset_plainly

_SPACE = re.compile(r"\s")
_SHORT_NUMBER_CHARS_MAX = 6
_TEXT = AtomKind.TEXT


class Argument:
    """A leaf of a call's arguments.

    Attributes:
        value: the leaf.
        pointer: the JSON pointer that leads to it.
        wholes: how all of it reads; nothing if it proves nothing, such as a word of three letters.
        complete: whether everything was read that was asked for so far; bounds can cut it.
    """

    __slots__ = ("_field", "_is_field", "_is_word", "_shapes", "_text", "complete", "pointer", "value", "wholes")

    def __init__(self, value: str | int | float, pointer: str, field: str, *, is_field: bool) -> None:
        self.value = value
        self.pointer = pointer
        self.complete = True
        self._field = field
        self._is_field = is_field
        self._is_word = False
        self._text = ""
        self._shapes: list[Shape] | None = None
        self.wholes = self._read_text(value) if isinstance(value, str) else self._read_number(plain_number(value))

    def parts(self) -> list[Found]:
        """Return the machine-shaped values inside of the leaf, each once: first those in it, then those in disguise."""
        if not self._text:
            return []
        seen = {(whole.kind, whole.value) for whole in self.wholes}
        parts: list[Found] = []
        for shape, decoded in self._all_shapes():
            kind, value = shape.kind, shape.value
            if kind in SHAPED and value and (kind, value) not in seen:
                seen.add((kind, value))
                parts.append(Found(kind, value, self.pointer, decoded=decoded))
                if len(parts) >= ATOMS_MAX:
                    self.complete = False
                    break
        return parts

    @property
    def may_hold_addresses(self) -> bool:
        """Whether an address of the network can be inside of the leaf; quicker than to find out which ones."""
        return bool(self._text) and ("/" in self._text or not self._is_word or not is_ordinary(self._text))

    def _all_shapes(self) -> Iterator[tuple[Shape, bool]]:
        """Yield the shapes of the text, then those of its readings, and whether they were found in a reading."""
        for shape in self._own_shapes():
            yield shape, False
        if self._is_word and is_ordinary(self._text):
            return
        for reading in readings_of(str(self.value)):
            for shape in self._shapes_of(reading.text, ""):
                yield shape, True

    def _own_shapes(self) -> list[Shape]:
        if self._shapes is None:
            self._shapes = self._shapes_of(self._text, self._field)
        return self._shapes

    def _shapes_of(self, text: str, field: str) -> list[Shape]:
        shapes, are_all = shapes_in(text, field=field, loose=True)
        self.complete = self.complete and are_all
        return shapes

    def _read_text(self, value: str) -> list[Found]:
        if self._is_field and _is_plain_word(value):
            self._text, self._is_word = value, True
            return _plain_word(value, self.pointer)
        text = typeset_plainly(value)
        stripped = text.strip(AROUND)
        if not stripped and (not text or text.isspace()):
            return []
        self._text = text
        if not self._is_field:
            return []
        is_short = len(text) <= TEXT_CHARS_MAX
        self._is_word = is_short and _SPACE.search(text) is None
        first = text.find(stripped)
        last = first + len(stripped)
        mailbox = None if self._is_word else mailbox_in(text, stripped)
        if mailbox is not None:
            # The name says nothing about where a mail goes: all of the value is its address.
            first += mailbox.start(1)
        wholes = self._wholes_between(first, last) if mailbox is not None or may_begin_at(text, first) else []
        if not wholes and is_short and (words := text_value(stripped)):
            return [Found(_TEXT, words, self.pointer, whole_field=True)]
        return wholes

    def _wholes_between(self, first: int, last: int) -> list[Found]:
        # What is a part in one place and all of the leaf in another is a part, as `extract_arguments` has it.
        found: dict[tuple[AtomKind, str], bool] = {}
        for shape in self._own_shapes():
            is_whole = shape.start <= first and shape.end >= last and not shape.part
            value = text_value(shape.value) if shape.kind is _TEXT else shape.value
            if value:
                found.setdefault((shape.kind, value), is_whole)
        return [Found(kind, value, self.pointer, whole_field=True) for (kind, value), whole in found.items() if whole]

    def _read_number(self, text: str) -> list[Found]:
        readings: tuple[tuple[AtomKind, str], ...]
        numeric = numeric_at(text, 0, field=self._field, loose=True) if len(text) <= _SHORT_NUMBER_CHARS_MAX else None
        if numeric is not None and numeric.end == len(text):
            readings = numeric.readings + numeric.parts
        else:
            readings = tuple((shape.kind, shape.value) for shape in self._shapes_of(text, self._field))
        return [Found(kind, value, self.pointer, self._is_field) for kind, value in dict.fromkeys(readings)]


def arguments_in(values: Mapping[str, Any], thing: str = "") -> tuple[list[Argument], bool]:
    """Return the leaves of a call's arguments, and whether these are all; bounds can cut them.

    Args:
        values: the arguments.
        thing: what an argument that is only called `id` names, if that is known: from the tool's name.
    """
    arguments: list[Argument] = []
    found = 0
    for leaf in leaves_of(values):
        field = field_name(of_thing(leaf, thing)) if leaf.is_field else ""
        argument = Argument(leaf.value, leaf.path, field, is_field=leaf.is_field)
        arguments.append(argument)
        found += len(argument.wholes)
        if leaf.is_cut or found >= ATOMS_MAX:
            return arguments, False
    return arguments, True


def extract_part(text: str) -> list[Found]:
    """Return the readings of all of a text that is a part of an argument: those of a leaf without a name."""
    return _plain_word(text, "") if _is_plain_word(text) else Argument(text, "", "", is_field=True).wholes


def _is_plain_word(text: str) -> bool:
    return text.isalpha() and text.isascii() and len(text) <= TEXT_CHARS_MAX


def _plain_word(text: str, pointer: str) -> list[Found]:
    """Return how a word of plain letters reads: it has no shape."""
    return [Found(_TEXT, text.lower(), pointer, whole_field=True)] if len(text) >= LETTERS_MIN else []
