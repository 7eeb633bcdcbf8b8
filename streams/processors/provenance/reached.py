"""What a session knows from others: what is added to it, and what it passes on, as values, flags and sources.

A session is reached by others' text through its conversation, or through what the agent has written into a store. If
the session that has read the text counts as untrusted, so does the one that it reaches: rules about whole sessions
(`session.tainted`) must not be evaded by reading in one session and acting in another. Of a store that takes several
values (`QUOTED_MIN`) of one text in which as many are by others, a piece of a sentence among them, and all of them must
have come in contents of the server that keeps the store: an instruction has more, because all of its words are kept.
Ids and addresses that the agent has noted are traced as values, and instruct nobody.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from streams.model.budget import CarriedSource
from streams.model.catalog import ArgumentRole
from streams.model.labels import Integrity
from streams.model.session import SessionEvent
from streams.processors.control.tool_uses import ToolUses
from streams.processors.provenance.contents import calls_in
from streams.processors.provenance.elsewhere import with_elsewhere
from streams.processors.provenance.memory import Memory
from streams.processors.provenance.rows import ProvenanceRow
from streams.processors.provenance.task_scopes import holds_for_request
from streams.processors.provenance.user_words import ASKED_FOR, at_request
from streams.processors.session_row import SessionRow
from streams.provenance.acts.kinds import SUM
from streams.provenance.atoms.found import AtomKind
from streams.provenance.contents.leaves import leaves_of
from streams.provenance.extraction.extract import extract_content
from streams.provenance.requests.object_named import OBJECTS
from streams.provenance.requests.scope import DERIVED, REQUEST_KINDS, Scope
from streams.provenance.sources.carried import Whole, asked_entry, joined_sources, last_asked
from streams.provenance.sources.memory import ANY, DIGEST_BYTES, Entry, Seen, digests_in, is_of_others, joined_digests
from streams.provenance.sources.origins import SHAPED

QUOTED_MIN = 2
"""Values of others that make a text theirs. Fewer than that, two notes may well have in common."""
PARTS_MAX = 16
"""Values of a text up to which those that are part of others are looked for. More are a quotation anyway."""
SHOWN_MAX = 1_024
"""Values of a server's contents that are kept until its store is known. If there are more, whatever the session has
read counts as shown by it."""
SOURCE_DIGESTS_MAX = 16
"""Values by which a source is recognised, those beside an instruction first."""

_OTHERS = Seen.FIELD | Seen.TEXT
_PLACES = frozenset({ArgumentRole.TARGET, ArgumentRole.SELECTOR})
_OF_OTHERS = _OTHERS | Seen.PLAIN | Seen.INSTRUCTED
_PIECE = Seen.WRITTEN
"""Of a quoted value in the set of a store: it is a piece of a sentence. All values of such a set have been written, and
get this flag when they are read, so that it says nothing else there."""
_WHOLES = (
    (Whole.UNTRUSTED, "has_untrusted"),
    (Whole.TEXT, "has_text"),
    (Whole.INSTRUCTED, "is_instructed"),
    (Whole.LACKS_WORDS, "lacks_words"),
    (Whole.TAINTED, "is_tainted"),
)
replace = msgspec.structs.replace
# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_TRUSTED = Integrity.TRUSTED


def whole_of(row: ProvenanceRow) -> int:
    """Return what is passed on of a session besides values."""
    flags = sum(flag for flag, name in _WHOLES if getattr(row, name))
    return flags | (0 if row.is_complete else Whole.INCOMPLETE)


def with_conversation(
    row: ProvenanceRow, entries: list[Entry], flags: int, memory: Memory, sources: Iterable[CarriedSource] = ()
) -> ProvenanceRow:
    """Return the row with what other sessions of the conversation have seen."""
    if row.agreed_acts and any(entry.flags & _OTHERS and memory.find(entry.digest) is None for entry in entries):
        # Another session has read something, perhaps after the user has agreed in this one.
        row = replace(row, agreed_acts=0)
    asked_s, largest = last_asked(entries)
    entries = [entry for entry in entries if not entry.flags & Seen.ASKED]
    if row.has_message:
        # What he has left out elsewhere he may have named since, and notes forget nothing.
        entries = [entry._replace(flags=entry.flags & ~Seen.EXCLUDED) for entry in entries]
    row = with_elsewhere(row, entries, memory)
    row = memory.add(row, entries)
    if not row.has_message:
        # The user has said nothing to this session: it is an agent's, and works for what he has said to another one.
        asked_for = {entry.digest for entry in entries}
        kinds = [kind for kind in REQUEST_KINDS if memory.digest(ASKED_FOR, kind) in asked_for]
        row = replace(row, scopes=(*row.scopes, *(Scope(source=DERIVED, kind=kind) for kind in kinds)))
        row = _with_request(row, asked_s, largest, asked_for, memory)
    worse = {name: True for flag, name in _WHOLES if flags & flag}
    is_complete, calls_for = row.is_complete and not flags & Whole.INCOMPLETE, row.calls_for | calls_in(entries)
    return replace(
        row,
        is_complete=is_complete,
        calls_for=calls_for,
        carried=joined_sources(row.carried, [each for each in sources if not _is_own(each, memory)]),
        others_events=row.events_count if flags & Whole.UNTRUSTED else row.others_events,
        **worse,
    )


def _is_own(source: CarriedSource, memory: Memory) -> bool:
    return memory.session_key.partition(b"|")[2] == source.session_id.encode("utf-8", "surrogatepass")


def _with_request(
    row: ProvenanceRow, asked_s: int, largest: str, asked_for: set[bytes], memory: Memory
) -> ProvenanceRow:
    """Return the row of an agent's session with what holds for the last request of its user, in another session."""
    if not asked_s or asked_s < row.asked_s:
        return row
    scopes = [scope for scope in row.scopes if not holds_for_request(scope)]
    if largest:
        scopes.append(Scope(source=DERIVED, kind=SUM, amount_max=largest))
    objects = [kind for kind in sorted(OBJECTS) if memory.digest(ASKED_FOR, at_request(asked_s, kind)) in asked_for]
    scopes += [Scope(source=DERIVED, kind=kind) for kind in objects]
    return replace(row, scopes=tuple(dict.fromkeys(scopes)), asked_s=asked_s)


def with_shown(row: ProvenanceRow, server_id: str, event: SessionEvent) -> ProvenanceRow:
    """Return the row with the values of a server's content, which are compared with its store once that is known.

    Args:
        row: what the session has read so far, without that it has read this.
        server_id: the server.
        event: the report of the content.
    """
    # An earlier state of the gate kept which servers were read, and not what they had shown.
    known = row.shown.get(server_id, ANY if server_id in row.stores else b"")
    if row.is_tainted or known == ANY:
        return row
    shown = joined_digests(known, (atom.digest[:DIGEST_BYTES] for atom in event.atoms), SHOWN_MAX)
    return row if row.shown.get(server_id) == shown else replace(row, shown={**row.shown, server_id: shown})


def with_store(
    row: ProvenanceRow,
    entries: list[Entry],
    flags: int,
    memory: Memory,
    sources: Iterable[CarriedSource] = (),
    *,
    server_id: str,
) -> ProvenanceRow:
    """Return the row with what was written into a store: if any of it was read again, others' words were read.

    Args:
        row: what the session has read so far.
        entries: the values of the store.
        flags: what holds for the store besides them, a set of `Whole`.
        memory: the session's values.
        sources: what has written them.
        server_id: the server that keeps the store.
    """
    known = [(entry, memory.find(entry.digest)) for entry in entries]
    again = [entry for entry, own in known if _was_read(own)]
    quoted = _quoted_in(row.shown.get(server_id, ANY), known)
    digests = {entry.digest for entry in again} | {entry.digest for entry in quoted}
    row = memory.add(row, [entry._replace(flags=entry.flags & ~Seen.QUOTED | Seen.WRITTEN) for entry in entries])
    # What has no room in the set may have been in the note that was read.
    is_tainted = _is_quoted(quoted) or bool(flags & Whole.TAINTED and flags & Whole.INCOMPLETE)
    # A quotation may be read in parts. The rest of what was shown is in no note, and notes of later were not read.
    row = replace(row, shown={**row.shown, server_id: b"".join([entry.digest for entry in quoted])})
    if again or is_tainted:
        is_instructed = row.is_instructed or any(entry.flags & Seen.INSTRUCTED for entry in again)
        has_text = row.has_text or any(entry.flags & Seen.TEXT for entry in again)
        calls_for = row.calls_for | calls_in(again)
        row = replace(
            row,
            has_untrusted=True,
            others_events=row.events_count,
            has_text=has_text,
            is_instructed=is_instructed,
            calls_for=calls_for,
            agreed_acts=0 if has_text else row.agreed_acts,
            is_tainted=row.is_tainted or is_tainted,
            carried=joined_sources(
                row.carried, [each for each in sources if not digests.isdisjoint(digests_in(each.digests))]
            ),
        )
    return replace(row, is_complete=row.is_complete and not flags & Whole.INCOMPLETE)


def read_from_store(entries: list[Entry], memory: Memory) -> list[Entry]:
    """Return which values of a store a session has read without knowing that they were written there, as written."""
    found = [(entry, memory.find(entry.digest)) for entry in entries]
    return [
        entry._replace(flags=entry.flags & ~Seen.QUOTED | Seen.WRITTEN)
        for entry, own in found
        if own is not None and _was_read(own) and not own.flags & Seen.WRITTEN
    ]


def _quoted_in(shown: bytes, known: list[tuple[Entry, Entry | None]]) -> list[Entry]:
    """Return which quoted values of a store its server has shown. What the user has named is his, whoever quotes it.

    Args:
        shown: what the server has shown.
        known: the values of the store, each with what the session knows of it.
    """
    digests = set(digests_in(shown))
    return [
        entry
        for entry, own in known
        if entry.flags & Seen.QUOTED
        and (own is None or not own.flags & Seen.USER)
        and (_was_read(own) if shown == ANY else entry.digest in digests)
    ]


def _is_quoted(entries: list[Entry]) -> bool:
    """Return whether the quoted ones of some values are a text of others: several, a piece of a sentence among them."""
    flags = [entry.flags for entry in entries if entry.flags & Seen.QUOTED]
    return len(flags) >= QUOTED_MIN and any(each & _PIECE for each in flags)


def kinds_asked_for(row: ProvenanceRow, memory: Memory) -> list[Entry]:
    """Return the kinds of acts that the user's messages ask for, as values of the user, and what holds for the last
    request."""
    derived = [scope for scope in row.scopes if scope.source == DERIVED]
    kinds = {at_request(row.asked_s, each.kind) if holds_for_request(each) else each.kind for each in derived}
    entries = [Entry(memory.digest(ASKED_FOR, kind), Seen.USER) for kind in sorted(kinds)]
    largest = next((scope.amount_max for scope in derived if scope.kind == SUM), "")
    return [*entries, asked_entry(row.asked_s, largest)] if row.asked_s else entries


def _was_read(entry: Entry | None) -> bool:
    return entry is not None and bool(entry.flags & (Seen.TRUSTED | _OTHERS))


def written_of(args: dict[str, object], uses: ToolUses, memory: Memory, *, is_tainted: bool) -> list[Entry]:
    """Return the values that a call writes and that others have shown, or that nobody has and look like a machine's.

    A value that nobody has shown and that only says where the call acts, such as a folder, is none that is written.

    Args:
        is_tainted: whether the session that writes counts as untrusted.
    """
    written = []
    for leaf in leaves_of(args):
        if isinstance(leaf.value, str):
            is_place = uses.sinks.cover(leaf.path) or uses.role_of(leaf.path) in _PLACES
            entries = _written_in(leaf.value, memory, is_place=is_place)
            of_others = [entry for entry in entries if entry.flags & Seen.QUOTED]
            if not (is_tainted and _is_quoted(of_others)):
                entries = [entry._replace(flags=entry.flags & ~(Seen.QUOTED | _PIECE)) for entry in entries]
            written += entries
    return written


def _written_in(text: str, memory: Memory, *, is_place: bool) -> list[Entry]:
    """Return the values of one text that are written; those that others have shown as quoted."""
    written: dict[bytes, Entry] = {}
    values = extract_content(text, with_calls=False).found
    others = list(dict.fromkeys(found.value for found in values if found.kind is not AtomKind.TEXT))
    quoted: set[str] = set()
    for found in values:
        digest = memory.digest(found.kind, found.value)
        entry = memory.find(digest)
        if entry is None:
            if found.kind in SHAPED and not is_place:
                written[digest] = Entry(digest, Seen.TEXT | Seen.PLAIN)
        elif is_of_others(entry.flags):
            # A number may be of a phone and of an account.
            is_told = found.value in quoted or _is_part(found.kind, found.value, others)
            quoted.add(found.value)
            piece = _PIECE if found.kind is AtomKind.TEXT else 0
            flags = entry.flags & _OF_OTHERS | (0 if is_told else Seen.QUOTED | piece)
            written[digest] = Entry(digest, flags, calls_for=entry.calls_for)
    return list(written.values())


def _is_part(kind: AtomKind, value: str, others: list[str]) -> bool:
    """Return whether a value is part of another one of its text, so that both are one: an address and its host, a date
    and its day, an amount and its number."""
    if kind is AtomKind.TEXT:
        return value.isdigit()
    if len(others) > PARTS_MAX:
        return False
    bare = value.rpartition(":")[2].lstrip("-")
    return any(bare in other and value != other for other in others)


def source_of_call(session_id: str, intent_id: str, written: Iterable[Entry], now_ms: int) -> CarriedSource:
    """Return what says which call has written values into a store."""
    return CarriedSource(session_id=session_id, event_id=intent_id, noted_at=now_ms, digests=_some_of(written))


def sources_of_event(
    event: SessionEvent, seen: Iterable[Entry], session: SessionRow, now_ms: int
) -> list[CarriedSource]:
    """Return what says that an event has shown what others have written; nothing if it has not.

    Args:
        event: the event.
        seen: its values, as the session knows them.
        session: its session after it.
        now_ms: the instant of stream time.
    """
    by_others = [entry for entry in seen if is_of_others(entry.flags)]
    read = session.trust.sources[-1:]
    is_untrusted = any(each.event_id == event.header.id and each.label.integrity is not _TRUSTED for each in read)
    if not by_others and not is_untrusted:
        return []
    digests = _some_of(by_others)
    return [CarriedSource(session_id=event.session_id, event_id=event.header.id, noted_at=now_ms, digests=digests)]


def sources_of_session(session_id: str, session: SessionRow, now_ms: int) -> list[CarriedSource]:
    """Return what a session has read so far that is untrusted as a whole."""
    trust = session.trust
    read = [(each.event_id, each.label) for each in trust.sources]
    read += [(each.intent_id, each.label) for each in trust.pending_reads]
    return [
        CarriedSource(session_id=session_id, event_id=event_id, noted_at=now_ms)
        for event_id, label in read
        if label.integrity is not _TRUSTED
    ]


def _some_of(entries: Iterable[Entry]) -> bytes:
    by_weight = sorted(entries, key=lambda entry: (not entry.flags & Seen.INSTRUCTED, entry.digest))
    return b"".join(dict.fromkeys(entry.digest[:DIGEST_BYTES] for entry in by_weight[:SOURCE_DIGESTS_MAX]))
