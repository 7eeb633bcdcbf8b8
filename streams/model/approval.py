"""Approvals: a person's part in a decision. An approval is an input to re-evaluation, never itself a grant."""

from __future__ import annotations

from enum import StrEnum

from streams.model.types import Actor, Header, Millis, Record, Sha256, ToolRef, Uuid


class ApprovalRequest(Record, frozen=True, kw_only=True):
    """A question to a person, with everything needed to answer it."""

    header: Header
    task_id: Uuid
    verdict_id: Uuid
    intent_id: Uuid
    session_id: str
    sub: str
    act: Actor
    tool: ToolRef
    args_json: str
    args_digest: Sha256
    reason_text: str
    provenance: tuple[str, ...] = ()
    reversible: bool = False
    history: tuple[str, ...] = ()
    matched_rules: tuple[str, ...] = ()
    eligible_approvers: tuple[str, ...] = ()
    quorum: int = 1
    separation_of_duties: bool = True
    expires_at: Millis


class ApprovalStatus(StrEnum):
    """The state of an approval."""

    UNKNOWN = "UNKNOWN"
    PENDING = "PENDING"
    APPROVED = "APPROVED"
    DENIED = "DENIED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"


class ApprovalDecision(Record, frozen=True, kw_only=True):
    """A person's decision, bound to the exact arguments that the person saw."""

    header: Header
    task_id: Uuid
    intent_id: Uuid
    session_id: str
    status: ApprovalStatus = ApprovalStatus.UNKNOWN
    approver: Actor
    approver_groups: tuple[str, ...] = ()
    acr: str | None = None
    amr: tuple[str, ...] = ()
    args_digest: Sha256
    approved_until: Millis | None = None
    single_use: bool = True
    comment: str | None = None
