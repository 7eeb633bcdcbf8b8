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

import msgspec

from streams.provenance.atoms.decimals import plain_number
from streams.provenance.atoms.found import AtomKind, Found, Shape, kind_of_words
from streams.provenance.atoms.numbers import short_number
from streams.provenance.atoms.shapes import may_begin_at, shapes_in
from streams.provenance.atoms.usual_forms import usual_path, usual_value
from streams.provenance.contents.leaves import SAYS_NOTHING, Leaf, flat_fields, leaves_of
from streams.provenance.contents.readings import is_ordinary, is_prose, readings_of
from streams.provenance.extraction.collected import ATOMS_MAX
from streams.provenance.extraction.extract import AROUND, field_name, mailbox_in
from streams.provenance.pointers import last_name
from streams.provenance.sources.origins import SHAPED, Look
from streams.provenance.words import (
    LETTERS_MIN,
    TEXT_CHARS_MAX,
    named_shortly,
    names_a_country,
    short_value,
    text_value,
    typeset_plainly,
)

_SPACE = re.compile(r"\s")
_TEXT, _PATH = AtomKind.TEXT, AtomKind.PATH


class Argument(msgspec.Struct, gc=False):
    """A leaf of a call's arguments.

    Attributes:
        value: the leaf.
        pointer: the JSON pointer that leads to it.
        wholes: how all of it reads; nothing if it proves nothing, such as a word of three letters.
        complete: whether everything was read that was asked for so far; bounds can cut it.
        text: the leaf as it is searched for values; empty for a number, and for what says nothing.
        is_usual: whether it is a word of letters, an address or an id of a usual form, and nothing else.
    """

    value: str | int | float
    pointer: str
    wholes: list[Found]
    complete: bool = True
    text: str = ""
    _is_word: bool = False
    is_usual: bool = False
    _name: str = ""
    _around: str = ""
    _shapes: list[Shape] | None = None

    def parts(self) -> list[Found]:
        """Return the machine-shaped values inside of the leaf, each once: first those in it, then those in disguise."""
        if not self.text or is_prose(self.text):
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
        return bool(self.text) and ("/" in self.text or not self._is_word or not is_ordinary(self.text))

    @property
    def may_hold_hosts(self) -> bool:
        """Whether the name of a host, or an address with one, can be inside of the leaf; quicker than to find out."""
        text = self.text
        return "." in text or "://" in text or not text.isascii()

    def _all_shapes(self) -> Iterator[tuple[Shape, bool]]:
        """Yield the shapes of the text, then those of its readings, and whether they were found in a reading."""
        for shape in self._own_shapes():
            yield shape, False
        if self._is_word and is_ordinary(self.text):
            return
        for reading in readings_of(str(self.value)):
            for shape in self._shapes_of(reading.text, ""):
                yield shape, True

    def _own_shapes(self) -> list[Shape]:
        if self._shapes is None:
            self._shapes = self._shapes_of(self.text, field_name(self._name, self._around))
        return self._shapes

    def _shapes_of(self, text: str, field: str) -> list[Shape]:
        shapes, are_all = shapes_in(text, field=field, loose=True)
        self.complete = self.complete and are_all
        return shapes

    def wholes_between(self, first: int, last: int) -> list[Found]:
        """Return the values that fill the leaf from its first character to its last one."""
        # What is a part in one place and all of the leaf in another is a part, as `extract_arguments` has it.
        found: dict[tuple[AtomKind, str], bool] = {}
        for shape in self._own_shapes():
            is_whole = shape.start <= first and shape.end >= last and not shape.part
            value = text_value(shape.value) if shape.kind is _TEXT else shape.value
            if value:
                found.setdefault((shape.kind, value), is_whole)
        return [Found(kind, value, self.pointer, True) for (kind, value), whole in found.items() if whole]


def _read_leaf(leaf: Leaf, thing: str) -> Argument:
    """Return a leaf of a call's arguments, read as a whole. One that belongs to no structure has no such reading."""
    value, pointer = leaf.value, leaf.path
    if isinstance(value, str):
        if leaf.is_field:
            return _read_text(value, pointer, leaf.name, thing or leaf.outer)
        text = typeset_plainly(value)
        return Argument(value, pointer, [], True, "" if text.isspace() else text)
    field = field_name(leaf.name, thing or leaf.outer) if leaf.is_field else ""
    return _read_number(value, pointer, field, is_field=leaf.is_field)


def _read_text(value: str, pointer: str, name: str, around: str) -> Argument:
    """Return a text that is a field, read as a whole.

    Args:
        value: the text.
        pointer: the JSON pointer that leads to it.
        name: that of the innermost field around it.
        around: what an `id` names; empty if that is not known.
    """
    usual = None if " " in value else usual_reading(value)
    if usual is None:
        return _read_unusual(value, pointer, name, around)
    # What names such a value says nothing about it, as it says what a number is.
    kind, reading = usual
    wholes = [Found(kind, reading, pointer, True)] if reading else []
    return Argument(value, pointer, wholes, True, value, len(value) <= TEXT_CHARS_MAX, value[:1] != "/")


def _read_unusual(value: str, pointer: str, name: str, around: str) -> Argument:
    text = value if value.isascii() else typeset_plainly(value)
    stripped = text.strip(AROUND)
    if not stripped and (not text or text.isspace()):
        return Argument(value, pointer, [])
    is_short = len(text) <= TEXT_CHARS_MAX
    is_word = is_short and " " not in text and _SPACE.search(text) is None
    argument = Argument(value, pointer, [], True, text, is_word, False, name, around)
    first = 0 if stripped is text else text.find(stripped)
    last = first + len(stripped)
    # An address behind a display name ends with a sign that is stripped.
    mailbox = None if is_word or ">" not in text else mailbox_in(text, stripped)
    if mailbox is not None:
        # The name says nothing about where a mail goes: all of the value is its address.
        first += mailbox.start(1)
    if mailbox is not None or may_begin_at(text, first):
        argument.wholes = argument.wholes_between(first, last)
    if not argument.wholes and is_short and (words := text_value(stripped)):
        argument.wholes = [Found(_TEXT, words, pointer, True)]
    return argument


def _read_number(value: int | float, pointer: str, field: str, *, is_field: bool) -> Argument:
    text = plain_number(value)
    readings = short_number(text, field)
    if readings is None:
        shapes, are_all = shapes_in(text, field=field, loose=True)
        readings = [(shape.kind, shape.value) for shape in shapes]
    else:
        are_all = True
    if len(readings) == 1:
        ((kind, reading),) = readings
        return Argument(value, pointer, [Found(kind, reading, pointer, is_field)], are_all)
    wholes = [Found(kind, reading, pointer, is_field) for kind, reading in dict.fromkeys(readings)]
    return Argument(value, pointer, wholes, are_all)


def arguments_in(values: Mapping[str, Any], thing: str = "") -> tuple[list[Argument], bool]:
    """Return the leaves of a call's arguments, and whether these are all; bounds can cut them.

    Args:
        values: the arguments.
        thing: what an argument that is only called `id` names, if that is known: from the tool's name.
    """
    flat = flat_fields(values) if type(values) is dict else None
    if flat is None:
        return _nested_arguments(values, thing)
    arguments: list[Argument] = []
    found = 0
    for pointer, (name, value) in flat:
        if type(value) is str:
            argument = _read_text(value, pointer, name, thing)
        elif type(value) in SAYS_NOTHING:
            continue
        else:
            argument = _read_number(value, pointer, field_name(name, thing), is_field=True)
        arguments.append(argument)
        found += len(argument.wholes)
        if found >= ATOMS_MAX:
            return arguments, False
    return arguments, True


def _nested_arguments(values: Mapping[str, Any], thing: str) -> tuple[list[Argument], bool]:
    arguments: list[Argument] = []
    found = 0
    for leaf in leaves_of(values):
        argument = _read_leaf(leaf, thing)
        arguments.append(argument)
        found += len(argument.wholes)
        if leaf.is_cut or found >= ATOMS_MAX:
            return arguments, False
    return arguments, True


def short_reading(argument: Argument, look: Look) -> list[Found]:
    """Return how a leaf reads that is a short name or id. It counts only where somebody or something is named.

    What nothing has shown is missed only under a name that short values are kept of: a `size` may be in any record.
    The code of a country is not missed: whoever dictates an address leaves it out, and it alone moves nothing.
    """
    value, name = argument.value, last_name(argument.pointer)
    short = short_value(value) if isinstance(value, str) else ""
    if not short:
        return []
    kind = kind_of_words(short)
    is_known = look(kind, short) is not None or (bool(named_shortly(short, name)) and not names_a_country(name))
    return [Found(kind, short, argument.pointer, True)] if is_known else []


def extract_part(text: str) -> list[Found]:
    """Return the readings of all of a text that is a part of an argument: those of a leaf without a name."""
    usual = usual_reading(text)
    if usual is None:
        return extract_unusual(text)
    kind, value = usual
    return [Found(kind, value, "", True)] if value else []


def extract_unusual(text: str) -> list[Found]:
    """Return the readings of all of a part that has no `usual_reading`."""
    return _read_unusual(text, "", "", "").wholes


def usual_reading(text: str) -> tuple[AtomKind, str] | None:
    """Return how all of a text reads that is a word of letters, or an address, an id or a path of a usual form.

    It has no other reading. Of a word that proves nothing, the value is empty. None for any other text.
    """
    if " " in text:
        return None
    if text.isalpha() and text.isascii() and len(text) <= TEXT_CHARS_MAX:
        return _TEXT, (text.lower() if len(text) >= LETTERS_MIN else "")
    usual = usual_value(text)
    if usual is None and text[:1] == "/" and (path := usual_path(text)) is not None:
        return _PATH, path
    return usual
