"""Approvals: a person's part in a decision. An approval is an input to re-evaluation, never itself a verdict.

A question covers one or more calls of a session. An answer names each call that the person saw, by its tool and the
digest of its arguments, and counts for these only. Beyond that, a person may grant further calls of the session within
bounds: the calls that the same rules would ask about, for one task or for the whole session (ADR 0056).
"""

from __future__ import annotations

from enum import StrEnum

from streams.model.delegation import ToolGrant
from streams.model.types import Actor, Header, Millis, Record, Sha256, ToolRef, Uuid
from streams.model.verdict import ArgumentOrigin

GRANTED_TOOLS_MAX = 8
USES_MAX = 10_000
"""How many tools a grant can have, each with its bounds, and how many calls it can approve."""

GRANT_PREFIX = "approval:"
"""Begins the ids of what people grant, to tell them apart from grants of authority in the path of a verdict."""

GRANT_MADE = "grant_made"
GRANT_USED = "grant_used"
"""The reasons of audit records about grants of people."""


class GrantScope(StrEnum):
    """For which calls of a session an approval is granted; an unknown scope grants nothing."""

    UNKNOWN = "UNKNOWN"
    TASK = "TASK"
    SESSION = "SESSION"


class PendingCall(Record, frozen=True, kw_only=True):
    """A call that a question covers.

    `origins` says where the values of its arguments come from. `args_json` is empty if the arguments are longer than
    131,072 characters; then the question has this call alone, and the request has the arguments.
    """

    intent_id: Uuid
    verdict_id: Uuid
    tool: ToolRef
    args_json: str
    args_digest: Sha256
    reversible: bool = False
    compensating_tool: str | None = None
    origins: tuple[ArgumentOrigin, ...] = ()
    expires_at: Millis


class ApprovalRequest(Record, frozen=True, kw_only=True):
    """A question to a person, with everything needed to answer it.

    A question is identified by its `task_id`. While it is open, further calls of the same kind can join it; then it is
    written again, with a higher `revision`. The fields of a single call (`intent_id` to `args_digest`, `reversible`)
    are those of the call for which it is written; `calls` has all that the question covers now. `rules` are the rules
    that ask, as `id@version`; `matched_rules` are all that matched, with their reasons. `widest_grant` is the widest
    scope in which they let people approve further calls; UNKNOWN: none. `purpose` is what the session is for, as the
    token service or a person has stated it; what the user has said is not on the log.
    """

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
    rules: tuple[str, ...] = ()
    compensating_tool: str | None = None
    revision: int = 0
    calls: tuple[PendingCall, ...] = ()
    widest_grant: GrantScope = GrantScope.UNKNOWN
    purpose: str | None = None


class ApprovalStatus(StrEnum):
    """The state of an approval."""

    UNKNOWN = "UNKNOWN"
    PENDING = "PENDING"
    APPROVED = "APPROVED"
    DENIED = "DENIED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"


class AnsweredCall(Record, frozen=True, kw_only=True):
    """A call that a person was shown and has decided about."""

    intent_id: Uuid
    tool: ToolRef
    args_digest: Sha256


class ApprovalGrant(Record, frozen=True, kw_only=True):
    """An approval of further calls of the session, within bounds.

    Attributes:
        scope: the task of the call, or its whole session.
        tools: the tools, with bounds on their arguments as grants have them (`streams.delegation.tools`).
        rules: the rules that it answers, as `id@version`; empty: all that have asked.
        uses_max: how many calls it approves; None: any number.
        until: when it ends; None: with the session.
    """

    scope: GrantScope = GrantScope.UNKNOWN
    tools: tuple[ToolGrant, ...] = ()
    rules: tuple[str, ...] = ()
    uses_max: int | None = None
    until: Millis | None = None


class ApprovalDecision(Record, frozen=True, kw_only=True):
    """A person's decision, bound to the exact arguments that the person saw.

    `calls` has every call that it is about; if empty, it is about `intent_id` alone.
    """

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
    calls: tuple[AnsweredCall, ...] = ()
    grant: ApprovalGrant | None = None
