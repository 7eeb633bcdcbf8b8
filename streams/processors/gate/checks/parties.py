"""Check that the intent names its session's subject, actor and grant."""

from __future__ import annotations

from streams.model.reasons import Reason
from streams.processors.control.state import ControlState
from streams.processors.gate.case import Case
from streams.processors.gate.decision import Decision, deny
from streams.processors.settings import GateSettings


def check_parties(case: Case, _control: ControlState, _settings: GateSettings) -> Decision | None:
    """Deny an intent whose subject, actor or grant is not that of its session."""
    intent, session = case.asked.intent, case.session
    if intent.sub != session.identity.sub:
        return deny(Reason.SUBJECT_MISMATCH)
    if (intent.act.iss, intent.act.sub) != (session.identity.act_iss, session.identity.act_sub):
        return deny(Reason.ACTOR_MISMATCH)
    if intent.delegation_uid != session.grant.delegation_uid:
        return deny(Reason.DELEGATION_UNSTATED if intent.delegation_uid is None else Reason.DELEGATION_UNKNOWN)
    return None
