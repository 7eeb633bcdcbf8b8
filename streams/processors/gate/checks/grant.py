"""Check that the session holds the grant that it needs."""

from __future__ import annotations

from streams.model.reasons import Reason
from streams.processors.control.state import ControlState
from streams.processors.gate.case import Case
from streams.processors.gate.decision import Decision, deny
from streams.processors.settings import GateSettings


def check_grant(case: Case, _control: ControlState, settings: GateSettings) -> Decision | None:
    """Deny an intent of a session whose grant is missing or was rejected."""
    session = case.session
    if session.grant.delegation_uid is None:
        return deny(Reason.DELEGATION_MISSING) if settings.require_delegation else None
    if case.authority is not None:
        return None
    return deny(Reason(session.grant.grant_fault) if session.grant.grant_fault else Reason.DELEGATION_MISSING)
