"""Process session events: change the session's row, and release, judge or end what depends on it."""

from __future__ import annotations

from streams.model.errors import RecordError
from streams.model.proof import is_proven_event, session_writer_key
from streams.model.reasons import DeadLetterReason
from streams.model.session import COMPLETIONS, PROVEN_EVENTS, REPORTS, SessionEvent, SessionEventType
from streams.model.topics import REPORT
from streams.ports.processor import Output, SetAsideError, StateView
from streams.processors.control.state import ControlState
from streams.processors.gate import pending
from streams.processors.gate.judge import Judge
from streams.processors.gate.reports import CallReport, ReportChecks
from streams.processors.gate.session_ends import SessionEnds
from streams.processors.rows import session_row_key
from streams.processors.session_row import SessionRow, SessionStatus, evolve, read_session
from streams.processors.sessions import completion_effects, grants, lifecycle, retention, revocation_cascade
from streams.processors.sessions.events import (
    after_event,
    after_unknown,
    gives_authority,
    is_known,
    result_label,
    tool_of,
    without_room,
)
from streams.processors.sessions.memory import apply_updates
from streams.processors.settings import GateSettings
from streams.processors.state import encode_row

_SHOWN_CHARS_MAX = 80


class SessionEvents:
    """Processes session events."""

    def __init__(self, settings: GateSettings, control: ControlState, judge: Judge, ends: SessionEnds) -> None:
        self._settings = settings
        self._control = control
        self._judge = judge
        self._ends = ends
        self._writer_key = session_writer_key(settings.root_key)
        self._reports = ReportChecks(settings, control)

    def process(
        self, topic: str, session_key: bytes, event: SessionEvent, state: StateView, received_ms: int, now_ms: int
    ) -> list[Output]:
        """Apply an event to its session, and return what follows from it.

        Args:
            topic: the name of the event's topic.
            session_key: the key of its session.
            event: the event.
            state: the partition's state.
            received_ms: the broker's append time of the event.
            now_ms: stream time.

        Raises:
            RecordError: the event is rejected; nothing has changed.
            SetAsideError: the event is rejected, but what follows from its arrival is kept.
        """
        self._check(event, received_ms)
        report = self._checked_report(topic, session_key, event, state, now_ms)
        if report is not None and report.is_repeated:
            return []
        before, outputs = self._ends.current(session_key, read_session(state, session_key), state, now_ms)
        if not is_known(event):
            after = retention.arm(session_key, after_unknown(before, event), state, self._settings, now_ms)
            _store(session_key, after, after, state)
            text = f"session event type `{event.type.value}` has no meaning here; the session has lost all trust"
            raise SetAsideError(DeadLetterReason.RECORD_INVALID, text, outputs)
        after, notes = self._row_after(session_key, before, event, state, received_ms, now_ms)
        outputs += notes
        if event.content is not None or event.type is SessionEventType.MODEL_OUTPUT:
            outputs += self._judge.contents.reported(session_key, event, after, state, now_ms)
        self._judge.provenance.after_event(session_key, event, before, after, state)
        outputs += self._judge.carried.after_event(session_key, event, after, state, now_ms)
        after, fault = _store(session_key, after, before if gives_authority(event) else after, state)
        if report is not None:
            report.remember(session_key, state)
        has_begun = before.life.status is SessionStatus.UNKNOWN and after.life.status is not before.life.status
        if has_begun and fault is None and lifecycle.expiry_of(after, self._settings, now_ms) is not None:
            # The session ended before this gate read its start, so whatever has waited for it ends, too.
            outputs += self._ends.current(session_key, after, state, now_ms)[1]
        elif before.counters.waiting_count and has_begun and not grants.is_awaited(after):
            outputs += pending.release_for_session(self._judge, session_key, state, now_ms)
        else:
            outputs += self._ends.follow_up(session_key, before, after, state, now_ms, event.header.id)
        if fault is not None:
            raise SetAsideError(fault.reason, str(fault), outputs)
        return outputs

    def _check(self, event: SessionEvent, received_ms: int) -> None:
        """Check the event's writer, and its time.

        Raises:
            RecordError: the event lacks a proof that it needs, or gives authority and lies in the future.
        """
        if event.type in PROVEN_EVENTS and not is_proven_event(self._writer_key, event):
            # A topic's access list alone does not prove a writer.
            shown = event.session_id[:_SHOWN_CHARS_MAX]
            text = f"{event.type.value} of session `{shown}` has no proof that the token service wrote it"
            raise RecordError(DeadLetterReason.WRITER_UNPROVEN, text)
        ahead_ms = event.header.time - received_ms
        if ahead_ms > self._settings.skew_ms and gives_authority(event):
            text = f"event `{event.header.id}` of session `{event.session_id}` is {ahead_ms} ms ahead"
            raise RecordError(DeadLetterReason.EVENT_FROM_FUTURE, text)

    def _checked_report(
        self, topic: str, session_key: bytes, event: SessionEvent, state: StateView, now_ms: int
    ) -> CallReport | None:
        """Check a report; return it if it is about an allowed call.

        Raises:
            RecordError: see `ReportChecks`.
        """
        if event.type in COMPLETIONS:
            return self._reports.check_call(session_key, event, state, now_ms)
        # INVARIANT: nothing counts that lies on the topic of reports without a proof, whatever its type. Many may write
        # that topic. Only the token service writes that of sessions, where no loss of trust may be missed.
        if event.type in REPORTS or (topic == REPORT.name and not is_known(event)):
            self._reports.check_other(event, now_ms)
        return None

    def _row_after(
        self,
        session_key: bytes,
        before: SessionRow,
        event: SessionEvent,
        state: StateView,
        received_ms: int,
        now_ms: int,
    ) -> tuple[SessionRow, list[Output]]:
        """Return the session's row after an event, and what is noted of it in memories that sessions share."""
        after = after_event(before, event, self._control, now_ms)
        notes: list[Output] = []
        if before.counters.effects_count and event.type in COMPLETIONS:
            after, notes = self._row_after_completion(session_key, event, before, after, state, now_ms)
        after = lifecycle.active(after, event, self._settings, now_ms)
        if event.type is SessionEventType.SESSION_ESTABLISHED:
            after = grants.opened(session_key, after, event, state)
            after = lifecycle.opened(after, event, self._settings, received_ms)
        is_claims_change = event.type is SessionEventType.TOKEN_CLAIMS_CHANGE
        if is_claims_change:
            after = revocation_cascade.row_after_narrowing(session_key, before, after, state)
        if before.life.status is SessionStatus.UNKNOWN or is_claims_change:
            after = retention.arm_for_end(session_key, after, state, self._settings, now_ms)
        return after, notes

    def _row_after_completion(
        self,
        session_key: bytes,
        event: SessionEvent,
        before: SessionRow,
        after: SessionRow,
        state: StateView,
        now_ms: int,
    ) -> tuple[SessionRow, list[Output]]:
        """Apply the stored effects of a call whose end the event reports; return the session's row, and notes of it."""
        if event.intent_id is None:
            return after, []
        tool = tool_of(event)
        after, effects = completion_effects.pop_reported_effects(session_key, event.intent_id, tool, after, state)
        if effects is None:
            return after, []
        if event.type is SessionEventType.TOOL_NOT_RUN:
            self._judge.budget_charges.give_back(effects.charges, state, now_ms)
            return after, []
        label = result_label(before, event, self._control)
        happened = completion_effects.completion(event.is_error, label)
        if apply_updates(effects.memory_updates, happened, session_key, state, now_ms):
            after = evolve(after, keeps_count=True)
        tenant_uid = event.header.tenant_uid
        return after, self._judge.shared_memories.note(effects.memory_updates, happened, tenant_uid, state, now_ms)


def _store(
    session_key: bytes, row: SessionRow, otherwise: SessionRow, state: StateView
) -> tuple[SessionRow, RecordError | None]:
    """Store a session's row. If it is too large, store `otherwise` without trust instead.

    Returns:
        The row that was stored, and the fault of a row that is too large.
    """
    try:
        state.put(session_row_key(session_key), encode_row(row))
    except RecordError as error:
        slim = evolve(without_room(otherwise), housekeeping_ms=row.life.housekeeping_ms)
        state.put(session_row_key(session_key), encode_row(slim))
        return slim, error
    return row, None
