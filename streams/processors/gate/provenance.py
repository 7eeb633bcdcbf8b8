"""Keep what sessions read while rules ask for it, and examine calls.

**Idea.** A gate whose rules read no fact of provenance does nothing here. Where they do, every event of a session adds
what its content has shown, and a call that is allowed adds what its result will be worth: whether the user has pointed
at it. A session that has read something before the rules asked for it is one of which not everything is known.
"""

from __future__ import annotations

import msgspec

from streams.model.labels import Integrity, Label, bounded, join
from streams.model.proof import is_proven_by_server
from streams.model.session import ScopeSource, SessionEvent, SessionEventType
from streams.model.verdict import FINAL_OUTCOMES, Outcome
from streams.ports.processor import StateView
from streams.processors.control.state import ControlState
from streams.processors.gate.case import Case
from streams.processors.provenance.aliases import asks_for_subject
from streams.processors.provenance.contents import with_content
from streams.processors.provenance.derived import ALL, as_others_text, derived_of
from streams.processors.provenance.drift import is_drift
from streams.processors.provenance.examine import Known, examine
from streams.processors.provenance.examined import Examined
from streams.processors.provenance.facts import PROVENANCE_MAKERS
from streams.processors.provenance.identifying import asks_for_identified, with_identifying
from streams.processors.provenance.memory import Memory, read_provenance, store_provenance
from streams.processors.provenance.owners import StatedOwners
from streams.processors.provenance.proposals import with_output
from streams.processors.provenance.requested import is_requested, limits_reads
from streams.processors.provenance.rows import DERIVED_MAX, SELECTED_MAX, ProvenanceRow
from streams.processors.provenance.task_scopes import with_scopes
from streams.processors.provenance.tools import ToolUseCache
from streams.processors.provenance.user_words import begun, with_purpose_words, with_user_words
from streams.processors.session_row import PENDING_READS_MAX, SessionRow
from streams.processors.sessions.events import content_label, tool_of
from streams.processors.settings import GateSettings
from streams.provenance.extraction.digests import atom_digester, atom_key
from streams.provenance.extraction.events import CONTENT_EVENTS, DESCRIBED_EVENTS
from streams.provenance.requests.scope import parse_scopes

PROVENANCE_FACTS = frozenset(PROVENANCE_MAKERS)
CONTENTS = CONTENT_EVENTS - {SessionEventType.USER_MESSAGE}
_KEPT = DESCRIBED_EVENTS | {SessionEventType.SESSION_ESTABLISHED, SessionEventType.PURPOSE_SET}
_USERS = Label(integrity=Integrity.TRUSTED)
_UNTRUSTED = Label(integrity=Integrity.UNTRUSTED)
replace = msgspec.structs.replace
# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_ALLOW = Outcome.ALLOW
_NO_THINGS: frozenset[str] = frozenset()


class ProvenanceKeeper:
    """Keeps what sessions read, and examines calls. All memory is in the state views."""

    def __init__(self, settings: GateSettings, control: ControlState) -> None:
        self._root_key = settings.root_key
        self._recorded = settings.recorded_keys
        self._digester = atom_digester if self._recorded is None else self._recorded.digester
        self._control = control
        self._uses = ToolUseCache()

    def is_asked(self, session_key: bytes) -> bool:
        """Return whether any rule in force reads a fact of provenance."""
        ruleset = self._control.ruleset_for(session_key)
        return ruleset is not None and not PROVENANCE_FACTS.isdisjoint(ruleset.reads)

    def asks(self, case: Case) -> bool:
        """Return whether any rule in force reads a fact of provenance; looked up once for each case."""
        if case.asks_origins is None:
            case.asks_origins = self.is_asked(case.asked.session_key)
        return case.asks_origins

    def key_for_result(self, case: Case) -> bytes | None:
        """Return the key with which an executor digests the values of a result; None if no rule asks for any."""
        return self._key_of(case) if self.asks(case) else None

    def _key_of(self, case: Case) -> bytes:
        return self._key_for(case.asked.intent.header.tenant_uid, case.session.identity.sub)

    def _key_for(self, tenant_uid: str, sub: str) -> bytes:
        known = None if self._recorded is None else self._recorded.key_of(tenant_uid, sub)
        return atom_key(self._root_key, tenant_uid, sub) if known is None else known

    def after_event(
        self, session_key: bytes, event: SessionEvent, before: SessionRow, after: SessionRow, state: StateView
    ) -> None:
        """Keep what an event has shown.

        Args:
            session_key: the key of its session.
            event: the event, which is proven.
            before: the session before it.
            after: the session after it.
            state: the partition's state.
        """
        if event.type not in _KEPT:
            return
        row = read_provenance(session_key, state)
        if row is None and not self.is_asked(session_key):
            return
        sub = after.identity.sub
        memory = self.memory_for(session_key, event.header.tenant_uid, sub, state)
        is_opening = event.type is SessionEventType.SESSION_ESTABLISHED
        if row is None or is_opening:
            opened = begun(memory, after if is_opening else before)
            row = opened if row is None else _with_both(row, opened)
        if event.type in CONTENTS:
            name = tool_of(event)
            tool = None if name is None else self._control.tools.get(name)
            use = None if tool is None else self._uses.of(tool)
            label = content_label(before, event, self._control)
            if is_proven_by_server(event) and event.type is not SessionEventType.TOOL_RESULT:
                # Nothing shows that the session has asked it: it could make any value trusted in every session.
                label = join(label, _UNTRUSTED)
            if row.derived and event.type is SessionEventType.TOOL_RESULT:
                row, event = _with_derived_result(row, event)
            row = with_content(row, event, memory, use, label, sub)
        elif event.type is SessionEventType.USER_MESSAGE:
            label = _USERS if event.label is None else join(_USERS, bounded(event.label))
            row = with_user_words(row, event, memory, label)
        elif event.type is SessionEventType.MODEL_OUTPUT:
            row = with_output(row, event, memory)
        else:
            row = _with_purpose(row, event, memory)
        store_provenance(session_key, row, state)

    def memory_of(self, case: Case, state: StateView) -> Memory:
        """Return what the session of an intent has seen; nothing that is added to it is stored."""
        return Memory(case.asked.session_key, self._key_of(case), state, keeps=False, digester=self._digester)

    def memory_for(self, session_key: bytes, tenant_uid: str, sub: str, state: StateView) -> Memory:
        """Return what a session has seen; what is added to it is stored."""
        return Memory(session_key, self._key_for(tenant_uid, sub), state, digester=self._digester)

    def row_of(self, case: Case, state: StateView) -> ProvenanceRow:
        """Return what the session of an intent has read as a whole, and store it if nothing was stored yet."""
        if case.seen is not None:
            return case.seen
        row = read_provenance(case.asked.session_key, state)
        if row is None:
            tenant_uid, sub = case.asked.intent.header.tenant_uid, case.session.identity.sub
            memory = self.memory_for(case.asked.session_key, tenant_uid, sub, state)
            row = begun(memory, case.session)
            store_provenance(case.asked.session_key, row, state)
        case.seen = row
        return row

    def store_row(self, case: Case, row: ProvenanceRow, state: StateView) -> None:
        """Store what the session of an intent has read as a whole, where it has changed."""
        store_provenance(case.asked.session_key, row, state)
        case.seen = row

    def examine(self, case: Case, asked: frozenset[str], state: StateView) -> Examined | None:
        """Examine a call for the facts that are asked for; the result is kept with the case."""
        if case.examined is None and case.tool is not None:
            memory, use = self.memory_of(case, state), self._uses.of(case.tool)
            args = case.known_arguments().values
            known = Known(
                row=case.seen,
                label=case.label(),
                stated=self._stated_owners(case),
                now_ms=case.asked.now_ms,
                owned=self._control.catalog.owned_things.get(case.tool.entry.server_id, _NO_THINGS),
            )
            case.examined = examine(case.session, args, use, memory, asked=asked, known=known)
        return case.examined

    def _stated_owners(self, case: Case) -> StatedOwners | None:
        """Return what operators' systems say about whose records are; None if they say it of no record."""
        attributes, asked = self._control.attributes, case.asked
        if attributes.next_offset:
            case.attributes_offset = attributes.next_offset
        tenant_uid = asked.intent.header.tenant_uid
        if not attributes.owner_kinds(tenant_uid):
            return None
        return StatedOwners(attributes, tenant_uid, case.session.identity.sub, asked.now_ms)

    def after_verdict(self, case: Case, outcome: Outcome, state: StateView) -> None:
        """Keep what follows from a verdict: that the call drifts; of an allowed one, its act and its result's worth."""
        examined = case.examined
        row = before = case.seen if examined is None else examined.row
        if row is None:
            return
        if examined is not None:
            if case.is_proven and outcome in FINAL_OUTCOMES and is_drift(examined):
                # Denied calls count, too: what is refused shows what the session is after.
                row = replace(row, drifts=row.drifts + 1)
            if outcome is _ALLOW:
                row = _with_allowed(row, examined, case.asked.intent.intent_id, case.session.identity.sub)
                if examined.identifies:
                    row = with_identifying(row, case.session, case.asked.intent.intent_id, examined.identifies)
        if outcome is _ALLOW and row.has_untrusted and case.tool is not None and case.tool.entry.read_only:
            row = self._with_derived(row, case, state)
        if row is not before:
            self.store_row(case, row, state)

    def _with_derived(self, row: ProvenanceRow, case: Case, state: StateView) -> ProvenanceRow:
        """Return the row with what the result of an allowed read will be made of."""
        full = len(row.derived) >= DERIVED_MAX
        derived = None if full else derived_of(case.known_arguments().values, self.memory_of(case, state))
        if derived is None:
            return row
        # Of calls that were not run there is no result. If the session remembers as many as it can, it may miss one.
        awaited = {read.intent_id for read in case.session.trust.pending_reads}
        knows = len(awaited) < PENDING_READS_MAX
        others = {intent: each for intent, each in row.derived.items() if intent in awaited} if knows else row.derived
        return replace(row, derived={**others, case.asked.intent.intent_id: derived})


def _with_both(row: ProvenanceRow, opened: ProvenanceRow) -> ProvenanceRow:
    """Return the row of a session that is opened after something of it has been kept."""
    return replace(
        row,
        is_complete=row.is_complete and opened.is_complete,
        lacks_words=row.lacks_words or opened.lacks_words,
        atoms_count=row.atoms_count + opened.atoms_count,
    )


def _with_allowed(row: ProvenanceRow, examined: Examined, intent_id: str, sub: str) -> ProvenanceRow:
    """Return the row with an allowed call: with its act, or with the read whose result the user has pointed at."""
    if counted := _counted_as(examined):
        row = replace(row, acts={**row.acts, **{name: row.acts.get(name, 0) + 1 for name in counted}})
    if not examined.use.is_read:
        if row.agreed_acts and not is_requested(examined):
            row = replace(row, agreed_acts=row.agreed_acts - 1)
        return row
    asks_own = asks_for_subject(examined.args, sub) or (row.identified and asks_for_identified(examined))
    if len(row.asked_own) < SELECTED_MAX and asks_own:
        row = replace(row, asked_own=(*row.asked_own, intent_id))
    if examined.is_selected_by_user and len(row.selected) < SELECTED_MAX:
        return replace(row, selected=(*row.selected, intent_id))
    return row


def _with_derived_result(row: ProvenanceRow, event: SessionEvent) -> tuple[ProvenanceRow, SessionEvent]:
    """Return the row without what it knew of a result, and the result as what it is made of.

    There may be more such results than the row knows; so once it is full, it stays so.
    """
    if len(row.derived) >= DERIVED_MAX:
        return row, as_others_text(event, ALL)
    derived = row.derived.get(event.intent_id or "")
    if derived is None:
        return row, event
    others = {intent: each for intent, each in row.derived.items() if intent != event.intent_id}
    return replace(row, derived=others), as_others_text(event, derived)


def _counted_as(examined: Examined) -> tuple[str, ...]:
    """Return what an allowed call counts as: its kind, and its tool if a scope limits how often that is called.

    A read counts only for the scopes that limit reads, because others permit any number of them.
    """
    use = examined.use
    # A dictionary keeps its order, which the stored row has as well.
    names = {} if use.is_read else {examined.kind: None}
    for scope in examined.row.scopes:
        if scope.count_max >= 0 and (not use.is_read or limits_reads(scope, examined)):
            if not scope.tools:
                names[examined.kind] = None
            elif use.name in scope.tools:
                names[use.name] = None
    return tuple(names)


def _with_purpose(row: ProvenanceRow, event: SessionEvent, memory: Memory) -> ProvenanceRow:
    """Return the row with what the token service states about the session's task.

    A purpose is never derived from a text, so a scope without a source is the issuer's: as a derived one, it would
    limit nothing.
    """
    scopes = event.task_scopes
    if event.type is SessionEventType.PURPOSE_SET:
        scopes += parse_scopes(event.scopes)
        if event.purpose:
            row = with_purpose_words(row, event.purpose, memory)
    source = event.scope_source
    if event.type is SessionEventType.PURPOSE_SET and source is ScopeSource.DERIVED:
        source = ScopeSource.ISSUER
    return with_scopes(row, scopes, source, memory)
