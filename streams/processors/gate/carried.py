"""Carry what was seen over the end of a session: within its conversation, and through stores that the agent writes.

**Idea.** A session is one partition's, but what it reads is not: another session of the conversation may act on it, or
a session of next week that reads a note which this one has written. So what a conversation shows, and what an agent
that has read others' words writes into a server's store, is noted with the budget allocator, as digests under the
user's key. A session asks for both before it is judged: for its conversation again and again, for a store when it has
read something of it. The intent waits for the answer, as it would for a lease. A session of a conversation asks for a
store as soon as it has read something of it: another session may act on what it was shown before it acts itself.

What was written into a store and is read from there again counts as what it was: the store's label clears nothing.

Notes are sets, and are joined. So a note that comes twice, or late, changes nothing.

**Rejected.** A broadcast topic: each gate would hold what all conversations have read. Conversations as the key of the
partition: sessions are keyed by themselves (ADR 0001). To trust nothing that was read from a store which anybody of
others' words was ever written to: a notebook would be lost to honest work after its first quotation.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from streams.model.budget import (
    CARRIED_CONVERSATION,
    CARRIED_STORE,
    CARRIED_WINDOW_END_MS,
    BudgetAnswer,
    BudgetGrant,
    BudgetOp,
    BudgetRequest,
    CarriedSource,
    is_carried_store,
    request_key,
)
from streams.model.labels import Integrity, Label
from streams.model.proof import is_proven_by_server
from streams.model.session import SessionEvent, SessionEventType
from streams.model.topics import BUDGET_REQUEST
from streams.model.verdict import Outcome
from streams.ports.processor import Output, StateView
from streams.ports.wire import Encoder
from streams.processors.budgets.charges import shared_key
from streams.processors.budgets.leases import RESEND_MS, next_serial, request_header, with_room
from streams.processors.gate.case import Case
from streams.processors.gate.provenance import CONTENTS, ProvenanceKeeper
from streams.processors.provenance.memory import read_provenance, store_provenance, stored_entries
from streams.processors.provenance.reached import (
    kinds_asked_for,
    read_from_store,
    source_of_call,
    sources_of_event,
    sources_of_session,
    whole_of,
    with_conversation,
    with_shown,
    with_store,
    written_of,
)
from streams.processors.provenance.rows import ProvenanceRow
from streams.processors.rows import carried_question_row_key
from streams.processors.session_row import SessionRow, read_session
from streams.processors.sessions.events import tool_of
from streams.processors.state import encode_row
from streams.provenance.sources.carried import Whole, joined_sources, pack, unpack
from streams.provenance.sources.memory import DIGEST_BYTES, Entry, Seen

FRESH_MS = 5_000
"""How old what is known of other sessions may be when a call is judged."""
STORES_MAX = 16
"""Servers of one session whose stores are looked after. Of further ones nothing is known: the worst is expected."""
CONVERSATION_CHARS_MAX = 256

replace = msgspec.structs.replace
# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_ALLOW = Outcome.ALLOW
_TRUSTED = Integrity.TRUSTED


class Question(NamedTuple):
    """Something that a session must know before it is judged: the budget key, and the tenant."""

    key: str
    tenant_uid: str


class Note(NamedTuple):
    """What is noted: values, what holds besides them as a set of `Whole`, and where they come from."""

    entries: Iterable[Entry]
    flags: int
    sources: list[CarriedSource]


class QuestionRow(msgspec.Struct, frozen=True, array_like=True):
    """A question without an answer: its number, when it was asked, and the intents that wait; an empty intent stands
    for a session that waits itself."""

    tenant_uid: str
    serial: int = 0
    asked_ms: int = 0
    waiting: tuple[tuple[bytes, str], ...] = ()


_decode = msgspec.msgpack.Decoder(QuestionRow).decode


class Carried:
    """Notes and asks what outlives sessions. All memory is in the state views."""

    def __init__(self, encoder: Encoder, keeper: ProvenanceKeeper) -> None:
        self._encoder = encoder
        self._keeper = keeper

    def questions(self, case: Case, state: StateView) -> tuple[Question, ...]:
        """Return what a session must know before its intent is judged.

        What it has seen is stored from then on, because answers are kept with that.
        """
        row = self._keeper.row_of(case, state)
        conversation = _conversation_of(case, row)
        if not conversation and not row.stores:
            return ()
        intent, now_ms = case.asked.intent, case.asked.now_ms
        tenant_uid, sub = intent.header.tenant_uid, case.session.identity.sub
        keys = []
        if conversation:
            key = _conversation_key(tenant_uid, sub, conversation)
            if _is_stale(row.answered.get(key), now_ms, now_ms):
                keys.append(key)
        return tuple(Question(key, tenant_uid) for key in [*keys, *_unknown_stores(row, tenant_uid, sub)])

    def knows_conversation(self, case: Case, state: StateView) -> bool:
        """Return whether a session knows what its conversation had shown when the intent came, or has none."""
        row = self._keeper.row_of(case, state)
        conversation = _conversation_of(case, row)
        if not conversation:
            return True
        tenant_uid, came_ms = case.asked.intent.header.tenant_uid, case.asked.received_ms
        answered_ms = row.answered.get(_conversation_key(tenant_uid, case.session.identity.sub, conversation))
        return not _is_stale(answered_ms, came_ms, came_ms)

    def ask(
        self, questions: Iterable[Question], waiting: tuple[bytes, str], state: StateView, now_ms: int
    ) -> list[Output] | None:
        """Let an intent wait for answers, which are asked for; return None if too many wait already.

        Args:
            questions: what is asked for.
            waiting: the session, and its intent; an empty one if the session itself must know.
            state: the partition's state.
            now_ms: stream time.
        """
        outputs = []
        for question in questions:
            found = state.get(carried_question_row_key(question.key))
            row = QuestionRow(question.tenant_uid) if found is None else _decode(found)
            others = with_room(row.waiting, state)
            if others is None:
                return None
            row = replace(row, waiting=others if waiting in others else (*others, waiting))
            if not row.serial or now_ms - row.asked_ms >= RESEND_MS:
                row = replace(row, serial=next_serial(state), asked_ms=now_ms)
                outputs.append(self._request(question, row.serial, state, now_ms))
            state.put(carried_question_row_key(question.key), encode_row(row))
        return outputs

    def on_grant(
        self, grant: BudgetGrant, state: StateView, now_ms: int
    ) -> tuple[tuple[tuple[bytes, str], ...], list[Output]]:
        """Add an answer to what the waiting sessions have seen.

        Returns:
            Which intents have waited for it; and notes for the conversations of sessions that have read something of a
            store: to these it came under the label of the store.
        """
        row_key = carried_question_row_key(grant.budget_key)
        found = state.get(row_key)
        row = None if found is None else _decode(found)
        if row is None or row.serial != grant.serial or grant.answer is not BudgetAnswer.COUNTED:
            return (), []
        state.delete(row_key)
        outputs: list[Output] = []
        entries = [entry for packed in grant.targets for entry in unpack(packed)]
        for session_key in dict.fromkeys(session_key for session_key, _ in row.waiting):
            known = read_provenance(session_key, state)
            if known is not None:
                sub = read_session(state, session_key).identity.sub
                memory = self._keeper.memory_for(session_key, row.tenant_uid, sub, state)
                before, found_out = known, list[Entry]()
                if is_carried_store(grant.budget_key):
                    found_out = read_from_store(entries, memory)
                    server_id = _server_of(grant.budget_key, known, row.tenant_uid, sub)
                    known = with_store(known, entries, grant.amount, memory, grant.sources, server_id=server_id)
                else:
                    known = with_conversation(known, entries, grant.amount, memory, grant.sources)
                answered = {**known.answered, grant.budget_key: now_ms}
                store_provenance(session_key, replace(known, answered=answered), state)
                is_worse = is_carried_store(grant.budget_key) and whole_of(known) != whole_of(before)
                if known.conversation and (found_out or is_worse):
                    question = Question(_conversation_key(row.tenant_uid, sub, known.conversation), row.tenant_uid)
                    note = Note(found_out, whole_of(known), list(known.carried))
                    outputs.append(self._note(question, note, state, now_ms))
        return tuple(each for each in row.waiting if each[1]), outputs

    def after_event(
        self, session_key: bytes, event: SessionEvent, after: SessionRow, state: StateView, now_ms: int
    ) -> list[Output]:
        """Remember which store was read, and note what an event has shown to its conversation."""
        row = read_provenance(session_key, state)
        if row is None:
            return []
        before = row
        tenant_uid, sub = event.header.tenant_uid, after.identity.sub
        tool = tool_of(event)
        if event.type in CONTENTS and tool is not None:
            store_key = _store_key(tenant_uid, sub, tool[0])
            row = _with_read(with_shown(row, tool[0], event), tool[0], store_key, now_ms)
        # INVARIANT: no server chooses the conversation: it could have a session forget what was read in its own one,
        # and know what the user has said in another.
        if event.conversation_id and not row.conversation and not is_proven_by_server(event):
            row = replace(row, conversation=event.conversation_id[:CONVERSATION_CHARS_MAX])
        outputs: list[Output] = []
        if row is not before:
            if row.conversation:
                row, outputs = self._asked_stores(session_key, row, tenant_uid, sub, state, now_ms)
            store_provenance(session_key, row, state)
        is_content = event.type in CONTENTS
        if not row.conversation or not (event.atoms or is_content) or event.type is SessionEventType.MODEL_OUTPUT:
            return outputs
        memory = self._keeper.memory_for(session_key, tenant_uid, sub, state)
        seen = [entry for atom in event.atoms if (entry := memory.find(atom.digest[:DIGEST_BYTES])) is not None]
        sources = sources_of_event(event, seen, after, now_ms) if is_content else []
        if not before.conversation:
            seen = list(stored_entries(session_key, state))
            sources += sources_of_session(event.session_id, after, now_ms)
        question = Question(_conversation_key(tenant_uid, sub, row.conversation), tenant_uid)
        note = Note([*seen, *kinds_asked_for(row, memory)], whole_of(row) | _tainted(after.effective_label()), sources)
        return [*outputs, self._note(question, note, state, now_ms)]

    def _asked_stores(
        self, session_key: bytes, row: ProvenanceRow, tenant_uid: str, sub: str, state: StateView, now_ms: int
    ) -> tuple[ProvenanceRow, list[Output]]:
        """Ask for the stores that a session of a conversation has read from; expect the worst of them if it can't."""
        questions = [Question(key, tenant_uid) for key in _unknown_stores(row, tenant_uid, sub)]
        outputs = self.ask(questions, (session_key, ""), state, now_ms)
        return (_at_worst(row), []) if outputs is None else (row, outputs)

    def after_verdict(self, case: Case, outcome: Outcome, state: StateView) -> list[Output]:
        """Note what a session has seen once its conversation is known, and what an allowed call writes into a store."""
        if not case.is_proven or case.tool is None or not self._keeper.asks(case):
            return []
        session_key, intent, now_ms = case.asked.session_key, case.asked.intent, case.asked.now_ms
        tenant_uid, sub = intent.header.tenant_uid, case.session.identity.sub
        row = self._keeper.row_of(case, state)
        outputs = []
        conversation = _conversation_of(case, row)
        if conversation and not row.conversation:
            row = replace(row, conversation=conversation)
            self._keeper.store_row(case, row, state)
            question = Question(_conversation_key(tenant_uid, sub, conversation), tenant_uid)
            asked_for = kinds_asked_for(row, self._keeper.memory_of(case, state))
            entries = [*stored_entries(session_key, state), *asked_for]
            sources = sources_of_session(intent.session_id, case.session, now_ms)
            note = Note(entries, whole_of(row) | _tainted(case.label()), sources)
            outputs.append(self._note(question, note, state, now_ms))
        is_tainted = case.label().integrity is not _TRUSTED
        if outcome is _ALLOW and (is_tainted or row.has_untrusted) and not case.tool.entry.read_only:
            memory = self._keeper.memory_of(case, state)
            args, uses = case.known_arguments().values, case.tool.uses
            written = written_of(args, uses, memory, is_tainted=is_tainted)
            if written:
                is_quoted = any(entry.flags & Seen.QUOTED for entry in written)
                flags = whole_of(row) & ~Whole.TAINTED | (Whole.TAINTED if is_quoted else 0)
                source = source_of_call(intent.session_id, intent.intent_id, written, now_ms)
                question = Question(_store_key(tenant_uid, sub, intent.tool.server_id), tenant_uid)
                outputs.append(self._note(question, Note(written, flags, [source]), state, now_ms))
        return outputs

    def _note(self, question: Question, note: Note, state: StateView, now_ms: int) -> Output:
        packed, complete = pack(entry._replace(flags=entry.flags & ~_OF_THE_SESSION) for entry in note.entries)
        note = note._replace(flags=note.flags | (0 if complete else Whole.INCOMPLETE))
        return self._request(question, next_serial(state), state, now_ms, packed, note)

    def _request(
        self,
        question: Question,
        serial: int,
        state: StateView,
        now_ms: int,
        packed: bytes = b"",
        note: Note | None = None,
    ) -> Output:
        """Return a question, or a note of what is packed."""
        header = request_header(question.key, question.tenant_uid, state.partition, serial, now_ms)
        request = BudgetRequest(
            header=header,
            budget_key=question.key,
            op=BudgetOp.READ if note is None else BudgetOp.NOTE,
            gate_partition=state.partition,
            serial=serial,
            window_start=0,
            window_end=CARRIED_WINDOW_END_MS,
            limit=0,
            amount=0 if note is None else note.flags,
            targets=(packed,) if packed else (),
            sources=() if note is None else joined_sources(note.sources),
        )
        value = self._encoder.encode(BUDGET_REQUEST.name, request)
        return Output(BUDGET_REQUEST, request_key(question.key), value, header)


_OF_THE_SESSION = Seen.POINTED | Seen.SHOWN
"""What says something of the request of one session only."""


def _conversation_of(case: Case, row: ProvenanceRow) -> str:
    """Return the conversation of a session: the first one that a proven intent or event has named. Later ones change
    nothing, since an agent could leave what it has read behind."""
    return row.conversation or (case.asked.intent.conversation_id or "")[:CONVERSATION_CHARS_MAX]


def _conversation_key(tenant_uid: str, sub: str, conversation: str) -> str:
    return shared_key((CARRIED_CONVERSATION,), tenant_uid, (sub, conversation))


def _store_key(tenant_uid: str, sub: str, server_id: str) -> str:
    return shared_key((CARRIED_STORE,), tenant_uid, (sub, server_id))


def _unknown_stores(row: ProvenanceRow, tenant_uid: str, sub: str) -> list[str]:
    """Return the keys of the stores that a session has read from since it last knew what was written there.

    However short that is ago: it was compared with what had been read until then.
    """
    keys = [(_store_key(tenant_uid, sub, server_id), read_ms) for server_id, read_ms in row.stores.items()]
    return [key for key, read_ms in keys if row.answered.get(key, -1) < read_ms]


def _server_of(key: str, row: ProvenanceRow, tenant_uid: str, sub: str) -> str:
    """Return the server whose store a key is of; empty if the session has read nothing from it."""
    return next((server_id for server_id in row.stores if _store_key(tenant_uid, sub, server_id) == key), "")


def _at_worst(row: ProvenanceRow) -> ProvenanceRow:
    return replace(row, is_complete=False, has_untrusted=True, has_text=True, is_instructed=True, is_tainted=True)


def _is_stale(answered_ms: int | None, since_ms: int, now_ms: int) -> bool:
    """Return whether something must be asked for: never answered, or not since the last read and not lately."""
    return answered_ms is None or (answered_ms < since_ms and now_ms - answered_ms > FRESH_MS)


def _tainted(label: Label) -> int:
    return 0 if label.integrity is _TRUSTED else Whole.TAINTED


def _with_read(row: ProvenanceRow, server_id: str, store_key: str, now_ms: int) -> ProvenanceRow:
    if server_id not in row.stores and len(row.stores) >= STORES_MAX:
        return _at_worst(row)
    # What is known of the store was compared with what had been read before, perhaps in the same millisecond.
    answered = {key: answered_ms for key, answered_ms in row.answered.items() if key != store_key}
    return replace(row, stores={**row.stores, server_id: now_ms}, answered=answered)
