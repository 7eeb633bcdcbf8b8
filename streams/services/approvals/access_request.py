"""A question in the form of OpenID AuthZEN, so that tools which know that form can show it.

Source: *Authorization API 1.0* (subject, action, resource, context) and the draft *Access Request and Approval Profile*
(task, items, the denial that each is about). The question is the access request: a gate has raised it with a verdict
that denies the call as long as nobody has approved it. How an answer comes is not part of that profile, and stays as it
is; so does its completion, which is a new evaluation and a final verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from streams.codec.instants import format_instant
from streams.model.approval import ApprovalRequest, ApprovalStatus, PendingCall
from streams.model.reasons import Reason
from streams.model.types import tool_text
from streams.operations.approvals.questions import arguments_of

CALL = "tools/call"
"""The name of the action, as the Model Context Protocol has it."""


def access_request_of(request: ApprovalRequest, calls: Iterable[PendingCall], summary: str) -> dict[str, Any]:
    """Return a question as an access request with one item for each of its calls."""
    return {
        "task": {
            "id": request.task_id,
            "status": ApprovalStatus.PENDING.value.lower(),
            "expires_at": format_instant(request.expires_at),
            "display": {"title": summary, "description": request.reason_text},
        },
        "client": {"actor": {"type": "agent", "id": request.act.sub, "iss": request.act.iss}},
        "items": [_item(request, call) for call in calls],
    }


def _item(request: ApprovalRequest, call: PendingCall) -> Mapping[str, Any]:
    return {
        "subject": {"type": "user", "id": request.sub},
        "action": {"name": CALL, "properties": {"reversible": call.reversible}},
        "resource": {"type": "tool", "id": tool_text(call.tool)},
        "context": {"agent": request.act.sub, "session_id": request.session_id, "arguments": arguments_of(call)},
        "denial": {
            "evaluation_id": call.verdict_id,
            "reason": Reason.APPROVAL_REQUIRED.value,
            "expires_at": format_instant(call.expires_at),
        },
    }
