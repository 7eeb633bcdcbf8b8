"""A person's decision about a held call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from streams.model.approval import ApprovalDecision, ApprovalRequest, ApprovalStatus
from streams.model.errors import StoplogError
from streams.model.topics import APPROVAL_DECISION, APPROVAL_REQUEST
from streams.model.types import Actor, SubProfile
from streams.operations.operator import SOURCE, Operator


class ApprovalError(StoplogError):
    """A decision that would not count."""


class Asked(NamedTuple):
    """A request, and the key of its session."""

    key: bytes
    request: ApprovalRequest


def find_request(operator: Operator, task: str) -> Asked:
    """The request of a task.

    Args:
        task: the task's id, or the beginning of it.

    Raises:
        ApprovalError: there is none, or more than one.
        TopicReadError, LogError: the topic can't be read.
    """
    found: dict[str, Asked] = {}
    for received, record in operator.find(APPROVAL_REQUEST):
        if isinstance(record, ApprovalRequest) and record.task_id.startswith(task) and received.key is not None:
            found[record.task_id] = Asked(received.key, record)
    if not found:
        raise ApprovalError(f"no task `{task}` was asked for; see `stoplog tail approvals --no-follow`")
    if len(found) > 1:
        raise ApprovalError(f"{len(found)} tasks begin with `{task}`: {', '.join(sorted(found))}")
    (asked,) = found.values()
    return asked


def check_decision(request: ApprovalRequest, approver: str, groups: Sequence[str], now_ms: int) -> None:
    """Refuse what the gate would not count, as far as it can be told here.

    Raises:
        ApprovalError: says why.
    """
    if request.expires_at <= now_ms:
        raise ApprovalError(f"task `{request.task_id}` has expired: its call was denied")
    if approver in (request.sub, request.act.sub):
        raise ApprovalError(f"`{approver}` may not decide about their own call")
    if request.eligible_approvers and not set(groups) & set(request.eligible_approvers):
        wanted = ", ".join(request.eligible_approvers)
        raise ApprovalError(f"only members of {wanted} may decide: say which you are in with `--group`")


def write_decision(
    operator: Operator, asked: Asked, *, approve: bool, groups: Sequence[str], comment: str | None
) -> ApprovalDecision:
    """Decide, in the operator's name; on the log when this returns. The gate judges the call anew.

    Raises:
        ApprovalError: it would not count.
        PublishError, LogError: it is not known to be stored.
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
