"""Ids that follow from others: the same wherever, and however often, they are made."""

from __future__ import annotations

from streams.model.proof import derived_uuid
from streams.model.verdict import FINAL_OUTCOMES, Outcome

_TURNED = dict(zip("0123456789abcdef", "fedcba9876543210", strict=True))


def verdict_id_of(tenant_uid: str, session_id: str, intent_id: str, outcome: Outcome) -> str:
    """The id of an intent's verdict: one for whatever is final, another for each kind of interim verdict.

    The session is part of it: an agent that takes another's intent id must not be able to use up its verdict.
    """
    stage = "final" if outcome in FINAL_OUTCOMES else outcome.value
    return derived_uuid("verdict", tenant_uid, session_id, intent_id, stage)


def audit_id_of(verdict_id: str) -> str:
    """The id of the audit record of a verdict: the verdict's with its last digit turned, so that each has its own."""
    return verdict_id[:-1] + _TURNED[verdict_id[-1]]


def sub_session_id(tenant_uid: str, parent_session_id: str, grant_uid: str) -> str:
    """The id of the session of a grant that was handed on.

    The key of a session follows from its id. Whoever signs a grant must not be able to name the session of another.
    """
    return f"s-{derived_uuid('sub-session', tenant_uid, parent_session_id, grant_uid)}"


def approval_task_id(tenant_uid: str, session_id: str, intent_id: str, round_no: int = 0) -> str:
    """The id under which persons decide about an intent.

    `round_no` counts the questions that were asked about it before: who has answered one has not seen the next.
    """
    later = (str(round_no),) if round_no else ()
    return derived_uuid("approval task", tenant_uid, session_id, intent_id, *later)
