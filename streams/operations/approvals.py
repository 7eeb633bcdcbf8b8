"""Finds the request of a pending call, and records a person's decision on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from streams.model.approval import ApprovalDecision, ApprovalRequest, ApprovalStatus
from streams.model.errors import StoplogError
from streams.model.topics import APPROVAL_DECISION, APPROVAL_REQUEST
from streams.model.types import Actor, SubProfile
from streams.operations.operator import SOURCE, Operator


class ApprovalError(StoplogError):
    """A decision can't be made, or gates would reject it."""


class Asked(NamedTuple):
    """A request for approval, and the key of its session."""

    key: bytes
    request: ApprovalRequest


def find_request(operator: Operator, task: str) -> Asked:
    """Find the request of a task.

    Args:
        task: the task's id, or the beginning of it.

    Raises:
        ApprovalError: no task begins with the text, or several do.
        TopicReadError, LogError: the topic can't be read.
    """
    found: dict[str, Asked] = {}
    for received, record in operator.find(APPROVAL_REQUEST):
        if isinstance(record, ApprovalRequest) and record.task_id.startswith(task) and received.key is not None:
            found[record.task_id] = Asked(received.key, record)
    if not found:
        raise ApprovalError(f"no request for approval has task `{task}`; see `stoplog tail approvals --no-follow`")
    if len(found) > 1:
        raise ApprovalError(f"{len(found)} tasks begin with `{task}`; give more of the id: {', '.join(sorted(found))}")
    (asked,) = found.values()
    return asked


def check_decision(request: ApprovalRequest, approver: str, groups: Sequence[str], now_ms: int) -> None:
    """Check what can be checked here of the conditions that gates apply to a decision.

    Raises:
        ApprovalError: the gate would reject the decision; says why.
    """
    if request.expires_at <= now_ms:
        raise ApprovalError(f"task `{request.task_id}` has expired: its call was denied")
    if approver in (request.sub, request.act.sub):
        raise ApprovalError(f"`{approver}` may not decide on their own call")
    if request.eligible_approvers and not set(groups) & set(request.eligible_approvers):
        wanted = ", ".join(request.eligible_approvers)
        raise ApprovalError(f"only members of {wanted} may decide; name your group with `--group`")


def write_decision(
    operator: Operator, asked: Asked, *, approve: bool, groups: Sequence[str], comment: str | None
) -> ApprovalDecision:
    """Decide in the operator's name; the decision is on the log when this returns. The gate then decides again.

    Raises:
        ApprovalError: the gate would reject the decision.
        PublishError, LogError: it is not known whether the decision is stored.
    """
    request = asked.request
    header = operator.header(request.header.tenant_uid)
    check_decision(request, operator.name, groups, header.time)
    decision = ApprovalDecision(
        header=header,
        task_id=request.task_id,
        intent_id=request.intent_id,
        session_id=request.session_id,
        status=ApprovalStatus.APPROVED if approve else ApprovalStatus.DENIED,
        approver=Actor(iss=SOURCE, sub=operator.name, sub_profile=SubProfile.USER),
        approver_groups=tuple(groups),
        args_digest=request.args_digest,
        comment=comment,
    )
    operator.write(APPROVAL_DECISION, [(asked.key, decision, header)])
    return decision
