"""Ids that derive from others: always the same, wherever and however often they are computed."""

from __future__ import annotations

from streams.model.proof import derived_uuid
from streams.model.verdict import FINAL_OUTCOMES, Outcome

_TURNED = dict(zip("0123456789abcdef", "fedcba9876543210", strict=True))


def verdict_id_of(tenant_uid: str, session_id: str, intent_id: str, outcome: Outcome) -> str:
    """Return the id of an intent's verdict: one id for the final verdict, another for each kind of interim verdict.

    The session is part of it, so that an agent that uses another's intent id cannot use up the other's verdict.
    """
    stage = "final" if outcome in FINAL_OUTCOMES else outcome.value
    return derived_uuid("verdict", tenant_uid, session_id, intent_id, stage)


def audit_id_of(verdict_id: str) -> str:
    """Return the id of a verdict's audit record: the verdict's id with its last digit changed, so that they differ."""
    return verdict_id[:-1] + _TURNED[verdict_id[-1]]


def sub_session_id(tenant_uid: str, parent_session_id: str, grant_uid: str) -> str:
    """Return the id of the session of a delegated grant.

    A session's key derives from its id. So whoever signs a grant must not be able to choose the id of another session.
    """
    return f"s-{derived_uuid('sub-session', tenant_uid, parent_session_id, grant_uid)}"


def approval_task_id(tenant_uid: str, session_id: str, intent_id: str, round_no: int = 0) -> str:
    """Return the id under which people decide about an intent.

    `round_no` counts the earlier questions about the intent: an answer to one question must not count for the next.
    """
    later = (str(round_no),) if round_no else ()
    return derived_uuid("approval task", tenant_uid, session_id, intent_id, *later)
