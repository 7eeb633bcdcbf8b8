"""Keep what contents have shown, row by row, and look values up in it.

What an event says about its values can only make them worse: the trust of a value is the label of its field in the
catalog, else that of the tool's output, and the writer's label joins it. A content whose values are not all listed
makes what is kept incomplete, and then a value that is not found counts as instructed text.

The keys of the rows begin with the key of the session.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

from streams.model.labels import Integrity, Label
from streams.model.session import ArgumentLimit, Atom, ScopeSource, SessionEvent, TaskScope
from streams.ports.processor import StateView
from streams.processors.provenance.flow import Audiences
from streams.processors.provenance.rows import (
    AGREED_ACTS_MAX,
    Amounts,
    ContentRow,
    ProvenanceRow,
    decode_content,
    decode_provenance,
)
from streams.processors.provenance.tools import ToolUse
from streams.processors.rows import (
    atoms_bucket_key,
    atoms_row_key,
    atoms_row_prefix,
    content_row_key,
    provenance_row_key,
)
from streams.processors.session_row import SessionRow
from streams.processors.sessions.grants import kept_row
from streams.processors.state import encode_row
from streams.provenance.acts import SUM, USUAL, ActKind
from streams.provenance.agreed import AGREE
from streams.provenance.arithmetic import is_operation
from streams.provenance.calls import ALL_CALLS, UNKNOWN
from streams.provenance.counted import COUNTED
from streams.provenance.digests import Digester, atom_digester
from streams.provenance.extract import EXCLUDED_PATH, IN_WORDS_PATH, extract_arguments, extract_message
from streams.provenance.found import AtomKind, Found
from streams.provenance.memory import (
    ATOMS_MAX,
    BUCKETS,
    DIGEST_BYTES,
    ENTRY_BYTES,
    EVENTS_MAX,
    LATER_EVENT,
    OTHER_PATH,
    PATH_BYTES_MAX,
    PATHS_MAX,
    Entry,
    Seen,
    bucket_of,
    entries_of,
    find,
    merge,
    unpack_from,
)
from streams.provenance.object_named import OBJECTS
from streams.provenance.pointers import steps_of
from streams.provenance.scope import (
    DERIVED,
    LIMITED_VALUES_MAX,
    SCOPES_MAX,
    SOURCES,
    TARGETS_MAX,
    Scope,
    ScopedArgument,
    derive_scopes,
)
from streams.provenance.uses import seems_owner

replace = msgspec.structs.replace

_ASKED = frozenset(kind.value for kind in ActKind)
ASKED_FOR = "asked for"
"""The kind of a value that says what the user of a conversation has asked for."""
_NO_VALUE: ScopedArgument = ("", ())
"""What no argument has."""
_SUBJECT = "subject"
_AMOUNT = AtomKind.AMOUNT
_NUMBERS = frozenset((_AMOUNT, AtomKind.NUMBER))
_REACHES = frozenset((AtomKind.ADDRESS, AtomKind.PHONE, AtomKind.ACCOUNT))
"""Kinds of values by which somebody is reached."""
SUBJECTS_CACHED_MAX = 4_096
OPERATIONS_KEPT_MAX = 12
"""Operations by which the user has amounts worked out, over all of his messages."""
NUMBERS_KEPT_MAX = 16
"""Things that the user has counted, and largest amounts, over all of his messages since he has asked for something."""
# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_TRUSTED = Integrity.TRUSTED
_new = tuple.__new__
_KEPT = slice(DIGEST_BYTES)
"""Made once, and not for each digest."""
_BUCKET_ENDS = tuple(atoms_bucket_key(b"", bucket) for bucket in range(BUCKETS))
"""What the keys of buckets end with."""


def read_provenance(session_key: bytes, state: StateView) -> ProvenanceRow | None:
    """Return what a session has read as a whole; None if nothing was kept of it."""
    row = state.get(provenance_row_key(session_key))
    return None if row is None else decode_provenance(row)


def read_content(session_key: bytes, number: int, state: StateView) -> ContentRow | None:
    """Return an event that values were seen in, or None."""
    row = None if number == LATER_EVENT else state.get(content_row_key(session_key, number))
    return None if row is None else decode_content(row)


def store_provenance(session_key: bytes, row: ProvenanceRow, state: StateView) -> None:
    """Store what a session has read as a whole."""
    state.put(provenance_row_key(session_key), encode_row(row))


def stored_entries(session_key: bytes, state: StateView) -> Iterator[Entry]:
    """Yield all values that a session has seen."""
    for bucket in range(BUCKETS):
        row = state.get(atoms_row_key(session_key, bucket))
        if row is not None:
            yield from entries_of(row)


class Memory:
    """The values that one session has seen, while an event or an intent of it is processed.

    Args:
        session_key: the key of the session.
        key: the key of digests (`atom_key`).
        state: the partition's state.
        keeps: whether what is added is stored.
        digester: returns what makes the digests under a key.
    """

    def __init__(
        self,
        session_key: bytes,
        key: bytes,
        state: StateView,
        *,
        keeps: bool = True,
        digester: Callable[[bytes], Digester] = atom_digester,
    ) -> None:
        self._keeps = keeps
        self._session_key = session_key
        self._digest = digester(key)
        self._state = state
        self._get = state.get
        self._prefix = atoms_row_prefix(session_key)
        self._rows: dict[int, bytes | None] = {}
        self._looked: dict[tuple[str, str], Entry | None] = {}

    def digest(self, kind: str, value: str) -> bytes:
        """Return the part of a value's digest that is kept."""
        return self._digest(kind, value)[:DIGEST_BYTES]

    def look(self, kind: str, value: str) -> Entry | None:
        """Return what is kept of a value, or None."""
        # A call names the same value in several arguments and as a part of others.
        asked, looked = (kind, value), self._looked
        if asked in looked:
            return looked[asked]
        digest = self._digest(kind, value)[_KEPT]
        bucket, rows = digest[0] % BUCKETS, self._rows
        if bucket in rows:
            row = rows[bucket]
        else:
            row = rows[bucket] = self._get(self._prefix + _BUCKET_ENDS[bucket])
        if row is None:
            entry = None
        else:
            # As `find`, without a call where it is not in the row, or is found at once.
            at = row.find(digest)
            if at < 0:
                entry = None
            elif at % ENTRY_BYTES:
                entry = find(row, digest)
            else:
                entry = _new(Entry, unpack_from(row, at))
        looked[asked] = entry
        return entry

    def find(self, digest: bytes) -> Entry | None:
        """Return what is kept under a digest, or None."""
        return find(self._bucket(digest[0] % BUCKETS), digest)

    def add(self, row: ProvenanceRow, entries: Iterable[Entry], clears: int = 0) -> ProvenanceRow:
        """Add values, as far as there is room, and return the row of the whole after that.

        Args:
            row: what the session has read so far.
            entries: the values.
            clears: flags that no longer hold for these values.
        """
        self._looked.clear()
        by_bucket: defaultdict[int, list[Entry]] = defaultdict(list)
        for entry in entries:
            by_bucket[bucket_of(entry.digest)].append(entry)
        count, complete = row.atoms_count, row.is_complete
        for bucket, of_bucket in by_bucket.items():
            before = self._bucket(bucket)
            after, more, all_kept = merge(before, of_bucket, ATOMS_MAX - count, clears)
            count += more
            complete = complete and all_kept
            if after != before:
                self._rows[bucket] = after
                if self._keeps:
                    self._state.put(atoms_bucket_key(self._prefix, bucket), after)
        return replace(row, atoms_count=count, is_complete=complete)

    def _bucket(self, bucket: int) -> bytes | None:
        if bucket not in self._rows:
            self._rows[bucket] = self._state.get(self._prefix + _BUCKET_ENDS[bucket])
        return self._rows[bucket]

    def number_event(
        self, row: ProvenanceRow, event: SessionEvent, audiences: Audiences | None = None
    ) -> tuple[ProvenanceRow, int, dict[str, int]]:
        """Give an event a number, and its paths numbers, so that explanations can name them.

        Args:
            row: what the session has read so far.
            event: the event.
            audiences: who may see its fields; None if it is not asked for.
        """
        if row.events_count >= EVENTS_MAX:
            return row, LATER_EVENT, {}
        paths: dict[str, int] = {}
        for atom in event.atoms:
            if len(paths) < PATHS_MAX and atom.path not in paths and len(atom.path.encode()) <= PATH_BYTES_MAX:
                paths[atom.path] = len(paths)
        content = ContentRow(event.header.id, tuple(paths))
        if audiences is not None:
            # The pointer of the whole stands for values whose paths have no number.
            numbers = bytes([audiences.number_of(path) for path in (*paths, "")])
            numbers = b"" if len(audiences.distinct) == 1 else numbers[:-1]
            content = replace(content, audiences=tuple(audiences.distinct), audience_numbers=numbers)
        self._state.put(content_row_key(self._session_key, row.events_count), encode_row(content))
        return replace(row, events_count=row.events_count + 1), row.events_count, paths

    def root_purpose(self, session: SessionRow) -> str | None:
        """Return the purpose that the first grant of the session's path states; None if there is none."""
        kept = kept_row(self._session_key, session, self._state)
        return None if kept is None else kept.root_purpose

    def subject_digests(self, sub: str, name: str = _SUBJECT) -> frozenset[bytes]:
        """Return the digests under which the subject is known as the value of a field of this name."""
        return frozenset(self.digest(kind, value) for kind, value in subject_values(sub, name))

    def values_of_subject_only(self, row: ProvenanceRow, sub: str) -> frozenset[tuple[str, str]] | None:
        """Return the values of the subject if the session has seen nothing else yet; None if it has."""
        # INVARIANT: the subject's values are the first ones that are added, and none of them is ever removed.
        values = subject_values(sub)
        return values if row.atoms_count == len(values) else None


@lru_cache(maxsize=SUBJECTS_CACHED_MAX)
def subject_values(sub: str, name: str = _SUBJECT) -> frozenset[tuple[str, str]]:
    """Return the kinds and canonical forms under which a subject is known as the value of a field of this name."""
    return frozenset((each.kind, each.value) for each in extract_arguments({name: sub}).found if each.whole_field)


def begun(memory: Memory, session: SessionRow) -> ProvenanceRow:
    """Return the row of a session of which nothing was kept so far: the subject and the purpose are the user's.

    If the session has read something already, its values are not known.
    """
    # INVARIANT: no agent makes words the user's by delegating. It may state the purpose where its own session has none,
    # after it has read what others wrote. What the first grant states, no agent can change.
    identity, trust = session.identity, session.trust
    has_read = bool(trust.sources or trust.pending_reads)
    entries = [Entry(digest, Seen.USER | Seen.OWN | Seen.SUBJECT) for digest in memory.subject_digests(identity.sub)]
    row = ProvenanceRow(is_complete=not has_read, has_untrusted=has_read, has_text=has_read, is_instructed=has_read)
    row = memory.add(row, entries)
    if identity.purpose and _is_users_purpose(session, memory):
        return with_purpose_words(row, identity.purpose, memory)
    return row


def _is_users_purpose(session: SessionRow, memory: Memory) -> bool:
    """Return whether the purpose of a session is its user's.

    It is if no agent has opened the session, or one that is trusted, or if the first grant states the same purpose.
    """
    trust = session.trust
    is_attested = trust.label_attested and trust.label.integrity is _TRUSTED
    if is_attested or not session.grant.ancestor_session_ids:
        return True
    return session.identity.purpose == memory.root_purpose(session)


def with_purpose_words(row: ProvenanceRow, purpose: str, memory: Memory) -> ProvenanceRow:
    """Return the row with a purpose that the token service has stated: its words are the user's."""
    found = extract_message(purpose).found
    entries = [Entry(memory.digest(each.kind, each.value), _as_users(each)) for each in found]
    return with_scopes(memory.add(row, entries), derive_scopes(purpose), ScopeSource.DERIVED, memory)


def with_user_words(row: ProvenanceRow, event: SessionEvent, memory: Memory, label: Label) -> ProvenanceRow:
    """Return the row after the user has said something."""
    row, number, paths = memory.number_event(row, event)
    is_users = label.integrity is _TRUSTED
    entries = [
        _with_calls(
            Entry(
                atom.digest[:DIGEST_BYTES],
                _as_users(atom) if is_users and _is_trusted(atom.label) else _as_text(atom),
                number,
                paths.get(atom.path, OTHER_PATH),
            ),
            atom,
        )
        for atom in event.atoms
    ]
    # What he names again is no longer left out, unless this message leaves it out. What others say in it, such as a
    # mail that he quotes, ends no exclusion.
    row = memory.add(row, [entry for entry in entries if entry.flags == Seen.USER], Seen.EXCLUDED)
    row = memory.add(row, [entry for entry in entries if entry.flags != Seen.USER])
    if not is_users:
        is_instructed = row.is_instructed or event.text_instructed
        calls_for = row.calls_for | calls_in(entries)
        return replace(
            row, has_untrusted=True, has_text=True, is_instructed=is_instructed, calls_for=calls_for, agreed_acts=0
        )
    # The first message of a session can't answer the agent, which has said nothing before it.
    agrees = row.has_message and any(scope.kind == AGREE for scope in event.task_scopes)
    has_number = any(atom.kind in _NUMBERS and atom.path != IN_WORDS_PATH for atom in event.atoms)
    amounts = row.amounts | (Amounts.NAMED if has_number else 0)
    # "The same account as always" is said of what this message asks for. What he has counted or named is it until he
    # asks for something again: "yes, 14" asks for nothing.
    asks = any(scope.kind in _ASKED for scope in event.task_scopes)
    scopes = tuple(scope for scope in row.scopes if scope.kind != USUAL and not (asks and holds_for_request(scope)))
    row = replace(row, has_message=True, agreed_acts=AGREED_ACTS_MAX if agrees else 0, amounts=amounts, scopes=scopes)
    if asks:
        row = replace(row, asked_s=max(row.asked_s, event.header.time // 1_000))
    return with_scopes(row, event.task_scopes, ScopeSource.DERIVED, memory)


def at_request(asked_s: int, kind: str) -> str:
    """Return how another session of the conversation notes what holds for one request only."""
    return f"{asked_s}:{kind}"


def holds_for_request(scope: Scope) -> bool:
    """Return whether what a scope says of the user's words holds until he asks for something else."""
    return _is_number(scope) or (scope.source == DERIVED and scope.kind in OBJECTS)


def _is_number(scope: Scope) -> bool:
    """Return whether a scope says that the user has named a number."""
    return scope.source == DERIVED and (scope.kind == SUM or scope.kind.startswith(COUNTED))


def with_scopes(row: ProvenanceRow, scopes: Iterable[TaskScope], source: ScopeSource, memory: Memory) -> ProvenanceRow:
    """Return the row with further scopes of a source. Those of the token service replace its earlier ones."""
    number = SOURCES.index(source)
    kept = tuple(each for each in row.scopes if source is ScopeSource.DERIVED or each.source != number)
    entries: list[Entry] = []
    for scope in scopes:
        if scope.kind == AGREE and source is ScopeSource.DERIVED:
            continue  # It holds for the message only, and permits no kind of act.
        targets = scope.targets[:TARGETS_MAX]
        entries += [
            Entry(memory.digest(each.kind, each.value), Seen.USER)
            for target in targets
            for each in extract_arguments({"target": target}).found
        ]
        made = Scope(
            source=number,
            kind=scope.kind or "",
            tools=scope.tools[:TARGETS_MAX],
            targets=tuple(target.casefold() for target in targets),
            count_max=-1 if scope.count_max is None else scope.count_max,
            amount_max=scope.amount_max or "",
            currency=scope.currency or "",
            arguments=_limits(scope.arguments, is_derived=source is ScopeSource.DERIVED),
        )
        if made not in kept:
            kept = (*kept, made)
    kept = _with_last(kept, lambda each: is_operation(each.kind), OPERATIONS_KEPT_MAX)
    kept = _with_last(kept, _is_number, NUMBERS_KEPT_MAX)
    if len(kept) > SCOPES_MAX:
        # INVARIANT: no lighter scope takes the place of a weightier one: the weightiest ones set the limit.
        kept = tuple(sorted(kept, key=lambda scope: scope.source))[-SCOPES_MAX:]
    return memory.add(replace(row, scopes=_within_values(kept)), entries)


def _with_last(scopes: tuple[Scope, ...], is_such: Callable[[Scope], bool], kept_max: int) -> tuple[Scope, ...]:
    """Return the scopes with the last of some only: however often the user has amounts worked out, or counts things,
    the kinds of acts that he has asked for keep their room."""
    such = [scope for scope in scopes if is_such(scope)]
    if len(such) <= kept_max:
        return scopes
    dropped = such[:-kept_max]
    return tuple(scope for scope in scopes if scope not in dropped)


def _within_values(scopes: tuple[Scope, ...]) -> tuple[Scope, ...]:
    """Return the scopes of a session with no more values of arguments than every intent can be compared with.

    Those of the weightiest are kept, then the earliest. A scope for which there is no room covers no call: without its
    limits it would permit more.
    """
    if not any(scope.arguments for scope in scopes):
        return scopes
    room = LIMITED_VALUES_MAX
    made = list(scopes)
    for number in sorted(range(len(scopes)), key=lambda number: -scopes[number].source):
        count = sum(max(1, len(values)) for _, values in scopes[number].arguments)
        if count <= room:
            room -= count
        else:
            made[number] = replace(scopes[number], arguments=(_NO_VALUE,))
    return tuple(dict.fromkeys(made))


def _limits(arguments: Sequence[ArgumentLimit], *, is_derived: bool) -> tuple[ScopedArgument, ...]:
    """Return what arguments must be. A scope that limits more of them than are kept covers no call: without the others
    it would permit more than its issuer has stated. So does a derived one that limits any: nothing derives limits, and
    an agent could write so many that each of its calls is slow."""
    if len(arguments) > TARGETS_MAX or (is_derived and arguments):
        return (_NO_VALUE,)
    return tuple((each.path, tuple(value.casefold() for value in each.values[:TARGETS_MAX])) for each in arguments)


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
    audiences = Audiences(_label_at_of(use), event.label)
    row, number, paths = memory.number_event(row, event, audiences)
    selected = event.intent_id is not None and event.intent_id in row.selected
    contents = _Content(event, memory, use, label, sub)
    knows_subject = row.knows_subject or contents.knows_subject
    entries = [
        _with_calls(
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
    # Whether text is trusted or not follows from its own field, where the content lists all of its values.
    has_text = untrusted and event.has_text
    row = replace(
        row,
        is_complete=row.is_complete and (event.atoms_complete or not untrusted),
        has_untrusted=row.has_untrusted or untrusted,
        has_text=row.has_text or has_text,
        is_instructed=row.is_instructed or (has_text and event.text_instructed),
        knows_subject=knows_subject,
        calls_for=row.calls_for | calls_in(entries),
        amounts=row.amounts | (Amounts.SHOWN if shows_amount else 0),
        selected=tuple(each for each in row.selected if each != event.intent_id),
        has_pointed_text=row.has_pointed_text or any(entry.flags & Seen.SHOWN for entry in entries),
        agreed_acts=0 if has_text or (untrusted and not event.atoms_complete) else row.agreed_acts,
    )
    return memory.add(row, entries)


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


class _Content:
    """The values of one content, with the records that they belong to."""

    def __init__(self, event: SessionEvent, memory: Memory, use: ToolUse | None, label: Label, sub: str) -> None:
        self._use = use
        steps_at = {path: steps_of(path) for path in dict.fromkeys(atom.path for atom in event.atoms)}
        self.atoms: list[tuple[Atom, bytes]] = [(atom, atom.digest[:DIGEST_BYTES]) for atom in event.atoms]
        # The label joins what the writer claims and what the catalog said when the call was allowed.
        stated = None if use is None else use.tool.output_label
        self._is_worse = label.integrity is not _TRUSTED and (stated is None or stated.integrity is _TRUSTED)
        self._is_worse = self._is_worse or not _is_trusted(event.label)
        # A single record is pointed at by what it was asked for with; of several ones, nobody knows which was meant.
        self._has_several = any("1" in steps for steps in steps_at.values())
        self._pointed: set[tuple[str, ...]] = set()
        self._excluded: set[tuple[str, ...]] = set()
        self._owners: dict[tuple[str, ...], bool] = {}
        self._fields: set[tuple[tuple[str, ...], bytes]] = set()
        subjects: dict[str, frozenset[bytes]] = {}
        for atom, digest in self.atoms:
            steps = steps_at[atom.path]
            if not steps or not atom.whole_field:
                continue
            self._fields.add((steps[:-1], digest))
            known = memory.find(digest)
            # That he says "new" points at no record with such a state.
            if known is not None and known.flags & Seen.USER and atom.kind != AtomKind.SHORT:
                self._pointed.add(steps[:-1])
            if known is not None and known.flags & Seen.EXCLUDED and atom.kind not in _REACHES:
                self._excluded.add(steps[:-1])
            if self._is_owner(atom.path):
                name = steps[-1]
                if name not in subjects:
                    subjects[name] = memory.subject_digests(sub, name) | memory.subject_digests(sub)
                self._owners[steps[:-1]] = self._owners.get(steps[:-1], False) or digest in subjects[name]
        self.knows_subject = any(self._owners.values())
        self._left_out = self._addresses_left_out(steps_at, memory) if self._excluded else frozenset[bytes]()
        self._places = {path: self._place(path, steps) for path, steps in steps_at.items()}

    def flags(self, atom: Atom, digest: bytes, *, selected: bool, knows_subject: bool) -> int:
        """Return where a value was seen."""
        place = self._places[atom.path]
        is_text = not atom.whole_field or atom.decoded
        flags = Seen.EXCLUDED if digest in self._left_out else 0
        if place.is_pointed or (selected and not self._has_several):
            flags |= Seen.SHOWN if is_text else Seen.POINTED
        if place.is_owned and not is_text:
            flags |= Seen.OWN | Seen.POINTED
        elif place.is_owned is False and (knows_subject or (self._use is not None and self._use.states_owners)):
            flags |= Seen.FOREIGN
        if place.is_trusted and _is_trusted(atom.label):
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

    def _addresses_left_out(self, steps_at: Mapping[str, tuple[str, ...]], memory: Memory) -> frozenset[bytes]:
        """Return the addresses in records of somebody whom the user has left out, and in no other record."""
        others: set[bytes] = set()
        left_out: set[bytes] = set()
        for atom, digest in self.atoms:
            if atom.kind in _REACHES and atom.whole_field:
                known = memory.find(digest)
                is_users = known is not None and known.flags & Seen.USER
                (left_out if steps_at[atom.path][:-1] in self._excluded and not is_users else others).add(digest)
        return frozenset(left_out - others)

    def _place(self, path: str, steps: tuple[str, ...]) -> _Place:
        records = tuple(_records_of(steps))
        is_pointed = not self._pointed.isdisjoint(records)
        is_owned = next((self._owners[record] for record in records if record in self._owners), None)
        return _Place(records, is_pointed, is_owned, self._trusts(path))

    def _trusts(self, pointer: str) -> bool:
        if self._is_worse or self._use is None:
            return False
        return self._use.tool.uses.label_at(pointer).integrity is _TRUSTED

    def _is_owner(self, pointer: str) -> bool:
        return seems_owner(pointer) if self._use is None else self._use.tool.uses.is_output_owner(pointer)


def _with_calls(entry: Entry, atom: Atom) -> Entry:
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


def _as_users(atom: Atom | Found) -> int:
    return Seen.USER | Seen.EXCLUDED if atom.path == EXCLUDED_PATH else Seen.USER


def _as_text(atom: Atom) -> int:
    return Seen.TEXT | Seen.PLAIN | Seen.NAMED | (Seen.INSTRUCTED if atom.instructed else 0)


def _records_of(steps: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the records that a field belongs to: its own, and those around it up to an element of a list."""
    for end in range(len(steps) - 1, -1, -1):
        yield steps[:end]
        if end and steps[end - 1].isdigit():
            return


def _is_trusted(claimed: Label | None) -> bool:
    return claimed is None or claimed.integrity is _TRUSTED
