"""Check that the intent names its session's subject, actor and grant, and its tenant's outcome topic if any."""

from __future__ import annotations

from streams.model.reasons import Reason
from streams.model.topics import outcome_topic_name
from streams.processors.control.state import ControlState
from streams.processors.gate.case import Case
from streams.processors.gate.decision import Decision, deny
from streams.processors.settings import GateSettings


def check_parties(case: Case, _control: ControlState, _settings: GateSettings) -> Decision | None:
    """Deny an intent whose subject, actor or grant is not that of its session, or that names a foreign reply topic."""
    intent, session = case.asked.intent, case.session
    if intent.reply_to is not None and intent.reply_to.topic != outcome_topic_name(intent.header.tenant_uid):
        return deny(Reason.REPLY_TOPIC_FOREIGN)
    if intent.sub != session.identity.sub:
        return deny(Reason.SUBJECT_MISMATCH)
    if (intent.act.iss, intent.act.sub) != (session.identity.act_iss, session.identity.act_sub):
        return deny(Reason.ACTOR_MISMATCH)
    if intent.delegation_uid != session.grant.delegation_uid:
        return deny(Reason.DELEGATION_UNSTATED if intent.delegation_uid is None else Reason.DELEGATION_UNKNOWN)
    return None
