"""Follow private data to where they go: what a call passes on, who may see that, and who sees it then.

**Idea.** A right recipient and a trusted value are not enough: the number of an account that the user has asked about
is not for a public forum. So each event of a session keeps who may see its fields (the labels of the catalog). Then it
is known what a call carries beyond its sinks: machine-shaped values that only data with a narrower audience hold. What
the user has named is his to pass on. The address of a sink is not passed on, but what an agent has put into one is.

Who sees it follows from the catalog, too. A tool that reaches outside and whose results everybody may see (the label
of its output) is a public place; so is one that posts. Any other outward call goes to those that its sinks name. Labels
can name readers: then every sink must be one of them, or the subject himself.

**Rejected.** The label of the session as a whole: after the first mail everything would be private, and no page could
be opened. Words and amounts: they are alike in private and in public texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from urllib.parse import unquote

import msgspec

from streams.model.labels import WORST, Confidentiality, Label, bounded, join
from streams.model.verdict import ValueOrigin
from streams.processors.provenance.tools import ToolUse
from streams.provenance.acts.kinds import ActKind
from streams.provenance.atoms.found import Found
from streams.provenance.pointers import last_name
from streams.provenance.sources.memory import OTHER_PATH, Seen
from streams.provenance.sources.origins import SHAPED, Traced
from streams.provenance.tools.places import words_of
from streams.provenance.words import listed

AUDIENCES_MAX = 16
"""Audiences of one event. The fields of a further one count as private."""
READERS_BYTES_MAX = 1_024
"""The names of readers that are kept of a field. Of more, nobody may read it."""
PIECES_MAX = 32
"""Pieces of an address that are looked at."""
_PUBLIC = 0
_NUMBERS = {Confidentiality.PUBLIC: _PUBLIC, Confidentiality.PRIVATE: 1, Confidentiality.USER_IDENTITY: 2}
_PERSONAL = (
    *("passport", "iban account bank", "card credit debit cvv cvc", "ssn social security", "licence license driving"),
    *("birth birthday dob born", "insurance", "visa", "pesel nino bsn cpf"),
)
_PERSONAL_WORDS = {word: tuple(words.split()) for words in _PERSONAL for word in words.split()}
_NUMBER_WORDS = listed("number no nr num id value")
"""Words of a name that leave to the one around it what is numbered: `/passport/number`."""
_RECORDS = listed("account bank card credit debit")
"""What has an id of its own in a system: `card_id` is not the number on the card."""
_BETWEEN = re.compile(r"[/?#&=;@:]+")


class Audience(msgspec.Struct, frozen=True, array_like=True):
    """Who may see a field.

    Attributes:
        confidentiality: 0 if everybody may, else how private it is.
        readers: who may, if the catalog names them; None: whoever may at all.
    """

    confidentiality: int = 1
    readers: tuple[str, ...] | None = None

    @property
    def is_public(self) -> bool:
        """Whether everybody may see it."""
        return self.confidentiality == _PUBLIC and self.readers is None

    def admits(self, recipient: str) -> bool:
        """Return whether a recipient is one of the readers: by name, or by the domain of its address (`@acme.org`)."""
        if self.readers is None:
            return True
        name = recipient.strip().casefold()
        return any(
            name == reader.casefold() or (reader.startswith("@") and name.endswith(reader.casefold()))
            for reader in self.readers
        )


UNSTATED = Audience()
"""The audience of what nobody has labelled: it is not for everybody, and nobody has named its readers."""


def audience_of(stated: Label | None, claimed: Label | None) -> Audience:
    """Return who may see a field: what the catalog states, made worse by what the writer of the event claims."""
    if stated is None or stated == WORST:
        return UNSTATED
    label = stated if claimed is None else join(stated, bounded(claimed))
    readers = label.readers
    if readers is not None and sum(len(reader.encode()) for reader in readers) > READERS_BYTES_MAX:
        readers = ()
    return Audience(_NUMBERS[label.confidentiality], readers)


def leaves_readers(audiences: Iterable[Audience], recipients: Sequence[str] | None, *, is_outward: bool) -> bool:
    """Return whether data go to anybody who is not one of their readers.

    Args:
        audiences: of the data.
        recipients: what the sinks of the call name, without the subject; None if it has no sinks.
        is_outward: whether it reaches beyond the operator's systems: then, without sinks, nobody knows who gets it.
    """
    limited = [each for each in audiences if each.readers is not None]
    if recipients is None:
        return bool(limited) and is_outward
    return not all(each.admits(recipient) for each in limited for recipient in recipients)


def is_public_place(use: ToolUse, kind: str) -> bool:
    """Return whether everybody may see what a call writes: it goes outside, where all is public, or it is a post."""
    label = use.tool.entry.output_label
    if not use.is_outward:
        return False
    return kind == ActKind.POST or (label is not None and audience_of(label, None).is_public)


def is_passed_on(traced: Traced) -> bool:
    """Return whether a value of a call is one that data have shown, and not the user."""
    if traced.origin in (ValueOrigin.USER, ValueOrigin.NOWHERE):
        return False
    return not traced.flags & (Seen.USER | Seen.SUBJECT)


def personal_words(path: str) -> tuple[str, ...]:
    """Return the words with which people speak of what a field holds that identifies a person; none of another field.

    It goes by the name of the field, because a label that only states its integrity says nothing about this.

    Args:
        path: the JSON pointer of the field.
    """
    words = words_of(last_name(path))
    if not _NUMBER_WORDS.isdisjoint(words):
        words = (*words_of(last_name(path.rpartition("/")[0])), *words)
    others = _RECORDS if words[-1:] == ("id",) else ()
    return tuple(said for word in words if word not in others for said in _PERSONAL_WORDS.get(word, ()))


def pieces_of(address: str, extract: Callable[[str], list[Found]]) -> Iterator[list[Found]]:
    """Yield the readings of what stands between the signs of an address, such as the values of its query.

    Args:
        address: of the network or of a mailbox; the labels of a host can carry data, and so can the name of a mailbox.
        extract: returns the readings of a piece.
    """
    pieces = _BETWEEN.split(unquote(address))[:PIECES_MAX]
    for piece in (*pieces, *pieces[0].split(".")[:PIECES_MAX]):
        found = [each for each in extract(piece) if each.kind in SHAPED]
        if found:
            yield found


class Audiences:
    """The audiences of one event's paths, in the form of its row.

    Args:
        label_at: returns what the catalog states of the field at a path; None if nothing.
        claimed: the label that the writer of the event claims.
    """

    def __init__(self, label_at: Callable[[str], Label | None], claimed: Label | None) -> None:
        self._label_at = label_at
        self._claimed = claimed
        self.distinct: dict[Audience, int] = {}

    def number_of(self, path: str) -> int:
        """Return the number of a path's audience; `OTHER_PATH` if there are too many."""
        audience = audience_of(self._label_at(path), self._claimed)
        number = self.distinct.get(audience)
        if number is None:
            number = len(self.distinct)
            if number >= AUDIENCES_MAX:
                return OTHER_PATH
            self.distinct[audience] = number
        return number
