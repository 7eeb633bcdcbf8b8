"""What is found in a content or in the arguments of a call, before it becomes a digest."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec

from streams.provenance.words import LETTERS_MIN


class AtomKind(StrEnum):
    """The kind of a value. Values of different kinds never match, even if they are spelled alike."""

    ADDRESS = "address"
    """An e-mail address, a handle or another address of a mailbox."""
    URL = "url"
    HOST = "host"
    PHONE = "phone"
    ACCOUNT = "account"
    """An account or card number, such as an IBAN."""
    PATH = "path"
    ID = "id"
    """An identifier with the shape of a machine's: a UUID, `INV-2041`."""
    TOKEN = "token"  # noqa: S105 - the kind of a value, not a secret
    """A long run of letters and digits, such as a key or a hash."""
    AMOUNT = "amount"
    NUMBER = "number"
    """A short number together with the kind of thing that it counts or names: `order 17`."""
    DATE = "date"
    TEXT = "text"
    """A whole field, or a few words in a row, that have no other kind."""
    SHORT = "short"
    """A name of two or three letters, where somebody or something is named: `dev`, `Bob`."""


WHOLE_KINDS = frozenset(
    (AtomKind.ADDRESS, AtomKind.URL, AtomKind.HOST, AtomKind.ACCOUNT, AtomKind.PATH, AtomKind.ID, AtomKind.TOKEN)
)
"""Kinds of values with a shape that mean one thing as a whole, so that their words mean nothing."""
REACHES = frozenset((AtomKind.ADDRESS, AtomKind.PHONE, AtomKind.ACCOUNT))
"""Kinds of values by which somebody is reached."""


class Found(msgspec.Struct, frozen=True, gc=False):
    """A value in a content or in arguments.

    Attributes:
        kind: its kind.
        value: its canonical form, which is what the digest covers.
        path: the JSON pointer of the leaf that holds it; empty if the content is one text.
        whole_field: whether the leaf holds nothing else and belongs to a structure.
        decoded: whether it was found only after a disguise was undone.
        calls_for: what the instructions in its sentence, and in those beside it, call for: a set of bits of
            `streams.provenance.acts.calls`, empty if there are none.
    """

    kind: AtomKind
    value: str
    path: str = ""
    whole_field: bool = False
    decoded: bool = False
    calls_for: int = 0

    @property
    def instructed(self) -> bool:
        """Whether its sentence, or one beside it, reads like an instruction."""
        return self.calls_for != 0


class Shape(msgspec.Struct, frozen=True, gc=False):
    """A value in a text: its kind, its canonical form, and where it is. A part is inside of another value."""

    kind: AtomKind
    value: str
    start: int
    end: int
    part: bool = False


Readings = tuple[tuple[AtomKind, str], ...]


class Numeric(NamedTuple):
    """A number in a text: what it can mean, and where it is. Of `parts`, each leaves something out."""

    readings: Readings
    start: int
    end: int
    parts: Readings = ()


class Extraction(msgspec.Struct, frozen=True, gc=False):
    """All values of a content.

    Attributes:
        found: the values, in the order of the content, each once per path.
        complete: whether these are all, but perhaps for some of kind `TEXT`; bounds can cut them.
        lacks_words: whether values of kind `TEXT` are missing.
        has_text: whether a leaf holds free text.
        instructed: whether any sentence of that reads like an instruction.
    """

    found: tuple[Found, ...] = ()
    complete: bool = True
    has_text: bool = False
    instructed: bool = False
    lacks_words: bool = False

    @property
    def has_all(self) -> bool:
        """Whether no value is missing, nor any words."""
        return self.complete and not self.lacks_words

    @property
    def lacks_words_only(self) -> bool:
        """Whether values are missing, and all of these are words."""
        return self.complete and self.lacks_words


def kind_of_words(words: str) -> AtomKind:
    """Return the kind of words in canonical form that have no shape."""
    return AtomKind.SHORT if len(words) < LETTERS_MIN and words.isalpha() and words.isascii() else AtomKind.TEXT
