"""Keep what a content has shown: where each of its values was seen, and whether the user has pointed at it.

What an event says about its values can only make them worse: the trust of a value is the label of its field in the
catalog, else that of the tool's output, and the writer's label joins it. A content whose values are not all listed
makes what is kept incomplete.

A value belongs to records: the object that it is a field of, and those around it up to an element of a list. If the
user has named one field of a record, he has pointed at all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import filterfalse
from typing import NamedTuple

import msgspec

from streams.model.labels import Integrity, Label
from streams.model.session import Atom, SessionEvent
from streams.processors.provenance.aliases import OwnerField, only_id, only_owner, other_names
from streams.processors.provenance.flow import Audiences
from streams.processors.provenance.identifying import after_result, is_awaited
from streams.processors.provenance.memory import Memory
from streams.processors.provenance.rows import Amounts, ProvenanceRow
from streams.processors.provenance.tools import ToolUse
from streams.provenance.acts.calls import ALL_CALLS, UNKNOWN
from streams.provenance.atoms.found import REACHES, AtomKind
from streams.provenance.pointers import steps_of
from streams.provenance.requests.given_names import GIVEN
from streams.provenance.sources.memory import DIGEST_BYTES, OTHER_PATH, Entry, Seen
from streams.provenance.tools.places import is_id_of_element, names_assignee
from streams.provenance.tools.uses import seems_owner
from streams.provenance.words import names_an_id

replace = msgspec.structs.replace

_AMOUNT, _TEXT = AtomKind.AMOUNT, AtomKind.TEXT
_FIGURES = (AtomKind.AMOUNT, AtomKind.NUMBER)
_GIVEN_END = f"/{GIVEN}"
# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_TRUSTED = Integrity.TRUSTED


def with_content(
    row: ProvenanceRow, event: SessionEvent, memory: Memory, use: ToolUse | None, label: Label, sub: str
) -> ProvenanceRow:
    """Return the row after a content was read.

    Args:
        row: what the session has read so far.
        event: the report.
        memory: the session's values.
        use: the tool that has returned the content; None if no tool of the catalog has.
        label: the label of the content as a whole: the catalog's, made worse by what the writer claims.
        sub: the session's subject.
    """
    event, given = parted(event, _is_given_name)
    audiences = Audiences(_label_at_of(use), event.label)
    row, number, paths = memory.number_event(row, event, audiences)
    selected = event.intent_id is not None and event.intent_id in row.selected
    is_own = event.intent_id is not None and event.intent_id in row.asked_own
    identifies = is_awaited(row, event)
    contents = _Content(event, memory, use, label, sub, given, is_own=is_own, identifies=identifies)
    knows_subject = row.knows_subject or contents.knows_subject
    entries = [
        with_calls(
            Entry(
                digest,
                contents.flags(atom, digest, selected=selected, knows_subject=knows_subject),
                number,
                paths.get(atom.path, OTHER_PATH),
            ),
            atom,
        )
        for atom, digest in contents.atoms
    ]
    accused = any(not entry.flags & Seen.TRUSTED for entry in entries)
    shows_amount = any(
        atom.kind == _AMOUNT and entry.flags & Seen.POINTED
        for (atom, _), entry in zip(contents.atoms, entries, strict=True)
    )
    untrusted = label.integrity is not _TRUSTED or accused
    has_shown = any(entry.flags & Seen.SHOWN for entry in entries)
    # Figures of trusted data are not a text: who looks his accounts up has pointed at none. His memo is one.
    shows_text = any(
        entry.flags & Seen.SHOWN
        and (atom.kind not in _FIGURES or not entry.flags & Seen.TRUSTED)
        and contents.is_pointed_by_words(atom, selected=selected)
        for (atom, _), entry in zip(contents.atoms, entries, strict=True)
    )
    # Whether text is trusted or not follows from its own field, where the content lists all of its values.
    has_text = untrusted and event.has_text
    is_complete = event.lists_shapes
    row = replace(
        row,
        is_complete=row.is_complete and (is_complete or not untrusted),
        lacks_words=row.lacks_words or (untrusted and not event.atoms_complete),
        has_untrusted=row.has_untrusted or untrusted,
        others_events=row.events_count if untrusted else row.others_events,
        has_text=row.has_text or has_text,
        is_instructed=row.is_instructed or (has_text and event.text_instructed),
        knows_subject=knows_subject,
        calls_for=row.calls_for | calls_in(entries),
        amounts=row.amounts | (Amounts.SHOWN if shows_amount else 0),
        selected=tuple(each for each in row.selected if each != event.intent_id),
        asked_own=tuple(each for each in row.asked_own if each != event.intent_id),
        has_pointed_text=row.has_pointed_text or shows_text,
        reached=_reached(row.reached, contents.atoms, complete=is_complete) if has_shown else row.reached,
        agreed_acts=0 if has_text or (untrusted and not is_complete) else row.agreed_acts,
    )
    if contents.names and not row.identified:
        by = (event.intent_id or "") if contents.has_person else ""
        row = replace(row, identified=tuple(sorted(contents.names)), identified_by=by)
    if row.identifying:
        row = after_result(row, event)
    if memory.has_room(row, entries):
        return memory.add(row, entries)
    words = {
        digest
        for (atom, digest), entry in zip(contents.atoms, entries, strict=True)
        if atom.kind == _TEXT and not entry.flags & Seen.TRUSTED
    }
    return memory.add(row, entries, words=words)


def _label_at_of(use: ToolUse | None) -> Callable[[str], Label | None]:
    return _unlabelled if use is None else use.tool.uses.stated_label_at


def _unlabelled(_path: str) -> None:
    """What no tool of the catalog has returned has no label."""


class _Place(NamedTuple):
    """What holds for all values at one path of a content.

    Attributes:
        records: the records that the path belongs to, the innermost one first.
        is_pointed: whether a field of one of them is the user's.
        is_owned: whether the innermost one that names an owner names the subject; None if none does.
        is_trusted: whether the catalog trusts what stands there.
    """

    records: tuple[tuple[str, ...], ...]
    is_pointed: bool
    is_owned: bool | None
    is_trusted: bool


class _SubjectNames:
    """Tells whether a value names the subject, and keeps the subject's digests by the name of the field."""

    def __init__(self, memory: Memory, sub: str, himself: frozenset[bytes]) -> None:
        self._memory, self._sub, self._himself = memory, sub, himself
        self._known: dict[str, frozenset[bytes]] = {}

    def has(self, name: str, digest: bytes) -> bool:
        """Return whether a value in a field of a name is the subject."""
        if name not in self._known:
            self._known[name] = self._memory.subject_digests(self._sub, name) | self._himself
        return digest in self._known[name]


class _Content:
    """The values of one content, with the records that they belong to."""

    def __init__(
        self,
        event: SessionEvent,
        memory: Memory,
        use: ToolUse | None,
        label: Label,
        sub: str,
        given: Iterable[Atom] = (),
        *,
        is_own: bool = False,
        identifies: bool = False,
    ) -> None:
        self._use = use
        steps_at = {path: steps_of(path) for path in dict.fromkeys(atom.path for atom in event.atoms)}
        self.atoms: list[tuple[Atom, bytes]] = [(atom, atom.digest[:DIGEST_BYTES]) for atom in event.atoms]
        # The label joins what the writer claims and what the catalog said when the call was allowed.
        stated = None if use is None else use.tool.output_label
        self._is_worse = label.integrity is not _TRUSTED and (stated is None or stated.integrity is _TRUSTED)
        self._is_worse = self._is_worse or not is_trusted(event.label)
        # A single record is pointed at by what it was asked for with; of several ones, nobody knows which was meant.
        self._has_several = any("1" in steps for steps in steps_at.values())
        self._pointed: set[tuple[str, ...]] = set()
        self._by_words: set[tuple[str, ...]] = set()
        self._excluded: set[tuple[str, ...]] = set()
        himself = memory.subject_digests(sub)
        self._fields: set[tuple[tuple[str, ...], bytes]] = set()
        named: list[OwnerField] = []
        ids: list[OwnerField] = []
        subject = _SubjectNames(memory, sub, himself)
        for atom, digest in self.atoms:
            steps = steps_at[atom.path]
            if not atom.whole_field:
                continue
            if not steps:
                ids.append(OwnerField(steps, atom.kind, digest, is_subject=False))
                continue
            self._fields.add((steps[:-1], digest))
            known = memory.find(digest)
            # That he says "new" points at no record with such a state.
            if known is not None and known.flags & Seen.USER and atom.kind != AtomKind.SHORT:
                self._pointed.add(steps[:-1])
                if digest not in himself:
                    self._by_words.add(steps[:-1])
            if known is not None and known.flags & Seen.EXCLUDED and atom.kind not in REACHES:
                self._excluded.add(steps[:-1])
            if self._is_owner(atom.path):
                is_subject = known is not None and bool(known.flags & Seen.SUBJECT)
                is_subject = is_subject or subject.has(steps[-1], digest)
                named.append(OwnerField(steps, atom.kind, digest, is_subject))
            elif names_an_id(steps[-1]):
                ids.append(OwnerField(steps, atom.kind, digest, is_subject=False))
        is_answer = is_own and not self._has_several
        self.names = self._other_names(named, ids, is_answer=is_answer)
        self.has_person = False
        if identifies and not self.names:
            self.names = self._person(named, ids)
            self.has_person = bool(self.names)
            named = self._as_subjects(named)
        # That an answer has the subject's id makes nothing else in it his: it may name his manager, too.
        self._owners = self._owners_by(field for field in named if field.is_subject or field.digest not in self.names)
        called = _called_by_name(given, self.atoms, memory)
        self._pointed |= called
        self._by_words |= called
        self.knows_subject = any(self._owners.values())
        self._left_out = self._addresses_left_out(steps_at, memory) if self._excluded else frozenset[bytes]()
        self._assigned = self._assigned_to(himself, steps_at) if event.atoms_complete else frozenset[tuple[str, ...]]()
        self._places = {path: self._place(path, steps) for path, steps in steps_at.items()}

    def _other_names(
        self, named: Sequence[OwnerField], ids: Sequence[OwnerField], *, is_answer: bool
    ) -> frozenset[bytes]:
        """Return the values that turn out to be other names of the subject. What others may write shows none."""
        use = self._use
        if use is None or not (is_answer or (use.tool.entry.output_owners and any(each.is_subject for each in named))):
            return frozenset()
        return other_names(self._trusted((*named, *ids)), use, is_answer=is_answer)

    def _as_subjects(self, named: list[OwnerField]) -> list[OwnerField]:
        """Return the fields that name owners, with who is identified as the subject.

        If the operator states the fields, the record is that person's.
        """
        if self._use is None or not self._use.tool.entry.output_owners:
            return named
        return [field._replace(is_subject=True) if field.digest in self.names else field for field in named]

    def _person(self, named: Sequence[OwnerField], ids: Sequence[OwnerField]) -> frozenset[bytes]:
        """Return the values that name the only person in the content. What others may write names nobody."""
        use = self._use
        # If an owner is in a field that others may write, nobody knows how many there are.
        if (
            use is None
            or not use.tool.uses.identifying
            or len(trusted := self._trusted((*named, *ids))) < len(named) + len(ids)
        ):
            return frozenset()
        if use.tool.entry.output_owners:
            return only_owner(named)
        return frozenset() if self._has_several else only_id(trusted, use)

    def _trusted(self, fields: Iterable[OwnerField]) -> list[OwnerField]:
        trusted = {steps_of(atom.path) for atom, _ in self.atoms if self._is_trusted(atom)}
        return [each for each in fields if each.steps in trusted]

    def _is_trusted(self, atom: Atom) -> bool:
        return is_trusted(atom.label) and self._trusts(atom.path)

    def _assigned_to(
        self, himself: frozenset[bytes], steps_at: Mapping[str, tuple[str, ...]]
    ) -> frozenset[tuple[str, ...]]:
        """Return the ids of elements of which a trusted field says that the subject has to do them.

        Only their own ids, because who may assign a task writes the other fields of it, too. And not those of an
        element in which a field seems to say whose it is: the operator may not have stated it.
        """
        if self._use is None or not self._use.states_owners:
            return frozenset()
        elements = {
            steps_at[atom.path][:-1]
            for atom, digest in self.atoms
            if digest in himself and atom.whole_field and steps_at[atom.path]
            if names_assignee(steps_at[atom.path][-1]) and self._is_trusted(atom)
        }
        if not elements:
            return frozenset()
        elements -= {steps[:end] for path, steps in steps_at.items() if seems_owner(path) for end in range(len(steps))}
        return frozenset(steps for steps in steps_at.values() if steps[:-1] in elements and is_id_of_element(steps))

    def _owners_by(self, named: Iterable[OwnerField]) -> dict[tuple[str, ...], bool]:
        """Return the records that name an owner, and whether he is the subject."""
        owners: dict[tuple[str, ...], tuple[int, bool]] = {}
        for field in named:
            for distance, record in enumerate(self._owned_by(field.steps)):
                # What stands in the record itself says more than what stands in an object of it.
                least, own = owners.get(record, (distance, False))
                if distance <= least:
                    owners[record] = distance, field.is_subject or (own and distance == least)
        return {record: is_own for record, (_, is_own) in owners.items()}

    def flags(self, atom: Atom, digest: bytes, *, selected: bool, knows_subject: bool) -> int:
        """Return where a value was seen."""
        place = self._places[atom.path]
        is_text = not atom.whole_field or atom.decoded
        flags = Seen.EXCLUDED if digest in self._left_out else 0
        if digest in self.names and not is_text:
            flags |= Seen.OWN | Seen.SUBJECT | Seen.POINTED
        if place.is_pointed or (selected and not self._has_several):
            flags |= Seen.SHOWN if is_text else Seen.POINTED
        if place.is_owned and not is_text:
            flags |= Seen.OWN | Seen.POINTED
        elif place.is_owned is False and (knows_subject or (self._use is not None and self._use.states_owners)):
            flags |= Seen.FOREIGN
        if place.is_trusted and is_trusted(atom.label):
            return flags | Seen.TRUSTED | (Seen.POINTED if flags & Seen.SHOWN else 0)
        flags |= Seen.TEXT if is_text else Seen.FIELD
        if not atom.decoded:
            flags |= Seen.PLAIN
        quotes_itself = is_text and any((record, digest) in self._fields for record in place.records)
        if is_text and not quotes_itself:
            flags |= Seen.NAMED
        if atom.instructed and not quotes_itself:
            flags |= Seen.INSTRUCTED
        return flags

    def is_pointed_by_words(self, atom: Atom, *, selected: bool) -> bool:
        """Return whether the user has pointed at what holds a value by more than his own name, as mails to him have it.

        Args:
            atom: the value.
            selected: whether the content was read with what he has named.
        """
        if selected and not self._has_several:
            return True
        return not self._by_words.isdisjoint(self._places[atom.path].records)

    def _addresses_left_out(self, steps_at: Mapping[str, tuple[str, ...]], memory: Memory) -> frozenset[bytes]:
        """Return the addresses in records of somebody whom the user has left out, and in no other record."""
        others: set[bytes] = set()
        left_out: set[bytes] = set()
        for atom, digest in self.atoms:
            if atom.kind in REACHES and atom.whole_field:
                known = memory.find(digest)
                is_users = known is not None and known.flags & Seen.USER
                (left_out if steps_at[atom.path][:-1] in self._excluded and not is_users else others).add(digest)
        return frozenset(left_out - others)

    def _place(self, path: str, steps: tuple[str, ...]) -> _Place:
        records = tuple(_records_of(steps))
        is_pointed = not self._pointed.isdisjoint(records)
        is_owned = next((self._owners[record] for record in records if record in self._owners), None)
        if is_owned is None and self._is_in_record_of_another(records[-1] if records else (), steps):
            is_owned = False
        return _Place(records, is_pointed, is_owned, self._trusts(path))

    def _is_in_record_of_another(self, element: tuple[str, ...], steps: tuple[str, ...]) -> bool:
        """Return whether what is around an element of a list belongs to somebody else, as the operator's field says.

        The lines of somebody else's contract are his, too. Of the user's own record that proves nothing: it can list
        the guests of his booking. Nor is the id of a task in somebody else's list another one's if the task is
        assigned to the user.
        """
        if self._use is None or not self._use.states_owners or steps in self._assigned:
            return False
        around = (element[:end] for end in range(len(element) - 1, -1, -1))
        return next((self._owners[record] for record in around if record in self._owners), None) is False

    def _trusts(self, pointer: str) -> bool:
        if self._is_worse or self._use is None:
            return False
        return self._use.tool.uses.label_at(pointer).integrity is _TRUSTED

    def _owned_by(self, steps: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
        """Return the records of which a field names the owner.

        Where the operator states the field, all around it up to an element of a list are his: `/guest/email` says whose
        reservation it is, and not only whose name stands beside the address.
        """
        return _records_of(steps) if self._use is not None and self._use.states_owners else (steps[:-1],)

    def _is_owner(self, pointer: str) -> bool:
        return seems_owner(pointer) if self._use is None else self._use.tool.uses.is_output_owner(pointer)


def parted(event: SessionEvent, is_apart: Callable[[Atom], bool]) -> tuple[SessionEvent, tuple[Atom, ...]]:
    """Return an event without the values that its writer states for a purpose of their own, and these."""
    apart = tuple(filter(is_apart, event.atoms))
    return (replace(event, atoms=tuple(filterfalse(is_apart, event.atoms))) if apart else event), apart


def _is_given_name(atom: Atom) -> bool:
    """Return whether a value only tells which records are meant."""
    return atom.path.endswith(_GIVEN_END)


def _called_by_name(given: Iterable[Atom], atoms: Iterable[tuple[Atom, bytes]], memory: Memory) -> set[tuple[str, ...]]:
    """Return the records of persons whom the user calls by their given names, unless two of them are called so."""
    places: dict[bytes, set[str]] = {}
    for atom in given:
        known = memory.find(atom.digest[:DIGEST_BYTES])
        if known is not None and known.flags & Seen.USER and not known.flags & Seen.EXCLUDED:
            places.setdefault(known.digest, set()).add(atom.path.removesuffix(_GIVEN_END))
    if not places:
        return set()
    full: dict[str, set[bytes]] = {}
    for atom, digest in atoms:
        if atom.whole_field:
            full.setdefault(atom.path, set()).add(digest)
    meant: set[tuple[str, ...]] = set()
    for paths in places.values():
        names = {frozenset(full.get(path, ())) for path in paths}
        if len(names) == 1:
            meant.update(steps_of(path)[:-1] for path in paths)
    return meant


def _reached(known: Mapping[str, bytes], atoms: Iterable[tuple[Atom, bytes]], *, complete: bool) -> dict[str, bytes]:
    """Return the only values by which somebody is reached after one more content: see `ProvenanceRow.reached`.

    Over contents, because one can be read in parts, and again.
    """
    if not complete:
        return dict.fromkeys(REACHES, _SEVERAL)
    found = dict(known)
    for atom, digest in atoms:
        if atom.kind in REACHES:
            found[atom.kind] = digest if found.get(atom.kind, digest) == digest else _SEVERAL
    return found


_SEVERAL = b""


def with_calls(entry: Entry, atom: Atom) -> Entry:
    """Return what is kept of a value with what instructions call for; unknown if the writer does not say so."""
    if not entry.flags & Seen.INSTRUCTED:
        return entry
    return entry._replace(calls_for=atom.calls_for & ALL_CALLS or UNKNOWN)


def calls_in(entries: Iterable[Entry]) -> int:
    """Return what instructions of others beside any of these values call for."""
    calls_for = 0
    for entry in entries:
        calls_for |= entry.calls_for
    return calls_for


def _records_of(steps: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the records that a field belongs to: its own, and those around it up to an element of a list."""
    for end in range(len(steps) - 1, -1, -1):
        yield steps[:end]
        if end and steps[end - 1].isdigit():
            return


def is_trusted(claimed: Label | None) -> bool:
    return claimed is None or claimed.integrity is _TRUSTED
