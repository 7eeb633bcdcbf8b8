"""Keep what is the user's: who he is, the purpose of the session, and what he says to it.

Only his own words are his: what others have written in a message of his, such as a mail that he quotes, is kept as
their text. What he asks for holds until he asks for something else.
"""

from __future__ import annotations

import msgspec

from streams.model.labels import Integrity, Label
from streams.model.session import Atom, ScopeSource, SessionEvent
from streams.processors.provenance.contents import calls_in, is_trusted, parted, with_calls
from streams.processors.provenance.elsewhere import without_elsewhere
from streams.processors.provenance.memory import Memory
from streams.processors.provenance.proposals import after_message
from streams.processors.provenance.rows import AGREED_ACTS_MAX, Amounts, ProvenanceRow
from streams.processors.provenance.task_scopes import holds_for_request, with_scopes
from streams.processors.provenance.ties import is_tied, ties_of
from streams.processors.session_row import SessionRow
from streams.provenance.acts.kinds import USUAL, ActKind
from streams.provenance.atoms.days_meant import FORMS, NAMED, SAID, days_of
from streams.provenance.atoms.found import AtomKind, Found
from streams.provenance.atoms.relative_days import proves_day, says_day
from streams.provenance.extraction.extract import DAYS_PATH, EXCLUDED_PATH, IN_WORDS_PATH, extract_message
from streams.provenance.requests.agreed import ACCEPT, AGREE, REFUSE
from streams.provenance.requests.languages import FOREIGN
from streams.provenance.requests.scope import derive_scopes
from streams.provenance.sources.memory import DIGEST_BYTES, OTHER_PATH, Entry, Seen

replace = msgspec.structs.replace

_ASKED = frozenset(kind.value for kind in ActKind)
_REFUSED = frozenset((REFUSE, FOREIGN))
"""After a message in a language in which nobody knows a refusal, what he has let stand is not known."""
ASKED_FOR = "asked for"
"""The kind of a value that says what the user of a conversation has asked for."""
_NUMBERS = frozenset((AtomKind.AMOUNT, AtomKind.NUMBER))
# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_TRUSTED, _DATE = Integrity.TRUSTED, AtomKind.DATE


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
    found = extract_message(purpose, with_ties=False).found
    entries = [Entry(memory.digest(each.kind, each.value), _as_users(each)) for each in found]
    return with_scopes(memory.add(row, entries), derive_scopes(purpose), ScopeSource.DERIVED, memory)


def with_user_words(row: ProvenanceRow, event: SessionEvent, memory: Memory, label: Label) -> ProvenanceRow:
    """Return the row after the user has said something."""
    event, tied = parted(event, is_tied)
    row, number, paths = memory.number_event(row, event)
    is_users = label.integrity is _TRUSTED
    entries = [
        with_calls(
            Entry(
                atom.digest[:DIGEST_BYTES],
                _as_users(atom) if is_users and is_trusted(atom.label) else _as_text(atom),
                number,
                paths.get(atom.path, OTHER_PATH),
            ),
            atom,
        )
        for atom in event.atoms
    ]
    if is_users:
        entries += _days_named(event, memory, number)
        row = without_elsewhere(row, entries)
    # What he names again is no longer left out, unless this message leaves it out. What others say in it, such as a
    # mail that he quotes, ends no exclusion.
    row = memory.add(row, [entry for entry in entries if entry.flags == Seen.USER], Seen.EXCLUDED)
    row = memory.add(row, [entry for entry in entries if entry.flags != Seen.USER])
    if not is_users:
        is_instructed = row.is_instructed or event.text_instructed
        calls_for = row.calls_for | calls_in(entries)
        row = replace(row, has_untrusted=True, has_text=True, is_instructed=is_instructed, calls_for=calls_for)
        return replace(row, others_events=row.events_count, agreed_acts=0)
    # The first message of a session can't answer the agent, which has said nothing before it.
    agrees = row.has_message and any(scope.kind == AGREE for scope in event.task_scopes)
    has_number = any(atom.kind in _NUMBERS and atom.path != IN_WORDS_PATH for atom in event.atoms)
    amounts = row.amounts | (Amounts.NAMED if has_number else 0)
    # "The same account as always" is said of what this message asks for. What he has counted or named is it until he
    # asks for something again: "yes, 14" asks for nothing.
    asks = any(scope.kind in _ASKED for scope in event.task_scopes)
    scopes = tuple(scope for scope in row.scopes if scope.kind != USUAL and not (asks and holds_for_request(scope)))
    agreed_acts = AGREED_ACTS_MAX if agrees else 0
    ties = ties_of(event, tied)
    accepts = any(scope.kind == ACCEPT for scope in event.task_scopes)
    refuses = any(scope.kind in _REFUSED for scope in event.task_scopes)
    row = after_message(row, agrees=agrees, accepts=accepts, asks=asks, refuses=refuses)
    row = replace(row, has_message=True, agreed_acts=agreed_acts, amounts=amounts, scopes=scopes, tied=ties)
    if asks:
        row = replace(row, asked_s=max(row.asked_s, event.header.time // 1_000), reached={})
    return with_scopes(row, event.task_scopes, ScopeSource.DERIVED, memory)


def _days_named(event: SessionEvent, memory: Memory, number: int) -> list[Entry]:
    """Return the days that the user's message says by how far they are away, as they are when he says it.

    He has named the date of "in two weeks". "Today" and "on Friday" stand in most messages, whatever these are about:
    they only take away what is said against a date. Neither points at a record that holds the date.
    """
    said = {atom.digest[:DIGEST_BYTES] for atom in event.atoms if atom.path == DAYS_PATH and is_trusted(atom.label)} - {
        atom.digest[:DIGEST_BYTES] for atom in event.atoms if atom.path == EXCLUDED_PATH
    }
    named: list[str] = []
    for form in FORMS if said else ():
        digest = memory.digest(_DATE, form)
        if digest in said:
            said.discard(digest)
            if says_day(form):
                before = NAMED if proves_day(form) else SAID
                named += [f"{before}{day}" for day in days_of(form, event.header.time)]
        if not said:
            break
    return [Entry(memory.digest(_DATE, each), Seen.USER, number) for each in named]


def at_request(asked_s: int, kind: str) -> str:
    """Return how another session of the conversation notes what holds for one request only."""
    return f"{asked_s}:{kind}"


def _as_users(atom: Atom | Found) -> int:
    return Seen.USER | Seen.EXCLUDED if atom.path == EXCLUDED_PATH else Seen.USER


def _as_text(atom: Atom) -> int:
    return Seen.TEXT | Seen.PLAIN | Seen.NAMED | (Seen.INSTRUCTED if atom.instructed else 0)
