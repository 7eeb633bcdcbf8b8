"""Check that nothing that the call depends on has been revoked."""

from __future__ import annotations

from streams.model.intent import Intent
from streams.model.revocation_targets import Call
from streams.processors.control.state import ControlState
from streams.processors.gate.case import Case
from streams.processors.gate.decision import Decision, deny
from streams.processors.session_row import SessionRow
from streams.processors.settings import GateSettings


def check_revocations(case: Case, control: ControlState, _settings: GateSettings) -> Decision | None:
    """Deny an intent of which anything has been revoked, as far as this gate has read the revocations."""
    if not len(control.revocations):
        return None
    asked = case.asked
    reason = control.revocations.reason_against(call_of(asked.intent, case.session), asked.now_ms)
    return None if reason is None else deny(reason)


def call_of(intent: Intent, session: SessionRow) -> Call:
    """Return everything about an intent that a revocation can name."""
    return Call(
        tenant_uid=intent.header.tenant_uid,
        session_id=intent.session_id,
        sub=intent.sub,
        act=intent.act,
        delegation_uids=session.grant.delegation_uids,
        tool=intent.tool,
        model=intent.model,
        ancestor_session_ids=session.grant.ancestor_session_ids,
        ancestor_actors=session.grant.ancestor_actors,
    )
