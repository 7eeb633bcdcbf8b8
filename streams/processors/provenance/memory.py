"""Keep the values that a session has seen, row by row, and look values up among them.

What is kept of a value is its digest, where it was seen, and in which event (`streams.provenance.sources.memory`). What
the user says and what contents show is made into entries elsewhere (`user_words`, `contents`), and so are the scopes of
the task (`task_scopes`). The row of the whole counts what is kept. Where there is no room for more, it says that what
is kept is incomplete, and then a value that is not found counts as instructed text.

The keys of the rows begin with the key of the session.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from functools import lru_cache

import msgspec

from streams.model.session import SessionEvent
from streams.ports.processor import StateView
from streams.processors.provenance.flow import Audiences
from streams.processors.provenance.rows import ContentRow, ProvenanceRow, decode_content, decode_provenance
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
from streams.provenance.extraction.digests import Digester, atom_digester
from streams.provenance.extraction.extract import extract_arguments
from streams.provenance.sources.memory import (
    ATOMS_MAX,
    BUCKETS,
    DIGEST_BYTES,
    ENTRY_BYTES,
    EVENTS_MAX,
    LATER_EVENT,
    PATH_BYTES_MAX,
    PATHS_MAX,
    WORDS_MAX,
    Entry,
    bucket_of,
    entries_of,
    find,
    merge,
    unpack_from,
)

replace = msgspec.structs.replace

SUBJECTS_CACHED_MAX = 4_096
_SUBJECT = "subject"
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

    Attributes:
        session_key: the key of the session.
        state: the partition's state.

    Args:
        session_key: as above.
        key: the key of digests (`atom_key`).
        state: as above.
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
        self.session_key = session_key
        self._digest = digester(key)
        self.state = state
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
        return find(self._bucket(bucket_of(digest)), digest)

    def add(
        self, row: ProvenanceRow, entries: Sequence[Entry], clears: int = 0, *, words: Set[bytes] = frozenset()
    ) -> ProvenanceRow:
        """Add values, as far as there is room, and return the row of the whole after that.

        Args:
            row: what the session has read so far.
            entries: the values.
            clears: flags that no longer hold for these values.
            words: the digests of those that take no room that others may need; not needed where `has_room` for all.
        """
        if words:
            parts: tuple[list[Entry], list[Entry]] = [], []
            for entry in entries:
                parts[entry.digest in words].append(entry)
            row, has_others = self._add(row, parts[0], clears, ATOMS_MAX)
            row, has_words = self._add(row, parts[1], clears, WORDS_MAX)
        else:
            row, has_others = self._add(row, entries, clears, ATOMS_MAX)
            has_words = True
        if has_others and has_words:
            return row
        return replace(row, is_complete=row.is_complete and has_others, lacks_words=row.lacks_words or not has_words)

    @staticmethod
    def has_room(row: ProvenanceRow, entries: Sequence[Entry]) -> bool:
        """Return whether there is room for values, whatever they are."""
        return row.atoms_count + len(entries) <= WORDS_MAX

    def _add(
        self, row: ProvenanceRow, entries: Iterable[Entry], clears: int, count_max: int
    ) -> tuple[ProvenanceRow, bool]:
        """Return the row after values were added, and whether all were kept, those before them among them."""
        self._looked.clear()
        by_bucket: defaultdict[int, list[Entry]] = defaultdict(list)
        for entry in entries:
            by_bucket[bucket_of(entry.digest)].append(entry)
        count, complete = row.atoms_count, True
        for bucket, of_bucket in by_bucket.items():
            before = self._bucket(bucket)
            after, more, all_kept = merge(before, of_bucket, count_max - count, clears)
            count += more
            complete = complete and all_kept
            if after != before:
                self._rows[bucket] = after
                if self._keeps:
                    self.state.put(atoms_bucket_key(self._prefix, bucket), after)
        return (row if count == row.atoms_count else replace(row, atoms_count=count)), complete

    def _bucket(self, bucket: int) -> bytes | None:
        if bucket not in self._rows:
            self._rows[bucket] = self.state.get(self._prefix + _BUCKET_ENDS[bucket])
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
        self.state.put(content_row_key(self.session_key, row.events_count), encode_row(content))
        return replace(row, events_count=row.events_count + 1), row.events_count, paths

    def root_purpose(self, session: SessionRow) -> str | None:
        """Return the purpose that the first grant of the session's path states; None if there is none."""
        kept = kept_row(self.session_key, session, self.state)
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
