"""Process grants: store what a session's grant permits, and judge the intents that have waited for it."""

from __future__ import annotations

from streams.delegation.errors import GrantError
from streams.model.delegation import Delegation
from streams.ports.processor import Output, StateView
from streams.ports.wire import Encoder
from streams.processors.dedup.alerts import AlertWindows
from streams.processors.gate import pending
from streams.processors.gate.alerts import grant_alert
from streams.processors.gate.judge import Judge
from streams.processors.gate.session_ends import SessionEnds
from streams.processors.rows import session_row_key
from streams.processors.session_row import GrantStatus, SessionStatus, read_session
from streams.processors.sessions import grants, retention, revocation_cascade
from streams.processors.settings import GateSettings
from streams.processors.state import encode_row


class SessionGrants:
    """Processes grants."""

    def __init__(self, settings: GateSettings, encoder: Encoder, judge: Judge, ends: SessionEnds) -> None:
        self._settings = settings
        self._encoder = encoder
        self._judge = judge
        self._ends = ends
        self._standard = grants.standard_of(settings)
        self._alerts = AlertWindows(encoder, settings.alert_window_ms)

    def process(self, session_key: bytes, grant: Delegation, state: StateView, now_ms: int) -> list[Output]:
        """Apply a grant to its session, and return what follows from it.

        Raises:
            SetAsideError: the grant is rejected; its session's calls are denied for that reason.
        """
        before, outputs = self._ends.current(session_key, read_session(state, session_key), state, now_ms)
        try:
            row = grants.after_grant(session_key, grant, before, state, self._standard, now_ms)
        except GrantError as error:
            alert = grant_alert(grant, error, session_key, now_ms)
            if alert is not None:
                outputs += self._alerts.raised(alert, state, now_ms)
            row, cause = grants.refused(before, grant, error, outputs)
            row = retention.arm(session_key, row, state, self._settings, now_ms)
            state.put(session_row_key(session_key), encode_row(row))
            raise cause from None
        # The session may never appear: the timer removes the row then.
        row = retention.arm(session_key, row, state, self._settings, now_ms)
        state.put(session_row_key(session_key), encode_row(row))
        if (
            row.counters.waiting_count
            and before.grant.grant_status is GrantStatus.AWAITED
            and row.life.status is SessionStatus.LIVE
        ):
            outputs += pending.release_for_session(self._judge, session_key, state, now_ms)
        outputs += revocation_cascade.revocations_of_late_grant(self._encoder, session_key, before, grant, now_ms)
        return outputs + self._ends.follow_up(session_key, before, row, state, now_ms, grant.header.id)
