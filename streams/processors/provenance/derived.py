"""Tell what of a result is made of what others wrote: that of a tool which was given their text.

**Idea.** A tool that summarises, translates or decodes returns what was put into it, and its label says nothing of
that: the catalog speaks of the tool's own data. So where a call that only reads is given a long text in which only
others have shown a value, all that it returns is text of others, whatever the label of the tool, and also where it is a
field: nobody but the tool has made that text a record. The same goes for something in which such a value is encoded.

A shorter text may be a query, to which a tool answers with its own data. Then only the very values that stand in it
among other words stay what they were: "no entry for kim@x.example" confirms no address. A value alone is a selector:
who looks kim@x.example up in the directory of staff gets what that says of it.

What a tool that acts is given is not looked at here: what it writes into its server's store keeps its source there
(`streams.processors.gate.carried`).

**Rejected.** To trust no result of a call with any value of others: then no directory could confirm an address. To let
the session's label fall with such a result: desks act by the fields of their systems after they have read a customer's
text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

import msgspec

from streams.model.labels import Integrity, Label, join
from streams.model.session import Atom, SessionEvent
from streams.processors.provenance.memory import Memory
from streams.provenance.atoms.found import AtomKind
from streams.provenance.contents.leaves import leaves_of
from streams.provenance.extraction.extract import extract_content
from streams.provenance.sources.memory import DIGEST_BYTES, Seen, digests_in, is_of_others
from streams.provenance.sources.origins import SHAPED

replace = msgspec.structs.replace
TEXT_WORDS_MIN = 15
"""Words of a text that is longer than a query."""
QUERY_WORDS_MIN = 4
"""Words of a text that is more than a value alone, such as a name."""
ECHOES_MAX = 32
ALL = b""
"""Stands for all values of a result."""
_SAYING = SHAPED | {AtomKind.TEXT}
_UNTRUSTED = Label(integrity=Integrity.UNTRUSTED)


def derived_of(args: Mapping[str, object], memory: Memory) -> bytes | None:
    """Return what of the result of a reading call is made of others' text: digests in a row, or `ALL`; None if nothing.

    Args:
        args: the arguments of the call.
        memory: the values that its session has seen.
    """
    echoes: dict[bytes, None] = {}
    for leaf in leaves_of(args):
        if not isinstance(leaf.value, str):
            continue
        words = len(leaf.value.split(None, TEXT_WORDS_MIN))
        for digest, is_text, is_decoded in _others_in(leaf.value, memory):
            if words >= TEXT_WORDS_MIN or is_decoded:
                return ALL
            if words >= QUERY_WORDS_MIN and is_text:
                echoes[digest] = None
    return b"".join(islice(echoes, ECHOES_MAX)) or None


def _others_in(text: str, memory: Memory) -> Iterator[tuple[bytes, bool, bool]]:
    """Yield the values of a text that only others have shown, whether only in text, and whether encoded here."""
    for found in extract_content(text, "text/plain", with_calls=False).found:
        if found.kind not in _SAYING:
            # Amounts, dates and short numbers are alike everywhere.
            continue
        entry = memory.look(found.kind, found.value)
        if entry is not None and is_of_others(entry.flags):
            yield entry.digest, not entry.flags & Seen.FIELD, found.decoded


def as_others_text(event: SessionEvent, derived: bytes) -> SessionEvent:
    """Return a result in which the values that are made of others' text are that: neither trusted nor fields.

    Args:
        event: the result.
        derived: which values those are, as `derived_of` returns them.
    """
    if derived != ALL:
        kept = set(digests_in(derived))
        return replace(
            event, atoms=tuple([_as_text(atom) if atom.digest[:DIGEST_BYTES] in kept else atom for atom in event.atoms])
        )
    return replace(
        event, label=_untrusted(event.label), atoms=tuple([_as_text(atom) for atom in event.atoms]), has_text=True
    )


def _as_text(atom: Atom) -> Atom:
    return replace(atom, whole_field=False, label=_untrusted(atom.label))


def _untrusted(label: Label | None) -> Label:
    return _UNTRUSTED if label is None else join(label, _UNTRUSTED)
