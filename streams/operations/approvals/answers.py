"""Records a person's decision on the calls of a question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from streams.model.approval import (
    AnsweredCall,
    ApprovalDecision,
    ApprovalGrant,
    ApprovalStatus,
    GrantScope,
    PendingCall,
)
from streams.model.topics import APPROVAL_DECISION
from streams.model.types import Actor, Header, SubProfile, same_person
from streams.operations.approvals.errors import ApprovalError
from streams.operations.approvals.questions import Question, asked_words, calls_of
from streams.operations.operator import SOURCE, Operator


class Answer(NamedTuple):
    """What a person says.

    Attributes:
        approve: whether the calls may run, as far as this person is concerned.
        groups: the groups that the person is in.
        comment: a comment, which is recorded.
        grant: an approval of further calls; only with `approve`.
    """

    approve: bool
    groups: tuple[str, ...] = ()
    comment: str | None = None
    grant: ApprovalGrant | None = None


def check_answer(question: Question, approver: str, groups: Sequence[str], now_ms: int) -> None:
    """Check what can be checked here of the conditions that gates apply to a decision.

    Raises:
        ApprovalError: the gate would reject the decision; says why.
    """
    request = question.request
    if not question.waiting(now_ms):
        decided = {outcome.value for outcome in question.outcomes.values()}
        if len(question.outcomes) == len(calls_of(request)):
            raise ApprovalError(f"question `{request.task_id}` is decided: {', '.join(sorted(decided))}")
        if question.passed_on:
            asked = next(iter(question.passed_on.values()))
            now = f"now question `{asked.task_id}` asks {asked_words(asked)}"
            raise ApprovalError(f"question `{request.task_id}` is answered: {now}")
        raise ApprovalError(f"question `{request.task_id}` has expired: its calls were denied")
    if same_person(approver) in (same_person(request.sub), same_person(request.act.sub)):
        raise ApprovalError(f"`{approver}` may not decide on their own call")
    if request.eligible_approvers and not set(groups) & set(request.eligible_approvers):
        wanted = ", ".join(request.eligible_approvers)
        own = f", and you have named {', '.join(groups)}" if groups else ""
        raise ApprovalError(f"only members of {wanted} may decide{own}; name your group with `--group`")


def check_revision(question: Question, revision: int) -> None:
    """Check that a question is still in the form in which a person was shown it.

    Raises:
        ApprovalError: calls have joined it since.
    """
    if question.request.revision != revision:
        now = question.request.revision
        raise ApprovalError(
            f"question `{question.request.task_id}` is at revision {now}, not {revision}: further calls have joined "
            "it; look at them with `stoplog approvals show`"
        )


def check_grant(question: Question, scope: GrantScope) -> None:
    """Check that the rules let people approve further calls in a scope.

    Raises:
        ApprovalError: they don't.
    """
    widest = question.request.widest_grant
    if scope is widest or (scope is GrantScope.TASK and widest is GrantScope.SESSION):
        return
    what = "further calls" if widest is GrantScope.UNKNOWN else f"further calls of a {scope.value.lower()}"
    raise ApprovalError(f"the rules that ask ({', '.join(question.request.rules)}) let nobody approve {what}")


def chosen_calls(question: Question, stated: Sequence[str], now_ms: int) -> tuple[PendingCall, ...]:
    """Return the calls to decide about: those that still wait, or those of them that are stated.

    Args:
        question: the question.
        stated: ids of intents, or the beginnings of such.
        now_ms: the time.

    Raises:
        ApprovalError: a text is the beginning of no id, or of several.
    """
    waiting = question.waiting(now_ms)
    if not stated:
        return waiting
    chosen = []
    for text in stated:
        found = [call for call in waiting if text and call.intent_id.startswith(text)]
        if len(found) != 1:
            if not waiting:
                raise ApprovalError(f"no call of question `{question.request.task_id}` waits for an answer")
            named = ", ".join(call.intent_id for call in waiting)
            raise ApprovalError(f"`{text}` is the beginning of {len(found)} calls that wait; they are: {named}")
        chosen += found
    return tuple(dict.fromkeys(chosen))


def decision_on(
    question: Question, calls: Sequence[PendingCall], answer: Answer, approver: Actor, header: Header
) -> ApprovalDecision:
    """Return a decision about calls of a question.

    Args:
        question: the question.
        calls: those that the person was shown and decides about; at least one.
        answer: what the person says.
        approver: the person.
        header: of the record.
    """
    request, first = question.request, calls[0]
    return ApprovalDecision(
        header=header,
        task_id=request.task_id,
        intent_id=first.intent_id,
        session_id=request.session_id,
        status=ApprovalStatus.APPROVED if answer.approve else ApprovalStatus.DENIED,
        approver=approver,
        approver_groups=answer.groups,
        args_digest=first.args_digest,
        comment=answer.comment,
        calls=tuple(
            AnsweredCall(intent_id=call.intent_id, tool=call.tool, args_digest=call.args_digest) for call in calls
        )
        if request.calls
        else (),
        grant=answer.grant,
    )


def write_decision(
    operator: Operator, question: Question, calls: Sequence[PendingCall], answer: Answer
) -> ApprovalDecision:
    """Decide in the operator's name; the decision is on the log when this returns. The gate then decides again.

    Raises:
        ApprovalError: the gate would reject the decision.
        PublishError, LogError: it is not known whether the decision is stored.
    """
    header = operator.header(question.request.header.tenant_uid)
    check_answer(question, operator.name, answer.groups, header.time)
    if answer.grant is not None:
        check_grant(question, answer.grant.scope)
    approver = Actor(iss=SOURCE, sub=operator.name, sub_profile=SubProfile.USER)
    decision = decision_on(question, calls, answer, approver, header)
    operator.write(APPROVAL_DECISION, [(question.key, decision, header)])
    return decision
