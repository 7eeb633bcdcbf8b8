"""Check that the session is live."""

from __future__ import annotations

from streams.model.reasons import Reason
from streams.model.revocation import RevocationKind
from streams.model.revocation_targets import session_target
from streams.processors.control.state import ControlState
from streams.processors.gate.case import Case
from streams.processors.gate.decision import Decision, deny
from streams.processors.session_row import SessionStatus
from streams.processors.sessions.lifecycle import reason_expired, reason_over
from streams.processors.settings import GateSettings

# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_FROZEN = SessionStatus.FROZEN
_LIVE = SessionStatus.LIVE


def check_session(case: Case, control: ControlState, _settings: GateSettings) -> Decision | None:
    """Deny an intent whose session is unknown, over, expired, or frozen and not released."""
    session = case.session
    if session.life.status is _FROZEN:
        if not _is_released(case, control):
            return deny(Reason.SESSION_FROZEN)
    elif session.life.status is not _LIVE:
        return deny(Reason.SESSION_UNKNOWN if session.life.status is SessionStatus.UNKNOWN else reason_over(session))
    if session.life.expires_ms <= case.asked.now_ms:
        return deny(reason_expired(session))
    return None


def _is_released(case: Case, control: ControlState) -> bool:
    """Tell whether a person has released the session since it was frozen: by the order of the log, not by a clock."""
    intent = case.asked.intent
    target = session_target(intent.header.tenant_uid, intent.session_id)
    return control.revocations.released_since(RevocationKind.SESSION, target, case.session.life.frozen_offset)
