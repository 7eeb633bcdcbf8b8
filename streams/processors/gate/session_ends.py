"""End sessions: write the records of the end, and end the intents that are pending in the session."""

from __future__ import annotations

from streams.ports.processor import Output, StateView
from streams.ports.wire import Encoder
from streams.processors.gate import pending
from streams.processors.gate.judge import Judge
from streams.processors.rows import session_row_key
from streams.processors.session_row import SessionRow, SessionStatus, read_session
from streams.processors.sessions import lifecycle, revocation_cascade
from streams.processors.sessions.audit import ended_record
from streams.processors.settings import GateSettings
from streams.processors.state import encode_row


class SessionEnds:
    """Ends sessions whose time is over, and follows up on sessions that a record has ended."""

    def __init__(self, settings: GateSettings, encoder: Encoder, judge: Judge) -> None:
        self._settings = settings
        self._encoder = encoder
        self._judge = judge

    def current(
        self, session_key: bytes, row: SessionRow, state: StateView, now_ms: int
    ) -> tuple[SessionRow, list[Output]]:
        """Return the row as it is now: if the session's time is over, end the session and what is pending in it."""
        reason = lifecycle.expiry_of(row, self._settings, now_ms)
        if reason is None:
            return row, []
        return self._end(session_key, lifecycle.ended(row, reason), state, now_ms)

    def follow_up(
        self,
        session_key: bytes,
        before: SessionRow,
        after: SessionRow,
        state: StateView,
        now_ms: int,
        event_id: str,
    ) -> list[Output]:
        """Return what follows if a record has ended the session; nothing otherwise.

        Args:
            before: the session's row before the record.
            after: the session's row after the record.
            event_id: the id of the record.
        """
        if after.life.status not in lifecycle.OVER or before.life.status in lifecycle.OVER:
            return []
        if before.life.status is SessionStatus.UNKNOWN:
            reason = lifecycle.reason_over(after)
            return revocation_cascade.revocations_of_ended(self._encoder, session_key, after, reason, state, now_ms)
        return self._end(session_key, after, state, now_ms, event_id)[1]

    def _end(
        self, session_key: bytes, row: SessionRow, state: StateView, now_ms: int, event_id: str | None = None
    ) -> tuple[SessionRow, list[Output]]:
        reason = lifecycle.reason_over(row)
        state.put(session_row_key(session_key), encode_row(row))
        outputs = [ended_record(self._encoder, session_key, row, reason, now_ms, event_id)]
        outputs += revocation_cascade.revocations_of_ended(self._encoder, session_key, row, reason, state, now_ms)
        if row.counters.waiting_count:
            outputs += pending.end_pending(self._judge, session_key, reason, state, now_ms)
            row = read_session(state, session_key)
        return row, outputs
