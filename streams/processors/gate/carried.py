"""Carry what was seen over the end of a session: within its conversation, and through stores that the agent writes.

**Idea.** A session is one partition's, but what it reads is not: another session of the conversation may act on it, or
a session of next week that reads a note which this one has written. So what a conversation shows, and what an agent
that has read others' words writes into a server's store, is noted with the budget allocator, as digests under the
user's key. A session asks for both before it is judged: for its conversation again and again, for a store when it has
read something of it. The intent waits for the answer, as it would for a lease.

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
    is_carried_store,
    request_key,
)
from streams.model.catalog import ArgumentRole
from streams.model.labels import Integrity
from streams.model.proof import is_proven_by_server
from streams.model.session import SessionEvent, SessionEventType
from streams.model.topics import BUDGET_REQUEST
from streams.model.verdict import Outcome
from streams.ports.processor import Output, StateView
from streams.ports.wire import Encoder
from streams.processors.budgets.charges import shared_key
from streams.processors.budgets.leases import RESEND_MS, next_serial, request_header, with_room
from streams.processors.control.tool_uses import ToolUses
from streams.processors.gate.case import Case
from streams.processors.gate.provenance import CONTENTS, ProvenanceKeeper
from streams.processors.provenance.contents import calls_in
from streams.processors.provenance.memory import Memory, read_provenance, store_provenance, stored_entries
from streams.processors.provenance.rows import ProvenanceRow
from streams.processors.provenance.task_scopes import holds_for_request
from streams.processors.provenance.user_words import ASKED_FOR, at_request
from streams.processors.rows import carried_question_row_key
from streams.processors.session_row import SessionRow, read_session
from streams.processors.sessions.events import tool_of
from streams.processors.state import encode_row
from streams.provenance.acts import SUM
from streams.provenance.carried import Whole, asked_entry, last_asked, pack, unpack
from streams.provenance.extract import extract_content
from streams.provenance.leaves import leaves_of
from streams.provenance.memory import DIGEST_BYTES, Entry, Seen, is_of_others
from streams.provenance.object_named import OBJECTS
from streams.provenance.origins import SHAPED
from streams.provenance.scope import DERIVED, REQUEST_KINDS, Scope

FRESH_MS = 5_000
"""How old what is known of other sessions may be when a call is judged."""
STORES_MAX = 16
"""Servers of one session whose stores are looked after. Of further ones nothing is known: the worst is expected."""
CONVERSATION_CHARS_MAX = 256

_OTHERS = Seen.FIELD | Seen.TEXT
_PLACES = frozenset({ArgumentRole.TARGET, ArgumentRole.SELECTOR})
_OF_OTHERS = _OTHERS | Seen.PLAIN | Seen.INSTRUCTED
_WHOLES = (
    (Whole.UNTRUSTED, "has_untrusted"),
    (Whole.TEXT, "has_text"),
    (Whole.INSTRUCTED, "is_instructed"),
    (Whole.LACKS_WORDS, "lacks_words"),
)
replace = msgspec.structs.replace
# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_ALLOW = Outcome.ALLOW


class Question(NamedTuple):
    """Something that a session must know before it is judged: the budget key, and the tenant."""

    key: str
    tenant_uid: str


class QuestionRow(msgspec.Struct, frozen=True, array_like=True):
    """A question without an answer: its number, when it was asked, and the intents that wait."""

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
            keys.append((_conversation_key(tenant_uid, sub, conversation), now_ms))
        keys += [(_store_key(tenant_uid, sub, server_id), read_ms) for server_id, read_ms in row.stores.items()]
        return tuple(
            Question(key, tenant_uid) for key, since in keys if _is_stale(row.answered.get(key), since, now_ms)
        )

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
        """Let an intent wait for answers, which are asked for; return None if too many wait already."""
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
                outputs.append(self._request(question, BudgetOp.READ, row.serial, state, now_ms))
            state.put(carried_question_row_key(question.key), encode_row(row))
        return outputs

    def on_grant(self, grant: BudgetGrant, state: StateView, now_ms: int) -> tuple[tuple[bytes, str], ...]:
        """Add an answer to what the waiting sessions have seen, and return which intents have waited for it."""
        row_key = carried_question_row_key(grant.budget_key)
        found = state.get(row_key)
        row = None if found is None else _decode(found)
        if row is None or row.serial != grant.serial or grant.answer is not BudgetAnswer.COUNTED:
            return ()
        state.delete(row_key)
        entries = [entry for packed in grant.targets for entry in unpack(packed)]
        for session_key in dict.fromkeys(session_key for session_key, _ in row.waiting):
            known = read_provenance(session_key, state)
            if known is not None:
                sub = read_session(state, session_key).identity.sub
                memory = self._keeper.memory_for(session_key, row.tenant_uid, sub, state)
                add = _with_store if is_carried_store(grant.budget_key) else _with_conversation
                known = add(known, entries, grant.amount, memory)
                answered = {**known.answered, grant.budget_key: now_ms}
                store_provenance(session_key, replace(known, answered=answered), state)
        return row.waiting

    def after_event(
        self, session_key: bytes, event: SessionEvent, after: SessionRow, state: StateView, now_ms: int
    ) -> list[Output]:
        """Remember which store was read, and note what an event has shown to its conversation."""
        row = read_provenance(session_key, state)
        if row is None:
            return []
        before = row
        tool = tool_of(event)
        if event.type in CONTENTS and tool is not None:
            row = _with_read(row, tool[0], now_ms)
        # INVARIANT: no server chooses the conversation: it could have a session forget what was read in its own one,
        # and know what the user has said in another.
        if event.conversation_id and not row.conversation and not is_proven_by_server(event):
            row = replace(row, conversation=event.conversation_id[:CONVERSATION_CHARS_MAX])
        if row is not before:
            store_provenance(session_key, row, state)
        if not row.conversation or not event.atoms or event.type is SessionEventType.MODEL_OUTPUT:
            return []
        tenant_uid, sub = event.header.tenant_uid, after.identity.sub
        memory = self._keeper.memory_for(session_key, tenant_uid, sub, state)
        seen: Iterable[Entry]
        if before.conversation:
            seen = (entry for atom in event.atoms if (entry := memory.find(atom.digest[:DIGEST_BYTES])) is not None)
        else:
            seen = stored_entries(session_key, state)
        question = Question(_conversation_key(tenant_uid, sub, row.conversation), tenant_uid)
        return [self._note(question, [*seen, *_kinds_asked_for(row, memory)], row, state, now_ms)]

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
            asked_for = _kinds_asked_for(row, self._keeper.memory_of(case, state))
            entries = [*stored_entries(session_key, state), *asked_for]
            outputs.append(self._note(question, entries, row, state, now_ms))
        is_tainted = row.has_untrusted or case.label().integrity is not Integrity.TRUSTED
        if outcome is _ALLOW and is_tainted and not case.tool.entry.read_only:
            memory = self._keeper.memory_of(case, state)
            written = _written(case.known_arguments().values, case.tool.uses, memory)
            if written:
                question = Question(_store_key(tenant_uid, sub, intent.tool.server_id), tenant_uid)
                outputs.append(self._note(question, written, row, state, now_ms))
        return outputs

    def _note(
        self, question: Question, entries: Iterable[Entry], row: ProvenanceRow, state: StateView, now_ms: int
    ) -> Output:
        packed, complete = pack(entry._replace(flags=entry.flags & ~_OF_THE_SESSION) for entry in entries)
        flags = _whole_of(row) | (0 if complete else Whole.INCOMPLETE)
        return self._request(question, BudgetOp.NOTE, next_serial(state), state, now_ms, packed=packed, flags=flags)

    def _request(
        self,
        question: Question,
        op: BudgetOp,
        serial: int,
        state: StateView,
        now_ms: int,
        *,
        packed: bytes = b"",
        flags: int = 0,
    ) -> Output:
        header = request_header(question.key, question.tenant_uid, state.partition, serial, now_ms)
        request = BudgetRequest(
            header=header,
            budget_key=question.key,
            op=op,
            gate_partition=state.partition,
            serial=serial,
            window_start=0,
            window_end=CARRIED_WINDOW_END_MS,
            limit=0,
            amount=flags,
            targets=(packed,) if packed else (),
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


def _is_stale(answered_ms: int | None, since_ms: int, now_ms: int) -> bool:
    """Return whether something must be asked for: never answered, or not since the last read and not lately."""
    return answered_ms is None or (answered_ms < since_ms and now_ms - answered_ms > FRESH_MS)


def _whole_of(row: ProvenanceRow) -> int:
    flags = sum(flag for flag, name in _WHOLES if getattr(row, name))
    return flags | (0 if row.is_complete else Whole.INCOMPLETE)


def _with_read(row: ProvenanceRow, server_id: str, now_ms: int) -> ProvenanceRow:
    if server_id not in row.stores and len(row.stores) >= STORES_MAX:
        return replace(row, is_complete=False, has_untrusted=True, has_text=True, is_instructed=True)
    return replace(row, stores={**row.stores, server_id: now_ms})


def _with_conversation(row: ProvenanceRow, entries: list[Entry], flags: int, memory: Memory) -> ProvenanceRow:
    if row.agreed_acts and any(entry.flags & _OTHERS and memory.find(entry.digest) is None for entry in entries):
        # Another session has read something, perhaps after the user has agreed in this one.
        row = replace(row, agreed_acts=0)
    asked_s, largest = last_asked(entries)
    entries = [entry for entry in entries if not entry.flags & Seen.ASKED]
    if row.has_message:
        # What he has left out elsewhere he may have named since, and notes forget nothing.
        entries = [entry._replace(flags=entry.flags & ~Seen.EXCLUDED) for entry in entries]
    row = memory.add(row, entries)
    if not row.has_message:
        # The user has said nothing to this session: it is an agent's, and works for what he has said to another one.
        asked_for = {entry.digest for entry in entries}
        kinds = [kind for kind in REQUEST_KINDS if memory.digest(ASKED_FOR, kind) in asked_for]
        row = replace(row, scopes=(*row.scopes, *(Scope(source=DERIVED, kind=kind) for kind in kinds)))
        row = _with_request(row, asked_s, largest, asked_for, memory)
    worse = {name: True for flag, name in _WHOLES if flags & flag}
    is_complete, calls_for = row.is_complete and not flags & Whole.INCOMPLETE, row.calls_for | calls_in(entries)
    return replace(row, is_complete=is_complete, calls_for=calls_for, **worse)


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


def _with_store(row: ProvenanceRow, entries: list[Entry], flags: int, memory: Memory) -> ProvenanceRow:
    """Return the row with what was written into a store: if any of it was read again, others' words were read."""
    again = [entry for entry in entries if _was_read(memory.find(entry.digest))]
    row = memory.add(row, [entry._replace(flags=entry.flags | Seen.WRITTEN) for entry in entries])
    if again:
        is_instructed = row.is_instructed or any(entry.flags & Seen.INSTRUCTED for entry in again)
        has_text = row.has_text or any(entry.flags & Seen.TEXT for entry in again)
        calls_for = row.calls_for | calls_in(again)
        row = replace(
            row,
            has_untrusted=True,
            has_text=has_text,
            is_instructed=is_instructed,
            calls_for=calls_for,
            agreed_acts=0 if has_text else row.agreed_acts,
        )
    return replace(row, is_complete=row.is_complete and not flags & Whole.INCOMPLETE)


def _kinds_asked_for(row: ProvenanceRow, memory: Memory) -> list[Entry]:
    """Return the kinds of acts that the user's messages ask for, as values of the user, and what holds for the last
    request."""
    derived = [scope for scope in row.scopes if scope.source == DERIVED]
    kinds = {at_request(row.asked_s, each.kind) if holds_for_request(each) else each.kind for each in derived}
    entries = [Entry(memory.digest(ASKED_FOR, kind), Seen.USER) for kind in sorted(kinds)]
    largest = next((scope.amount_max for scope in derived if scope.kind == SUM), "")
    return [*entries, asked_entry(row.asked_s, largest)] if row.asked_s else entries


def _was_read(entry: Entry | None) -> bool:
    return entry is not None and bool(entry.flags & (Seen.TRUSTED | _OTHERS))


def _written(args: dict[str, object], uses: ToolUses, memory: Memory) -> list[Entry]:
    """Return the values that a call writes and that others have shown, or that nobody has and look like a machine's.

    A value that nobody has shown and that only says where the call acts, such as a folder, is none that is written.
    """
    written = []
    for leaf in leaves_of(args):
        if not isinstance(leaf.value, str):
            continue
        for found in extract_content(leaf.value, with_calls=False).found:
            digest = memory.digest(found.kind, found.value)
            entry = memory.find(digest)
            if entry is None:
                if found.kind in SHAPED and not (uses.sinks.cover(leaf.path) or uses.role_of(leaf.path) in _PLACES):
                    written.append(Entry(digest, Seen.TEXT | Seen.PLAIN))
            elif is_of_others(entry.flags):
                written.append(Entry(digest, entry.flags & _OF_OTHERS, calls_for=entry.calls_for))
    return written
